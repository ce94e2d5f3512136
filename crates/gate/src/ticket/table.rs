//! The table of what may become of a ticket (DESIGN section 5): its states, and the events that lead from one to another.
//! Pure; the store makes each transition one compare-and-set.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// It was in doubt, and provably has not run and never will.
    Fenced = "fenced",
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
    /// What was approved is not any more: somebody took their word back, or it counts no longer.
    Reopen,
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
    /// As often as it was granted.
    Exhaust,
    /// Somebody has looked at what ran before anybody had signed.
    Close,
    /// It was in doubt, and it did run.
    Confirm,
    /// It was in doubt, and it has not run and cannot any more.
    Fence,
}

impl Event {
    /// Every event.
    pub const ALL: &[Self] = &[
        Self::Approve,
        Self::Reopen,
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
        Self::Exhaust,
        Self::Close,
        Self::Confirm,
        Self::Fence,
    ];

    /// The transition table: from which states, to which.
    pub fn transition(self) -> (&'static [State], State) {
        use State::{
            Approved, Done, Executing, Expired, Failed, Fenced, InDoubt, Pending, Rejected,
            RolledBack, Void, Withdrawn,
        };
        match self {
            Self::Approve => (&[Pending], Approved),
            Self::Reopen => (&[Approved], Pending),
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
            Self::Exhaust => (&[Approved], Done),
            Self::Close => (&[Pending], Done),
            Self::Confirm => (&[InDoubt], Done),
            Self::Fence => (&[InDoubt], Fenced),
        }
    }

    /// What becomes of a ticket in `state`, or `None` where the event cannot happen to it.
    pub fn apply(self, state: State) -> Option<State> {
        let (from, to) = self.transition();
        from.contains(&state).then_some(to)
    }
}
