//! The servers behind all pools of a daemon: it makes the pools and looks after all of them at once.
//! It never lends a connection itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use gate::TenantId;

use crate::dial::Dial;
use crate::options::Options;
use crate::pool::Pool;
use crate::server::{Server, ServerLimits};

/// The servers behind all pools of a daemon.
pub struct Servers<D: Dial> {
    dial: Rc<D>,
    limits: ServerLimits,
    seed: Cell<u64>,
    known: RefCell<Known<D>>,
    pools: RefCell<Vec<Weak<Pool<D>>>>,
    lanes: Cell<u64>,
}

/// Servers by host and port.
type Known<D> = HashMap<(String, u16), Rc<Server<D>>>;

impl<D: Dial> Servers<D> {
    /// No server is known yet. `seed` is randomness, for what should not happen all at once.
    pub fn new(dial: D, limits: ServerLimits, seed: u64) -> Rc<Self> {
        Rc::new(Self {
            dial: Rc::new(dial),
            limits,
            seed: Cell::new(seed),
            known: RefCell::default(),
            pools: RefCell::default(),
            lanes: Cell::new(0),
        })
    }

    /// A pool for one login of a tenant; nothing is connected yet.
    pub fn pool(&self, tenant: &TenantId, options: Options) -> Rc<Pool<D>> {
        let server = self.server(&options);
        self.lanes.set(self.lanes.get() + 1);
        let lane = (tenant.clone(), self.lanes.get());
        let pool = Pool::new(&self.dial, options, lane, self.next_seed(), &server);
        let pool = Rc::new(pool);
        let mut pools = self.pools.borrow_mut();
        pools.retain(|it| it.strong_count() > 0);
        let known = Rc::downgrade(&pool);
        pools.push(known.clone());
        server.add(known);
        pool
    }

    /// Looks through everything that lies unused, once: closes what is too old, unused for too long
    /// or was closed by the server.
    pub fn sweep(&self) {
        for pool in self.pools() {
            pool.sweep();
        }
    }

    /// Closes every pool, as [`Pool::close`] does.
    pub async fn close(&self) {
        let pools = self.pools();
        futures_util::future::join_all(pools.iter().map(|it| it.close())).await;
    }

    fn pools(&self) -> Vec<Rc<Pool<D>>> {
        let pools = self.pools.borrow();
        pools.iter().filter_map(Weak::upgrade).collect()
    }

    fn server(&self, options: &Options) -> Rc<Server<D>> {
        let place = (options.host.clone(), options.port);
        let mut known = self.known.borrow_mut();
        let server = known
            .entry(place)
            .or_insert_with(|| Rc::new(Server::new(self.limits, self.next_seed())));
        Rc::clone(server)
    }

    fn next_seed(&self) -> u64 {
        self.seed.set(self.seed.get().wrapping_add(1));
        self.seed.get()
    }
}
