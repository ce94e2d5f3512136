//! How a ticket is opened, or one that is there is found: one transaction. It never decides who needs one.

use gate::ticket::Scope;
use gate::tickets::{NewTicket, Opened, StoreError, Whose};
use gate::{State, Ticket, TicketId};
use rusqlite::{OptionalExtension as _, params};

use crate::db::{Cell, Db};
use crate::options::Options;
use crate::rows::{self, Kept, Stop};

/// The end of the year 9999: a review waits for as long as it takes.
const NEVER_MS: i64 = 253_402_300_799_000;

/// An approved ticket of the same request, else a grant, else one that waits, else a new one.
pub(crate) fn open(
    db: &Db<'_>,
    new: &NewTicket,
    now: i64,
    options: Options,
) -> Result<Opened, Stop> {
    if new.scope == Scope::BreakGlass {
        return break_glass(db, new, now, options);
    }
    let found = same(db, new, now)?;
    let approved = |it: &Ticket| it.state == State::Approved;
    if !found.as_ref().is_some_and(approved)
        && !new.must_exist
        && let Some(grant) = grant(db, new, now)?
    {
        return Ok(Opened::Approved(grant));
    }
    if let Some(ticket) = found {
        // Whoever asks again may say why where nobody has.
        let reason = hidden(db, new, ticket.id, "reason", new.reason.clone())?;
        db.prepare_cached("UPDATE tickets SET reason = coalesce(reason, ?2) WHERE id = ?1")?
            .execute(params![ticket.id.0, reason])?;
        return Ok(if approved(&ticket) {
            Opened::Approved(ticket)
        } else {
            Opened::Pending(rows::ticket(db, ticket.id, now)?)
        });
    }
    if new.must_exist {
        return Err(StoreError::Absent.into());
    }
    check_room(db, new, now, options)?;
    let decide_within = new.decide_within_ms.unwrap_or(options.decide_within_ms);
    let decided_by = now.saturating_add(decide_within);
    let expires = match &new.scope {
        // What nobody signs before it is over grants nothing.
        Scope::Grant(grant) => grant.until_ms.min(decided_by),
        _ => decided_by,
    };
    let id = insert(db, new, (State::Pending, now, expires))?;
    Ok(Opened::Pending(rows::ticket(db, id, now)?))
}

/// What runs before anybody signs is approved by its rule; in the same transaction the ticket for its review is opened, which
/// waits until somebody has looked.
fn break_glass(db: &Db<'_>, new: &NewTicket, now: i64, options: Options) -> Result<Opened, Stop> {
    let use_within = new.use_within_ms.unwrap_or(options.use_within_ms);
    let id = insert(
        db,
        new,
        (State::Approved, now, now.saturating_add(use_within)),
    )?;
    let review = NewTicket {
        scope: Scope::Review { of: id },
        ..new.clone()
    };
    insert(db, &review, (State::Pending, now, NEVER_MS))?;
    Ok(Opened::Approved(rows::ticket(db, id, now)?))
}

/// Hazards R99: nobody floods those who sign.
fn check_room(db: &Db<'_>, new: &NewTicket, now: i64, options: Options) -> Result<(), Stop> {
    let person = (Whose::Person, "requester", new.requester.as_str());
    let tenant = (Whose::Tenant, "tenant", new.tenant.as_str());
    for ((whose, column, name), max) in [
        (person, options.pending_per_user_max),
        (tenant, options.pending_per_tenant_max),
    ] {
        let count = format!(
            "SELECT count(*) FROM tickets
             WHERE {column} = ?1 AND state = 'pending' AND expires_ms > ?2"
        );
        let waiting: i64 = db
            .prepare_cached(&count)?
            .query_row(params![name, now], |row| row.get(0))?;
        if waiting >= i64::from(max) {
            return Err(StoreError::TooMany { whose, max }.into());
        }
    }
    Ok(())
}

