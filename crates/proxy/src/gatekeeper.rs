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
use gate::policy::Hold;
use gate::{Clearance, Journal, Judgement, Pass, People, Principal, Request, Settings, TenantId};
use pool::{CheckoutError, Servers, Worker};
use session::{Account, Destination, Fault, Limits, Verdict};
use sql::Reader;
use tokio::sync::Notify;
use wire::scram::Verifier;

use crate::config::Config;
use crate::crew::Crew;
use crate::knowledge::Changes;
use crate::lanes::{Lanes, PoolView};
use crate::registry::Registry;
use crate::shut::Shut;
use crate::world::{Real, World};

/// How long a session waits for a journal that is behind before it looks again.
const JOURNAL_PAUSE: Duration = Duration::from_millis(1);

/// The database name of the console.
pub(crate) const CONSOLE: &str = "portcullis";

/// What the threads of a daemon share.
#[derive(Clone)]
pub(crate) struct Shared<W: World> {
    pub(crate) world: W,
    pub(crate) config: Arc<Config>,
    tickets: W::Tickets,
    journal: W::Journal,
    reader: Reader,
    pub(crate) registry: Arc<Registry>,
    pub(crate) shut: Arc<Shut>,
    /// Called when something is in doubt that a ledger may know of.
    doubt: Arc<Notify>,
    /// Who logs in under which name.
    principals: Arc<HashMap<String, Arc<Principal>>>,
    people: Arc<People>,
    /// How often something that may have changed a tenant's catalog went up.
    changes: Arc<DashMap<TenantId, Changes>>,
    /// Randomness of this daemon, for what nobody may guess and for what should not happen all at once.
    decoy: [u8; 32],
    seed: u64,
    sessions: Arc<AtomicU64>,
}

