//! What one turn is about: the shape in which the client asked, and the ways to refuse it or to
//! give up on it. Shared by the states that a turn passes through.

use bytestring::ByteString;
use gate::Event;
use gate::audit::{End, Entry, TransactionEnd};

use crate::batch::{Batch, Close};
use crate::effect::{Effect, Settlement};
use crate::fault::Fault;
use crate::talk::{Io, Sent, Talk};
use crate::transaction::{Spent, Transaction};

/// How the client asked, and so what it is answered with.
#[derive(Debug)]
pub(crate) enum Shape {
    /// By a Query.
    Query,
    /// By an extended batch; the steps are in the work, this is the rest of it.
    Batch(Close, Labels),
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

    /// Whether the turn ends with a ReadyForQuery.
    pub(crate) fn ends_ready(&self) -> bool {
        !matches!(self, Self::Batch(Close::Flush, _))
    }
}

/// Writes and settlements that a turn leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) entries: Vec<Entry>,
    pub(crate) settlements: Vec<Settlement>,
}

impl Accounts {
    pub(crate) fn outcome(
        &mut self,
        session: u64,
        number: u64,
        end: End,
        heard: (&[String], Option<&String>),
    ) {
        let (tags, error) = (heard.0.to_vec(), heard.1.cloned());
        self.entries.push(Entry::Outcome {
            session,
            number,
            end,
            tags,
            error,
        });
    }

    pub(crate) fn settle(&mut self, spent: &[Spent], event: Event, outcome: Option<gate::Outcome>) {
        if !spent.is_empty() {
            let claims = spent.iter().map(|it| (it.ticket, it.claim)).collect();
            self.settlements.push(Settlement {
                claims,
                event,
                outcome,
            });
        }
    }

    /// A transaction in which tickets were spent is over.
    pub(crate) fn transaction_end(&mut self, session: u64, spent: &[Spent], end: TransactionEnd) {
        if !spent.is_empty() {
            let tickets = spent.iter().map(|it| it.ticket).collect();
            self.entries.push(Entry::TransactionEnd {
                session,
                tickets,
                end,
            });
        }
    }
}

/// The connection to the server, or to the client, is lost: what was sent is in doubt, what was
/// spent in a transaction that nobody committed is rolled back by the server.
pub(crate) fn lost(talk: &mut Talk) -> Accounts {
    let session = talk.peer.session;
    let mut accounts = Accounts::default();
    let sent: Vec<Sent> = std::mem::take(&mut talk.sent);
    let may_have_committed = sent.iter().any(|it| it.may_commit);
    for it in sent {
        let signed = it.spent.is_some();
        let end = if signed { End::InDoubt } else { End::Failed };
        accounts.outcome(session, it.number, end, (&[], None));
        accounts.settle(it.spent.as_slice(), Event::Doubt, None);
    }
    let spent = talk.transaction.abort(Transaction::Aborted);
    let (event, end) = if may_have_committed {
        (Event::Doubt, TransactionEnd::InDoubt)
    } else {
        (Event::RollBack, TransactionEnd::Rollback)
    };
    accounts.transaction_end(session, &spent, end);
    accounts.settle(&spent, event, None);
    accounts
}

/// What a refusal leads to.
#[derive(Debug)]
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
    talk.names.forget_unconfirmed();
    if fault.is_fatal() {
        return Refused::Close;
    }
    if talk.transaction.has_upstream() || talk.segment.is_some() {
        return Refused::Unwind;
    }
    if matches!(talk.transaction, Transaction::Virtual(_)) {
        talk.transaction = Transaction::Aborted;
    }
    talk.checkin_if_free(io);
    finish_refusal(shape, talk, io)
}

/// The end of a refused turn, once nothing is left to undo.
pub(crate) fn finish_refusal(shape: &Shape, talk: &Talk, io: &mut Io) -> Refused {
    if shape.ends_ready() {
        io.ready(talk.status());
        Refused::Idle
    } else {
        Refused::Skip
    }
}

/// The client is gone, or goes: everything it borrowed goes too. Returns what is left to account.
pub(crate) fn hang_up(talk: &mut Talk, io: &mut Io) -> Accounts {
    let accounts = lost(talk);
    if talk.leased {
        io.effect(Effect::Checkin(crate::effect::Disposition::Close));
        talk.leased = false;
    }
    accounts
}
