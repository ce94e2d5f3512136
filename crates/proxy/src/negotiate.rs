//! The first bytes of a connection: TLS or not, a cancel or a startup packet. At most one request
//! for each kind of encryption, and not a byte may have come before a handshake (hazards R6, R11).
//! TLS at once, without a request, is for those who name the protocol by ALPN (R13).

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use pool::Stream;
use rustls::server::Acceptor;
use session::Fault;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};
use wire::CancelKey;
use wire::startup::{self, Startup, StartupPacket};

use crate::config::ServerTls;
use crate::socket::{GOODBYE, Parting, Peek, read};
use crate::tls::{ALPN, acceptor};

/// What a ClientHello starts with. A startup packet of so many bytes (352 MiB) is refused anyway.
const TLS_HANDSHAKE: u8 = 0x16;

/// A fatal alert, as a TLS record in clear text: nothing has been agreed on yet.
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// What a connection turned out to be.
pub(crate) enum Opening<S> {
    /// Somebody wants to talk; what they sent behind the startup packet comes with it.
    Session(Box<Stream<S>>, Startup, BytesMut),
    /// Somebody wants something cancelled. Nothing is ever answered (hazards R52).
    Cancel(CancelKey, Box<Stream<S>>),
    /// Nobody, or nobody who may: it was told why, if it could be.
    Nobody,
}

/// How clients may come.
#[derive(Clone)]
pub(crate) struct Encryption {
    /// TLS, where a certificate is configured.
    pub(crate) acceptor: Option<TlsAcceptor>,
    /// Whether a session in clear text is taken. A CancelRequest in clear text always is: psql and
    /// pgjdbc send it so even when the session has TLS.
    pub(crate) plaintext: bool,
}

impl Encryption {
    /// As it is configured.
    pub(crate) fn of(tls: &ServerTls) -> Result<Self, rustls::Error> {
        let (acceptor, plaintext) = match tls {
            ServerTls::Off => (None, true),
            ServerTls::On { pair, plaintext } => (Some(acceptor(pair)?), *plaintext),
        };
        Ok(Self {
            acceptor,
            plaintext,
        })
    }
}

/// Reads up to the startup packet. Dropping the future drops the connection.
pub(crate) async fn negotiate<S: AsyncRead + AsyncWrite + Peek + Unpin>(
    mut socket: S,
    encryption: &Encryption,
) -> io::Result<Opening<S>> {
    let first = poll_fn(|cx| socket.poll_first(cx)).await?;
    let mut client = if first == Some(TLS_HANDSHAKE) {
        match direct_tls(socket, encryption).await? {
            Some(client) => client,
            None => return Ok(Opening::Nobody),
        }
    } else {
        Stream::Plain(socket)
    };
    let mut inbox = BytesMut::new();
    let (mut may_ask_tls, mut may_ask_gss) = (!client.is_tls(), true);
    loop {
        let packet = match next_packet(&mut client, &mut inbox).await? {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Opening::Nobody),
            Err(fault) => return turn_away(client, &fault).await,
        };
        match packet {
            StartupPacket::Cancel(key) => return Ok(Opening::Cancel(key, Box::new(client))),
            StartupPacket::GssEncRequest if may_ask_gss && inbox.is_empty() => {
                may_ask_gss = false;
                client.write_all(b"N").await?;
            }
            StartupPacket::SslRequest if may_ask_tls && inbox.is_empty() => {
                may_ask_tls = false;
                client = answer_tls(client, encryption).await?;
            }
            StartupPacket::GssEncRequest | StartupPacket::SslRequest => {
                let message = if inbox.is_empty() {
                    "unexpected second request for encryption"
                } else {
                    "received unencrypted data after a request for encryption"
                };
                return turn_away(client, &Fault::protocol(message).fatal()).await;
            }
            StartupPacket::Startup(startup) => {
                if !client.is_tls() && !encryption.plaintext {
                    return turn_away(client, &Fault::no_encryption()).await;
                }
                return Ok(Opening::Session(Box::new(client), startup, inbox));
            }
        }
        client.flush().await?;
    }
}

/// TLS that begins with the first byte. Without a request nothing says that PostgreSQL is meant, so ALPN
/// must: whoever is led here by a mistake, or on purpose, speaks another protocol.
async fn direct_tls<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    encryption: &Encryption,
) -> io::Result<Option<Stream<S>>> {
    let Some(acceptor) = &encryption.acceptor else {
        return Ok(None);
    };
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
    let named = start.client_hello().alpn();
    if !named.is_some_and(|mut names| names.any(|name| name == ALPN)) {
        start.io.write_all(&NO_APPLICATION_PROTOCOL).await?;
        start.io.shutdown().await?;
        return Ok(None);
    }
    let client = start.into_stream(Arc::clone(acceptor.config())).await?;
    Ok(Some(Stream::Tls(Box::new(client.into()))))
}

async fn answer_tls<S: AsyncRead + AsyncWrite + Unpin>(
    client: Stream<S>,
    encryption: &Encryption,
) -> io::Result<Stream<S>> {
    match (client, &encryption.acceptor) {
        (Stream::Plain(mut socket), Some(acceptor)) => {
            socket.write_all(b"S").await?;
            socket.flush().await?;
            Ok(Stream::Tls(Box::new(acceptor.accept(socket).await?.into())))
        }
        (mut client, _) => {
            client.write_all(b"N").await?;
            Ok(client)
        }
    }
}

async fn next_packet<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Stream<S>,
    inbox: &mut BytesMut,
) -> io::Result<Result<Option<StartupPacket>, Fault>> {
    loop {
        match startup::take(inbox) {
            Ok(Some(packet)) => return Ok(Ok(Some(packet))),
            Ok(None) => {}
            Err(error) => return Ok(Err(Fault::malformed(&error))),
        }
        if poll_fn(|cx| read(client, inbox, cx)).await? == 0 {
            return Ok(Ok(None));
        }
    }
}

/// Says why and closes.
pub(crate) async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: Stream<S>,
    fault: &Fault,
) -> io::Result<Opening<S>> {
    let mut out = BytesMut::new();
    wire::backend::encode::error_response(&fault.fields, &mut out);
    client.write_all_buf(&mut out).await?;
    client.flush().await?;
    let mut parting = Parting::default();
    let parted = poll_fn(|cx| parting.poll(&mut client, cx));
    #[expect(clippy::disallowed_methods, reason = "the last of a connection")]
    let _late = tokio::time::timeout(GOODBYE, parted).await;
    Ok(Opening::Nobody)
}
