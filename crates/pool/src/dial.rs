//! How a socket to an upstream comes about. A trait, so that a simulation can hand in its own.

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Opens sockets.
pub trait Dial: 'static {
    /// What it opens.
    type Socket: AsyncRead + AsyncWrite + Unpin + 'static;

    /// Opens one; dropping the future gives up.
    fn dial(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Self::Socket>>;
}

/// TCP, resolved anew at each connect (hazards R64).
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

impl Dial for TcpDial {
    type Socket = TcpStream;

    async fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        Ok(socket)
    }
}
