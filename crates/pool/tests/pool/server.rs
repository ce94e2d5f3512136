//! A server made of memory: it lets everybody in, answers a reset, and counts. Its clock is the
//! test's, so that an hour takes no time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use gate::{PrincipalId, TenantId};
use pool::{Borrower, ClientTls, Dial, Options, Pool, ServerLimits, Servers, Station, Worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// How the server answers a reset.
#[derive(Clone, Debug)]
pub(crate) enum Reset {
    /// With these counts of what is left.
    Counts([&'static str; 7]),
    /// With these bytes to the first of its questions.
    Bytes(Vec<u8>),
    /// Not at all.
    Silence,
}

/// What a test tells the server, and what it saw.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) down: Cell<bool>,
    /// What it says to a login instead of letting it in.
    pub(crate) refuses: Cell<Option<&'static str>>,
    pub(crate) login_takes: Cell<Duration>,
    pub(crate) reset: RefCell<Reset>,
    /// When somebody tried to connect.
    pub(crate) attempts: RefCell<Vec<Instant>>,
    pub(crate) logins: Cell<usize>,
    logging_in: Cell<usize>,
    pub(crate) logging_in_max: Cell<usize>,
    /// Connections that are open.
    pub(crate) open: RefCell<BTreeSet<usize>>,
    pub(crate) open_max: Cell<usize>,
    /// Whether it follows another server, and the timeline that it writes.
    pub(crate) in_recovery: Cell<bool>,
    pub(crate) timeline: Cell<u32>,
    /// How often Terminate was said.
    pub(crate) farewells: Cell<usize>,
    /// It closes every connection.
    kick: Notify,
}

/// The way to the server.
#[derive(Clone, Debug)]
pub(crate) struct Fake(pub(crate) Rc<State>);

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Rc::new(State {
            down: Cell::new(false),
            refuses: Cell::new(None),
            login_takes: Cell::new(Duration::from_millis(5)),
            reset: RefCell::new(Reset::Counts(["0"; 7])),
            attempts: RefCell::default(),
            logins: Cell::new(0),
            logging_in: Cell::new(0),
            logging_in_max: Cell::new(0),
            open: RefCell::default(),
            open_max: Cell::new(0),
            in_recovery: Cell::new(false),
            timeline: Cell::new(1),
            farewells: Cell::new(0),
            kick: Notify::new(),
        }))
    }

    /// Servers that lead here.
    pub(crate) fn servers(&self, limits: ServerLimits) -> Rc<Servers<Self>> {
        let [servers] = self.on_threads(limits);
        servers
    }

    /// Servers that lead here, as so many threads have them.
    pub(crate) fn on_threads<const N: usize>(
        &self,
        limits: ServerLimits,
    ) -> [Rc<Servers<Self>>; N] {
        let workers: [Worker; N] = Worker::all(N).try_into().unwrap();
        workers.map(|worker| Servers::new(self.clone(), worker, limits, 7))
    }

    /// Servers that lead here, with randomness of the test's own.
    pub(crate) fn seeded(&self, seed: u64) -> Rc<Servers<Self>> {
        let [worker] = Worker::all(1).try_into().unwrap();
        Servers::new(self.clone(), worker, ServerLimits::default(), seed)
    }

    /// A pool of its own, without limits.
    pub(crate) fn pool(&self, size: usize) -> Rc<Pool<Self>> {
        pool(&self.servers(ServerLimits::default()), "acme", size)
    }

    pub(crate) fn open(&self) -> usize {
        self.0.open.borrow().len()
    }

    pub(crate) fn attempts(&self) -> usize {
        self.0.attempts.borrow().len()
    }

    /// The server closes every connection that is open now.
    pub(crate) async fn kick_all(&self) {
        self.0.kick.notify_waiters();
        settle().await;
    }
}

impl Dial for Fake {
    type Socket = DuplexStream;

    async fn dial(&self, _: &str, _: u16) -> io::Result<DuplexStream> {
        self.0.attempts.borrow_mut().push(Instant::now());
        if self.0.down.get() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let number = self.attempts();
        tokio::task::spawn_local(serve(Rc::clone(&self.0), ours, number));
        Ok(theirs)
    }
}

