//! A server of the test's own, which speaks as PostgreSQL does until the test has it say something else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::raw;
use harness::stage::Stage;

use super::open_with;

/// A listener; each connection is played by the same script. It ends when dropped.
pub(super) struct Fake {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

/// One connection of the gate to it.
pub(super) struct Peer {
    socket: TcpStream,
}

impl Fake {
    pub(super) fn start(script: impl Fn(&mut Peer) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (script, ended) = (Arc::new(script), Arc::clone(&over));
        thread::spawn(move || {
            for socket in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let script = Arc::clone(&script);
                let mut peer = Peer {
                    socket: socket.unwrap(),
                };
                thread::spawn(move || script(&mut peer));
            }
        });
        Self { address, over }
    }

    /// A gate before it, in clear text.
    #[track_caller]
    pub(super) fn stage(&self) -> Stage {
        self.stage_by("sslmode = 'disable'")
    }

    #[track_caller]
    pub(super) fn stage_by(&self, tls: &str) -> Stage {
        let port = self.address.port();
        open_with(|setup| {
            setup.tenant.push_str("pool_size = 1\nwait = '3 s'\n");
            setup.upstream = Some(format!(
                "host = 'localhost'\nport = {port}\nuser = 'u'\npassword = 'pencil'\n{tls}"
            ));
        })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _wakes_it = TcpStream::connect(self.address);
    }
}

/// `None` anywhere: the gate has hung up.
impl Peer {
    pub(super) fn say(&mut self, bytes: &[u8]) -> Option<()> {
        self.socket.write_all(bytes).ok()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.socket.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// A packet without a tag: SSLRequest, startup.
    pub(super) fn packet(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(self.bytes(4)?.try_into().ok()?);
        self.bytes(usize::try_from(length).ok()?.checked_sub(4)?)
    }

    pub(super) fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let tag = self.bytes(1)?[0];
        Some((tag, self.packet()?))
    }

    /// A login that asks for nothing, with a cancel key or without.
    pub(super) fn let_in(&mut self, key: bool) -> Option<()> {
        let startup = self.packet()?;
        // A CancelRequest is no login.
        if startup.starts_with(&[4, 210, 22, 46]) {
            return None;
        }
        self.greet(key)
    }

    pub(super) fn greet(&mut self, key: bool) -> Option<()> {
        self.say(&raw::frame(b'R', &[0; 4]))?;
        self.say(&raw::frame(b'S', b"server_version\x0018.0\0"))?;
        self.say(&raw::frame(b'S', b"client_encoding\0UTF8\0"))?;
        if key {
            self.say(&raw::frame(b'K', b"\0\0\0\x07abcd"))?;
        }
        self.say(&raw::frame(b'Z', b"I"))
    }

    /// Answers as PostgreSQL would, every statement with one row; but this text with these bytes, in
    /// the place of row and tag. What follows an error up to the Sync is skipped.
    pub(super) fn serve(&mut self, special: &str, answer: &[u8]) -> Option<()> {
        let mut status = b'I';
        let mut text = String::new();
        let mut failed = false;
        loop {
            let (tag, body) = self.frame()?;
            if failed && tag != b'S' && tag != b'Q' {
                continue;
            }
            match tag {
                b'Q' => {
                    text = strings(&body).remove(0);
                    self.run(&text, &mut status, special, answer, true)?;
                    self.say(&raw::frame(b'Z', &[status]))?;
                }
                b'P' => {
                    text = strings(&body).remove(1);
                    self.say(&raw::frame(b'1', b""))?;
                }
                b'B' => self.say(&raw::frame(b'2', b""))?,
                b'C' => self.say(&raw::frame(b'3', b""))?,
                b'D' if body[0] == b'S' => {
                    self.say(&[raw::frame(b't', &[0, 0]), row_description()].concat())?;
                }
                b'D' => self.say(&row_description())?,
                b'E' => failed = self.run(&text, &mut status, special, answer, false)?,
                b'S' => {
                    failed = false;
                    self.say(&raw::frame(b'Z', &[status]))?;
                }
                b'X' => return None,
                _ => {}
            }
        }
    }

    /// Whether it failed.
    fn run(
        &mut self,
        text: &str,
        status: &mut u8,
        special: &str,
        answer: &[u8],
        describe: bool,
    ) -> Option<bool> {
        if text == special {
            self.say(answer)?;
            return Some(answer.first() == Some(&b'E'));
        }
        let word = text
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_uppercase();
        match &*word {
            "BEGIN" => *status = b'T',
            "ROLLBACK" | "COMMIT" => *status = b'I',
            "SELECT" if describe => self.say(&row_description())?,
            _ => {}
        }
        if word == "SELECT" {
            self.say(&raw::frame(b'D', b"\0\x01\0\0\0\x017"))?;
        }
        self.say(&raw::frame(b'C', format!("{word}\0").as_bytes()))?;
        Some(false)
    }
}

/// One column of text.
pub(super) fn row_description() -> Vec<u8> {
    let rest = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0,
    ];
    raw::frame(b'T', &[&b"\0\x01n\0"[..], &rest].concat())
}

fn strings(body: &[u8]) -> Vec<String> {
    let parts = body.split(|byte| *byte == 0);
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}
