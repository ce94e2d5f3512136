//! What a session has borrowed and what it has made of it: the connection's surface, the state that
//! keeps it with the session, and in what condition it goes back. It sends nothing.

use std::sync::Arc;

use gate::ticket::TimeOuts;
use gate::{Digest, Disposition, Request, Settings, Surface};
use sql::{Leaves, Mention, Own, Statement};

use crate::effect::Lane;
use crate::mode::PoolMode;

/// A borrowed upstream connection.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) surface: Box<Surface>,
    pub(crate) lane: Lane,
    /// The time-outs that what was signed put on it.
    pub(crate) limited: Option<Limited>,
}

/// Time-outs that stand on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) time_outs: TimeOuts,
    /// Up to the end of the transaction, which takes them back by itself.
    pub(crate) local: bool,
}

/// What ran in the session and is still felt: on the connection, and in what later texts mean.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Digest of what lives on the session's connection, in the order in which it came. While there
    /// is any, the session keeps that connection to itself.
    pinned: Option<Digest>,
    /// Digest of what changed settings since the last look at them.
    local: Option<Digest>,
    /// Settings were changed for longer than the transaction.
    touched: bool,
    /// In what condition the connection goes back.
    worst: Option<Disposition>,
    /// The DEALLOCATEs that are on their way.
    forgets: Vec<Option<String>>,
    /// Something is on its way that nobody could read.
    unread: bool,
}

/// Whether it sets by something other than SET.
fn by_function(statement: &Statement) -> bool {
    let plain = statement.functions.is_empty() && statement.writes.is_empty();
    statement.leaves == Leaves::Settings && !plain
}

/// Whether it sets, or may set, a setting that nobody has defined.
fn names_placeholder(statement: &Statement) -> bool {
    let dotted = statement
        .setting
        .as_ref()
        .is_some_and(|it| it.contains('.'));
    let function = statement.functions.iter().any(|it| it.name == "set_config");
    (dotted && statement.leaves != Leaves::Nothing)
        || (function && statement.leaves == Leaves::State)
}

fn chained(before: Option<Digest>, digest: Digest) -> Digest {
    let mut chain = before.map_or_else(Vec::new, |it| it.as_bytes().to_vec());
    chain.extend_from_slice(digest.as_bytes());
    Digest::of(&chain)
}

impl State {
    /// Notes what running `request` may leave behind.
    pub(crate) fn note(&mut self, request: &Request, mode: PoolMode) {
        let mut strongest = Leaves::Nothing;
        let mut unread = false;
        for statement in request.statements() {
            strongest = strongest.max(statement.leaves);
            if matches!(statement.own, Some(Own::Far(_))) {
                // What is kept over there goes with the connection, and with nothing less.
                self.soil(Disposition::Close);
            }
            let makes = matches!(statement.prepared, Some(Mention::Makes { .. }));
            unread |= statement.leaves == Leaves::State && !makes;
            if let Some(Mention::Forgets(name)) = &statement.prepared {
                // It went up, so it is part of something; what it names is on this connection alone.
                strongest = Leaves::State;
                self.forgets.push(name.clone());
            }
            self.touched |= statement.leaves == Leaves::Settings;
            if names_placeholder(statement) {
                // PostgreSQL keeps the name even after DISCARD ALL (hazards V16).
                self.soil(Disposition::Close);
            }
        }
        self.unread |= unread;
        if strongest < Leaves::Residue && request.runs_own() {
            self.soil(Disposition::Reset);
        }
        match strongest {
            Leaves::Nothing => {}
            Leaves::Sequences => self.soil(Disposition::Tidy),
            Leaves::Local => self.local = Some(chained(self.local, request.digest())),
            Leaves::Settings => {
                self.local = Some(chained(self.local, request.digest()));
                if request.statements().any(by_function) {
                    // What else it called, or its rule did, is seen in no list of settings.
                    self.soil(Disposition::Reset);
                }
                if mode == PoolMode::Session {
                    self.pin();
                }
            }
            Leaves::Residue | Leaves::Discarded => self.soil(Disposition::Reset),
            Leaves::State => {
                self.soil(Disposition::Reset);
                self.local = Some(chained(self.local, request.digest()));
                if mode != PoolMode::Statement {
                    self.pin();
                }
            }
        }
    }

    /// A read that could not be taken back may have changed settings, up to the end of the transaction.
    pub(crate) fn unsettle(&mut self, request: &Request) {
        self.local = Some(chained(self.local, request.digest()));
        self.soil(Disposition::Reset);
    }

    /// What changed settings is kept by the connection from now on.
    fn pin(&mut self) {
        if let Some(local) = self.local.take() {
            self.pinned = Some(chained(self.pinned, local));
        }
    }

    /// The connection is in this condition, or a worse one.
    pub(crate) fn soil(&mut self, condition: Disposition) {
        self.worst = self.worst.max(Some(condition));
    }

    /// Whether the session's connection is its own.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// All of it that decides what a text means, for the context of a request.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self.local {
            Some(local) => Some(chained(self.pinned, local)),
            None => self.pinned,
        }
    }

    /// No transaction is open any more. Says whether the settings must be looked at before the
    /// connection can go to somebody else.
    pub(crate) fn idle(&mut self) -> bool {
        let touched = std::mem::take(&mut self.touched);
        if touched && self.is_pinned() {
            self.pin();
        }
        self.local = None;
        touched
    }

    /// Whether settings are other than the session's are known to be.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.local.is_some()
    }

    /// Whether something ran since it was last asked that nobody could read.
    pub(crate) fn ran_unread(&mut self) -> bool {
        std::mem::take(&mut self.unread)
    }

    /// All of it is gone: DISCARD ALL.
    pub(crate) fn discard(&mut self) {
        let worst = self.worst;
        *self = Self {
            worst,
            ..Self::default()
        };
    }

    /// The next DEALLOCATE that was sent has been answered: what it named, if that was one.
    pub(crate) fn next_forgotten(&mut self) -> Option<String> {
        let next = (!self.forgets.is_empty()).then(|| self.forgets.remove(0));
        next.flatten()
    }

    /// The turn is over; what it had still to forget, it did not reach.
    pub(crate) fn stop_forgetting(&mut self) {
        self.forgets.clear();
    }

    /// The condition in which the connection goes back; the next one is as good as new.
    pub(crate) fn give_back(&mut self) -> Disposition {
        if std::mem::take(&mut self.touched) {
            // Nobody has looked at what was changed.
            self.soil(Disposition::Reset);
        }
        self.worst.take().unwrap_or(Disposition::Clean)
    }
}

impl Lent {
    /// What goes back to the pool. Where time-outs of what was signed are on it, those are nobody's settings, and the next
    /// session puts its own there.
    pub(crate) fn into_surface(mut self) -> Box<Surface> {
        if self.limited.is_some_and(|it| !it.local) {
            let nobody = ("portcullis".to_owned(), "limited".to_owned());
            self.surface.settings = Arc::new(Settings::from([nobody]));
        }
        self.surface
    }

    /// Whether a session that wants these settings finds others here.
    pub(crate) fn lacks(&self, settings: &Arc<Settings>) -> bool {
        !Arc::ptr_eq(&self.surface.settings, settings) && self.surface.settings != *settings
    }
}
