//! Accepting: a permit for each connection, a deadline for its first bytes, and a task that drives
//! it. It survives running out of file descriptors (hazards R9).

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pool::Stream;
use session::{Peer, Session};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::config::Edge;
use crate::connection::Connection;
use crate::crew::{Counted, Guest};
use crate::gatekeeper::{CONSOLE, Gatekeeper};
use crate::negotiate::{Opening, negotiate, turn_away};
use crate::patient::Patient;
use crate::registry::{CONSOLES_MAX, View};
use crate::socket::{Peek, Socket};
use crate::world::World;

/// Connections beyond the sessions that may be logging in, or be told that there are too many. Above
/// that the next ones wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 200;

/// How long to wait before accepting again when that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Silence after which a client's host is asked whether it is still there (hazards R58).
const KEEPALIVE: Duration = Duration::from_mins(1);

/// How long after `slow_reader` the kernel gives up what it could not deliver. It does so to clients that
/// are there and do not read as well, so it must not be first: it would not say why.
const KERNEL_PATIENCE: Duration = Duration::from_secs(10);

/// Accepts for ever; the daemon drops it to stop.
pub(crate) async fn accept<W: World>(listener: TcpListener, keeper: Rc<Gatekeeper<W>>) {
    let mut permits = Permits::default();
    loop {
        let permits = permits.of(&keeper.registry.edge());
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((socket, address)) => {
                let Some(arrival) = keeper.registry.arrive(address.ip()) else {
                    tracing::debug!(%address, "too many connections from this address");
                    continue;
                };
                let guest = keeper.crew.hand_over((socket, address), (arrival, permit));
                match guest {
                    Ok(Some(guest)) => receive(guest, &keeper),
                    Ok(None) => {}
                    Err(error) => tracing::warn!("could not hand a connection over: {error}"),
                }
            }
            Err(error) => {
                tracing::warn!("could not accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One for each connection that may be there at the same time.
#[derive(Debug)]
pub(crate) struct Permits {
    all: Arc<Semaphore>,
    /// How many there are, in use or not.
    count: usize,
}

impl Default for Permits {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(0)),
            count: 0,
        }
    }
}

impl Permits {
    /// As many as may be there by now; what is in use is not taken back before it is given back.
    pub(crate) fn of(&mut self, edge: &Edge) -> &Arc<Semaphore> {
        let wanted = edge.sessions_max + CONSOLES_MAX + HANDSHAKES_MAX;
        if wanted >= self.count {
            self.all.add_permits(wanted - self.count);
            self.count = wanted;
        } else {
            self.count -= self.all.forget_permits(self.count - wanted);
        }
        &self.all
    }
}

/// Serves a connection on this thread.
pub(crate) fn receive<W: World>(guest: Guest<TcpStream>, keeper: &Rc<Gatekeeper<W>>) {
    let slow_reader = keeper.registry.edge().slow_reader;
    prepare(&guest.socket, slow_reader + KERNEL_PATIENCE);
    welcome(guest, keeper);
}

/// The same for a socket of any kind, which needs nothing more.
pub(crate) fn welcome<W: World, S: Socket + Peek + 'static>(
    guest: Guest<S>,
    keeper: &Rc<Gatekeeper<W>>,
) {
    let keeper = Rc::clone(keeper);
    tokio::task::spawn_local(async move {
        let Guest {
            socket,
            address,
            counted,
        } = guest;
        let slow_reader = keeper.registry.edge().slow_reader;
        let socket = Patient::new(socket, address, slow_reader);
        serve(socket, (address, counted), keeper).await;
    });
}

fn prepare(socket: &TcpStream, undelivered: Duration) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    let options = socket2::SockRef::from(socket);
    let set = options
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| options.set_tcp_user_timeout(Some(undelivered)))
        .and_then(|()| socket.set_nodelay(true));
    if let Err(error) = set {
        tracing::debug!("socket options could not be set: {error}");
    }
}

/// Up to the startup packet. The session has a task of its own: this one, which needs far more room, ends.
async fn serve<W: World, S: Socket + Peek + 'static>(
    socket: S,
    (address, counted): (SocketAddr, Counted),
    keeper: Rc<Gatekeeper<W>>,
) {
    let version = keeper.version();
    let opening = negotiate(socket, &version.encryption);
    #[expect(clippy::disallowed_methods, reason = "a handshake is a slow state")]
    let opening = tokio::time::timeout(version.limits.login, opening).await;
    match opening {
        Ok(Ok(Opening::Session(client, startup, inbox))) => {
            session(*client, &startup, &inbox, (address, counted), keeper).await;
        }
        // libpq takes the end of this connection for the end of the cancel.
        Ok(Ok(Opening::Cancel(key, client))) => {
            keeper.registry.cancel(&key).await;
            drop(client);
        }
        Ok(Ok(Opening::Nobody)) => {}
        Ok(Err(error)) => tracing::debug!(%address, "handshake failed: {error}"),
        Err(_) => tracing::debug!(%address, "handshake took too long"),
    }
}

async fn session<W: World, S: Socket + 'static>(
    client: Stream<S>,
    startup: &wire::startup::Startup,
    inbox: &[u8],
    (address, mut counted): (SocketAddr, Counted),
    keeper: Rc<Gatekeeper<W>>,
) {
    let console = startup.database() == Some(CONSOLE);
    if let Err(fault) = keeper.registry.admit(&mut counted.arrival, console) {
        // It is turned away in any case; whether it hears why is up to its socket.
        let _told = turn_away(client, &fault).await;
        return;
    }
    let mut secret = vec![0; if startup.minor >= 2 { 32 } else { 4 }];
    let mut nonce = [0; 18];
    if !keeper.world.random(&mut secret) || !keeper.world.random(&mut nonce) {
        tracing::error!("no randomness to be had");
        return;
    }
    let client_name: Arc<str> = Arc::from(address.to_string());
    let view = View {
        client: Arc::clone(&client_name),
        application: startup
            .get("application_name")
            .unwrap_or_default()
            .to_owned(),
        state: "login",
        since_ms: keeper.world.now_ms(),
        tls: client.is_tls(),
        ..View::default()
    };
    let Some(place) = keeper.registry.enter(Bytes::from(secret), view) else {
        return;
    };
    let key = place.key().clone();
    let number = keeper.next_session();
    let peer = Peer {
        session: number,
        key,
        client: client_name,
    };
    let now = keeper.world.now();
    let version = keeper.version();
    let host = client.server_name();
    let host = host.and_then(|it| version.config.hosts.tenant(it));
    let mut session = Session::start(startup, peer, nonce, Arc::clone(&version.limits), now);
    session.inbox().extend_from_slice(inbox);
    let connection = Connection::new(keeper, client, session, number, (place, counted), host);
    tokio::task::spawn_local(connection);
}
