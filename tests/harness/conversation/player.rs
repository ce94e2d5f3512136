//! Plays a script at one door and writes down what was heard. It never judges it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::script::{Act, Awaited, Line, Script};
use super::transcript::{Transcript, What};
use crate::login::Login;
use crate::raw::{self, End, Frame, Raw};

/// How long an answer may take. Short, since a whole answer that does not come is a result too.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often to ask the server again.
const LOOK: Duration = Duration::from_millis(3);

/// Where a script is played.
#[derive(Debug, Clone)]
pub struct Door {
    /// The way in.
    pub login: Login,
    /// The superuser's way to the database behind it, past any gate, for `when`.
    pub server: Login,
}

/// A play under way.
struct Play<'a> {
    script: &'a Script,
    door: &'a Door,
    /// `None` once it is over.
    open: BTreeMap<String, Option<Raw>>,
    keys: BTreeMap<String, (i32, Vec<u8>)>,
    server: Option<Raw>,
    transcript: Transcript,
}

/// Plays it to the end, or to a silence; what is still open then says Terminate.
#[track_caller]
pub fn play(script: &Script, door: &Door) -> Transcript {
    let mut play = Play {
        script,
        door,
        open: BTreeMap::new(),
        keys: BTreeMap::new(),
        server: None,
        transcript: Transcript::default(),
    };
    let mut last = 0;
    for line in &script.lines {
        last = line.number;
        if !play.line(line) {
            return play.transcript;
        }
    }
    let still_open: Vec<String> = play.open.keys().cloned().collect();
    for who in still_open {
        if let Some(client) = play.open.get_mut(&who).and_then(Option::as_mut) {
            client.send(&raw::terminate());
            play.hear(&who, last, &[Awaited::End]);
        }
    }
    play.transcript
}

impl Play<'_> {
    /// `false` when nothing more came: there is no going on behind that.
    #[track_caller]
    fn line(&mut self, line: &Line) -> bool {
        match &line.act {
            Act::When(sql) => {
                self.when(sql);
                return true;
            }
            Act::Cancel { whom, wrongly } => {
                self.cancel(whom, *wrongly, line.number);
                return true;
            }
            Act::GateAnswers(_) => return true,
            Act::Send(_) | Act::Connect | Act::Disconnect | Act::HalfClose | Act::Nothing => {}
        }
        let who = &line.who;
        if !self.open.contains_key(who) {
            self.connect(who, line.number, line.act == Act::Connect);
        }
        let Some(client) = self.open.get_mut(who).and_then(Option::as_mut) else {
            return true;
        };
        match &line.act {
            Act::Send(bytes) => client.send(bytes),
            Act::HalfClose => client.half_close(),
            Act::Disconnect => {
                self.open.insert(who.clone(), None);
            }
            _ => {}
        }
        line.wait.is_empty() || self.hear(who, line.number, &line.wait)
    }

    /// What a connection is greeted with counts where a script says `connect`, or if it ends it.
    #[track_caller]
    fn connect(&mut self, who: &str, line: usize, greeting_counts: bool) {
        let login = &self.door.login;
        let mut client = Raw::connect(SocketAddr::from(([127, 0, 0, 1], login.port)));
        if let Some(root) = &login.root_cert {
            client.start_tls(root, &login.host);
        }
        let named = [
            ("user", login.user.as_str()),
            ("database", login.database.as_str()),
        ];
        let more = self.script.startup.get(who).map_or(&[][..], Vec::as_slice);
        let more = more.iter().map(|(name, value)| (&**name, &**value));
        let parameters: Vec<_> = named.into_iter().chain(more).collect();
        client.send(&raw::startup_of(self.script.minor, &parameters));
        let entered = client.authenticate(&login.password).is_ok();
        if greeting_counts || !entered {
            for frame in in_order(client.greeting()) {
                self.transcript.hear(who, line, What::Frame(frame));
            }
        }
        if client.has_key() {
            let (id, secret) = client.key();
            self.keys.insert(who.to_owned(), (id, secret.to_vec()));
            self.transcript.ids.insert(who.to_owned(), id);
        }
        self.open.insert(who.to_owned(), Some(client));
        if !entered {
            self.hear(who, line, &[Awaited::End]);
        }
    }

    /// Listens until all that is awaited has come; `false` when it does not come.
    fn hear(&mut self, who: &str, line: usize, awaited: &[Awaited]) -> bool {
        let Some(client) = self.open.get_mut(who).and_then(Option::as_mut) else {
            return true;
        };
        let deadline = Instant::now() + SILENCE_MAX;
        let mut left = awaited;
        while let Some((next, rest)) = left.split_first() {
            let limit = deadline.saturating_duration_since(Instant::now());
            match client.frame_within(limit) {
                Ok(frame) => {
                    let tag = frame.tag;
                    self.transcript.hear(who, line, What::Frame(frame));
                    if *next == Awaited::Tag(tag) {
                        left = rest;
                    } else if tag == b'E' && !outlives_an_error(left) {
                        return true;
                    }
                }
                Err(End::Closed | End::Reset) => {
                    self.transcript.hear(who, line, What::End);
                    self.open.insert(who.to_owned(), None);
                    return true;
                }
                Err(end) => {
                    let what = What::Nothing(format!("{end:?}"));
                    self.transcript.hear(who, line, what);
                    return false;
                }
            }
        }
        true
    }

    /// Sends a CancelRequest and waits until the other side closes. Any byte back is written down.
    #[track_caller]
    fn cancel(&mut self, whom: &str, wrongly: bool, line: usize) {
        let (id, mut secret) = self.keys[whom].clone();
        if wrongly {
            secret[0] ^= 1;
        }
        let login = &self.door.login;
        let mut client = Raw::connect(SocketAddr::from(([127, 0, 0, 1], login.port)));
        if let Some(root) = &login.root_cert {
            client.start_tls(root, &login.host);
        }
        client.send(&raw::cancel_request(id, &secret));
        for frame in client.frames_until_closed() {
            self.transcript.hear("cancel", line, What::Frame(frame));
        }
    }

    /// Asks the server itself until it answers `t`.
    #[track_caller]
    fn when(&mut self, sql: &str) {
        let login = &self.door.server;
        let server = self.server.get_or_insert_with(|| Raw::login(login));
        let deadline = Instant::now() + SILENCE_MAX;
        loop {
            let answer = server.query(sql);
            let row = answer.iter().find(|frame| frame.tag == b'D');
            let Some(row) = row else {
                panic!("{}: no row answers {sql}", self.script.name)
            };
            if row.columns()[0].as_deref() == Some("t") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{}: it never came that {sql}",
                self.script.name
            );
            thread::sleep(LOOK);
        }
    }
}

/// A greeting with its parameters by name: their order says nothing, and differs from one version of
/// PostgreSQL to the next.
fn in_order(greeting: &[Frame]) -> Vec<Frame> {
    let mut greeting = greeting.to_vec();
    greeting.sort_by_key(|frame| match frame.tag {
        b'v' => (0, String::new()),
        b'R' => (1, String::new()),
        b'S' => (2, frame.text().to_lowercase()),
        _ => (3, String::new()),
    });
    greeting
}

/// Whether what is awaited comes even behind an error.
fn outlives_an_error(awaited: &[Awaited]) -> bool {
    awaited
        .iter()
        .any(|it| matches!(it, Awaited::End | Awaited::Tag(b'Z' | b'E')))
}
