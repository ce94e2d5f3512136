//! What is known of a tenant's own catalog, and how old that is. It is read before the first statement is judged, again
//! from time to time, soon after something that may have changed it went up, and at once before that would make somebody
//! wait for people. It never says what a statement is: `sql` does, told by this.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gate::{Request, Settings};
use pool::{Dial, Pool};
use sql::{Catalog, Class, Major};
use tokio::sync::Mutex;

/// How old it may become before it is read again, behind everybody's back. What others change past the gate is seen so late;
/// until then the server's own fence stands alone.
const AGE_MAX: Duration = Duration::from_mins(1);

/// How long after an attempt to read it statements do with what is known, though it may have changed: where much changes,
/// nobody is to wait at each statement.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a statement waits for it to be read; then it is judged by what was known.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long to wait for a connection to read it over.
const WAIT: Duration = Duration::from_secs(2);

/// One tenant's.
pub(crate) struct Knowledge<D: Dial> {
    pools: [Rc<Pool<D>>; 2],
    catalog: RefCell<Arc<Catalog>>,
    read_at: Cell<Option<Instant>>,
    tried_at: Cell<Option<Instant>>,
    changes: Changes,
    /// How often something had gone up when it was read.
    changes_read: Cell<u64>,
    reading: Mutex<()>,
}

/// How often something that may have changed a tenant's catalog went up, from whichever thread.
pub(crate) type Changes = Arc<AtomicU64>;

impl<D: Dial> Knowledge<D> {
    /// Nothing yet; it will be read over a connection of one of these pools.
    pub(crate) fn new(pools: [&Rc<Pool<D>>; 2], changes: Changes) -> Self {
        Self {
            pools: pools.map(Rc::clone),
            catalog: RefCell::new(Arc::new(Catalog::unknown(None))),
            read_at: Cell::new(None),
            tried_at: Cell::new(None),
            changes_read: Cell::new(changes.load(Ordering::Acquire)),
            changes,
            reading: Mutex::new(()),
        }
    }

    /// What is known, if it is good enough to judge by.
    pub(crate) fn current(&self, now: Instant) -> Option<Arc<Catalog>> {
        let since = |at: Instant| now.saturating_duration_since(at);
        let tried = self.tried_at.get().map(since)?;
        (!self.is_outdated() || tried < PAUSE).then(|| self.latest())
    }

    /// What is known, however old.
    pub(crate) fn latest(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }

    /// Whether it may have changed since it was read.
    pub(crate) fn is_outdated(&self) -> bool {
        self.changes_read.get() != self.changes.load(Ordering::Acquire)
    }

    /// Whether it is time to read it again, and nobody does.
    pub(crate) fn is_old(&self, now: Instant) -> bool {
        let at = self.read_at.get();
        at.is_some_and(|at| now.saturating_duration_since(at) > AGE_MAX)
            && self.reading.try_lock().is_ok()
    }

    /// It may have changed.
    pub(crate) fn outdate(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Has it read, and waits for that as long as anybody may be made to. What is known then.
    pub(crate) async fn refreshed(self: Rc<Self>, now: Instant) -> Arc<Catalog> {
        let knowledge = Rc::clone(&self);
        let read = tokio::task::spawn_local(async move { knowledge.read(now).await });
        #[expect(
            clippy::disallowed_methods,
            reason = "reading a catalog is a slow state"
        )]
        let _late = tokio::time::timeout(PATIENCE, read).await;
        self.latest()
    }

    /// Reads it. Where it cannot be read, what was known stays, and somebody tries again later.
    pub(crate) async fn read(&self, now: Instant) {
        let before = self.tried_at.get();
        let _reading = self.reading.lock().await;
        if self.tried_at.get() != before {
            // Somebody has just done it.
            return;
        }
        self.tried_at.set(Some(now));
        let changes = self.changes.load(Ordering::Acquire);
        self.changes_read.set(changes);
        match self.ask().await {
            Ok(catalog) => {
                *self.catalog.borrow_mut() = Arc::new(catalog);
                self.read_at.set(Some(now));
            }
            Err(why) => {
                self.changes_read.set(changes.wrapping_sub(1));
                tracing::warn!("the catalog could not be read: {why}");
            }
        }
    }

    /// One in which something lies unused, if there is one.
    fn pool(&self) -> &Rc<Pool<D>> {
        let [first, second] = &self.pools;
        if first.figures().idle > 0 {
            first
        } else {
            second
        }
    }

    async fn ask(&self) -> Result<Catalog, Box<dyn std::error::Error>> {
        let lease = self.pool().lend_to_gate(WAIT).await?;
        let major = major(lease.parameters());
        let rows = lease.catalog().await?;
        let rows = rows.iter().map(|row| row.each_ref().map(String::as_str));
        Ok(Catalog::of_rows(major, rows)?)
    }
}

/// Whether running this may change a catalog.
pub(crate) fn may_change(request: &Request) -> bool {
    let changes = |class| matches!(class, Class::Ddl | Class::Admin | Class::Opaque);
    request.statements().any(|it| changes(it.class))
}

/// Of `server_version`, such as `15.18 (Debian 15.18-1)`.
fn major(parameters: &Settings) -> Option<Major> {
    let version = parameters.get("server_version")?;
    let digits = version.split(|it: char| !it.is_ascii_digit()).next()?;
    Major::new(digits.parse().ok()?)
}
