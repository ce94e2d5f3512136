//! Logging in to an upstream: TLS, startup packet, SCRAM, and what the server says of itself. The
//! server's error texts go to the log, never to a client.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use gate::Settings;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use wire::backend::{Authentication, decode, tag};
use wire::frame::{self, Frame};
use wire::{CancelKey, frontend, startup};

use crate::binding;
use crate::credential::{CredentialError, Issue};
use crate::dial::Dial;
use crate::options::Options;
use crate::stream::Stream;
use crate::upstream::Upstream;

/// The largest message of a login.
const LOGIN_MESSAGE_MAX: usize = 64 * 1024;

const SCRAM: &str = "SCRAM-SHA-256";
/// The same, bound to the connection under it (hazards R14).
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Why an upstream could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No socket, or it broke.
    #[error("could not connect")]
    Io(#[from] io::Error),
    /// The time for connecting was over.
    #[error("timeout expired")]
    Timeout,
    /// The server does not speak TLS.
    #[error("server does not support SSL, but SSL was required")]
    NoTls,
    /// The host name cannot be verified.
    #[error("host name \"{0}\" cannot be verified")]
    HostName(String),
    /// The server speaks something else.
    #[error("server does not speak the protocol")]
    Protocol,
    /// The server wants a password and none is configured.
    #[error("server wants a password and none is configured")]
    NoPassword,
    /// The server wants a login that is not supported.
    #[error("server wants an authentication method that is not supported: {0}")]
    Method(&'static str),
    /// The server refused; its words are for the log.
    #[error("server refused the login: {0}")]
    Refused(String),
    /// There is nothing to log in with.
    #[error(transparent)]
    Credential(Arc<CredentialError>),
    /// The server refused a setting that the login came with.
    #[error("server refused a setting: {0}")]
    Settings(String),
    /// It follows another server, or is not promoted yet, and what is wanted is the primary.
    #[error("server is in recovery, it takes no writes")]
    InRecovery,
    /// It was the primary before a failover.
    #[error(
        "server is on timeline {found}, and timeline {known} has been met: it was the primary before a failover"
    )]
    OldTimeline {
        /// Its own.
        found: u32,
        /// The newest that was met.
        known: u32,
    },
    /// It follows nobody, and what is wanted is a replica.
    #[error("server is not in recovery, it is no replica")]
    NoReplica,
}

impl ConnectError {
    /// The same, where the settings of the login are what the server refused: 22023 and 42704.
    fn about(self, settings: &Settings) -> Self {
        match self {
            Self::Refused(said)
                if !settings.is_empty()
                    && (said.starts_with("22023") || said.starts_with("42704")) =>
            {
                Self::Settings(said)
            }
            other => other,
        }
    }

    /// Whether there is a server, and it is not the primary, or not any more.
    pub fn takes_no_writes(&self) -> bool {
        matches!(self, Self::InRecovery | Self::OldTimeline { .. })
    }

    /// Whether it may be gone in a moment, as while a server restarts. Nobody's mistake, that is.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            ),
            Self::Timeout => true,
            // It starts up, or shuts down; or it has no connection left for us.
            Self::Refused(said) => said.starts_with("57P03") || said.starts_with("53300"),
            Self::Credential(error) => error.may_pass(),
            _ => false,
        }
    }

    /// Whether the server knows nobody by this name and password.
    pub(crate) fn is_refused_login(&self) -> bool {
        let refused = |said: &String| said.starts_with("28P01") || said.starts_with("28000");
        matches!(self, Self::Refused(said) if refused(said))
    }
}

impl From<wire::WireError> for ConnectError {
    fn from(_: wire::WireError) -> Self {
        Self::Protocol
    }
}

/// What a server says of itself at login.
#[derive(Debug, Default)]
pub(crate) struct Greeting {
    pub(crate) parameters: Settings,
    pub(crate) system_identifier: Option<Arc<str>>,
    /// Whether it follows another server, where it says.
    pub(crate) in_recovery: Option<bool>,
    /// The timeline that it writes, where it writes and says so.
    pub(crate) timeline: Option<u32>,
}

/// What a server is asked at each login, in the order of [`Greeting`]: another cluster at the same address is another place, and so
/// is one that was the primary once (hazards R64, R92). Each by itself: what a role may not know takes nothing from the others.
const ABOUT: [&str; 3] = [
    "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()",
    "SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text",
    "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN \
     pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END",
];

