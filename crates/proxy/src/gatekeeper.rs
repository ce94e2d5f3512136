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
use gate::ticket::{Decision, Facts, Say, State, Ticket};
use gate::tickets::{NewTicket, Opened, StoreError, Whose};
use gate::{
    Clearance, Event, Journal, Judgement, Law, NotClaimed, Pass, People, Principal, PrincipalId,
    Released, Request, Settings, TenantId, TicketId, Tickets,
};
use pool::{CheckoutError, Servers, Worker};
use session::{Account, Destination, Fault, Limits, News, Verdict};
use sql::Reader;
use wire::scram::Verifier;

use crate::config::Config;
use crate::crew::Crew;
use crate::knowledge::Changes;
use crate::lanes::{Lanes, PoolView};
use crate::registry::Registry;
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
    pub(crate) servers: Rc<Servers<W::Dial>>,
    /// All threads, this one too.
    pub(crate) crew: Crew,
    /// The settings of a connection that logged in with none.
    pub(crate) plain: Arc<Settings>,
    lanes: RefCell<HashMap<TenantId, Rc<Lanes<W::Dial>>>>,
    principals: Arc<HashMap<String, Arc<Principal>>>,
    people: Arc<People>,
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
        let may = |tenant: &str| {
            known.is_some_and(|user| {
                user.tenants.is_empty()
                    || user
                        .tenants
                        .iter()
                        .any(|pattern| gate::policy::glob(pattern, tenant))
            })
        };
        let destination = if database == CONSOLE {
            Some(Destination::Console)
        } else {
            let routed = self.config.tenant(database).is_some() && may(database);
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

    /// What the rules say of a request, at once; a hold still has to find or open its ticket.
    pub(crate) fn judge(&self, session: u64, request: &Arc<Request>) -> Result<Verdict, Hold> {
        if !self.journal.is_open() {
            return Ok(Verdict::Unavailable(Fault::journal_down()));
        }
        match self.config.policy.judge(request, self.world.now_ms()) {
            Judgement::Allow(pass) => Ok(self.pass(session, request, pass)),
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
                    Err(_) => Verdict::Unavailable(Fault::journal_down()),
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
            Err(_) => Verdict::Unavailable(Fault::journal_down()),
        }
    }

    /// Writes an entry in its turn where the journal is behind: waits until there is room, and says
    /// whether it was written at all. What comes after it must wait as well.
    pub(crate) async fn note_late(&self, entry: Entry) -> bool {
        while self.journal.is_open() {
            if self.journal.note(&entry).is_ok() {
                return true;
            }
            tokio::time::sleep(JOURNAL_PAUSE).await;
        }
        tracing::error!("the journal cannot be written: the gate is closed");
        false
    }

    /// Finds an approved ticket for a held request, or opens one and lets the session wait for it.
    /// The ticket is durable, and in the journal, before anybody hears of it.
    pub(crate) async fn hold(&self, session: u64, pid: u32, hold: Hold) -> Verdict {
        let request = Arc::clone(&hold.request);
        let facts = self.config.policy.facts(&request);
        let new = new_ticket(hold, facts);
        let digest = new.digest.to_string();
        let opened = match self.tickets.open(new).await {
            Ok(opened) => opened,
            Err(StoreError::TooMany { whose, max }) => {
                let key = match whose {
                    Whose::Person => "pending_per_user_max",
                    Whose::Tenant => "pending_per_tenant_max",
                };
                let fault = Fault::too_many_tickets(&whose.to_string(), max, key);
                return Verdict::Unavailable(fault);
            }
            Err(error) => return Verdict::Unavailable(store_fault(&error)),
        };
        let ticket = match opened {
            Opened::Approved(ticket) => {
                return Verdict::Clear(Clearance::Ticket {
                    ticket: ticket.id,
                    request,
                });
            }
            Opened::Pending(ticket) => ticket,
        };
        let entry = Entry::Held {
            session,
            ticket: ticket.id,
            principal: request.principal.id.clone(),
            tenant: request.context.tenant.clone(),
            digest,
        };
        if self.journal.write(entry).await.is_err() {
            return Verdict::Unavailable(Fault::journal_down());
        }
        self.registry.wait(ticket.id, pid);
        // Somebody may have decided between the opening and the waiting: look again.
        match self.tickets.ticket(ticket.id).await {
            Ok(now) if now.state == State::Pending => Verdict::Held(Box::new(now)),
            Ok(now) => {
                self.registry.leave(now.id, pid);
                Self::decided(&now, request)
            }
            Err(error) => {
                self.registry.leave(ticket.id, pid);
                Verdict::Unavailable(store_fault(&error))
            }
        }
    }

    fn decided(ticket: &Ticket, request: Arc<Request>) -> Verdict {
        match news(ticket) {
            Some(News::Approved) => Verdict::Clear(Clearance::Ticket {
                ticket: ticket.id,
                request,
            }),
            Some(News::Rejected { by, reason }) => {
                Verdict::Unavailable(Fault::rejected(ticket.id, &by, reason.as_deref()))
            }
            Some(News::Withdrawn) => Verdict::Unavailable(Fault::withdrawn(ticket.id)),
            _ => Verdict::Unavailable(Fault::expired(ticket.id)),
        }
    }

    /// A session stops waiting; the last one that cancels takes the ticket back (DESIGN ruling 18).
    pub(crate) async fn leave(&self, ticket: TicketId, pid: u32, withdraw: bool) {
        let last = self.registry.leave(ticket, pid);
        if !(withdraw && last) {
            return;
        }
        match self.tickets.withdraw(vec![ticket]).await {
            Ok(withdrawn) => {
                for ticket in withdrawn {
                    let by = ticket.requester.clone();
                    self.tell(&ticket, by, "withdraw", None).await;
                }
            }
            // It was decided or spent in the meantime: there is nothing to take back.
            Err(error) => tracing::debug!(%ticket, "not withdrawn: {error}"),
        }
    }

    /// Spends a clearance, if the rules and the groups of this moment still bear it. A ticket that they do not bear waits
    /// again, or is void.
    pub(crate) async fn claim(&self, clearance: Clearance) -> Result<Released, NotClaimed> {
        let law = Law {
            policy: &self.config.policy,
            people: &self.people,
            now_ms: self.world.now_ms(),
        };
        let id = clearance.ticket();
        let claimed = gate::claim(&self.tickets, law, clearance).await;
        let (moved, word) = match (&claimed, id) {
            (Err(NotClaimed::Reopened(ticket)), _) => (Ok((**ticket).clone()), "reopen"),
            (Err(NotClaimed::Denied(_)), Some(id)) => {
                (self.tickets.conclude(id, Event::Void, None).await, "void")
            }
            _ => return claimed,
        };
        match moved {
            Ok(ticket) => {
                self.tell(&ticket, PrincipalId::from(CONSOLE), word, None)
                    .await;
            }
            Err(error) => tracing::warn!("a ticket that a rule denies by now is not void: {error}"),
        }
        claimed
    }

    /// Journals a word on a ticket and wakes whoever waits for it.
    pub(crate) async fn tell(
        &self,
        ticket: &Ticket,
        by: PrincipalId,
        word: &str,
        comment: Option<String>,
    ) {
        let word = Arc::from(word);
        let entry = Entry::Decided {
            ticket: ticket.id,
            by,
            word,
            comment,
            state: ticket.state,
        };
        if self.journal.write(entry).await.is_err() {
            tracing::error!(ticket = %ticket.id, "the journal cannot be written");
        }
        if let Some(news) = news(ticket) {
            self.registry.announce(ticket.id, &news);
        }
    }

    /// Expires what is due and tells those who wait.
    pub(crate) async fn expire(&self) {
        match self.tickets.expire().await {
            Ok(expired) => {
                for ticket in expired {
                    self.tell(&ticket, PrincipalId::from(CONSOLE), "expire", None)
                        .await;
                }
            }
            Err(error) => tracing::error!("tickets could not be expired: {error}"),
        }
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

/// What a ticket's state means to somebody who waits for it.
fn news(ticket: &Ticket) -> Option<News> {
    let said = |it: &&Decision| it.say == Say::Reject;
    let last = ticket.decisions.iter().rev().find(said);
    match ticket.state {
        State::Pending => Some(News::Said(Box::new(ticket.clone()))),
        State::Approved => Some(News::Approved),
        State::Rejected => Some(News::Rejected {
            by: last.map_or_else(String::new, |it| it.by.to_string()),
            reason: last.and_then(|it| it.comment.clone()),
        }),
        State::Withdrawn => Some(News::Withdrawn),
        State::Expired | State::Void => Some(News::Expired),
        State::Executing
        | State::Done
        | State::Failed
        | State::RolledBack
        | State::InDoubt
        | State::Fenced => None,
    }
}

fn store_fault(error: &StoreError) -> Fault {
    tracing::error!("the ticket store failed: {error}");
    Fault::store_down()
}

fn new_ticket(hold: Hold, facts: Facts) -> NewTicket {
    let request = &hold.request;
    NewTicket {
        digest: request.digest(),
        tenant: request.context.tenant.clone(),
        requester: request.principal.id.clone(),
        class: request
            .statements()
            .map(|it| it.class)
            .max()
            .map_or_else(String::new, |it| it.to_string()),
        rule: hold.rule.to_string(),
        asked: gate::audit::asked(request),
        role: request.context.role.to_string(),
        in_transaction: request.context.in_transaction,
        client: request.client.to_string(),
        reason: request.reason().map(str::to_owned),
        facts,
        why: circumstances(request).fold(hold.why, |why, more| why + "; " + &more),
        needs: hold.needs,
        decide_within_ms: hold.decide_within.map(millis),
        use_within_ms: hold.use_within.map(millis),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What of the context can change what the text means: whoever signs must see it.
fn circumstances(request: &Request) -> impl Iterator<Item = String> {
    let context = &request.context;
    let settings = context
        .meaningful_settings()
        .map(|(name, value)| format!("with {name} = '{value}'"));
    let isolation = context
        .isolation
        .map(|it| format!("isolation {}", gate::context::isolation_name(it)));
    let state = context
        .state
        .map(|_| "after statements that changed the session".to_owned());
    settings.chain(isolation).chain(state)
}
