//! Accounts: what is written down and settled once it is known what came of what was sent.

use std::sync::Arc;

use gate::audit::{End, TransactionEnd};
use gate::{Disposition, Entry, Event, Outcome};
use sql::Control;
use wire::backend::Status;
use wire::fields::Fields;
use wire::sqlstate::SqlState;

use crate::effect::Settlement;
use crate::heard::Heard;
use crate::talk::{Sent, Talk};
use crate::transaction::{Ended, Spent, Transaction};

/// Writes and settlements that a turn leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) entries: Vec<Entry>,
    pub(crate) settlements: Vec<Settlement>,
}

impl Accounts {
    pub(crate) fn outcome(&mut self, session: u64, number: u64, end: End, outcome: Outcome) {
        let Outcome { tags, error } = outcome;
        self.entries.push(Entry::Outcome {
            session,
            number,
            end,
            tags,
            error,
        });
    }

    pub(crate) fn settle(&mut self, spent: &[Spent], event: Event, outcome: Option<Outcome>) {
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

    /// And these, behind them.
    pub(crate) fn then(mut self, more: Self) -> Self {
        self.entries.extend(more.entries);
        self.settlements.extend(more.settlements);
        self
    }
}

/// What came of everything that was sent since the last ReadyForQuery, which said `status`.
pub(crate) fn ready(status: Status, heard: &Heard, talk: &mut Talk) -> Accounts {
    let session = talk.peer.session;
    let failed = heard.failed();
    let turns = std::mem::take(&mut talk.sent);
    if status != Status::Idle && !talk.transaction.has_upstream() {
        // A BEGIN among other statements.
        talk.transaction.begun();
        talk.transaction.work();
    }
    let mut tally = Tally::default();
    let mut tags = heard.tags.iter().filter(|tag| is_control(tag));
    let last = turns.last().map(|it| it.number);
    for it in turns {
        let refused = failed && Some(it.number) == last;
        tally.run(&it.before, &mut tags, &mut talk.transaction);
        let outcome = Outcome {
            tags: it.tags,
            error: heard.error.clone().filter(|_| refused),
        };
        let unclaimed = heard.unclaimed.as_deref().filter(|_| refused);
        let end = if let Some(fields) = unclaimed {
            if has_row(fields) {
                End::InDoubt
            } else {
                End::NotSent
            }
        } else if refused || (failed && status == Status::Idle) {
            End::Failed
        } else {
            End::Done
        };
        let spent = it.spent.map(|it| (it, outcome.clone()));
        if !(it.looks_around && end == End::Done) {
            tally.accounts.outcome(session, it.number, end, outcome);
        }
        match spent {
            Some((spent, outcome)) if refused => {
                let event = match end {
                    End::InDoubt => Event::Doubt,
                    End::NotSent => Event::Unclaim,
                    End::Done | End::Failed => Event::Fail,
                };
                tally.settle(&[spent], event, outcome);
            }
            Some(spent) if status == Status::Idle => tally.open.push(spent),
            // It ran in a transaction that goes on, if only to its end: that decides.
            Some((spent, _)) => talk.transaction.spend(spent),
            None => {}
        }
        tally.run(&it.after, &mut tags, &mut talk.transaction);
    }
    tally.close(!failed);
    tally.ended.add(talk.transaction.settle(status));
    if status == Status::Idle {
        talk.transactions_ended = talk.transactions_ended.saturating_add(1);
    }
    let prepared = heard.tags.iter().any(|tag| **tag == *"PREPARE TRANSACTION");
    tally.accounts.ended(session, &tally.ended, prepared)
}

/// Whether a row of the ledger was refused because it is there: the store has forgotten that it was laid down, or somebody has
/// fenced it. Anything else has nothing to do with the ticket, which is good as before.
fn has_row(refusal: &Fields) -> bool {
    refusal.sqlstate == SqlState::UNIQUE_VIOLATION
}

/// Goes through what was sent, in order, to find what became of it.
#[derive(Default)]
struct Tally {
    accounts: Accounts,
    ended: Ended,
    /// Spent since the last COMMIT or ROLLBACK, by statements whose transaction is over.
    open: Vec<(Spent, Outcome)>,
}

impl Tally {
    /// Transaction control ran, as far as the server has said so.
    fn run<'a>(
        &mut self,
        controls: &[Control],
        tags: &mut impl Iterator<Item = &'a Arc<str>>,
        transaction: &mut Transaction,
    ) {
        for (control, tag) in controls.iter().zip(tags) {
            if matches!(control, Control::Commit { .. } | Control::Rollback { .. }) {
                self.close(**tag == *"COMMIT");
            }
            self.ended.add(transaction.control(control, tag));
        }
    }

