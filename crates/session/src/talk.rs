//! What a session knows while it talks: who, where, what it may still owe, what it borrowed. The
//! states work on it; it decides nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use gate::{
    Cargo, Context, Disposition, Form, Look, Own, Principal, Request, Settings, Slot, Step,
    TenantId, Work,
};
use sql::{Control, Reading};
use wire::CancelKey;
use wire::backend::{Status, encode};

use crate::effect::Effect;
use crate::fault::Fault;
use crate::heard::Heard;
use crate::lent::{Lent, State};
use crate::mode::PoolMode;
use crate::names::{Names, Portals};
use crate::ours::Ours;
use crate::shape::{Close, Labels, Rest, Shape};
use crate::told::Told;
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

/// An extended segment that is open upstream: something was sent and its Sync was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) fence: Fence,
    /// What is in the fence must outlive it: a portal, a lock; or nothing can have been set in it.
    pub(crate) keeps: bool,
    /// An error came: the server skips up to the Sync.
    pub(crate) failed: bool,
}

/// What the server is told around an unsigned read, so that it refuses writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Nothing: it was signed, or everything may pass.
    None,
    /// Nothing but the connection, whose transactions are READ ONLY by default: nothing of the user's
    /// runs that could change that.
    Lane,
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
    /// It only looks around, unsigned: that it went well need not be said.
    pub(crate) looks_around: bool,
    /// Transaction control in front of the first thing in it that does work.
    pub(crate) before: Vec<Control>,
    /// Transaction control behind that.
    pub(crate) after: Vec<Control>,
    /// What the server answered to it.
    pub(crate) tags: Vec<Arc<str>>,
}