impl<W: World> Shared<W> {
    /// For a daemon that starts; none where there is no randomness.
    pub(crate) fn new(
        world: W,
        config: Config,
        (tickets, journal): (W::Tickets, W::Journal),
        reader: Reader,
    ) -> Option<Self> {
        let (mut decoy, mut seed) = ([0; 32], [0; 8]);
        if !(world.random(&mut decoy) && world.random(&mut seed)) {
            return None;
        }
        let principals = config.users.iter().map(|user| {
            let principal = Principal {
                id: user.person.clone(),
                groups: user.groups.clone(),
            };
            (user.name.clone(), Arc::new(principal))
        });
        let people = config.users.iter();
        let people = people.map(|user| (user.person.clone(), user.groups.clone()));
        Some(Self {
            world,
            principals: Arc::new(principals.collect()),
            people: Arc::new(people.collect()),
            registry: Arc::new(Registry::new(config.edge.clone())),
            config: Arc::new(config),
            tickets,
            journal,
            reader,
            changes: Arc::default(),
            shut: Arc::default(),
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
    pub(crate) config: Arc<Config>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) tickets: W::Tickets,
    pub(crate) journal: W::Journal,
    pub(crate) reader: Reader,
    pub(crate) registry: Arc<Registry>,
    pub(crate) shut: Arc<Shut>,
    pub(crate) doubt: Arc<Notify>,
    pub(crate) servers: Rc<Servers<W::Dial>>,
    /// All threads, this one too.
    pub(crate) crew: Crew,
    /// The settings of a connection that logged in with none.
    pub(crate) plain: Arc<Settings>,
    lanes: RefCell<HashMap<TenantId, Rc<Lanes<W::Dial>>>>,
    principals: Arc<HashMap<String, Arc<Principal>>>,
    pub(crate) people: Arc<People>,
    changes: Arc<DashMap<TenantId, Changes>>,
    decoy: [u8; 32],
    sessions: Arc<AtomicU64>,
}

impl<W: World> Gatekeeper<W> {
    /// For one of the threads of `crew`.
    pub(crate) fn new(shared: Shared<W>, dial: W::Dial, worker: Worker, crew: Crew) -> Self {
        let servers = Servers::new(dial, worker, shared.config.servers, shared.seed);
        Self {
            world: shared.world,
            limits: Arc::new(shared.config.limits.clone()),
            config: shared.config,
            tickets: shared.tickets,
            journal: shared.journal,
            reader: shared.reader,
            registry: shared.registry,
            shut: shared.shut,
            doubt: shared.doubt,
            servers,
            crew,
            plain: Arc::default(),
            lanes: RefCell::default(),
            principals: shared.principals,
            people: shared.people,
            changes: shared.changes,
            decoy: shared.decoy,
            sessions: shared.sessions,
        }
    }

    /// What is known of a user name and where they want to go. An unknown name gets a decoy and
    /// takes the same path (hazards R8).
    pub(crate) fn account(&self, user: &str, database: &str) -> Account {
        let known = self.config.user(user);
        let destination = if database == CONSOLE {
            Some(Destination::Console)
        } else {
            let routed = self.config.tenant(database).is_some() && self.may_name(user, database);
            routed.then(|| Destination::Tenant(TenantId::from(database)))
        };
        Account {
            verifier: known.map_or_else(
                || Verifier::decoy(&self.decoy, user),
                |user| user.verifier.clone(),
            ),
            principal: known.and_then(|_| self.principals.get(user).cloned()),
            destination,
        }
    }

    /// Whether whoever logs in as `user` may name this tenant.
    pub(crate) fn may_name(&self, user: &str, tenant: &str) -> bool {
        self.config.user(user).is_some_and(|user| {
            let fits = |pattern: &String| gate::policy::glob(pattern, tenant);
            user.tenants.is_empty() || user.tenants.iter().any(fits)
        })
    }

    /// The number of the next session.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A tenant's pools; made when they are first asked for.
    pub(crate) fn lanes(&self, tenant: &TenantId) -> Option<Rc<Lanes<W::Dial>>> {
        if let Some(lanes) = self.lanes.borrow().get(tenant) {
            return Some(Rc::clone(lanes));
        }
        let options = self.config.tenant(tenant.as_str())?;
        let changes = Changes::clone(&self.changes.entry(tenant.clone()).or_default());
        let lanes = Rc::new(Lanes::new(&self.servers, tenant, options, changes));
        self.lanes
            .borrow_mut()
            .insert(tenant.clone(), Rc::clone(&lanes));
        Some(lanes)
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
        match self.config.policy.judge(request, self.world.now_ms()) {
            Judgement::Allow(pass) => Ok(match self.shut.by() {
                Some(held) if !request.only_reads() => Verdict::Unavailable(Fault::held_all(&held)),
                _ => self.pass(session, request, pass),
            }),
            Judgement::Apart(apart) => Ok(Verdict::Apart(apart)),
            Judgement::Deny(denial) => {
                let entry = Entry::Denied {
                    session,
                    principal: request.principal.id.clone(),
                    tenant: request.context.tenant.clone(),
                    rule: Arc::clone(&denial.rule),
                    asked: gate::audit::asked(request),
                };
                Ok(match self.journal.note(&entry) {
                    Ok(()) => Verdict::Denied(denial),
                    Err(why) => Verdict::Unavailable(Fault::journal_down(why)),
                })
            }
            Judgement::Hold(hold) => Err(hold),
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
            let noted = match &tenant {
                Some(tenant) => self.journal.note_at(tenant, &entry),
                None => self.journal.note(&entry),
            };
            if noted.is_ok() {
                return true;
            }
            tokio::time::sleep(JOURNAL_PAUSE).await;
        }
        false
    }
}

/// What a session is told when no connection could be had.
pub(crate) fn checkout_fault(tenant: &TenantId, error: &CheckoutError) -> Fault {
    match error {
        CheckoutError::Exhausted => Fault::pool_exhausted(tenant.as_str()),
        CheckoutError::Settings(said) => Fault::settings(said),
        CheckoutError::Connect(_) | CheckoutError::AnotherCluster | CheckoutError::Closed => {
            Fault::no_upstream(tenant.as_str())
        }
    }
}
