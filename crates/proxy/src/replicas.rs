//! The replicas of one tenant on one thread: which of them serves a read, and asking how they stand. It never decides that
//! something only reads, and falls back to nothing: whoever gets no connection here goes to the primary.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gate::{PrincipalId, Request, TenantId};
use pool::{Borrower, CheckoutError, ConnectError, Dial, Lease, Options, Pool, Progress, Servers};
use sql::{Isolation, Statement};
use tokio::time::timeout_at;

use crate::config::Tenant;
use crate::following::{Due, Following, State};
use crate::knowledge::Changes;

/// How often it is asked while somebody waits.
const HURRY: Duration = Duration::from_millis(10);
/// The least and the most time between two samples else; within it, a part of the declared lag.
const BETWEEN: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// How long a connection to ask over is waited for.
const CHECKOUT: Duration = Duration::from_secs(2);
/// How often it is looked which relations are not on a replica as they are here, where nobody is known to have changed any.
const LOCAL_EVERY: Duration = Duration::from_secs(5);

/// One tenant's, on one thread.
pub(crate) struct Replicas<D: Dial> {
    pub(crate) following: Arc<Following>,
    changes: Changes,
    /// A connection of their own to ask over, so that a pool that is busy is not taken for a server that is behind.
    primary: Rc<Pool<D>>,
    /// The pool of the primary that knows which cluster it must be.
    write: Rc<Pool<D>>,
    each: Box<[Replica<D>]>,
    turn: Cell<usize>,
}

struct Replica<D: Dial> {
    reads: Rc<Pool<D>>,
    asks: Rc<Pool<D>>,
    /// It is being asked.
    asked: Cell<bool>,
}

/// Where a read goes.
pub(crate) enum Way<D: Dial> {
    /// To the primary.
    Primary,
    /// To one of those that show enough, and now.
    Replica(Rc<Pool<D>>),
    /// To one of those that are not too far behind, once it has what its person wrote.
    Later,
}

