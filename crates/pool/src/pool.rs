//! One login of one tenant: so many connections and no more, the same for nobody else, and for
//! nobody but the same principal once one of theirs was reset.

mod facts;
mod pausing;
mod place;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gate::{Settings, TenantId};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::connect::{ConnectError, Greeting, connect};
use crate::credential::{Credential, Issue};
use crate::dial::Dial;
use crate::figures::{Figures, Waits};
use crate::idle::{Borrower, Idle};
use crate::lease::{Count, Home, Lease, Tally};
use crate::lineage::Lineage;
use crate::options::{Options, Station};
use crate::quota::Part;
use crate::reset::farewell;
use crate::server::{Connection, Grant, Lane, Place, Queued, Server, Waiter};
use crate::storm::{Backoff, Patience};
use crate::upstream::Upstream;

/// Why no connection could be had. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// All of them stayed busy for the wait limit.
    #[error("no connection became free")]
    Exhausted,
    /// The server cannot be reached, or does not let us in.
    #[error("could not connect to the upstream")]
    Connect(#[source] Arc<ConnectError>),
    /// Another cluster answers at the address than before.
    #[error("another cluster answers at this address")]
    AnotherCluster,
    /// The server refused the settings that the borrower wants to log in with.
    #[error("the server refused a setting: {0}")]
    Settings(String),
    /// An operator has paused the tenant.
    #[error("the pool is paused")]
    Paused,
    /// The pool takes no part any more.
    #[error("the pool is closed")]
    Closed,
}

/// What the first login learnt of a tenant's server.
#[derive(Clone, Debug)]
pub struct Facts {
    /// ParameterStatus values.
    pub parameters: Arc<Settings>,
    /// The cluster's identifier, or `unknown` where the role may not read it.
    pub system_identifier: Arc<str>,
}

/// A pool of upstream connections.
pub struct Pool<D: Dial> {
    dial: Rc<D>,
    options: Rc<Options>,
    credential: Credential,
    lane: (TenantId, u64),
    server: Rc<Server<D>>,
    /// Connections that are open or about to be.
    part: Rc<Part>,
    idle: RefCell<Idle<Box<Connection<D>>>>,
    tally: Tally,
    /// Logins that the server refused.
    refusals: Backoff,
    /// Logins to a server that is not what it must be.
    misplaced: Backoff,
    lineage: Arc<Lineage>,
    facts: RefCell<Option<Facts>>,
    waits: Waits,
    opened: Cell<u32>,
    paused: Cell<bool>,
    closed: Cell<bool>,
}

impl<D: Dial> Pool<D> {
    pub(crate) fn new(
        dial: &Rc<D>,
        (options, credential): (Rc<Options>, Credential),
        lane: (TenantId, u64),
        (seed, part): (u64, Part),
        (server, lineage): (&Rc<Server<D>>, Arc<Lineage>),
    ) -> Self {
        Self {
            dial: Rc::clone(dial),
            options,
            credential,
            lane,
            server: Rc::clone(server),
            part: Rc::new(part),
            idle: RefCell::default(),
            tally: Tally::default(),
            refusals: Backoff::new(seed),
            misplaced: Backoff::new(seed),
            lineage,
            facts: RefCell::default(),
            waits: Waits::default(),
            opened: Cell::new(0),
            paused: Cell::new(false),
            closed: Cell::new(false),
        }
    }

    /// Where it leads.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How it stands.
    pub fn figures(&self) -> Figures {
        let (waiting, max_wait) = self.waits.figures();
        Figures {
            waiting,
            max_wait,
            active: self.tally.lent.get(),
            idle: self.idle_count(),
            resetting: self.tally.resetting.get(),
            logging_in: self.tally.logging_in.get(),
        }
    }

    /// A connection that lies ready for `owner`, without waiting. Nobody is overtaken: where
    /// something lies unused, nobody waits for it.
    pub fn try_checkout(self: &Rc<Self>, owner: &Borrower) -> Option<Lease<D>> {
        match self.take_idle(Some(owner))? {
            Grant::Ready(connection) => Some(self.lend(connection, Some(owner))),
            Grant::Open(_) | Grant::Replace(..) => None,
        }
    }

