//! A ticket as the console shows it: in a line, and whole. It shortens nothing, and asks nobody.

use gate::Group;
use gate::policy::Need;
use gate::ticket::{Facts, Scope, State, Ticket, Touched};
use session::TableReply;

use super::parameter::{inline, shown};

/// Everything about one ticket.
pub(super) fn card(ticket: &Ticket, before: &[Ticket]) -> TableReply {
    let text = statement(ticket);
    let pairs: Vec<(&'static str, Option<String>)> = vec![
        ("id", Some(ticket.id.to_string())),
        ("state", Some(ticket.state.to_string())),
        ("scope", scope(ticket)),
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
        ("time_outs", time_outs(ticket)),
        ("role", Some(ticket.role.clone())),
        ("in_transaction", Some(ticket.in_transaction.to_string())),
        ("client", Some(ticket.client.clone())),
        ("created", Some(time(ticket.created_ms))),
        ("expires", Some(time(ticket.expires_ms))),
        ("digest", Some(ticket.digest.clone())),
        ("length", Some(format!("{} bytes", text.len()))),
        ("previous", previous(before)),
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

/// Earlier tickets of the same bytes, the newest first, and how they ended.
fn previous(before: &[Ticket]) -> Option<String> {
    let one = |it: &Ticket| match outcome(it) {
        Some(outcome) => format!("{} {} ({})", it.id, it.state, inline(&outcome)),
        None => format!("{} {}", it.id, it.state),
    };
    let all: Vec<String> = before.iter().map(one).collect();
    said(&all)
}

/// What it lets happen, where that is not one request.
fn scope(ticket: &Ticket) -> Option<String> {
    match &ticket.scope {
        Scope::Once => None,
        Scope::Script { steps } => Some(format!(
            "script of {} statements, {} of them signed for",
            ticket.asked.len(),
            steps.len()
        )),
        Scope::BreakGlass => Some("break-glass: nobody has signed for it".to_owned()),
        Scope::Review { of } => Some(format!("review of {of}, which nobody had signed for")),
        Scope::Grant(grant) => {
            let classes: Vec<&str> = grant.classes.iter().map(|it| it.name()).collect();
            Some(format!(
                "grant of {}, until {}, {} of {} used",
                classes.join(", "),
                time(grant.until_ms),
                ticket.uses,
                grant.uses_max
            ))
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

fn time_outs(ticket: &Ticket) -> Option<String> {
    (!ticket.time_outs.is_none()).then(|| ticket.time_outs.to_string())
}

fn said(all: &[String]) -> Option<String> {
    (!all.is_empty()).then(|| all.join(", "))
}

/// What whoever signs would like to have known.
fn beware(facts: &Facts) -> Option<String> {
    let stays = "it cannot sit in a transaction: what it did stays, whatever fails behind it";
    let no_row = "no row of the ledger can go with it: where contact is lost, people must find out what became of it";
    let unseen = "it takes data from its client that nobody has seen";
    let all = [
        (facts.outside_transaction, stays),
        (facts.no_row, no_row),
        (facts.data_unseen, unseen),
    ];
    let all = all.iter().filter(|it| it.0).map(|it| it.1.to_owned());
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// `$1 = 'x' (text)`, one a line; of several texts each line says which.
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
                    format!("{of}${} = {}", number + 1, shown(parameter))
                })
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
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
