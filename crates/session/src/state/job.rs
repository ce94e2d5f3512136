//! What one turn is about: the shape in which the client asked, and the ways to refuse it or to
//! give up on it. Shared by the states that a turn passes through.

use crate::fault::Fault;
use crate::shape::{Close, Shape};
pub(crate) use crate::state::account::Accounts;
use crate::state::account::{left, lost};
use crate::talk::{Io, Talk};
use crate::transaction::Transaction;

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
    if shape.ends_ready(!talk.rest.is_empty()) {
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