    /// A connection for `owner`, after a wait of at most `Options::wait` for a place or a server that
    /// is down, and `Options::connect` for a login. Of a replica one failure is enough. Dropping the future gives the place up.
    pub async fn checkout(self: &Rc<Self>, owner: &Borrower) -> Result<Lease<D>, CheckoutError> {
        let _waits = self.waits.begin();
        let until = Instant::now() + self.options.wait;
        let soon = self.options.station == Station::Replica;
        let known = soon.then(|| self.server.logins.backoff().known());
        let patience = Patience { until, known };
        let connection = self.fetch(Some(owner), patience, &owner.login).await?;
        Ok(self.lend(connection, Some(owner)))
    }

    /// A connection for the gate itself, after a wait of at most `wait`.
    pub async fn lend_to_gate(self: &Rc<Self>, wait: Duration) -> Result<Lease<D>, CheckoutError> {
        // Whosever lies unused will do: the gate leaves it as it was, and it goes back to them.
        let one = self.change_idle(Idle::take_oldest);
        if let Some(mut connection) = one
            && connection.is_good()
        {
            return Ok(self.lend(connection, None));
        }
        let until = Instant::now() + wait;
        let known = Some(self.server.logins.backoff().known());
        let patience = Patience { until, known };
        let connection = self.fetch(None, patience, &Arc::default()).await?;
        Ok(self.lend(connection, None))
    }

    /// Whether nobody has, wants or left anything here.
    pub fn is_empty(&self) -> bool {
        self.figures() == Figures::default()
    }

    /// Whether it takes no part any more.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// As [`Pool::close`], behind the caller's back.
    pub fn retire(&self) {
        self.closed.set(true);
        self.server.forget(self.lane.1);
        for connection in self.change_idle(|idle| idle.extract(|_, _| true)) {
            connection.dismiss_later();
        }
    }

    /// Takes no part any more: who waits hears so, what lies unused says farewell, what is lent does
    /// so when it comes back.
    pub async fn close(&self) {
        self.closed.set(true);
        self.server.forget(self.lane.1);
        let all = self.change_idle(|idle| idle.extract(|_, _| true));
        futures_util::future::join_all(all.into_iter().map(Connection::dismiss)).await;
    }

    /// Gives back what was lent to log in with, if nobody is connected by it.
    pub(crate) async fn give_back(&self) {
        self.credential.close().await;
    }

    fn lend(self: &Rc<Self>, connection: Box<Connection<D>>, owner: Option<&Borrower>) -> Lease<D> {
        let home = Rc::clone(self);
        Lease::new(home, connection, owner)
    }

    /// Waits for a turn.
    async fn turn(
        self: &Rc<Self>,
        owner: Option<&Borrower>,
        until: Instant,
    ) -> Result<Grant<D>, CheckoutError> {
        if self.closed.get() {
            return Err(CheckoutError::Closed);
        }
        let (send, receive) = oneshot::channel();
        let lane = Rc::clone(self);
        let waiter = Waiter {
            lane,
            owner: owner.cloned(),
            send,
        };
        let _queued = Queued::join(&self.server, &self.lane, waiter);
        match timeout_at(until, receive).await {
            Ok(turn) => turn
                .map_err(|_| CheckoutError::Closed)?
                .map_err(CheckoutError::Connect),
            // All places may be taken by those that wait for the server: then that is the news.
            Err(_) => Err(match self.trouble() {
                _ if self.paused.get() => CheckoutError::Paused,
                Some(error) => CheckoutError::Connect(error),
                None => CheckoutError::Exhausted,
            }),
        }
    }

    /// A connection, in turn. Whoever has a place and no connection when the pool is paused gives it up, and takes another turn.
    async fn fetch(
        self: &Rc<Self>,
        owner: Option<&Borrower>,
        patience: Patience,
        login: &Arc<Settings>,
    ) -> Result<Box<Connection<D>>, CheckoutError> {
        loop {
            let grant = self.turn(owner, patience.until).await?;
            match self.take_up(grant, patience, login).await {
                Err(CheckoutError::Paused) => {}
                fetched => return fetched,
            }
        }
    }

