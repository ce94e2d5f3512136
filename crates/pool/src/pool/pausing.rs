//! A pool that an operator has paused: nobody gets a connection, what is lent runs on, and what lies unused or comes back is
//! closed, so that the server can be restarted. Whoever waits goes on waiting, for as long as they would for a connection.

use std::pin::pin;

use gate::TenantId;

use super::Pool;
use crate::dial::Dial;

impl<D: Dial> Pool<D> {
    /// Whose it is.
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.lane.0
    }

    /// Lends nothing up to [`Pool::resume`].
    pub fn pause(&self) {
        self.paused.set(true);
        for connection in self.change_idle(|idle| idle.extract(|_, _| true)) {
            connection.dismiss_later();
        }
    }

    /// Lends again.
    pub fn resume(&self) {
        if self.paused.replace(false) {
            self.server.left.notify_waiters();
            self.server.serve();
        }
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// Waits until no connection of a paused pool is open. `false` where it is not paused, or not any more. Cancel safe.
    pub(crate) async fn drained(&self) -> bool {
        loop {
            let mut left = pin!(self.server.left.notified());
            left.as_mut().enable();
            if !self.paused.get() {
                return false;
            }
            if self.part.here() == 0 {
                return true;
            }
            left.await;
        }
    }
}
