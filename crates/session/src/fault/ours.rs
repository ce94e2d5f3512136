//! What a client is told of the gate's own settings, and of a ticket that it does not wait for.

use gate::tickets::HeldAll;
use gate::{Ticket, TicketId};
use wire::sqlstate::SqlState;

use super::{Blame, Fault, sqlstate};
use crate::notices::people;

impl Fault {
    /// A setting of the gate's own that there is not.
    pub fn no_such_setting(name: &str) -> Self {
        let message = format!("unrecognized configuration parameter \"portcullis.{name}\"");
        Self::new(Blame::Client, SqlState::UNDEFINED_PARAMETER, message).hint(
            "The gate's settings are portcullis.reason, portcullis.wait, portcullis.script, \
             portcullis.break_glass and portcullis.ticket.",
        )
    }

    /// A setting that only tells.
    pub fn cannot_be_changed(name: &str) -> Self {
        let message = format!("parameter \"portcullis.{name}\" cannot be changed");
        Self::new(Blame::Client, SqlState::CANT_CHANGE_RUNTIME_PARAM, message)
    }

    /// A value that names no ticket.
    pub fn not_a_ticket(value: &str) -> Self {
        let message = format!("invalid value for parameter \"portcullis.script\": \"{value}\"");
        Self::new(Blame::Client, SqlState::INVALID_PARAMETER_VALUE, message)
            .hint("A script is a ticket, such as T-42.")
    }

    /// A ticket that is no script of this person's for this tenant.
    pub fn no_such_script(id: TicketId) -> Self {
        let message = format!("ticket {id} is no script of yours for this tenant");
        Self::new(Blame::Client, SqlState::UNDEFINED_PARAMETER, message)
            .hint("portcullis request -f FILE makes one; RESET portcullis.script goes on without.")
    }

    /// Something else than the script's next statement.
    pub fn not_next(id: TicketId, expected: Option<&str>) -> Self {
        let message = format!("it is not the next statement of script {id}");
        let fault = Self::new(Blame::Policy, sqlstate::NOT_NEXT, message)
            .hint("RESET portcullis.script asks for it by itself.");
        match expected {
            Some(next) => fault.detail(format!("The next one is: {next}")),
            None => fault.detail("All of its statements have been sent."),
        }
    }

    /// Transaction control between statements of one string that are held.
    pub fn control_in_the_middle() -> Self {
        let message = "transaction control in the middle of a string that waits for approval";
        Self::new(Blame::Policy, SqlState::FEATURE_NOT_SUPPORTED, message).hint(
            "Ask for it as a script, portcullis request -f FILE, or send its statements one by one.",
        )
    }

    /// A value that is neither on nor off.
    pub fn not_a_truth(name: &str) -> Self {
        let message = format!("parameter \"portcullis.{name}\" requires a Boolean value");
        Self::new(Blame::Client, SqlState::INVALID_PARAMETER_VALUE, message)
    }

    /// A reason that is longer than people read.
    pub fn reason_too_long(max: usize) -> Self {
        let message = "invalid value for parameter \"portcullis.reason\"";
        Self::new(Blame::Client, SqlState::INVALID_PARAMETER_VALUE, message)
            .detail(format!("A reason has at most {max} bytes."))
    }

    /// Nobody lets this person run it before anybody signs.
    pub fn no_break_glass() -> Self {
        let message = "break-glass is not for this statement";
        Self::new(Blame::Policy, SqlState::INSUFFICIENT_PRIVILEGE, message).hint(
            "No [[break_glass]] names you, the tenant and its class. SET portcullis.break_glass = off to ask for a \
             signature.",
        )
    }

    /// Whoever breaks the glass says why.
    pub fn break_glass_needs_reason() -> Self {
        let message = "break-glass needs a reason";
        Self::new(Blame::Policy, SqlState::INVALID_PARAMETER_VALUE, message)
            .hint("SET portcullis.reason = 'why', and send it again.")
    }

    /// Somebody has closed the gate to all but reads.
    pub fn held_all(held: &HeldAll) -> Self {
        let message = format!("the gate is closed to all but reads by \"{}\"", held.by);
        let fault = Self::new(Blame::Policy, sqlstate::HELD_ALL, message)
            .hint("Tickets stay as they are. Send it again when the gate is open: HOLD OFF on the console.");
        match &held.reason {
            Some(reason) => fault.detail(format!("Reason: {reason}")),
            None => fault,
        }
    }

    /// It is held, and the session does not wait.
    pub fn pending(ticket: &Ticket) -> Self {
        let message = format!(
            "held as ticket {}: waits for {}",
            ticket.id,
            people(&ticket.missing())
        );
        Self::new(Blame::Policy, sqlstate::PENDING, message)
            .detail(format!("Rule \"{}\" holds it: {}.", ticket.rule, ticket.why))
            .hint(format!(
                "Send the same again when it is approved: portcullis approve {}. To wait for that on the wire, SET \
                 portcullis.wait = on.",
                ticket.id
            ))
    }

    /// More tickets wait already than may.
    pub fn too_many_tickets(whose: &str, max: u32, key: &str) -> Self {
        let message = format!("too many tickets of {whose} wait already");
        Self::new(
            Blame::Policy,
            SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            message,
        )
        .hint(format!(
            "At most {max} may: {key} in [tickets]. Withdraw what is not needed any more."
        ))
    }
}
