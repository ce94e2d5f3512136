//! What clients are told of a server that they have to wait for: paused by an operator, or none that takes writes.

use wire::sqlstate::SqlState;

use super::{Blame, Fault};

impl Fault {
    /// An operator has paused the tenant, for longer than somebody waits for a connection.
    pub fn paused(tenant: &str) -> Self {
        let message = format!("database \"{tenant}\" is paused");
        Self::new(Blame::Gate, SqlState::CANNOT_CONNECT_NOW, message)
            .detail("Nothing was sent. A ticket that is approved stays approved.")
            .hint("Send it again once an operator has resumed it.")
    }

    /// There is a server, and it follows another one, or was the primary before a failover.
    pub fn no_primary(tenant: &str) -> Self {
        let message = format!("the server of database \"{tenant}\" takes no writes now");
        Self::new(Blame::Upstream, SqlState::CANNOT_CONNECT_NOW, message).detail(
            "It is not the primary. Nothing was sent. A ticket that is approved stays approved.",
        )
    }

    /// RESUME of what is not paused, or not by itself.
    pub fn not_resumed(tenant: Option<&str>, with_all: bool) -> Self {
        let message = match tenant {
            Some(tenant) => format!("database \"{tenant}\" is not paused"),
            None => "no database is paused".to_owned(),
        };
        let state = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        if with_all {
            let message = "all databases are paused";
            let fault = Self::new(Blame::Client, state, message);
            return fault.hint("RESUME without a name resumes them.");
        }
        Self::new(Blame::Client, state, message)
    }

    /// Somebody resumed what was to be paused while connections were still in use.
    pub fn not_drained() -> Self {
        let state = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        Self::new(
            Blame::Client,
            state,
            "resumed before all connections were closed",
        )
    }
}
