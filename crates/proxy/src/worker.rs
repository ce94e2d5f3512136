//! One thread of the gate: it drives the sessions that it is given, over pools of its own, and looks after its servers. It
//! accepts nothing itself.

use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use pool::{TcpDial, Worker};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::crew::{Crew, Errand, Errands};
use crate::gatekeeper::{Gatekeeper, Shared};
use crate::listener;
use crate::world::{Real, World};

/// How often connections that lie unused are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Starts a thread beside the one that accepts.
pub(crate) fn start(
    shared: Shared<Real>,
    (worker, crew): (Worker, Crew),
    errands: Errands,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || {
            let keeper = Rc::new(Gatekeeper::new(shared, TcpDial, worker, crew));
            let work = work(errands, Rc::clone(&keeper));
            let work = async move {
                work.await;
                keeper.servers.close().await;
            };
            LocalSet::new().block_on(&runtime, work);
        })
}

/// Does what comes for this thread, and looks after its servers, until it is to stop.
pub(crate) async fn work<W: World>(mut errands: Errands, keeper: Rc<Gatekeeper<W>>) {
    let mut upkeep = JoinSet::new();
    let (tended, swept) = (Rc::clone(&keeper), Rc::clone(&keeper));
    upkeep.spawn_local(async move {
        loop {
            tended.servers.tend().await;
        }
    });
    upkeep.spawn_local(async move {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            swept.sweep();
        }
    });
    while let Some(errand) = errands.next().await {
        match errand {
            Errand::Serve(guest) => match guest.with(TcpStream::from_std) {
                Ok(guest) => listener::receive(guest, &keeper),
                Err(error) => tracing::warn!("could not take a connection over: {error}"),
            },
            Errand::Pools(answer) => {
                let _told = answer.send(keeper.pools());
            }
            Errand::Figures(answer) => {
                let _told = answer.send(keeper.figures());
            }
            Errand::Answer(answer) => {
                let _told = answer.send(());
            }
            Errand::Adopt(version, adopted) => {
                keeper.adopt(*version);
                let _told = adopted.send(());
            }
            Errand::Pause(whom, drained) => {
                keeper.servers.pause(|tenant| keeper.paused.is(tenant));
                let servers = Rc::clone(&keeper.servers);
                tokio::task::spawn_local(async move {
                    let _told = drained.send(servers.drained(whom.as_ref()).await);
                });
            }
            Errand::Stop => return,
        }
    }
}
