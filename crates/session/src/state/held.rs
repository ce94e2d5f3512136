//! Held: a request waits for people. It costs memory and no connection, unless the client's
//! transaction already has one; then it waits on a budget, since it keeps locks.

use std::sync::Arc;
use std::time::Instant;

use gate::{Clearance, Request, Ticket, TicketId};

use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::{Input, News};
use crate::notices;
use crate::shape::Shape;
use crate::state::job::{Accounts, Refused, hang_up, refuse};
use crate::talk::{Io, Talk};

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Held {
    ticket: Box<Ticket>,
    request: Arc<Request>,
    shape: Shape,
    since: Instant,
    heartbeat: Instant,
    budget: Option<Instant>,
}

/// Where holding leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Held),
    /// It may be claimed; the session still counts as one that waits, until it claims.
    Release(Clearance, Shape),
    Refused(Refused, Shape),
    /// The budget is over: the transaction is rolled back, and what it spent comes back.
    RollBack(Shape),
    Close(Accounts),
}

impl Held {
    pub(crate) fn start(
        ticket: Box<Ticket>,
        request: Arc<Request>,
        shape: Shape,
        now: Instant,
        talk: &Talk,
        io: &mut Io,
    ) -> Self {
        let limited = talk.transaction.has_worked() || talk.segment.is_some();
        let budget = limited.then_some(talk.limits.budget);
        notices::held(&ticket, budget, &mut io.out);
        Self {
            ticket,
            request,
            shape,
            since: now,
            heartbeat: now + talk.limits.heartbeat,
            budget: budget.map(|budget| now + budget),
        }
    }

    /// When the state wants to hear of time.
    pub(crate) fn deadline(&self) -> Instant {
        self.budget
            .map_or(self.heartbeat, |budget| budget.min(self.heartbeat))
    }

    /// How many bytes wait with it.
    pub(crate) fn bytes(&self) -> usize {
        self.request.work.bytes()
    }

    /// The ticket that it waits for.
    pub(crate) fn ticket(&self) -> TicketId {
        self.ticket.id
    }

    pub(crate) fn handle(
        self,
        now: Instant,
        input: Input<'_>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        let id = self.ticket.id;
        match input {
            Input::News(ticket, news) if ticket == id => self.news(news, talk, io),
            Input::Tick => self.tick(now, talk, io),
            Input::Cancel => {
                leave(id, true, io);
                let fault = Fault::cancelled(Some(id));
                Next::Refused(refuse(&fault, &self.shape, talk, io), self.shape)
            }
            Input::ClientGone => {
                leave(id, false, io);
                Next::Close(hang_up(talk, io))
            }
            Input::UpstreamGone if talk.leased() => give_up(id, &Fault::upstream_lost(), talk, io),
            Input::Drain => give_up(id, &Fault::shutdown(Some(id)), talk, io),
            Input::Upstream(buf) => {
                match crate::replies::relay_unasked(buf, &mut io.out, &mut talk.told) {
                    Ok(()) => Next::Stay(self),
                    Err(fault) => give_up(id, &fault, talk, io),
                }
            }
            _ => Next::Stay(self),
        }
    }

    fn news(mut self, news: News, talk: &mut Talk, io: &mut Io) -> Next {
        let id = self.ticket.id;
        let fault = match news {
            News::Approved(time_outs) => {
                notices::approved(id, &mut io.out);
                let clearance = Clearance::Ticket {
                    ticket: id,
                    request: self.request,
                    time_outs,
                };
                return Next::Release(clearance, self.shape);
            }
            News::Said(ticket) => {
                notices::said(&ticket, &mut io.out);
                self.ticket = ticket;
                return Next::Stay(self);
            }
            News::Rejected { by, reason } => Fault::rejected(id, &by, reason.as_deref()),
            News::Withdrawn => Fault::withdrawn(id),
            News::Expired => Fault::expired(id),
            News::Moved => Fault::moved(talk.tenant.as_str(), Some(id)),
        };
        leave(id, false, io);
        Next::Refused(refuse(&fault, &self.shape, talk, io), self.shape)
    }

    fn tick(mut self, now: Instant, talk: &mut Talk, io: &mut Io) -> Next {
        if self.budget.is_some_and(|budget| budget <= now) {
            let id = self.ticket.id;
            leave(id, false, io);
            io.error(&Fault::budget(id, talk.limits.budget.as_secs()));
            talk.names.settle(true);
            return Next::RollBack(self.shape);
        }
        if self.heartbeat <= now {
            let waited = now.saturating_duration_since(self.since);
            notices::still_waiting(&self.ticket, waited, &mut io.out);
            self.heartbeat = now + talk.limits.heartbeat;
        }
        Next::Stay(self)
    }
}

/// The session waits no more.
fn leave(ticket: TicketId, withdraw: bool, io: &mut Io) {
    io.effect(Effect::Leave { ticket, withdraw });
}

/// The connection ends; the ticket stays.
fn give_up(ticket: TicketId, fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
    leave(ticket, false, io);
    io.error(&fault.clone().fatal());
    Next::Close(hang_up(talk, io))
}
