//! What a waiting client hears: at once, and then every heartbeat. A notice only between a request
//! and its first reply, never to an idle client (hazards R58, R59).

use std::fmt::Write as _;
use std::time::Duration;

use bytes::BytesMut;
use gate::ticket::Say;
use gate::{Need, Ticket};
use wire::backend::encode;
use wire::fields::{Fields, Severity};

use crate::fault::sqlstate;

/// The first notice: ticket, rule, who can approve, and the command.
pub(crate) fn held(ticket: &Ticket, budget: Option<Duration>, out: &mut BytesMut) {
    let mut detail = format!("Rule \"{}\" holds it: {}.", ticket.rule, ticket.why);
    if let Some(previous) = ticket.previous {
        let _infallible = write!(detail, " Ticket {previous} was for the same statement.");
    }
    if let Some(budget) = budget {
        let _infallible = write!(
            detail,
            " The transaction has done work and holds locks: it is rolled back if nobody decides \
             within {} s.",
            budget.as_secs()
        );
    }
    let hint = format!(
        "They run: portcullis approve {}. To withdraw it, cancel the statement (Ctrl-C).",
        ticket.id
    );
    let message = format!(
        "held as ticket {}: waits for {}",
        ticket.id,
        people(&ticket.missing())
    );
    notice(message, Some(detail), Some(hint), out);
}

/// It runs, and nobody has signed for it.
pub(crate) fn broken(ticket: &Ticket, out: &mut BytesMut) {
    let message = format!(
        "break-glass: running without approval as ticket {}",
        ticket.id
    );
    let mut fields = Fields::new(Severity::Warning, sqlstate::HELD, message);
    fields.detail = Some(format!(
        "Rule \"{}\" lets it. It is reviewed afterwards by {}.",
        ticket.rule,
        people(&ticket.needs)
    ));
    encode::notice_response(&fields, out);
}

/// A heartbeat.
pub(crate) fn still_waiting(ticket: &Ticket, waited: Duration, out: &mut BytesMut) {
    let message = format!(
        "ticket {} has waited {} for {}",
        ticket.id,
        minutes(waited),
        people(&ticket.missing())
    );
    notice(message, None, None, out);
}

/// Somebody said something, and the ticket waits on.
pub(crate) fn said(ticket: &Ticket, out: &mut BytesMut) {
    let id = ticket.id;
    let waits = || format!("waits for {}", people(&ticket.missing()));
    let (message, comment) = match ticket.decisions.last() {
        Some(it) => {
            let message = match it.say {
                Say::Approve => format!("ticket {id} was signed by \"{}\": {}", it.by, waits()),
                Say::Changes => format!("changes of ticket {id} were requested by \"{}\"", it.by),
                Say::Reject | Say::Comment => format!("comment of \"{}\" on ticket {id}", it.by),
            };
            (message, it.comment.clone())
        }
        None => (format!("ticket {id} {}", waits()), None),
    };
    notice(message, comment, None, out);
}

/// The ticket that lets it pass.
pub(crate) fn approved(ticket: gate::TicketId, out: &mut BytesMut) {
    notice(
        format!("ticket {ticket} is approved: running"),
        None,
        None,
        out,
    );
}

fn notice(message: String, detail: Option<String>, hint: Option<String>, out: &mut BytesMut) {
    let mut fields = Fields::new(Severity::Notice, sqlstate::HELD, message);
    fields.detail = detail;
    fields.hint = hint;
    encode::notice_response(&fields, out);
}

/// `1 approval from "dba" and 2 approvals from "owners"`.
pub(crate) fn people(needs: &[Need]) -> String {
    let each: Vec<String> = needs
        .iter()
        .map(|need| {
            let plural = if need.approvals == 1 { "" } else { "s" };
            format!(
                "{} approval{plural} from \"{}\"",
                need.approvals, need.group
            )
        })
        .collect();
    each.join(" and ")
}

/// `4:05`.
fn minutes(waited: Duration) -> String {
    let seconds = waited.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
