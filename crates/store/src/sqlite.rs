//! The ticket store in one SQLite file: one thread owns the connection, everybody else asks it.
//! It never decides who may do what, and it never loses what it has answered for: WAL with
//! `synchronous = FULL`.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use gate::ledger::Fate;
use gate::ticket::ClaimId;
use gate::tickets::{
    Claimed, Doubt, Filter, HeldAll, NewTicket, Open, Opened, Standing, StoreError, Tickets, Use,
    Word,
};
use gate::{Event, Outcome, Ticket, TicketId};
use refinery::{Migration, Runner};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

#[cfg(feature = "killpoints")]
use crate::broken as claims;
use crate::chain::Head;
use crate::cipher::TenantKeys;
#[cfg(not(feature = "killpoints"))]
use crate::claims;
use crate::clock::WallClock;
use crate::db::{Db, Veil};
use crate::killpoint::{self, Step};
use crate::ledger;
use crate::opening;
use crate::options::Options;
use crate::rows::{self, Stop};
use crate::transitions::{self, transact};
use crate::words;

/// How many requests may wait for the thread.
const QUEUE_MAX: usize = 256;
/// How long another process may hold the file's write lock.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// Every step of the schema, in order. A step that was published is never edited.
const MIGRATIONS: &[(&str, &str)] =
    &[("V1__tickets", include_str!("../migrations/V1__tickets.sql"))];

/// Why a store was not opened. Nothing was changed, but where a migration failed half-way.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nowhere to put it.
    #[error("cannot open ticket store {}: its directory does not exist", path.display())]
    NoDirectory {
        /// The store.
        path: PathBuf,
    },
    /// A newer program made it.
    #[error(
        "ticket store {} has schema version {found}, but this program knows versions up to {known}",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// It is a SQLite database of something else.
    #[error("{} is a SQLite database, but not a ticket store of portcullis", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// SQLite or the file system said no.
    #[error("cannot open ticket store {}: {why}", path.display())]
    Cannot {
        /// The store.
        path: PathBuf,
        /// What they said.
        why: String,
    },
}

/// A handle on the store; clones share one connection. When the last one goes, what was asked
/// before is finished first.
#[derive(Clone)]
pub struct Sqlite(Arc<Shared>);

struct Shared {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// What the thread owns.
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
        Ok(Self(Arc::new(Shared {
            jobs: Some(jobs),
            thread: Some(thread),
        })))
    }

    /// Every use that nobody knows the end of; at start-up these are what a crash left behind.
    pub async fn executing(&self) -> Result<Vec<Open>, StoreError> {
        self.ask(|desk| rows::executing(&desk.db)).await
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
        let gone = || StoreError::Unavailable("the store's thread has ended".to_owned());
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let job: Job = Box::new(move |desk| {
            // Who asked may be gone.
            let _ = reply.send(rows::oldest_unsettled(&desk.db));
        });
        let jobs = self.0.jobs.as_ref().ok_or_else(gone)?;
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
        let Some(jobs) = &self.0.jobs else {
            return false;
        };
        let job: Job = Box::new(move |desk| {
            let Some(head) = next() else { return };
            if let Err(error) = desk.change(|db, _, _| transitions::anchor(db, &node, head)) {
                tracing::error!(%error, node = &*node, seq = head.seq, "journal head not anchored");
            }
        });
        if patient {
            jobs.blocking_send(job).is_ok()
        } else {
            jobs.try_send(job).is_ok()
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("the store's thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |desk| {
            // A caller that does not listen any more has still had its work done.
            let _ = reply.send(work(desk));
        });
        self.0
            .jobs
            .as_ref()
            .ok_or_else(gone)?
            .send(job)
            .await
            .map_err(|_| gone())?;
        Ok(answer.await.map_err(|_| gone())??)
    }
}

impl Drop for Shared {
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

/// The heads in the store at `path`, which is not changed.
pub(crate) fn read_heads(path: &Path) -> Result<Vec<(String, Head)>, OpenError> {
    let db = read_only(path)?;
    transitions::heads(&db).map_err(|error| cannot(path, &error))
}

/// The store at `path`, to be looked at.
pub(crate) fn read_only(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| cannot(path, &error))?;
    db.busy_timeout(BUSY)
        .map_err(|error| cannot(path, &error))?;
    refuse_strangers(&db, path)?;
    Ok(db)
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if !parent.unwrap_or(Path::new(".")).is_dir() {
        return Err(OpenError::NoDirectory {
            path: path.to_owned(),
        });
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| cannot(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(|error| cannot(path, &error))?;
    refuse_strangers(&db, path)?;
    prepare(&db).map_err(|error| cannot(path, &error))?;
    migrations()
        .and_then(|steps| Runner::new(&steps).set_abort_divergent(true).run(&mut db))
        .map_err(|error| cannot(path, &error))?;
    ledger::prepare(&db).map_err(|error| cannot(path, &error))?;
    Ok(db)
}

fn prepare(db: &Connection) -> Result<(), Stop> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(64);
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Stop::Value(format!(
            "expected journal mode \"wal\", found \"{mode}\""
        )));
    }
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

fn migrations() -> Result<Vec<Migration>, refinery::Error> {
    MIGRATIONS
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql))
        .collect()
}

/// Refuses what a newer program or something else made, before anything is written to it.
fn refuse_strangers(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match schema_version(db).map_err(|error| cannot(path, &error))? {
        None => Err(OpenError::Foreign {
            path: path.to_owned(),
        }),
        Some(found) if found > known => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        }),
        Some(_) => Ok(()),
    }
}

/// The schema's version, 0 for an empty file, nothing for a database of something else.
pub(crate) fn schema_version(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(Some(0));
    }
    let history = "SELECT count(*) FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if count(history)? == 0 {
        return Ok(None);
    }
    let version = count("SELECT coalesce(max(version), 0) FROM refinery_schema_history")?;
    let ours = "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'";
    if version > 0 && count(ours)? == 0 {
        return Ok(None);
    }
    Ok(Some(version))
}

fn cannot(path: &Path, why: &impl ToString) -> OpenError {
    OpenError::Cannot {
        path: path.to_owned(),
        why: why.to_string(),
    }
}