    async fn take_up(
        &self,
        grant: Grant<D>,
        patience: Patience,
        login: &Arc<Settings>,
    ) -> Result<Box<Connection<D>>, CheckoutError> {
        match grant {
            Grant::Ready(connection) => Ok(connection),
            Grant::Open(place) => self.open(place, patience, login).await,
            Grant::Replace(upstream, place) => {
                farewell(*upstream).await;
                self.open(place, patience, login).await
            }
        }
    }

    /// A new connection in this place. A server that is down is waited for; what waiting does not
    /// mend is heard at once, but tried only so often.
    async fn open(
        &self,
        place: Place<D>,
        patience: Patience,
        login: &Arc<Settings>,
    ) -> Result<Box<Connection<D>>, CheckoutError> {
        let (once, here) = (self.patience_once(patience), self.patience_here(patience));
        loop {
            let issue = self.credential.login(patience).await;
            let issue = issue.map_err(CheckoutError::Connect)?;
            let ours = self.refusals.turn(once).await;
            let ours = ours.map_err(CheckoutError::Connect)?;
            let placed = self.misplaced.turn(here).await;
            let placed = placed.map_err(CheckoutError::Connect)?;
            let theirs = self.server.logins.turn(patience).await;
            let (theirs, _slot) = theirs.map_err(CheckoutError::Connect)?;
            if self.paused.get() {
                return Err(CheckoutError::Paused);
            }
            let is_over = |it: &Arc<Issue>| !it.is_usable(Instant::now());
            if ours.is_stale() || placed.is_stale() || issue.as_ref().is_some_and(is_over) {
                continue;
            }
            match self.connect(issue.as_deref(), login).await {
                Ok((upstream, mut greeting)) => {
                    ours.succeeded();
                    theirs.succeeded();
                    let parameters = Arc::new(std::mem::take(&mut greeting.parameters));
                    let cluster = greeting.system_identifier.clone();
                    self.learn(cluster, login.is_empty(), &parameters)?;
                    if let Err(error) = self.weigh(&greeting) {
                        self.misplace(placed, upstream, error);
                        continue;
                    }
                    placed.succeeded();
                    let mut connection = Box::new(Connection {
                        upstream,
                        owner: None,
                        login: Arc::clone(login),
                        parameters,
                        timeline: greeting.timeline.unwrap_or(0),
                        expires: self.expiry(),
                        issue,
                        place,
                    });
                    connection.renew();
                    return Ok(connection);
                }
                // The borrower's own settings: nobody else is concerned.
                Err(ConnectError::Settings(said)) => {
                    ours.succeeded();
                    theirs.succeeded();
                    return Err(CheckoutError::Settings(said));
                }
                Err(error) if self.credential.is_stale(issue.as_ref(), &error) => {
                    ours.succeeded();
                    theirs.succeeded();
                }
                Err(error) if error.may_pass() => theirs.failed(Arc::new(error)),
                Err(error) => {
                    let error = Arc::new(error);
                    theirs.succeeded();
                    ours.failed(Arc::clone(&error));
                    return Err(self.refused(error));
                }
            }
        }
    }

    /// What the server refuses is not waited for.
    fn patience_once(&self, patience: Patience) -> Patience {
        let known = Some(self.refusals.known());
        Patience { known, ..patience }
    }

    /// Who is behind in the queue would hear the same, unless something comes back.
    fn refused(&self, error: Arc<ConnectError>) -> CheckoutError {
        if self.tally.in_use() + self.idle_count() == 0 {
            self.server.refuse(self.lane.1, &error);
        }
        CheckoutError::Connect(error)
    }

