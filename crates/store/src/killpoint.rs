//! The steps of a signed statement, from checkout to checkin, at which a sweep ends the gate or its server. It never does
//! anything in a gate that was built without the feature `killpoints`, and none in release is built with it.

#[cfg(feature = "killpoints")]
mod armed;

#[cfg(feature = "killpoints")]
pub use armed::{flushed, loading, reached, replied, synced, written};

#[cfg(all(feature = "killpoints", not(debug_assertions)))]
compile_error!("a gate that ends itself is never built in release");

/// A step on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Before a connection is asked for.
    Checkout,
    /// A connection is lent.
    Lent,
    /// Before the store is asked for the claim.
    Claim,
    /// The claim is made, and not committed.
    ClaimMade,
    /// The claim is committed, and nobody has heard of it.
    Claimed,
    /// Before the journal is given the intent.
    Intent,
    /// The intent is in the file, and not synced.
    IntentWritten,
    /// The intent is on disk, and nobody has heard of it.
    IntentSynced,
    /// Before the bytes are loaded on the connection.
    Forward,
    /// The bytes are on their way to the server.
    Forwarded,
    /// The server has answered, and nobody has looked at it.
    Reply,
    /// Before the journal is given what came of it.
    Record,
    /// What came of it is in the file, and not synced.
    RecordWritten,
    /// What came of it is on disk, and nobody has heard of it.
    RecordSynced,
    /// Before the store is asked to settle the ticket.
    Settle,
    /// The ticket is settled, and that is not committed.
    SettleMade,
    /// That is committed, and nobody has heard of it.
    Settled,
    /// Before the connection goes back; the client may have heard that it may go on.
    Checkin,
    /// Before a ledger is asked what became of what is in doubt.
    Fence,
    /// The ledger has answered, and nobody has looked at it.
    Fenced,
    /// What it said is settled, and the journal has not heard of it.
    Resolved,
}

impl Step {
    /// Those of a statement, in order.
    pub const ALL: [Self; 18] = [
        Self::Checkout,
        Self::Lent,
        Self::Claim,
        Self::ClaimMade,
        Self::Claimed,
        Self::Intent,
        Self::IntentWritten,
        Self::IntentSynced,
        Self::Forward,
        Self::Forwarded,
        Self::Reply,
        Self::Record,
        Self::RecordWritten,
        Self::RecordSynced,
        Self::Settle,
        Self::SettleMade,
        Self::Settled,
        Self::Checkin,
    ];

    /// Those of a doubt, in order.
    pub const OF_A_DOUBT: [Self; 3] = [Self::Fence, Self::Fenced, Self::Resolved];

    /// The step before the journal is given this.
    pub fn before(entry: &gate::Entry) -> Self {
        match entry {
            gate::Entry::Intent { .. } => Self::Intent,
            _ => Self::Record,
        }
    }
}

/// The gate is at this step.
#[cfg(not(feature = "killpoints"))]
#[inline]
pub const fn reached(_: Step) {}

/// This is about to be loaded on a connection.
#[cfg(not(feature = "killpoints"))]
#[inline]
pub const fn loading(_: &[gate::Cargo]) {}

/// What was loaded is on its way.
#[cfg(not(feature = "killpoints"))]
#[inline]
pub const fn flushed() {}

/// The server has answered.
#[cfg(not(feature = "killpoints"))]
#[inline]
pub const fn replied() {}

/// These lines are in the journal's file.
#[cfg(not(feature = "killpoints"))]
#[inline]
pub const fn written(_: &[u8]) {}

/// What is in the journal's file is on disk.
#[cfg(not(feature = "killpoints"))]
#[inline]
pub const fn synced() {}
