//! A ticket: a permission that people give (DESIGN section 5), what they said of it, and what they are shown. Pure data;
//! what may become of it is the table's.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::policy::Need;
use crate::principal::{Group, PrincipalId, TenantId};

mod needs;
mod scope;
mod table;
mod time_outs;

pub use needs::{missing, standing, still, together, unmet};
pub use scope::{Grant, Scope};
pub use table::{Event, State};
pub use time_outs::TimeOuts;

/// A ticket's number, shown as `T-42`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId(pub i64);

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T-{}", self.0)
    }
}

/// A text that names no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a ticket: expected a number such as T-42")]
pub struct NotATicket(String);

impl FromStr for TicketId {
    type Err = NotATicket;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text
            .strip_prefix("T-")
            .or_else(|| text.strip_prefix("t-"))
            .unwrap_or(text);
        match digits.parse::<i64>() {
            Ok(number) if number > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Self(number))
            }
            _ => Err(NotATicket(text.to_owned())),
        }
    }
}

/// Number of one claim of a ticket; each attempt has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(pub i64);

/// What somebody says of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    /// Yes.
    Approve,
    /// No, for good.
    Reject,
    /// Not like this: it takes back a yes of the same person, and the ticket waits.
    Changes,
    /// A remark, which changes nothing.
    Comment,
}

impl Say {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Reject, Self::Changes, Self::Comment];

    /// The word for it, in the store and the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Changes => "changes",
            Self::Comment => "comment",
        }
    }

    /// What was said, for people who read of it later.
    pub fn past(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Changes => "changes requested",
            Self::Comment => "comment",
        }
    }
}

impl FromStr for Say {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| format!("\"{text}\" is not said of tickets"))
    }
}

/// One person's word on a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: PrincipalId,
    /// The groups that they were in then, and were still in when that was last looked at.
    pub groups: Vec<Group>,
    /// What.
    pub say: Say,
    /// In their own words.
    pub comment: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// One parameter as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its type's OID; 0 where the client left it to the server.
    pub type_oid: u32,
    /// The text of a text-format value, `\x…` of a binary one, `None` for NULL.
    pub value: Option<ByteString>,
}

/// One text of a ticket with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The exact text.
    pub text: ByteString,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

/// What a request does, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The relations that it reads from, those behind a view included.
    pub reads: Vec<Touched>,
    /// The relations that it changes, makes, locks or drops.
    pub writes: Vec<Touched>,
    /// The functions that it calls.
    pub functions: Vec<String>,
    /// Something in it cannot sit in a transaction (R86): what it did stays, whatever else fails.
    pub outside_transaction: bool,
    /// There is a ledger where it is to run, and no row of it can go with it: where contact is lost, people must find out what
    /// became of it.
    #[serde(default)]
    pub no_row: bool,
    /// It takes data from its client that nobody has seen.
    pub data_unseen: bool,
}

/// A relation, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Its name, as the text names it.
    pub relation: String,
    /// The groups that own it.
    pub owners: Vec<Group>,
}

/// How a claim ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Command tags in order.
    pub tags: Vec<Arc<str>>,
    /// SQLSTATE and message, where the server refused.
    pub error: Option<String>,
}

/// A ticket as the store keeps it and people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its number.
    pub id: TicketId,
    /// Where it stands.
    pub state: State,
    /// What it lets happen.
    pub scope: Scope,
    /// How often that has happened, or is happening.
    pub uses: u32,
    /// The tenant.
    pub tenant: TenantId,
    /// Who asked.
    pub requester: PrincipalId,
    /// The strongest class in it.
    pub class: String,
    /// The rule that held it.
    pub rule: String,
    /// Why, in words.
    pub why: String,
    /// The approvals that it needs in all.
    pub needs: Vec<Need>,
    /// What would run.
    pub asked: Vec<Asked>,
    /// SHA-256 over text, parameters and context, in hex.
    pub digest: String,
    /// The upstream role as whom it would run.
    pub role: String,
    /// In an explicit transaction, or by itself.
    pub in_transaction: bool,
    /// Where the client came from.
    pub client: String,
    /// Why it is to run, in the requester's words.
    pub reason: Option<String>,
    /// How long it may wait for a lock, and run.
    pub time_outs: TimeOuts,
    /// What it does.
    pub facts: Facts,
    /// When it was asked, in milliseconds since 1970.
    pub created_ms: i64,
    /// Until when it can be decided, or once approved be used.
    pub expires_ms: i64,
    /// What people said, in order.
    pub decisions: Vec<Decision>,
    /// An earlier ticket of the same bytes, if there was one.
    pub previous: Option<TicketId>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

impl Ticket {
    /// Who has yet to sign.
    pub fn missing(&self) -> Vec<Need> {
        missing(&self.needs, &self.requester, &self.decisions)
    }
}
