//! How tenants that claim to be kept apart stand, by their last tests, for all threads of a gate. It never tests, and never says what
//! is tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use gate::TenantId;
use gate::isolation::test::Question;
use tokio::sync::Mutex;

/// How long a test that found nothing is good for: grants drift.
const GOOD_FOR: Duration = Duration::from_mins(5);
/// How soon a tenant that failed may be tested again. Whoever mends it need not wait, and whoever asks again and again is no load.
const BAD_FOR: Duration = Duration::from_secs(5);
/// What stands for a cluster that a login may not ask for.
pub(crate) const UNKNOWN: &str = "unknown";

/// How the tenants of a gate stand, for all of its threads.
#[derive(Debug)]
pub(crate) struct Standings {
    began: Instant,
    tenants: DashMap<TenantId, Arc<Standing>>,
    /// The cluster that answered to each tenant last.
    clusters: DashMap<TenantId, Arc<str>>,
}

/// How one of them stands.
#[derive(Debug)]
pub(crate) struct Standing {
    began: Instant,
    failed: AtomicBool,
    /// When it is to be tested again, in milliseconds after `began`.
    due: AtomicU64,
    /// When that may be tried behind everybody's back, after it could not be done.
    retry: AtomicU64,
    /// What was tested. One tests, and the others wait for what comes of it.
    pub(crate) tested: Mutex<Vec<Question>>,
}

/// Whether anything may be sent to a tenant now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// It may, and the test is fresh.
    Well,
    /// It may, and it is time for a test.
    WellSoFar,
    /// It may not.
    Ill,
    /// It may not, and it is time for a test.
    IllSoFar,
}

impl Standings {
    /// Nothing is known; counted from `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            began: now,
            tenants: DashMap::new(),
            clusters: DashMap::new(),
        }
    }

    /// That of a tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<Standing> {
        let began = self.began;
        let new = || Arc::new(Standing::new(began));
        Arc::clone(&self.tenants.entry(tenant.clone()).or_insert_with(new))
    }

    /// All are to be tested anew: whoever reloads may have mended something.
    pub(crate) fn outdate(&self) {
        self.tenants.iter().for_each(|it| it.outdate());
    }

    /// Forgets one that nobody is connected to, once its test would be made anew anyway.
    pub(crate) fn forget(&self, tenant: &TenantId, now: Instant) {
        let unused =
            |_: &TenantId, it: &Arc<Standing>| Arc::strong_count(it) == 1 && it.is_due(now);
        self.tenants.remove_if(tenant, unused);
    }

    /// That cluster answers to it.
    pub(crate) fn note(&self, tenant: &TenantId, cluster: &Arc<str>) {
        let known = self.clusters.get(tenant);
        let known = known.is_some_and(|it| *it.value() == *cluster);
        if !known && **cluster != *UNKNOWN {
            self.clusters.insert(tenant.clone(), Arc::clone(cluster));
        }
    }

    /// One is to be tested anew.
    pub(crate) fn outdate_one(&self, tenant: &TenantId) {
        if let Some(standing) = self.tenants.get(tenant) {
            standing.outdate();
        }
    }

    /// The same cluster as that of another tenant that is there still, if it is.
    pub(crate) fn neighbour(
        &self,
        tenant: &TenantId,
        cluster: &str,
        is_there: impl Fn(&TenantId) -> bool,
    ) -> Option<TenantId> {
        let mut all = self.clusters.iter();
        let other =
            all.find(|it| it.key() != tenant && **it.value() == *cluster && is_there(it.key()));
        other.map(|it| it.key().clone())
    }
}

impl Standing {
    fn new(began: Instant) -> Self {
        Self {
            began,
            failed: AtomicBool::new(false),
            due: AtomicU64::new(0),
            retry: AtomicU64::new(0),
            tested: Mutex::default(),
        }
    }

    /// How it stands.
    pub(crate) fn at(&self, now: Instant) -> Stands {
        match (self.has_failed(), self.is_due(now)) {
            (false, false) => Stands::Well,
            (false, true) => Stands::WellSoFar,
            (true, false) => Stands::Ill,
            (true, true) => Stands::IllSoFar,
        }
    }

    /// Whether its last test found something.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Whether to test it behind everybody's back: nobody does, and nobody has just tried in vain.
    pub(crate) fn wants_test(&self, now: Instant) -> bool {
        self.since(now) >= self.retry.load(Ordering::Acquire) && self.tested.try_lock().is_ok()
    }

    /// It could not be tested.
    pub(crate) fn put_off(&self, now: Instant) {
        self.retry
            .store(self.since(now + BAD_FOR), Ordering::Release);
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.since(now) >= self.due.load(Ordering::Acquire)
    }

    fn outdate(&self) {
        self.due.store(0, Ordering::Release);
    }

    pub(crate) fn settle(&self, failed: bool, now: Instant) {
        let good_for = if failed { BAD_FOR } else { GOOD_FOR };
        self.failed.store(failed, Ordering::Release);
        self.due
            .store(self.since(now + good_for), Ordering::Release);
    }

    fn since(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test begins somewhere")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Hazards R116: grants drift, so no test is good for ever, and one that failed does not have to be waited for.
    #[test]
    fn a_test_is_good_for_a_while() {
        let began = now();
        let standings = Standings::new(began);
        let acme = TenantId::from("acme");
        let standing = standings.of(&acme);
        let at = |seconds| standing.at(began + Duration::from_secs(seconds));
        assert_eq!(at(0), Stands::WellSoFar, "nothing was tested");
        standing.settle(false, began);
        assert_eq!((at(0), at(299)), (Stands::Well, Stands::Well));
        assert_eq!(at(300), Stands::WellSoFar);
        standing.settle(true, began + Duration::from_mins(5));
        assert_eq!((at(300), at(304)), (Stands::Ill, Stands::Ill));
        assert_eq!(at(305), Stands::IllSoFar);
        standing.settle(false, began + Duration::from_secs(305));
        standings.outdate();
        assert_eq!(at(305), Stands::WellSoFar, "somebody reloaded");
    }

    #[test]
    fn what_nobody_is_connected_to_is_forgotten_when_it_is_old() {
        let began = now();
        let (standings, acme) = (Standings::new(began), TenantId::from("acme"));
        let standing = standings.of(&acme);
        standing.settle(true, began);
        let late = began + Duration::from_secs(5);
        standings.forget(&acme, late);
        drop(standing);
        standings.forget(&acme, began);
        assert!(standings.of(&acme).has_failed());
        standings.forget(&acme, late);
        assert!(!standings.of(&acme).has_failed());
    }

    /// Hazards R64, R116: a server that two tenants should each have alone.
    #[test]
    fn a_neighbour_is_one_that_is_there() {
        let standings = Standings::new(now());
        let (acme, globex) = (TenantId::from("acme"), TenantId::from("globex"));
        for tenant in [&acme, &globex] {
            standings.clusters.insert(tenant.clone(), Arc::from("7001"));
        }
        let all = |_: &TenantId| true;
        assert_eq!(
            standings.neighbour(&acme, "7001", all),
            Some(globex.clone())
        );
        assert_eq!(standings.neighbour(&acme, "7002", all), None);
        let gone = |it: &TenantId| *it != globex;
        assert_eq!(standings.neighbour(&acme, "7001", gone), None);
    }
}
