//! The gate's tickets: the daemon's own store, in memory, asked one thing after the other, late, and by somebody who may be
//! dead before the answer comes. It changes nothing of what is asked or answered.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use gate::ledger::Fate;
use gate::ticket::ClaimId;
use gate::tickets::{
    Claimed, Doubt, Filter, HeldAll, NewTicket, Open, Opened, Standing, StoreError, Tickets, Use,
    Word,
};
use gate::{Event, Outcome, Ticket, TicketId};
use store::{Sqlite, Unsettled};
use tokio::sync::{Mutex, oneshot};

use super::dice::Dice;
use super::history::History;
use super::life::{Deed, Life};

/// The tickets as one life of the gate has them.
#[derive(Clone)]
pub(super) struct Shelf {
    store: Sqlite,
    turn: Rc<Mutex<()>>,
    life: Rc<Life>,
    dice: Dice,
    history: Rc<History>,
}

impl Shelf {
    pub(super) fn new(store: &Sqlite, life: &Rc<Life>, dice: &Dice, history: &Rc<History>) -> Self {
        Self {
            store: store.clone(),
            turn: Rc::default(),
            life: Rc::clone(life),
            dice: dice.own(),
            history: Rc::clone(history),
        }
    }

    /// Has something done, unless the disk fails. That is done even if who asked is gone by then; what comes of it has a name in
    /// the history.
    async fn ask<T: 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + 'static,
        told: impl FnOnce(&Result<T, StoreError>) -> Option<String> + 'static,
    ) -> Result<T, StoreError> {
        let (send, answer) = oneshot::channel();
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let turn = this.turn.lock().await;
            this.dice.pause().await;
            this.life.or_dies(Deed::Store).await;
            let done = if this.dice.chance(2) {
                Err(StoreError::Unavailable("the disk failed".to_owned()))
            } else {
                work.await
            };
            if let Some(told) = told(&done) {
                this.history.say(format_args!("store: {told}"));
            }
            this.life.or_dies(Deed::Store).await;
            drop(turn);
            this.dice.pause().await;
            // Who asked may be gone.
            let _told = send.send(done);
        });
        let gone = |_| StoreError::Unavailable("the store is gone".to_owned());
        answer.await.map_err(gone)?
    }
}

/// What became of tickets, or why nothing did.
fn states(what: &str, done: &Result<Vec<Ticket>, StoreError>) -> String {
    let state = |it: &Ticket| format!("{} {}", it.id, it.state);
    match done {
        Ok(all) => format!(
            "{what}: {}",
            all.iter().map(state).collect::<Vec<_>>().join(", ")
        ),
        Err(error) => format!("{what}: {error}"),
    }
}

impl Tickets for Shelf {
    async fn open(&self, new: NewTicket) -> Result<Opened, StoreError> {
        let store = self.store.clone();
        let work = async move { store.open(new).await };
        self.ask(work, |done| {
            Some(match done {
                Ok(Opened::Approved(it)) => format!("open: {} is approved", it.id),
                Ok(Opened::Pending(it)) => format!("open: {} waits", it.id),
                Err(error) => format!("open: {error}"),
            })
        })
        .await
    }

    async fn decide(&self, ids: Vec<TicketId>, word: Word) -> Result<Vec<Ticket>, StoreError> {
        let store = self.store.clone();
        let what = format!("{} says {}", word.by, word.say.as_str());
        let saying = async move { store.decide(ids, word).await };
        self.ask(saying, move |done| Some(states(&what, done)))
            .await
    }

    async fn claim(
        &self,
        id: TicketId,
        once: Use,
        standing: Standing,
    ) -> Result<Claimed, StoreError> {
        let store = self.store.clone();
        let work = async move { store.claim(id, once, standing).await };
        self.ask(work, move |done| {
            Some(match done {
                Ok(Claimed::Spent(claim, _)) => format!("claim {} of {id}", claim.0),
                Ok(Claimed::Reopened(_)) => format!("{id} waits again"),
                Err(error) => format!("no claim of {id}: {error}"),
            })
        })
        .await
    }

    async fn settle(
        &self,
        claims: Vec<(TicketId, ClaimId)>,
        event: Event,
        outcome: Option<Outcome>,
    ) -> Result<(), StoreError> {
        let store = self.store.clone();
        let of: Vec<_> = claims.iter().map(|it| it.0.to_string()).collect();
        let what = format!("{event:?} of {}", of.join(", "));
        let work = async move { store.settle(claims, event, outcome).await };
        let told = move |done: &Result<(), _>| Some(format!("{what}: {done:?}"));
        self.ask(work, told).await
    }

    async fn withdraw(&self, ids: Vec<TicketId>) -> Result<Vec<Ticket>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.withdraw(ids).await };
        self.ask(work, |done| Some(states("withdraw", done))).await
    }

    async fn conclude(
        &self,
        id: TicketId,
        event: Event,
        outcome: Option<Outcome>,
    ) -> Result<Ticket, StoreError> {
        let store = self.store.clone();
        let work = async move { store.conclude(id, event, outcome).await };
        self.ask(work, |_| None).await
    }

    async fn doubts(&self) -> Result<Vec<Doubt>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.doubts().await };
        self.ask(work, |_| None).await
    }

    async fn resolve(
        &self,
        ticket: TicketId,
        claim: ClaimId,
        fate: Fate,
    ) -> Result<Ticket, StoreError> {
        let store = self.store.clone();
        let work = async move { store.resolve(ticket, claim, fate).await };
        self.ask(work, |_| None).await
    }

    async fn expire(&self) -> Result<Vec<Ticket>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.expire().await };
        let told = |done: &Result<Vec<_>, _>| {
            let nothing = done.as_ref().is_ok_and(Vec::is_empty);
            (!nothing).then(|| states("expire", done))
        };
        self.ask(work, told).await
    }

    async fn abandon(&self, id: TicketId, holder: Arc<str>) -> Result<Option<Ticket>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.abandon(id, holder).await };
        self.ask(work, |_| None).await
    }

    async fn hold_all(&self, held: Option<HeldAll>) -> Result<Option<HeldAll>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.hold_all(held).await };
        self.ask(work, |_| None).await
    }

    async fn held_all(&self) -> Result<Option<HeldAll>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.held_all().await };
        self.ask(work, |_| None).await
    }

    async fn ticket(&self, id: TicketId) -> Result<Ticket, StoreError> {
        let store = self.store.clone();
        let work = async move { store.ticket(id).await };
        self.ask(work, |_| None).await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<Ticket>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.list(filter).await };
        self.ask(work, |_| None).await
    }
}

impl Unsettled for Shelf {
    async fn executing(&self) -> Result<Vec<Open>, StoreError> {
        let store = self.store.clone();
        let work = async move { store.executing().await };
        let told = |done: &Result<Vec<Open>, _>| {
            let left = done.as_ref().map_or(0, Vec::len);
            (left > 0).then(|| format!("{left} uses were left executing"))
        };
        self.ask(work, told).await
    }
}
