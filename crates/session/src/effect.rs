//! What a session wants done. The driver carries effects out in order and answers those that have
//! an answer with the input named at each.

use std::sync::Arc;

use bytestring::ByteString;
use gate::ticket::ClaimId;
use gate::{
    Cargo, Clearance, Disposition, Entry, Event, Outcome, Principal, Request, Settings, Surface,
    TicketId,
};

use crate::command::ConsoleCommand;

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Find the account of a user: answered by `Input::Account`.
    Lookup {
        /// User name of the startup packet.
        user: ByteString,
        /// Database of the startup packet.
        database: ByteString,
    },
    /// Get what a new session must be told: answered by `Input::Admitted`.
    Admit {
        /// Whose it is.
        principal: Arc<Principal>,
        /// The settings that it brings.
        login: Arc<Settings>,
    },
    /// Read these texts: answered by `Input::Readings`, in order.
    Read(Vec<ByteString>),
    /// Ask the gate: answered by `Input::Verdict`.
    Ask(Arc<Request>),
    /// Signal the session that clients know by this process id, if it is of the same person:
    /// answered by `Input::Signalled`.
    Signal {
        /// The gate's process id for it, or the server's where one is lent to it.
        pid: u32,
        /// Ends it, and not only what it does.
        terminates: bool,
    },
    /// Borrow an upstream connection: answered by `Input::Leased`.
    Checkout(Checkout),
    /// Spend a clearance: answered by `Input::Claimed`. It must be carried to its end even if the
    /// client is gone.
    Claim(Clearance),
    /// Write this and make it durable: answered by `Input::Written`.
    Write(Entry),
    /// Write this in its turn; nobody waits.
    Note(Entry),
    /// Load these on the leased upstream, in one write.
    Load(Vec<Cargo>),
    /// Record how claims ended: answered by `Input::Settled`.
    Settle(Settlement),
    /// Stop waiting for a ticket: once for each `Verdict::Held`, at the latest before its `Claim`.
    Leave {
        /// The ticket.
        ticket: TicketId,
        /// Whether the ticket is withdrawn if this was its last waiter.
        withdraw: bool,
    },
    /// The session runs this script no more: what it has begun of it and not ended has failed.
    Abandon(TicketId),
    /// Give the upstream connection back, in this condition, with this on it.
    Checkin(Disposition, Box<Surface>),
    /// Ask the server to cancel what runs on the leased upstream.
    CancelUpstream,
    /// Carry out a console command: answered by `Input::Console`.
    Console(ConsoleCommand),
    /// Flush what is in the output and close the client connection.
    Close,
}

/// Which connection is wanted.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// Of which login.
    pub lane: Lane,
    /// One that logged in with exactly these settings, and not one that has none of its own: the
    /// session keeps it, and RESET goes back to them.
    pub login: Option<Arc<Settings>>,
    /// What it is for, where that only reads: another server that has the same may serve it.
    pub reads: Option<Arc<Request>>,
}

/// The logins of a tenant (DESIGN ruling 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// For what passes unsigned and only reads.
    Read,
    /// For everything else.
    Write,
}

/// How claims ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The claims.
    pub claims: Vec<(TicketId, ClaimId)>,
    /// What happened to them.
    pub event: Event,
    /// What the server said.
    pub outcome: Option<Outcome>,
}
