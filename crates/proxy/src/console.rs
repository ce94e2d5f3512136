//! The console's answers. Every command passes the one authorisation function before it does
//! anything; a table shows only what the asker may see (DESIGN principle 10).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gate::policy::Need;
use gate::ticket::{Parameter, State, Ticket};
use gate::tickets::{Filter, StoreError, Word};
use gate::{Action, Group, Principal, TenantId, TicketId, Tickets, authorize};
use session::{ConsoleCommand, Fault, TableReply};

use crate::gatekeeper::Gatekeeper;
use crate::lanes::PoolView;
use crate::registry::View;
use crate::world::World;

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
        ConsoleCommand::Approve(id, comment) => decide(keeper, who, id, true, comment).await,
        ConsoleCommand::Reject(id, reason) => decide(keeper, who, id, false, Some(reason)).await,
        ConsoleCommand::Withdraw(id) => withdraw(keeper, who, id).await,
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

/// Everything about one ticket.
fn card(ticket: &Ticket) -> TableReply {
    let text = statement(ticket);
    let pairs: Vec<(&'static str, Option<String>)> = vec![
        ("id", Some(ticket.id.to_string())),
        ("state", Some(ticket.state.to_string())),
        ("tenant", Some(ticket.tenant.to_string())),
        ("requester", Some(ticket.requester.to_string())),
        ("class", Some(ticket.class.clone())),
        ("rule", Some(ticket.rule.clone())),
        ("why", Some(ticket.why.clone())),
        ("waiting_for", waiting_for(ticket)),
        ("role", Some(ticket.role.clone())),
        ("in_transaction", Some(ticket.in_transaction.to_string())),
        ("client", Some(ticket.client.clone())),
        ("created", Some(time(ticket.created_ms))),
        ("expires", Some(time(ticket.expires_ms))),
        ("digest", Some(ticket.digest.clone())),
        ("length", Some(format!("{} bytes", text.len()))),
        ("previous", ticket.previous.map(|it| it.to_string())),
        ("decisions", decisions(ticket)),
        ("outcome", outcome(ticket)),
        ("parameters", parameters(ticket)),
        ("statement", Some(text)),
    ];
    let (columns, row) = pairs.into_iter().unzip();
    TableReply {
        columns,
        rows: vec![row],
        tag: "SHOW".to_owned(),
    }
}

async fn decide<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    id: TicketId,
    approve: bool,
    comment: Option<String>,
) -> Result<TableReply, Fault> {
    let ticket = seen(keeper, who, id).await?;
    let action = if approve {
        Action::Approve(&ticket)
    } else {
        Action::Reject(&ticket)
    };
    authorize(who, action).map_err(|it| Fault::forbidden(&it))?;
    let groups: Vec<Group> = who.groups.iter().cloned().collect();
    let word = Word {
        by: who.id.clone(),
        groups,
        approve,
        comment: comment.clone(),
    };
    let ticket = keeper.tickets.decide(id, word).await.map_err(refused)?;
    let said = if approve { "approve" } else { "reject" };
    keeper.tell(&ticket, who.id.clone(), said, comment).await;
    Ok(decided(&ticket, if approve { "APPROVE" } else { "REJECT" }))
}

async fn withdraw<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    id: TicketId,
) -> Result<TableReply, Fault> {
    let ticket = seen(keeper, who, id).await?;
    authorize(who, Action::Withdraw(&ticket)).map_err(|it| Fault::forbidden(&it))?;
    let ticket = keeper.tickets.withdraw(id).await.map_err(refused)?;
    keeper.tell(&ticket, who.id.clone(), "withdraw", None).await;
    Ok(decided(&ticket, "WITHDRAW"))
}

fn decided(ticket: &Ticket, tag: &str) -> TableReply {
    TableReply {
        columns: vec!["id", "state", "waiting_for"],
        rows: vec![vec![
            Some(ticket.id.to_string()),
            Some(ticket.state.to_string()),
            waiting_for(ticket),
        ]],
        tag: tag.to_owned(),
    }
}

/// pgbouncer's columns, then `pool_size` and the lane. What is being reset is `sv_tested`; nothing needs
/// a check before it is used, so `sv_used` is 0. Sessions count as active in the write lane, which each has.
const POOL_COLUMNS: [&str; 14] = [
    "database",
    "user",
    "cl_active",
    "cl_waiting",
    "sv_active",
    "sv_idle",
    "sv_used",
    "sv_tested",
    "sv_login",
    "maxwait",
    "maxwait_us",
    "pool_mode",
    "pool_size",
    "lane",
];

