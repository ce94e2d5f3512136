//! What a client is told of a tenant that is not kept apart from others as it is said to be. What was found is for the log alone.

use wire::sqlstate::SqlState;

use super::{Blame, Fault, sqlstate};

impl Fault {
    /// The self-test of the tenant's logins found something.
    pub fn not_isolated(tenant: &str) -> Self {
        let message = format!("database \"{tenant}\" is not isolated as configured");
        Self::new(Blame::Gate, sqlstate::NOT_ISOLATED, message)
            .detail("Its logins could reach what is not the tenant's, or others what is; nothing is sent to it.")
            .hint("Ask an operator: the log of the gate says what was found.")
    }

    /// Whether it is, nobody could find out.
    pub fn not_tested(tenant: &str) -> Self {
        let message = format!("database \"{tenant}\" could not be tested for isolation");
        Self::new(Blame::Upstream, sqlstate::NOT_ISOLATED, message)
            .hint("Ask an operator: the log of the gate says why.")
    }

    /// A login brought a search_path that leads out of the tenant's schemas.
    pub fn path_leads_out(schema: &str) -> Self {
        let message =
            format!("search_path leads to schema \"{schema}\", which is not the tenant's");
        Self::new(Blame::Client, SqlState::INSUFFICIENT_PRIVILEGE, message).fatal()
    }
}
