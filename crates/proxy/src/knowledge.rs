//! What is known of a tenant's own catalog, and how old that is. It is read before the first statement is judged, again
//! from time to time, and again before the next statement where one that may have changed it was let up. It never says
//! what a statement is: `sql` does, told by this.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gate::{Request, Settings};
use pool::{Dial, Pool};
use sql::{Catalog, Class, Major};
use tokio::sync::Mutex;

/// How old it may become before it is read again, behind everybody's back. What others change past the gate is seen so late;
/// until then the server's own fence stands alone.
const AGE_MAX: Duration = Duration::from_mins(1);

/// How long somebody waits for a connection to read it over; then they are judged by what was known.
const WAIT: Duration = Duration::from_secs(2);

/// One tenant's.
pub(crate) struct Knowledge<D: Dial> {
    pools: [Rc<Pool<D>>; 2],
    catalog: RefCell<Arc<Catalog>>,
    read_at: Cell<Option<Instant>>,
    /// Something that may have changed it went up since it was read.
    outdated: Cell<bool>,
    reading: Mutex<()>,
}

impl<D: Dial> Knowledge<D> {
    /// Nothing yet; it will be read over a connection of one of these pools.
    pub(crate) fn new(pools: [&Rc<Pool<D>>; 2]) -> Self {
        Self {
            pools: pools.map(Rc::clone),
            catalog: RefCell::new(Arc::new(Catalog::unknown(None))),
            read_at: Cell::new(None),
            outdated: Cell::new(false),
            reading: Mutex::new(()),
        }
    }

    /// What is known, if nobody has to wait for better.
    pub(crate) fn current(&self) -> Option<Arc<Catalog>> {
        let known = self.read_at.get().is_some() && !self.outdated.get();
        known.then(|| Arc::clone(&self.catalog.borrow()))
    }

    /// Whether it is time to read it again.
    pub(crate) fn is_old(&self, now: Instant) -> bool {
        let at = self.read_at.get();
        at.is_some_and(|at| now.saturating_duration_since(at) > AGE_MAX)
            && self.reading.try_lock().is_ok()
    }

    /// It may have changed.
    pub(crate) fn outdate(&self) {
        self.outdated.set(true);
    }

    /// Reads it, and says what is known then. Where it cannot be read, what was known before stays, and the next
    /// one who asks tries again.
    pub(crate) async fn read(&self, now: Instant) -> Arc<Catalog> {
        let asked_at = self.read_at.get();
        let _reading = self.reading.lock().await;
        if self.read_at.get() == asked_at || self.outdated.get() {
            self.outdated.set(false);
            match self.ask().await {
                Ok(catalog) => {
                    *self.catalog.borrow_mut() = Arc::new(catalog);
                    self.read_at.set(Some(now));
                }
                Err(why) => {
                    self.outdated.set(true);
                    tracing::warn!("the catalog could not be read: {why}");
                }
            }
        }
        Arc::clone(&self.catalog.borrow())
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
