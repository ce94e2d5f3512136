//! What a client is told where the ledger of its database does not take the row of what was signed. Nothing of it ran.

use gate::TicketId;
use wire::fields::Fields;
use wire::sqlstate::SqlState;

use super::{Blame, Fault, sqlstate};

impl Fault {
    /// The row of a ticket was refused.
    pub(crate) fn ledger(ticket: TicketId, refusal: &Fields) -> Self {
        if refusal.sqlstate == SqlState::UNIQUE_VIOLATION {
            let message = format!("ticket {ticket} is in the ledger of the database already");
            return Self::new(Blame::Gate, sqlstate::IN_DOUBT, message)
                .detail("It has run before, or is fenced; it was not run now.");
        }
        let message = format!("the ledger of the database refused ticket {ticket}");
        let fault = Self::new(Blame::Upstream, sqlstate::LEDGER, message).detail(format!(
            "The server said: {}. Nothing was run, and the ticket is good as before.",
            refusal.message
        ));
        let missing = [
            SqlState::UNDEFINED_FUNCTION,
            SqlState::INVALID_SCHEMA_NAME,
            SqlState::INSUFFICIENT_PRIVILEGE,
        ];
        if missing.contains(&refusal.sqlstate) {
            fault.hint("An operator makes the ledger with \"portcullis tenant install\".")
        } else {
            fault
        }
    }
}
