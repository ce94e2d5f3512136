//! What people say of a ticket, and where it goes with that: one transaction. It never asks whether somebody may speak, but
//! for what a ticket itself says of it: whom it asks, and whose it is.

use gate::ticket::{Say, Scope};
use gate::tickets::{StoreError, Word};
use gate::{Event, Group, State, Ticket, TicketId};
use rusqlite::params;

use crate::db::{Cell, Db};
use crate::options::Options;
use crate::rows::{self, Stop};
use crate::transitions::{advance, reopen};

/// Adds a word, and moves the ticket where that makes the difference.
pub(crate) fn decide(
    db: &Db<'_>,
    id: TicketId,
    word: &Word,
    now: i64,
    life: Options,
) -> Result<Ticket, Stop> {
    let ticket = rows::ticket(db, id, now)?;
    if word.say != Say::Comment {
        counts(&ticket, word)?;
    }
    let cell = Cell {
        tenant: ticket.tenant.as_str(),
        ticket: id,
        column: "comment",
    };
    let comment = word.comment.clone().map(|it| db.hide(cell, it));
    db.prepare_cached(
        "INSERT INTO words (ticket, person, groups, say, comment, at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        id.0,
        word.by.as_str(),
        serde_json::to_string(&word.groups)?,
        word.say.as_str(),
        comment.transpose()?,
        now
    ])?;
    if word.say == Say::Approve {
        let time_outs = ticket.time_outs.narrowed(word.narrows);
        db.prepare_cached("UPDATE tickets SET time_outs = ?2 WHERE id = ?1")?
            .execute(params![id.0, serde_json::to_string(&time_outs)?])?;
    }
    let ticket = rows::ticket(db, id, now)?;
    let enough = ticket.missing().is_empty();
    match word.say {
        Say::Reject => advance(db, id, Event::Reject, now)?,
        Say::Changes if ticket.state == State::Approved && !enough => {
            return reopen(db, id, now, life);
        }
        Say::Approve if enough => match &ticket.scope {
            Scope::Review { .. } => advance(db, id, Event::Close, now)?,
            Scope::Grant(grant) => approve(db, id, now, Some(grant.until_ms), life)?,
            Scope::Once | Scope::Script { .. } | Scope::BreakGlass => {
                approve(db, id, now, None, life)?;
            }
        },
        Say::Changes | Say::Approve | Say::Comment => {}
    }
    rows::ticket(db, id, now)
}

/// It may be used from now on, until then or for as long as its rule says.
fn approve(
    db: &Db<'_>,
    id: TicketId,
    now: i64,
    until: Option<i64>,
    life: Options,
) -> Result<(), Stop> {
    advance(db, id, Event::Approve, now)?;
    db.prepare_cached(
        "UPDATE tickets SET expires_ms = coalesce(?4, ?2 + coalesce(use_within_ms, ?3)) WHERE id = ?1",
    )?
    .execute(params![id.0, now, life.use_within_ms, until])?;
    Ok(())
}

/// Whether the word is one that the ticket waits for.
fn counts(ticket: &Ticket, word: &Word) -> Result<(), StoreError> {
    let id = ticket.id;
    if ticket.requester == word.by {
        return Err(StoreError::OwnTicket(id));
    }
    let asks = |group: &Group| ticket.needs.iter().any(|need| need.group == *group);
    if !word.groups.iter().any(asks) {
        return Err(StoreError::NotAsked(id));
    }
    let event = match word.say {
        Say::Approve => Event::Approve,
        // It may be said of whatever can be refused.
        Say::Reject | Say::Changes | Say::Comment => Event::Reject,
    };
    let state = ticket.state;
    match event.apply(state) {
        Some(_) => Ok(()),
        None => Err(StoreError::WrongState { id, state }),
    }
}
