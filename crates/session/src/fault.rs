//! Every sentence that the gate can say to a client in an ErrorResponse, as named constructors.
//! No foreign `Display` is ever copied in.

mod isolation;
mod ledger;
mod limits;
mod ours;
mod reloaded;
mod server;

use gate::{TicketId, policy::Denial};
use wire::fields::{Fields, Severity};
use wire::sqlstate::SqlState;

/// The gate's own SQLSTATEs: a class that no driver retries by itself (hazards R89).
pub mod sqlstate {
    use wire::sqlstate::SqlState;

    /// Something is held; only in notices.
    pub const HELD: SqlState = SqlState::new(b"ZG000");
    /// A rule denies the statement.
    pub const DENIED: SqlState = SqlState::new(b"ZG001");
    /// Somebody rejected the ticket.
    pub const REJECTED: SqlState = SqlState::new(b"ZG002");
    /// The ticket expired.
    pub const EXPIRED: SqlState = SqlState::new(b"ZG003");
    /// The ticket was withdrawn elsewhere.
    pub const WITHDRAWN: SqlState = SqlState::new(b"ZG004");
    /// The hold outlived its budget inside a transaction.
    pub const BUDGET: SqlState = SqlState::new(b"ZG005");
    /// Contact was lost after something was sent.
    pub const IN_DOUBT: SqlState = SqlState::new(b"ZG006");
    /// The ticket store or the journal does not answer.
    pub const CLOSED: SqlState = SqlState::new(b"ZG007");
    /// Somebody has closed the gate to all but reads.
    pub const HELD_ALL: SqlState = SqlState::new(b"ZG009");
    /// It is not the next statement of the script that the session runs.
    pub const NOT_NEXT: SqlState = SqlState::new(b"ZG010");
    /// The ledger of the database did not take the row of the ticket.
    pub const LEDGER: SqlState = SqlState::new(b"ZG011");
    /// The tenant leads elsewhere by now, where what was asked is not good.
    pub const MOVED: SqlState = SqlState::new(b"ZG012");
    /// The tenant is not kept apart as it is said to be.
    pub const NOT_ISOLATED: SqlState = SqlState::new(b"ZG013");
    /// It is held, and the session does not wait for people.
    pub const PENDING: SqlState = SqlState::new(b"ZG008");
}

/// Whose fault it was; also a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client's.
    Client,
    /// A rule or a person said no.
    Policy,
    /// The upstream's.
    Upstream,
    /// Ours.
    Gate,
}

/// What a client is told when something does not happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The fields of the ErrorResponse.
    pub fields: Fields,
    /// Whose fault it was.
    pub blame: Blame,
}

impl Fault {
    fn new(blame: Blame, sqlstate: SqlState, message: impl Into<String>) -> Self {
        let fields = Fields::new(Severity::Error, sqlstate, message);
        Self { fields, blame }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.fields.detail = Some(detail.into());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.fields.hint = Some(hint.into());
        self
    }

