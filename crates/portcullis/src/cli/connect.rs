//! A connection to the console, or to a server of PostgreSQL itself: addresses tried in order, a password found or
//! asked for, errors in psql's words. It never says what to ask there.

use std::error::Error as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::config::{ChannelBinding, SslMode as Wanted};
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::{Binding, Place, SslMode, Target};
use super::grid::Grid;
use super::pgpass;
use super::tls::{self, Seen, Trust};
use super::trouble::{Refusal, Trouble};

/// A session on the console.
#[derive(Debug)]
pub struct Console {
    client: Client,
    driver: JoinHandle<()>,
    asked: Option<SecretString>,
}

/// No door opened: what each address said.
#[derive(Debug)]
pub struct Shut {
    /// One text for each address.
    pub texts: Vec<String>,
    /// Whether it is we who are not let in: another time will not help.
    pub login_refused: bool,
}

impl From<Shut> for Trouble {
    fn from(shut: Shut) -> Self {
        Self::Unreachable(shut.texts)
    }
}

impl Console {
    /// Connects and logs in.
    pub async fn open(target: &Target, may_ask: bool) -> Result<Self, Trouble> {
        Ok(Self::try_open(target, may_ask).await?)
    }

    /// As `open`, for who may come again.
    pub async fn try_open(target: &Target, may_ask: bool) -> Result<Self, Shut> {
        let shut = |texts, login_refused| Shut {
            texts,
            login_refused,
        };
        let trust =
            tls::trust(target.ssl_mode, &target.roots).map_err(|error| shut(vec![error], false))?;
        let mut asked: Option<SecretString> = None;
        let mut failures = Vec::new();
        for place in &target.places {
            let addresses = match addresses(place).await {
                Ok(addresses) => addresses,
                Err(text) => {
                    failures.push(text);
                    continue;
                }
            };
            for address in addresses {
                let door = Door {
                    target,
                    trust: &trust,
                    place,
                    address,
                };
                let mut password = asked.clone().or_else(|| password(target, place));
                let mut tried = door.enter(password.as_ref()).await;
                if may_ask && matches!(tried, Err(Failure::NoPassword)) {
                    password = ask_password(&target.user);
                    if password.is_some() {
                        tried = door.enter(password.as_ref()).await;
                        asked = password;
                    }
                }
                match tried {
                    Ok(console) => {
                        note(target, place, trust.seen());
                        return Ok(Self { asked, ..console });
                    }
                    Err(failure) => {
                        failures.push(door.failed(&failure));
                        if failure.is_final() {
                            return Err(shut(failures, failure.is_of_login()));
                        }
                    }
                }
            }
        }
        Err(shut(failures, false))
    }

    /// The password that somebody typed to come in.
    pub fn asked(&self) -> Option<&SecretString> {
        self.asked.as_ref()
    }

    /// Sends one command.
    pub async fn ask(&self, command: &str) -> Result<Grid, Trouble> {
        let messages = match self.client.simple_query(command).await {
            Ok(messages) => messages,
            Err(error) => {
                return Err(match error.as_db_error().map(Refusal::from) {
                    Some(refusal) if refusal.is_fatal() => {
                        Trouble::Unreachable(vec![refusal.text()])
                    }
                    Some(refusal) => Trouble::Refused(refusal),
                    None => Trouble::Unreachable(vec![reason(&error)]),
                });
            }
        };
        let mut grid = Grid::default();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    grid.columns = columns.iter().map(|it| it.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    let values = (0..row.len())
                        .map(|index| row.try_get(index).ok().flatten().map(str::to_owned));
                    grid.rows.push(values.collect());
                }
                _ => {}
            }
        }
        Ok(grid)
    }

    /// Says goodbye.
    pub async fn close(self) {
        drop(self.client);
        let _ = self.driver.await;
    }
}

/// One address, and all that is needed to go in.
struct Door<'a> {
    target: &'a Target,
    trust: &'a Trust,
    place: &'a Place,
    address: Option<IpAddr>,
}

enum Failure {
    NoPassword,
    Refused(Refusal),
    Other(String),
}

impl Failure {
    /// Whether another address would say the same. One that is starting up or stopping speaks for itself.
    fn is_final(&self) -> bool {
        match self {
            Self::NoPassword => true,
            Self::Refused(refusal) => refusal.code() != "57P03",
            Self::Other(_) => false,
        }
    }

    /// Whether it is about who we are (class 28 of SQLSTATE), and not about the server.
    fn is_of_login(&self) -> bool {
        match self {
            Self::NoPassword => true,
            Self::Refused(refusal) => refusal.code().starts_with("28"),
            Self::Other(_) => false,
        }
    }
}

