//! How the replicas of a tenant stand, as all threads know it: up to which moment each has replayed what was written on the
//! primary. It asks no server, and never says whether a statement may run on one.
//!
//! The clock on a replica says little: on a primary where nobody writes, the last transaction gets older and older, and nothing
//! is missing. So the primary's log is looked at from time to time (*a sample*: what was written before this moment ends here), and a
//! replica that has replayed up to the end of a sample shows all that was committed before its moment. That one moment answers
//! both questions: how far behind it is, and whether it has what somebody wrote (hazards R120).

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use gate::{PrincipalId, Request};
use pool::Progress;
use tokio::sync::Notify;

use crate::config::Replicas;

/// Samples that are kept.
const SAMPLES_MAX: usize = 256;
/// People whose last write is kept before those are looked for who are of no interest any more.
const WRITERS_MAX: usize = 1000;
/// How long the samples go on when nobody reads.
const LINGER: Duration = Duration::from_secs(30);

/// One tenant's.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) config: Replicas,
    /// Times are counted from here.
    began: Instant,
    primary: Mutex<Primary>,
    each: Box<[Replica]>,
    /// When somebody last changed something.
    writes: DashMap<PrincipalId, Instant>,
    local: RwLock<Local>,
    /// When somebody last wanted to read.
    used: AtomicU64,
    watched: AtomicBool,
    /// Those who wait for a replica to have what they wrote.
    pub(crate) waiting: AtomicUsize,
    /// Something was learnt.
    pub(crate) news: Notify,
    /// Somebody waits for that.
    pub(crate) wanted: Notify,
}

/// What was seen of the primary.
#[derive(Debug, Default)]
struct Primary {
    /// The oldest first.
    samples: VecDeque<(Instant, u64)>,
    timeline: u32,
    cluster: Box<str>,
}

/// What was seen of a replica.
#[derive(Debug)]
struct Replica {
    /// Microseconds from the beginning up to the moment whose all it shows; 0 where it serves nobody.
    shows: AtomicU64,
    seen: Mutex<Seen>,
}

/// How a replica was found when it was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) state: State,
    pub(crate) replayed: u64,
    pub(crate) timeline: u32,
}

/// Whether it is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has asked it yet.
    Unknown,
    /// It follows the primary.
    Follows,
    /// It does not answer.
    Unreachable,
    /// It follows nobody, as one does that was promoted.
    Promoted,
    /// It is of another cluster than the primary.
    AnotherCluster,
    /// It follows another timeline than the primary's.
    AnotherTimeline,
    /// Its transactions would be serializable, which none can be there.
    Serializable,
}

/// Names of relations that are not read on a replica, and by which changes of the catalog.
#[derive(Debug, Default)]
struct Local {
    names: HashSet<Box<str>>,
    changes: Option<u64>,
}

impl Following {
    /// Nothing is known yet.
    pub(crate) fn new(config: Replicas, now: Instant) -> Self {
        let unknown = |_| Replica {
            shows: AtomicU64::new(0),
            seen: Mutex::new(Seen {
                state: State::Unknown,
                replayed: 0,
                timeline: 0,
            }),
        };
        Self {
            each: (0..config.places.len()).map(unknown).collect(),
            config,
            began: now,
            primary: Mutex::default(),
            writes: DashMap::new(),
            local: RwLock::default(),
            used: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            news: Notify::new(),
            wanted: Notify::new(),
        }
    }

    /// Somebody wants to read. Whether nobody takes samples: whoever hears that does.
    pub(crate) fn use_now(&self, now: Instant) -> bool {
        self.used.store(self.since_begin(now), Ordering::Relaxed);
        !self.watched.swap(true, Ordering::AcqRel)
    }

    /// Whether somebody has wanted to read not long ago.
    pub(crate) fn is_used(&self, now: Instant) -> bool {
        let used = Duration::from_micros(self.used.load(Ordering::Relaxed));
        now < self.began + used + LINGER
    }

    /// Nobody takes samples any more.
    pub(crate) fn leave(&self) {
        self.watched.store(false, Ordering::Release);
    }

    /// This person has changed something, and has just heard so.
    pub(crate) fn wrote(&self, who: &PrincipalId, now: Instant) {
        if self.writes.len() >= WRITERS_MAX {
            let past = self.config.lag_max;
            let matters = |at: &Instant| now.saturating_duration_since(*at) <= past;
            self.writes.retain(|_, at| matters(at));
        }
        self.writes.insert(who.clone(), now);
    }

    /// The moment whose all a replica must show to this person now: no further back than the declared lag, and not before what
    /// they wrote. With it, the first of the two alone.
    pub(crate) fn due(&self, who: &PrincipalId, now: Instant) -> Due {
        let lag = now.checked_sub(self.config.lag_max).unwrap_or(self.began);
        let wrote = self.writes.get(who).map(|at| *at);
        Due {
            shows: wrote.map_or(lag, |it| it.max(lag)),
            lag,
        }
    }

    /// Whether this one shows all of a moment.
    pub(crate) fn shows(&self, number: usize, moment: Instant) -> bool {
        let Some(replica) = self.each.get(number) else {
            return false;
        };
        match replica.shows.load(Ordering::Acquire) {
            0 => false,
            micros => self.began + Duration::from_micros(micros) >= moment,
        }
    }

