//! The console's answers. Every command passes the one authorisation function before it does
//! anything; a table shows only what the asker may see (DESIGN principle 10).

mod card;
mod config;
mod keys;
mod parameter;
mod pausing;
mod pools;
mod replicas;
mod stats;
mod tenants;

use std::rc::Rc;
use std::sync::Arc;

use gate::audit::Entry;
use gate::ledger::Fate;
use gate::ticket::{Grant, Say, State, Ticket};
use gate::tickets::{Filter, HeldAll, StoreError, Word};
use gate::{Action, Journal, Outcome, Principal, TenantId, TicketId, Tickets, authorize};
use session::{ConsoleCommand, Fault, Show, TableReply};

use crate::gatekeeper::Gatekeeper;
use crate::requests::{Asking, Place};
use crate::world::World;
use card::{card, span, statement, time, waiting_for};
use config::{reload, show_config};
use pools::{show_pools, show_sessions};
use stats::show_stats;
use tenants::show_tenants;

/// How many earlier tickets of the same bytes a card tells of.
const BEFORE_MAX: usize = 5;
/// Tickets that one list shows at the most.
const LIST_MAX: u32 = 1000;

/// Carries out one command of `who`, who logged in as `user`.
pub(crate) async fn run<W: World>(
    keeper: &Rc<Gatekeeper<W>>,
    (who, user): (&Arc<Principal>, &str),
    command: ConsoleCommand,
) -> Result<TableReply, Fault> {
    match command {
        ConsoleCommand::Show(what) => show(keeper, who, what).await,
        ConsoleCommand::Say {
            ids,
            say,
            comment,
            narrows,
        } => {
            let word = Word {
                by: who.id.clone(),
                groups: who.groups.iter().cloned().collect(),
                say,
                comment,
                narrows,
            };
            decide(keeper, who, ids, word).await
        }
        ConsoleCommand::Withdraw(ids) => withdraw(keeper, who, ids).await,
        ConsoleCommand::Request {
            tenant,
            sql,
            reason,
        } => {
            let place = place(keeper, user, tenant, reason)?;
            Ok(asked(keeper.request(who, place, sql).await?))
        }
        ConsoleCommand::RequestGrant {
            tenant,
            classes,
            within,
            uses_max,
            reason,
        } => {
            let place = place(keeper, user, tenant, reason)?;
            let within_ms = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
            let grant = Grant {
                classes,
                until_ms: keeper.world.now_ms().saturating_add(within_ms),
                uses_max,
            };
            Ok(asked(keeper.request_grant(who, place, grant).await?))
        }
        ConsoleCommand::Terminate(id) => terminate(keeper, who, id).await,
        ConsoleCommand::Resolve { id, ran, why } => resolve(keeper, who, id, (ran, why)).await,
        ConsoleCommand::HoldAll(reason) => {
            let held = HeldAll {
                by: who.id.clone(),
                reason,
                at_ms: keeper.world.now_ms(),
            };
            hold_all(keeper, who, Some(held)).await
        }
        ConsoleCommand::HoldOff => hold_all(keeper, who, None).await,
        ConsoleCommand::Reload => {
            authorize(who, Action::Operate).map_err(|it| Fault::forbidden(&it))?;
            reload(keeper, who).await
        }
        ConsoleCommand::Pause(tenant) => pausing::pause(keeper, who, tenant).await,
        ConsoleCommand::Resume(tenant) => pausing::resume(keeper, who, tenant).await,
    }
}

async fn show<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    what: Show,
) -> Result<TableReply, Fault> {
    match what {
        Show::Tickets { all } => show_tickets(keeper, who, all).await,
        Show::Ticket(id) => {
            let ticket = seen(keeper, who, id).await?;
            let before = before(keeper, who, &ticket).await;
            Ok(card(&ticket, &before))
        }
        Show::Tenants { like, after } => {
            operates(who)?;
            Ok(show_tenants(keeper, (like.as_deref(), after.as_deref())).await)
        }
        Show::Pools => {
            operates(who)?;
            Ok(show_pools(keeper).await)
        }
        Show::Replicas => {
            operates(who)?;
            Ok(replicas::show_replicas(keeper))
        }
        Show::Sessions => {
            operates(who)?;
            Ok(show_sessions(keeper))
        }
        Show::Stats => {
            operates(who)?;
            Ok(show_stats(keeper).await)
        }
        Show::Config => {
            operates(who)?;
            Ok(show_config(keeper))
        }
        Show::Version => Ok(TableReply {
            columns: vec!["version"],
            rows: vec![vec![Some(
                concat!("portcullis ", env!("CARGO_PKG_VERSION")).to_owned(),
            )]],
            tag: "SHOW".to_owned(),
        }),
        Show::Help => Ok(TableReply {
            columns: vec!["command"],
            rows: session::CONSOLE_COMMANDS
                .iter()
                .map(|it| vec![Some((*it).to_owned())])
                .collect(),
            tag: "SHOW".to_owned(),
        }),
    }
}

