//! What one turn is about: the shape in which the client asked, and the ways to refuse it or to
//! give up on it. Shared by the states that a turn passes through.

use bytestring::ByteString;
use gate::Work;

use crate::batch::{Batch, Close};
use crate::fault::Fault;
pub(crate) use crate::state::account::Accounts;
use crate::state::account::{left, lost};
use crate::talk::{Io, Talk};
use crate::transaction::Transaction;

/// How the client asked, and so what it is answered with.
#[derive(Debug)]
pub(crate) enum Shape {
    /// By a Query.
    Query,
    /// By an extended batch; the steps are in the work, this is the rest of it.
    Batch(Close, Labels),
    /// By the first part of a Query: upstream it is whole, and the client hears of its end only if it
    /// is the end of all.
    Part,
}

/// What comes next, once what comes before it has been answered.
#[derive(Debug)]
pub(crate) enum Rest {
    /// This is asked for.
    Ask(Work, Shape),
    /// This is what the client hears, up to its Sync.
    Refuse(Fault),
}

/// What a batch holds besides its steps.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    named: Vec<(usize, ByteString)>,
    pub(crate) closes: Vec<usize>,
}

impl Labels {
    /// The name that the Parse at `place` gives.
    pub(crate) fn name_at(&self, place: usize) -> Option<ByteString> {
        self.named
            .iter()
            .find(|it| it.0 == place)
            .map(|it| it.1.clone())
    }

    /// The labels of the first so many steps; those of the others are left.
    pub(crate) fn split(&mut self, steps: usize) -> Self {
        let first = Self {
            named: self
                .named
                .iter()
                .filter(|it| it.0 < steps)
                .cloned()
                .collect(),
            closes: self
                .closes
                .iter()
                .filter(|at| **at <= steps)
                .copied()
                .collect(),
        };
        self.skip(steps);
        first
    }

    /// The first steps are answered, and the closes in front of each and right behind them.
    pub(crate) fn skip(&mut self, steps: usize) {
        self.closes.retain(|at| *at > steps);
        self.closes.iter_mut().for_each(|at| *at -= steps);
        self.named.retain(|it| it.0 >= steps);
        self.named.iter_mut().for_each(|it| it.0 -= steps);
    }
}

impl Shape {
    /// The shape of a batch, and its steps.
    pub(crate) fn of(batch: Batch, close: Close) -> (Self, Vec<gate::Step>) {
        let labels = Labels {
            named: batch.named,
            closes: batch.closes,
        };
        (Self::Batch(close, labels), batch.steps)
    }

    /// Whether the server ends the turn with a ReadyForQuery.
    pub(crate) fn syncs(&self) -> bool {
        !matches!(self, Self::Batch(Close::Flush, _))
    }

    /// Whether the client hears one.
    fn ends_ready(&self, talk: &Talk) -> bool {
        match self {
            Self::Query | Self::Batch(Close::Sync, _) => true,
            Self::Batch(Close::Flush, _) => false,
            Self::Part => talk.rest.is_none(),
        }
    }
}

/// What a refusal leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    /// The turn is over.
    Idle,
    /// The client's messages up to its Sync are to be skipped.
    Skip,
    /// The upstream has a transaction that must fail as well (hazards R34).
    Unwind,
    /// The connection ends.
    Close,
}

/// Tells the client that its turn is refused, and does what that means for its transaction.
pub(crate) fn refuse(fault: &Fault, shape: &Shape, talk: &mut Talk, io: &mut Io) -> Refused {
    io.error(fault);
    talk.names.settle(true);
    talk.fail_rest();
    if fault.is_fatal() {
        return Refused::Close;
    }
    if talk.transaction.has_upstream() || talk.segment.is_some() {
        return Refused::Unwind;
    }
    if matches!(talk.transaction, Transaction::Virtual(_)) {
        talk.transaction.fail();
    }
    talk.checkin_if_free(io);
    finish_refusal(shape, talk, io)
}

/// The end of a refused turn, once nothing is left to undo.
pub(crate) fn finish_refusal(shape: &Shape, talk: &Talk, io: &mut Io) -> Refused {
    match shape {
        Shape::Batch(Close::Flush, _) => Refused::Skip,
        _ => finish(shape, talk, io),
    }
}

/// The same for something that can only fail in a transaction that has failed already: nothing is
/// left to undo, and the transaction is the client's to end.
pub(crate) fn refuse_failed(shape: &Shape, talk: &mut Talk, io: &mut Io) -> Refused {
    io.error(&Fault::failed_transaction());
    talk.names.settle(true);
    talk.fail_rest();
    finish_refusal(shape, talk, io)
}

/// The end of a turn in which nothing failed.
pub(crate) fn finish(shape: &Shape, talk: &Talk, io: &mut Io) -> Refused {
    if shape.ends_ready(talk) {
        io.ready(talk.status());
    }
    Refused::Idle
}

/// The client is gone, or goes, while nothing runs: everything it borrowed goes too. Returns what is
/// left to account.
pub(crate) fn hang_up(talk: &mut Talk, io: &mut Io) -> Accounts {
    talk.release_lease(io);
    left(talk)
}

/// The same while something runs.
pub(crate) fn break_off(talk: &mut Talk, io: &mut Io) -> Accounts {
    talk.drop_lease(io);
    lost(talk)
}