    /// The log of the primary, which was asked at that moment.
    pub(crate) fn sample(&self, asked: Instant, found: &Progress) {
        let mut primary = lock(&self.primary);
        if primary.timeline != found.timeline || primary.cluster != found.cluster {
            // Places in another history say nothing of those in this one.
            primary.samples.clear();
            for replica in &self.each {
                replica.shows.store(0, Ordering::Release);
            }
            primary.timeline = found.timeline;
            primary.cluster.clone_from(&found.cluster);
        }
        primary.samples.push_back((asked, found.lsn));
        if primary.samples.len() > SAMPLES_MAX {
            primary.samples.pop_front();
        }
    }

    /// What a replica said, or why it did not.
    pub(crate) fn note(&self, number: usize, found: Result<&Progress, State>) {
        let Some(replica) = self.each.get(number) else {
            return;
        };
        let primary = lock(&self.primary);
        let state = primary.judge(found);
        let follows = found.ok().filter(|_| state == State::Follows);
        let reached = follows.and_then(|found| {
            let mut samples = primary.samples.iter().rev();
            samples.find(|(_, end)| *end <= found.lsn)
        });
        let shows = reached.map(|(moment, _)| self.since_begin(*moment).max(1));
        match shows {
            // What was shown once is shown still.
            Some(shows) => {
                replica.shows.fetch_max(shows, Ordering::AcqRel);
            }
            None if state == State::Follows => {}
            None => replica.shows.store(0, Ordering::Release),
        }
        drop(primary);
        let mut seen = lock(&replica.seen);
        if seen.state != state {
            let (host, port) = self.place(number);
            tracing::info!(host, port, "replica: {}", state.as_str());
        }
        seen.state = state;
        if let Ok(found) = found {
            (seen.replayed, seen.timeline) = (found.lsn, found.timeline);
        }
        drop(seen);
        self.news.notify_waiters();
    }

    /// These relations are not read on a replica, as of so many changes of the catalog.
    pub(crate) fn keep_here(&self, names: Vec<Box<str>>, changes: u64) {
        let mut local = self.local.write().unwrap_or_else(PoisonError::into_inner);
        local.names = names.into_iter().collect();
        local.changes = Some(changes);
    }

    /// Whether all that a request reads is on a replica as it is on the primary, after so many changes of the catalog.
    pub(crate) fn has_all(&self, request: &Request, changes: u64) -> bool {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        let mut read = request
            .statements()
            .flat_map(sql::Statement::relations_read);
        local.changes == Some(changes) && !read.any(|it| local.names.contains(it.name.as_str()))
    }

    /// How each was found, and how far behind it is.
    pub(crate) fn views(&self, now: Instant) -> Vec<(&(String, u16), Seen, Option<Duration>)> {
        let each = self.config.places.iter().zip(&self.each);
        let view = |(place, replica): (_, &Replica)| {
            let shows = Some(replica.shows.load(Ordering::Acquire)).filter(|it| *it > 0);
            let moment = shows.map(|it| self.began + Duration::from_micros(it));
            let lag = moment.map(|it| now.saturating_duration_since(it));
            (place, lock(&replica.seen).clone(), lag)
        };
        each.map(view).collect()
    }

    fn place(&self, number: usize) -> (&str, u16) {
        let place = self.config.places.get(number);
        place.map_or(("", 0), |(host, port)| (host.as_str(), *port))
    }

    fn since_begin(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.began);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

/// What a replica must show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// All of this moment, to serve.
    pub(crate) shows: Instant,
    /// All of this one, to be waited for.
    pub(crate) lag: Instant,
}

impl Primary {
    fn judge(&self, found: Result<&Progress, State>) -> State {
        match found {
            Err(state) => state,
            Ok(it) if !it.in_recovery => State::Promoted,
            // Nobody knows yet what it should be.
            Ok(_) if self.samples.is_empty() => State::Unknown,
            Ok(it) if it.cluster != self.cluster => State::AnotherCluster,
            Ok(it) if it.timeline != self.timeline => State::AnotherTimeline,
            Ok(it) if it.serializable => State::Serializable,
            Ok(_) => State::Follows,
        }
    }
}

impl State {
    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "not known",
            Self::Follows => "follows",
            Self::Unreachable => "unreachable",
            Self::Promoted => "not in recovery",
            Self::AnotherCluster => "of another cluster",
            Self::AnotherTimeline => "on another timeline",
            Self::Serializable => "serializable by default",
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The followings of all tenants that are read from; `Following::new` is in it where the configuration has changed.
#[derive(Debug, Default)]
pub(crate) struct Followings(DashMap<gate::TenantId, Arc<Following>>);

impl Followings {
    /// That of a tenant with these replicas.
    pub(crate) fn of(
        &self,
        tenant: &gate::TenantId,
        config: &Replicas,
        now: Instant,
    ) -> Arc<Following> {
        let mut known = self
            .0
            .entry(tenant.clone())
            .or_insert_with(|| Arc::new(Following::new(config.clone(), now)));
        if known.config != *config {
            *known = Arc::new(Following::new(config.clone(), now));
        }
        Arc::clone(&known)
    }

    /// Forgets a tenant that no thread has pools for.
    pub(crate) fn forget_unused(&self, tenant: &gate::TenantId) {
        self.0.remove_if(tenant, |_, it| Arc::strong_count(it) == 1);
    }

    /// All of them, by tenant.
    pub(crate) fn all(&self) -> Vec<(gate::TenantId, Arc<Following>)> {
        let all = self.0.iter();
        let mut all: Vec<_> = all
            .map(|it| (it.key().clone(), Arc::clone(it.value())))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

#[cfg(test)]
mod tests;