    /// The same, but the connection ends with it.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.fields.severity = Severity::Fatal;
        self
    }

    /// Whether the connection ends with it.
    pub fn is_fatal(&self) -> bool {
        self.fields.severity == Severity::Fatal
    }

    // --- the client's doing ---

    /// A message that the protocol does not allow here.
    pub fn protocol(what: impl Into<String>) -> Self {
        Self::new(Blame::Client, SqlState::PROTOCOL_VIOLATION, what)
    }

    /// A frame that does not hold together.
    pub fn malformed(error: &wire::WireError) -> Self {
        Self::new(Blame::Client, error.sqlstate(), error.message()).fatal()
    }

    /// The startup packet names no user.
    pub fn no_user() -> Self {
        let message = "no PostgreSQL user name specified in startup packet";
        Self::new(Blame::Client, SqlState::INVALID_AUTHORIZATION, message).fatal()
    }

    /// Replication through the gate.
    pub fn replication() -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "replication connections cannot go through the gate",
        )
        .detail("A replication stream has no statements that somebody could sign for.")
        .fatal()
    }

    /// FunctionCall (hazards R45).
    pub fn function_call() -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "the function call protocol cannot go through the gate",
        )
        .hint("Call the function in a SELECT.")
    }

    /// A startup parameter that would reach around the gate, or that it does not keep for a session (hazards R17).
    pub fn forbidden_parameter(name: &str) -> Self {
        let message = format!("parameter \"{name}\" cannot be set in the startup packet");
        Self::new(Blame::Client, SqlState::INSUFFICIENT_PRIVILEGE, message).fatal()
    }

    /// A client encoding other than UTF-8 (hazards R96).
    pub fn encoding(name: &str) -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("client encoding \"{name}\" cannot go through the gate"),
        )
        .hint("Use UTF8.")
        .fatal()
    }

    /// The password was wrong, or the user does not exist: the same words for both (R8).
    pub fn authentication(user: &str) -> Self {
        let message = format!("password authentication failed for user \"{user}\"");
        Self::new(Blame::Client, SqlState::INVALID_PASSWORD, message).fatal()
    }

    /// A message where a password was due.
    pub fn not_a_password() -> Self {
        Self::protocol("expected a SASL response").fatal()
    }

    /// The tenant does not exist, or is not this principal's: the same words for both.
    pub fn no_tenant(name: &str) -> Self {
        Self::no_such_tenant(name).fatal()
    }

    /// The same, where the session goes on.
    pub fn no_such_tenant(name: &str) -> Self {
        let message = format!("database \"{name}\" does not exist");
        Self::new(Blame::Client, SqlState::INVALID_CATALOG_NAME, message)
            .detail("The gate knows no such tenant that this user may use.")
    }

    /// Bind or Describe of a statement that nobody prepared.
    pub fn no_statement(name: &str) -> Self {
        let message = if name.is_empty() {
            "unnamed prepared statement does not exist".to_owned()
        } else {
            format!("prepared statement \"{name}\" does not exist")
        };
        Self::new(Blame::Client, SqlState::UNDEFINED_PSTATEMENT, message)
    }

    /// Parse of a name that is taken.
    pub fn duplicate_statement(name: &str) -> Self {
        let message = format!("prepared statement \"{name}\" already exists");
        Self::new(Blame::Client, SqlState::DUPLICATE_PSTATEMENT, message)
    }

    /// Execute or Describe of a portal that nobody bound.
    pub fn no_portal(name: &str) -> Self {
        let message = format!("portal \"{name}\" does not exist");
        Self::new(Blame::Client, SqlState::UNDEFINED_CURSOR, message)
    }

    /// More batches in one segment than the gate keeps account of.
    pub fn segment_too_long(max: usize) -> Self {
        let message = format!("more than {max} batches before a Sync");
        Self::new(Blame::Client, SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Send a Sync more often.")
    }

    /// More prepared statements than the gate keeps.
    pub fn statements_too_large(max: usize) -> Self {
        let message = format!("prepared statements of more than {max} bytes in all");
        Self::new(Blame::Client, SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Close those that are not needed any more.")
    }

    /// A fetch from an earlier portal in a batch that binds.
    pub fn fetch_beside_bind() -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "a batch that binds cannot fetch from a portal of an earlier one",
        )
        .hint("Send a Sync or a Flush in between.")
    }

    /// A read and something else in one segment, outside a transaction.
    pub fn mixed_segment() -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "an unsigned read and another statement cannot share a segment",
        )
        .detail("The read runs in a READ ONLY transaction of its own.")
        .hint("Send a Sync in between.")
    }

    /// A Parse in a segment in which no fence stands and none can be put up.
    pub fn look_in_segment() -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "a statement cannot be parsed behind another one that has run in the same segment",
        )
        .detail(
            "Parsing evaluates literals, and no READ ONLY transaction can be put around that here.",
        )
        .hint("Send a Sync in between.")
    }

    /// A statement in a transaction that failed.
    pub fn failed_transaction() -> Self {
        let message =
            "current transaction is aborted, commands ignored until end of transaction block";
        Self::new(Blame::Client, SqlState::IN_FAILED_TRANSACTION, message)
    }

    /// The client cancelled.
    pub fn cancelled(withdrawn: Option<TicketId>) -> Self {
        let message = "canceling statement due to user request";
        let fault = Self::new(Blame::Client, SqlState::QUERY_CANCELED, message);
        match withdrawn {
            Some(ticket) => fault.detail(format!("Ticket {ticket} is withdrawn.")),
            None => fault,
        }
    }

    // --- a rule's, or a person's ---

    /// A rule denies it.
    pub fn denied(denial: &Denial) -> Self {
        Self::new(Blame::Policy, sqlstate::DENIED, denial.message.clone())
            .detail(format!("Rule \"{}\" decided: {}.", denial.rule, denial.why))
    }

    /// Somebody rejected the ticket.
    pub fn rejected(ticket: TicketId, by: &str, reason: Option<&str>) -> Self {
        let fault = Self::new(
            Blame::Policy,
            sqlstate::REJECTED,
            format!("ticket {ticket} was rejected by \"{by}\""),
        );
        match reason {
            Some(reason) => fault.detail(format!("Reason: {reason}")),
            None => fault,
        }
    }

    /// Nobody decided in time.
    pub fn expired(ticket: TicketId) -> Self {
        Self::new(
            Blame::Policy,
            sqlstate::EXPIRED,
            format!("ticket {ticket} has expired"),
        )
        .hint("Send the statement again to ask anew.")
    }

    /// It was withdrawn by other means than this session.
    pub fn withdrawn(ticket: TicketId) -> Self {
        Self::new(
            Blame::Policy,
            sqlstate::WITHDRAWN,
            format!("ticket {ticket} was withdrawn"),
        )
    }

    /// The hold outlived its budget; the transaction is rolled back.
    pub fn budget(ticket: TicketId, seconds: u64) -> Self {
        Self::new(
            Blame::Policy,
            sqlstate::BUDGET,
            format!("nobody decided ticket {ticket} within {seconds} s; transaction rolled back"),
        )
        .detail("A statement held in a transaction that has done work keeps its locks.")
        .hint(format!(
            "Run the whole transaction again once ticket {ticket} is approved: it is then used \
             without waiting."
        ))
    }

    // --- the upstream's, and ours ---

    /// What the server said as it ended the connection.
    pub(crate) fn of_server(fields: Fields) -> Self {
        Self {
            fields,
            blame: Blame::Upstream,
        }
    }

    /// A prepared statement returns other columns than when it was prepared: PostgreSQL's own words.
    /// Drivers (pgjdbc, asyncpg) prepare it again where they know it by the routine.
    pub fn changed_result() -> Self {
        let mut fault = Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "cached plan must not change result type",
        );
        let routine = (b'R', "RevalidateCachedQuery".to_owned());
        fault.fields.others.push(routine);
        fault
    }

    /// A transaction of several statements where a connection is kept for one (pgbouncer's words).
    pub fn statement_pooling() -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "transaction blocks not allowed in statement pooling mode",
        )
        .hint("The tenant's pool_mode decides; each statement is a transaction of its own.")
    }

    /// No upstream connection within the wait limit.
    pub fn no_upstream(tenant: &str) -> Self {
        Self::new(
            Blame::Upstream,
            SqlState::CANNOT_CONNECT_NOW,
            format!("could not connect to the server of database \"{tenant}\""),
        )
        .detail("Nothing was sent. A ticket that is approved stays approved.")
    }

    /// All connections stayed busy for the wait limit.
    pub fn pool_exhausted(tenant: &str) -> Self {
        Self::new(
            Blame::Upstream,
            SqlState::TOO_MANY_CONNECTIONS,
            format!("no connection to the server of database \"{tenant}\" became free in time"),
        )
        .detail("Nothing was sent. A ticket that is approved stays approved.")
    }

    /// The upstream refused the session's settings.
    pub fn settings(message: &str) -> Self {
        Self::new(Blame::Client, SqlState::INVALID_PARAMETER_VALUE, message)
            .detail("A setting of the startup packet was refused by the server.")
    }

    /// The fence around an unsigned read could not be put up or taken down.
    pub fn fence(message: &str) -> Self {
        Self::new(
            Blame::Upstream,
            SqlState::INTERNAL,
            "the read could not be fenced",
        )
        .detail(format!("The server said: {message}."))
    }

    /// The upstream went away before anything was sent for this statement.
    pub fn upstream_lost() -> Self {
        Self::new(
            Blame::Upstream,
            SqlState::CONNECTION_FAILURE,
            "server closed the connection unexpectedly",
        )
        .fatal()
    }

    /// The upstream went away after a signed statement was sent.
    pub fn in_doubt(ticket: TicketId) -> Self {
        Self::new(
            Blame::Upstream,
            sqlstate::IN_DOUBT,
            format!("contact with the server was lost while ticket {ticket} ran"),
        )
        .detail("It may or may not have run; it is in doubt and will not be sent again.")
        .fatal()
    }

    /// The upstream said something that the protocol does not allow.
    pub fn upstream_protocol() -> Self {
        Self::new(
            Blame::Upstream,
            SqlState::PROTOCOL_VIOLATION,
            "the server sent a message that the protocol does not allow here",
        )
        .fatal()
    }

    /// The ticket store does not answer.
    pub fn store_down() -> Self {
        Self::new(
            Blame::Gate,
            sqlstate::CLOSED,
            "the gate is closed: no ticket store",
        )
        .detail("Nothing was sent.")
    }

    /// The journal cannot be written.
    pub fn journal_down(why: gate::JournalDown) -> Self {
        let message = format!("the gate is closed: {why}");
        Self::new(Blame::Gate, sqlstate::CLOSED, message).detail("Nothing was sent.")
    }

    /// A session in clear text where TLS is wanted.
    pub fn no_encryption() -> Self {
        let message = "no encryption: the gate takes sessions over SSL only";
        Self::new(Blame::Client, SqlState::INVALID_AUTHORIZATION, message)
            .hint("Connect with sslmode=require or stronger.")
            .fatal()
    }

    /// The gate is shutting down.
    pub fn shutdown(ticket: Option<TicketId>) -> Self {
        let message = "terminating connection due to administrator command";
        let fault = Self::new(Blame::Gate, SqlState::ADMIN_SHUTDOWN, message).fatal();
        match ticket {
            Some(ticket) => fault.detail(format!(
                "Ticket {ticket} stays: once it is approved, the same statement runs at once."
            )),
            None => fault,
        }
    }

    // --- the console's ---

    /// A console command that could not be read.
    pub fn console_syntax(expected: impl Into<String>) -> Self {
        Self::new(
            Blame::Client,
            SqlState::SYNTAX_ERROR,
            "unknown console command",
        )
        .hint(expected.into())
    }

    /// The console speaks the simple protocol only.
    pub fn console_extended() -> Self {
        Self::new(
            Blame::Client,
            SqlState::FEATURE_NOT_SUPPORTED,
            "the console does not take prepared statements",
        )
        .hint("Send the command as a simple query, as psql does.")
    }

    /// A console command that this principal may not give.
    pub fn forbidden(forbidden: &gate::Forbidden) -> Self {
        Self::new(
            Blame::Client,
            SqlState::INSUFFICIENT_PRIVILEGE,
            forbidden.message.clone(),
        )
        .hint(forbidden.hint.clone())
    }

    /// A console command about a ticket where it cannot be done.
    pub fn ticket(message: impl Into<String>) -> Self {
        Self::new(
            Blame::Client,
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            message,
        )
    }
}
