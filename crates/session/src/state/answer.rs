//! What the gate answers by itself, as the server would have: an empty ping, transaction control before
//! anything ran, a setting of the gate's own, a DEALLOCATE of what only the gate knows, a signal to a session of the
//! person's own. It never decides whether something may run.

use std::sync::Arc;

use bytes::BytesMut;
use gate::apart::alone;
use gate::cargo::Begin;
use gate::work::Values;
use gate::{Step, Work};
use sql::{Control, Mention, Ours, Pid, Reading, Signal};
use wire::backend::{Column, encode};

use crate::fault::Fault;
use crate::ours::PREFIX;
use crate::replies::close_complete;
use crate::shape::{Labels, Shape};
use crate::talk::{Io, Talk};
use crate::transaction::Transaction;

/// The type `integer`, of `pg_type`.
const INT4: u32 = 23;

/// Whether it is one thing to answer.
pub(crate) fn by_itself(work: &Work) -> bool {
    match work {
        Work::Query(_) => true,
        Work::Batch(steps) => alone(steps) == Some(steps.len()),
    }
}

/// What the gate answers by itself.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To an empty text.
    Empty,
    /// With a command tag.
    Tag(&'static str),
    /// With the one row of a signal that was sent.
    Signalled(Signalled),
    /// With the name and the value of a setting of the gate's own.
    Shown(String, String),
}

/// The row that says so.
#[derive(Debug)]
pub(crate) struct Signalled {
    /// What was called.
    function: &'static str,
    /// The parameters that were given, by type.
    parameters: Vec<u32>,
    binary: bool,
}

