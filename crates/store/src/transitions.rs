//! Every change of a ticket: one transaction, one compare-and-set, with the states of
//! `gate::Event`'s table and the expiry in its WHERE (hazards R79, R100). It never reads a clock;
//! it is told the time.

use gate::tickets::HeldAll;
use gate::{Event, Outcome, Ticket, TicketId};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::chain::Head;
use crate::db::Db;
use crate::options::Options;
use crate::rows::{self, Stop};

/// Runs `work` as one transaction that has the write lock from its start.
pub(crate) fn transact<T>(
    db: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// The compare-and-set: moves `id` as the table says, or fails with where it stands. Whatever waits
/// or is approved can only move while its time is not over, but for the expiry itself.
pub(crate) fn advance(db: &Connection, id: TicketId, event: Event, now: i64) -> Result<(), Stop> {
    let (from, to) = event.transition();
    let names: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
    let from = serde_json::to_string(&names)?;
    let changed = db
        .prepare_cached(
            "UPDATE tickets SET state = ?2
             WHERE id = ?1 AND state IN (SELECT value FROM json_each(?3))
               AND (state NOT IN ('pending', 'approved') OR expires_ms > ?4)",
        )?
        .execute(params![id.0, to.as_str(), from, now])?;
    if changed == 1 {
        Ok(())
    } else {
        Err(rows::refusal(db, id, now))
    }
}

/// What was approved waits again, as long as what is new.
pub(crate) fn reopen(db: &Db<'_>, id: TicketId, now: i64, life: Options) -> Result<Ticket, Stop> {
    advance(db, id, Event::Reopen, now)?;
    db.prepare_cached("UPDATE tickets SET expires_ms = ?2 WHERE id = ?1")?
        .execute(params![id.0, now.saturating_add(life.decide_within_ms)])?;
    rows::ticket(db, id, now)
}

pub(crate) fn withdraw(db: &Db<'_>, id: TicketId, now: i64) -> Result<Ticket, Stop> {
    advance(db, id, Event::Withdraw, now)?;
    rows::ticket(db, id, now)
}

/// Ends a ticket by what was found out about it; of a doubt also the claim that it is about.
pub(crate) fn conclude(
    db: &Db<'_>,
    id: TicketId,
    event: Event,
    outcome: Option<&Outcome>,
    now: i64,
) -> Result<Ticket, Stop> {
    if !matches!(event, Event::Void | Event::Confirm | Event::Fence) {
        return Err(rows::refusal(db, id, now));
    }
    advance(db, id, event, now)?;
    db.prepare_cached("UPDATE claims SET ended = ?2 WHERE ticket = ?1 AND ended = 'in_doubt'")?
        .execute(params![id.0, event.transition().1.as_str()])?;
    if let Some(outcome) = outcome {
        rows::put_outcome(db, id, Some(outcome))?;
    }
    rows::ticket(db, id, now)
}

/// Says of every ticket whose time is over that it is.
pub(crate) fn expire(db: &Db<'_>, now: i64) -> Result<Vec<Ticket>, Stop> {
    let (from, to) = Event::Expire.transition();
    let names: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
    let due: Vec<i64> = db
        .prepare_cached(
            "UPDATE tickets SET state = ?1
             WHERE state IN (SELECT value FROM json_each(?2)) AND expires_ms <= ?3 RETURNING id",
        )?
        .query_map(
            params![to.as_str(), serde_json::to_string(&names)?, now],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    let mut expired: Vec<Ticket> = due
        .into_iter()
        .map(|id| rows::ticket(db, TicketId(id), now))
        .collect::<Result<_, _>>()?;
    expired.sort_by_key(|ticket| ticket.id);
    Ok(expired)
}

/// What `meta` knows of who has closed the gate.
const HOLD_ALL: &str = "hold_all";

/// Closes the gate to all but reads, or opens it; says what stood before.
pub(crate) fn hold_all(db: &Connection, held: Option<&HeldAll>) -> Result<Option<HeldAll>, Stop> {
    let before = held_all(db)?;
    db.prepare_cached("DELETE FROM meta WHERE name = ?1")?
        .execute([HOLD_ALL])?;
    if let Some(held) = held {
        db.prepare_cached("INSERT INTO meta (name, value) VALUES (?1, ?2)")?
            .execute(params![HOLD_ALL, serde_json::to_string(held)?])?;
    }
    Ok(before)
}

/// Who has closed the gate.
pub(crate) fn held_all(db: &Connection) -> Result<Option<HeldAll>, Stop> {
    let found: Option<String> = db
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([HOLD_ALL], |row| row.get(0))
        .optional()?;
    Ok(found.map(|it| serde_json::from_str(&it)).transpose()?)
}

/// Notes how far a node's journal reaches. A head never goes back.
pub(crate) fn anchor(db: &Connection, node: &str, head: Head) -> Result<(), Stop> {
    let seq = i64::try_from(head.seq).map_err(|error| Stop::Value(error.to_string()))?;
    let hash = head.hash.to_string();
    let changed = db
        .prepare_cached(
            "INSERT INTO heads (node, seq, hash) VALUES (?1, ?2, ?3)
             ON CONFLICT (node) DO UPDATE SET seq = excluded.seq, hash = excluded.hash
             WHERE excluded.seq > heads.seq
                OR (excluded.seq = heads.seq AND excluded.hash = heads.hash)",
        )?
        .execute(params![node, seq, hash])?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Stop::Value(format!(
            "the head of node \"{node}\" is not behind record {seq}"
        )))
    }
}

/// How far a node's journal is known to reach.
pub(crate) fn head(db: &Connection, node: &str) -> Result<Option<Head>, Stop> {
    let found = heads(db)?.into_iter().find(|(name, _)| name == node);
    Ok(found.map(|(_, head)| head))
}

/// The heads of every node.
pub(crate) fn heads(db: &Connection) -> Result<Vec<(String, Head)>, Stop> {
    let mut statement = db.prepare_cached("SELECT node, seq, hash FROM heads ORDER BY node")?;
    let mut rows = statement.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let hash = row.get::<_, String>(2)?;
        let hash = hash
            .parse()
            .map_err(|error| Stop::Value(format!("head: {error}")))?;
        let seq =
            u64::try_from(row.get::<_, i64>(1)?).map_err(|error| Stop::Value(error.to_string()))?;
        heads.push((row.get(0)?, Head { seq, hash }));
    }
    Ok(heads)
}