async fn show_pools<W: World>(keeper: &Gatekeeper<W>) -> TableReply {
    let sessions = keeper.registry.views();
    let pools = together(keeper.crew.pools().await);
    let waiting = |tenant: &TenantId| -> usize {
        let its = pools.values().filter(|it| it.tenant == *tenant);
        its.map(|it| it.figures.waiting).sum()
    };
    let row = |it: &PoolView| {
        let own = sessions
            .iter()
            .filter(|(_, view)| view.tenant == it.tenant.as_str());
        let active = match it.lane {
            "write" => own.count().saturating_sub(waiting(&it.tenant)),
            _ => 0,
        };
        let figures = it.figures;
        let (wait, wait_us) = (figures.max_wait.as_secs(), figures.max_wait.subsec_micros());
        let row = [
            it.tenant.to_string(),
            it.user.clone(),
            active.to_string(),
            figures.waiting.to_string(),
            figures.active.to_string(),
            figures.idle.to_string(),
            "0".to_owned(),
            figures.resetting.to_string(),
            figures.logging_in.to_string(),
            wait.to_string(),
            wait_us.to_string(),
            it.mode.as_str().to_owned(),
            it.size.to_string(),
            it.lane.to_owned(),
        ];
        row.map(Some).to_vec()
    };
    TableReply {
        columns: POOL_COLUMNS.to_vec(),
        rows: pools.values().map(row).collect(),
        tag: "SHOW".to_owned(),
    }
}

/// The pools of all threads by tenant, and each tenant's write lane first.
fn together(views: Vec<PoolView>) -> BTreeMap<(TenantId, Reverse<&'static str>), PoolView> {
    let mut pools: BTreeMap<_, PoolView> = BTreeMap::new();
    for view in views {
        match pools.entry((view.tenant.clone(), Reverse(view.lane))) {
            Entry::Vacant(vacant) => {
                vacant.insert(view);
            }
            Entry::Occupied(mut known) => known.get_mut().figures += view.figures,
        }
    }
    pools
}

fn show_sessions<W: World>(keeper: &Gatekeeper<W>) -> TableReply {
    let columns = vec![
        "pid",
        "user",
        "database",
        "state",
        "ticket",
        "addr",
        "tls",
        "application_name",
        "connect_time",
    ];
    let row = |(pid, view): (u32, View)| {
        vec![
            Some(pid.to_string()),
            Some(view.user),
            Some(view.tenant),
            Some(view.state.to_owned()),
            view.ticket.map(|it| it.to_string()),
            Some(view.client.to_string()),
            Some(if view.tls { "yes" } else { "no" }.to_owned()),
            Some(view.application),
            Some(time(view.since_ms)),
        ]
    };
    let rows = keeper.registry.views().into_iter().map(row).collect();
    TableReply {
        columns,
        rows,
        tag: "SHOW".to_owned(),
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

fn waiting_for(ticket: &Ticket) -> Option<String> {
    let missing = ticket.missing();
    (ticket.state == State::Pending && !missing.is_empty()).then(|| needs(&missing))
}

fn needs(needs: &[Need]) -> String {
    let each: Vec<String> = needs
        .iter()
        .map(|need| format!("{} of {}", need.approvals, need.group))
        .collect();
    each.join(", ")
}

fn statement(ticket: &Ticket) -> String {
    match ticket.asked.as_slice() {
        [only] => only.text.to_string(),
        several => {
            let number = |(place, it): (usize, &gate::ticket::Asked)| {
                format!("[{} of {}] {}", place + 1, several.len(), it.text)
            };
            several
                .iter()
                .enumerate()
                .map(number)
                .collect::<Vec<_>>()
                .join("\n")
        }
    }
}

/// Text of a person or a client within a line of ours: it cannot begin a line of its own.
fn inline(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

/// `$1 = 'x' (type 25)`, one a line; of several texts each line says which.
fn parameters(ticket: &Ticket) -> Option<String> {
    let several = ticket.asked.len() > 1;
    let lines: Vec<String> = ticket
        .asked
        .iter()
        .enumerate()
        .flat_map(|(text, asked)| {
            asked
                .parameters
                .iter()
                .enumerate()
                .map(move |(number, parameter)| {
                    let of = if several {
                        format!("{}: ", text + 1)
                    } else {
                        String::new()
                    };
                    format!("{of}${} = {}", number + 1, value(parameter))
                })
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn value(parameter: &Parameter) -> String {
    let shown = parameter.value.as_ref().map_or_else(
        || "NULL".to_owned(),
        |it| format!("'{}'", inline(&it.replace('\'', "''"))),
    );
    if parameter.type_oid == 0 {
        shown
    } else {
        format!("{shown} (type {})", parameter.type_oid)
    }
}

fn decisions(ticket: &Ticket) -> Option<String> {
    let lines: Vec<String> = ticket
        .decisions
        .iter()
        .map(|it| {
            let word = if it.approve { "approved" } else { "rejected" };
            let comment = it
                .comment
                .as_ref()
                .map_or_else(String::new, |it| format!(": {}", inline(it)));
            format!("{word} by {} at {}{comment}", it.by, time(it.at_ms))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn outcome(ticket: &Ticket) -> Option<String> {
    let outcome = ticket.outcome.as_ref()?;
    Some(
        outcome
            .error
            .clone()
            .unwrap_or_else(|| outcome.tags.join(", ")),
    )
}

/// A point in time, to the second, in UTC.
fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| ms.to_string(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

/// A span of time in its largest unit that is not nought.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
