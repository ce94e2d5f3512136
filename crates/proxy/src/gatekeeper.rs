//! What the sessions of a thread share, and the answers that a driver gets from it: who somebody is,
//! what the gate says, and the news of tickets. What all threads share is in it, too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use gate::audit::Entry;
use gate::policy::{Denial, Hold};
use gate::{Clearance, Journal, Judgement, Pass, PrincipalId, Request, Settings, TenantId};
use pool::{CheckoutError, Dial, Servers, Worker};
use session::{Account, Admission, Destination, Fault, Verdict};
use sql::Reader;
use tokio::sync::Notify;
use wire::scram::Verifier;

use crate::config::Tenant;
use crate::crew::Crew;
use crate::following::Followings;
use crate::knowledge::Changes;
use crate::lanes::{Lanes, PoolView};
use crate::origin::Origin;
use crate::paused::Paused;
use crate::registry::Registry;
use crate::shut::Shut;
use crate::standing::Standings;
use crate::stats::{Periods, Roster, Tallies};
use crate::version::Version;
use crate::world::{Real, World};

/// How long a session waits for a journal that is behind before it looks again.
const JOURNAL_PAUSE: Duration = Duration::from_millis(1);

/// How long a tenant is kept that has no connection and no session: what a server said to a login stays known so long.
const LINGER: Duration = Duration::from_secs(10);

/// The database name of the console.
pub(crate) const CONSOLE: &str = "portcullis";

/// What the threads of a daemon share.
#[derive(Clone)]
pub(crate) struct Shared<W: World> {
    pub(crate) world: W,
    pub(crate) version: Version,
    pub(crate) origin: Arc<Origin>,
    pub(crate) tickets: W::Tickets,
    pub(crate) journal: W::Journal,
    reader: Reader,
    pub(crate) registry: Arc<Registry>,
    pub(crate) shut: Arc<Shut>,
    paused: Arc<Paused>,
    /// Which tenants have figures of their own.
    pub(crate) roster: Arc<Roster>,
    periods: Arc<Periods>,
    /// Called when something is in doubt that a ledger may know of.
    doubt: Arc<Notify>,
    /// How often something that may have changed a tenant's catalog went up.
    changes: Arc<DashMap<TenantId, Changes>>,
    followings: Arc<Followings>,
    /// Whether tenants are kept apart as they are said to be.
    standings: Arc<Standings>,
    /// Randomness of this daemon, for what nobody may guess and for what should not happen all at once.
    decoy: [u8; 32],
    seed: u64,
    sessions: Arc<AtomicU64>,
}

impl<W: World> Shared<W> {
    /// For a daemon that starts; none where there is no randomness.
    pub(crate) fn new(
        world: W,
        version: Version,
        (tickets, journal): (W::Tickets, W::Journal),
        reader: Reader,
    ) -> Option<Self> {
        let (mut decoy, mut seed) = ([0; 32], [0; 8]);
        if !(world.random(&mut decoy) && world.random(&mut seed)) {
            return None;
        }
        let config = &version.config;
        let roster = Arc::new(Roster::new(config.admin.tenants_max));
        Some(Self {
            standings: Arc::new(Standings::new(world.now())),
            world,
            registry: Arc::new(Registry::new(config.edge.clone())),
            origin: Arc::new(Origin::of(config)),
            version,
            tickets,
            journal,
            reader,
            changes: Arc::default(),
            followings: Arc::default(),
            shut: Arc::default(),
            paused: Arc::default(),
            roster,
            periods: Arc::default(),
            doubt: Arc::default(),
            decoy,
            seed: u64::from_ne_bytes(seed),
            sessions: Arc::default(),
        })
    }
}

impl Shared<Real> {
    /// For another thread: what lies on the path of every statement is its own.
    pub(crate) fn beside(&self) -> Self {
        Self {
            journal: self.journal.beside(),
            reader: self.reader.beside(),
            ..self.clone()
        }
    }
}

