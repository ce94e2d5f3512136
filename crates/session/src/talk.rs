//! What a session knows while it talks: who, where, what it may still owe, what it borrowed. The
//! states work on it; it decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use gate::{Context, Digest, Form, Principal, Request, Settings, TenantId, Work};
use sql::{Class, Control, Reading};
use wire::CancelKey;
use wire::backend::{Status, encode};

use crate::effect::{Disposition, Effect};
use crate::fault::Fault;
use crate::heard::Heard;
use crate::names::{Names, Portals};
use crate::transaction::{Spent, Transaction};

/// Limits and intervals of a session; the configuration fills them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message that must be decided; `request_bytes_max`.
    pub request_bytes_max: usize,
    /// Messages of one batch.
    pub pipeline_max: usize,
    /// Bytes that a client may send ahead while it waits.
    pub ahead_bytes_max: usize,
    /// How often a held client hears that it still waits.
    pub heartbeat: Duration,
    /// How long a hold may last in a transaction that has done work.
    pub budget: Duration,
    /// How long a login may take.
    pub login: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes_max: 16 * 1024 * 1024,
            pipeline_max: 10_000,
            ahead_bytes_max: 64 * 1024,
            heartbeat: Duration::from_secs(15),
            budget: Duration::from_mins(1),
            login: Duration::from_secs(15),
        }
    }
}

/// The client's side of a session: bytes in, bytes out, and what is to be done.
#[derive(Debug, Default)]
pub(crate) struct Io {
    pub(crate) inbox: BytesMut,
    pub(crate) out: BytesMut,
    pub(crate) effects: VecDeque<Effect>,
}

impl Io {
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn error(&mut self, fault: &Fault) {
        encode::error_response(&fault.fields, &mut self.out);
    }

    pub(crate) fn ready(&mut self, status: Status) {
        encode::ready_for_query(status, &mut self.out);
    }
}

/// Who is at the other end; fixed for the life of a session.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The session's own number.
    pub session: u64,
    /// The key that cancels what it does; ours, never the upstream's.
    pub key: CancelKey,
    /// Where it comes from.
    pub client: Arc<str>,
}

/// Parameter values that the client was told, so that it is told only what changed.
pub(crate) type Told = BTreeMap<String, String>;

/// An extended segment that is open upstream: something was sent and its Sync was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) fence: Fence,
    /// An error came: the server skips up to the Sync.
    pub(crate) failed: bool,
}

/// What the server is told around an unsigned read, so that it refuses writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Nothing: it was signed, or everything may pass.
    None,
    /// A READ ONLY transaction of its own.
    Transaction,
    /// A savepoint and a local READ ONLY, within the client's transaction.
    Savepoint,
    /// A READ ONLY transaction with short time-outs, around a look.
    Look,
}

/// Something that was sent in the open segment, whose fate the next ReadyForQuery decides.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Number of its intent.
    pub(crate) number: u64,
    /// The ticket that was spent on it.
    pub(crate) spent: Option<Spent>,
    /// It may have ended the client's transaction.
    pub(crate) may_commit: bool,
    /// Transaction control in front of the first thing in it that does work.
    pub(crate) before: Vec<Control>,
    /// Transaction control behind that.
    pub(crate) after: Vec<Control>,
}

/// The conversation of a logged-in session.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) peer: Peer,
    pub(crate) limits: Arc<Limits>,
    pub(crate) principal: Arc<Principal>,
    pub(crate) tenant: TenantId,
    pub(crate) settings: Arc<Settings>,
    pub(crate) system_identifier: Arc<str>,
    pub(crate) role: Arc<str>,
    pub(crate) names: Names,
    pub(crate) portals: Portals,
    pub(crate) transaction: Transaction,
    pub(crate) segment: Option<Segment>,
    pub(crate) told: Told,
    /// Whether an upstream connection is borrowed now.
    pub(crate) leased: bool,
    /// Digest of what changed the session's state, in order. While there is any, the session keeps
    /// its upstream connection to itself.
    pub(crate) pinned: Option<Digest>,
    /// What ran on the borrowed connection may have left something.
    pub(crate) tainted: bool,
    pub(crate) intents: u64,
    /// What was sent since the last ReadyForQuery.
    pub(crate) sent: Vec<Sent>,
    /// What was heard since then, up to the last Flush.
    pub(crate) heard: Heard,
}

impl Talk {
    pub(crate) fn status(&self) -> Status {
        self.transaction.status()
    }

    /// The request that `work` is, here and now.
    pub(crate) fn request(&self, work: Work, readings: Vec<Arc<Reading>>) -> Request {
        let context = Context {
            tenant: self.tenant.clone(),
            system_identifier: Arc::clone(&self.system_identifier),
            principal: self.principal.id.clone(),
            role: Arc::clone(&self.role),
            settings: Arc::clone(&self.settings),
            state: self.pinned,
            isolation: self.transaction.isolation(),
            in_transaction: self.transaction.is_open(),
        };
        Request {
            principal: Arc::clone(&self.principal),
            context,
            work,
            readings,
            client: Arc::clone(&self.peer.client),
        }
    }

    /// Notes what running `request` may leave behind on its upstream connection. Only a proven read
    /// leaves nothing; whatever may change the session's own state keeps the connection with it.
    pub(crate) fn taint(&mut self, request: &Request) {
        let mut pins = false;
        for statement in request.statements() {
            let shows = statement.class == Class::Session && statement.why.starts_with("shows ");
            let harmless = shows || matches!(statement.class, Class::Read | Class::Transaction);
            self.tainted |= !harmless;
            pins |= match statement.class {
                Class::Ddl | Class::Admin | Class::Opaque => true,
                Class::Session => !shows,
                _ => false,
            };
        }
        if pins {
            let mut chain = self
                .pinned
                .map_or_else(Vec::new, |it| it.as_bytes().to_vec());
            chain.extend_from_slice(request.digest().as_bytes());
            self.pinned = Some(Digest::of(&chain));
        }
    }

    /// Gives the upstream connection back where nothing needs it any more.
    pub(crate) fn checkin_if_free(&mut self, io: &mut Io) {
        if self.leased && !self.needs_lease() {
            self.release_lease(io);
        }
    }

    /// Whether something lives on the borrowed connection that no other one has.
    pub(crate) fn needs_lease(&self) -> bool {
        self.pinned.is_some() || self.segment.is_some() || self.transaction.has_upstream()
    }

    /// Gives the upstream connection back, whatever it is in the middle of.
    pub(crate) fn release_lease(&mut self, io: &mut Io) {
        if !self.leased {
            return;
        }
        let clean = !self.tainted && !self.needs_lease();
        io.effect(Effect::Checkin(if clean {
            Disposition::Clean
        } else {
            Disposition::Close
        }));
        self.leased = false;
        self.tainted = false;
        self.segment = None;
        self.portals.clear();
    }

    /// How a released Query string goes up. What a rule let pass goes through Parse, which can only
    /// be one statement; what people signed, and what may be anything, goes as it came.
    pub(crate) fn form(request: &Request, fence: Fence) -> Form {
        let whole = request
            .statements()
            .any(|it| matches!(it.class, Class::CopyIn | Class::Opaque));
        let control = request
            .statements()
            .all(|it| it.class == Class::Transaction);
        if fence != Fence::None || (request.single() && !whole && !control) {
            Form::Parse
        } else {
            Form::Query
        }
    }
}
