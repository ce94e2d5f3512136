//! A scripted session and everything around it: what a test makes happen, and what it sees of it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gate::policy::Ruling;
use gate::ticket::{Say, TimeOuts};
use gate::tickets::Word;
use gate::{
    Clearance, Entry, Event, Group, Need, Policy, Request, Rule, Surface, TicketId, Tickets,
};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use session::{
    ConsoleCommand, Fault, Input, Lane, Limits, News, Peer, PoolMode, Session, Settlement,
};
use wire::startup::Startup;
use wire::{ByteString, CancelKey};

use crate::dialect::password;
use crate::server::Server;
use crate::store::{Store, now};
use crate::words::tags;

/// An effect whose answer has not been given yet.
#[derive(Debug)]
pub enum Due {
    Account,
    Admitted,
    Readings(Vec<ByteString>),
    Verdict(Arc<Request>),
    Signalled,
    Leased,
    Claimed(Clearance),
    Written(Entry),
    Settled(Settlement),
    Console(ConsoleCommand),
    Upstream,
    /// The server's bytes end here.
    UpstreamEnd,
}

impl Due {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Account => "lookup",
            Self::Admitted => "admit",
            Self::Readings(_) => "read",
            Self::Verdict(_) => "ask",
            Self::Signalled => "signal",
            Self::Leased => "checkout",
            Self::Claimed(_) => "claim",
            Self::Written(_) => "write",
            Self::Settled(_) => "settle",
            Self::Console(_) => "console",
            Self::Upstream | Self::UpstreamEnd => "upstream",
        }
    }
}

pub struct World {
    pub session: Session,
    pub now: Instant,
    pub store: Store,
    pub policy: Arc<Policy>,
    pub server: Server,
    /// Answers of this kind are held until [`World::resume`].
    pub paused: HashSet<&'static str>,
    /// Upstream bytes arrive in pieces of this size.
    pub pieces: Option<usize>,
    /// Before each of its answers the server says something that nobody asked for.
    pub chatty: bool,
    /// A cancel reaches the server at once; else it comes too late.
    pub hears_cancels: bool,
    /// The server dies when it has said so many more bytes, with a FATAL or without a word.
    pub dies: Option<(usize, bool)>,
    pub dead: bool,
    /// The server says what it likes, so its own word of itself is no judge.
    pub lies: bool,
    /// Texts of all that was released so far.
    pub released: HashSet<String>,
    pub journal_down: bool,
    /// Anything may pass, so no law says what did.
    pub open_door: bool,
    pub pool_error: Option<Fault>,
    pub mode: PoolMode,
    /// What lies on the connections that are lent next, and the statements that are there.
    pub idle: HashMap<Lane, (Box<Surface>, HashMap<String, String>)>,
    pub lane: Lane,
    pub known_user: bool,
    pub destination: Option<session::Destination>,
    pub log: Vec<String>,
    /// All that the client heard, as words.
    pub heard: Vec<String>,
    /// All that the client heard, as bytes.
    pub bytes: Vec<u8>,
    pub due: VecDeque<Due>,
    pub out: BytesMut,
    pub up: BytesMut,
    pub leased: bool,
    pub waits: BTreeSet<TicketId>,
    /// Numbers of the intents that are on disk, or were noted.
    pub intents: HashSet<u64>,
    pub written: HashSet<u64>,
    pub closed: bool,
}

pub const SECRET: &str = "opensesame";

#[allow(
    clippy::disallowed_methods,
    reason = "any instant will do to start from"
)]
pub fn start_of_time() -> Instant {
    Instant::now()
}

/// Reads pass, `secrets` is denied by class: see each rule.
pub fn policy() -> Arc<Policy> {
    passing(&[sql::Class::Read, sql::Class::CopyOut])
}

/// And so does what only sets something.
pub fn settings_pass() -> Arc<Policy> {
    passing(&[sql::Class::Read, sql::Class::CopyOut, sql::Class::Session])
}

fn passing(classes: &[sql::Class]) -> Arc<Policy> {
    let rule = |name: &str, classes: &[sql::Class], ruling| Rule {
        classes: classes.to_vec(),
        ..Rule::new(name, ruling)
    };
    let rules = vec![
        rule("reads", classes, Ruling::Allow),
        rule(
            "no ddl",
            &[sql::Class::Ddl],
            Ruling::Deny("no DDL here".into()),
        ),
    ];
    Arc::new(Policy::new(rules, need("dba")))
}

pub fn need(group: &str) -> Need {
    Need {
        group: Group::from(group),
        approvals: 1,
    }
}

pub fn startup(parameters: &[(&'static str, &'static str)]) -> Startup {
    let parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    Startup {
        major: 3,
        minor: 0,
        parameters: parameters.collect(),
    }
}

impl World {
    /// A session whose client has logged in; the login is not in the log.
    pub fn new() -> Self {
        Self::with(policy())
    }

    pub fn with(policy: Arc<Policy>) -> Self {
        Self::with_mode(policy, PoolMode::default())
    }

    pub fn with_mode(policy: Arc<Policy>, mode: PoolMode) -> Self {
        let mut world = Self::connect(policy, &startup(&[("user", "alice"), ("database", "acme")]));
        world.mode = mode;
        world.run();
        world.log_in(SECRET);
        assert_eq!(world.session.state(), "idle");
        world.log.clear();
        world.heard.clear();
        world.bytes.clear();
        world
    }