/// What the sessions of one thread share.
pub(crate) struct Gatekeeper<W: World> {
    pub(crate) world: W,
    /// What this thread goes by now.
    version: RefCell<Rc<Version>>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) tickets: W::Tickets,
    pub(crate) journal: W::Journal,
    pub(crate) reader: Reader,
    pub(crate) registry: Arc<Registry>,
    pub(crate) shut: Arc<Shut>,
    pub(crate) paused: Arc<Paused>,
    pub(crate) doubt: Arc<Notify>,
    pub(crate) tallies: Tallies,
    pub(crate) periods: Arc<Periods>,
    pub(crate) servers: Rc<Servers<W::Dial>>,
    /// All threads, this one too.
    pub(crate) crew: Crew,
    /// The settings of a connection that logged in with none.
    pub(crate) plain: Arc<Settings>,
    pub(crate) standings: Arc<Standings>,
    lanes: RefCell<HashMap<TenantId, Rc<Lanes<W::Dial>>>>,
    changes: Arc<DashMap<TenantId, Changes>>,
    pub(crate) followings: Arc<Followings>,
    decoy: [u8; 32],
    sessions: Arc<AtomicU64>,
}

impl<W: World> Gatekeeper<W> {
    /// For one of the threads of `crew`.
    pub(crate) fn new(shared: Shared<W>, dial: W::Dial, worker: Worker, crew: Crew) -> Self {
        let servers = Servers::new(dial, worker, shared.version.config.servers, shared.seed);
        Self {
            world: shared.world,
            version: RefCell::new(Rc::new(shared.version)),
            origin: shared.origin,
            tickets: shared.tickets,
            journal: shared.journal,
            reader: shared.reader,
            registry: shared.registry,
            shut: shared.shut,
            paused: shared.paused,
            doubt: shared.doubt,
            tallies: Tallies::new(shared.roster),
            periods: shared.periods,
            servers,
            crew,
            plain: Arc::default(),
            standings: shared.standings,
            lanes: RefCell::default(),
            changes: shared.changes,
            followings: shared.followings,
            decoy: shared.decoy,
            sessions: shared.sessions,
        }
    }

    /// The configuration that this thread goes by. What takes its time and must be of one piece keeps it meanwhile.
    pub(crate) fn version(&self) -> Rc<Version> {
        Rc::clone(&self.version.borrow())
    }

    /// What is known of a user name and where they want to go, through a host that may name a tenant. An unknown name gets a
    /// decoy and takes the same path (hazards R8).
    pub(crate) fn account(&self, user: &str, database: &str, host: Option<&str>) -> Account {
        let version = self.version();
        let destination = if database == CONSOLE {
            Some(Destination::Console)
        } else if host.is_some_and(|it| !it.eq_ignore_ascii_case(database)) {
            Some(Destination::AnotherHost)
        } else {
            let known = version.config.tenants.find(database).is_some();
            let routed = known && version.may_name(user, database);
            routed.then(|| Destination::Tenant(TenantId::from(database)))
        };
        Account {
            verifier: version
                .verifier(user)
                .map_or_else(|| Verifier::decoy(&self.decoy, user), Verifier::clone),
            principal: version.principal(user).cloned(),
            destination,
        }
    }

    /// Goes by another configuration from here on. A tenant that is otherwise gets other pools, whose connections are new: those
    /// of before lend nothing any more, and what is lent there is closed when it comes back. All other tenants keep theirs.
    pub(crate) fn adopt(&self, version: Version) {
        let version = Rc::new(version);
        *self.version.borrow_mut() = Rc::clone(&version);
        let tenants = &version.config.tenants;
        self.tallies.keep(|it| tenants.find(it.as_str()).is_some());
        let lanes = self.lanes.borrow();
        let all: Vec<_> = lanes
            .iter()
            .map(|(id, it)| (id.clone(), Rc::clone(it)))
            .collect();
        drop(lanes);
        for (id, before) in all {
            match version.config.tenant(id.as_str()) {
                Some(Ok(tenant)) if before.is(&tenant) => continue,
                Some(Ok(tenant)) => {
                    let after = self.open(&id, tenant);
                    after.succeed(&before);
                }
                Some(Err(why)) => {
                    tracing::error!(tenant = %id, "its connections stay as they are: {why}");
                    continue;
                }
                None => {
                    self.lanes.borrow_mut().remove(&id);
                }
            }
            before.retire();
        }
    }

