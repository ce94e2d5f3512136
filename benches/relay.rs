//! A wire between a peer and PostgreSQL that knows when marked bytes passed it on their way up. It
//! changes, delays and drops nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Trouble;
use crate::measure::now;

/// How long marked bytes may take.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Relay {
    port: u16,
    passed: Mutex<Receiver<(Instant, Vec<u8>)>>,
}

impl Relay {
    /// Starts one that leads to a port of this machine.
    pub(crate) fn start(upstream: u16) -> Result<Self, Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (tell, passed) = channel();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A pair that cannot be made is a connection that is refused.
                let _refused = pair(client, upstream, &tell);
            }
        });
        Ok(Self {
            port,
            passed: Mutex::new(passed),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Forgets what has passed until now.
    pub(crate) fn forget(&self) -> Result<(), Trouble> {
        let passed = self.passed.lock().map_err(|_| "the relay is gone")?;
        while passed.try_recv().is_ok() {}
        Ok(())
    }

    /// When the first bytes with this mark went up that had not been seen before.
    pub(crate) fn sighting(&self, mark: &[u8]) -> Result<Instant, Trouble> {
        let passed = self.passed.lock().map_err(|_| "the relay is gone")?;
        loop {
            let (at, bytes) = passed.recv_timeout(DEADLINE)?;
            if bytes.windows(mark.len()).any(|part| part == mark) {
                return Ok(at);
            }
        }
    }
}

type Tell = Sender<(Instant, Vec<u8>)>;

fn pair(client: TcpStream, upstream: u16, tell: &Tell) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", upstream))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let tell = tell.clone();
    thread::spawn(move || pump(from_client, to_server, Some(&tell)));
    thread::spawn(move || pump(server, client, None));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, tell: Option<&Tell>) {
    let mut chunk = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut chunk)
        && count > 0
    {
        let at = now();
        let bytes = chunk.get(..count).unwrap_or_default();
        if to.write_all(bytes).is_err() {
            break;
        }
        if let Some(tell) = tell {
            // Nobody listens any more at the end of the bench.
            let _unheard = tell.send((at, bytes.to_vec()));
        }
    }
    let _already_closed = to.shutdown(Shutdown::Write);
}
