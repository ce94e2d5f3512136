//! A client's socket: what a driver asks of it, and how it is read and written. It never looks at the
//! bytes.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::FutureExt;
use pool::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;

/// How long a client may take to read the last it is told.
pub(crate) const GOODBYE: Duration = Duration::from_secs(5);

/// How much is read from a client at once.
const READ_BYTES: usize = 16 * 1024;

/// Room that a client keeps while it is busy and nothing waits for it.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Room that an idle client keeps: what a small query needs, so that its next one asks for no memory.
const IDLE_BYTES_MAX: usize = 256;

thread_local! {
    /// Where bytes arrive for whom nothing waits: each gets room for what came, not for what might have.
    static ARRIVALS: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What a client comes by.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Whether the other side has closed, even while there is more of it to be read.
    fn has_hung_up(&self) -> bool;
}

/// What can be looked at before it is read.
pub trait Peek {
    /// The first byte that waits to be read, which stays there; none at the end.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>>;
}

impl Socket for TcpStream {
    fn has_hung_up(&self) -> bool {
        let ready = self.ready(Interest::READABLE).now_or_never();
        ready
            .and_then(Result::ok)
            .is_some_and(Ready::is_read_closed)
    }
}

impl Peek for TcpStream {
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>> {
        let mut byte = [0];
        let mut room = ReadBuf::new(&mut byte);
        ready!(self.poll_peek(cx, &mut room))?;
        Poll::Ready(Ok(room.filled().first().copied()))
    }
}

impl<S: Socket> Socket for Stream<S> {
    fn has_hung_up(&self) -> bool {
        self.socket().has_hung_up()
    }
}

/// Reads once, behind what is in `into`. Cancel safe.
pub(crate) fn read<S: AsyncRead + Unpin>(
    from: &mut S,
    into: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if into.is_empty() {
        return ARRIVALS.with_borrow_mut(|room| {
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(from).poll_read(cx, &mut room))?;
            into.extend_from_slice(room.filled());
            Poll::Ready(Ok(room.filled().len()))
        });
    }
    // A message that is longer than one read: its end needs not be copied.
    into.reserve(READ_BYTES);
    let future = from.read_buf(into);
    tokio::pin!(future);
    future.poll(cx)
}

/// Gives back the room of what is empty, but for a little.
pub(crate) fn release(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > IDLE_BYTES_MAX {
        *buffer = BytesMut::new();
    }
}

/// The end of a connection: this side is shut down, and what still comes is read, though nobody wants it.
/// If it lay there unread at the close, the kernel would reset the connection, and the client might lose
/// the last that it was told.
#[derive(Debug, Default)]
pub(crate) struct Parting {
    told: bool,
}

impl Parting {
    /// Ready when the client has gone, too. Cancel safe.
    pub(crate) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if !self.told {
            let shut = ready!(Pin::new(&mut *client).poll_shutdown(cx));
            if shut.is_err() {
                return Poll::Ready(());
            }
            self.told = true;
        }
        let mut unwanted = BytesMut::new();
        while let Ok(1..) = ready!(read(client, &mut unwanted, cx)) {
            unwanted.clear();
        }
        Poll::Ready(())
    }
}

/// Writes what is taken now, and says whether anything was. Cancel safe: the rest stays in `out`.
pub(crate) fn write<S: AsyncWrite + Unpin>(
    to: &mut S,
    out: &mut BytesMut,
    cx: &mut Context<'_>,
) -> io::Result<bool> {
    let mut wrote = false;
    while !out.is_empty() {
        match Pin::new(&mut *to).poll_write(cx, out)? {
            Poll::Pending => return Ok(wrote),
            Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(count) => out.advance(count),
        }
        wrote = true;
    }
    // Each time, not only behind a write: TLS may still have bytes that a full socket left to it.
    if let Poll::Ready(flushed) = Pin::new(to).poll_flush(cx) {
        flushed?;
    }
    if wrote && out.capacity() > KEPT_BYTES_MAX {
        *out = BytesMut::new();
    }
    Ok(wrote)
}