    /// Looks through what lies unused: connections, and tenants that have none and that nobody is connected to.
    pub(crate) fn sweep(&self) {
        self.servers.sweep();
        let now = self.world.now();
        let mut gone = Vec::new();
        self.lanes.borrow_mut().retain(|id, it| {
            let stays = Rc::strong_count(it) > 1 || !it.is_empty_for(now, LINGER);
            if !stays {
                gone.push((id.clone(), Rc::clone(it)));
            }
            stays
        });
        for (id, lanes) in gone {
            drop(lanes);
            let unused = |_: &TenantId, it: &Changes| Arc::strong_count(it) == 1;
            self.changes.remove_if(&id, unused);
            self.followings.forget_unused(&id);
            self.standings.forget(&id, now);
        }
    }

    /// The number of the next session.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A tenant's pools; made when they are first asked for.
    pub(crate) fn lanes(&self, tenant: &TenantId) -> Option<Rc<Lanes<W::Dial>>> {
        if let Some(lanes) = self.known_lanes(tenant) {
            return Some(lanes);
        }
        match self.version().config.tenant(tenant.as_str())? {
            Ok(options) => Some(self.open(tenant, options)),
            Err(why) => {
                tracing::error!(%tenant, "it cannot be connected to: {why}");
                None
            }
        }
    }

    /// Those that stand already.
    pub(crate) fn known_lanes(&self, tenant: &TenantId) -> Option<Rc<Lanes<W::Dial>>> {
        self.lanes.borrow().get(tenant).map(Rc::clone)
    }

    fn open(&self, id: &TenantId, tenant: Tenant) -> Rc<Lanes<W::Dial>> {
        let changes = Changes::clone(&self.changes.entry(id.clone()).or_default());
        let replicas = tenant.replicas.as_ref();
        let following = replicas.map(|it| self.followings.of(id, it, self.world.now()));
        let standing = || self.standings.of(id);
        let lanes = Lanes::new(&self.servers, id, tenant, (changes, following), standing);
        let lanes = Rc::new(lanes);
        if self.paused.is(id) {
            lanes.pause();
        }
        self.lanes
            .borrow_mut()
            .insert(id.clone(), Rc::clone(&lanes));
        lanes
    }

    /// What a new session of a tenant is told, and the pools that serve it: those that stand when it is told. A tenant that is
    /// not kept apart as it is said to be serves none.
    pub(crate) async fn admit(
        &self,
        tenant: &TenantId,
        who: &PrincipalId,
        login: &Arc<Settings>,
    ) -> Option<Result<(Rc<Lanes<W::Dial>>, Admission), Fault>> {
        loop {
            let lanes = self.lanes(tenant)?;
            let admitted = lanes.admit(who.clone(), Arc::clone(login)).await;
            match admitted {
                Err(CheckoutError::Closed) if self.has_newer(tenant, &lanes) => {}
                Err(error) => return Some(Err(checkout_fault(tenant, &error))),
                Ok(admission) => {
                    let stands = self.test(tenant, &lanes, &admission.system_identifier);
                    let stands = stands.await.and_then(|()| keeps_within(&lanes, login));
                    return Some(stands.map(|()| (lanes, admission)));
                }
            }
        }
    }

    fn has_newer(&self, tenant: &TenantId, lanes: &Rc<Lanes<W::Dial>>) -> bool {
        self.newer(tenant, lanes).is_some()
    }

    /// The pools that have taken the place of these, if some have.
    pub(crate) fn newer(
        &self,
        tenant: &TenantId,
        lanes: &Rc<Lanes<W::Dial>>,
    ) -> Option<Rc<Lanes<W::Dial>>> {
        if !lanes.is_retired() {
            return None;
        }
        self.lanes(tenant).filter(|it| !Rc::ptr_eq(it, lanes))
    }

    /// How the pools of this thread stand, of every tenant that was asked for.
    pub(crate) fn pools(&self) -> Vec<PoolView> {
        let lanes = self.lanes.borrow();
        let pools = lanes.iter().flat_map(|(id, it)| it.views(id));
        pools.collect()
    }

