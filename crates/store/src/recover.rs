//! What a crash left behind: tickets that are still executing at start-up, judged by the journal
//! (DESIGN ruling 1). It never runs or re-sends anything, and where the journal does not say how a
//! statement ended, it does not guess: `in_doubt`.

use std::collections::HashMap;

use gate::audit::{End, TransactionEnd};
use gate::ticket::ClaimId;
use gate::tickets::{Open, StoreError};
use gate::{Entry, Event, JournalDown, Outcome, State, TicketId};

use crate::tampered::Tampered;
use crate::unsettled::{Past, Unsettled};

/// One ticket that was settled at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The ticket.
    pub ticket: TicketId,
    /// The use of it that the crash cut short.
    pub claim: ClaimId,
    /// Where the ticket stands now.
    pub state: State,
    /// What the journal says, for whoever reads the log.
    pub why: &'static str,
}

/// Why recovery stopped. What it had settled before stays settled; run it again.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal does not verify.
    #[error(transparent)]
    Tampered(#[from] Tampered),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalDown),
}

/// Settles every ticket that is executing. To be called after the journal was opened and before
/// the first session, as nothing can be executing then.
pub async fn recover(
    store: &impl Unsettled,
    journal: &impl Past,
) -> Result<Vec<Recovered>, RecoverError> {
    let left = store.executing().await?;
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Scan::new(&left);
    journal.each(&mut |entry| found.see(entry))?;
    let mut recovered = Vec::with_capacity(left.len());
    for Open {
        ticket,
        claim,
        in_transaction,
    } in left
    {
        let Ruling {
            event,
            outcome,
            why,
        } = found.judge(ticket, claim, in_transaction);
        let (_, state) = event.transition();
        journal
            .write(Entry::Recovered {
                ticket,
                claim,
                state,
            })
            .await?;
        store.settle(vec![(ticket, claim)], event, outcome).await?;
        tracing::warn!(%ticket, claim = claim.0, %state, why, "recovered after a crash");
        recovered.push(Recovered {
            ticket,
            claim,
            state,
            why,
        });
    }
    Ok(recovered)
}

/// What the journal says of one claim.
#[derive(Default)]
struct Trace {
    /// Where its intent is; a second intent of the same claim makes it unreadable.
    intents: Vec<Place>,
    outcome: Option<(End, Outcome)>,
    transaction: Option<TransactionEnd>,
}

/// The run of the gate, the session in it and the intent's number there: sessions count from the
/// start again with each run.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    run: u64,
    session: u64,
    number: u64,
}

/// The journal read for the claims that were left, and for nothing else.
struct Scan {
    run: u64,
    traces: HashMap<(TicketId, ClaimId), Trace>,
}

struct Ruling {
    event: Event,
    outcome: Option<Outcome>,
    why: &'static str,
}

impl Scan {
    fn new(left: &[Open]) -> Self {
        let trace = |it: &Open| ((it.ticket, it.claim), Trace::default());
        Self {
            run: 0,
            traces: left.iter().map(trace).collect(),
        }
    }

    fn see(&mut self, entry: &Entry) {
        let run = self.run;
        match entry {
            Entry::Started { .. } => self.run += 1,
            Entry::Intent {
                session,
                number,
                ticket: Some(ticket),
                claim: Some(claim),
                ..
            } => {
                if let Some(trace) = self.traces.get_mut(&(*ticket, *claim)) {
                    trace.intents.push(Place {
                        run,
                        session: *session,
                        number: *number,
                    });
                }
            }
            Entry::Outcome {
                session,
                number,
                end,
                tags,
                error,
            } => {
                let place = Place {
                    run,
                    session: *session,
                    number: *number,
                };
                for trace in self.traces.values_mut() {
                    if trace.intents.contains(&place) {
                        let outcome = Outcome {
                            tags: tags.clone(),
                            error: error.clone(),
                        };
                        trace.outcome = Some((*end, outcome));
                    }
                }
            }
            Entry::TransactionEnd {
                session,
                tickets,
                end,
            } => {
                for ((ticket, _), trace) in &mut self.traces {
                    let here = |it: &Place| it.run == run && it.session == *session;
                    if tickets.contains(ticket)
                        && trace.transaction.is_none()
                        && trace.intents.iter().any(here)
                    {
                        trace.transaction = Some(*end);
                    }
                }
            }
            _ => {}
        }
    }

    fn judge(&self, ticket: TicketId, claim: ClaimId, in_transaction: bool) -> Ruling {
        let ruling = |event, outcome, why| Ruling {
            event,
            outcome,
            why,
        };
        let doubt = |outcome, why| ruling(Event::Doubt, outcome, why);
        let Some(trace) = self.traces.get(&(ticket, claim)) else {
            return doubt(None, "the claim was not looked for");
        };
        match trace.intents.len() {
            0 => return ruling(Event::Unclaim, None, "no intent: it was never sent"),
            1 => {}
            _ => return doubt(None, "more than one intent of one claim"),
        }
        let Some((end, outcome)) = &trace.outcome else {
            return doubt(None, "an intent without an outcome");
        };
        let outcome = Some(outcome.clone());
        match end {
            End::NotSent => ruling(
                Event::Unclaim,
                None,
                "the outcome says that it was not sent",
            ),
            End::InDoubt => doubt(outcome, "contact was lost after it was sent"),
            End::Failed => ruling(Event::Fail, outcome, "the server refused it"),
            End::Done => {
                let open = in_transaction || outcome.as_ref().is_some_and(leaves_open);
                match trace.transaction {
                    Some(TransactionEnd::Commit) => {
                        ruling(Event::Succeed, outcome, "its transaction was committed")
                    }
                    Some(TransactionEnd::Rollback) => {
                        ruling(Event::RollBack, outcome, "its transaction was rolled back")
                    }
                    Some(TransactionEnd::InDoubt) => {
                        doubt(outcome, "contact was lost at the end of its transaction")
                    }
                    None if open => doubt(outcome, "the end of its transaction is not known"),
                    None => ruling(Event::Succeed, outcome, "the server confirmed it"),
                }
            }
        }
    }
}

/// Whether statements with these tags may have left a transaction open: one was begun and not
/// surely ended. (ROLLBACK is no end here: ROLLBACK TO has the same tag.)
fn leaves_open(outcome: &Outcome) -> bool {
    outcome.tags.iter().fold(false, |open, tag| match &**tag {
        "BEGIN" | "START TRANSACTION" => true,
        "COMMIT" => false,
        _ => open,
    })
}
