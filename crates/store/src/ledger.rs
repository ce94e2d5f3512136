//! What the store knows of rows in the ledgers of tenants: by what they are named, which are in doubt, and how a doubt ends. It
//! never asks a ledger.

use gate::ledger::{Fate, Nonce, Place, Row, Secret};
use gate::ticket::{ClaimId, Scope};
use gate::tickets::Doubt;
use gate::{Outcome, TenantId, Ticket, TicketId};
use rusqlite::{Connection, params};

use crate::db::Db;
use crate::rows::{self, Stop};
use crate::transitions::advance;

/// The row of what is no script, and of a script's first statement.
pub(crate) const FIRST: i64 = 0;

/// What `meta` calls the secret.
const SECRET: &str = "ledger";

/// Makes the secret of a new store.
pub(crate) fn prepare(db: &Connection) -> Result<(), Stop> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Stop::Value(error.to_string()))?;
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?1, hex(?2)) ON CONFLICT DO NOTHING",
        params![SECRET, bytes],
    )?;
    Ok(())
}

fn secret(db: &Db<'_>) -> Result<Secret, Stop> {
    let bytes: Vec<u8> = db
        .prepare_cached("SELECT unhex(value) FROM meta WHERE name = ?1")?
        .query_row([SECRET], |row| row.get(0))?;
    let bytes = <[u8; 32]>::try_from(bytes);
    let bytes = bytes.map_err(|_| Stop::Value("the secret of the ledger is broken".to_owned()))?;
    Ok(Secret::new(bytes))
}

/// The right to lay down a row.
pub(crate) fn nonce(db: &Db<'_>, row: Row) -> Result<Nonce, Stop> {
    Ok(secret(db)?.nonce(row))
}

/// Every use that is in doubt and took a row with it.
pub(crate) fn doubts(db: &Db<'_>) -> Result<Vec<Doubt>, Stop> {
    let secret = secret(db)?;
    let mut statement = db.prepare_cached(
        "SELECT claims.ticket, claims.id, shared, row, tenant, place
         FROM claims JOIN tickets ON tickets.id = claims.ticket
         WHERE ended = 'in_doubt' AND row IS NOT NULL AND place IS NOT NULL ORDER BY claims.id",
    )?;
    let found = statement.query_map([], |it| {
        let (ticket, claim) = (TicketId(it.get(0)?), ClaimId(it.get(1)?));
        let row = Row {
            ticket,
            claim: it.get::<_, bool>(2)?.then_some(claim),
            step: it.get(3)?,
        };
        Ok(Doubt {
            ticket,
            claim,
            tenant: TenantId::from(it.get::<_, String>(4)?),
            key: secret.nonce(row).key(),
            place: Place::from(it.get::<_, String>(5)?),
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Ends a doubt.
pub(crate) fn resolve(
    db: &Db<'_>,
    (id, claim): (TicketId, ClaimId),
    fate: Fate,
    now: i64,
) -> Result<Ticket, Stop> {
    let event = fate.event();
    let ended = event.transition().1.as_str();
    let closed = db
        .prepare_cached(
            "UPDATE claims SET ended = ?3, ended_ms = ?4 WHERE id = ?1 AND ticket = ?2 AND ended = 'in_doubt'",
        )?
        .execute(params![claim.0, id.0, ended, now])?;
    if closed != 1 {
        return Err(rows::refusal(db, id, now));
    }
    let scope = rows::scope(db, id)?;
    if !matches!(scope, Scope::Grant(_)) {
        advance(db, id, event, now)?;
    }
    let outcome = Outcome {
        tags: Vec::new(),
        error: Some(said(db, claim, &scope, fate)?),
    };
    db.prepare_cached("UPDATE tickets SET outcome = ?2 WHERE id = ?1")?
        .execute(params![id.0, serde_json::to_string(&outcome)?])?;
    rows::ticket(db, id, now)
}

/// What a ledger said, in words.
fn said(db: &Db<'_>, claim: ClaimId, scope: &Scope, fate: Fate) -> Result<String, Stop> {
    let what = match scope {
        Scope::Script { steps } => {
            let (begun, held): (i64, bool) = db
                .prepare_cached("SELECT steps, holder IS NOT NULL FROM claims WHERE id = ?1")?
                .query_row([claim.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if held {
                format!("statement {begun} of {}", steps.len())
            } else {
                "it".to_owned()
            }
        }
        _ => "it".to_owned(),
    };
    Ok(match fate {
        Fate::Ran => format!("the ledger says that {what} ran"),
        Fate::Fenced => format!("the ledger says that {what} has not run, and never will"),
    })
}