    pub fn connect(policy: Arc<Policy>, startup: &Startup) -> Self {
        let now = start_of_time();
        let peer = Peer {
            session: 7,
            key: CancelKey::new(4_194_305, Bytes::from_static(b"abcd")).unwrap(),
            client: Arc::from("192.0.2.7"),
        };
        let limits = Arc::new(Limits {
            request_bytes_max: 1 << 20,
            pipeline_max: 200,
            ..Limits::default()
        });
        Self {
            session: Session::start(startup, peer, [7; 18], limits, now),
            now,
            store: Store::default(),
            policy,
            server: Server::default(),
            paused: HashSet::new(),
            pieces: None,
            chatty: false,
            hears_cancels: false,
            dies: None,
            dead: false,
            lies: false,
            released: HashSet::new(),
            journal_down: false,
            open_door: false,
            pool_error: None,
            mode: PoolMode::default(),
            idle: HashMap::new(),
            lane: Lane::Write,
            known_user: true,
            destination: Some(session::Destination::Tenant("acme".into())),
            log: Vec::new(),
            heard: Vec::new(),
            bytes: Vec::new(),
            due: VecDeque::new(),
            out: BytesMut::new(),
            up: BytesMut::new(),
            leased: false,
            waits: BTreeSet::new(),
            intents: HashSet::new(),
            written: HashSet::new(),
            closed: false,
        }
    }

    /// SCRAM, as a driver does it.
    pub fn log_in(&mut self, secret: &str) {
        let mut scram = ScramSha256::new(secret.as_bytes(), ChannelBinding::unsupported());
        let mut first = b"SCRAM-SHA-256\0".to_vec();
        let message = scram.message();
        first.extend_from_slice(&i32::try_from(message.len()).unwrap().to_be_bytes());
        first.extend_from_slice(message);
        self.bytes.clear();
        self.client(&password(&first));
        let Some(challenge) = self.bytes.get(9..).map(<[u8]>::to_vec) else {
            return;
        };
        if scram.update(&challenge).is_ok() {
            self.client(&password(scram.message()));
        }
    }

    // --- what happens ---

    /// The next connection comes with this setting of somebody before.
    pub fn leave_setting(&mut self, name: &str, value: &str) {
        for lane in [Lane::Read, Lane::Write] {
            let settings = Arc::new([(name.to_owned(), value.to_owned())].into());
            self.idle.entry(lane).or_default().0.settings = settings;
        }
    }

    pub fn client(&mut self, bytes: &[u8]) {
        self.session.inbox().extend_from_slice(bytes);
        let tags = tags(bytes);
        self.log.push(format!("client  {tags}"));
        self.input(Input::ClientBytes);
    }

    pub fn say(&mut self, what: &str, input: Input<'_>) {
        self.log.push(what.to_owned());
        self.input(input);
    }

    pub fn gone(&mut self) {
        self.say("client is gone", Input::ClientGone);
    }

    pub fn cancel(&mut self) {
        self.say("cancel", Input::Cancel);
    }

    pub fn upstream_gone(&mut self) {
        self.up.clear();
        self.due
            .retain(|it| !matches!(it, Due::Upstream | Due::UpstreamEnd));
        self.say("upstream is gone", Input::UpstreamGone);
    }

    /// What the server said so far never arrives.
    pub fn lose_upstream_bytes(&mut self) {
        self.up.clear();
        self.due.clear();
    }

    /// Bytes of the server that nobody asked for, or that are wrong.
    pub fn upstream_says(&mut self, bytes: &[u8]) {
        self.up.extend_from_slice(bytes);
        self.log.push("upstream speaks".into());
        self.give(Due::Upstream);
        self.run();
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.say(&format!("{seconds} s pass"), Input::Tick);
    }

    pub fn approve(&mut self, id: i64) {
        let word = Word {
            by: "bob".into(),
            groups: vec![Group::from("dba")],
            say: Say::Approve,
            comment: None,
            narrows: TimeOuts::default(),
        };
        let tickets = now(self.store.decide(vec![TicketId(id)], word)).unwrap();
        self.log
            .push(format!("bob approves T-{id}: {}", tickets[0].state));
        self.news(id, News::Approved(TimeOuts::default()));
    }

    pub fn reject(&mut self, id: i64) {
        self.store.set(id, Event::Reject);
        let reason = Some("use the script".to_owned());
        self.log.push(format!("bob rejects T-{id}"));
        self.news(
            id,
            News::Rejected {
                by: "bob".into(),
                reason,
            },
        );
    }

    pub fn news(&mut self, id: i64, news: News) {
        if self.waits.contains(&TicketId(id)) {
            self.input(Input::News(TicketId(id), news));
        }
    }

    /// The same for a session that may not wait for it.
    pub fn tell(&mut self, id: i64, news: News) {
        self.say("news", Input::News(TicketId(id), news));
    }

    pub fn pause(&mut self, what: &'static str) {
        self.paused.insert(what);
    }

    pub fn resume(&mut self) {
        self.paused.clear();
        self.run();
    }

    pub fn is_waiting(&self) -> bool {
        !self.waits.is_empty()
    }

    pub fn transcript(&self) -> String {
        self.log.join("\n")
    }
}
