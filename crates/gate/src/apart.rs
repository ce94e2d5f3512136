//! Where a request of several statements can be taken apart, so that each is decided by itself and
//! nothing else becomes of it than would have: transaction control in front of what does the work
//! (BEGIN as drivers send it, a savepoint for each statement), and strings of nothing but reads.

use std::sync::Arc;

use sql::{Class, Control, Leaves, Reading, Statement};

use crate::request::Request;
use crate::work::{Step, Work};

/// A string of more statements is left to people: what is behind a part is read again with each.
const PARTS_MAX: usize = 20;

/// Where the first part ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// A Query string: the first part is the bytes up to here; the next byte is its semicolon.
    Query(usize),
    /// A batch: the first part is this many steps.
    Batch(usize),
}

/// Where `request` can be taken apart, if it can. `passes` says that all of it may pass unsigned.
pub(crate) fn apart(request: &Request, passes: bool) -> Option<Apart> {
    match &request.work {
        Work::Query(text) => query(text, request.readings.first()?, passes),
        Work::Batch(steps) => batch(steps, request),
    }
}

fn query(text: &str, reading: &Reading, passes: bool) -> Option<Apart> {
    let statements = &reading.statements;
    if reading.why_opaque.is_some() || !(2..=PARTS_MAX).contains(&statements.len()) {
        return None;
    }
    let control = statements.iter().take_while(|it| opens(it)).count();
    let rest = statements.len() - control;
    // A setting of the gate's own is no part of what the server makes of the rest.
    let ours = statements.first().is_some_and(|it| it.ours.is_some());
    if rest > 1 && !ours && !(passes && statements.iter().all(changes_nothing)) {
        return None;
    }
    let end = statements.first()?.range.end;
    let semicolon = text.as_bytes().get(end) == Some(&b';');
    semicolon.then_some(Apart::Query(end))
}

/// Transaction control in front of the work: not its end, which belongs to what is in it. And what the gate answers itself.
fn opens(statement: &Statement) -> bool {
    if statement.ours.is_some() {
        return true;
    }
    let ends = matches!(
        statement.control,
        Some(Control::Commit { .. } | Control::Rollback { .. })
    );
    statement.class == Class::Transaction && !ends
}

/// Whether it makes no difference that its neighbours are not in one implicit transaction with it.
fn changes_nothing(statement: &Statement) -> bool {
    match statement.class {
        Class::Read | Class::Transaction => true,
        Class::Session => statement.leaves == Leaves::Nothing && !statement.forgets(),
        _ => false,
    }
}

fn batch(steps: &[Step], request: &Request) -> Option<Apart> {
    let first = request.readings.first()?;
    let control = matches!(first.statements.as_slice(), [it] if opens(it));
    let length = alone(steps).filter(|length| *length < steps.len())?;
    (control && request.readings.len() > 1).then_some(Apart::Batch(length))
}

/// How many steps at the front of a batch are about nothing but the statement that it binds first,
/// bound and executed once; what comes behind does not come back to its portal.
pub fn alone(steps: &[Step]) -> Option<usize> {
    let (name, prepared) = steps.iter().find_map(|step| match step {
        Step::Bind {
            portal, statement, ..
        } => Some((portal, statement)),
        _ => None,
    })?;
    let own = |step: &&Step| match step {
        Step::Parse(it) | Step::DescribeStatement(it) | Step::CloseStatement(it) => {
            Arc::ptr_eq(it, prepared)
        }
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
        Step::Parse(_) | Step::DescribeStatement(_) | Step::CloseStatement(_) => false,
    });
    let left = next.is_none_or(|step| matches!(step, Step::Bind { .. }));
    (once && left).then_some(length)
}
