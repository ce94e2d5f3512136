//! The ticket store in one SQLite file: one thread owns the connection, everybody else asks it.
//! It never decides who may do what, and it never loses what it has answered for: WAL with
//! `synchronous = FULL`. One in memory is for whoever simulates a gate: there who asks does the work.

mod census;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use gate::ledger::Fate;
use gate::ticket::ClaimId;
use gate::tickets::{
    Claimed, Doubt, Filter, HeldAll, NewTicket, Open, Opened, Standing, StoreError, Tickets, Use,
    Word,
};
use gate::{Event, Outcome, Ticket, TicketId};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

#[cfg(feature = "broken")]
use crate::broken as claims;
use crate::chain::Head;
#[cfg(not(feature = "broken"))]
use crate::claims;
use crate::clock::WallClock;
use crate::db::{Db, Veil};
use crate::file::{OpenError, cannot, connect, in_memory};
use crate::killpoint::{self, Step};
use crate::ledger;
use crate::opening;
use crate::options::Options;
use crate::rows::{self, Stop};
use crate::tenant_keys::TenantKeys;
use crate::transitions::{self, transact};
use crate::unsettled::Unsettled;
use crate::words;

/// How many requests may wait for the thread.
const QUEUE_MAX: usize = 256;
/// A handle on the store; clones share one connection. When the last one goes, what was asked
/// before is finished first.
#[derive(Clone)]
pub struct Sqlite(Arc<Way>);

/// How the work is done.
enum Way {
    /// By a thread of the store's own, one thing after the other.
    Thread(Hand),
    /// By whoever asks, at once.
    Here(Box<Mutex<Desk>>),
}

/// The thread, and how to reach it.
struct Hand {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// What is worked on, by one at a time.
struct Desk {
    db: Connection,
    veil: Veil,
    clock: Box<dyn WallClock>,
    options: Options,
}

impl Sqlite {
    /// Opens or makes the store at `path`, whose directory must exist, and brings its schema up to
    /// date. The file is readable by its owner only.
    pub fn open(path: &Path, clock: impl WallClock, options: Options) -> Result<Self, OpenError> {
        Self::open_with(path, clock, options, TenantKeys::default())
    }

    /// The same, and what tenants with a key ask is encrypted.
    pub fn open_with(
        path: &Path,
        clock: impl WallClock,
        options: Options,
        keys: TenantKeys,
    ) -> Result<Self, OpenError> {
        let mut desk = Desk {
            db: connect(path)?,
            veil: Veil::new(keys).map_err(|error| cannot(path, &error))?,
            clock: Box::new(clock),
            options,
        };
        let (jobs, mut inbox) = mpsc::channel::<Job>(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Some(job) = inbox.blocking_recv() {
                    job(&mut desk);
                }
            })
            .map_err(|error| cannot(path, &error))?;
        Ok(Self(Arc::new(Way::Thread(Hand {
            jobs: Some(jobs),
            thread: Some(thread),
        }))))
    }

    /// One that lasts as long as its last handle, and has no thread: a future is ready when it is first polled.
    pub fn in_memory(clock: impl WallClock, options: Options) -> Result<Self, OpenError> {
        let db = in_memory()?;
        let clock = Box::new(clock);
        let desk = Desk {
            db,
            veil: Veil::default(),
            clock,
            options,
        };
        Ok(Self(Arc::new(Way::Here(Box::new(Mutex::new(desk))))))
    }

    /// Notes that the journal of `node` reaches to `head`. It is called when that is on disk and
    /// never before (DESIGN ruling 25); a head does not go back.
    pub async fn anchor(&self, node: &str, head: Head) -> Result<(), StoreError> {
        let node = node.to_owned();
        self.ask(move |desk| desk.change(|db, _, _| transitions::anchor(db, &node, head)))
            .await
    }

    /// How far the journal of `node` is known to reach.
    pub async fn head(&self, node: &str) -> Result<Option<Head>, StoreError> {
        let node = node.to_owned();
        self.ask(move |desk| transitions::head(&desk.db, &node))
            .await
    }

    /// When the oldest use of a ticket was claimed whose end nobody knows. It blocks, and must not be called on a runtime's
    /// thread.
    pub(crate) fn oldest_unsettled(&self) -> Result<Option<i64>, StoreError> {
        let jobs = match &*self.0 {
            Way::Thread(hand) => hand.jobs()?,
            Way::Here(desk) => return Ok(rows::oldest_unsettled(&at(desk).db)?),
        };
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let job: Job = Box::new(move |desk| {
            // Who asked may be gone.
            let _ = reply.send(rows::oldest_unsettled(&desk.db));
        });
        jobs.blocking_send(job).map_err(|_| gone())?;
        Ok(answer.recv().map_err(|_| gone())??)
    }

