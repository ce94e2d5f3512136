//! What clients are told of a configuration that was read again: of sessions that end with it, of a tenant that leads elsewhere,
//! and, on the console, of what is wrong with it.

use gate::TicketId;
use wire::sqlstate::SqlState;

use super::{Blame, Fault, sqlstate};

impl Fault {
    /// The account is gone, or is somebody else's or has another password by now.
    pub fn account_changed(user: &str) -> Self {
        Self::ended(&format!("the account \"{user}\" was removed or changed"))
            .hint("Log in again. Tickets of its person that waited are void.")
    }

    /// The person may not go there any more.
    pub fn no_longer_allowed(user: &str, tenant: &str) -> Self {
        Self::ended(&format!(
            "\"{user}\" may not use database \"{tenant}\" any more"
        ))
    }

    /// There is no such tenant any more.
    pub fn tenant_removed(tenant: &str) -> Self {
        Self::ended(&format!(
            "database \"{tenant}\" was removed from the configuration"
        ))
    }

    fn ended(why: &str) -> Self {
        let message = format!("terminating connection: {why}");
        Self::new(Blame::Gate, SqlState::ADMIN_SHUTDOWN, message).fatal()
    }

    /// Something was asked where the tenant led before.
    pub fn moved(tenant: &str, ticket: Option<TicketId>) -> Self {
        let message = format!("database \"{tenant}\" leads to another server or role by now");
        let fault = Self::new(Blame::Gate, sqlstate::MOVED, message)
            .hint("Nothing was sent. Send it again: it is asked for anew there.");
        match ticket {
            Some(ticket) => fault.detail(format!(
                "Ticket {ticket} is good only where the database led before."
            )),
            None => fault,
        }
    }

    /// The host that a client asked for is that of another tenant.
    pub fn another_host(database: &str) -> Self {
        let message = format!("the host name is not that of database \"{database}\"");
        Self::new(Blame::Client, SqlState::INVALID_CATALOG_NAME, message)
            .hint("The host name that TLS names and the database must be of the same tenant.")
            .fatal()
    }

    /// The configuration was not reloaded: the first thing that is wrong with it, and the rest.
    pub fn bad_configuration(problems: &[String]) -> Self {
        let message = match problems.first() {
            Some(first) => format!("configuration not reloaded: {first}"),
            None => "configuration not reloaded".to_owned(),
        };
        let fault = Self::new(Blame::Client, SqlState::CONFIG_FILE_ERROR, message)
            .hint("The gate goes on with what it had; portcullis check FILE says the same.");
        match problems {
            [] | [_] => fault,
            [_, rest @ ..] => fault.detail(rest.join("\n")),
        }
    }
}