/// No more samples are taken when this is dropped.
struct Watch(Arc<Following>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<D: Dial> Replicas<D> {
    /// Empty pools, if the tenant has any; nothing is connected yet.
    pub(crate) fn new(
        servers: &Servers<D>,
        id: &TenantId,
        tenant: &Tenant,
        write: &Rc<Pool<D>>,
        (following, changes): (Arc<Following>, Changes),
    ) -> Rc<Self> {
        let ask = |options: &Options| {
            let one = Options {
                size: 1,
                ..options.clone()
            };
            servers.pool(id, ASKS, one)
        };
        let logins = following.config.logins(&tenant.read);
        let each = logins.map(|options| Replica {
            asks: ask(&options),
            reads: servers.pool(id, NAME, options),
            asked: Cell::new(false),
        });
        Rc::new(Self {
            each: each.collect(),
            primary: ask(&tenant.read),
            write: Rc::clone(write),
            turn: Cell::new(0),
            following,
            changes,
        })
    }

    /// All its pools.
    pub(crate) fn pools(&self) -> impl Iterator<Item = &Rc<Pool<D>>> {
        let each = self.each.iter().flat_map(|it| [&it.reads, &it.asks]);
        each.chain([&self.primary])
    }

    /// Those that are read from.
    pub(crate) fn read_from(&self) -> impl Iterator<Item = &Rc<Pool<D>>> {
        self.each.iter().map(|it| &it.reads)
    }

    /// Whether a request says the same on a replica that has replayed enough (hazards R119).
    pub(crate) fn suit(&self, request: &Request) -> bool {
        let context = &request.context;
        let level = |(name, value): (&String, &String)| {
            name.ends_with("transaction_isolation") && value.eq_ignore_ascii_case("serializable")
        };
        let serializable = context.isolation == Some(Isolation::Serializable)
            || context.settings.iter().any(level);
        !serializable
            && !request.runs_own()
            && request.statements().all(Statement::is_same_anywhere)
            && self
                .following
                .has_all(request, self.changes.load(Ordering::Acquire))
    }

    /// Where something that suits goes. Of several the one that is used least, and each in turn.
    pub(crate) fn way(&self, who: &PrincipalId, now: Instant) -> Way<D> {
        let Due { shows, lag } = self.following.due(who, now);
        let count = self.each.len();
        let turn = self.turn.get();
        let numbers = (0..count).map(|it| (turn + it) % count);
        let fit = numbers.filter(|number| self.following.shows(*number, shows));
        let fit = fit.filter_map(|number| Some((number, self.each.get(number)?)));
        let least = fit.min_by_key(|(_, it)| it.reads.in_use());
        if let Some((number, replica)) = least {
            self.turn.set(number + 1);
            replica.reads.belong_to(&self.write);
            return Way::Replica(Rc::clone(&replica.reads));
        }
        if (0..count).any(|number| self.following.shows(number, lag)) {
            Way::Later
        } else {
            Way::Primary
        }
    }

    /// A connection to a replica that shows enough, after a wait of at most what is declared; none where the primary is sooner.
    pub(crate) async fn reach(self: Rc<Self>, owner: Borrower) -> Option<Lease<D>> {
        let until = tokio::time::Instant::now() + self.following.config.wait;
        let mut waits = None;
        loop {
            let mut news = std::pin::pin!(self.following.news.notified());
            news.as_mut().enable();
            match self.way(&owner.principal, now()) {
                Way::Primary => return None,
                Way::Replica(pool) => return pool.checkout(&owner).await.ok(),
                Way::Later => {
                    waits.get_or_insert_with(|| Waits::of(&self.following));
                    timeout_at(until, news).await.ok()?;
                }
            }
        }
    }

    /// Somebody wants to read: from here on it is known how the replicas stand, until nobody has read for a while.
    pub(crate) fn use_now(self: &Rc<Self>, now: Instant) {
        if self.following.use_now(now) {
            let watch = Watch(Arc::clone(&self.following));
            let replicas = Rc::clone(self);
            tokio::task::spawn_local(async move { replicas.watch(watch).await });
        }
    }

    async fn watch(self: Rc<Self>, watch: Watch) {
        let Watch(following) = &watch;
        let [least, most] = BETWEEN;
        let between = (following.config.lag_max / 4).clamp(least, most);
        let mut local_since: Option<(Instant, u64)> = None;
        while following.is_used(now()) && !self.primary.is_closed() {
            let changes = self.changes.load(Ordering::Acquire);
            let current = local_since.is_some_and(|(at, known)| {
                known == changes && now().saturating_duration_since(at) < LOCAL_EVERY
            });
            if !current && let Some(names) = self.ask_local().await {
                following.keep_here(names, changes);
                local_since = Some((now(), changes));
            }
            let asked = now();
            if let Some(found) = self.ask_primary().await {
                following.sample(asked, &found);
            }
            for number in 0..self.each.len() {
                self.ask(number);
            }
            let hurries = following.waiting.load(Ordering::Acquire) > 0;
            let pause = if hurries { HURRY } else { between };
            let until = tokio::time::Instant::now() + pause;
            // Whoever begins to wait is not left to wait for the next sample, unless one has just been taken.
            let wanted = async {
                following.wanted.notified().await;
                tokio::time::sleep(HURRY).await;
            };
            let _either = timeout_at(until, wanted).await;
        }
    }

    async fn ask_primary(&self) -> Option<Progress> {
        let lease = self.primary.lend_to_gate(CHECKOUT).await.ok()?;
        let found = lease.written().await;
        found
            .inspect_err(|why| tracing::warn!("the log of a primary is not known: {why}"))
            .ok()
    }

    async fn ask_local(&self) -> Option<Vec<Box<str>>> {
        let lease = self.primary.lend_to_gate(CHECKOUT).await.ok()?;
        let names = lease.local().await;
        names
            .inspect_err(|why| tracing::warn!("what replicas lack is not known: {why}"))
            .ok()
    }

    /// Asks a replica, behind everybody's back: one that does not answer holds no other up.
    fn ask(self: &Rc<Self>, number: usize) {
        let Some(replica) = self.each.get(number) else {
            return;
        };
        if replica.asked.replace(true) {
            return;
        }
        let replicas = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let Some(replica) = replicas.each.get(number) else {
                return;
            };
            let found = match replica.asks.lend_to_gate(CHECKOUT).await {
                Ok(lease) => lease.replayed().await.map_err(|_| State::Unreachable),
                Err(CheckoutError::Connect(why)) if matches!(*why, ConnectError::NoReplica) => {
                    Err(State::Promoted)
                }
                Err(_) => Err(State::Unreachable),
            };
            let found = found.as_ref().map_err(|state| *state);
            replicas.following.note(number, found);
            replica.asked.set(false);
        });
    }
}

/// What their pools are called.
pub(crate) const NAME: &str = "replica";
const ASKS: &str = "replication";

/// One more waits for a replica to have what they wrote, until this is dropped.
struct Waits<'a>(&'a Following);

impl<'a> Waits<'a> {
    fn of(following: &'a Following) -> Self {
        following.waiting.fetch_add(1, Ordering::AcqRel);
        following.wanted.notify_one();
        Self(following)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
