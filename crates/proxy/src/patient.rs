//! A client's socket whose patience ends: what waits for a client that takes none of it fails in time,
//! so that both sides are free (hazards R56). It never looks at the bytes.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::socket::{Peek, Socket};

/// A socket that gives a client `limit` to take something of what waits for it.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    socket: S,
    client: SocketAddr,
    limit: Duration,
    waits: Waits,
}

#[derive(Debug)]
enum Waits {
    /// What was there was taken.
    Nothing,
    /// Something is there and nothing of it was taken since this was set.
    Until(Pin<Box<Sleep>>),
    /// It was not taken in time.
    NoMore,
}

impl<S> Patient<S> {
    pub(crate) fn new(socket: S, client: SocketAddr, limit: Duration) -> Self {
        Self {
            socket,
            client,
            limit,
            waits: Waits::Nothing,
        }
    }

    /// Looks at what came of a write.
    fn watch<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = Waits::Nothing;
            return written;
        }
        if matches!(self.waits, Waits::Nothing) {
            self.waits = Waits::Until(Box::pin(tokio::time::sleep(self.limit)));
        }
        if let Waits::Until(end) = &mut self.waits {
            ready!(end.as_mut().poll(cx));
            let (client, limit) = (self.client, self.limit);
            tracing::warn!(%client, "took nothing for {limit:?} (slow_reader): its session ends");
            self.waits = Waits::NoMore;
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Socket> Socket for Patient<S> {
    fn has_hung_up(&self) -> bool {
        self.socket.has_hung_up()
    }
}

impl<S: Peek> Peek for Patient<S> {
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>> {
        self.socket.poll_first(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
