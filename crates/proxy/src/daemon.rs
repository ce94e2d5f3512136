//! The daemon: everything started in order, and stopped in order. What a crash left behind is
//! settled before the first connection is taken.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use gate::tickets::HeldAll;
use pool::{TcpDial, Worker};
use sql::Reader;
use store::{JournalFile, Past, RecoverError, Sqlite, SystemClock, Unsettled};
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::task::{JoinSet, LocalSet};

use crate::admin::{Admin, Desk};
use crate::config::Config;
use crate::crew::{Crew, Errands};
use crate::doubts;
use crate::gatekeeper::{Gatekeeper, Shared};
use crate::inherited::Inherited;
use crate::listener;
use crate::systemd;
use crate::version::Version;
use crate::watch;
use crate::worker;
use crate::world::{Real, World};

/// How often the end of the sessions is looked for while the gate stops.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Why the gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be made.
    #[error("could not make the state directory \"{path}\"")]
    State {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The ticket store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The journal cannot be opened, or does not verify.
    #[error(transparent)]
    Journal(#[from] store::JournalError),
    /// What a crash left behind cannot be settled.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// rustls refused.
    #[error("could not set up TLS")]
    Tls(#[source] rustls::Error),
    /// The parser's threads cannot be started.
    #[error("could not start the parser")]
    Parser(#[source] std::io::Error),
    /// A thread that drives sessions cannot be started.
    #[error("could not start a worker")]
    Worker(#[source] std::io::Error),
    /// What systemd handed over is no socket that listens.
    #[error("could not take over the sockets that were handed over")]
    Inherited(#[source] std::io::Error),
    /// The thread that tells how the gate is cannot be started.
    #[error("could not start the admin address")]
    Admin(#[source] std::io::Error),
    /// There is no randomness.
    #[error("no randomness to be had")]
    Random,
    /// An address cannot be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A gate that is about to run.
pub struct Daemon {
    keeper: Rc<Gatekeeper<Real>>,
    listeners: Vec<TcpListener>,
    /// Who tells how the gate is, and where.
    admin: Option<(Admin, SocketAddr)>,
    /// What has the configuration read again.
    hangups: Option<Signal>,
    /// What comes for this thread, which accepts and drives sessions, too.
    errands: Errands,
    others: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Opens store and journal, settles what a crash left behind, and listens.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let state = config.state.clone();
        make_directory(&state).map_err(|source| {
            let path = state.display().to_string();
            StartError::State { path, source }
        })?;
        let tickets = Sqlite::open_with(
            &store::tickets_file(&state),
            SystemClock,
            config.tickets,
            config.journal.keys.tenants.clone(),
        )?;
        let journal = JournalFile::open_with(
            &store::journal_dir(&state),
            &config.node,
            &tickets,
            SystemClock,
            config.journal.clone(),
            |file| Box::new(file),
        )
        .await?;
        let held_all = settle(&tickets, &journal).await?;
        let version = Version::new(1, (Real.now_ms(), None), config);
        let version = version.map_err(StartError::Tls)?;
        let config = &version.config;
        let hangups = watch::hangups(config);
        let inherited = Inherited::take().map_err(StartError::Inherited)?;
        let listeners = listen(&config.listen, inherited.clients).await?;
        let admin = admin_listener(config.admin.listen, inherited.admin)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let reader = Reader::start(threads).map_err(StartError::Parser)?;
        let workers = config.workers;
        let shared = Shared::new(Real, version, (tickets, journal), reader);
        let shared = shared.ok_or(StartError::Random)?;
        shared.shut.set(held_all);
        let (crew, errands) = Crew::new(workers);
        let admin = admin.map(|(listener, address)| {
            let started = Admin::start(listener, Desk::of(&shared, &crew));
            started.map(|it| (it, address)).map_err(StartError::Admin)
        });
        let mut workers = Worker::all(workers).into_iter().zip(errands);
        let (worker, own) = workers.next().ok_or(StartError::Random)?;
        let others = workers.map(|(worker, errands)| {
            let post = (worker, crew.clone());
            worker::start(shared.beside(), post, errands)
        });
        let others = others.collect::<Result<_, _>>();
        let others = others.map_err(StartError::Worker)?;
        Ok(Self {
            keeper: Rc::new(Gatekeeper::new(shared, TcpDial, worker, crew)),
            listeners,
            admin: admin.transpose()?,
            hangups,
            errands: own,
            others,
        })
    }

    /// Where it listens; with port 0 in the configuration, where it really does.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|it| it.local_addr().ok())
            .collect()
    }

    /// Where it tells how it is, if it does.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|it| it.1)
    }

    /// Serves until `stop` resolves, then drains: no new sessions, held clients are told, what runs
    /// may finish for a while, or until `at_once` resolves. Sessions live and die on the thread that was given them.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + 'static,
        at_once: impl Future<Output = ()> + 'static,
    ) {
        let Self {
            keeper,
            listeners,
            admin,
            hangups,
            errands,
            others,
        } = self;
        let local = LocalSet::new();
        local
            .run_until(async move {
                let working = tokio::task::spawn_local(worker::work(errands, Rc::clone(&keeper)));
                let mut accepting = JoinSet::new();
                for listener in listeners {
                    accepting.spawn_local(listener::accept(listener, Rc::clone(&keeper)));
                }
                let expiring = Rc::clone(&keeper);
                accepting.spawn_local(doubts::resolve(Rc::clone(&keeper)));
                accepting.spawn_local(async move { expiring.keep_expiring().await });
                accepting.spawn_local(watch::signals(Rc::clone(&keeper), hangups));
                accepting.spawn_local(watch::files(Rc::clone(&keeper)));
                let counting = Rc::clone(&keeper);
                accepting.spawn_local(async move { counting.keep_periods().await });
                let alive = tokio::task::spawn_local(systemd::watchdog(Rc::clone(&keeper)));
                systemd::ready(&keeper.version());
                // What is awaited here is polled whenever any session is: as a task, it is when its own time comes.
                let _stopped = tokio::task::spawn_local(stop).await;
                systemd::stopping();
                accepting.shutdown().await;
                tokio::select! {
                    () = drain(&keeper) => {}
                    () = at_once => tracing::warn!("stopped at once: sessions were not waited for"),
                }
                alive.abort();
                keeper.crew.stop().await;
                let _stopped = working.await;
                keeper.servers.close().await;
            })
            .await;
        if let Some((admin, _)) = admin {
            admin.stop();
        }
        for other in others {
            // What became of a thread that panicked is in the log.
            let _ended = other.join();
        }
    }
}

/// What clients come by: what was handed over, else where the configuration says.
async fn listen(
    addresses: &[SocketAddr],
    inherited: Vec<std::net::TcpListener>,
) -> Result<Vec<TcpListener>, StartError> {
    if !inherited.is_empty() {
        tracing::info!("the sockets that were handed over stand for \"listen\"");
        let inherited = inherited.into_iter().map(TcpListener::from_std);
        let inherited: Result<_, _> = inherited.collect();
        return inherited.map_err(StartError::Inherited);
    }
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        let address = *address;
        listeners.push(listener.map_err(|source| StartError::Listen { address, source })?);
    }
    Ok(listeners)
}

/// The same for whoever asks how the gate is, and where that is; nobody can, where neither names it.
fn admin_listener(
    address: Option<SocketAddr>,
    inherited: Option<std::net::TcpListener>,
) -> Result<Option<(std::net::TcpListener, SocketAddr)>, StartError> {
    let listener = match (inherited, address) {
        (Some(listener), _) => listener,
        (None, Some(address)) => std::net::TcpListener::bind(address)
            .map_err(|source| StartError::Listen { address, source })?,
        (None, None) => return Ok(None),
    };
    let address = listener.local_addr().map_err(StartError::Inherited)?;
    Ok(Some((listener, address)))
}

/// Settles what an earlier end left behind, and says who had closed the gate.
pub(crate) async fn settle(
    tickets: &impl Unsettled,
    journal: &impl Past,
) -> Result<Option<HeldAll>, RecoverError> {
    let held_all = tickets.held_all().await?;
    let recovered = store::recover(tickets, journal).await?;
    if !recovered.is_empty() {
        tracing::warn!(
            tickets = recovered.len(),
            "settled what an earlier end left behind"
        );
    }
    Ok(held_all)
}

/// Lets sessions finish: held clients are told, what runs may finish for a while.
pub(crate) async fn drain<W: World>(keeper: &Gatekeeper<W>) {
    keeper.registry.drain();
    let limit = keeper.registry.edge().drain;
    let rounds = limit.as_millis() / DRAIN_LOOK.as_millis().max(1);
    for _ in 0..rounds {
        if keeper.registry.len() == 0 {
            return;
        }
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    tracing::warn!(
        sessions = keeper.registry.len(),
        "stopped with sessions that did not finish"
    );
}

/// The state directory is for the gate alone.
fn make_directory(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}
