//! One logged-in upstream connection: cargo goes in, bytes come out. It never looks into what the
//! server says after the login.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use gate::{Cargo, Own, Surface};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::CancelKey;

use crate::encode::encode;
use crate::stream::Stream;

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// A logged-in connection.
#[derive(Debug)]
pub struct Upstream<S> {
    pub(crate) stream: Stream<S>,
    pub(crate) inbox: BytesMut,
    outbox: BytesMut,
    /// None while a session has it, and where nothing is on it.
    surface: Option<Box<Surface>>,
    pub(crate) key: Option<CancelKey>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Upstream<S> {
    pub(crate) fn new(stream: Stream<S>, inbox: BytesMut, key: Option<CancelKey>) -> Self {
        Self {
            stream,
            inbox,
            outbox: BytesMut::new(),
            surface: None,
            key,
        }
    }

    /// What is on it; for the session that borrows it, which gives it back with the connection.
    pub fn take_surface(&mut self) -> Box<Surface> {
        self.surface.take().unwrap_or_default()
    }

    /// What is on it now.
    pub fn put_surface(&mut self, surface: Box<Surface>) {
        self.surface = Some(surface);
    }

    /// The server's process id for it.
    pub fn pid(&self) -> Option<u32> {
        self.key.as_ref().map(|key| key.pid)
    }

    /// Loads cargo; [`Upstream::poll_flush`] sends it. Something that does not fit into a message
    /// is an error, and nothing of this call is sent.
    pub fn load(&mut self, cargo: &[Cargo]) -> Result<(), wire::WireError> {
        let before = self.outbox.len();
        for it in cargo {
            if let Err(error) = encode(it, &mut self.outbox) {
                self.outbox.truncate(before);
                return Err(error);
            }
            if matches!(it, Cargo::Own(Own::Discard)) {
                self.surface = None;
            }
        }
        Ok(())
    }

    /// Bytes that wait to be sent.
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Bytes that wait here in either direction.
    pub fn waiting(&self) -> usize {
        self.outbox.len() + self.inbox.len()
    }

    /// What the server sent and nobody has consumed yet.
    pub fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox
    }

    /// Sends what was loaded. Cancel safe: what was not sent stays.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outbox))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outbox.advance(sent);
        }
        if self.outbox.capacity() > READ_BYTES {
            self.outbox = BytesMut::new();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Reads what is there into the inbox; 0 means that the server closed. Cancel safe.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        poll_read_into(&mut self.stream, &mut self.inbox, cx)
    }
}

/// Reads once into the spare room of `into`. Cancel safe: bytes are in `into` or still to be read.
pub(crate) fn poll_read_into<S: AsyncRead + Unpin>(
    from: &mut S,
    into: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    into.reserve(READ_BYTES);
    let future = tokio::io::AsyncReadExt::read_buf(from, into);
    tokio::pin!(future);
    future.poll(cx)
}