    async fn connect(
        &self,
        issue: Option<&Issue>,
        login: &Settings,
    ) -> Result<(Upstream<D::Socket>, Greeting), ConnectError> {
        let _logs_in = Count::of(&self.tally.logging_in);
        let login = connect(&*self.dial, &self.options, issue, login);
        #[expect(clippy::disallowed_methods, reason = "a login is a slow state")]
        let connected = tokio::time::timeout(self.options.connect, login).await;
        let connected = connected.unwrap_or(Err(ConnectError::Timeout));
        self.server.logged.add(connected.is_ok());
        if let Err(error) = &connected {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(
                host = %self.options.host,
                port = self.options.port,
                database = %self.options.database,
                cause,
                "could not log in upstream: {error}"
            );
        }
        connected
    }

    /// When a connection that is made now will be too old: between three quarters of the lifetime and
    /// all of it, so that those of one moment do not end in one moment (the golden ratio spreads).
    fn expiry(&self) -> Instant {
        self.opened.set(self.opened.get().wrapping_add(1));
        let part = self.opened.get().wrapping_mul(618) % 1000;
        let lifetime = self.options.lifetime;
        Instant::now() + lifetime.saturating_sub(lifetime / 4000 * part)
    }
}

/// What lies unused.
impl<D: Dial> Pool<D> {
    /// Closes what is too old, unused for too long, or was closed by the server.
    pub(crate) fn sweep(&self) {
        let (now, limit) = (Instant::now(), self.options.idle_timeout);
        if self.tally.in_use() + self.idle_count() > 0 {
            self.credential.keep_up();
        }
        let dead = |it: &mut Box<Connection<D>>| !it.is_quiet() || self.is_of_before(it);
        let dead = self.change_idle(|idle| idle.extract(|it, _| dead(it)));
        drop(dead);
        let over = self
            .change_idle(|idle| idle.extract(|it, since| it.is_over(now) || now >= since + limit));
        for connection in over {
            connection.dismiss_later();
        }
    }

    /// The one way to what lies unused: the server's count goes with it.
    fn change_idle<R>(&self, change: impl FnOnce(&mut Idle<Box<Connection<D>>>) -> R) -> R {
        let mut idle = self.idle.borrow_mut();
        let others = self.server.idle.get().saturating_sub(idle.len());
        let changed = change(&mut idle);
        self.server.idle.set(others + idle.len());
        changed
    }
}

impl<D: Dial> Home<D> for Pool<D> {
    fn put_back(&self, connection: Box<Connection<D>>) {
        let now = Instant::now();
        let (tenant, number) = &self.lane;
        let gives_up = || self.server.yields(&self.part, tenant, *number);
        let over = self.closed.get() || self.paused.get() || self.is_of_before(&connection);
        if over || connection.is_over(now) || gives_up() {
            return connection.dismiss_later();
        }
        let (owner, login) = (connection.owner.clone(), Arc::clone(&connection.login));
        self.change_idle(|idle| idle.put(connection, owner, login, now));
        self.server.serve();
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn shared_options(&self) -> Rc<Options> {
        Rc::clone(&self.options)
    }

    fn dial(&self) -> Rc<D> {
        Rc::clone(&self.dial)
    }
}

impl<D: Dial> Lane<D> for Pool<D> {
    fn take_idle(&self, who: Option<&Borrower>) -> Option<Grant<D>> {
        let mut dead = Vec::new();
        while let Some(mut connection) = self.change_idle(|idle| idle.take(who)) {
            if connection.is_good() && !self.is_of_before(&connection) {
                return Some(Grant::Ready(connection));
            }
            dead.push(connection);
        }
        dead.pop().map(|it| Grant::Open(it.place))
    }

    fn take_oldest(&self) -> Option<(Upstream<D::Socket>, Place<D>)> {
        let oldest = self.change_idle(Idle::take_oldest)?;
        Some((oldest.upstream, oldest.place))
    }

    fn idle_since(&self) -> Option<Instant> {
        self.idle.borrow().oldest()
    }

    fn idle_count(&self) -> usize {
        self.idle.borrow().len()
    }

    fn part(&self) -> &Rc<Part> {
        &self.part
    }

    fn is_paused(&self) -> bool {
        self.paused.get()
    }
}

impl<D: Dial> Drop for Pool<D> {
    fn drop(&mut self) {
        // The server does not count what goes with the pool.
        drop(self.change_idle(std::mem::take));
    }
}
