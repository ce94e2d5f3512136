//! Claims with a fault that was asked for, so that a sweep can show that it finds it: they are made too late, or of tickets
//! that are spent. Without being asked they are as they should be.

use std::sync::{Mutex, PoisonError};

use gate::ticket::ClaimId;
use gate::tickets::{Claimed, Standing, Use};
use gate::{Event, Outcome, TicketId};
use rusqlite::params;

use crate::claims;
pub(crate) use crate::claims::abandon;
use crate::db::Db;
use crate::options::Options;
use crate::rows::Stop;

#[cfg(not(debug_assertions))]
compile_error!("a gate with a fault is never built in release");

/// The variable that asks for a fault.
const FAULT: &str = "PORTCULLIS_BREAK";

/// Claims that were told of and not made.
static LATE: Mutex<Vec<Late>> = Mutex::new(Vec::new());

struct Late {
    id: TicketId,
    once: Use,
    standing: Standing,
    options: Options,
}

/// Spends a ticket, or breaks a promise.
pub(crate) fn claim(
    db: &Db<'_>,
    id: TicketId,
    once: &Use,
    standing: &Standing,
    now: i64,
    options: Options,
) -> Result<Claimed, Stop> {
    match std::env::var(FAULT).as_deref() {
        Ok("claim-after-send") => {
            let mut late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
            late.push(Late {
                id,
                once: once.clone(),
                standing: standing.clone(),
                options,
            });
            let behind = i64::try_from(late.len()).unwrap_or(i64::MAX);
            Ok(Claimed::Spent(
                ClaimId(last(db)?.saturating_add(behind)),
                None,
            ))
        }
        Ok("double-claim") => {
            db.execute(
                "UPDATE claims SET ended = 'undone', ended_ms = ?2 WHERE ticket = ?1 AND ended IS NULL",
                params![id.0, now],
            )?;
            db.execute(
                "UPDATE tickets SET state = 'approved' WHERE id = ?1",
                params![id.0],
            )?;
            claims::claim(db, id, once, standing, now, options)
        }
        _ => claims::claim(db, id, once, standing, now, options),
    }
}

/// Ends claims, once those are made that should have been.
pub(crate) fn settle(
    db: &Db<'_>,
    ended: &[(TicketId, ClaimId)],
    event: Event,
    outcome: Option<&Outcome>,
    now: i64,
) -> Result<(), Stop> {
    let late = std::mem::take(&mut *LATE.lock().unwrap_or_else(PoisonError::into_inner));
    for it in late {
        claims::claim(db, it.id, &it.once, &it.standing, now, it.options)?;
    }
    claims::settle(db, ended, event, outcome, now)
}

/// The number of the claim that was made last; none is given twice.
fn last(db: &Db<'_>) -> Result<i64, Stop> {
    let last = db.query_row(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'claims'",
        [],
        |row| row.get(0),
    )?;
    Ok(last)
}
