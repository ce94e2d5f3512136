//! A ticket store in memory: the real transition table, no clock and no disk.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gate::ledger::Fate;
use gate::ticket::{ClaimId, Decision, Say};
use gate::tickets::{
    Claimed, Doubt, Filter, HeldAll, NewTicket, Opened, Standing, StoreError, Use, Word,
};
use gate::{Digest, Event, Outcome, State, Ticket, TicketId, Tickets};

/// Resolves a future that never waits.
pub fn now<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a fake store never waits"),
    }
}

#[derive(Clone, Default)]
pub struct Store(pub Rc<RefCell<Inside>>);

#[derive(Default)]
pub struct Inside {
    pub tickets: Vec<(Ticket, Digest)>,
    pub claims: Vec<(TicketId, ClaimId, Option<State>)>,
    pub down: bool,
}

impl Store {
    pub fn state(&self, id: i64) -> State {
        self.0.borrow().find(TicketId(id)).state
    }

    fn apply(&self, id: TicketId, event: Event) -> Result<Ticket, StoreError> {
        let mut inside = self.0.borrow_mut();
        let ticket = inside.find_mut(id);
        let state = event.apply(ticket.state).ok_or(StoreError::WrongState {
            id,
            state: ticket.state,
        })?;
        ticket.state = state;
        Ok(ticket.clone())
    }

    pub fn set(&self, id: i64, event: Event) -> Ticket {
        self.apply(TicketId(id), event).unwrap()
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.0.borrow().down {
            return Err(StoreError::Unavailable("down".into()));
        }
        Ok(())
    }
}

impl Inside {
    fn find(&self, id: TicketId) -> &Ticket {
        &self.tickets.iter().find(|it| it.0.id == id).unwrap().0
    }
    fn find_mut(&mut self, id: TicketId) -> &mut Ticket {
        &mut self.tickets.iter_mut().find(|it| it.0.id == id).unwrap().0
    }
}

impl Tickets for Store {
    async fn open(&self, new: NewTicket) -> Result<Opened, StoreError> {
        self.up()?;
        let mut inside = self.0.borrow_mut();
        let same = inside.tickets.iter().find(|(ticket, digest)| {
            *digest == new.digest && matches!(ticket.state, State::Pending | State::Approved)
        });
        if let Some((ticket, _)) = same {
            return Ok(match ticket.state {
                State::Approved => Opened::Approved(ticket.clone()),
                _ => Opened::Pending(ticket.clone()),
            });
        }
        let previous = inside.tickets.iter().rev().find(|it| it.1 == new.digest);
        let ticket = Ticket {
            id: TicketId(i64::try_from(inside.tickets.len()).unwrap() + 1),
            state: State::Pending,
            scope: new.scope,
            uses: 0,
            tenant: new.tenant,
            requester: new.requester,
            class: new.class,
            rule: new.rule,
            why: new.why,
            needs: new.needs,
            asked: new.asked,
            digest: new.digest.to_string(),
            role: new.role,
            in_transaction: new.in_transaction,
            client: new.client,
            reason: new.reason,
            time_outs: new.time_outs,
            facts: new.facts,
            created_ms: 0,
            expires_ms: 0,
            decisions: Vec::new(),
            previous: previous.map(|it| it.0.id),
            outcome: None,
        };
        inside.tickets.push((ticket.clone(), new.digest));
        Ok(Opened::Pending(ticket))
    }

    async fn decide(&self, ids: Vec<TicketId>, word: Word) -> Result<Vec<Ticket>, StoreError> {
        let decide = |id: TicketId| {
            let ticket = {
                let mut inside = self.0.borrow_mut();
                let ticket = inside.find_mut(id);
                ticket.decisions.push(Decision {
                    by: word.by.clone(),
                    groups: word.groups.clone(),
                    say: word.say,
                    comment: word.comment.clone(),
                    at_ms: 0,
                });
                ticket.clone()
            };
            match word.say {
                Say::Reject => self.apply(id, Event::Reject),
                Say::Approve if ticket.missing().is_empty() => self.apply(id, Event::Approve),
                _ => Ok(ticket),
            }
        };
        ids.into_iter().map(decide).collect()
    }

    async fn claim(&self, id: TicketId, once: Use, _: Standing) -> Result<Claimed, StoreError> {
        self.up()?;
        assert!(
            self.0
                .borrow()
                .tickets
                .iter()
                .any(|it| it.1 == once.digest && it.0.id == id)
        );
        self.apply(id, Event::Claim)?;
        let mut inside = self.0.borrow_mut();
        let claim = ClaimId(i64::try_from(inside.claims.len()).unwrap() + 1);
        inside.claims.push((id, claim, None));
        Ok(Claimed::Spent(claim, None))
    }

    async fn settle(
        &self,
        claims: Vec<(TicketId, ClaimId)>,
        event: Event,
        outcome: Option<Outcome>,
    ) -> Result<(), StoreError> {
        for (id, claim) in claims {
            let ticket = self.apply(id, event)?;
            let mut inside = self.0.borrow_mut();
            inside.find_mut(id).outcome.clone_from(&outcome);
            let made = inside.claims.iter_mut();
            let known = made.into_iter().find(|it| it.0 == id && it.1 == claim);
            let known = known.expect("only what was claimed is settled");
            assert_eq!(known.2, None, "a claim is settled once");
            known.2 = Some(ticket.state);
        }
        Ok(())
    }

    async fn withdraw(&self, ids: Vec<TicketId>) -> Result<Vec<Ticket>, StoreError> {
        let withdraw = |id| self.apply(id, Event::Withdraw);
        ids.into_iter().map(withdraw).collect()
    }

    async fn conclude(
        &self,
        id: TicketId,
        event: Event,
        _: Option<Outcome>,
    ) -> Result<Ticket, StoreError> {
        self.apply(id, event)
    }

    async fn doubts(&self) -> Result<Vec<Doubt>, StoreError> {
        unreachable!("nobody looks a doubt up here")
    }
    async fn resolve(&self, _: TicketId, _: ClaimId, _: Fate) -> Result<Ticket, StoreError> {
        unreachable!("nobody looks a doubt up here")
    }
    async fn expire(&self) -> Result<Vec<Ticket>, StoreError> {
        Ok(Vec::new())
    }

    async fn abandon(&self, _: TicketId, _: Arc<str>) -> Result<Option<Ticket>, StoreError> {
        Ok(None)
    }
    async fn hold_all(&self, _: Option<HeldAll>) -> Result<Option<HeldAll>, StoreError> {
        Ok(None)
    }

    async fn held_all(&self) -> Result<Option<HeldAll>, StoreError> {
        Ok(None)
    }

    async fn ticket(&self, id: TicketId) -> Result<Ticket, StoreError> {
        Ok(self.0.borrow().find(id).clone())
    }

    async fn list(&self, _: Filter) -> Result<Vec<Ticket>, StoreError> {
        Ok(self
            .0
            .borrow()
            .tickets
            .iter()
            .map(|it| it.0.clone())
            .collect())
    }
}
