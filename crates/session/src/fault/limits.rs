//! What a client is told of the limits that it met. Each names the key that sets it.

use wire::WireError;
use wire::sqlstate::SqlState;

use super::{Blame, Fault};

impl Fault {
    /// A message whose length cannot be, or is more than the gate decides on.
    pub fn unreadable(error: &WireError, max: usize) -> Self {
        let fault = Self::malformed(error);
        match error {
            WireError::MessageLength => fault.hint(format!(
                "A message has at most {max} bytes: request_bytes_max in [limits]."
            )),
            _ => fault,
        }
    }

    /// The login took too long.
    pub fn login_timeout() -> Self {
        let message = "canceling authentication due to timeout";
        Self::new(Blame::Client, SqlState::QUERY_CANCELED, message)
            .hint("The time for it is login in [limits].")
            .fatal()
    }

    /// A batch of more messages than the gate keeps.
    pub fn pipeline_too_long(max: usize) -> Self {
        let message = format!("more than {max} messages before a Sync");
        Self::new(Blame::Client, SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Send a Sync more often, or raise pipeline_max in [limits].")
            .fatal()
    }

    /// A batch of more bytes than the gate keeps to decide on.
    pub fn pipeline_too_large(max: usize) -> Self {
        let message = format!("more than {max} bytes before a Sync");
        Self::new(Blame::Client, SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Send a Sync more often, or raise request_bytes_max in [limits].")
            .fatal()
    }

    /// More sessions than the gate takes.
    pub fn too_many_sessions(max: usize) -> Self {
        let message = "sorry, too many clients already";
        Self::too_many(message, &format!("{max} sessions: sessions_max"))
    }

    /// More sessions than one address may have.
    pub fn too_many_of_address(max: usize) -> Self {
        let message = "too many connections from this address";
        Self::too_many(message, &format!("{max} of one: sessions_per_address_max"))
    }

    /// More sessions than one tenant may have.
    pub fn too_many_of_tenant(tenant: &str, max: usize) -> Self {
        let message = format!("too many connections for database \"{tenant}\"");
        Self::too_many(message, &format!("{max} of one: sessions_per_tenant_max"))
    }

    fn too_many(message: impl Into<String>, limit: &str) -> Self {
        Self::new(Blame::Gate, SqlState::TOO_MANY_CONNECTIONS, message)
            .hint(format!("The gate takes {limit} in [limits]."))
            .fatal()
    }
}
