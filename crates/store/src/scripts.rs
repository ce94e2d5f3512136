//! How far a script has come: each statement that it is signed for is checked off in its turn, by the one connection that has
//! begun it. It never says what a script holds.

use gate::ledger::{Place, Row};
use gate::script::{ScriptStep, bare};
use gate::ticket::{ClaimId, Scope};
use gate::tickets::{Claimed, Step, StoreError, Use};
use gate::{Event, State, Ticket, TicketId};
use rusqlite::{OptionalExtension as _, params};

use crate::db::Db;
use crate::ledger::{self, FIRST};
use crate::rows::{self, Stop};

/// The use of a script that is under way.
struct Under {
    claim: ClaimId,
    holder: Option<String>,
    begun: u32,
}

fn under(db: &Db<'_>, id: TicketId) -> Result<Option<Under>, Stop> {
    let found = db
        .prepare_cached("SELECT id, holder, steps FROM claims WHERE ticket = ?1 AND ended IS NULL")?
        .query_row([id.0], |row| {
            Ok(Under {
                claim: ClaimId(row.get(0)?),
                holder: row.get(1)?,
                begun: row.get(2)?,
            })
        })
        .optional()?;
    Ok(found)
}

/// Checks off the next statement.
pub(crate) fn next(
    db: &Db<'_>,
    ticket: &Ticket,
    steps: &[ScriptStep],
    (step, once): (&Step, &Use),
) -> Result<Claimed, Stop> {
    let id = ticket.id;
    let state = ticket.state;
    let under = under(db, id)?;
    let theirs = |it: &Under| it.holder.as_deref() == Some(&*step.holder);
    let Some(under) = under.filter(theirs) else {
        return Err(StoreError::WrongState { id, state }.into());
    };
    check(
        ticket,
        steps,
        under.begun as usize,
        (step, once.in_transaction),
    )?;
    let row = once.ledger.as_ref().map(|_| Row {
        ticket: id,
        claim: None,
        step: FIRST + i64::from(under.begun),
    });
    // Within a transaction the last row stands for all that came before it and for what follows.
    db.prepare_cached(
        "UPDATE claims SET steps = steps + 1, row = CASE WHEN ?2 THEN coalesce(?3, row) ELSE ?3 END,
         place = coalesce(?4, place) WHERE id = ?1",
    )?
    .execute(params![
        under.claim.0,
        once.in_transaction,
        row.map(|it| it.step),
        once.ledger.as_ref().map(Place::as_str)
    ])?;
    let nonce = row.map(|row| ledger::nonce(db, row)).transpose()?;
    Ok(Claimed::Spent(under.claim, nonce))
}

/// Whether this is the statement that comes behind so many.
pub(crate) fn check(
    ticket: &Ticket,
    steps: &[ScriptStep],
    begun: usize,
    (step, in_transaction): (&Step, bool),
) -> Result<(), Stop> {
    let next = steps.get(begun);
    let text = next.and_then(|it| ticket.asked.get(it.at));
    let text = text.map(|it| it.text.to_string());
    let fits = next.is_some_and(|it| it.in_transaction == in_transaction)
        && text.as_deref() == Some(bare(&step.text));
    if fits {
        return Ok(());
    }
    let (id, expected) = (ticket.id, text);
    Err(StoreError::NotNext { id, expected }.into())
}

/// Whether a script goes on though one of its statements has ended so: it is not the last, or was never sent.
pub(crate) fn goes_on(
    db: &Db<'_>,
    (id, claim): (TicketId, ClaimId),
    steps: &[ScriptStep],
    event: Event,
) -> Result<bool, Stop> {
    let Some(under) = under(db, id)?.filter(|it| it.claim == claim) else {
        // Its transaction has ended it with another of its statements.
        return Ok(rows::ticket(db, id, 0)?.state != State::Executing);
    };
    if under.holder.is_none() {
        return Ok(false);
    }
    match event {
        Event::Succeed => Ok((under.begun as usize) < steps.len()),
        Event::Unclaim if under.begun > 1 => {
            // The row that went with it is not there; which was before it is forgotten, and a person must look.
            db.prepare_cached("UPDATE claims SET steps = steps - 1, row = NULL WHERE id = ?1")?
                .execute(params![claim.0])?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The use that `holder` leaves behind, and how many statements of how many it has begun.
pub(crate) fn left(
    db: &Db<'_>,
    id: TicketId,
    holder: &str,
) -> Result<Option<(ClaimId, usize, usize)>, Stop> {
    let Scope::Script { steps } = rows::scope(db, id)? else {
        return Ok(None);
    };
    let under = under(db, id)?.filter(|it| it.holder.as_deref() == Some(holder));
    Ok(under.map(|it| (it.claim, it.begun as usize, steps.len())))
}
