//! A socket with or without TLS, read under deadlines.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::frame::Frame;
use crate::DEADLINE;

/// Why nothing more was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The limit passed. The connection is as it was, and bytes read so far are kept.
    Silent,
    /// The other side closed.
    Closed,
    /// The other side closed with bytes of ours unread.
    Reset,
    /// Not TLS, or not a frame.
    Broken(String),
}

#[derive(Debug)]
pub(super) struct Transport {
    socket: TcpStream,
    tls: Option<Box<StreamOwned<ClientConnection, TcpStream>>>,
    unread: Vec<u8>,
}

impl Transport {
    #[track_caller]
    pub(super) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect_timeout(&address, DEADLINE)
            .unwrap_or_else(|error| panic!("could not connect to {address}: {error}"));
        socket.set_nodelay(true).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        Self {
            socket,
            tls: None,
            unread: Vec::new(),
        }
    }

    #[track_caller]
    pub(super) fn handshake(&mut self, root_cert: &Path, name: &str) {
        let config = trusting(root_cert);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = self.socket.try_clone().unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut tls = StreamOwned::new(connection, socket);
        while tls.conn.is_handshaking() {
            if let Err(error) = tls.conn.complete_io(&mut tls.sock) {
                panic!("the TLS handshake failed: {error}");
            }
        }
        self.tls = Some(Box::new(tls));
    }

    /// A failing write is not told: what the other side thinks shows when it is read.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _told_by_reading = match &mut self.tls {
            Some(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            None => self.socket.write_all(bytes),
        };
    }

    pub(super) fn half_close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.conn.send_close_notify();
            let _told_by_reading = tls.flush();
        }
        let _may_be_closed = self.socket.shutdown(Shutdown::Write);
    }

    pub(super) fn frame(&mut self, limit: Duration) -> Result<Frame, End> {
        let deadline = Instant::now() + limit;
        self.fill(5, deadline)?;
        let length = i32::from_be_bytes(self.unread[1..5].try_into().unwrap());
        let whole = usize::try_from(length)
            .ok()
            .filter(|length| *length >= 4)
            .ok_or_else(|| End::Broken(format!("a frame of length {length}")))?
            + 1;
        self.fill(whole, deadline)?;
        let body = self.unread[5..whole].to_vec();
        let tag = self.unread[0];
        self.unread.drain(..whole);
        Ok(Frame { tag, body })
    }

    pub(super) fn take(&mut self, count: usize, limit: Duration) -> Result<Vec<u8>, End> {
        self.fill(count, Instant::now() + limit)?;
        Ok(self.unread.drain(..count).collect())
    }

    /// Reads until at least `count` bytes wait. Before TLS never one byte more, since what follows
    /// the answer to SSLRequest belongs to the handshake.
    fn fill(&mut self, count: usize, deadline: Instant) -> Result<(), End> {
        let mut buffer = [0_u8; 16_384];
        while self.unread.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(End::Silent);
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let missing = (count - self.unread.len()).min(buffer.len());
            let read = match &mut self.tls {
                Some(tls) => tls.read(&mut buffer),
                None => self.socket.read(&mut buffer[..missing]),
            };
            match read {
                Ok(0) => return Err(End::Closed),
                Ok(read) => self.unread.extend(&buffer[..read]),
                Err(error) => end_of(&error)?,
            }
        }
        Ok(())
    }
}

/// TLS that trusts this certificate alone.
pub fn trusting(root_cert: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(root_cert).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    config
}

/// Time-outs and interrupts are looked at again by the deadline; the rest is an end.
fn end_of(error: &io::Error) -> Result<(), End> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
        ErrorKind::UnexpectedEof => Err(End::Closed),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            Err(End::Reset)
        }
        _ => Err(End::Broken(error.to_string())),
    }
}
