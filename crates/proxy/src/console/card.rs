//! A ticket as the console shows it: in a line, and whole. It shortens nothing, and asks nobody.

use gate::Group;
use gate::policy::Need;
use gate::ticket::{Facts, Parameter, State, Ticket, Touched};
use session::TableReply;

/// Everything about one ticket.
pub(super) fn card(ticket: &Ticket) -> TableReply {
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
        ("reason", ticket.reason.clone()),
        ("reads", touched(&ticket.facts.reads)),
        ("writes", touched(&ticket.facts.writes)),
        ("calls", said(&ticket.facts.functions)),
        ("beware", beware(&ticket.facts)),
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

pub(super) fn waiting_for(ticket: &Ticket) -> Option<String> {
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

pub(super) fn statement(ticket: &Ticket) -> String {
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

/// `public.accounts (owned by billing), orders`.
fn touched(all: &[Touched]) -> Option<String> {
    let one = |it: &Touched| {
        let owners: Vec<&str> = it.owners.iter().map(Group::as_str).collect();
        if owners.is_empty() {
            it.relation.clone()
        } else {
            format!("{} (owned by {})", it.relation, owners.join(", "))
        }
    };
    let all: Vec<String> = all.iter().map(one).collect();
    said(&all)
}

fn said(all: &[String]) -> Option<String> {
    (!all.is_empty()).then(|| all.join(", "))
}

/// What whoever signs would like to have known.
fn beware(facts: &Facts) -> Option<String> {
    let stays = "it cannot sit in a transaction: what it did stays, whatever fails behind it";
    let unseen = "it takes data from its client that nobody has seen";
    let all = [
        (facts.outside_transaction, stays),
        (facts.data_unseen, unseen),
    ];
    let all = all.iter().filter(|it| it.0).map(|it| it.1.to_owned());
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| all.join("; "))
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
            let word = it.say.past();
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
pub(super) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| ms.to_string(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

/// A span of time in its largest unit that is not nought.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
