//! The door for whoever simulates a gate: the daemon's own code on the thread of whoever asks, in a world of theirs. It listens
//! nowhere, keeps no thread, and leaves out nothing of what a connection goes through.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use pool::Worker;
use sql::Reader;
use store::{Past, Unsettled};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::crew::Crew;
use crate::daemon::{StartError, drain, settle};
use crate::doubts;
use crate::gatekeeper::{Gatekeeper, Shared};
use crate::listener::{self, Permits};
pub use crate::socket::{Peek, Socket};
use crate::version::Version;
use crate::worker;
use crate::world::World;

/// A gate that runs. All that it does is on the `LocalSet` on which it was started: with that it goes, as by `kill -9`.
pub struct Gate<W: World> {
    keeper: Rc<Gatekeeper<W>>,
    permits: RefCell<Permits>,
    upkeep: JoinSet<()>,
}

impl<W: World> Gate<W> {
    /// Settles what a crash left behind, as the daemon does before it takes a connection.
    pub async fn start(
        world: W,
        dial: W::Dial,
        config: Config,
        (tickets, journal): (W::Tickets, W::Journal),
    ) -> Result<Self, StartError>
    where
        W::Tickets: Unsettled,
        W::Journal: Past,
    {
        let held_all = settle(&tickets, &journal).await?;
        let version = Version::new(1, (world.now_ms(), None), config);
        let version = version.map_err(StartError::Tls)?;
        let reader = Reader::without_threads();
        let shared = Shared::new(world, version, (tickets, journal), reader);
        let shared = shared.ok_or(StartError::Random)?;
        shared.shut.set(held_all);
        let (crew, errands) = Crew::new(1);
        let first = Worker::all(1).into_iter().zip(errands).next();
        let (worker, errands) = first.ok_or(StartError::Random)?;
        let keeper = Rc::new(Gatekeeper::new(shared, dial, worker, crew));
        let mut upkeep = JoinSet::new();
        let (working, expiring) = (Rc::clone(&keeper), Rc::clone(&keeper));
        upkeep.spawn_local(worker::work(errands, working));
        upkeep.spawn_local(async move { expiring.keep_expiring().await });
        upkeep.spawn_local(doubts::resolve(Rc::clone(&keeper)));
        Ok(Self {
            keeper,
            permits: RefCell::default(),
            upkeep,
        })
    }

    /// Takes a connection, as the listener does. Whoever finds no room is hung up on.
    pub fn serve(&self, socket: impl Socket + Peek + 'static, address: SocketAddr) {
        let arrival = self.keeper.registry.arrive(address.ip());
        let mut permits = self.permits.borrow_mut();
        let permits = permits.of(&self.keeper.registry.edge());
        let permit = Arc::clone(permits).try_acquire_owned();
        if let (Some(arrival), Ok(permit)) = (arrival, permit)
            && let Some(guest) = self.keeper.crew.keep((socket, address), (arrival, permit))
        {
            listener::welcome(guest, &self.keeper);
        }
    }

    /// Stops as by SIGTERM: held clients are told, what runs may finish for a while.
    pub async fn stop(mut self) {
        drain(&self.keeper).await;
        self.upkeep.shutdown().await;
        self.keeper.servers.close().await;
    }
}
