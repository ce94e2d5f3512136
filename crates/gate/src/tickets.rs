//! The trait of a ticket store. Every transition is one compare-and-set on the store's own clock,
//! durable when the future resolves (hazards R79, R100). Dropping a future does not undo what it
//! asked: the store finishes it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use sql::Class;

use crate::digest::Digest;
use crate::ledger::{Fate, Key, Nonce, Place};
use crate::policy::Need;
use crate::principal::{Group, People, PrincipalId, TenantId};
use crate::ticket::{
    Asked, ClaimId, Event, Facts, Outcome, Say, Scope, State, Ticket, TicketId, TimeOuts,
};

/// A store that could not do what was asked. The gate is then closed for whatever needs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, or could not write.
    #[error("the ticket store is not available")]
    Unavailable(String),
    /// There is no such ticket.
    #[error("ticket {0} does not exist")]
    NoSuchTicket(TicketId),
    /// The ticket stands where this cannot happen to it.
    #[error("ticket {id} is {state}")]
    WrongState {
        /// The ticket.
        id: TicketId,
        /// Where it stands.
        state: State,
    },
    /// There is no ticket for it, and none may be made.
    #[error("there is no ticket for it")]
    Absent,
    /// As many tickets as may wait already.
    #[error("too many tickets of {whose} wait already")]
    TooMany {
        /// Whose.
        whose: Whose,
        /// How many may.
        max: u32,
    },
    /// It is not the statement of the script whose turn it is.
    #[error("it is not the next statement of script {id}")]
    NotNext {
        /// The script.
        id: TicketId,
        /// Its next statement; none where all have run.
        expected: Option<String>,
    },
    /// Somebody tried to sign for themselves.
    #[error("ticket {0} cannot be approved by its own requester")]
    OwnTicket(TicketId),
    /// The person's word does not count for this ticket.
    #[error("ticket {0} needs no approval from any group of yours")]
    NotAsked(TicketId),
}

/// Whose tickets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of one person.
    Person,
    /// Those of all at one tenant.
    Tenant,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person => "one person",
            Self::Tenant => "one tenant",
        })
    }
}

/// A request to open a ticket.
#[derive(Clone, Debug)]
pub struct NewTicket {
    /// What it is to let happen.
    pub scope: Scope,
    /// It may only be found: no ticket is made for it.
    pub must_exist: bool,
    /// The classes of the statements in it.
    pub classes: Vec<Class>,
    /// Identity of the request.
    pub digest: Digest,
    /// The tenant.
    pub tenant: TenantId,
    /// Who asks.
    pub requester: PrincipalId,
    /// The strongest class in it.
    pub class: String,
    /// The rule that holds it.
    pub rule: String,
    /// Why, in words.
    pub why: String,
    /// The approvals it needs.
    pub needs: Vec<Need>,
    /// What would run.
    pub asked: Vec<Asked>,
    /// The upstream role.
    pub role: String,
    /// In an explicit transaction, or by itself.
    pub in_transaction: bool,
    /// Where the client comes from.
    pub client: String,
    /// Why it is to run, in the requester's words.
    pub reason: Option<String>,
    /// How long it may wait for a lock, and run.
    pub time_outs: TimeOuts,
    /// What it does, for those who sign.
    pub facts: Facts,
    /// How long people have to decide, where not as long as the store gives them.
    pub decide_within_ms: Option<i64>,
    /// How long it may be used once it is approved, likewise.
    pub use_within_ms: Option<i64>,
}

/// What opening came to.
#[derive(Clone, Debug)]
pub enum Opened {
    /// An approved ticket of the same person, bytes and context was there.
    Approved(Ticket),
    /// It waits; a pending ticket of the same request is shared (DESIGN ruling 18).
    Pending(Ticket),
}

/// A person's word, with what authorisation found about them.
#[derive(Clone, Debug)]
pub struct Word {
    /// Who.
    pub by: PrincipalId,
    /// Their groups now.
    pub groups: Vec<Group>,
    /// What.
    pub say: Say,
    /// In their own words.
    pub comment: Option<String>,
    /// With a yes: what it runs with is to be no longer than this.
    pub narrows: TimeOuts,
}

/// One use of a ticket.
#[derive(Clone, Debug)]
pub struct Use {
    /// Identity of the request.
    pub digest: Digest,
    /// Where.
    pub tenant: TenantId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// The classes of the statements in it.
    pub classes: Vec<Class>,
    /// In an explicit transaction, or by itself.
    pub in_transaction: bool,
    /// The statement of a script that it is.
    pub step: Option<Step>,
    /// The ledger of which a row is to go up with it.
    pub ledger: Option<Place>,
}

/// One statement of a script, as it is sent.
#[derive(Clone, Debug)]
pub struct Step {
    /// The connection that runs the script.
    pub holder: Arc<str>,
    /// Its text.
    pub text: ByteString,
}