/// The ticket of the same request that is approved, else the one that waits.
fn same(db: &Db<'_>, new: &NewTicket, now: i64) -> Result<Option<Ticket>, Stop> {
    let digest = db.digest(new.tenant.as_str(), new.digest.to_string())?;
    let found = db
        .prepare_cached(
            "SELECT id FROM tickets
             WHERE digest = ?1 AND requester = ?2 AND tenant = ?3
               AND json_extract(scope, '$.kind') IN ('once', 'script', 'grant')
               AND state IN ('approved', 'pending') AND expires_ms > ?4
             ORDER BY state = 'approved' DESC, id DESC LIMIT 1",
        )?
        .query_row(
            params![digest, new.requester.as_str(), new.tenant.as_str(), now],
            |row| row.get(0),
        )
        .optional()?;
    found
        .map(|id| rows::ticket(db, TicketId(id), now))
        .transpose()
}

/// A grant of this person at this tenant that covers what is asked for, and has a use left.
fn grant(db: &Db<'_>, new: &NewTicket, now: i64) -> Result<Option<Ticket>, Stop> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM tickets
         WHERE requester = ?1 AND tenant = ?2 AND state = 'approved' AND expires_ms > ?3
           AND json_extract(scope, '$.kind') = 'grant'
         ORDER BY expires_ms",
    )?;
    let whose = params![new.requester.as_str(), new.tenant.as_str(), now];
    let ids: Vec<i64> = statement
        .query_map(whose, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in ids {
        let ticket = rows::ticket(db, TicketId(id), now)?;
        if let Scope::Grant(grant) = &ticket.scope
            && grant.covers(&new.classes)
            && ticket.uses < grant.uses_max
        {
            return Ok(Some(ticket));
        }
    }
    Ok(None)
}

/// A text of it as it is written.
fn hidden(
    db: &Db<'_>,
    new: &NewTicket,
    ticket: TicketId,
    column: &str,
    text: Option<String>,
) -> Result<Option<String>, Stop> {
    let tenant = new.tenant.as_str();
    let cell = Cell {
        tenant,
        ticket,
        column,
    };
    Ok(text.map(|it| db.hide(cell, it)).transpose()?)
}

/// What the next ticket will be, in this transaction.
fn next_id(db: &Db<'_>) -> Result<TicketId, Stop> {
    let last = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tickets'";
    let last: i64 = db.prepare_cached(last)?.query_row([], |row| row.get(0))?;
    Ok(TicketId(last.saturating_add(1)))
}

fn insert(
    db: &Db<'_>,
    new: &NewTicket,
    (state, now, expires): (State, i64, i64),
) -> Result<TicketId, Stop> {
    let id = next_id(db)?;
    let hidden = |column, text| hidden(db, new, id, column, Some(text));
    let digest = new.digest.to_string();
    let asked = if db.hides(new.tenant.as_str()) {
        serde_json::to_string(&Kept::of(&digest, &new.asked))?
    } else {
        serde_json::to_string(&new.asked)?
    };
    db.prepare_cached(
        "INSERT INTO tickets (id, digest, tenant, requester, state, scope, class, rule, why, needs, asked,
                              role, in_transaction, client, created_ms, expires_ms, use_within_ms,
                              reason, time_outs, facts, previous)
         VALUES (?20, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                 (SELECT max(id) FROM tickets WHERE digest = ?1 AND requester = ?3))",
    )?
    .execute(params![
        db.digest(new.tenant.as_str(), digest)?,
        new.tenant.as_str(),
        new.requester.as_str(),
        state.as_str(),
        serde_json::to_string(&new.scope)?,
        new.class,
        new.rule,
        hidden("why", new.why.clone())?,
        serde_json::to_string(&new.needs)?,
        hidden("asked", asked)?,
        new.role,
        new.in_transaction,
        new.client,
        now,
        expires,
        new.use_within_ms,
        new.reason.clone().map_or(Ok(None), |it| hidden("reason", it))?,
        serde_json::to_string(&new.time_outs)?,
        hidden("facts", serde_json::to_string(&new.facts)?)?,
        id.0,
    ])?;
    Ok(id)
}
