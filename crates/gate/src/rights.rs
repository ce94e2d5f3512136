//! The one authorisation function: every door (wire, console, CLI) asks here and nowhere else
//! (DESIGN principle 10; pgbouncer's CVE-2026-6667 was one command that did not).

use crate::principal::{Group, Principal};
use crate::ticket::Ticket;

/// What somebody wants to do, with what it is about.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Sign for a ticket.
    Approve(&'a Ticket),
    /// Refuse a ticket.
    Reject(&'a Ticket),
    /// Ask for something else than what a ticket holds.
    RequestChanges(&'a Ticket),
    /// Remark on a ticket.
    Comment(&'a Ticket),
    /// Take a ticket back.
    Withdraw(&'a Ticket),
    /// Read a ticket's text.
    See(&'a Ticket),
    /// End what runs as a ticket.
    Terminate(&'a Ticket),
    /// Say what became of a ticket that is in doubt.
    Resolve(&'a Ticket),
    /// Look at pools and sessions, close the gate and open it, have tenants wait.
    Operate,
}

/// Proof that an action was allowed; only [`authorize`] makes one.
#[derive(Debug)]
pub struct Permit(());

/// Why an action was not allowed, as a sentence for the person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Forbidden {
    /// What was refused.
    pub message: String,
    /// Who could do it.
    pub hint: String,
}

/// The group whose members see pools and sessions.
pub const OPERATORS: &str = "operators";

/// Whether `who` may do `action`.
pub fn authorize(who: &Principal, action: Action<'_>) -> Result<Permit, Forbidden> {
    let own = |ticket: &Ticket| ticket.requester == who.id;
    let asked = |ticket: &Ticket| ticket.needs.iter().any(|need| who.in_group(&need.group));
    let (allowed, message, hint) = match action {
        Action::Approve(ticket) if own(ticket) => (
            false,
            format!(
                "ticket {} cannot be approved by its own requester",
                ticket.id
            ),
            approvers(ticket),
        ),
        Action::Approve(ticket) => (
            asked(ticket),
            format!("ticket {} cannot be approved by \"{}\"", ticket.id, who.id),
            approvers(ticket),
        ),
        Action::Reject(ticket) => (
            asked(ticket) && !own(ticket),
            format!("ticket {} cannot be rejected by \"{}\"", ticket.id, who.id),
            approvers(ticket),
        ),
        Action::RequestChanges(ticket) => (
            asked(ticket) && !own(ticket),
            format!(
                "changes of ticket {} cannot be requested by \"{}\"",
                ticket.id, who.id
            ),
            approvers(ticket),
        ),
        Action::Withdraw(ticket) => (
            own(ticket),
            format!("ticket {} cannot be withdrawn by \"{}\"", ticket.id, who.id),
            format!(
                "Only its requester \"{}\" can withdraw it.",
                ticket.requester
            ),
        ),
        Action::See(ticket) | Action::Comment(ticket) => (
            own(ticket) || asked(ticket),
            format!("ticket {} does not exist", ticket.id),
            "SHOW TICKETS lists the tickets that you may see.".to_owned(),
        ),
        Action::Terminate(ticket) => (
            own(ticket) || asked(ticket) || who.in_group(&Group::from(OPERATORS)),
            format!("ticket {} cannot be ended by \"{}\"", ticket.id, who.id),
            approvers(ticket),
        ),
        Action::Resolve(ticket) => (
            asked(ticket) && !own(ticket),
            format!("ticket {} cannot be resolved by \"{}\"", ticket.id, who.id),
            approvers(ticket),
        ),
        Action::Operate => (
            who.in_group(&Group::from(OPERATORS)),
            format!("permission denied for \"{}\"", who.id),
            format!("Members of the group \"{OPERATORS}\" may do this."),
        ),
    };
    if allowed {
        Ok(Permit(()))
    } else {
        Err(Forbidden { message, hint })
    }
}

fn approvers(ticket: &Ticket) -> String {
    let groups: Vec<String> = ticket
        .needs
        .iter()
        .map(|need| format!("\"{}\"", need.group))
        .collect();
    format!(
        "Members of {} other than the requester can decide it.",
        groups.join(" and ")
    )
}
