//! What the sessions of one tenant keep in memory together. Above the limit they stop reading until it
//! falls (hazards R55). It never holds a byte itself.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
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
struct Purse {
    /// What all of them keep. Apart from the rest, so that no lock is taken for a message.
    bytes: AtomicUsize,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    sessions: usize,
    /// A large request grows although the purse is full. One may: if none did, half requests would wait
    /// for one another for ever.
    one_is_ahead: bool,
    /// Those whose large requests may not.
    waiting: Vec<Waker>,
}

/// One session's part in the purse of its tenant; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    purses: Arc<Purses>,
    tenant: TenantId,
    purse: Arc<Purse>,
    bytes: usize,
    bytes_max: usize,
    /// Its large request is the one that may.
    is_ahead: Cell<bool>,
}

impl Purses {
    /// A session joins its tenant, unless that has `sessions_max` of them. Together they may keep
    /// `bytes_max`.
    pub(crate) fn join(
        self: &Arc<Self>,
        tenant: &TenantId,
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
            bytes: 0,
            bytes_max,
            is_ahead: Cell::new(false),
        })
    }
}

impl Purse {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
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
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes == before {
            return;
        }
        if bytes > before {
            self.purse.bytes.fetch_add(bytes - before, Ordering::SeqCst);
            return;
        }
        let less = before - bytes;
        let all = self.purse.bytes.fetch_sub(less, Ordering::SeqCst);
        if all > self.bytes_max && all - less <= self.bytes_max {
            self.purse.content().wake();
        }
    }

    /// Whether all of them keep more than they may.
    pub(crate) fn is_full(&self) -> bool {
        self.purse.bytes.load(Ordering::SeqCst) > self.bytes_max
    }

    /// Whether a request of which `bytes` are here may grow; who may not is woken when that changes.
    pub(crate) fn may_gather(&self, bytes: usize, cx: &Context<'_>) -> bool {
        if !self.is_ahead.get() && (bytes < SMALL_BYTES || !self.is_full()) {
            return true;
        }
        let mut content = self.purse.content();
        // Looked at under the lock: whoever makes it less takes the lock behind that, and wakes.
        if bytes < SMALL_BYTES || !self.is_full() {
            self.step_back(&mut content);
            return true;
        }
        if !content.one_is_ahead {
            content.one_is_ahead = true;
            self.is_ahead.set(true);
        }
        if self.is_ahead.get() {
            return true;
        }
        if !content.waiting.iter().any(|it| it.will_wake(cx.waker())) {
            content.waiting.push(cx.waker().clone());
        }
        false
    }

    /// Its large request grows no more, or not any longer alone.
    fn step_back(&self, content: &mut Content) {
        if self.is_ahead.replace(false) {
            content.one_is_ahead = false;
            content.wake();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.weigh(0);
        let mut content = self.purse.content();
        content.sessions -= 1;
        self.step_back(&mut content);
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
        [(); 2].map(|()| purses.join(&tenant, (2, 100_000)).unwrap())
    }

    #[test]
    fn a_tenant_has_so_many_sessions_and_another_has_its_own() {
        let purses = Arc::new(Purses::default());
        let sessions = pair(&purses);
        assert!(purses.join(&"acme".into(), (2, 0)).is_none());
        assert!(purses.join(&"other".into(), (2, 0)).is_some());
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