/// Whom to log in.
#[derive(Clone, Copy)]
struct Who<'a> {
    user: &'a str,
    password: Option<&'a SecretString>,
    /// The role that the session takes on, where that is another one.
    role: Option<&'a str>,
}

impl<'a> Who<'a> {
    fn of(options: &'a Options, issue: Option<&'a Issue>) -> Self {
        match issue {
            None => Self {
                user: &options.user,
                password: options.password.as_ref(),
                role: None,
            },
            Some(issue) => Self {
                user: issue.user().unwrap_or(&options.user),
                password: Some(issue.password()),
                role: issue.takes_on(&options.user),
            },
        }
    }
}

/// Opens a connection and logs in, by what was given out for it if something was. Dropping the future closes it.
pub(crate) async fn connect<D: Dial>(
    dial: &D,
    options: &Options,
    issue: Option<&Issue>,
    settings: &Settings,
) -> Result<(Upstream<D::Socket>, Greeting), ConnectError> {
    let stream = open(dial, options).await?;
    let mut login = Wire {
        stream,
        inbox: BytesMut::new(),
    };
    let mut out = BytesMut::new();
    let who = Who::of(options, issue);
    let mut parameters = vec![
        ("user", who.user),
        ("database", options.database.as_str()),
        ("client_encoding", "UTF8"),
    ];
    parameters.extend(who.role.map(|role| ("role", role)));
    let more = options.parameters.iter();
    parameters.extend(more.map(|(name, value)| (name.as_str(), value.as_str())));
    let own = settings.iter();
    parameters.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
    startup::encode_startup(&parameters, &mut out)?;
    login.send(&mut out).await?;
    let greeted = match login.authenticate(who).await {
        Ok(()) => login.greeting().await,
        Err(error) => Err(error),
    };
    let (mut greeting, key) = greeted.map_err(|error| error.about(settings))?;
    let [identifier, in_recovery, timeline] = login.about().await?;
    greeting.system_identifier = identifier.map(Arc::from);
    greeting.in_recovery = in_recovery.and_then(|it| it.parse().ok());
    greeting.timeline = timeline.and_then(|it| timeline_of(&it));
    Ok((Upstream::new(login.stream, login.inbox, key), greeting))
}

/// A socket with TLS where that is wanted. One byte is read before the handshake and not more, so
/// nothing that came in the clear is taken for protected (hazards R11, R12).
pub(crate) async fn open<D: Dial>(
    dial: &D,
    options: &Options,
) -> Result<Stream<D::Socket>, ConnectError> {
    let mut socket = dial.dial(&options.host, options.port).await?;
    let Some(config) = &options.tls.0 else {
        return Ok(Stream::Plain(socket));
    };
    let mut out = BytesMut::new();
    startup::encode_ssl_request(&mut out);
    socket.write_all(&out).await?;
    match socket.read_u8().await? {
        b'S' => {}
        b'N' => return Err(ConnectError::NoTls),
        _ => return Err(ConnectError::Protocol),
    }
    let name = ServerName::try_from(options.host.clone())
        .map_err(|_| ConnectError::HostName(options.host.clone()))?;
    let tls = TlsConnector::from(Arc::clone(config))
        .connect(name, socket)
        .await?;
    Ok(Stream::Tls(Box::new(tls.into())))
}

