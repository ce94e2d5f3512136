//! How many connections there may be of a pool and to a server, over all threads together, and how a thread that wants one
//! gets it from another that has more than its part. It never moves a connection: one is closed there, and opened here.
//!
//! Whoever has no more than its part keeps what it uses; what lies unused, and what is above that part, is given up as soon
//! as it comes back and somebody else wants it. So nobody waits for ever, and busy threads do not take from one another.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use gate::TenantId;
use tokio::sync::Notify;

use crate::credential::{Issuer, Issuers};
use crate::lineage::Lineage;
use crate::options::Options;

/// The threads that share servers. Each has pools of its own.
#[derive(Debug)]
struct Workers {
    /// Rung to have a thread look at who waits: one for each.
    bells: Vec<Notify>,
    quotas: Mutex<HashMap<What, Weak<Quota>>>,
    /// What gives out logins, which is no thread's own either.
    issuers: Issuers,
    lineages: Mutex<HashMap<TenantId, Arc<Lineage>>>,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A server, by host and port.
    Server(String, u16),
    /// A pool, by tenant, by what distinguishes the tenant's, and by the server that it leads to.
    Pool(TenantId, &'static str, (String, u16)),
}

/// One of the threads that share servers.
#[derive(Clone, Debug)]
pub struct Worker {
    workers: Arc<Workers>,
    number: usize,
}

#[derive(Debug)]
struct Quota {
    /// As whoever took part last had it: what is asked for anew is what counts.
    max: AtomicUsize,
    /// Connections that are open or about to be.
    open: AtomicUsize,
    /// Those that wait in vain, over all threads.
    wanting: AtomicUsize,
    /// Threads with less than their part where somebody waits in vain.
    poor: AtomicUsize,
}

/// A thread's part of a quota.
#[derive(Debug)]
pub(crate) struct Part {
    worker: Worker,
    quota: Arc<Quota>,
    here: Cell<usize>,
    wants: Cell<usize>,
    is_poor: Cell<bool>,
}

impl Workers {
    /// The count of this. Another `max` than before is that of a pool which takes the place of one that goes.
    fn quota(&self, what: What, max: usize) -> Arc<Quota> {
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = quotas.get(&what).and_then(Weak::upgrade) {
            known.max.store(max, Ordering::SeqCst);
            return known;
        }
        if quotas.len() == quotas.capacity() {
            quotas.retain(|_, it| it.strong_count() > 0);
        }
        let quota = Arc::new(Quota {
            max: AtomicUsize::new(max),
            open: AtomicUsize::new(0),
            wanting: AtomicUsize::new(0),
            poor: AtomicUsize::new(0),
        });
        quotas.insert(what, Arc::downgrade(&quota));
        quota
    }
}

impl Quota {
    fn max(&self) -> usize {
        self.max.load(Ordering::SeqCst)
    }
}

impl Worker {
    /// So many that share all there is; at least one.
    pub fn all(threads: usize) -> Vec<Self> {
        let threads = threads.max(1);
        let workers = Arc::new(Workers {
            bells: (0..threads).map(|_| Notify::new()).collect(),
            quotas: Mutex::default(),
            issuers: Issuers::default(),
            lineages: Mutex::default(),
        });
        let worker = |number| Self {
            workers: Arc::clone(&workers),
            number,
        };
        (0..threads).map(worker).collect()
    }

    /// How many threads there are.
    pub(crate) fn size(&self) -> usize {
        self.workers.bells.len()
    }

    /// Waits until another thread gave something up, or wants something. Cancel safe.
    pub(crate) async fn called(&self) {
        if let Some(bell) = self.workers.bells.get(self.number) {
            bell.notified().await;
        }
    }

    pub(crate) fn part(&self, what: What, max: usize) -> Part {
        Part {
            worker: self.clone(),
            quota: self.workers.quota(what, max),
            here: Cell::new(0),
            wants: Cell::new(0),
            is_poor: Cell::new(false),
        }
    }

    /// What gives out the login of a pool, if it is not configured; all threads have one.
    pub(crate) fn issuer(&self, options: &Options) -> Option<Arc<Issuer>> {
        self.workers.issuers.of_options(options)
    }

    /// What is known of a tenant's failovers; it stays known when its pools are gone.
    pub(crate) fn lineage(&self, tenant: &TenantId) -> Arc<Lineage> {
        let lineages = self.workers.lineages.lock();
        let mut lineages = lineages.unwrap_or_else(PoisonError::into_inner);
        if lineages.len() == lineages.capacity() {
            lineages.retain(|_, it| Arc::strong_count(it) > 1 || it.newest() > 0);
        }
        Arc::clone(lineages.entry(tenant.clone()).or_default())
    }

    fn call_others(&self) {
        let bells = self.workers.bells.iter().enumerate();
        for (_, bell) in bells.filter(|(number, _)| *number != self.number) {
            bell.notify_one();
        }
    }
}

impl Part {
    /// What a thread keeps while others want it.
    fn size(&self) -> usize {
        (self.quota.max() / self.worker.size()).max(1)
    }