fn operates(who: &Principal) -> Result<(), Fault> {
    authorize(who, Action::Operate)
        .map(drop)
        .map_err(|it| Fault::forbidden(&it))
}

/// A ticket that the asker may see; of another they learn no more than that it is not there.
async fn seen<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    id: TicketId,
) -> Result<Ticket, Fault> {
    let ticket = keeper.tickets.ticket(id).await.map_err(refused)?;
    authorize(who, Action::See(&ticket)).map_err(|_| refused(StoreError::NoSuchTicket(id)))?;
    Ok(ticket)
}

/// The tickets before this one that were for the same, as far as the asker may see them.
async fn before<W: World>(keeper: &Gatekeeper<W>, who: &Principal, ticket: &Ticket) -> Vec<Ticket> {
    let mut before = Vec::new();
    let mut next = ticket.previous;
    while let Some(id) = next.filter(|_| before.len() < BEFORE_MAX) {
        let Ok(ticket) = seen(keeper, who, id).await else {
            break;
        };
        next = ticket.previous;
        before.push(ticket);
    }
    before
}

async fn show_tickets<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    all: bool,
) -> Result<TableReply, Fault> {
    let states = if all {
        Vec::new()
    } else {
        vec![State::Pending, State::Approved, State::InDoubt]
    };
    let filter = Filter {
        states,
        requester: None,
        limit: LIST_MAX,
    };
    let tickets = keeper.tickets.list(filter).await.map_err(refused)?;
    let now_ms = keeper.world.now_ms();
    let rows = tickets
        .iter()
        .filter(|ticket| authorize(who, Action::See(ticket)).is_ok())
        .map(|ticket| {
            vec![
                Some(ticket.id.to_string()),
                Some(ticket.state.to_string()),
                Some(ticket.tenant.to_string()),
                Some(ticket.requester.to_string()),
                Some(ticket.class.clone()),
                Some(ticket.rule.clone()),
                waiting_for(ticket),
                Some(span(now_ms - ticket.created_ms)),
                Some(time(ticket.expires_ms)),
                Some(statement(ticket)),
            ]
        })
        .collect();
    let columns = vec![
        "id",
        "state",
        "tenant",
        "requester",
        "class",
        "rule",
        "waiting_for",
        "age",
        "expires",
        "statement",
    ];
    Ok(TableReply {
        columns,
        rows,
        tag: "SHOW".to_owned(),
    })
}

/// A word on several tickets is said of all of them, or of none.
async fn decide<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    ids: Vec<TicketId>,
    word: Word,
) -> Result<TableReply, Fault> {
    let (say, comment) = (word.say, word.comment.clone());
    for id in &ids {
        let ticket = seen(keeper, who, *id).await?;
        let action = match say {
            Say::Approve => Action::Approve(&ticket),
            Say::Reject => Action::Reject(&ticket),
            Say::Changes => Action::RequestChanges(&ticket),
            Say::Comment => Action::Comment(&ticket),
        };
        authorize(who, action).map_err(|it| Fault::forbidden(&it))?;
    }
    keeper.check_journal()?;
    let tickets = keeper.tickets.decide(ids, word).await.map_err(refused)?;
    for ticket in &tickets {
        let (by, comment) = (who.id.clone(), comment.clone());
        keeper.tell(ticket, by, say.as_str(), comment).await;
    }
    let tag = match say {
        Say::Approve => "APPROVE",
        Say::Reject => "REJECT",
        Say::Changes => "REQUEST CHANGES",
        Say::Comment => "COMMENT",
    };
    Ok(decided(&tickets, tag))
}

async fn withdraw<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    ids: Vec<TicketId>,
) -> Result<TableReply, Fault> {
    for id in &ids {
        let ticket = seen(keeper, who, *id).await?;
        authorize(who, Action::Withdraw(&ticket)).map_err(|it| Fault::forbidden(&it))?;
    }
    keeper.check_journal()?;
    let tickets = keeper.tickets.withdraw(ids).await.map_err(refused)?;
    for ticket in &tickets {
        keeper.tell(ticket, who.id.clone(), "withdraw", None).await;
    }
    Ok(decided(&tickets, "WITHDRAW"))
}

