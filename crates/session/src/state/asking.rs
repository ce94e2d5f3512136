//! Asking: what was asked is read, and the gate is asked. What the gate answers by itself (an empty
//! ping, a BEGIN before anything ran) is answered here.

use std::sync::Arc;

use gate::apart::alone;
use gate::cargo::Begin;
use gate::work::binds;
use gate::{Apart, Clearance, Request, Step, Ticket, Work};
use sql::{Class, Control, Mention, Reading, Statement};

use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::{Input, Verdict};
use crate::mode::PoolMode;
use crate::notices;
use crate::shape::Close;
use crate::shape::{Rest, Shape};
use crate::state::answer::{
    Answer, Asked, answer, begin_of, by_itself, deallocate, ours, say, signal,
};
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
    /// What stands behind the names that it EXECUTEs.
    Inside(Box<Inside>),
    Judging(Arc<Request>),
    /// Whether the process that it signals is a session of the same person.
    Signalling(Box<Signalling>),
}

#[derive(Debug)]
struct Inside {
    work: Work,
    readings: Vec<Arc<Reading>>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Signalling {
    work: Work,
    readings: Vec<Arc<Reading>>,
    answer: Answer,
}

/// Where asking leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Box<Asking>),
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

    /// How many bytes wait with it.
    pub(crate) fn bytes(&self) -> usize {
        match &self.phase {
            Phase::Reading(work) => work.bytes(),
            Phase::Inside(it) => it.work.bytes(),
            Phase::Judging(request) => request.work.bytes(),
            Phase::Signalling(it) => it.work.bytes(),
        }
    }

