//! The servers behind all pools of a daemon: it makes the pools and looks after all of them at once.
//! It never lends a connection itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use gate::TenantId;

use crate::credential::Credential;
use crate::dial::Dial;
use crate::logged::{Logged, LoginCounts};
use crate::options::Options;
use crate::pool::Pool;
use crate::quota::{What, Worker};
use crate::server::{Server, ServerLimits};

/// The servers behind all pools of a daemon.
pub struct Servers<D: Dial> {
    dial: Rc<D>,
    worker: Worker,
    limits: ServerLimits,
    seed: Cell<u64>,
    known: RefCell<Known<D>>,
    pools: RefCell<Vec<Weak<Pool<D>>>>,
    lanes: Cell<u64>,
    logged: Rc<Logged>,
}

/// Servers by host and port.
type Known<D> = HashMap<(String, u16), Rc<Server<D>>>;

impl<D: Dial> Servers<D> {
    /// No server is known yet. `limits` are those of all threads together; `seed` is randomness, for
    /// what should not happen all at once.
    pub fn new(dial: D, worker: Worker, limits: ServerLimits, seed: u64) -> Rc<Self> {
        Rc::new(Self {
            dial: Rc::new(dial),
            worker,
            limits,
            seed: Cell::new(seed),
            known: RefCell::default(),
            pools: RefCell::default(),
            lanes: Cell::new(0),
            logged: Rc::default(),
        })
    }

    /// A pool for one login of a tenant, which goes by `name` among the tenant's; nothing is connected
    /// yet. The pools of that name on other threads share its size, and so does one that it takes the place of.
    pub fn pool(&self, tenant: &TenantId, name: &'static str, options: Options) -> Rc<Pool<D>> {
        let server = self.server(&options);
        self.lanes.set(self.lanes.get() + 1);
        let lane = (tenant.clone(), self.lanes.get());
        let place = (options.host.clone(), options.port);
        let what = What::Pool(tenant.clone(), name, place);
        let part = self.worker.part(what, options.size.max(1));
        let issuer = self.worker.issuer(&options);
        let options = Rc::new(options);
        let credential = Credential::new(&options, issuer, self.next_seed());
        let lineage = self.worker.lineage(tenant);
        let seed = self.next_seed();
        let pool = Pool::new(
            &self.dial,
            (options, credential),
            lane,
            (seed, part),
            (&server, lineage),
        );
        let pool = Rc::new(pool);
        let mut pools = self.pools.borrow_mut();
        pools.retain(|it| it.strong_count() > 0);
        let known = Rc::downgrade(&pool);
        pools.push(known.clone());
        server.add(known);
        pool
    }

    /// Looks through everything that lies unused, once: closes what is too old, unused for too long
    /// or was closed by the server. A server that no pool leads to any more is forgotten.
    pub fn sweep(&self) {
        for pool in self.pools() {
            pool.sweep();
        }
        let mut known = self.known.borrow_mut();
        known.retain(|_, server| Rc::strong_count(server) > 1);
    }

    /// How many logins were made.
    pub fn logins(&self) -> LoginCounts {
        self.logged.logins()
    }

    /// Waits until another thread gave something up that may be wanted here, or wants something, and sees
    /// to it. Cancel safe.
    pub async fn tend(&self) {
        self.worker.called().await;
        let known: Vec<_> = self.known.borrow().values().map(Rc::clone).collect();
        for server in known {
            server.tend();
        }
    }

    /// Pauses the pools of all tenants that `is` says, and no others. What runs there runs on; what lies unused is closed.
    pub fn pause(&self, is: impl Fn(&TenantId) -> bool) {
        for pool in self.pools() {
            if is(pool.tenant()) {
                pool.pause();
            } else {
                pool.resume();
            }
        }
    }

    /// Waits until no connection is open in the paused pools of a tenant, or of any. `false` where one of them is not paused, or
    /// not any more. Cancel safe.
    pub async fn drained(&self, tenant: Option<&TenantId>) -> bool {
        let pools = self.pools().into_iter();
        let pools = pools.filter(|it| tenant.is_none_or(|tenant| it.tenant() == tenant));
        let drained = pools.map(|it| async move { it.drained().await });
        let all = futures_util::future::join_all(drained).await;
        all.into_iter().all(|it| it)
    }

    /// Closes every pool, as [`Pool::close`] does, and gives back what was lent to log in with.
    pub async fn close(&self) {
        let pools = self.pools();
        futures_util::future::join_all(pools.iter().map(|it| it.close())).await;
        // Pools share what they log in by.
        futures_util::future::join_all(pools.iter().map(|it| it.give_back())).await;
    }

    fn pools(&self) -> Vec<Rc<Pool<D>>> {
        let pools = self.pools.borrow();
        pools.iter().filter_map(Weak::upgrade).collect()
    }

    fn server(&self, options: &Options) -> Rc<Server<D>> {
        let place = (options.host.clone(), options.port);
        let mut known = self.known.borrow_mut();
        let server = known.entry(place).or_insert_with_key(|(host, port)| {
            let part = self.worker.part(
                What::Server(host.clone(), *port),
                match self.limits.connections_max {
                    0 => usize::MAX,
                    max => max,
                },
            );
            let logins_max = self.limits.logins_max.div_ceil(self.worker.size());
            let logged = Rc::clone(&self.logged);
            Rc::new(Server::new(part, (logins_max, logged), self.next_seed()))
        });
        Rc::clone(server)
    }

    fn next_seed(&self) -> u64 {
        self.seed.set(self.seed.get().wrapping_add(1));
        self.seed.get()
    }
}
