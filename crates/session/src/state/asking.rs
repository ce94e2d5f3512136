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
use crate::replies::close_complete;
use crate::state::job::{Accounts, Labels, Refused, Shape, finish, hang_up, refuse};
use crate::talk::{Io, Talk};
use crate::transaction::Transaction;

/// A question that is on its way.
#[derive(Debug)]
pub(crate) struct Asking {
    shape: Shape,
    phase: Phase,
    stop: Stop,
}

/// What was heard while the answer was on its way.
#[derive(Clone, Copy, Debug, Default)]
struct Stop {
    cancelled: bool,
    gone: bool,
    /// The connection of an open transaction is gone, and the transaction with it.
    lost: bool,
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
    /// Behind a BEGIN that is answered here nothing is left that could run.
    Proceed(Vec<Step>, Shape),
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
            stop: Stop::default(),
        }
    }

    /// Asks again for a request whose ticket was taken by another session (DESIGN ruling 18).
    pub(crate) fn again(request: Arc<Request>, shape: Shape, io: &mut Io) -> Self {
        io.effect(Effect::Ask(Arc::clone(&request)));
        Self {
            shape,
            phase: Phase::Judging(request),
            stop: Stop::default(),
        }
    }

    pub(crate) fn handle(mut self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match (input, self.phase) {
            (Input::Readings(readings), Phase::Reading(work)) => {
                self.phase = Phase::Reading(Work::Batch(Vec::new()));
                self.read(work, readings, talk, io)
            }
            (Input::Verdict(verdict), Phase::Judging(request)) => {
                Self::judged(verdict, request, self.shape, self.stop, talk, io)
            }
            (input, phase) => {
                self.stop.cancelled |= matches!(input, Input::Cancel);
                self.stop.gone |= matches!(input, Input::ClientGone);
                self.stop.lost |= talk.leased && matches!(input, Input::UpstreamGone);
                self.phase = phase;
                Next::Stay(self)
            }
        }
    }

    fn read(
        mut self,
        mut work: Work,
        mut readings: Vec<Arc<Reading>>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if self.stop.gone || self.stop.lost {
            return close(self.stop, talk, io);
        }
        if let Some((begin, rest)) = leading_begin(&mut work, &readings, talk) {
            talk.transaction = Transaction::Virtual(begin);
            say(&Answer(Some("BEGIN")), &work, &mut self.shape, talk, io);
            readings.remove(0);
            if readings.is_empty() {
                return Next::Proceed(rest, self.shape);
            }
            work = Work::Batch(rest);
        }
        let controls = controls(&readings);
        let ends = controls.as_deref().is_some_and(|all| {
            matches!(
                all,
                [Control::Commit { .. } | Control::Rollback { .. } | Control::RollbackTo(_)]
            )
        });
        let empty = controls.as_deref().is_some_and(<[Control]>::is_empty);
        if talk.transaction.has_failed() && !ends && !empty {
            let refused = refuse(&Fault::failed_transaction(), &self.shape, talk, io);
            return Next::Refused(refused, self.shape);
        }
        if let Some(answer) = answer(&work, controls.as_deref(), &readings, talk) {
            say(&answer, &work, &mut self.shape, talk, io);
            return Next::Refused(finish(&self.shape, talk, io), self.shape);
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
        stop: Stop,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        let Stop {
            cancelled,
            gone,
            lost,
        } = stop;
        if (cancelled || gone || lost)
            && let Verdict::Held(ticket) = &verdict
        {
            io.effect(Effect::Leave {
                ticket: ticket.id,
                withdraw: cancelled,
            });
        }
        if gone || lost {
            return close(stop, talk, io);
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

fn close(stop: Stop, talk: &mut Talk, io: &mut Io) -> Next {
    if !stop.gone {
        io.error(&Fault::upstream_lost());
    }
    Next::Close(hang_up(talk, io))
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
    work: &Work,
    controls: Option<&[Control]>,
    readings: &[Arc<Reading>],
    talk: &mut Talk,
) -> Option<Answer> {
    if let Work::Batch(steps) = work
        && alone(steps) != Some(steps.len())
    {
        return None;
    }
    if readings.iter().all(|reading| reading.statements.is_empty()) && readings.len() == 1 {
        return talk.segment.is_none().then_some(Answer(None));
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

/// How many steps at the front of a batch are about nothing but the statement that it binds first,
/// bound and executed once; what comes behind does not come back to its portal.
fn alone(steps: &[Step]) -> Option<usize> {
    let (name, prepared) = steps.iter().find_map(|step| match step {
        Step::Bind {
            portal, statement, ..
        } => Some((portal, statement)),
        _ => None,
    })?;
    let own = |step: &&Step| match step {
        Step::Parse(it) | Step::DescribeStatement(it) => Arc::ptr_eq(it, prepared),
        Step::Bind {
            portal, statement, ..
        } => portal == name && Arc::ptr_eq(statement, prepared),
        Step::DescribePortal(portal) | Step::ClosePortal(portal) | Step::Execute { portal, .. } => {
            portal == name
        }
    };
    let first = || steps.iter().take_while(own);
    let binds = first().filter(|it| matches!(it, Step::Bind { .. }));
    let executes = first().filter(|it| matches!(it, Step::Execute { .. }));
    let once = binds.count() == 1 && executes.count() == 1;
    let length = first().count();
    let next = steps.iter().skip(length).find(|step| match step {
        Step::Bind { portal, .. }
        | Step::DescribePortal(portal)
        | Step::ClosePortal(portal)
        | Step::Execute { portal, .. } => portal == name,
        Step::Parse(_) | Step::DescribeStatement(_) => false,
    });
    let left = next.is_none_or(|step| matches!(step, Step::Bind { .. }));
    (once && left).then_some(length)
}

/// A BEGIN that opens a batch, as pgjdbc sends it in front of the first statement: it is answered
/// here like any other, and the rest of the batch, which is cut off, is asked about.
fn leading_begin(
    work: &mut Work,
    readings: &[Arc<Reading>],
    talk: &Talk,
) -> Option<(Begin, Vec<Step>)> {
    let Work::Batch(steps) = work else {
        return None;
    };
    let length = alone(steps).filter(|length| *length < steps.len())?;
    if !matches!(talk.transaction, Transaction::None) || talk.segment.is_some() {
        return None;
    }
    let [statement] = readings.first()?.statements.as_slice() else {
        return None;
    };
    let Some(Control::Begin {
        isolation,
        read_only,
        deferrable,
    }) = statement.control
    else {
        return None;
    };
    let begin = Begin {
        isolation,
        read_only,
        deferrable,
    };
    Some((begin, steps.split_off(length)))
}

impl Answer {
    fn complete(&self, out: &mut BytesMut) {
        match self.0 {
            Some(tag) => encode::command_complete(tag, out),
            None => encode::empty_query(out),
        }
    }
}

/// Says what the server would have said to each message (hazards R38), and remembers the names that
/// were given. The shape is then that of what comes behind.
fn say(answer: &Answer, work: &Work, shape: &mut Shape, talk: &mut Talk, io: &mut Io) {
    let (Work::Batch(steps), Shape::Batch(_, labels)) = (work, shape) else {
        return answer.complete(&mut io.out);
    };
    for (place, step) in steps.iter().enumerate() {
        say_closes(labels, place, io);
        if let Some(name) = labels.name_at(place) {
            talk.names.confirm(&name);
        }
        let out = &mut io.out;
        match step {
            Step::Parse(_) => encode::parse_complete(out),
            Step::DescribeStatement(_) => {
                // Neither a BEGIN nor an empty text has parameters; none always fit.
                let _fits = encode::parameter_description(&[], out);
                encode::no_data(out);
            }
            Step::Bind { .. } => encode::bind_complete(out),
            Step::DescribePortal(_) => encode::no_data(out),
            Step::Execute { .. } => answer.complete(out),
            Step::ClosePortal(_) => encode::close_complete(out),
        }
    }
    say_closes(labels, steps.len(), io);
    labels.skip(steps.len());
}

fn say_closes(labels: &Labels, place: usize, io: &mut Io) {
    let closes = labels.closes.iter().filter(|at| **at == place);
    closes.for_each(|_| io.out.extend_from_slice(&close_complete()));
}
