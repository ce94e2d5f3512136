//! One tenant's pool: so many connections and no more, the same for nobody else. A connection
//! comes back only when what ran on it left nothing; otherwise it is closed (DESIGN principle 8).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use gate::Settings;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cancel::CancelTarget;
use crate::connect::{ConnectError, Greeting, connect};
use crate::dial::Dial;
use crate::options::Options;
use crate::upstream::Upstream;

/// How long to wait before a server that is down is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Why no connection could be had. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// All of them stayed busy for the wait limit.
    #[error("no connection became free")]
    Exhausted,
    /// The server cannot be reached, or does not let us in.
    #[error("could not connect to the upstream")]
    Connect(#[source] ConnectError),
    /// Another cluster answers at the address than before.
    #[error("another cluster answers at this address")]
    AnotherCluster,
}

/// What the first login learnt of a tenant's server.
#[derive(Clone, Debug)]
pub struct Facts {
    /// ParameterStatus values.
    pub parameters: Arc<Settings>,
    /// The cluster's identifier, or `unknown` where the role may not read it.
    pub system_identifier: Arc<str>,
}

/// What `SHOW POOLS` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sessions that wait for a connection.
    pub waiting: usize,
    /// Connections that are lent.
    pub active: usize,
    /// Connections that are not.
    pub idle: usize,
}

/// A pool of upstream connections.
#[derive(Debug)]
pub struct Pool<D: Dial> {
    dial: Rc<D>,
    options: Rc<Options>,
    slots: Arc<Semaphore>,
    idle: RefCell<Vec<Upstream<D::Socket>>>,
    facts: RefCell<Option<Facts>>,
    waiting: Cell<usize>,
}

impl<D: Dial> Pool<D> {
    /// An empty pool; nothing is connected yet.
    pub fn new(dial: Rc<D>, options: Options) -> Self {
        let slots = Arc::new(Semaphore::new(options.size.max(1)));
        let (idle, facts) = (RefCell::default(), RefCell::default());
        Self {
            dial,
            options: Rc::new(options),
            slots,
            idle,
            facts,
            waiting: Cell::new(0),
        }
    }

    /// Where it leads.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How it stands.
    pub fn figures(&self) -> Figures {
        let active = self
            .options
            .size
            .max(1)
            .saturating_sub(self.slots.available_permits());
        Figures {
            waiting: self.waiting.get(),
            active,
            idle: self.idle.borrow().len(),
        }
    }

