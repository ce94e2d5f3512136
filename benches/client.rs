//! A blocking client of the wire protocol, for what pgbench cannot do: thousands of sessions that
//! lie idle or wait, large results, COPY. It reads no more of a message than it needs, and never
//! waits longer than a minute.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::Trouble;
use crate::scram::{Proving, Secret};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// What one read may bring.
const CHUNK: usize = 16 * 1024;

/// Where somebody logs in, and as whom.
pub(crate) struct Door<'a> {
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) secret: &'a Secret,
    pub(crate) database: &'a str,
    /// With TLS if there is one.
    pub(crate) tls: Option<&'a Arc<ClientConfig>>,
}

/// One session.
pub(crate) struct Client {
    socket: Socket,
    unread: Vec<u8>,
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A message from the other side.
pub(crate) struct Message {
    pub(crate) tag: u8,
    body: Vec<u8>,
}

impl Client {
    /// Connects and logs in, up to ReadyForQuery.
    pub(crate) fn login(door: &Door<'_>) -> Result<Self, Trouble> {
        let mut socket = TcpStream::connect(("127.0.0.1", door.port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        let socket = match door.tls {
            None => Socket::Plain(socket),
            Some(config) => {
                socket.write_all(&untagged(&80_877_103_i32.to_be_bytes())?)?;
                let mut answer = [0];
                socket.read_exact(&mut answer)?;
                if answer != *b"S" {
                    return Err("the other side has no TLS".into());
                }
                let name = ServerName::try_from("localhost")?;
                let connection = ClientConnection::new(Arc::clone(config), name)?;
                Socket::Tls(Box::new(StreamOwned::new(connection, socket)))
            }
        };
        let mut client = Self {
            socket,
            unread: Vec::new(),
        };
        let mut startup = 196_608_i32.to_be_bytes().to_vec();
        for word in ["user", door.user, "database", door.database, ""] {
            startup.extend(text(word));
        }
        client.send(&untagged(&startup)?)?;
        client.authenticate(door.secret)?;
        Ok(client)
    }

    fn authenticate(&mut self, secret: &Secret) -> Result<(), Trouble> {
        let proving = Proving::start()?;
        loop {
            let message = self.message()?;
            if message.tag == b'Z' {
                return Ok(());
            }
            let Some((kind, rest)) = message.body.split_first_chunk() else {
                continue;
            };
            match (message.tag, i32::from_be_bytes(*kind)) {
                (b'R', 10) => {
                    let first = proving.first();
                    let length = i32::try_from(first.len())?.to_be_bytes();
                    let body = [&text("SCRAM-SHA-256"), &length[..], first.as_bytes()].concat();
                    self.send(&frame(b'p', &body)?)?;
                }
                (b'R', 11) => {
                    let last = proving.last(&String::from_utf8_lossy(rest), secret)?;
                    self.send(&frame(b'p', last.as_bytes())?)?;
                }
                (b'R', 0 | 12) | (b'S' | b'K' | b'N', _) => {}
                (tag, _) => return Err(format!("a log-in met {:?}", char::from(tag)).into()),
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        match &mut self.socket {
            Socket::Plain(socket) => socket.write_all(bytes)?,
            Socket::Tls(tls) => {
                tls.write_all(bytes)?;
                tls.flush()?;
            }
        }
        Ok(())
    }

    /// Sends a Query and does not wait for anything.
    pub(crate) fn ask(&mut self, sql: &str) -> Result<(), Trouble> {
        self.send(&frame(b'Q', &text(sql))?)
    }

    /// A Query and its whole answer.
    pub(crate) fn query(&mut self, sql: &str) -> Result<(), Trouble> {
        self.ask(sql)?;
        self.until(b'Z')
    }

    /// Reads up to a message of this kind. An ErrorResponse is an error.
    pub(crate) fn until(&mut self, tag: u8) -> Result<(), Trouble> {
        while self.message()?.tag != tag {}
        Ok(())
    }

    /// The next message; an ErrorResponse is an error.
    pub(crate) fn message(&mut self) -> Result<Message, Trouble> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some((tag, length)) = header(&self.unread)?
                && self.unread.len() > length
            {
                let rest = self.unread.split_off(length + 1);
                let mut body = std::mem::replace(&mut self.unread, rest);
                let message = Message {
                    tag,
                    body: body.split_off(5),
                };
                // Thousands of these lie idle here, too.
                if self.unread.is_empty() {
                    self.unread = Vec::new();
                }
                return message.unless_error();
            }
            let count = self.read(&mut chunk)?;
            self.unread.extend(chunk.iter().take(count));
        }
    }

    /// Reads a whole answer without looking into it, and says how many bytes it had.
    pub(crate) fn pour_out(&mut self) -> Result<usize, Trouble> {
        let mut chunk = vec![0; 16 * CHUNK];
        let mut total = 0;
        // What is left of a message that began in an earlier chunk.
        let mut owed = 0;
        let mut rest = std::mem::take(&mut self.unread);
        loop {
            let mut at = 0;
            while let Some((tag, length)) = header(rest.get(at + owed..).unwrap_or_default())? {
                at += owed;
                if matches!(tag, b'E' | b'Z') {
                    self.unread = rest.split_off(at);
                    return self.until(b'Z').map(|()| total + at);
                }
                owed = length + 1;
            }
            let skipped = (at + owed).min(rest.len());
            owed -= skipped - at;
            total += skipped;
            rest.drain(..skipped);
            let count = self.read(&mut chunk)?;
            rest.extend(chunk.iter().take(count));
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        let count = match &mut self.socket {
            Socket::Plain(socket) => socket.read(into)?,
            Socket::Tls(tls) => tls.read(into)?,
        };
        if count == 0 {
            return Err("the other side hung up".into());
        }
        Ok(count)
    }
}

impl Message {
    /// The human part of an ErrorResponse or NoticeResponse.
    pub(crate) fn said(&self) -> String {
        let mut fields = self.body.split(|&byte| byte == 0);
        let said = fields.find_map(|field| field.strip_prefix(b"M"));
        String::from_utf8_lossy(said.unwrap_or_default()).into_owned()
    }

    fn unless_error(self) -> Result<Self, Trouble> {
        match self.tag {
            b'E' => Err(self.said().into()),
            _ => Ok(self),
        }
    }
}

/// A message with its tag and length.
pub(crate) fn frame(tag: u8, body: &[u8]) -> Result<Vec<u8>, Trouble> {
    Ok([&[tag], &untagged(body)?[..]].concat())
}

fn untagged(body: &[u8]) -> Result<Vec<u8>, Trouble> {
    let length = u32::try_from(body.len() + 4)?.to_be_bytes();
    Ok([&length, body].concat())
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// The tag of the first message and its length without the tag, once they are there.
fn header(bytes: &[u8]) -> Result<Option<(u8, usize)>, Trouble> {
    let Some(([tag, length @ ..], _)) = bytes.split_first_chunk::<5>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length))?;
    if length < 4 {
        return Err("a message shorter than its header".into());
    }
    Ok(Some((*tag, length)))
}