/// The conversation of a logged-in session.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) peer: Peer,
    pub(crate) limits: Arc<Limits>,
    pub(crate) principal: Arc<Principal>,
    pub(crate) tenant: TenantId,
    pub(crate) mode: PoolMode,
    /// The settings that it logged in with; what RESET goes back to.
    pub(crate) login: Arc<Settings>,
    /// Those that it has now, as far as they follow it from connection to connection.
    pub(crate) settings: Arc<Settings>,
    pub(crate) ours: Ours,
    pub(crate) system_identifier: Arc<str>,
    pub(crate) role: Arc<str>,
    pub(crate) search_path: Option<Arc<str>>,
    pub(crate) names: Names,
    pub(crate) portals: Portals,
    pub(crate) transaction: Transaction,
    pub(crate) segment: Option<Segment>,
    pub(crate) told: Told,
    /// The upstream connection that is borrowed now.
    pub(crate) lent: Option<Lent>,
    pub(crate) state: State,
    /// Settings of the login that the session's own connection has lost.
    pub(crate) restore: Option<Arc<Settings>>,
    /// What comes behind what is being answered; the next is the last.
    pub(crate) rest: Vec<Rest>,
    pub(crate) intents: u64,
    pub(crate) transactions_ended: u32,
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
            settings: gate::context::beginning_with(&self.settings, self.search_path.as_deref()),
            state: self.state.digest(),
            isolation: self.transaction.isolation(),
            in_transaction: self.transaction.is_open(),
        };
        let statements = readings.iter().flat_map(|reading| &reading.statements);
        let named = statements.filter_map(|it| self.names.behind(it.prepared.as_ref()?.name()?));
        let named = named.cloned().collect();
        Request {
            principal: Arc::clone(&self.principal),
            context,
            work,
            named,
            readings,
            client: Arc::clone(&self.peer.client),
            wish: Arc::clone(&self.ours.wish),
        }
    }

    /// Something failed: what comes behind it is not asked for. The Sync of a batch that is dropped
    /// has been read, and is answered by whoever skips.
    pub(crate) fn fail_rest(&mut self) {
        let synced = |it: &Rest| matches!(it, Rest::Ask(_, Shape::Batch(Close::Sync, _)));
        let synced = self.rest.iter().any(synced);
        self.rest.clear();
        if synced {
            let nothing = Work::Batch(Vec::new());
            let shape = Shape::Batch(Close::Sync, Labels::default());
            self.rest.push(Rest::Ask(nothing, shape));
        }
    }

    /// Whether something that people signed is on its way.
    pub(crate) fn has_signed(&self) -> bool {
        self.sent.iter().any(|it| it.spent.is_some())
    }

    /// Whether an upstream connection is borrowed now.
    pub(crate) fn leased(&self) -> bool {
        self.lent.is_some()
    }

    /// Whether the connection serves this client alone, so that statements have the client's names.
    pub(crate) fn alone(&self) -> bool {
        self.mode == PoolMode::Session || self.state.is_pinned()
    }

    /// Where the statements of these steps stand on the borrowed connection.
    pub(crate) fn place(&mut self, steps: &[Step]) -> Vec<Slot> {
        let alone = self.alone();
        self.parses();
        match &mut self.lent {
            Some(lent) => lent.surface.shelf.place(steps, alone),
            None => Vec::new(),
        }
    }

    /// Something is parsed under a shared name. What a literal means is settled then; under settings
    /// that are this transaction's alone the name says nothing of that.
    fn parses(&mut self) {
        if !self.alone() && self.state.is_unsettled() {
            self.state.soil(Disposition::Reset);
        }
    }

    /// Fetches statements that were parsed on another connection: those that the steps use, and those
    /// that SQL names (EXECUTE, DEALLOCATE), which it looks for under the client's own name (DESIGN
    /// ruling 13). What they return here must be what the client was told.
    pub(crate) fn fetch(&mut self, steps: &[Step], request: Option<&Request>) -> Vec<Cargo> {
        if self.segment.is_some() {
            return Vec::new();
        }
        let alone = self.alone();
        let Some(lent) = &mut self.lent else {
            return Vec::new();
        };
        let there = &mut lent.surface.shelf;
        let mut cargo = Vec::new();
        for step in steps {
            let (Step::Bind { statement, .. } | Step::DescribeStatement(statement)) = step else {
                continue;
            };
            let current = self.names.confirmed(&statement.name);
            if current.is_some_and(|it| Arc::ptr_eq(it, statement))
                && let Some(slot) = there.fetch(statement, alone)
            {
                cargo.push(Cargo::Look(Look::Parse(Arc::clone(statement), slot)));
            }
        }
        let mentions = request.into_iter().flat_map(Request::statements);
        for mention in mentions.filter_map(|it| it.prepared.as_ref()) {
            if let Some(statement) = mention.name().and_then(|name| self.names.confirmed(name))
                && let Some(slot) = there.fetch(statement, true)
            {
                // Its name is the client's: nobody else may find it there, whatever comes of this turn.
                self.state.soil(Disposition::Reset);
                cargo.push(Cargo::Look(Look::Parse(Arc::clone(statement), slot)));
            }
        }
        if cargo.is_empty() {
            return cargo;
        }
        // What a literal holds may run something as early as this, and nobody was asked.
        self.state.soil(Disposition::Tidy);
        let upstream = self.transaction.has_upstream();
        let mut fenced = Vec::new();
        match (upstream, self.transaction.has_failed()) {
            (true, true) => fenced.append(&mut cargo),
            (true, false) => {
                fenced.push(Cargo::Own(Own::SavepointOpen));
                fenced.append(&mut cargo);
                fenced.push(Cargo::Own(Own::SavepointUndo));
            }
            (false, _) => {
                fenced.push(Cargo::Own(Own::LookOpen));
                fenced.append(&mut cargo);
            }
        }
        fenced.push(Cargo::Sync);
        if !upstream {
            // Behind the Sync: also where a Parse has failed, and what is behind it was skipped.
            fenced.push(Cargo::Own(Own::Rollback));
        }
        self.parses();
        fenced
    }

    /// Whether what was fetched returns what the client was told of it.
    pub(crate) fn is_as_told(&mut self, fetched: &[(ByteString, Bytes)]) -> bool {
        let alone = self.alone();
        let mut same = true;
        for (name, shape) in fetched {
            if self.names.shape(name).is_none_or(|told| told == shape) {
                continue;
            }
            same = false;
            if let (Some(lent), Some(statement)) = (&mut self.lent, self.names.get(name)) {
                lent.surface.shelf.doubt(statement, alone);
                lent.surface.shelf.doubt(statement, true);
            }
        }
        same
    }

    /// The answer to what was sent last is here.
    pub(crate) fn answered(&mut self, heard: &Heard) {
        if let Some(last) = self.sent.last_mut() {
            last.tags.extend(heard.tags.iter().cloned());
        }
    }

    /// A ReadyForQuery came: what is on the connection now, and what the names mean.
    pub(crate) fn remember(&mut self, heard: &Heard) {
        let failed = heard.failed();
        for tag in &heard.tags {
            match &**tag {
                "DISCARD ALL" => self.discarded(),
                "DEALLOCATE" => {
                    if let Some(name) = self.state.next_forgotten() {
                        self.forget(&name.into());
                    }
                }
                "DEALLOCATE ALL" => {
                    self.state.next_forgotten();
                    self.names.retain(&heard.prepared_since);
                    if let Some(lent) = &mut self.lent {
                        lent.surface.shelf.doubt_all();
                    }
                }
                _ => {}
            }
        }
        self.state.stop_forgetting();
        self.names.settle(failed);
        let unread = self.state.ran_unread();
        if unread {
            self.names.unmake();
        }
        self.names.made(heard);
        if let Some(lent) = &mut self.lent {
            if unread {
                // Nobody knows what of its statements is still what it was.
                lent.surface.shelf.doubt_all();
            }
            lent.surface.shelf.settle(failed);
        }
    }

    fn forget(&mut self, name: &ByteString) {
        self.names.close(name);
        if let Some(lent) = &mut self.lent {
            lent.surface.shelf.forget(name);
        }
    }

    fn discarded(&mut self) {
        self.names.clear();
        self.state.discard();
        self.settings = Arc::clone(&self.login);
        if let Some(lent) = &mut self.lent {
            lent.surface.shelf.clear();
            // In session mode these are those of the login, which stay.
            if self.mode != PoolMode::Session {
                lent.surface.settings = Arc::default();
            }
        }
    }

    /// What the session's settings are, as the server lists them.
    pub(crate) fn probed(&mut self, rows: Vec<Vec<Option<Bytes>>>) {
        let text = |value: Option<Bytes>| {
            let value = value.unwrap_or_default();
            String::from_utf8_lossy(&value).into_owned()
        };
        let there: Settings = rows
            .into_iter()
            .filter_map(|row| {
                let mut row = row.into_iter();
                let name = text(row.next()?).to_ascii_lowercase();
                Some((name, text(row.next()?)))
            })
            .collect();
        if self.state.is_pinned() {
            // What a RESET took back of the login's settings is put on again; all else lives there.
            let lost = self
                .login
                .iter()
                .filter(|(name, _)| !there.contains_key(*name));
            let lost: Settings = lost
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            self.restore = (!lost.is_empty()).then(|| Arc::new(lost));
            return;
        }
        let strange = there.keys().any(|name| !sql::is_tracked(name));
        let mut settings = (*self.login).clone();
        settings.extend(there.clone());
        if settings != *self.settings {
            self.settings = Arc::new(settings);
        }
        if let Some(lent) = &mut self.lent {
            lent.surface.settings = if there == *self.settings {
                Arc::clone(&self.settings)
            } else {
                Arc::new(there)
            };
        }
        if strange {
            // Something changed what no statement named: it stays where it is known to be.
            self.state.soil(Disposition::Close);
        }
    }

    /// What must be on the borrowed connection before anything else goes up.
    pub(crate) fn context(&mut self) -> Option<Own> {
        if self.segment.is_some() || self.transaction.has_upstream() {
            return None;
        }
        if let Some(lost) = self.restore.take() {
            return Some(Own::Restore(lost));
        }
        let pinned = self.state.is_pinned();
        let lent = self.lent.as_mut()?;
        if pinned || !lent.lacks(&self.settings) {
            return None;
        }
        lent.surface.settings = Arc::clone(&self.settings);
        Some(Own::Settings(Arc::clone(&self.settings)))
    }

    /// Gives the upstream connection back where nothing needs it any more.
    pub(crate) fn checkin_if_free(&mut self, io: &mut Io) {
        if self.leased() && !self.needs_lease() {
            self.release_lease(io);
        }
    }

    /// Whether something lives on the borrowed connection that no other one has.
    pub(crate) fn needs_lease(&self) -> bool {
        self.alone() || self.segment.is_some() || self.transaction.has_upstream()
    }

    /// Gives the upstream connection back; in the middle of something it is closed.
    pub(crate) fn release_lease(&mut self, io: &mut Io) {
        let Some(lent) = self.lent.take() else {
            return;
        };
        let mut condition = self.state.give_back();
        if self.mode == PoolMode::Session || lent.surface.shelf.has_own() {
            condition = condition.max(Disposition::Reset);
        }
        if self.segment.is_some() || self.transaction.has_upstream() {
            condition = Disposition::Close;
        }
        io.effect(Effect::Checkin(condition, lent.into_surface()));
        self.told.served_by(None);
        self.names.unmake();
        self.segment = None;
        self.portals.clear();
    }

    /// Closes the upstream connection, whatever it is in the middle of.
    pub(crate) fn drop_lease(&mut self, io: &mut Io) {
        self.state.soil(Disposition::Close);
        self.release_lease(io);
    }

    /// How a released Query string goes up: as it came, so that it means what it means to a server (a rule may return rows to a
    /// Query alone). In a fence through Parse, which can only be one statement, and behind which nothing is lost (hazards V28).
    pub(crate) fn form(fence: Fence) -> Form {
        match fence {
            Fence::None | Fence::Lane => Form::Query,
            Fence::Transaction | Fence::Savepoint | Fence::Look => Form::Parse,
        }
    }
}