    /// How many this thread has.
    pub(crate) fn here(&self) -> usize {
        self.here.get()
    }

    /// Takes one more, if there may be one and it is not for a thread that has less than its part.
    pub(crate) fn take(&self) -> bool {
        if self.gives_way() {
            return false;
        }
        let max = self.quota.max();
        let more = |open: usize| (open < max).then_some(open + 1);
        let open = &self.quota.open;
        let taken = open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        self.here.set(self.here.get() + usize::from(taken.is_ok()));
        self.assess();
        taken.is_ok()
    }

    /// Whether one more can be taken now.
    pub(crate) fn has_room(&self) -> bool {
        self.quota.open.load(Ordering::SeqCst) < self.quota.max() && !self.gives_way()
    }

    /// Gives one back that was taken here.
    pub(crate) fn give(&self) {
        self.here.set(self.here.get().saturating_sub(1));
        self.quota.open.fetch_sub(1, Ordering::SeqCst);
        self.assess();
        if self.others_want() > 0 {
            self.worker.call_others();
        }
    }

    /// So many wait here in vain; the other threads are called if that is more than before. Then whoever says so looks again,
    /// as something may have been given back before this could be heard.
    pub(crate) fn want(&self, count: usize) -> bool {
        let before = self.wants.replace(count);
        if count == before {
            return false;
        }
        let wanting = &self.quota.wanting;
        if count > before {
            wanting.fetch_add(count - before, Ordering::SeqCst);
        } else {
            wanting.fetch_sub(before - count, Ordering::SeqCst);
        }
        self.assess();
        if count > before {
            self.worker.call_others();
        }
        count > before
    }

    /// Lets the other threads know whether something is to be left for this one.
    fn assess(&self) {
        let poor = self.wants.get() > 0 && self.here.get() < self.size();
        if self.is_poor.replace(poor) == poor {
            return;
        }
        if poor {
            self.quota.poor.fetch_add(1, Ordering::SeqCst);
        } else {
            self.quota.poor.fetch_sub(1, Ordering::SeqCst);
            self.worker.call_others();
        }
    }

    /// Whether the next one is for another thread.
    fn gives_way(&self) -> bool {
        self.here.get() >= self.size() && self.others_are_poor()
    }

    fn others_are_poor(&self) -> bool {
        self.quota.poor.load(Ordering::SeqCst) > usize::from(self.is_poor.get())
    }

    /// How many wait in vain on other threads.
    pub(crate) fn others_want(&self) -> usize {
        let wanting = self.quota.wanting.load(Ordering::SeqCst);
        wanting.saturating_sub(self.wants.get())
    }

    /// Whether one that comes back is to be given up for another thread, where somebody waits for it here or nobody does.
    pub(crate) fn yields(&self, wanted_here: bool) -> bool {
        let too_many = || self.here.get() > self.size() && self.others_are_poor();
        self.others_want() > 0 && (!wanted_here || too_many())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.want(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(threads: usize, max: usize) -> Vec<Part> {
        let what = || What::Pool("acme".into(), "write", ("db".to_owned(), 5432));
        let workers = Worker::all(threads);
        workers.iter().map(|it| it.part(what(), max)).collect()
    }

    #[test]
    fn all_threads_together_take_no_more_than_there_may_be() {
        let parts = parts(2, 3);
        let taken = parts.iter().cycle().take(8).filter(|it| it.take()).count();
        assert_eq!(taken, 3);
        parts[1].give();
        assert!(parts[0].take());
        assert!(!parts[1].take());
    }

    #[test]
    fn who_has_no_more_than_a_part_keeps_what_is_used_there() {
        let parts = parts(2, 4);
        let [rich, poor] = [&parts[0], &parts[1]];
        assert!(rich.take() && rich.take() && rich.take());
        assert!(!rich.yields(false), "nobody wants it");
        assert!(poor.want(1));
        assert!(
            !rich.has_room() && poor.has_room(),
            "the fourth is for who has less"
        );
        assert!(rich.yields(true), "three are more than half of four");
        rich.give();
        assert!(!rich.yields(true));
        assert!(rich.yields(false), "it would lie unused");
        assert!(poor.take() && poor.take());
        assert!(!poor.want(1) && !poor.yields(true));
        assert!(!poor.want(0));
        assert!(!rich.yields(false));
    }

    #[test]
    fn a_thread_that_is_gone_wants_nothing() {
        let mut parts = parts(2, 1);
        parts[1].want(2);
        assert_eq!(parts[0].others_want(), 2);
        parts.pop();
        assert_eq!(parts[0].others_want(), 0);
    }

    #[tokio::test]
    async fn the_others_are_called_when_somebody_wants_or_gives() {
        let workers = Worker::all(2);
        let what = || What::Server("db".to_owned(), 5432);
        let parts: Vec<_> = workers.iter().map(|it| it.part(what(), 1)).collect();
        assert!(parts[0].take());
        parts[1].want(1);
        workers[0].called().await;
        parts[0].give();
        workers[1].called().await;
        assert!(parts[1].take());
    }
}