    /// Where nothing can be written down, nothing is done.
    pub(crate) fn check_journal(&self) -> Result<(), Fault> {
        if self.journal.is_open() {
            Ok(())
        } else {
            Err(Fault::journal_down(self.journal.down()))
        }
    }

    /// What the rules say of a request, at once; a hold still has to find or open its ticket.
    pub(crate) fn judge(&self, session: u64, request: &Arc<Request>) -> Result<Verdict, Hold> {
        if let Err(closed) = self.check_journal() {
            return Ok(Verdict::Unavailable(closed));
        }
        let version = self.version();
        match version.config.policy.judge(request, self.world.now_ms()) {
            Judgement::Allow(pass) => Ok(match self.shut.by() {
                Some(held) if !request.only_reads() => Verdict::Unavailable(Fault::held_all(&held)),
                _ => self.pass(session, request, pass),
            }),
            Judgement::Apart(apart) => Ok(Verdict::Apart(apart)),
            Judgement::Deny(denial) => Ok(self.deny(session, request, denial)),
            Judgement::Hold(hold) => Err(hold),
        }
    }

    /// Denies a request, which is written down first.
    pub(crate) fn deny(&self, session: u64, request: &Request, denial: Denial) -> Verdict {
        let entry = Entry::Denied {
            session,
            principal: request.principal.id.clone(),
            tenant: request.context.tenant.clone(),
            rule: Arc::clone(&denial.rule),
            asked: gate::audit::asked(request),
        };
        match self.journal.note(&entry) {
            Ok(()) => Verdict::Denied(denial),
            Err(why) => Verdict::Unavailable(Fault::journal_down(why)),
        }
    }

    /// Lets a request pass; what a policy would have held that only observes is written down first.
    fn pass(&self, session: u64, request: &Request, pass: Pass) -> Verdict {
        let observed = pass.observed().map(|it| Entry::Observed {
            session,
            principal: request.principal.id.clone(),
            tenant: request.context.tenant.clone(),
            rule: Arc::clone(&it.rule),
            why: it.why.clone(),
            needs: it.needs.clone(),
            asked: gate::audit::asked(request),
        });
        let written = observed.map_or(Ok(()), |entry| self.journal.note(&entry));
        match written {
            Ok(()) => Verdict::Clear(Clearance::Pass(pass)),
            Err(why) => Verdict::Unavailable(Fault::journal_down(why)),
        }
    }

    /// Writes an entry in its turn where the journal is behind: waits until there is room, and says
    /// whether it was written at all. What comes after it must wait as well.
    pub(crate) async fn note_late(&self, tenant: Option<TenantId>, entry: Entry) -> bool {
        while self.journal.is_open() {
            if self.journal.note_at(tenant.as_ref(), &entry).is_ok() {
                return true;
            }
            tokio::time::sleep(JOURNAL_PAUSE).await;
        }
        false
    }
}

/// Whether a login brings no search_path that leads out of the tenant.
fn keeps_within<D: Dial>(lanes: &Lanes<D>, login: &Settings) -> Result<(), Fault> {
    let path = lanes.walls().zip(login.get("search_path"));
    let outside = path.and_then(|(walls, path)| walls.outside(path, lanes.role()));
    outside.map_or(Ok(()), |it| Err(Fault::path_leads_out(&it)))
}

/// What a session is told when no connection could be had.
pub(crate) fn checkout_fault(tenant: &TenantId, error: &CheckoutError) -> Fault {
    match error {
        CheckoutError::Exhausted => Fault::pool_exhausted(tenant.as_str()),
        CheckoutError::Settings(said) => Fault::settings(said),
        CheckoutError::Paused => Fault::paused(tenant.as_str()),
        CheckoutError::Connect(why) if why.takes_no_writes() => Fault::no_primary(tenant.as_str()),
        CheckoutError::Connect(_) | CheckoutError::AnotherCluster | CheckoutError::Closed => {
            Fault::no_upstream(tenant.as_str())
        }
    }
}