    /// A connection that lies ready, without waiting.
    pub fn try_checkout(self: &Rc<Self>) -> Option<Lease<D>> {
        if self.idle.borrow().is_empty() {
            return None;
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let upstream = self.take_idle()?;
        Some(Lease {
            pool: Rc::clone(self),
            upstream,
            slot,
            spoiled: false,
        })
    }

    /// A connection, after a wait of at most `Options::wait` for a place, as much for a server that
    /// is down, and `Options::connect` for a login. Dropping the future gives the place up.
    pub async fn checkout(self: &Rc<Self>) -> Result<Lease<D>, CheckoutError> {
        let mut slot = self.slot().await?;
        if let Some(upstream) = self.take_idle() {
            return Ok(Lease {
                pool: Rc::clone(self),
                upstream,
                slot,
                spoiled: false,
            });
        }
        let deadline = tokio::time::Instant::now() + self.options.wait;
        loop {
            match self.open(slot).await {
                Err((CheckoutError::Connect(error), returned))
                    if error.may_pass() && tokio::time::Instant::now() + RETRY < deadline =>
                {
                    slot = returned;
                    tokio::time::sleep(RETRY).await;
                }
                opened => return opened.map_err(|(error, _)| error),
            }
        }
    }

    /// What is known of the server; the first caller logs in to find out. A login does not wait for
    /// a server that is down: its own time is short.
    pub async fn facts(self: &Rc<Self>) -> Result<Facts, CheckoutError> {
        if let Some(facts) = self.facts.borrow().clone() {
            return Ok(facts);
        }
        let slot = self.slot().await?;
        self.open(slot).await.map_err(|(error, _)| error)?.checkin();
        self.facts.borrow().clone().ok_or(CheckoutError::Exhausted)
    }

    /// A new connection in this place; the place comes back where there is none.
    async fn open(
        self: &Rc<Self>,
        slot: OwnedSemaphorePermit,
    ) -> Result<Lease<D>, (CheckoutError, OwnedSemaphorePermit)> {
        let opened = self.connect().await.and_then(|(upstream, greeting)| {
            self.learn(greeting)?;
            Ok(upstream)
        });
        match opened {
            Ok(upstream) => Ok(Lease {
                pool: Rc::clone(self),
                upstream,
                slot,
                spoiled: false,
            }),
            Err(error) => Err((error, slot)),
        }
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, CheckoutError> {
        let slots = Arc::clone(&self.slots);
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            return Ok(slot);
        }
        let _waiting = Waiting::new(&self.waiting);
        #[expect(
            clippy::disallowed_methods,
            reason = "waiting for a place is a slow state"
        )]
        let slot = tokio::time::timeout(self.options.wait, slots.acquire_owned()).await;
        slot.ok()
            .and_then(Result::ok)
            .ok_or(CheckoutError::Exhausted)
    }

    async fn connect(&self) -> Result<(Upstream<D::Socket>, Greeting), CheckoutError> {
        let login = connect(&*self.dial, &self.options);
        #[expect(clippy::disallowed_methods, reason = "a login is a slow state")]
        let connected = tokio::time::timeout(self.options.connect, login).await;
        connected
            .unwrap_or(Err(ConnectError::Timeout))
            .map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(
                    host = %self.options.host,
                    port = self.options.port,
                    database = %self.options.database,
                    cause,
                    "could not log in upstream: {error}"
                );
                CheckoutError::Connect(error)
            })
    }

    fn learn(&self, greeting: Greeting) -> Result<(), CheckoutError> {
        let system_identifier = greeting
            .system_identifier
            .unwrap_or_else(|| Arc::from("unknown"));
        let mut facts = self.facts.borrow_mut();
        if facts
            .as_ref()
            .is_some_and(|known| known.system_identifier != system_identifier)
        {
            tracing::error!(
                host = %self.options.host,
                port = self.options.port,
                "another cluster answers at this address; nothing is sent to it"
            );
            return Err(CheckoutError::AnotherCluster);
        }
        *facts = Some(Facts {
            parameters: Arc::new(greeting.parameters),
            system_identifier,
        });
        Ok(())
    }

    /// An idle connection that is still good: bytes or an end that nobody asked for disqualify it
    /// (hazards R30).
    fn take_idle(&self) -> Option<Upstream<D::Socket>> {
        loop {
            let mut upstream = self.idle.borrow_mut().pop()?;
            let unasked = upstream.stream.read_buf(&mut upstream.inbox).now_or_never();
            if unasked.is_none() && upstream.inbox.is_empty() {
                return Some(upstream);
            }
        }
    }
}

/// A borrowed connection. Dropped, it is closed.
#[derive(Debug)]
pub struct Lease<D: Dial> {
    pool: Rc<Pool<D>>,
    upstream: Upstream<D::Socket>,
    slot: OwnedSemaphorePermit,
    spoiled: bool,
}

impl<D: Dial> Lease<D> {
    /// The connection.
    pub fn upstream(&mut self) -> &mut Upstream<D::Socket> {
        &mut self.upstream
    }

    /// What a cancel would be aimed at. From then on the connection goes to nobody else.
    pub fn cancel_target(&mut self) -> Option<CancelTarget> {
        self.spoiled = true;
        let key = self.upstream.key.clone()?;
        Some(CancelTarget {
            options: Rc::clone(&self.pool.options),
            key,
        })
    }

    /// The dialer, for the cancel.
    pub fn dial(&self) -> Rc<D> {
        Rc::clone(&self.pool.dial)
    }

    /// Gives it back, clean. With anything unsent, unread or aimed at it, it is closed instead.
    pub fn checkin(self) {
        let Self {
            pool,
            upstream,
            slot,
            spoiled,
        } = self;
        if !spoiled && upstream.unsent() == 0 && upstream.inbox.is_empty() {
            pool.idle.borrow_mut().push(upstream);
        }
        drop(slot);
    }
}

/// Counts one that waits, for as long as it does.
struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
