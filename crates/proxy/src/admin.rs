//! Where machines hear how the gate is: `GET /metrics`, `/healthz` and `/readyz`, on an address and a thread of their own, so that
//! a gate whose threads are stuck still says so. It changes nothing, and never shows a statement or a secret.

mod health;
mod metrics;
mod page;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use store::{JournalFile, Sqlite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;

use crate::crew::Crew;
use crate::gatekeeper::Shared;
use crate::origin::Origin;
use crate::registry::Registry;
use crate::shut::Shut;
use crate::stats::Roster;
use crate::world::Real;

/// Connections at the same time; the next ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 32;
/// The largest request line with its headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// How long those may take to come.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONNECTION: Duration = Duration::from_secs(30);
/// How long to wait before accepting again when that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The text format of Prometheus.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The thread that answers.
pub(crate) struct Admin {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What is looked at for an answer.
pub(crate) struct Desk {
    crew: Crew,
    registry: Arc<Registry>,
    roster: Arc<Roster>,
    shut: Arc<Shut>,
    origin: Arc<Origin>,
    tickets: Sqlite,
    journal: JournalFile,
    /// In milliseconds since 1970.
    started_ms: i64,
}

impl Desk {
    /// Of a gate that starts.
    pub(crate) fn of(shared: &Shared<Real>, crew: &Crew) -> Self {
        Self {
            crew: crew.clone(),
            registry: Arc::clone(&shared.registry),
            roster: Arc::clone(&shared.roster),
            shut: Arc::clone(&shared.shut),
            origin: Arc::clone(&shared.origin),
            tickets: shared.tickets.clone(),
            journal: shared.journal.beside(),
            started_ms: shared.version.at_ms,
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
            let allow = HeaderValue::from_static("GET");
            refused.headers_mut().insert(ALLOW, allow);
            return refused;
        }
        match request.uri().path() {
            "/metrics" => {
                let mut page = text(StatusCode::OK, self.metrics().await);
                page.headers_mut().insert(CONTENT_TYPE, METRICS);
                page
            }
            "/healthz" => verdict("alive", &self.ails().await),
            "/readyz" => verdict("ready", &self.hinders().await),
            _ => {
                let known = "GET /metrics, /healthz or /readyz\n";
                text(StatusCode::NOT_FOUND, known.to_owned())
            }
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// A line a problem; with none, that all is well.
fn verdict(well: &str, problems: &[String]) -> Response<Full<Bytes>> {
    if problems.is_empty() {
        return text(StatusCode::OK, format!("{well}\n"));
    }
    let lines = problems.join("\n");
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{lines}\n"))
}

impl Admin {
    /// Starts the thread.
    pub(crate) fn start(listener: TcpListener, desk: Desk) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("admin".to_owned());
        let thread = thread.spawn(move || {
            let work = async move {
                tokio::select! {
                    () = accept(listener, Rc::new(desk)) => {}
                    _ = stopped => {}
                }
            };
            LocalSet::new().block_on(&runtime, work);
        })?;
        Ok(Self { stop, thread })
    }

    /// Answers no more, and lets go of the store and the journal.
    pub(crate) fn stop(self) {
        // A thread that is gone has stopped.
        let _told = self.stop.send(());
        let _ended = self.thread.join();
    }
}

async fn accept(listener: tokio::net::TcpListener, desk: Rc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((socket, address)) => {
                let desk = Rc::clone(&desk);
                tokio::task::spawn_local(async move {
                    serve(socket, address, desk).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("could not accept a connection to the admin address: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One request, and its answer.
async fn serve(socket: TcpStream, address: SocketAddr, desk: Rc<Desk>) {
    let service = service_fn(|request| {
        let desk = Rc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service);
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection of a machine is no statement"
    )]
    let served = tokio::time::timeout(CONNECTION, connection).await;
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(%address, "a request to the admin address failed: {error}");
        }
        Err(_) => tracing::debug!(%address, "a request to the admin address took too long"),
    }
}
