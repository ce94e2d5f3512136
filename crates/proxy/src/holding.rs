//! What is held, from the opening of its ticket to its claim, and how those who wait hear of it. Who may decide is not asked
//! here.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gate::audit::Entry;
use gate::policy::Hold;
use gate::ticket::{Decision, Facts, Say, Scope, State, Ticket};
use gate::tickets::{NewTicket, Opened, StoreError, Whose};
use gate::{
    Clearance, Event, Group, Journal, Law, NotClaimed, People, Principal, PrincipalId, Released,
    Request, TenantId, TicketId, Tickets,
};
use session::{Fault, News, Verdict};
use sql::{Class, Statement};

use crate::gatekeeper::{CONSOLE, Gatekeeper};
use crate::lanes::Lanes;
use crate::world::World;

/// How often tickets are looked through for those whose time is over.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

impl<W: World> Gatekeeper<W> {
    /// Finds an approved ticket for a held request, or opens one and lets the session wait for it.
    /// The ticket is durable, and in the journal, before anybody hears of it.
    pub(crate) async fn hold(&self, session: u64, pid: u32, hold: Hold) -> Verdict {
        let request = Arc::clone(&hold.request);
        if let Some(held) = self.shut.by().filter(|_| !request.only_reads()) {
            return Verdict::Unavailable(Fault::held_all(&held));
        }
        if request.wish.break_glass {
            return match self.break_glass(session, hold).await {
                Ok(ticket) => {
                    let clearance = Clearance::Ticket {
                        ticket: ticket.id,
                        request,
                        time_outs: ticket.time_outs,
                    };
                    Verdict::Broken(clearance, Box::new(ticket))
                }
                Err(fault) => Verdict::Unavailable(fault),
            };
        }
        let version = self.version();
        let facts = version.config.policy.facts(&request);
        let mut new = self.new_ticket(hold, facts);
        // A script that was asked for may be sent as one string.
        new.must_exist = controls_in_the_middle(&request);
        let digest = new.digest.to_string();
        let opened = match request.wish.script {
            Some(id) => self.script(id, &request).await,
            None => self.tickets.open(new).await.map_err(|it| open_fault(&it)),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(fault) => return Verdict::Unavailable(fault),
        };
        let ticket = match opened {
            Opened::Approved(ticket) => {
                // Of a grant, those that it was signed with; of what is asked for, those of its class.
                let time_outs = version.config.release.of(&request.classes());
                return Verdict::Clear(Clearance::Ticket {
                    ticket: ticket.id,
                    request,
                    time_outs: time_outs.narrowed(ticket.time_outs),
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
        if let Err(why) = self.journal.write(entry).await {
            return Verdict::Unavailable(Fault::journal_down(why));
        }
        log_held(session, &ticket);
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
            Some(News::Approved(time_outs)) => Verdict::Clear(Clearance::Ticket {
                ticket: ticket.id,
                request,
                time_outs,
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
    pub(crate) async fn claim(
        &self,
        clearance: Clearance,
        lanes: Option<Rc<Lanes<W::Dial>>>,
    ) -> Result<Released, NotClaimed> {
        let version = self.version();
        let clearance = of_now(clearance, &version.people);
        let law = Law {
            policy: &version.config.policy,
            people: &version.people,
            now_ms: self.world.now_ms(),
            ledger: lanes.and_then(|it| it.place(&clearance.request().context)),
        };
        let id = clearance.ticket();
        if let Some(held) = self.shut.by().filter(|_| !clearance.request().only_reads()) {
            return Err(NotClaimed::HeldAll(held));
        }
        let claimed = gate::claim(&self.tickets, law, clearance).await;
        let (moved, word) = match (&claimed, id) {
            (Err(NotClaimed::Reopened(ticket)), _) => (Ok(Some((**ticket).clone())), "reopen"),
            (Err(NotClaimed::Denied(_)), Some(id)) => (self.void(id).await, "void"),
            _ => return claimed,
        };
        match moved {
            Ok(Some(ticket)) => {
                self.tell(&ticket, PrincipalId::from(CONSOLE), word, None)
                    .await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("a ticket that a rule denies by now is not void: {error}"),
        }
        claimed
    }

    /// Whether what is signed for this tenant is written down in its own database.
    pub(crate) fn has_ledger(&self, tenant: &TenantId) -> bool {
        self.known_lanes(tenant).map_or_else(
            || {
                let tenant = self.version().config.tenants.find(tenant.as_str());
                tenant.is_some_and(|it| it.ledger.is_some())
            },
            |it| it.ledger().is_some(),
        )
    }

    /// What a rule denies by now is void; a grant is not, which is good for other things.
    async fn void(&self, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        let ticket = self.tickets.ticket(id).await?;
        if matches!(ticket.scope, Scope::Grant(_)) {
            return Ok(None);
        }
        self.tickets.conclude(id, Event::Void, None).await.map(Some)
    }

    /// The script whose statements a session sends: it waits for those who sign, or its next statement is claimed.
    async fn script(&self, id: TicketId, request: &Request) -> Result<Opened, Fault> {
        let ticket = match self.tickets.ticket(id).await {
            Ok(ticket) => ticket,
            Err(StoreError::NoSuchTicket(_)) => return Err(Fault::no_such_script(id)),
            Err(error) => return Err(store_fault(&error)),
        };
        let theirs = ticket.requester == request.principal.id
            && ticket.tenant == request.context.tenant
            && matches!(ticket.scope, Scope::Script { .. });
        match ticket.state {
            _ if !theirs => Err(Fault::no_such_script(id)),
            State::Pending => Ok(Opened::Pending(ticket)),
            State::Approved | State::Executing => Ok(Opened::Approved(ticket)),
            state => Err(Fault::ticket(format!("script {id} is {state}"))),
        }
    }

    /// A session that ran a script is gone, or runs it no more.
    pub(crate) async fn abandon(&self, id: TicketId, holder: Arc<str>) {
        match self.tickets.abandon(id, holder).await {
            Ok(Some(ticket)) => {
                let by = ticket.requester.clone();
                self.tell(&ticket, by, "abandon", None).await;
            }
            Ok(None) => {}
            Err(error) => tracing::error!("a script was left as it is: {error}"),
        }
    }

    /// The ticket that a hold asks for.
    pub(crate) fn new_ticket(&self, hold: Hold, mut facts: Facts) -> NewTicket {
        let request = &hold.request;
        let can_be_lost = self.has_ledger(&request.context.tenant) && !request.only_reads();
        facts.no_row = can_be_lost && !request.fits_ledger();
        NewTicket {
            scope: Scope::Once,
            must_exist: false,
            classes: request.classes(),
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
            time_outs: self.version().config.release.of(&request.classes()),
            facts,
            why: circumstances(request).fold(hold.why, |why, more| why + "; " + &more),
            needs: hold.needs,
            decide_within_ms: hold.decide_within.map(millis),
            use_within_ms: hold.use_within.map(millis),
        }
    }

    /// Journals a word on a ticket and wakes whoever waits for it.
    pub(crate) async fn tell(
        &self,
        ticket: &Ticket,
        by: PrincipalId,
        word: &str,
        comment: Option<String>,
    ) {
        tracing::info!(
            tenant = %ticket.tenant,
            principal = %by,
            ticket = %ticket.id,
            state = %ticket.state,
            "{word}"
        );
        let word = Arc::from(word);
        let entry = Entry::Decided {
            ticket: ticket.id,
            by,
            word,
            comment,
            state: ticket.state,
        };
        if self
            .journal
            .write_at(Some(&ticket.tenant), entry)
            .await
            .is_err()
        {
            tracing::error!(ticket = %ticket.id, "the journal cannot be written");
        }
        if let Some(news) = news(ticket) {
            self.registry.announce(ticket.id, &news);
        }
    }

    /// Expires what is due, from time to time; whoever stops drops it.
    pub(crate) async fn keep_expiring(&self) {
        loop {
            tokio::time::sleep(EXPIRE_EVERY).await;
            self.expire().await;
        }
    }

    /// Expires what is due and tells those who wait.
    async fn expire(&self) {
        // They are over all the same; the journal hears of it once it can be written.
        if self.check_journal().is_err() {
            return;
        }
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

/// What people signed for is claimed by its requester as they are now: the groups that they are in may have changed since.
fn of_now(clearance: Clearance, people: &People) -> Clearance {
    let Clearance::Ticket {
        ticket,
        request,
        time_outs,
    } = clearance
    else {
        return clearance;
    };
    let who = &request.principal;
    let groups: BTreeSet<Group> = people.groups(&who.id).cloned().collect();
    let request = if groups == who.groups {
        request
    } else {
        let id = who.id.clone();
        Arc::new(Request {
            principal: Arc::new(Principal { id, groups }),
            ..(*request).clone()
        })
    };
    Clearance::Ticket {
        ticket,
        request,
        time_outs,
    }
}

/// Whether transaction control stands between statements that do work: what is signed as one would run as several (DESIGN ruling
/// 8).
fn controls_in_the_middle(request: &Request) -> bool {
    let works = |it: &Statement| it.class != Class::Transaction;
    request.readings.iter().any(|reading| {
        let all = &reading.statements;
        let first = all.iter().position(works);
        let last = all.iter().rposition(works);
        let middle = first
            .zip(last)
            .and_then(|(first, last)| all.get(first..last));
        !middle.unwrap_or_default().iter().all(works)
    })
}

fn log_held(session: u64, ticket: &Ticket) {
    tracing::info!(
        tenant = %ticket.tenant,
        principal = %ticket.requester,
        session,
        ticket = %ticket.id,
        "held"
    );
}

/// What a ticket's state means to somebody who waits for it.
fn news(ticket: &Ticket) -> Option<News> {
    let said = |it: &&Decision| it.say == Say::Reject;
    let last = ticket.decisions.iter().rev().find(said);
    match ticket.state {
        State::Pending => Some(News::Said(Box::new(ticket.clone()))),
        State::Approved => Some(News::Approved(ticket.time_outs)),
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

/// What somebody is told for whom no ticket could be opened.
pub(crate) fn open_fault(error: &StoreError) -> Fault {
    let (whose, max) = match error {
        StoreError::TooMany { whose, max } => (whose, max),
        StoreError::Absent => return Fault::control_in_the_middle(),
        _ => return store_fault(error),
    };
    let key = match whose {
        Whose::Person => "pending_per_user_max",
        Whose::Tenant => "pending_per_tenant_max",
    };
    Fault::too_many_tickets(&whose.to_string(), *max, key)
}

fn store_fault(error: &StoreError) -> Fault {
    tracing::error!("the ticket store failed: {error}");
    Fault::store_down()
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
