//! How a ticket is spent, and what came of that: each one transaction. What the words on a ticket are worth is counted here
//! once more, with the groups and the rules of that moment (hazards R79, R100).

use std::sync::Arc;

use gate::ledger::{Place, Row};
use gate::ticket::{ClaimId, Grant, Scope, missing, still, together};
use gate::tickets::{Claimed, Standing, StoreError, Use};
use gate::{Event, Need, Outcome, State, Ticket, TicketId};
use rusqlite::params;

use crate::db::Db;
use crate::ledger::{self, FIRST};
use crate::options::Options;
use crate::rows::{self, Stop};
use crate::scripts;
use crate::transitions::{advance, reopen};

/// Spends a ticket.
pub(crate) fn claim(
    db: &Db<'_>,
    id: TicketId,
    once: &Use,
    standing: &Standing,
    now: i64,
    options: Options,
) -> Result<Claimed, Stop> {
    let ticket = rows::ticket(db, id, now)?;
    let wrong = |state| Stop::from(StoreError::WrongState { id, state });
    let same = ticket.digest == once.digest.to_string();
    if !covers(&ticket, once, same) {
        return Err(StoreError::NoSuchTicket(id).into());
    }
    if let (Scope::Script { steps }, Some(step), State::Executing) =
        (&ticket.scope, &once.step, ticket.state)
    {
        return scripts::next(db, &ticket, steps, (step, once));
    }
    if ticket.state != State::Approved {
        return Err(wrong(ticket.state));
    }
    let needs = match &ticket.scope {
        // Nobody has signed for it, and the rule that lets it run stands.
        Scope::BreakGlass if standing.breaks_glass => None,
        Scope::BreakGlass | Scope::Review { .. } => return Err(wrong(State::Void)),
        Scope::Grant(_) => Some(ticket.needs.clone()),
        // What the rules say of one of its statements now adds to what they said of all.
        Scope::Once | Scope::Script { .. } => Some(together(&ticket.needs, &standing.needs)),
    };
    if let Some(needs) = needs
        && let Some(reopened) = lapse(db, &ticket, &needs, standing, now, options)?
    {
        return Ok(Claimed::Reopened(Box::new(reopened)));
    }
    let step = match (&ticket.scope, &once.step) {
        (Scope::Script { steps }, Some(step)) if !same => {
            scripts::check(&ticket, steps, 0, (step, once.in_transaction))?;
            Some(&step.holder)
        }
        _ => None,
    };
    let shared = match &ticket.scope {
        Scope::Grant(grant) if ticket.uses >= grant.uses_max => return Err(wrong(State::Done)),
        Scope::Grant(_) => true,
        _ => {
            advance(db, id, Event::Claim, now)?;
            false
        }
    };
    let claim = insert(db, id, (once, shared, step), now)?;
    let row = once.ledger.as_ref().map(|_| Row {
        ticket: id,
        claim: shared.then_some(claim),
        step: FIRST,
    });
    let nonce = row.map(|row| ledger::nonce(db, row)).transpose()?;
    Ok(Claimed::Spent(claim, nonce))
}

/// The use itself; of a script, `holder` has begun it.
fn insert(
    db: &Db<'_>,
    id: TicketId,
    (once, shared, holder): (&Use, bool, Option<&Arc<str>>),
    now: i64,
) -> Result<ClaimId, Stop> {
    db.prepare_cached(
        "INSERT INTO claims (ticket, shared, in_transaction, holder, steps, row, place, claimed_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        id.0,
        shared,
        once.in_transaction,
        holder.map(|it| &**it),
        holder.is_some(),
        once.ledger.as_ref().map(|_| FIRST),
        once.ledger.as_ref().map(Place::as_str),
        now
    ])?;
    Ok(ClaimId(db.last_insert_rowid()))
}