impl Door<'_> {
    async fn enter(&self, password: Option<&SecretString>) -> Result<Console, Failure> {
        let modes: &[Wanted] = match self.target.ssl_mode {
            _ if self.place.is_socket() => &[Wanted::Disable],
            SslMode::Disable => &[Wanted::Disable],
            SslMode::Allow => &[Wanted::Disable, Wanted::Require],
            SslMode::Prefer => &[Wanted::Prefer],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Wanted::Require],
        };
        let mut failure = Failure::Other("no way to connect was tried".to_owned());
        for mode in modes {
            match self.knock(*mode, password).await {
                Ok(console) => return Ok(console),
                Err(Failure::Refused(refusal)) => failure = Failure::Refused(refusal),
                Err(other) => return Err(other),
            }
        }
        Err(failure)
    }

    async fn knock(
        &self,
        mode: Wanted,
        password: Option<&SecretString>,
    ) -> Result<Console, Failure> {
        let config = self.config(mode, password);
        let connecting = config.connect(MakeRustlsConnect::new(self.trust.config.clone()));
        let connected = match self.target.connect_timeout_s {
            None => connecting.await,
            Some(seconds) => tokio::select! {
                connected = connecting => connected,
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {
                    return Err(Failure::Other("timeout expired".to_owned()));
                }
            },
        };
        match connected {
            Ok((client, connection)) => Ok(Console {
                client,
                driver: tokio::spawn(drive(connection)),
                asked: None,
            }),
            Err(error) => Err(match error.as_db_error() {
                Some(refused) => Failure::Refused(Refusal::from(refused)),
                None if password.is_none() && innermost(&error) == "password missing" => {
                    Failure::NoPassword
                }
                None => Failure::Other(reason(&error)),
            }),
        }
    }

    fn config(&self, mode: Wanted, password: Option<&SecretString>) -> Config {
        let mut config = Config::new();
        config
            .user(&self.target.user)
            .dbname(&self.target.database)
            .application_name("portcullis")
            .port(self.place.port)
            .ssl_mode(mode)
            .channel_binding(match self.target.binding {
                Binding::Disable => ChannelBinding::Disable,
                Binding::Prefer => ChannelBinding::Prefer,
                Binding::Require => ChannelBinding::Require,
            });
        config.host(self.place.name());
        if let Some(address) = self.address {
            config.hostaddr(address);
        }
        if let Some(password) = password {
            config.password(password.expose_secret());
        }
        config
    }

    /// As psql writes it.
    fn failed(&self, failure: &Failure) -> String {
        let text = match failure {
            Failure::NoPassword => "no password supplied".to_owned(),
            Failure::Refused(refusal) => refusal.text(),
            Failure::Other(text) => text.clone(),
        };
        let Place { host, port, .. } = self.place;
        if self.place.is_socket() {
            return format!(
                "connection to server on socket \"{host}/.s.PGSQL.{port}\" failed: {text}"
            );
        }
        let place = match self.address {
            Some(address) if !host.is_empty() && *host != address.to_string() => {
                format!("\"{host}\" ({address})")
            }
            _ => format!("\"{}\"", self.place.name()),
        };
        format!("connection to server at {place}, port {port} failed: {text}")
    }
}

/// The addresses behind a place; `None` is the socket that it is.
async fn addresses(place: &Place) -> Result<Vec<Option<IpAddr>>, String> {
    if place.address.is_some() || place.is_socket() {
        return Ok(vec![place.address]);
    }
    let failed = |why: String| {
        format!(
            "could not translate host name \"{}\" to address: {why}",
            place.host
        )
    };
    let found = tokio::net::lookup_host((place.host.as_str(), place.port))
        .await
        .map_err(|error| failed(io_reason(&error)))?;
    let mut addresses: Vec<Option<IpAddr>> = found.map(|it| Some(it.ip())).collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(failed("it has none".to_owned()));
    }
    Ok(addresses)
}

/// The password that was given, else that of the password file.
pub(crate) fn password(target: &Target, place: &Place) -> Option<SecretString> {
    if let Some(password) = &target.password {
        return Some(password.clone());
    }
    let name = place.name();
    let wanted = pgpass::Wanted {
        host: &name,
        port: place.port,
        database: &target.database,
        user: &target.user,
    };
    match pgpass::look_up(target.passfile.as_deref()?, wanted) {
        Ok(password) => password.map(SecretString::from),
        Err(warning) => {
            let _ = writeln!(anstream::stderr(), "WARNING: {warning}");
            None
        }
    }
}

/// Asks on the terminal, as psql does; `None` if there is no terminal or nothing was typed.
pub(crate) fn ask_password(user: &str) -> Option<SecretString> {
    let typed = rpassword::prompt_password(format!("Password for user {user}: ")).ok()?;
    (!typed.is_empty()).then(|| SecretString::from(typed))
}

/// Says so if nobody knows who is at the other end.
fn note(target: &Target, place: &Place, seen: Seen) {
    if place.is_socket() || target.ssl_mode == SslMode::Disable {
        return;
    }
    let mode = target.ssl_mode.as_str();
    let what = match seen {
        Seen::Verified => return,
        Seen::Unverified => "the server's certificate was not verified",
        Seen::Nothing => "the connection is not encrypted",
    };
    let _ = writeln!(
        anstream::stderr(),
        "portcullis: note: {what} (sslmode={mode})"
    );
}

/// Moves the bytes, and prints what the server says beside its answers.
async fn drive<S>(mut connection: Connection<Socket, S>)
where
    S: TlsStream + Unpin,
{
    while let Some(Ok(message)) =
        std::future::poll_fn(|context| connection.poll_message(context)).await
    {
        if let AsyncMessage::Notice(notice) = message {
            let _ = writeln!(anstream::stderr(), "{}", Refusal::from(&notice).text());
        }
    }
}

fn innermost(error: &tokio_postgres::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

/// Why it failed, without the library's own words.
fn reason(error: &tokio_postgres::Error) -> String {
    let Some(source) = error.source() else {
        return if error.is_closed() {
            "server closed the connection unexpectedly".to_owned()
        } else {
            error.to_string()
        };
    };
    if let Some(io) = source.downcast_ref::<io::Error>() {
        return io_reason(io);
    }
    match source.to_string().as_str() {
        "server does not support TLS" => {
            "server does not support SSL, but SSL was required".to_owned()
        }
        text => text.to_owned(),
    }
}

fn io_reason(error: &io::Error) -> String {
    if let Some(tls) = error
        .get_ref()
        .and_then(|it| it.downcast_ref::<rustls::Error>())
    {
        return format!("SSL error: {tls}");
    }
    let text = error.to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!(
                "{text}\n\tIs the server running on that host and accepting TCP/IP connections?"
            )
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "server closed the connection unexpectedly".to_owned()
        }
        _ => text,
    }
}