pub(crate) fn pool(servers: &Rc<Servers<Fake>>, tenant: &str, size: usize) -> Rc<Pool<Fake>> {
    servers.pool(&TenantId::from(tenant), "write", options(size))
}

pub(crate) fn options(size: usize) -> Options {
    Options {
        host: "db".to_owned(),
        port: 5432,
        database: "acme".to_owned(),
        user: "app".to_owned(),
        password: None,
        source: None,
        tls: ClientTls::disable(),
        size,
        wait: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        idle_timeout: Options::IDLE_TIMEOUT,
        lifetime: Options::LIFETIME,
        parameters: Vec::new(),
        station: Station::Any,
    }
}

pub(crate) fn who(name: &str) -> Borrower {
    Borrower {
        principal: PrincipalId::from(name),
        login: std::sync::Arc::default(),
    }
}

/// Lets everything happen that can happen by now: the clock stands still until all is done.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(100)).await;
}

/// One connection, as the server sees it.
async fn serve(state: Rc<State>, mut socket: DuplexStream, number: usize) {
    state.open.borrow_mut().insert(number);
    let open = state.open.borrow().len();
    state.open_max.set(state.open_max.get().max(open));
    // However it ends, it ends.
    let _end = talk(&state, &mut socket).await;
    state.open.borrow_mut().remove(&number);
}

async fn talk(state: &State, socket: &mut DuplexStream) -> io::Result<()> {
    let length = socket.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    socket.read_exact(&mut startup).await?;
    state.logging_in.set(state.logging_in.get() + 1);
    let most = state.logging_in_max.get().max(state.logging_in.get());
    state.logging_in_max.set(most);
    sleep(state.login_takes.get()).await;
    state.logging_in.set(state.logging_in.get() - 1);
    if let Some(sqlstate) = state.refuses.get() {
        let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0Mno\0\0");
        return socket.write_all(&message(b'E', fields.as_bytes())).await;
    }
    state.logins.set(state.logins.get() + 1);
    socket.write_all(&message(b'R', &[0; 4])).await?;
    socket.write_all(&message(b'K', &[1; 8])).await?;
    socket.write_all(&message(b'Z', b"I")).await?;
    loop {
        tokio::select! {
            tag = socket.read_u8() => {
                let tag = tag?;
                let length = socket.read_u32().await?;
                let mut body = vec![0; length as usize - 4];
                socket.read_exact(&mut body).await?;
                if tag == b'X' {
                    state.farewells.set(state.farewells.get() + 1);
                    return Ok(());
                }
                let answer = answer(state, &String::from_utf8_lossy(&body));
                socket.write_all(&answer).await?;
            }
            () = state.kick.notified() => return Ok(()),
        }
    }
}

fn answer(state: &State, sql: &str) -> Vec<u8> {
    let verify = sql.contains("pg_prepared_statements");
    let reset = state.reset.borrow();
    if verify || sql.starts_with("DISCARD") {
        return match &*reset {
            Reset::Counts(counts) if verify => answered(counts, "SELECT 1"),
            Reset::Counts(_) => [completed("DISCARD ALL"), message(b'Z', b"I")].concat(),
            Reset::Bytes(bytes) if !verify => bytes.clone(),
            Reset::Bytes(_) | Reset::Silence => Vec::new(),
        };
    }
    if sql.contains("pg_walfile_name") {
        return answered(&[&format!("{:08X}", state.timeline.get())], "SELECT 1");
    }
    if sql.contains("pg_is_in_recovery") {
        return answered(&[&state.in_recovery.get().to_string()], "SELECT 1");
    }
    answered(&["7"], "SELECT 1")
}

/// One row.
pub(crate) fn answered(values: &[&str], tag: &str) -> Vec<u8> {
    let mut row = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        row.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        row.extend(value.as_bytes());
    }
    [
        message(b'T', &[0; 2]),
        message(b'D', &row),
        completed(tag),
        message(b'Z', b"I"),
    ]
    .concat()
}

pub(crate) fn completed(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}
