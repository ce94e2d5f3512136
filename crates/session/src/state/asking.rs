//! Asking: what was asked is read, and the gate is asked. What the gate answers by itself (an empty
//! ping, a BEGIN before anything ran) is answered here.

use std::sync::Arc;

use bytes::BytesMut;
use gate::cargo::Begin;
use gate::{Clearance, Request, Step, Ticket, Work};
use sql::{Class, Control, Reading};
use wire::backend::encode;

use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::{Input, Verdict};
use crate::state::job::{Accounts, Refused, Shape, finish_refusal, hang_up, refuse};
use crate::talk::{Io, Talk};
use crate::transaction::Transaction;

/// A question that is on its way.
#[derive(Debug)]
pub(crate) struct Asking {
    shape: Shape,
    phase: Phase,
    cancelled: bool,
    gone: bool,
}

#[derive(Debug)]
enum Phase {
    Reading(Work),
    Judging(Arc<Request>),
}

/// Where asking leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Asking),
    Hold(Box<Ticket>, Arc<Request>, Shape),
    Release(Clearance, Shape),
    Refused(Refused, Shape),
    Close(Accounts),
}

impl Asking {
    /// Asks what `work` means.
    pub(crate) fn start(work: Work, shape: Shape, io: &mut Io) -> Self {
        io.effect(Effect::Read(work.texts()));
        Self {
            shape,
            phase: Phase::Reading(work),
            cancelled: false,
            gone: false,
        }
    }

    /// Asks again for a request whose ticket was taken by another session (DESIGN ruling 18).
    pub(crate) fn again(request: Arc<Request>, shape: Shape, io: &mut Io) -> Self {
        io.effect(Effect::Ask(Arc::clone(&request)));
        Self {
            shape,
            phase: Phase::Judging(request),
            cancelled: false,
            gone: false,
        }
    }

    pub(crate) fn handle(mut self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match (input, self.phase) {
            (Input::Readings(readings), Phase::Reading(work)) => {
                self.phase = Phase::Reading(Work::Batch(Vec::new()));
                self.read(work, readings, talk, io)
            }
            (Input::Verdict(verdict), Phase::Judging(request)) => {
                let Self {
                    shape,
                    cancelled,
                    gone,
                    ..
                } = self;
                Self::judged(verdict, request, shape, (cancelled, gone), talk, io)
            }
            // The connection of an open transaction is gone, and the transaction with it. A ticket
            // that may be on its way stays, as it does when the client leaves.
            (Input::UpstreamGone, _) if talk.leased => {
                io.error(&Fault::upstream_lost());
                Next::Close(hang_up(talk, io))
            }
            (input, phase) => {
                self.cancelled |= matches!(input, Input::Cancel);
                self.gone |= matches!(input, Input::ClientGone);
                self.phase = phase;
                Next::Stay(self)
            }
        }
    }

    fn read(
        mut self,
        work: Work,
        readings: Vec<Arc<Reading>>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if self.gone {
            return Next::Close(hang_up(talk, io));
        }
        let controls = controls(&readings);
        let ends = controls.as_deref().is_some_and(|all| {
            matches!(
                all,
                [Control::Commit { .. } | Control::Rollback { .. } | Control::RollbackTo(_)]
            )
        });
        if talk.transaction.has_failed() && !ends {
            let refused = refuse(&Fault::failed_transaction(), &self.shape, talk, io);
            return Next::Refused(refused, self.shape);
        }
        if let Some(answer) = answer(controls.as_deref(), &readings, talk) {
            say(&answer, &work, io);
            return Next::Refused(finish_refusal(&self.shape, talk, io), self.shape);
        }
        if matches!(talk.transaction, Transaction::Aborted) {
            // Only ROLLBACK TO is left, and nothing is there to go back to.
            let refused = refuse(&Fault::failed_transaction(), &self.shape, talk, io);
            return Next::Refused(refused, self.shape);
        }
        let request = Arc::new(talk.request(work, readings));
        io.effect(Effect::Ask(Arc::clone(&request)));
        self.phase = Phase::Judging(request);
        Next::Stay(self)
    }

