//! What a session is told: by its client, by its upstream, and by the driver in answer to an
//! effect. Everything that can happen is one of these; a state that does not expect one says so.

use std::sync::Arc;

use bytes::BytesMut;
use gate::policy::Denial;
use gate::ticket::TimeOuts;
use gate::{
    Apart, Clearance, NotClaimed, Principal, Released, Settings, Surface, TenantId, Ticket,
    TicketId,
};
use sql::Reading;
use wire::frame::Frame;
use wire::scram::Verifier;

use crate::fault::Fault;
use crate::mode::PoolMode;

/// One thing that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The client sent something; it is in the inbox.
    ClientBytes,
    /// One whole message of the client, cut from the inbox by the session itself.
    Frame(Frame),
    /// The client is gone, or said that it goes.
    ClientGone,
    /// Somebody with the session's key asked to cancel.
    Cancel,
    /// The person ends this session from another one.
    Terminate,
    /// The gate ends this session, and says why.
    Dismiss(Box<Fault>),
    /// Who is at the other end, with the groups that count for them by now.
    Regrouped(Arc<Principal>),
    /// The tenant leads elsewhere by now: what a new session of it is told. It comes in answer to `Effect::Read` or
    /// `Effect::Checkout`, before that is answered, and only while nothing is borrowed.
    Moved(Admission),
    /// Time has passed.
    Tick,
    /// The gate is shutting down.
    Drain,
    /// The answer to `Effect::Lookup`.
    Account(Account),
    /// The answer to `Effect::Admit`.
    Admitted(Result<Admission, Fault>),
    /// The answer to `Effect::Read`.
    Readings(Vec<Arc<Reading>>),
    /// The answer to `Effect::Read` where nobody knows what texts would mean: they are refused.
    Unread(Box<Fault>),
    /// The answer to `Effect::Ask`.
    Verdict(Verdict),
    /// The answer to `Effect::Signal`: whether it was sent.
    Signalled(bool),
    /// What became of a ticket that the session waits for.
    News(TicketId, News),
    /// The answer to `Effect::Checkout`.
    Leased(Result<Leased, Fault>),
    /// Bytes of the upstream; what is not consumed stays in the buffer.
    Upstream(&'a mut BytesMut),
    /// The upstream closed its connection.
    UpstreamGone,
    /// The answer to `Effect::Claim`.
    Claimed(Result<Released, NotClaimed>),
    /// The answer to `Effect::Write`.
    Written(Result<(), gate::JournalDown>),
    /// The answer to `Effect::Settle`; an error leaves the tickets to recovery.
    Settled(Result<(), gate::tickets::StoreError>),
    /// The answer to `Effect::Console`.
    Console(Result<TableReply, Fault>),
}

/// What is known of a user name. Of an unknown one only a decoy, so that both take the same path.
#[derive(Debug)]
pub struct Account {
    /// What the password is checked against.
    pub verifier: Verifier,
    /// Who it is, or nobody.
    pub principal: Option<Arc<Principal>>,
    /// Where they are going, if they may.
    pub destination: Option<Destination>,
}

/// Where a login leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To a tenant.
    Tenant(TenantId),
    /// To the console.
    Console,
    /// Nowhere: the host that the client asked for is another tenant's.
    AnotherHost,
}

/// What a new session of a tenant must be told and know.
#[derive(Clone, Debug)]
pub struct Admission {
    /// ParameterStatus values of the upstream.
    pub parameters: Arc<Settings>,
    /// The upstream cluster's identifier.
    pub system_identifier: Arc<str>,
    /// The upstream role as configured.
    pub role: Arc<str>,
    /// The search_path that its connections begin with, where the gate sets one.
    pub search_path: Option<Arc<str>>,
    /// How long the session keeps a connection.
    pub mode: PoolMode,
    /// Whether what is held waits on the wire, unless the session says otherwise.
    pub waits: bool,
}

/// What the gate says to a request.
#[derive(Debug)]
pub enum Verdict {
    /// It may be claimed now: a rule lets it pass, or an approved ticket was there.
    Clear(Clearance),
    /// It may be claimed now, and nobody has signed for it: a rule of break-glass lets it pass as this ticket.
    Broken(Clearance, Box<Ticket>),
    /// It waits for people.
    Held(Box<Ticket>),
    /// Its first part is asked for by itself, and then the rest.
    Apart(Apart),
    /// What it was read against has changed: it is to be read and asked for again.
    Again,
    /// A rule denies it.
    Denied(Denial),
    /// The gate cannot say.
    Unavailable(Fault),
}

/// What became of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Enough people have signed; it may wait for a lock, and run, so long.
    Approved(TimeOuts),
    /// Somebody said something, and it still waits.
    Said(Box<Ticket>),
    /// Somebody said no.
    Rejected {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// It was withdrawn.
    Withdrawn,
    /// Its time was over.
    Expired,
    /// Its tenant leads elsewhere by now, where it is not good.
    Moved,
}

/// An upstream connection that was borrowed.
#[derive(Debug, Default)]
pub struct Leased {
    /// What is on it now.
    pub surface: Box<Surface>,
    /// The server's process id for it, where it said one.
    pub pid: Option<u32>,
}

/// A table for a console client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableReply {
    /// Column names.
    pub columns: Vec<&'static str>,
    /// Rows of text.
    pub rows: Vec<Vec<Option<String>>>,
    /// Command tag.
    pub tag: String,
}