/// A connection that has not logged in yet.
struct Wire<S> {
    stream: Stream<S>,
    inbox: BytesMut,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Wire<S> {
    async fn send(&mut self, out: &mut BytesMut) -> Result<(), ConnectError> {
        self.stream.write_all_buf(out).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next message that is not said in passing.
    async fn next(&mut self) -> Result<Frame, ConnectError> {
        loop {
            while let Some(frame) = frame::take(&mut self.inbox, LOGIN_MESSAGE_MAX)? {
                match frame.tag {
                    tag::NOTICE | tag::NEGOTIATE_PROTOCOL_VERSION => {}
                    tag::ERROR => {
                        let fields = decode::fields(&frame.body)?;
                        let said = format!("{}: {}", fields.sqlstate, fields.message);
                        return Err(ConnectError::Refused(said));
                    }
                    _ => return Ok(frame),
                }
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    async fn authentication(&mut self) -> Result<Authentication, ConnectError> {
        let frame = self.next().await?;
        if frame.tag != tag::AUTHENTICATION {
            return Err(ConnectError::Protocol);
        }
        Ok(decode::authentication(&frame.body)?)
    }

    async fn authenticate(&mut self, who: Who<'_>) -> Result<(), ConnectError> {
        let password = || {
            let password = who.password.map(ExposeSecret::expose_secret);
            password.ok_or(ConnectError::NoPassword)
        };
        let mut out = BytesMut::new();
        match self.authentication().await? {
            Authentication::Ok => return Ok(()),
            Authentication::Sasl(mechanisms) => {
                let offers = |name| mechanisms.iter().any(|it| &**it == name);
                let offers = (offers(SCRAM_PLUS), offers(SCRAM));
                return self.scram(password()?, offers).await;
            }
            Authentication::Md5(salt) => {
                let hash = md5_hash(who.user.as_bytes(), password()?.as_bytes(), salt);
                frontend::cleartext_password(&hash, &mut out)?;
            }
            Authentication::Cleartext if self.stream.is_tls() => {
                frontend::cleartext_password(password()?, &mut out)?;
            }
            Authentication::Cleartext => return Err(ConnectError::Method("password without SSL")),
            _ => return Err(ConnectError::Method("neither SCRAM-SHA-256 nor a password")),
        }
        self.send(&mut out).await?;
        match self.authentication().await? {
            Authentication::Ok => Ok(()),
            _ => Err(ConnectError::Protocol),
        }
    }

    /// Bound to the connection where both sides can: a server that could, and is not heard to say so, notices.
    async fn scram(
        &mut self,
        password: &str,
        (plus, plain): (bool, bool),
    ) -> Result<(), ConnectError> {
        let binding = self.stream.server_certificate().and_then(binding::of);
        let (mechanism, binding) = match binding {
            Some(hash) if plus => (SCRAM_PLUS, ChannelBinding::tls_server_end_point(hash)),
            Some(_) if plain => (SCRAM, ChannelBinding::unrequested()),
            None if plain => (SCRAM, ChannelBinding::unsupported()),
            _ => return Err(ConnectError::Method("SASL without SCRAM-SHA-256")),
        };
        let mut scram = ScramSha256::new(password.as_bytes(), binding);
        let mut out = BytesMut::new();
        frontend::sasl_initial(mechanism, scram.message(), &mut out)?;
        self.send(&mut out).await?;
        let Authentication::SaslContinue(data) = self.authentication().await? else {
            return Err(ConnectError::Protocol);
        };
        scram.update(&data)?;
        frontend::password(scram.message(), &mut out)?;
        self.send(&mut out).await?;
        let Authentication::SaslFinal(data) = self.authentication().await? else {
            return Err(ConnectError::Protocol);
        };
        scram.finish(&data)?;
        match self.authentication().await? {
            Authentication::Ok => Ok(()),
            _ => Err(ConnectError::Protocol),
        }
    }

    async fn greeting(&mut self) -> Result<(Greeting, Option<CancelKey>), ConnectError> {
        let mut greeting = Greeting::default();
        let mut key = None;
        loop {
            let frame = self.next().await?;
            match frame.tag {
                tag::PARAMETER_STATUS => {
                    let (name, value) = decode::parameter_status(&frame.body)?;
                    greeting
                        .parameters
                        .insert(name.to_string(), value.to_string());
                }
                tag::BACKEND_KEY_DATA => key = Some(decode::backend_key_data(&frame.body)?),
                tag::READY => return Ok((greeting, key)),
                _ => return Err(ConnectError::Protocol),
            }
        }
    }

    /// The answers to [`ABOUT`]; none where the role may not know.
    async fn about(&mut self) -> Result<[Option<String>; 3], ConnectError> {
        let mut out = BytesMut::new();
        for sql in ABOUT {
            frontend::query(sql, &mut out)?;
        }
        self.send(&mut out).await?;
        let mut answers = [const { None }; 3];
        for answer in &mut answers {
            *answer = self.answer().await?;
        }
        Ok(answers)
    }

    /// The one value of one answer, if there is one.
    async fn answer(&mut self) -> Result<Option<String>, ConnectError> {
        let mut value = None;
        loop {
            let frame = match self.next().await {
                Ok(frame) => frame,
                Err(ConnectError::Refused(_)) => continue,
                Err(error) => return Err(error),
            };
            match frame.tag {
                tag::DATA_ROW => {
                    let values = decode::data_row_values(&frame.body)?;
                    let first = values.into_iter().next().flatten();
                    value = first.and_then(|it| String::from_utf8(it.to_vec()).ok());
                }
                tag::READY => return Ok(value),
                _ => {}
            }
        }
    }
}

/// As the name of a WAL file begins.
pub(crate) fn timeline_of(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 16).ok()
}
