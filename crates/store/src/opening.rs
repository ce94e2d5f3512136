//! How a ticket is opened, or one that is there is found: one transaction. It never decides who needs one.

use gate::tickets::{NewTicket, Opened, StoreError, Whose};
use gate::{State, TicketId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::options::Options;
use crate::rows::{self, Stop};

pub(crate) fn open(
    db: &Connection,
    new: &NewTicket,
    now: i64,
    options: Options,
) -> Result<Opened, Stop> {
    if let Some(id) = same(db, new, now)? {
        // Whoever asks again may say why where nobody has.
        db.prepare_cached("UPDATE tickets SET reason = coalesce(reason, ?2) WHERE id = ?1")?
            .execute(params![id.0, new.reason])?;
        let ticket = rows::ticket(db, id, now)?;
        return Ok(match ticket.state {
            State::Approved => Opened::Approved(ticket),
            _ => Opened::Pending(ticket),
        });
    }
    let caps = [
        (
            Whose::Person,
            "requester",
            new.requester.as_str(),
            options.pending_per_user_max,
        ),
        (
            Whose::Tenant,
            "tenant",
            new.tenant.as_str(),
            options.pending_per_tenant_max,
        ),
    ];
    for (whose, column, name, max) in caps {
        if pending(db, column, name, now)? >= i64::from(max) {
            return Err(StoreError::TooMany { whose, max }.into());
        }
    }
    let id = insert(db, new, now, options)?;
    Ok(Opened::Pending(rows::ticket(db, id, now)?))
}

/// The ticket of the same request that is approved, else that waits.
fn same(db: &Connection, new: &NewTicket, now: i64) -> Result<Option<TicketId>, Stop> {
    let digest = new.digest.to_string();
    let found = db
        .prepare_cached(
            "SELECT id FROM tickets
             WHERE digest = ?1 AND requester = ?2 AND tenant = ?3
               AND state IN ('approved', 'pending') AND expires_ms > ?4
             ORDER BY state = 'approved' DESC, id DESC LIMIT 1",
        )?
        .query_row(
            params![digest, new.requester.as_str(), new.tenant.as_str(), now],
            |row| row.get(0).map(TicketId),
        )
        .optional()?;
    Ok(found)
}

/// How many tickets wait whose `column` is this.
fn pending(db: &Connection, column: &str, name: &str, now: i64) -> Result<i64, Stop> {
    let count = format!(
        "SELECT count(*) FROM tickets
         WHERE {column} = ?1 AND state = 'pending' AND expires_ms > ?2"
    );
    let counted = db
        .prepare_cached(&count)?
        .query_row(params![name, now], |row| row.get(0))?;
    Ok(counted)
}

fn insert(db: &Connection, new: &NewTicket, now: i64, options: Options) -> Result<TicketId, Stop> {
    db.prepare_cached(
        "INSERT INTO tickets (digest, tenant, requester, state, class, rule, why, needs, asked,
                              role, in_transaction, client, created_ms, expires_ms,
                              use_within_ms, reason, facts, previous)
         VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                 (SELECT max(id) FROM tickets WHERE digest = ?1 AND requester = ?3))",
    )?
    .execute(params![
        new.digest.to_string(),
        new.tenant.as_str(),
        new.requester.as_str(),
        new.class,
        new.rule,
        new.why,
        serde_json::to_string(&new.needs)?,
        serde_json::to_string(&new.asked)?,
        new.role,
        new.in_transaction,
        new.client,
        now,
        now.saturating_add(new.decide_within_ms.unwrap_or(options.decide_within_ms)),
        new.use_within_ms,
        new.reason,
        serde_json::to_string(&new.facts)?,
    ])?;
    Ok(TicketId(db.last_insert_rowid()))
}