    pub(crate) fn handle(
        mut self: Box<Self>,
        input: Input<'_>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        match (input, self.phase) {
            (Input::Readings(readings), Phase::Reading(work)) => {
                self.phase = Phase::Reading(Work::Batch(Vec::new()));
                self.read(work, readings, talk, io)
            }
            (Input::Readings(insides), Phase::Inside(it)) => {
                self.phase = Phase::Reading(Work::Batch(Vec::new()));
                let Inside {
                    work,
                    readings,
                    names,
                } = *it;
                let known = with_insides(&readings, &names, &insides);
                self.understood(work, known, talk, io)
            }
            (Input::Unread(fault), Phase::Reading(_) | Phase::Inside(_)) => {
                if self.stop.gone || self.stop.lost {
                    return close(self.stop, talk, io);
                }
                Next::Refused(refuse(&fault, &self.shape, talk, io), self.shape)
            }
            (Input::Signalled(sent), Phase::Signalling(it)) => {
                self.phase = Phase::Reading(Work::Batch(Vec::new()));
                self.signalled(sent, *it, talk, io)
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
        mut self: Box<Self>,
        work: Work,
        readings: Vec<Arc<Reading>>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if let Some(why) = talk.told.reads_otherwise() {
            let texts = work.texts();
            let unread = texts.iter().map(|text| Arc::new(sql::unread(text, why)));
            return self.understood(work, unread.collect(), talk, io);
        }
        let behind = executed(&readings).into_iter().filter_map(|name| {
            let prepared = talk.names.behind(name)?;
            Some((name.to_owned(), prepared.text.clone()))
        });
        let (names, texts): (Vec<_>, Vec<_>) = behind.unzip();
        if names.is_empty() {
            return self.understood(work, readings, talk, io);
        }
        io.effect(Effect::Read(texts));
        self.phase = Phase::Inside(Box::new(Inside {
            work,
            readings,
            names,
        }));
        Next::Stay(self)
    }

    /// All that can be known of the texts is known.
    fn understood(
        mut self: Box<Self>,
        mut work: Work,
        mut readings: Vec<Arc<Reading>>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if self.stop.gone || self.stop.lost {
            return close(self.stop, talk, io);
        }
        if let Some(((begin, tag), rest)) = leading_begin(&mut work, &readings, talk) {
            talk.transaction = Transaction::Virtual(begin);
            say(&Answer::Tag(tag), &work, &mut self.shape, talk, io);
            readings.remove(0);
            if !binds(&rest) {
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
            None if by_itself(&work) => {
                ours(&readings, talk).or_else(|| deallocate(&readings, talk))
            }
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
        match signal(&work, &readings, talk) {
            Some(asked) => self.signal(asked, work, readings, talk, io),
            None => self.ask(work, readings, talk, io),
        }
    }

    fn signal(
        mut self: Box<Self>,
        asked: Asked,
        work: Work,
        readings: Vec<Arc<Reading>>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        let Asked {
            pid,
            terminates,
            answer,
        } = asked;
        if pid == talk.peer.key.pid {
            let fault = if terminates {
                Fault::shutdown(None)
            } else {
                Fault::cancelled(None)
            };
            return Next::Refused(refuse(&fault, &self.shape, talk, io), self.shape);
        }
        io.effect(Effect::Signal { pid, terminates });
        self.phase = Phase::Signalling(Box::new(Signalling {
            work,
            readings,
            answer,
        }));
        Next::Stay(self)
    }

    fn ask(
        mut self: Box<Self>,
        work: Work,
        readings: Vec<Arc<Reading>>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        let request = Arc::new(talk.request(work, readings));
        io.effect(Effect::Ask(Arc::clone(&request)));
        self.phase = Phase::Judging(request);
        Next::Stay(self)
    }

    /// A signal that was sent is answered; any other is a statement like all others.
    fn signalled(
        mut self: Box<Self>,
        sent: bool,
        it: Signalling,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if self.stop.gone || self.stop.lost {
            return close(self.stop, talk, io);
        }
        if !sent {
            return self.ask(it.work, it.readings, talk, io);
        }
        if self.stop.cancelled {
            // It has cancelled itself.
            let refused = refuse(&Fault::cancelled(None), &self.shape, talk, io);
            return Next::Refused(refused, self.shape);
        }
        say(&it.answer, &it.work, &mut self.shape, talk, io);
        Next::Refused(finish(&self.shape, talk, io), self.shape)
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
            Verdict::Clear(clearance) => {
                talk.ours.ticket = clearance.ticket().or(talk.ours.ticket);
                return Next::Release(clearance, shape);
            }
            Verdict::Broken(clearance, ticket) => {
                talk.ours.ticket = Some(ticket.id);
                notices::broken(&ticket, &mut io.out);
                return Next::Release(clearance, shape);
            }
            Verdict::Again => return Next::Ask(request.work.clone(), shape),
            Verdict::Apart(apart) => {
                let (work, first, rest) = take_apart(apart, &request.work, shape);
                talk.rest.extend(rest);
                return Next::Ask(work, first);
            }
            Verdict::Held(ticket) if talk.ours.waits() => {
                talk.ours.ticket = Some(ticket.id);
                return Next::Hold(ticket, request, shape);
            }
            Verdict::Held(ticket) => {
                talk.ours.ticket = Some(ticket.id);
                io.effect(Effect::Leave {
                    ticket: ticket.id,
                    withdraw: false,
                });
                Fault::pending(&ticket)
            }
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

/// The names that texts EXECUTE; none where one of them makes or forgets such names itself, and what a name means in the
/// middle nobody has said yet.
fn executed(readings: &[Arc<Reading>]) -> Vec<&str> {
    let statements = readings.iter().flat_map(|reading| &reading.statements);
    let mentions: Vec<&Mention> = statements.filter_map(|it| it.prepared.as_ref()).collect();
    let names = mentions.iter().map(|it| match it {
        Mention::Runs { name, plain: true } => Some(name.as_str()),
        Mention::Runs { .. } | Mention::Makes { .. } | Mention::Forgets(_) => None,
    });
    names.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// The readings where it is known what stands behind each of these names.
fn with_insides(
    readings: &[Arc<Reading>],
    names: &[String],
    insides: &[Arc<Reading>],
) -> Vec<Arc<Reading>> {
    let inside = |name: &str| {
        let place = names.iter().position(|it| it == name)?;
        insides.get(place).map(Arc::as_ref)
    };
    let known = readings
        .iter()
        .map(|reading| Arc::new(reading.with_inside(inside)));
    known.collect()
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