    fn close(&mut self, committed: bool) {
        let event = if committed {
            Event::Succeed
        } else {
            Event::RollBack
        };
        for (spent, outcome) in std::mem::take(&mut self.open) {
            self.settle(&[spent], event, outcome);
        }
    }

    fn settle(&mut self, spent: &[Spent], event: Event, outcome: Outcome) {
        self.accounts.settle(spent, event, Some(outcome));
    }
}

impl Accounts {
    /// What became of the tickets of a transaction. One that was prepared is neither committed nor
    /// rolled back, and nobody here will hear of it again.
    fn ended(mut self, session: u64, ended: &Ended, prepared: bool) -> Self {
        let (event, end) = if prepared {
            (Event::Doubt, TransactionEnd::InDoubt)
        } else {
            (Event::RollBack, TransactionEnd::Rollback)
        };
        self.transaction_end(session, &ended.kept, TransactionEnd::Commit);
        self.settle(&ended.kept, Event::Succeed, None);
        self.transaction_end(session, &ended.undone, end);
        self.settle(&ended.undone, event, None);
        self
    }
}

/// Whether a command tag is one of transaction control: no other command has one of these.
fn is_control(tag: &str) -> bool {
    matches!(
        tag,
        "BEGIN" | "START TRANSACTION" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE"
    )
}

/// The gate refused something and the upstream's transaction has failed or is rolled back, as
/// `status` says. With `give_back` it was the gate that wanted it, so what was spent comes back.
pub(crate) fn undone(status: Status, give_back: bool, talk: &mut Talk) -> Accounts {
    let session = talk.peer.session;
    let heard = std::mem::take(&mut talk.heard);
    let explicit = talk.transaction.has_upstream();
    let end = if explicit { End::Done } else { End::Failed };
    let mut tally = Tally::default();
    let mut tags = heard.tags.iter().filter(|tag| is_control(tag));
    for it in std::mem::take(&mut talk.sent) {
        tally.run(&it.before, &mut tags, &mut talk.transaction);
        let outcome = Outcome {
            tags: it.tags,
            error: None,
        };
        tally
            .accounts
            .outcome(session, it.number, end, outcome.clone());
        match it.spent {
            Some(spent) if explicit => talk.transaction.spend(spent),
            Some(spent) => tally.open.push((spent, outcome)),
            None => {}
        }
        tally.run(&it.after, &mut tags, &mut talk.transaction);
    }
    let mut spent: Vec<Spent> = tally.open.into_iter().map(|it| it.0).collect();
    if status == Status::Idle {
        if talk.state.idle() {
            talk.state.soil(Disposition::Reset);
        }
        let into = if explicit {
            Transaction::Aborted(talk.transaction.begin())
        } else {
            Transaction::None
        };
        spent.extend(talk.transaction.abort(into));
        talk.portals.clear();
    } else {
        talk.transaction.settle(status);
    }
    let mut accounts = tally.accounts.ended(session, &tally.ended, false);
    accounts.transaction_end(session, &spent, TransactionEnd::Rollback);
    let (back, gone): (Vec<_>, Vec<_>) = spent.into_iter().partition(|it| give_back && !it.lasting);
    accounts.settle(&back, Event::Unclaim, None);
    accounts.settle(&gone, Event::RollBack, None);
    accounts
}

/// The client or the server is gone, and all that was sent had been answered: what no COMMIT was
/// heard of is rolled back by the server.
pub(crate) fn left(talk: &mut Talk) -> Accounts {
    if talk.heard.failed() {
        let heard = std::mem::take(&mut talk.heard);
        return ready(Status::Idle, &heard, talk);
    }
    undone(Status::Idle, false, talk)
}

/// The server is gone, or is left, before it has answered: what was sent is in doubt, what was spent
/// in a transaction that nobody committed is rolled back by the server.
pub(crate) fn lost(talk: &mut Talk) -> Accounts {
    let session = talk.peer.session;
    let mut accounts = Accounts::default();
    let heard = std::mem::take(&mut talk.heard);
    let sent: Vec<Sent> = std::mem::take(&mut talk.sent);
    let may_have_committed = sent.iter().any(|it| it.may_commit);
    for it in sent {
        let (tags, error) = (it.tags, heard.error.clone());
        let outcome = Outcome { tags, error };
        accounts.outcome(session, it.number, End::InDoubt, outcome);
        accounts.settle(it.spent.as_slice(), Event::Doubt, None);
    }
    let aborted = Transaction::Aborted(talk.transaction.begin());
    let open = talk.transaction.abort(aborted);
    let (event, end) = if may_have_committed {
        (Event::Doubt, TransactionEnd::InDoubt)
    } else {
        (Event::RollBack, TransactionEnd::Rollback)
    };
    accounts.transaction_end(session, &open, end);
    accounts.settle(&open, event, None);
    accounts
}
