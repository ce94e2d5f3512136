//! A client that sends any bytes it is told to and reads frames, over clear text or TLS.
//!
//! ```no_run
//! # let login: harness::Login = unimplemented!();
//! use harness::raw::{self, Raw};
//! let mut client = Raw::login(&login);
//! client.send(&[raw::parse("", "select 1"), raw::bind("", ""), raw::execute(""), raw::sync()].concat());
//! let frames = client.frames_until(b'Z');
//! assert_eq!(raw::tags(&frames), "12DCZ");
//! ```

mod frame;
mod messages;
mod transport;

pub use frame::{Frame, error, tags};
pub use messages::{
    bind, bind_values, cancel_request, close, describe, execute, execute_rows, flush, frame, parse,
    query, ssl_request, startup, startup_of, sync, terminate,
};
pub use transport::{End, trusting};

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use crate::DEADLINE;
use crate::login::Login;
use transport::Transport;

/// One connection.
#[derive(Debug)]
pub struct Raw {
    transport: Transport,
    /// Process id and secret, once the other side has told them.
    key: Option<(i32, Vec<u8>)>,
    /// What came from the startup packet to the first ReadyForQuery.
    greeting: Vec<Frame>,
}

impl Raw {
    /// Connects, and says nothing yet.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self {
            transport: Transport::connect(address),
            key: None,
            greeting: Vec::new(),
        }
    }

    /// Connects and logs in, over TLS if the login has a certificate to trust.
    #[track_caller]
    pub fn login(login: &Login) -> Self {
        Self::login_with(login, &[])
    }

    /// As `login`, with more parameters in the startup packet.
    #[track_caller]
    pub fn login_with(login: &Login, parameters: &[(&str, &str)]) -> Self {
        match Self::try_login(login, parameters) {
            Ok(client) => client,
            Err(frame) => panic!("{} was not let in: {}", login.user, frame.describe()),
        }
    }

    /// As `login_with`; `Err` is the ErrorResponse that ended it.
    #[track_caller]
    pub fn try_login(login: &Login, parameters: &[(&str, &str)]) -> Result<Self, Frame> {
        let address = SocketAddr::from(([127, 0, 0, 1], login.port));
        let mut client = Self::connect(address);
        if let Some(root) = &login.root_cert {
            client.start_tls(root, &login.host);
        }
        let named = [
            ("user", login.user.as_str()),
            ("database", login.database.as_str()),
        ];
        client.send(&startup(&[&named, parameters].concat()));
        client.authenticate(&login.password)?;
        Ok(client)
    }

    /// Asks for TLS and does the handshake, checking the name against `root_cert`.
    #[track_caller]
    pub fn start_tls(&mut self, root_cert: &Path, name: &str) {
        self.send(&ssl_request());
        let answer = self.byte();
        assert_eq!(char::from(answer), 'S', "the answer to SSLRequest");
        self.handshake(root_cert, name);
    }

    /// The handshake alone, as for direct TLS or after an SSLRequest sent by hand.
    #[track_caller]
    pub fn handshake(&mut self, root_cert: &Path, name: &str) {
        self.transport.handshake(root_cert, name);
    }

    /// Sends these bytes, whatever they are. That the other side has hung up is not told here.
    pub fn send(&mut self, bytes: &[u8]) {
        self.transport.send(bytes);
    }

    /// One byte, as SSLRequest is answered.
    #[track_caller]
    pub fn byte(&mut self) -> u8 {
        match self.transport.take(1, DEADLINE) {
            Ok(bytes) => bytes[0],
            Err(end) => panic!("no byte came: {end:?}"),
        }
    }

    /// The next frame.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        match self.frame_within(DEADLINE) {
            Ok(frame) => frame,
            Err(end) => panic!("no frame came: {end:?}"),
        }
    }

    /// The next frame, if it comes in time.
    pub fn frame_within(&mut self, limit: Duration) -> Result<Frame, End> {
        self.transport.frame(limit)
    }

    /// Frames up to and with the first that has this tag.
    #[track_caller]
    pub fn frames_until(&mut self, tag: u8) -> Vec<Frame> {
        // One deadline for all: a hold's heartbeats would put off one for each.
        let deadline = Instant::now() + DEADLINE;
        let mut frames = Vec::new();
        loop {
            match self.frame_within(deadline.saturating_duration_since(Instant::now())) {
                Ok(frame) => frames.push(frame),
                Err(end) => panic!(
                    "{end:?} before a {:?}; until then {:?}",
                    char::from(tag),
                    frames.iter().map(Frame::describe).collect::<Vec<_>>()
                ),
            }
            if frames.last().is_some_and(|frame| frame.tag == tag) {
                return frames;
            }
        }
    }

    /// A Query, and its answer up to ReadyForQuery.
    #[track_caller]
    pub fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.send(&query(sql));
        self.frames_until(b'Z')
    }

    /// Expects that nothing comes for so long: what was sent is being held.
    #[track_caller]
    pub fn is_silent_for(&mut self, limit: Duration) {
        match self.frame_within(limit) {
            Err(End::Silent) => {}
            Err(end) => panic!("expected silence, not an end: {end:?}"),
            Ok(frame) => panic!("expected silence, not {}", frame.describe()),
        }
    }

    /// Reads whatever still comes until the other side closes.
    #[track_caller]
    pub fn frames_until_closed(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            match self.frame_within(DEADLINE) {
                Ok(frame) => frames.push(frame),
                Err(End::Closed | End::Reset) => return frames,
                Err(end) => panic!("expected a close: {end:?} after {frames:?}"),
            }
        }
    }

    /// Closes our writing side and leaves the reading side open.
    pub fn half_close(&mut self) {
        self.transport.half_close();
    }

    /// The process id and secret of BackendKeyData.
    #[track_caller]
    pub fn key(&self) -> (i32, &[u8]) {
        let (id, secret) = self.key.as_ref().expect("no BackendKeyData came");
        (*id, secret)
    }

    /// Whether BackendKeyData has come.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// What came from the startup packet to the first ReadyForQuery, or to the error in its place.
    pub fn greeting(&self) -> &[Frame] {
        &self.greeting
    }

    /// SCRAM-SHA-256, or trust, up to the first ReadyForQuery.
    #[track_caller]
    pub fn authenticate(&mut self, password: &str) -> Result<(), Frame> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let frame = self.frame();
            self.greeting.push(frame.clone());
            match frame.tag {
                b'R' => self.answer(&frame, &mut scram),
                b'E' => return Err(frame),
                b'K' => {
                    let id = i32::from_be_bytes(frame.body[..4].try_into().unwrap());
                    self.key = Some((id, frame.body[4..].to_vec()));
                }
                b'Z' => return Ok(()),
                b'S' | b'N' | b'v' => {}
                _ => panic!("unexpected before ReadyForQuery: {}", frame.describe()),
            }
        }
    }

    #[track_caller]
    fn answer(&mut self, request: &Frame, scram: &mut ScramSha256) {
        let (kind, body) = request.body.split_at(4);
        match i32::from_be_bytes(kind.try_into().unwrap()) {
            0 => {}
            10 => {
                let offered = String::from_utf8_lossy(body);
                assert!(
                    offered.split('\0').any(|name| name == "SCRAM-SHA-256"),
                    "offered: {offered:?}"
                );
                self.send(&messages::sasl_initial(scram.message()));
            }
            11 => {
                scram.update(body).unwrap();
                self.send(&frame(b'p', scram.message()));
            }
            12 => scram.finish(body).unwrap(),
            other => panic!("an authentication this client does not know: {other}"),
        }
    }
}
