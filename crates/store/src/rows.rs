//! Tickets as rows: how one is read, and what can go wrong on the way. It never changes a row but for what came of its ticket.

use std::borrow::Cow;

use gate::ticket::{Asked, ClaimId, Decision, Facts, Scope, TimeOuts};
use gate::tickets::{Filter, Open, StoreError};
use gate::{Outcome, PrincipalId, State, Ticket, TicketId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use crate::db::{Cell, Db, NotHidden, Shown};

/// Why a piece of work on the database stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Refused(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error("a stored value does not read: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    NotHidden(#[from] NotHidden),
    #[error("a stored value does not read: {0}")]
    Value(String),
}

impl From<Stop> for StoreError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refused) => refused,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

const COLUMNS: &str = "id, scope, state, tenant, requester, class, rule, why, needs, asked, digest, role, \
                       in_transaction, client, reason, time_outs, facts, created_ms, expires_ms, previous, outcome, (SELECT count(*) FROM claims \
                       WHERE claims.ticket = tickets.id AND ended IS NOT 'undone') AS uses";

/// A row whose words are not read yet.
struct Raw {
    ticket: Ticket,
    scope: String,
    state: String,
    needs: String,
    asked: String,
    facts: String,
    time_outs: String,
    outcome: Option<String>,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        scope: row.get("scope")?,
        state: row.get("state")?,
        needs: row.get("needs")?,
        asked: row.get("asked")?,
        facts: row.get("facts")?,
        time_outs: row.get("time_outs")?,
        outcome: row.get("outcome")?,
        ticket: Ticket {
            id: TicketId(row.get("id")?),
            scope: Scope::default(),
            uses: row.get("uses")?,
            state: State::Void,
            tenant: row.get::<_, String>("tenant")?.into(),
            requester: row.get::<_, String>("requester")?.into(),
            class: row.get("class")?,
            rule: row.get("rule")?,
            why: row.get("why")?,
            needs: Vec::new(),
            asked: Vec::new(),
            digest: row.get("digest")?,
            role: row.get("role")?,
            in_transaction: row.get("in_transaction")?,
            client: row.get("client")?,
            reason: row.get("reason")?,
            time_outs: TimeOuts::default(),
            facts: Facts::default(),
            created_ms: row.get("created_ms")?,
            expires_ms: row.get("expires_ms")?,
            decisions: Vec::new(),
            previous: row.get::<_, Option<i64>>("previous")?.map(TicketId),
            outcome: None,
        },
    })
}

fn whole(db: &Db<'_>, raw: Raw, now: i64) -> Result<Ticket, Stop> {
    let mut ticket = raw.ticket;
    ticket.state = effective(
        raw.state.parse().map_err(Stop::Value)?,
        ticket.expires_ms,
        now,
    );
    ticket.scope = serde_json::from_str(&raw.scope)?;
    ticket.needs = serde_json::from_str(&raw.needs)?;
    ticket.time_outs = serde_json::from_str(&raw.time_outs)?;
    let (tenant, id) = (ticket.tenant.clone(), ticket.id);
    let shown = |column, stored| {
        let cell = Cell {
            tenant: tenant.as_str(),
            ticket: id,
            column,
        };
        db.show(cell, stored)
    };
    match shown("asked", raw.asked) {
        Shown::Plain(text) => ticket.asked = serde_json::from_str(&text)?,
        Shown::Opened(text) => {
            let kept: Kept<'_> = serde_json::from_str(&text)?;
            ticket.digest = kept.digest.into_owned();
            ticket.asked = kept.asked.into_owned();
        }
        Shown::Closed(words) => ticket.asked = unreadable(words),
    }
    if let Ok(facts) = shown("facts", raw.facts).text() {
        ticket.facts = serde_json::from_str(&facts)?;
    }
    let outcome = raw.outcome.map(|it| match shown("outcome", it).text() {
        Ok(text) => serde_json::from_str(&text),
        Err(words) => Ok(Outcome {
            tags: Vec::new(),
            error: Some(words),
        }),
    });
    ticket.outcome = outcome.transpose()?;
    ticket.why = shown("why", ticket.why).words();
    ticket.reason = ticket.reason.map(|it| shown("reason", it).words());
    ticket.decisions = said(db, ticket.id)?;
    for decision in &mut ticket.decisions {
        let comment = decision.comment.take();
        decision.comment = comment.map(|it| shown("comment", it).words());
    }
    Ok(ticket)
}

/// What is asked, with the digest of it, where neither is in clear text.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept<'a> {
    digest: Cow<'a, str>,
    asked: Cow<'a, [Asked]>,
}

impl<'a> Kept<'a> {
    pub(crate) fn of(digest: &'a str, asked: &'a [Asked]) -> Self {
        Self {
            digest: Cow::Borrowed(digest),
            asked: Cow::Borrowed(asked),
        }
    }
}

/// Nobody can be asked for what nobody can read: it has no digest that a request could have.
fn unreadable(words: String) -> Vec<Asked> {
    vec![Asked {
        text: words.into(),
        parameters: Vec::new(),
    }]
}

