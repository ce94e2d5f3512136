//! Sockets that systemd opened for the gate and hands over at the start: socket activation. Ports below 1024 need no right of the
//! gate's own then, and who comes while it is started again waits in the kernel's queue. It never opens one itself.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;

/// `FileDescriptorName=` of the socket for metrics and health; any other is for clients.
const ADMIN: &str = "admin";

/// What was handed over, if anything was.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// For clients.
    pub(crate) clients: Vec<TcpListener>,
    /// For machines that ask how the gate is.
    pub(crate) admin: Option<TcpListener>,
}

impl Inherited {
    /// Takes what was handed over to this process. Each can be taken once.
    pub(crate) fn take() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let (mut handed, mut inherited) = (ListenFd::from_env(), Self::default());
        for number in 0..handed.len() {
            let is_admin = names.next() == Some(ADMIN);
            let Some(listener) = handed.take_tcp_listener(number)? else {
                continue;
            };
            listener.set_nonblocking(true)?;
            if is_admin {
                inherited.admin = Some(listener);
            } else {
                inherited.clients.push(listener);
            }
        }
        Ok(inherited)
    }
}
