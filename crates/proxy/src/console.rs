//! The console's answers. Every command passes the one authorisation function before it does
//! anything; a table shows only what the asker may see (DESIGN principle 10).

mod card;
mod pools;

use gate::ticket::{Say, State, Ticket};
use gate::tickets::{Filter, StoreError, Word};
use gate::{Action, Principal, TicketId, Tickets, authorize};
use session::{ConsoleCommand, Fault, TableReply};

use crate::gatekeeper::Gatekeeper;
use crate::world::World;
use card::{card, span, statement, time, waiting_for};
use pools::{show_pools, show_sessions};

/// Tickets that one list shows at the most.
const LIST_MAX: u32 = 1000;

/// Carries out one command.
pub(crate) async fn run<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    command: ConsoleCommand,
) -> Result<TableReply, Fault> {
    match command {
        ConsoleCommand::ShowTickets { all } => show_tickets(keeper, who, all).await,
        ConsoleCommand::ShowTicket(id) => {
            let ticket = seen(keeper, who, id).await?;
            Ok(card(&ticket))
        }
        ConsoleCommand::Say { ids, say, comment } => decide(keeper, who, ids, (say, comment)).await,
        ConsoleCommand::Withdraw(ids) => withdraw(keeper, who, ids).await,
        ConsoleCommand::ShowPools => {
            authorize(who, Action::Operate).map_err(|it| Fault::forbidden(&it))?;
            Ok(show_pools(keeper).await)
        }
        ConsoleCommand::ShowSessions => {
            authorize(who, Action::Operate).map_err(|it| Fault::forbidden(&it))?;
            Ok(show_sessions(keeper))
        }
        ConsoleCommand::ShowVersion => Ok(TableReply {
            columns: vec!["version"],
            rows: vec![vec![Some(
                concat!("portcullis ", env!("CARGO_PKG_VERSION")).to_owned(),
            )]],
            tag: "SHOW".to_owned(),
        }),
        ConsoleCommand::Help => Ok(TableReply {
            columns: vec!["command"],
            rows: session::CONSOLE_COMMANDS
                .iter()
                .map(|it| vec![Some((*it).to_owned())])
                .collect(),
            tag: "SHOW".to_owned(),
        }),
    }
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
    (say, comment): (Say, Option<String>),
) -> Result<TableReply, Fault> {
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
    let word = Word {
        by: who.id.clone(),
        groups: who.groups.iter().cloned().collect(),
        say,
        comment: comment.clone(),
    };
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

fn refused(error: StoreError) -> Fault {
    match error {
        StoreError::Unavailable(why) => {
            tracing::error!("the ticket store failed: {why}");
            Fault::store_down()
        }
        refused => Fault::ticket(refused.to_string()),
    }
}