/// A use that nobody knows the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The ticket.
    pub ticket: TicketId,
    /// The use of it.
    pub claim: ClaimId,
    /// In an explicit transaction, or by itself.
    pub in_transaction: bool,
}

/// A use that is in doubt, and has a row in the ledger of its tenant unless it never ran.
#[derive(Clone, Debug)]
pub struct Doubt {
    /// The ticket.
    pub ticket: TicketId,
    /// The use of it.
    pub claim: ClaimId,
    /// Where it was to run.
    pub tenant: TenantId,
    /// The row.
    pub key: Key,
    /// The ledger that it would be in.
    pub place: Place,
}

/// What an approval must still be worth when it is spent: who must sign as the rules stand now, and who is in which
/// group now.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The approvals that the rules ask for now, beyond those that the ticket was opened with.
    pub needs: Vec<Need>,
    /// Everybody.
    pub people: Arc<People>,
    /// Whether a rule lets the requester run it before anybody signs.
    pub breaks_glass: bool,
}

/// What a claim came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The ticket is spent; with the right to lay down its row, where it is to have one.
    Spent(ClaimId, Option<Nonce>),
    /// What people said is not enough any more: it waits again, for those who are missing now.
    Reopened(Box<Ticket>),
}

/// The gate, closed to all but reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAll {
    /// By whom.
    pub by: PrincipalId,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Which tickets to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these states; all if empty.
    pub states: Vec<State>,
    /// Only those that this person asked for.
    pub requester: Option<PrincipalId>,
    /// At most so many, newest first.
    pub limit: u32,
}

/// What a store of tickets can do.
pub trait Tickets {
    /// Finds an approved ticket of the same digest, requester and tenant, a grant that covers the request, or a pending
    /// ticket, or makes one. What breaks the glass is approved at once, and so is a ticket for its review opened.
    fn open(&self, new: NewTicket) -> impl Future<Output = Result<Opened, StoreError>>;

    /// Adds a person's word to each of these, or to none; a ticket moves when that was the last one needed, or one that takes
    /// back what was said, or a rejection.
    fn decide(
        &self,
        ids: Vec<TicketId>,
        word: Word,
    ) -> impl Future<Output = Result<Vec<Ticket>, StoreError>>;

    /// Spends an approved, unexpired ticket of exactly this digest, if the words on it still count:
    /// `approved -> executing`. A grant that covers the use stays approved.
    fn claim(
        &self,
        id: TicketId,
        once: Use,
        standing: Standing,
    ) -> impl Future<Output = Result<Claimed, StoreError>>;

    /// Records how claims ended, or puts them back ([`Event::Unclaim`]).
    fn settle(
        &self,
        claims: Vec<(TicketId, ClaimId)>,
        event: Event,
        outcome: Option<Outcome>,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// Takes tickets back, or none of them.
    fn withdraw(&self, ids: Vec<TicketId>)
    -> impl Future<Output = Result<Vec<Ticket>, StoreError>>;

    /// Ends a ticket by what was found out about it: [`Event::Void`], where its request may never run any more, and what
    /// resolves a doubt, [`Event::Confirm`] and [`Event::Fence`].
    fn conclude(
        &self,
        id: TicketId,
        event: Event,
        outcome: Option<Outcome>,
    ) -> impl Future<Output = Result<Ticket, StoreError>>;

    /// What is in doubt and can be looked up in a ledger, oldest first.
    fn doubts(&self) -> impl Future<Output = Result<Vec<Doubt>, StoreError>>;

    /// Ends a doubt by what a ledger says of it; of a grant that use alone, and the grant stays what it is.
    fn resolve(
        &self,
        ticket: TicketId,
        claim: ClaimId,
        fate: Fate,
    ) -> impl Future<Output = Result<Ticket, StoreError>>;

    /// Expires what is due and returns it.
    fn expire(&self) -> impl Future<Output = Result<Vec<Ticket>, StoreError>>;

    /// A connection that ran a script goes: what it had begun and not ended has failed.
    fn abandon(
        &self,
        id: TicketId,
        holder: Arc<str>,
    ) -> impl Future<Output = Result<Option<Ticket>, StoreError>>;

    /// Closes the gate to all but reads, or opens it again; what stood before is returned.
    fn hold_all(
        &self,
        held: Option<HeldAll>,
    ) -> impl Future<Output = Result<Option<HeldAll>, StoreError>>;

    /// Who has closed the gate, if somebody has.
    fn held_all(&self) -> impl Future<Output = Result<Option<HeldAll>, StoreError>>;

    /// One ticket.
    fn ticket(&self, id: TicketId) -> impl Future<Output = Result<Ticket, StoreError>>;

    /// Tickets, newest first.
    fn list(&self, filter: Filter) -> impl Future<Output = Result<Vec<Ticket>, StoreError>>;
}
