//! Asking: what was asked is read, and the gate is asked. What the gate answers by itself (an empty
//! ping, a BEGIN before anything ran) is answered here.

use std::sync::Arc;

use bytes::BytesMut;
use gate::apart::alone;
use gate::cargo::Begin;
use gate::{Apart, Clearance, Request, Step, Ticket, Work};
use sql::{Class, Control, Forgets, Reading, Statement};
use wire::backend::encode;

use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::{Input, Verdict};
use crate::mode::PoolMode;
use crate::replies::close_complete;
use crate::shape::Close;
use crate::shape::{Labels, Rest, Shape};
use crate::state::job::{Accounts, Refused, finish, hang_up, refuse, refuse_failed};
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
    /// The first part of it is asked for by itself.
    Ask(Work, Shape),
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
                self.stop.lost |= talk.leased() && matches!(input, Input::UpstreamGone);
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
        if let Some(why) = talk.told.reads_otherwise() {
            let texts = work.texts();
            let unread = texts.iter().map(|text| Arc::new(sql::unread(text, why)));
            readings = unread.collect();
        }
        if let Some(((begin, tag), rest)) = leading_begin(&mut work, &readings, talk) {
            talk.transaction = Transaction::Virtual(begin);
            say(&Answer(Some(tag)), &work, &mut self.shape, talk, io);
            readings.remove(0);
            if readings.is_empty() {
                return Next::Proceed(rest, self.shape);
            }
            work = Work::Batch(rest);
        }
        let controls = controls(&readings);
        let empty = controls.as_deref().is_some_and(<[Control]>::is_empty);
        if talk.transaction.has_failed() && !ends_failure(&readings) && !empty {
            let refused = refuse_failed(&self.shape, talk, io);
            return Next::Refused(refused, self.shape);
        }
        if talk.mode == PoolMode::Statement && begins(&readings) {
            let refused = refuse(&Fault::statement_pooling(), &self.shape, talk, io);
            return Next::Refused(refused, self.shape);
        }
        let own = match answer(&work, controls.as_deref(), &readings, talk) {
            Some(answer) => Some(Ok(answer)),
            None if by_itself(&work) => deallocate(&readings, talk),
            None => None,
        };
        if let Some(Err(fault)) = &own {
            let refused = refuse(fault, &self.shape, talk, io);
            return Next::Refused(refused, self.shape);
        }
        if let Some(Ok(answer)) = own {
            say(&answer, &work, &mut self.shape, talk, io);
            return Next::Refused(finish(&self.shape, talk, io), self.shape);
        }
        if matches!(talk.transaction, Transaction::Aborted(_)) {
            // Only ROLLBACK TO is left, and nothing is there to go back to.
            let refused = refuse_failed(&self.shape, talk, io);
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
            Verdict::Apart(apart) => {
                let (work, first, rest) = take_apart(apart, &request.work, shape);
                talk.rest.extend(rest);
                return Next::Ask(work, first);
            }
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

/// Whether it is one thing to answer.
fn by_itself(work: &Work) -> bool {
    match work {
        Work::Query(_) => true,
        Work::Batch(steps) => alone(steps) == Some(steps.len()),
    }
}

/// What the gate answers by itself: a tag, or none for an empty text.
struct Answer(Option<&'static str>);

fn answer(
    work: &Work,
    controls: Option<&[Control]>,
    readings: &[Arc<Reading>],
    talk: &mut Talk,
) -> Option<Answer> {
    if !by_itself(work) {
        return None;
    }
    if readings.iter().all(|reading| reading.statements.is_empty()) && readings.len() == 1 {
        return talk.segment.is_none().then_some(Answer(None));
    }
    let [control] = controls? else { return None };
    let begun = talk.transaction.begin();
    let next = match (&talk.transaction, control) {
        (Transaction::None, control) if talk.segment.is_none() => {
            let (modes, tag) = begin_of(control)?;
            (Transaction::Virtual(modes), tag)
        }
        // A chained one takes over what the server knows of the one before: that goes up.
        (Transaction::Virtual(_), Control::Commit { chain: false }) => {
            (Transaction::None, "COMMIT")
        }
        (Transaction::Virtual(_), Control::Rollback { chain: false }) => {
            (Transaction::None, "ROLLBACK")
        }
        (Transaction::Aborted(_), Control::Commit { chain } | Control::Rollback { chain }) => {
            (chained(*chain, begun), "ROLLBACK")
        }
        _ => return None,
    };
    talk.transaction = next.0;
    Some(Answer(Some(next.1)))
}

/// The BEGIN that it is, and its tag.
fn begin_of(control: &Control) -> Option<(Begin, &'static str)> {
    match control {
        Control::Begin {
            start,
            isolation,
            read_only,
            deferrable,
        } => {
            let begin = Begin {
                isolation: *isolation,
                read_only: *read_only,
                deferrable: *deferrable,
            };
            Some((begin, if *start { "START TRANSACTION" } else { "BEGIN" }))
        }
        _ => None,
    }
}

/// What follows the end of a transaction that did nothing: AND CHAIN begins another like it.
fn chained(chain: bool, begun: Begin) -> Transaction {
    if chain {
        Transaction::Virtual(begun)
    } else {
        Transaction::None
    }
}

/// Whether it begins with what a failed transaction still listens to.
fn ends_failure(readings: &[Arc<Reading>]) -> bool {
    let mut statements = readings.iter().flat_map(|reading| &reading.statements);
    let ends =
        |it: &Statement| it.ends_transaction || matches!(it.control, Some(Control::RollbackTo(_)));
    statements.next().is_some_and(ends)
}

fn begins(readings: &[Arc<Reading>]) -> bool {
    let mut statements = readings.iter().flat_map(|reading| &reading.statements);
    statements.any(|it| matches!(it.control, Some(Control::Begin { .. })))
}

/// A DEALLOCATE of what only the gate knows by that name (DESIGN ruling 13).
fn deallocate(readings: &[Arc<Reading>], talk: &mut Talk) -> Option<Result<Answer, Fault>> {
    let [reading] = readings else { return None };
    let [statement] = reading.statements.as_slice() else {
        return None;
    };
    let forgets = statement.forgets.as_ref()?;
    if talk.alone() || talk.segment.is_some() {
        return None;
    }
    Some(match forgets {
        Forgets::All => {
            talk.names.clear();
            Ok(Answer(Some("DEALLOCATE ALL")))
        }
        Forgets::Statement(name) => match talk.names.close(name).filter(|_| !name.is_empty()) {
            Some(_) => Ok(Answer(Some("DEALLOCATE"))),
            None => Err(Fault::no_statement(name)),
        },
    })
}

/// The first part, and what comes behind it; where there is nothing behind it, all of it.
fn take_apart(apart: Apart, work: &Work, shape: Shape) -> (Work, Shape, Option<Rest>) {
    match (apart, work, shape) {
        (Apart::Query(end), Work::Query(text), shape) => {
            let first = text.slice_ref(text.get(..end).unwrap_or_default());
            let behind = text.slice_ref(text.get(end + 1..).unwrap_or_default());
            let work = Work::Query(behind);
            (
                Work::Query(first),
                Shape::Part,
                Some(Rest::Ask(work, shape)),
            )
        }
        (Apart::Batch(steps), Work::Batch(all), Shape::Batch(close, mut labels)) => {
            let (first, behind) = all.split_at(steps.min(all.len()));
            let head = labels.split(steps);
            let work = Work::Batch(behind.to_vec());
            let shape = Shape::Batch(close, labels);
            let first = Work::Batch(first.to_vec());
            (
                first,
                Shape::Batch(Close::Flush, head),
                Some(Rest::Ask(work, shape)),
            )
        }
        (_, work, shape) => (work.clone(), shape, None),
    }
}

/// A BEGIN that opens a batch, as pgjdbc sends it in front of the first statement: it is answered
/// here like any other, and the rest of the batch, which is cut off, is asked about.
fn leading_begin(
    work: &mut Work,
    readings: &[Arc<Reading>],
    talk: &Talk,
) -> Option<((Begin, &'static str), Vec<Step>)> {
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
    let begin = begin_of(statement.control.as_ref()?)?;
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
            Step::ClosePortal(_) | Step::CloseStatement(_) => encode::close_complete(out),
        }
    }
    say_closes(labels, steps.len(), io);
    labels.skip(steps.len());
}

fn say_closes(labels: &Labels, place: usize, io: &mut Io) {
    let closes = labels.closes.iter().filter(|at| **at == place);
    closes.for_each(|_| io.out.extend_from_slice(&close_complete()));
}
