//! A client's socket: what a driver asks of it, and how much may wait for it. It never looks at the
//! bytes.

use std::future::Future;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use pool::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, Ready};
use tokio::net::TcpStream;

/// Bytes for a client that may wait in memory; above it the upstream is not read (hazards R55).
pub(crate) const OUT_BYTES_MAX: usize = 256 * 1024;

/// Bytes for an upstream that may wait; above it the client is not read.
pub(crate) const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// How long a client may take to read the last it is told.
pub(crate) const GOODBYE: Duration = Duration::from_secs(5);

/// How much is read from a client at once.
const READ_BYTES: usize = 8 * 1024;

/// What a client comes by.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Whether the other side has closed, even while there is more of it to be read.
    fn has_hung_up(&self) -> bool;
}

impl Socket for TcpStream {
    fn has_hung_up(&self) -> bool {
        let ready = self.ready(Interest::READABLE).now_or_never();
        ready
            .and_then(Result::ok)
            .is_some_and(Ready::is_read_closed)
    }
}

impl<S: Socket> Socket for Stream<S> {
    fn has_hung_up(&self) -> bool {
        self.socket().has_hung_up()
    }
}

/// Reads once into the spare room of `into`. Cancel safe.
pub(crate) fn read<S: AsyncRead + Unpin>(
    from: &mut S,
    into: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    into.reserve(READ_BYTES);
    let future = from.read_buf(into);
    tokio::pin!(future);
    future.poll(cx)
}
