//! What the sessions of one tenant keep in memory together. Above the limit they stop reading until it
//! falls (hazards R55). It never holds a byte itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use dashmap::DashMap;
use gate::TenantId;

/// A request up to this size may always be gathered, or a full purse would stop those who want little.
const SMALL_BYTES: usize = 16 * 1024;

/// Every tenant that somebody is connected to.
#[derive(Debug, Default)]
pub(crate) struct Purses {
    tenants: DashMap<TenantId, Arc<Purse>>,
}

#[derive(Debug, Default)]
struct Purse(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    sessions: usize,
    bytes: usize,
    /// The session whose large request may grow although the purse is full. One may: if none did, half
    /// requests would wait for one another for ever.
    ahead: Option<u32>,
    /// Those whose large requests may not.
    waiting: Vec<Waker>,
}

/// One session's part in the purse of its tenant; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    purses: Arc<Purses>,
    tenant: TenantId,
    purse: Arc<Purse>,
    session: u32,
    bytes: usize,
    bytes_max: usize,
}

impl Purses {
    /// A session joins its tenant, unless that has `sessions_max` of them. Together they may keep
    /// `bytes_max`.
    pub(crate) fn join(
        self: &Arc<Self>,
        tenant: &TenantId,
        session: u32,
        (sessions_max, bytes_max): (usize, usize),
    ) -> Option<Share> {
        // Held while the session is counted: a purse that nobody has is thrown away.
        let entry = self.tenants.entry(tenant.clone()).or_default();
        let purse = Arc::clone(&entry);
        let mut content = purse.content();
        if content.sessions >= sessions_max {
            return None;
        }
        content.sessions += 1;
        drop(content);
        drop(entry);
        Some(Share {
            purses: Arc::clone(self),
            tenant: tenant.clone(),
            purse,
            session,
            bytes: 0,
            bytes_max,
        })
    }
}

impl Purse {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn wake(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }
}

impl Share {
    /// What the session keeps now.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        let mut content = self.purse.content();
        content.bytes = content.bytes - self.bytes + bytes;
        self.bytes = bytes;
        if content.bytes <= self.bytes_max {
            content.wake();
        }
    }

    /// Whether all of them keep more than they may.
    pub(crate) fn is_full(&self) -> bool {
        self.purse.content().bytes > self.bytes_max
    }

    /// Whether a request of which `bytes` are here may grow; who may not is woken when that changes.
    pub(crate) fn may_gather(&self, bytes: usize, cx: &Context<'_>) -> bool {
        let mut content = self.purse.content();
        let mine = content.ahead == Some(self.session);
        if bytes < SMALL_BYTES || content.bytes <= self.bytes_max {
            if mine {
                content.ahead = None;
                content.wake();
            }
            return true;
        }
        if mine || content.ahead.is_none() {
            content.ahead = Some(self.session);
            return true;
        }
        if !content.waiting.iter().any(|it| it.will_wake(cx.waker())) {
            content.waiting.push(cx.waker().clone());
        }
        false
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.weigh(0);
        let mut content = self.purse.content();
        content.sessions -= 1;
        if content.ahead == Some(self.session) {
            content.ahead = None;
            content.wake();
        }
        drop(content);
        let nobody = |_: &TenantId, purse: &Arc<Purse>| purse.content().sessions == 0;
        self.purses.tenants.remove_if(&self.tenant, nobody);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(purses: &Arc<Purses>) -> [Share; 2] {
        let tenant = TenantId::from("acme");
        [1, 2].map(|session| purses.join(&tenant, session, (2, 100_000)).unwrap())
    }

    #[test]
    fn a_tenant_has_so_many_sessions_and_another_has_its_own() {
        let purses = Arc::new(Purses::default());
        let sessions = pair(&purses);
        assert!(purses.join(&"acme".into(), 3, (2, 0)).is_none());
        assert!(purses.join(&"other".into(), 3, (2, 0)).is_some());
        drop(sessions);
        assert!(purses.tenants.is_empty(), "nobody is remembered");
    }

    #[test]
    fn one_large_request_at_a_time_grows_where_the_purse_is_full() {
        let purses = Arc::new(Purses::default());
        let [mut first, mut second] = pair(&purses);
        let cx = &Context::from_waker(Waker::noop());
        first.weigh(60_000);
        assert!(!first.is_full());
        second.weigh(60_000);
        assert!(first.is_full() && second.is_full());
        assert!(first.may_gather(60_000, cx));
        assert!(!second.may_gather(60_000, cx));
        assert!(second.may_gather(100, cx), "that is not large");
        // The first is whole, and taken; its turn is over though as much waits as before.
        second.weigh(120_000);
        assert!(first.may_gather(0, cx));
        assert!(second.may_gather(60_000, cx));
        assert!(!first.may_gather(60_000, cx));
        drop(second);
        assert!(!first.is_full());
        assert!(first.may_gather(60_000, cx));
    }
}