fn decided(tickets: &[Ticket], tag: &str) -> TableReply {
    let row = |ticket: &Ticket| {
        vec![
            Some(ticket.id.to_string()),
            Some(ticket.state.to_string()),
            waiting_for(ticket),
        ]
    };
    TableReply {
        columns: vec!["id", "state", "waiting_for"],
        rows: tickets.iter().map(row).collect(),
        tag: tag.to_owned(),
    }
}

/// Where `user` asks for something, if they may.
fn place<W: World>(
    keeper: &Gatekeeper<W>,
    user: &str,
    tenant: String,
    reason: Option<String>,
) -> Result<Place, Fault> {
    if !keeper.version().may_name(user, &tenant) {
        return Err(Fault::no_such_tenant(&tenant));
    }
    Ok(Place {
        tenant: TenantId::from(tenant),
        reason,
    })
}

fn asked(asking: Asking) -> TableReply {
    let row = match asking {
        Asking::Ticket(ticket) => {
            let id = Some(ticket.id.to_string());
            vec![id, Some(ticket.state.to_string()), waiting_for(&ticket)]
        }
        Asking::Passes(rule) => {
            let passes = format!("passes by rule \"{rule}\"");
            vec![None, Some(passes), None]
        }
    };
    TableReply {
        columns: vec!["id", "state", "waiting_for"],
        rows: vec![row],
        tag: "REQUEST".to_owned(),
    }
}

/// Ends the sessions in which a ticket runs: what runs there is cancelled, and rolled back.
async fn terminate<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    id: TicketId,
) -> Result<TableReply, Fault> {
    let ticket = seen(keeper, who, id).await?;
    authorize(who, Action::Terminate(&ticket)).map_err(|it| Fault::forbidden(&it))?;
    let running = keeper.registry.running(id);
    if running.is_empty() {
        return Err(Fault::ticket(format!("ticket {id} does not run now")));
    }
    let by = who.id.clone();
    let written = keeper.journal.write(Entry::Terminated { ticket: id, by });
    written.await.map_err(Fault::journal_down)?;
    for target in running {
        target.signal(true).await;
    }
    Ok(decided(&[ticket], "TERMINATE"))
}

/// What became of a ticket that is in doubt, by the word of somebody who has looked.
async fn resolve<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    id: TicketId,
    (ran, why): (bool, String),
) -> Result<TableReply, Fault> {
    let ticket = seen(keeper, who, id).await?;
    authorize(who, Action::Resolve(&ticket)).map_err(|it| Fault::forbidden(&it))?;
    let fate = if ran { Fate::Ran } else { Fate::Fenced };
    let outcome = Outcome {
        tags: Vec::new(),
        error: Some(format!("resolved by {}: {why}", who.id)),
    };
    keeper.check_journal()?;
    let ticket = keeper
        .tickets
        .conclude(id, fate.event(), Some(outcome))
        .await;
    let ticket = ticket.map_err(refused)?;
    keeper
        .tell(&ticket, who.id.clone(), fate.word(), Some(why))
        .await;
    Ok(decided(&[ticket], "RESOLVE"))
}

/// Closes the gate to all but reads, or opens it.
async fn hold_all<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    held: Option<HeldAll>,
) -> Result<TableReply, Fault> {
    authorize(who, Action::Operate).map_err(|it| Fault::forbidden(&it))?;
    let entry = Entry::HeldAll {
        by: who.id.clone(),
        closed: held.is_some(),
        reason: held.as_ref().and_then(|it| it.reason.clone()),
    };
    let written = keeper.journal.write(entry).await;
    written.map_err(Fault::journal_down)?;
    keeper
        .tickets
        .hold_all(held.clone())
        .await
        .map_err(refused)?;
    keeper.shut.set(held);
    Ok(TableReply {
        columns: Vec::new(),
        rows: Vec::new(),
        tag: "HOLD".to_owned(),
    })
}

fn refused(error: StoreError) -> Fault {
    match error {
        StoreError::Unavailable(why) => {
            tracing::error!("the ticket store failed: {why}");
            Fault::store_down()
        }
        refused => Fault::ticket(refused.to_string()),
    }
}