/// Writes what came of a ticket.
pub(crate) fn put_outcome(
    db: &Db<'_>,
    id: TicketId,
    outcome: Option<&Outcome>,
) -> Result<(), Stop> {
    let tenant: String = db
        .prepare_cached("SELECT tenant FROM tickets WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    let cell = Cell {
        tenant: &tenant,
        ticket: id,
        column: "outcome",
    };
    let outcome = match outcome {
        Some(outcome) => Some(db.hide(cell, serde_json::to_string(outcome)?)?),
        None => None,
    };
    db.prepare_cached("UPDATE tickets SET outcome = ?2 WHERE id = ?1")?
        .execute(params![id.0, outcome])?;
    Ok(())
}

/// Where a ticket stands at `now`: one whose time is over is expired, whether or not a sweep has
/// said so (hazards R100).
fn effective(stored: State, expires_ms: i64, now: i64) -> State {
    match stored {
        State::Pending | State::Approved if expires_ms <= now => State::Expired,
        stored => stored,
    }
}

/// The ticket `id` as it stands at `now`.
pub(crate) fn ticket(db: &Db<'_>, id: TicketId, now: i64) -> Result<Ticket, Stop> {
    let found = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM tickets WHERE id = ?1"))?
        .query_row([id.0], raw)
        .optional()?;
    whole(db, found.ok_or(StoreError::NoSuchTicket(id))?, now)
}

/// What the ticket `id` lets happen; the rest of it is not read.
pub(crate) fn scope(db: &Connection, id: TicketId) -> Result<Scope, Stop> {
    let found: Option<String> = db
        .prepare_cached("SELECT scope FROM tickets WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    Ok(serde_json::from_str(
        &found.ok_or(StoreError::NoSuchTicket(id))?,
    )?)
}

/// The ticket's state at `now`, as an error that says that something cannot happen to it.
pub(crate) fn refusal(db: &Connection, id: TicketId, now: i64) -> Stop {
    let found = db
        .prepare_cached("SELECT state, expires_ms FROM tickets WHERE id = ?1")
        .and_then(|mut it| {
            it.query_row([id.0], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()
        });
    match found {
        Err(error) => error.into(),
        Ok(None) => StoreError::NoSuchTicket(id).into(),
        Ok(Some((state, expires_ms))) => match state.parse() {
            Err(error) => Stop::Value(error),
            Ok(state) => StoreError::WrongState {
                id,
                state: effective(state, expires_ms, now),
            }
            .into(),
        },
    }
}

/// Tickets at `now`, newest first. A limit of 0 is none.
pub(crate) fn list(db: &Db<'_>, filter: &Filter, now: i64) -> Result<Vec<Ticket>, Stop> {
    let wanted = |state: &State| filter.states.is_empty() || filter.states.contains(state);
    // An expired ticket may still be stored as what it was.
    let stored: Vec<&str> = State::ALL
        .iter()
        .filter(|state| {
            let lapses = matches!(state, State::Pending | State::Approved);
            wanted(state) || (lapses && wanted(&State::Expired))
        })
        .map(|state| state.as_str())
        .collect();
    let states: Vec<&str> = State::ALL
        .iter()
        .filter(|state| wanted(state))
        .map(|state| state.as_str())
        .collect();
    let limit = if filter.limit == 0 {
        -1
    } else {
        i64::from(filter.limit)
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM tickets
         WHERE state IN (SELECT value FROM json_each(?1))
           AND CASE WHEN state IN ('pending', 'approved') AND expires_ms <= ?3 THEN 'expired'
                    ELSE state END IN (SELECT value FROM json_each(?2))
           AND (?4 IS NULL OR requester = ?4)
         ORDER BY id DESC LIMIT ?5"
    ))?;
    let stored = serde_json::to_string(&stored)?;
    let states = serde_json::to_string(&states)?;
    let requester = filter.requester.as_ref().map(PrincipalId::as_str);
    let found: Vec<Raw> = statement
        .query_map(params![stored, states, now, requester, limit], raw)?
        .collect::<Result<_, _>>()?;
    found.into_iter().map(|raw| whole(db, raw, now)).collect()
}

/// All that was said of a ticket, in order.
fn said(db: &Connection, id: TicketId) -> Result<Vec<Decision>, Stop> {
    let mut statement = db.prepare_cached(
        "SELECT person, groups, say, comment, at_ms FROM words WHERE ticket = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([id.0])?;
    let mut said = Vec::new();
    while let Some(row) = rows.next()? {
        let say: String = row.get(2)?;
        said.push(Decision {
            by: row.get::<_, String>(0)?.into(),
            groups: serde_json::from_str(&row.get::<_, String>(1)?)?,
            say: say.parse().map_err(Stop::Value)?,
            comment: row.get(3)?,
            at_ms: row.get(4)?,
        });
    }
    Ok(said)
}

/// Every use that has not ended.
pub(crate) fn executing(db: &Connection) -> Result<Vec<Open>, Stop> {
    let mut statement = db.prepare_cached(
        "SELECT ticket, id, in_transaction FROM claims WHERE ended IS NULL ORDER BY id",
    )?;
    let found = statement
        .query_map([], |row| {
            Ok(Open {
                ticket: TicketId(row.get(0)?),
                claim: ClaimId(row.get(1)?),
                in_transaction: row.get(2)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// When the oldest use was claimed of which nobody knows what came.
pub(crate) fn oldest_unsettled(db: &Connection) -> Result<Option<i64>, Stop> {
    let oldest = "SELECT min(claimed_ms) FROM claims JOIN tickets ON tickets.id = claims.ticket
                  WHERE claims.ended IS NULL OR tickets.state = 'in_doubt'";
    Ok(db.prepare_cached(oldest)?.query_row([], |row| row.get(0))?)
}