    fn judged(
        verdict: Verdict,
        request: Arc<Request>,
        shape: Shape,
        (cancelled, gone): (bool, bool),
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if (cancelled || gone)
            && let Verdict::Held(ticket) = &verdict
        {
            io.effect(Effect::Leave {
                ticket: ticket.id,
                withdraw: cancelled,
            });
        }
        if gone {
            return Next::Close(hang_up(talk, io));
        }
        let fault = match verdict {
            Verdict::Held(ticket) if cancelled => Fault::cancelled(Some(ticket.id)),
            _ if cancelled => Fault::cancelled(None),
            Verdict::Clear(clearance) => return Next::Release(clearance, shape),
            Verdict::Held(ticket) => return Next::Hold(ticket, request, shape),
            Verdict::Denied(denial) => Fault::denied(&denial),
            Verdict::Unavailable(fault) => fault,
        };
        Next::Refused(refuse(&fault, &shape, talk, io), shape)
    }
}

/// The transaction control in the texts, if they hold nothing else.
fn controls(readings: &[Arc<Reading>]) -> Option<Vec<Control>> {
    readings
        .iter()
        .flat_map(|reading| &reading.statements)
        .map(|it| {
            if it.class == Class::Transaction {
                it.control.clone()
            } else {
                None
            }
        })
        .collect()
}

/// What the gate answers by itself: a tag, or none for an empty text.
struct Answer(Option<&'static str>);

fn answer(
    controls: Option<&[Control]>,
    readings: &[Arc<Reading>],
    talk: &mut Talk,
) -> Option<Answer> {
    if readings.iter().all(|reading| reading.statements.is_empty()) && readings.len() == 1 {
        return (talk.segment.is_none() && !talk.transaction.has_upstream())
            .then_some(Answer(None));
    }
    let [control] = controls? else { return None };
    let next = match (&talk.transaction, control) {
        (
            Transaction::None,
            Control::Begin {
                isolation,
                read_only,
                deferrable,
            },
        ) if talk.segment.is_none() => {
            let (isolation, read_only, deferrable) = (*isolation, *read_only, *deferrable);
            (
                Transaction::Virtual(Begin {
                    isolation,
                    read_only,
                    deferrable,
                }),
                "BEGIN",
            )
        }
        (Transaction::Virtual(_), Control::Commit { chain: false }) => {
            (Transaction::None, "COMMIT")
        }
        (Transaction::Virtual(_) | Transaction::Aborted, Control::Rollback { chain: false })
        | (Transaction::Aborted, Control::Commit { chain: false }) => {
            (Transaction::None, "ROLLBACK")
        }
        _ => return None,
    };
    talk.transaction = next.0;
    Some(Answer(Some(next.1)))
}

/// Says what the server would have said to each message (hazards R38).
fn say(answer: &Answer, work: &Work, io: &mut Io) {
    let complete = |out: &mut BytesMut| match answer.0 {
        Some(tag) => encode::command_complete(tag, out),
        None => encode::empty_query(out),
    };
    let out = &mut io.out;
    let Work::Batch(steps) = work else {
        return complete(out);
    };
    for step in steps {
        match step {
            Step::Parse(_) => encode::parse_complete(out),
            Step::DescribeStatement(_) => {
                // Neither a BEGIN nor an empty text has parameters; none always fit.
                let _fits = encode::parameter_description(&[], out);
                encode::no_data(out);
            }
            Step::Bind { .. } => encode::bind_complete(out),
            Step::DescribePortal(_) => encode::no_data(out),
            Step::Execute { .. } => complete(out),
            Step::ClosePortal(_) => encode::close_complete(out),
        }
    }
}
