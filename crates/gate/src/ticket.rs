//! A ticket: a permission that people give, and the table of what may become of it (DESIGN
//! section 5). Pure data and pure functions; the store makes each transition one compare-and-set.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::policy::Need;
use crate::principal::{Group, PrincipalId, TenantId};

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

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Where a ticket stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum State { $($(#[$doc])* $name),+ }

        impl State {
            /// Every state.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word for it, in the store and on screens.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

states! {
    /// People have not decided.
    Pending = "pending",
    /// Enough people have signed; it is good for one claim.
    Approved = "approved",
    /// Claimed: it is spent, and what came of it is not known yet.
    Executing = "executing",
    /// It ran.
    Done = "done",
    /// It ran and the server refused it.
    Failed = "failed",
    /// It ran in a transaction that was rolled back.
    RolledBack = "rolled_back",
    /// It was sent and nobody knows what came of it.
    InDoubt = "in_doubt",
    /// Somebody said no.
    Rejected = "rejected",
    /// The requester took it back.
    Withdrawn = "withdrawn",
    /// Nobody decided, or nobody used it, in time.
    Expired = "expired",
    /// What it was bound to is gone.
    Void = "void",
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .iter()
            .find(|state| state.as_str() == text)
            .copied();
        found.ok_or_else(|| format!("\"{text}\" is not a ticket state"))
    }
}

/// What can happen to a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The last approval that it needed.
    Approve,
    /// A rejection, which is final.
    Reject,
    /// The requester takes it back.
    Withdraw,
    /// Its time is over.
    Expire,
    /// What it was bound to is gone.
    Void,
    /// It is spent.
    Claim,
    /// It was spent and provably nothing of it remains: it was never sent, or the gate itself
    /// rolled it back (DESIGN rulings 1 and 3, and nothing else).
    Unclaim,
    /// The server confirmed it.
    Succeed,
    /// The server refused it.
    Fail,
    /// Its transaction was rolled back.
    RollBack,
    /// Contact was lost after it was sent.
    Doubt,
}

impl Event {
    /// Every event.
    pub const ALL: &[Self] = &[
        Self::Approve,
        Self::Reject,
        Self::Withdraw,
        Self::Expire,
        Self::Void,
        Self::Claim,
        Self::Unclaim,
        Self::Succeed,
        Self::Fail,
        Self::RollBack,
        Self::Doubt,
    ];

    /// The transition table: from which states, to which.
    pub fn transition(self) -> (&'static [State], State) {
        use State::{
            Approved, Done, Executing, Expired, Failed, InDoubt, Pending, Rejected, RolledBack,
            Void, Withdrawn,
        };
        match self {
            Self::Approve => (&[Pending], Approved),
            Self::Reject => (&[Pending, Approved], Rejected),
            Self::Withdraw => (&[Pending, Approved], Withdrawn),
            Self::Expire => (&[Pending, Approved], Expired),
            Self::Void => (&[Pending, Approved], Void),
            Self::Claim => (&[Approved], Executing),
            Self::Unclaim => (&[Executing], Approved),
            Self::Succeed => (&[Executing], Done),
            Self::Fail => (&[Executing], Failed),
            Self::RollBack => (&[Executing], RolledBack),
            Self::Doubt => (&[Executing], InDoubt),
        }
    }

    /// What becomes of a ticket in `state`, or `None` where the event cannot happen to it.
    pub fn apply(self, state: State) -> Option<State> {
        let (from, to) = self.transition();
        from.contains(&state).then_some(to)
    }
}

/// One person's word on a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: PrincipalId,
    /// The groups that they were in then.
    pub groups: Vec<Group>,
    /// Yes or no.
    pub approve: bool,
    /// What they said.
    pub comment: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// What is still missing: of each need the number of approvals that people have not given yet. A person
/// counts once, for one group of theirs; the requester never counts (R102).
pub fn missing(needs: &[Need], requester: &PrincipalId, decisions: &[Decision]) -> Vec<Need> {
    let mut people: BTreeMap<&PrincipalId, &[Group]> = BTreeMap::new();
    for decision in decisions {
        if decision.approve && decision.by != *requester {
            people.insert(&decision.by, &decision.groups);
        }
    }
    let people: Vec<&[Group]> = people.into_values().collect();
    unmet(needs, &people)
}

/// What of `needs` people who are in these groups cannot sign for, all of them together. Nobody signs for
/// two groups: who does so for which is chosen so that the least is left.
pub fn unmet(needs: &[Need], people: &[&[Group]]) -> Vec<Need> {
    let mut table = Table {
        needs,
        people,
        signed: vec![Vec::new(); needs.len()],
    };
    for person in 0..people.len() {
        table.place(person, &mut vec![false; needs.len()]);
    }
    let left = needs.iter().zip(&table.signed).map(|(need, signed)| {
        let signed = u32::try_from(signed.len()).unwrap_or(u32::MAX);
        Need {
            group: need.group.clone(),
            approvals: need.approvals.max(1).saturating_sub(signed),
        }
    });
    left.filter(|need| need.approvals > 0).collect()
}

/// Who signs for which need.
struct Table<'a> {
    needs: &'a [Need],
    people: &'a [&'a [Group]],
    signed: Vec<Vec<usize>>,
}

impl Table<'_> {
    /// Finds a need for somebody, and for whoever must give way another; `asked` are the needs that were
    /// looked at for that. The search ends, since each is looked at once.
    fn place(&mut self, person: usize, asked: &mut [bool]) -> bool {
        for (at, need) in self.needs.iter().enumerate() {
            let theirs = self
                .people
                .get(person)
                .is_some_and(|it| it.contains(&need.group));
            let (Some(asked_here), true) = (asked.get_mut(at), theirs) else {
                continue;
            };
            if std::mem::replace(asked_here, true) {
                continue;
            }
            let signed = self.signed.get(at).cloned().unwrap_or_default();
            let room = u32::try_from(signed.len()).is_ok_and(|it| it < need.approvals.max(1));
            let gives_way = || signed.into_iter().find(|it| self.place(*it, asked));
            let other = if room { None } else { gives_way() };
            if (room || other.is_some())
                && let Some(signed) = self.signed.get_mut(at)
            {
                signed.retain(|it| Some(*it) != other);
                signed.push(person);
                return true;
            }
        }
        false
    }
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
    /// When it was asked, in milliseconds since 1970.
    pub created_ms: i64,
    /// Until when it can be decided, or once approved be used.
    pub expires_ms: i64,
    /// What people said.
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