/// Whether the ticket is about this use at all: of the same person and tenant, and the same to the byte, or of what it covers.
fn covers(ticket: &Ticket, once: &Use, same: bool) -> bool {
    let theirs = ticket.requester == once.principal && ticket.tenant == once.tenant;
    theirs
        && match &ticket.scope {
            Scope::Grant(grant) => grant.covers(&once.classes),
            Scope::Script { .. } => same || once.step.is_some(),
            Scope::Once | Scope::BreakGlass => same,
            Scope::Review { .. } => false,
        }
}

/// Opens an approved ticket again where the words on it do not make `needs` any more.
fn lapse(
    db: &Db<'_>,
    ticket: &Ticket,
    needs: &[Need],
    standing: &Standing,
    now: i64,
    options: Options,
) -> Result<Option<Ticket>, Stop> {
    let words = still(&ticket.decisions, &standing.people);
    if missing(needs, &ticket.requester, &words).is_empty() {
        return Ok(None);
    }
    db.prepare_cached("UPDATE tickets SET needs = ?2 WHERE id = ?1")?
        .execute(params![ticket.id.0, serde_json::to_string(needs)?])?;
    for word in words {
        db.prepare_cached("UPDATE words SET groups = ?3 WHERE ticket = ?1 AND person = ?2")?
            .execute(params![
                ticket.id.0,
                word.by.as_str(),
                serde_json::to_string(&word.groups)?
            ])?;
    }
    reopen(db, ticket.id, now, options).map(Some)
}

/// Ends claims, all of them or none.
pub(crate) fn settle(
    db: &Db<'_>,
    claims: &[(TicketId, ClaimId)],
    event: Event,
    outcome: Option<&Outcome>,
    now: i64,
) -> Result<(), Stop> {
    let outcome = outcome.filter(|_| event != Event::Unclaim);
    let ended = match event.transition().1 {
        State::Approved => "undone",
        state => state.as_str(),
    };
    for (id, claim) in claims {
        if event.apply(State::Executing).is_none() {
            return Err(rows::refusal(db, *id, now));
        }
        let scope = rows::scope(db, *id)?;
        if let Scope::Script { steps } = &scope
            && scripts::goes_on(db, (*id, *claim), steps, event)?
        {
            continue;
        }
        let closed = db
            .prepare_cached(
                "UPDATE claims SET ended = ?3, ended_ms = ?4
                 WHERE id = ?1 AND ticket = ?2 AND ended IS NULL",
            )?
            .execute(params![claim.0, id.0, ended, now])?;
        if closed != 1 {
            return Err(rows::refusal(db, *id, now));
        }
        match scope {
            Scope::Grant(grant) => exhaust(db, *id, &grant, now)?,
            _ => advance(db, *id, event, now)?,
        }
        rows::put_outcome(db, *id, outcome)?;
    }
    Ok(())
}

/// A grant whose last use has ended is done; one that has expired meanwhile, or was withdrawn, stays as it is.
fn exhaust(db: &Db<'_>, id: TicketId, grant: &Grant, now: i64) -> Result<(), Stop> {
    let ticket = rows::ticket(db, id, now)?;
    let open = db
        .prepare_cached("SELECT 1 FROM claims WHERE ticket = ?1 AND ended IS NULL")?
        .exists([id.0])?;
    if !open && ticket.uses >= grant.uses_max && ticket.state == State::Approved {
        advance(db, id, Event::Exhaust, now)?;
    }
    Ok(())
}

/// What a connection had begun of a script and not ended has failed; of what others have begun nothing is said.
pub(crate) fn abandon(
    db: &Db<'_>,
    id: TicketId,
    holder: &str,
    now: i64,
) -> Result<Option<Ticket>, Stop> {
    let Some((claim, begun, all)) = scripts::left(db, id, holder)? else {
        return Ok(None);
    };
    let outcome = Outcome {
        tags: Vec::new(),
        error: Some(format!(
            "its session ended behind {begun} of {all} statements"
        )),
    };
    settle(db, &[(id, claim)], Event::Fail, Some(&outcome), now)?;
    rows::ticket(db, id, now).map(Some)
}
