//! The claim: where a decision becomes the right to run. It is the only place in the house that
//! makes a [`Released`], and nothing of a requester's reaches PostgreSQL without one (DESIGN
//! principle 3).

use std::sync::Arc;

use crate::ledger::{Nonce, Place};
use crate::policy::{Denial, Pass, Policy};
use crate::principal::People;
use crate::request::Request;
use crate::ticket::{ClaimId, Ticket, TicketId, TimeOuts};
use crate::tickets::{Claimed, HeldAll, Standing, StoreError, Tickets, Use};

/// On whose word something runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// A rule let it pass.
    Unsigned {
        /// The rule.
        rule: Arc<str>,
    },
    /// People signed.
    Signed {
        /// The ticket.
        ticket: TicketId,
        /// This use of it.
        claim: ClaimId,
    },
}

/// What can be turned into a [`Released`]: a rule's pass, or a ticket for exactly this request.
#[derive(Debug)]
pub enum Clearance {
    /// A rule let it pass.
    Pass(Pass),
    /// A ticket should be there; the claim finds out.
    Ticket {
        /// The ticket.
        ticket: TicketId,
        /// What is to run.
        request: Arc<Request>,
        /// How long it may wait for a lock, and run.
        time_outs: TimeOuts,
    },
}

impl Clearance {
    /// What is to run.
    pub fn request(&self) -> &Arc<Request> {
        match self {
            Self::Pass(pass) => &pass.request,
            Self::Ticket { request, .. } => request,
        }
    }

    /// Whether the server must refuse writes while it runs.
    pub fn fenced(&self) -> bool {
        match self {
            Self::Pass(pass) => pass.fenced(),
            Self::Ticket { .. } => false,
        }
    }

    /// How long it may wait for a lock, and run, where that is not the session's own business.
    pub fn time_outs(&self) -> TimeOuts {
        match self {
            Self::Pass(_) => TimeOuts::default(),
            Self::Ticket { time_outs, .. } => *time_outs,
        }
    }

    /// The ticket, where there is one.
    pub fn ticket(&self) -> Option<TicketId> {
        match self {
            Self::Pass(_) => None,
            Self::Ticket { ticket, .. } => Some(*ticket),
        }
    }
}

/// Why a clearance could not be turned into the right to run. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotClaimed {
    /// The ticket is not approved any more: another session spent it, or it expired.
    #[error(transparent)]
    Ticket(StoreError),
    /// What people said is not enough any more.
    #[error("ticket {} waits again", .0.id)]
    Reopened(Box<Ticket>),
    /// A rule denies it by now.
    #[error("a rule denies it")]
    Denied(Denial),
    /// Somebody has closed the gate to all but reads.
    #[error("the gate is closed to all but reads")]
    HeldAll(HeldAll),
    /// The store did not answer.
    #[error("the ticket store is not available")]
    Store(String),
}

/// A request that may go up: the very bytes that were decided on, once.
#[derive(Debug)]
pub struct Released {
    request: Arc<Request>,
    authority: Authority,
    nonce: Option<Nonce>,
}

impl Released {
    /// What may run.
    pub fn request(&self) -> &Arc<Request> {
        &self.request
    }

    /// On whose word.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The right to lay down the row of the ledger that must go up in front of it, in the same transaction. Where there is one,
    /// what becomes of the row is taken for what became of the request.
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// The right to go on with it: to fetch from its portals and to stream its COPY data.
    pub fn right(&self) -> Right {
        Right {
            authority: self.authority.clone(),
        }
    }
}

/// The right to go on with what was released, and no more: fetch from its portals, stream its COPY
/// data (hazards R42, R43). Only [`Released::right`] makes one.
#[derive(Clone, Debug)]
pub struct Right {
    authority: Authority,
}

impl Right {
    /// On whose word.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// Spends what a rule let pass: nothing is written anywhere for that, so nobody need wait for it.
pub fn pass_on(pass: Pass) -> Released {
    let Pass { request, rule, .. } = pass;
    Released {
        request,
        authority: Authority::Unsigned { rule },
        nonce: None,
    }
}

/// What stands when a ticket is spent.
#[derive(Clone, Debug)]
pub struct Law<'a> {
    /// The rules.
    pub policy: &'a Policy,
    /// Who is in which group.
    pub people: &'a Arc<People>,
    /// The time of day, in milliseconds since 1970, for rules that have hours.
    pub now_ms: i64,
    /// The ledger where it is to run, if there is one.
    pub ledger: Option<Place>,
}

/// Spends a clearance. For a ticket this is one compare-and-set, durable before it returns, with the rules and the groups
/// of this moment in its condition; the caller then writes the intent and sends (DESIGN ruling 1). Dropping the future
/// may leave the ticket spent and unsent: the driver must not drop it.
pub async fn claim<T: Tickets>(
    tickets: &T,
    law: Law<'_>,
    clearance: Clearance,
) -> Result<Released, NotClaimed> {
    let (ticket, request) = match clearance {
        Clearance::Pass(pass) => return Ok(pass_on(pass)),
        Clearance::Ticket {
            ticket, request, ..
        } => (ticket, request),
    };
    let needs = law.policy.needs(&request, law.now_ms);
    let standing = Standing {
        needs: needs.map_err(NotClaimed::Denied)?,
        people: Arc::clone(law.people),
        breaks_glass: law.policy.break_glass(&request).is_some(),
    };
    let once = Use {
        digest: request.digest(),
        tenant: request.context.tenant.clone(),
        principal: request.principal.id.clone(),
        classes: request.classes(),
        in_transaction: request.context.in_transaction,
        step: request.script_step(),
        ledger: law.ledger.filter(|_| request.fits_ledger()),
    };
    let claimed = tickets.claim(ticket, once, standing).await;
    match claimed {
        Ok(Claimed::Spent(claim, nonce)) => Ok(Released {
            request,
            authority: Authority::Signed { ticket, claim },
            nonce,
        }),
        Ok(Claimed::Reopened(ticket)) => Err(NotClaimed::Reopened(ticket)),
        Err(StoreError::Unavailable(why)) => Err(NotClaimed::Store(why)),
        Err(refused) => Err(NotClaimed::Ticket(refused)),
    }
}