/// The answer, where `work` is something that the gate answers.
pub(crate) fn answer(
    work: &Work,
    controls: Option<&[Control]>,
    readings: &[Arc<Reading>],
    talk: &mut Talk,
) -> Option<Answer> {
    if !by_itself(work) {
        return None;
    }
    if readings.iter().all(|reading| reading.statements.is_empty()) && readings.len() == 1 {
        return talk.segment.is_none().then_some(Answer::Empty);
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
    Some(Answer::Tag(next.1))
}

/// The BEGIN that it is, and its tag.
pub(crate) fn begin_of(control: &Control) -> Option<(Begin, &'static str)> {
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

/// SET, RESET or SHOW of a setting of the gate's own.
pub(crate) fn ours(readings: &[Arc<Reading>], talk: &mut Talk) -> Option<Result<Answer, Fault>> {
    let [reading] = readings else { return None };
    let [statement] = reading.statements.as_slice() else {
        return None;
    };
    let answer = match statement.ours.as_ref()? {
        Ours::Set(name, value) => {
            let tag = if value.is_some() { "SET" } else { "RESET" };
            let set = talk.ours.set(name, value.as_deref());
            set.map(|()| Answer::Tag(tag))
        }
        Ours::Show(name) => {
            let shown = talk.ours.show(name);
            shown.map(|value| Answer::Shown(format!("{PREFIX}{name}"), value))
        }
    };
    Some(answer)
}

/// A DEALLOCATE of what only the gate knows by that name (DESIGN ruling 13).
pub(crate) fn deallocate(
    readings: &[Arc<Reading>],
    talk: &mut Talk,
) -> Option<Result<Answer, Fault>> {
    let [reading] = readings else { return None };
    let [statement] = reading.statements.as_slice() else {
        return None;
    };
    let Some(Mention::Forgets(forgotten)) = &statement.prepared else {
        return None;
    };
    if talk.alone() || talk.segment.is_some() {
        return None;
    }
    Some(match forgotten {
        None => {
            talk.names.clear();
            Ok(Answer::Tag("DEALLOCATE ALL"))
        }
        Some(name) => match talk.names.close(name).filter(|_| !name.is_empty()) {
            Some(_) => Ok(Answer::Tag("DEALLOCATE")),
            None => Err(Fault::no_statement(name)),
        },
    })
}

/// A signal to whom a client knows as `pid`, and the answer if that is somebody whom it may signal.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) pid: u32,
    pub(crate) terminates: bool,
    pub(crate) answer: Answer,
}

/// The signal that `work` is, in a shape whose answer is known to the byte.
pub(crate) fn signal(work: &Work, readings: &[Arc<Reading>], talk: &Talk) -> Option<Asked> {
    let [reading] = readings else { return None };
    let [statement] = reading.statements.as_slice() else {
        return None;
    };
    let Signal { terminates, pid } = statement.signal?;
    if !by_itself(work) || talk.segment.is_some() {
        return None;
    }
    let (pid, parameters, binary) = match (work, pid) {
        (Work::Query(_), Pid::Is(pid)) => (pid, Vec::new(), false),
        (Work::Query(_), Pid::Parameter) => return None,
        (Work::Batch(steps), pid) => {
            let (types, values) = bound(steps)?;
            let pid = match (pid, values.values.as_slice(), types) {
                (Pid::Is(pid), [], []) => pid,
                (Pid::Parameter, [Some(value)], [] | [0 | INT4]) => number(value, values)?,
                _ => return None,
            };
            let binary = match values.result_formats.as_slice() {
                [] | [0] => false,
                [1] => true,
                _ => return None,
            };
            (pid, vec![INT4; values.values.len()], binary)
        }
    };
    let function = if terminates {
        "pg_terminate_backend"
    } else {
        "pg_cancel_backend"
    };
    Some(Asked {
        pid,
        terminates,
        answer: Answer::Signalled(Signalled {
            function,
            parameters,
            binary,
        }),
    })
}

/// What the one Bind binds, if all of its rows are asked for.
fn bound(steps: &[Step]) -> Option<(&[u32], &Values)> {
    let whole = |step: &Step| !matches!(step, Step::Execute { max_rows, .. } if *max_rows > 0);
    let bind = steps.iter().find_map(|step| match step {
        Step::Bind {
            statement, values, ..
        } => Some((statement.types.as_slice(), values)),
        _ => None,
    });
    bind.filter(|_| steps.iter().all(whole))
}

/// An `integer` as it was bound.
fn number(value: &[u8], values: &Values) -> Option<u32> {
    match values.formats.as_slice() {
        [] | [0] => std::str::from_utf8(value).ok()?.parse().ok(),
        [1] => value.try_into().ok().map(u32::from_be_bytes),
        _ => None,
    }
}

impl Answer {
    fn parameters(&self) -> &[u32] {
        match self {
            Self::Empty | Self::Tag(_) | Self::Shown(..) => &[],
            Self::Signalled(it) => &it.parameters,
        }
    }

    /// What Describe says of the rows; of a statement that is not bound yet they are text.
    fn describe(&self, bound: bool, out: &mut BytesMut) {
        match self {
            Self::Empty | Self::Tag(_) => encode::no_data(out),
            Self::Signalled(it) => {
                let column = Column::boolean(it.function, bound && it.binary);
                // One column always fits.
                let _fits = encode::row_description(&[column], out);
            }
            Self::Shown(name, _) => {
                // So does this.
                let _fits = encode::row_description(&[Column::text(name)], out);
            }
        }
    }

    fn complete(&self, out: &mut BytesMut) {
        match self {
            Self::Empty => encode::empty_query(out),
            Self::Tag(tag) => encode::command_complete(tag, out),
            Self::Signalled(it) => {
                let yes = if it.binary { "\u{1}" } else { "t" };
                // One short value always fits.
                let _fits = encode::data_row(&[Some(yes)], out);
                encode::command_complete("SELECT 1", out);
            }
            Self::Shown(_, value) => {
                // Nothing that is shown is longer than what may be set.
                let _fits = encode::data_row(&[Some(value)], out);
                encode::command_complete("SHOW", out);
            }
        }
    }
}

/// Says what the server would have said to each message (hazards R38), and remembers the names that
/// were given. The shape is then that of what comes behind.
pub(crate) fn say(answer: &Answer, work: &Work, shape: &mut Shape, talk: &mut Talk, io: &mut Io) {
    let (Work::Batch(steps), Shape::Batch(_, labels)) = (work, shape) else {
        if matches!(answer, Answer::Signalled(_) | Answer::Shown(..)) {
            answer.describe(false, &mut io.out);
        }
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
                // At most one parameter, which always fits.
                let _fits = encode::parameter_description(answer.parameters(), out);
                answer.describe(false, out);
            }
            Step::Bind { .. } => encode::bind_complete(out),
            Step::DescribePortal(_) => answer.describe(true, out),
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