    /// Hands the thread an anchor to write without waiting for it; `next` tells the head when its
    /// turn comes. `false` if the queue is full. It blocks for room if `patient`, which must not
    /// be on a runtime's thread.
    pub(crate) fn post_anchor(
        &self,
        node: Arc<str>,
        next: impl FnOnce() -> Option<Head> + Send + 'static,
        patient: bool,
    ) -> bool {
        let job: Job = Box::new(move |desk| {
            let Some(head) = next() else { return };
            if let Err(error) = desk.change(|db, _, _| transitions::anchor(db, &node, head)) {
                tracing::error!(%error, node = &*node, seq = head.seq, "journal head not anchored");
            }
        });
        match &*self.0 {
            Way::Here(desk) => {
                job(&mut at(desk));
                true
            }
            Way::Thread(hand) => match hand.jobs() {
                Ok(jobs) if patient => jobs.blocking_send(job).is_ok(),
                Ok(jobs) => jobs.try_send(job).is_ok(),
                Err(_) => false,
            },
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, StoreError> {
        let jobs = match &*self.0 {
            Way::Thread(hand) => hand.jobs()?,
            Way::Here(desk) => return Ok(work(&mut at(desk))?),
        };
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |desk| {
            // A caller that does not listen any more has still had its work done.
            let _ = reply.send(work(desk));
        });
        jobs.send(job).await.map_err(|_| gone())?;
        Ok(answer.await.map_err(|_| gone())??)
    }
}

impl Hand {
    fn jobs(&self) -> Result<&mpsc::Sender<Job>, StoreError> {
        self.jobs.as_ref().ok_or_else(gone)
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("the store's thread has ended".to_owned())
}

fn at(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    // A transaction that was not committed is not there.
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.jobs = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

impl Desk {
    /// One transaction. The clock is read when the write lock is held, so that a wait for it
    /// cannot make an expired ticket look alive.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Db<'_>, i64, Options) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let Self {
            db,
            veil,
            clock,
            options,
        } = self;
        transact(db, |connection| {
            let db = Db { connection, veil };
            work(&db, clock.now_ms(), *options)
        })
    }

    /// To look at.
    fn db(&self) -> Db<'_> {
        Db {
            connection: &self.db,
            veil: &self.veil,
        }
    }
}

impl Tickets for Sqlite {
    async fn open(&self, new: NewTicket) -> Result<Opened, StoreError> {
        self.ask(move |desk| desk.change(|db, now, options| opening::open(db, &new, now, options)))
            .await
    }

    async fn decide(&self, ids: Vec<TicketId>, word: Word) -> Result<Vec<Ticket>, StoreError> {
        self.ask(move |desk| {
            desk.change(|db, now, life| {
                let decide = |id: &TicketId| words::decide(db, *id, &word, now, life);
                ids.iter().map(decide).collect()
            })
        })
        .await
    }

    async fn claim(
        &self,
        id: TicketId,
        once: Use,
        standing: Standing,
    ) -> Result<Claimed, StoreError> {
        self.ask(move |desk| {
            let claimed = desk.change(|db, now, options| {
                let claimed = claims::claim(db, id, &once, &standing, now, options)?;
                killpoint::reached(Step::ClaimMade);
                Ok(claimed)
            });
            killpoint::reached(Step::Claimed);
            claimed
        })
        .await
    }

    async fn settle(
        &self,
        claims: Vec<(TicketId, ClaimId)>,
        event: Event,
        outcome: Option<Outcome>,
    ) -> Result<(), StoreError> {
        self.ask(move |desk| {
            let settled = desk.change(|db, now, _| {
                claims::settle(db, &claims, event, outcome.as_ref(), now)?;
                killpoint::reached(Step::SettleMade);
                Ok(())
            });
            killpoint::reached(Step::Settled);
            settled
        })
        .await
    }

    async fn withdraw(&self, ids: Vec<TicketId>) -> Result<Vec<Ticket>, StoreError> {
        self.ask(move |desk| {
            desk.change(|db, now, _| {
                let withdraw = |id: &TicketId| transitions::withdraw(db, *id, now);
                ids.iter().map(withdraw).collect()
            })
        })
        .await
    }

    async fn conclude(
        &self,
        id: TicketId,
        event: Event,
        outcome: Option<Outcome>,
    ) -> Result<Ticket, StoreError> {
        self.ask(move |desk| {
            desk.change(|db, now, _| transitions::conclude(db, id, event, outcome.as_ref(), now))
        })
        .await
    }

    async fn doubts(&self) -> Result<Vec<Doubt>, StoreError> {
        self.ask(|desk| ledger::doubts(&desk.db())).await
    }

    async fn resolve(
        &self,
        ticket: TicketId,
        claim: ClaimId,
        fate: Fate,
    ) -> Result<Ticket, StoreError> {
        self.ask(move |desk| {
            desk.change(|db, now, _| ledger::resolve(db, (ticket, claim), fate, now))
        })
        .await
    }

    async fn expire(&self) -> Result<Vec<Ticket>, StoreError> {
        self.ask(|desk| desk.change(|db, now, _| transitions::expire(db, now)))
            .await
    }

    async fn abandon(&self, id: TicketId, holder: Arc<str>) -> Result<Option<Ticket>, StoreError> {
        self.ask(move |desk| desk.change(|db, now, _| claims::abandon(db, id, &holder, now)))
            .await
    }

    async fn hold_all(&self, held: Option<HeldAll>) -> Result<Option<HeldAll>, StoreError> {
        self.ask(move |desk| desk.change(|db, _, _| transitions::hold_all(db, held.as_ref())))
            .await
    }

    async fn held_all(&self) -> Result<Option<HeldAll>, StoreError> {
        self.ask(|desk| transitions::held_all(&desk.db)).await
    }

    async fn ticket(&self, id: TicketId) -> Result<Ticket, StoreError> {
        self.ask(move |desk| rows::ticket(&desk.db(), id, desk.clock.now_ms()))
            .await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<Ticket>, StoreError> {
        self.ask(move |desk| rows::list(&desk.db(), &filter, desk.clock.now_ms()))
            .await
    }
}

impl Unsettled for Sqlite {
    async fn executing(&self) -> Result<Vec<Open>, StoreError> {
        self.ask(|desk| rows::executing(&desk.db)).await
    }
}
