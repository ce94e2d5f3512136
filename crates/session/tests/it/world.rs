//! The driver of a scripted session: it carries effects out, one answer at a time, and writes down
//! what happened. What the design promises of any order of events is asserted here, always.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gate::policy::Ruling;
use gate::tickets::{NewTicket, Opened, StoreError, Word};
use gate::{
    Authority, Cargo, Clearance, Entry, Event, Form, Group, JournalDown, Judgement, Need,
    NotClaimed, Policy, Principal, Request, Rule, Settings, TicketId, Tickets,
};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use session::{
    Account, Admission, ConsoleCommand, Disposition, Effect, Fault, Input, Leased, Limits, News,
    Peer, Session, Settlement, TableReply, Verdict,
};
use wire::scram::Verifier;
use wire::startup::Startup;
use wire::{ByteString, CancelKey};

use crate::dialect::{hear, password};
use crate::server::{Server, messages};
use crate::store::{Store, now};

/// An effect whose answer has not been given yet.
#[derive(Debug)]
pub enum Due {
    Account,
    Admitted,
    Readings(Vec<ByteString>),
    Verdict(Arc<Request>),
    Leased(Arc<Settings>),
    Claimed(Clearance),
    Written(Entry),
    Settled(Settlement),
    Console(ConsoleCommand),
    Upstream,
}

impl Due {
    fn name(&self) -> &'static str {
        match self {
            Self::Account => "lookup",
            Self::Admitted => "admit",
            Self::Readings(_) => "read",
            Self::Verdict(_) => "ask",
            Self::Leased(_) => "checkout",
            Self::Claimed(_) => "claim",
            Self::Written(_) => "write",
            Self::Settled(_) => "settle",
            Self::Console(_) => "console",
            Self::Upstream => "upstream",
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
    pub journal_down: bool,
    pub pool_error: Option<Fault>,
    /// What a fresh connection has for settings.
    pub leased_settings: Settings,
    pub known_user: bool,
    pub destination: Option<session::Destination>,
    pub log: Vec<String>,
    /// All that the client heard, as words.
    pub heard: Vec<String>,
    /// All that the client heard, as bytes.
    pub bytes: Vec<u8>,
    due: VecDeque<Due>,
    out: BytesMut,
    up: BytesMut,
    leased: bool,
    waits: BTreeSet<TicketId>,
    /// Numbers of the intents that are on disk, or were noted.
    intents: HashSet<u64>,
    written: HashSet<u64>,
    closed: bool,
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
    let rule = |name: &str, classes: &[sql::Class], ruling| Rule {
        name: Arc::from(name),
        tenants: Vec::new(),
        users: Vec::new(),
        groups: Vec::new(),
        classes: classes.to_vec(),
        ruling,
    };
    let rules = vec![
        rule(
            "reads",
            &[sql::Class::Read, sql::Class::CopyOut],
            Ruling::Allow,
        ),
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
        let mut world = Self::connect(policy, &startup(&[("user", "alice"), ("database", "acme")]));
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
            journal_down: false,
            pool_error: None,
            leased_settings: Settings::new(),
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

    pub fn client(&mut self, bytes: &[u8]) {
        self.session.inbox().extend_from_slice(bytes);
        let tags = tags(bytes);
        self.log.push(format!("client  {tags}"));
        self.input(Input::ClientBytes);
    }

    pub fn say(&mut self, what: &str, input: Input<'_>) {
        self.log.push(format!("{what}"));
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
        self.say("upstream is gone", Input::UpstreamGone);
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
            approve: true,
            comment: None,
        };
        let ticket = now(self.store.decide(TicketId(id), word)).unwrap();
        self.log
            .push(format!("bob approves T-{id}: {}", ticket.state));
        self.news(id, News::Approved);
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

    // --- the driver ---

    fn input(&mut self, input: Input<'_>) {
        self.session.handle(self.now, input);
        self.collect();
        self.run();
    }

    /// Gives answers until none is due, or one that is paused.
    pub fn run(&mut self) {
        self.collect();
        while let Some(due) = self.due.pop_front() {
            if self.paused.contains(due.name()) {
                self.due.push_front(due);
                return;
            }
            self.give(due);
        }
    }

    fn give(&mut self, due: Due) {
        let now = self.now;
        match due {
            Due::Account => {
                let verifier = if self.known_user {
                    Verifier::from_password(SECRET, b"0123456789abcdef", 1)
                } else {
                    Verifier::decoy(b"secret", "nobody")
                };
                let groups = BTreeSet::from([Group::from("devs")]);
                let principal = Principal {
                    id: "alice".into(),
                    groups,
                };
                let account = Account {
                    verifier,
                    principal: self.known_user.then(|| Arc::new(principal)),
                    destination: self.destination.clone(),
                };
                self.session.handle(now, Input::Account(account));
            }
            Due::Admitted => {
                let pairs = [("TimeZone", "UTC"), ("server_version", "18.0")];
                let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let admission = Admission {
                    parameters: Arc::new(pairs.into()),
                    system_identifier: Arc::from("7001"),
                    role: Arc::from("acme_rw"),
                };
                self.session.handle(now, Input::Admitted(Ok(admission)));
            }
            Due::Readings(texts) => {
                let readings = texts.iter().map(|text| Arc::new(sql::read(text))).collect();
                self.session.handle(now, Input::Readings(readings));
            }
            Due::Verdict(request) => {
                let verdict = self.judge(&request);
                self.session.handle(now, Input::Verdict(verdict));
            }
            Due::Leased(_) => {
                let leased = match self.pool_error.clone() {
                    Some(fault) => Err(fault),
                    None => {
                        self.leased = true;
                        Ok(Leased {
                            settings: Arc::new(self.leased_settings.clone()),
                        })
                    }
                };
                self.session.handle(now, Input::Leased(leased));
            }
            Due::Claimed(clearance) => {
                let claimed = crate::store::now(gate::claim(&self.store, clearance));
                if let Err(NotClaimed::Ticket(error)) = &claimed {
                    self.log.push(format!("        not claimed: {error}"));
                }
                self.session.handle(now, Input::Claimed(claimed));
            }
            Due::Written(entry) => {
                let written = if self.journal_down {
                    Err(JournalDown)
                } else {
                    Ok(())
                };
                if let (Entry::Intent { number, .. }, Ok(())) = (&entry, &written) {
                    self.intents.insert(*number);
                }
                self.session.handle(now, Input::Written(written));
            }
            Due::Settled(settlement) => {
                let Settlement {
                    claims,
                    event,
                    outcome,
                } = settlement;
                let settled = crate::store::now(self.store.settle(claims, event, outcome));
                settled.clone().expect("what is settled can happen to it");
                self.session.handle(now, Input::Settled(settled));
            }
            Due::Console(command) => {
                let reply = match command {
                    ConsoleCommand::ShowVersion => Ok(TableReply {
                        columns: vec!["version"],
                        rows: vec![vec![Some("0.1".into())], vec![None]],
                        tag: "SHOW".into(),
                    }),
                    other => Err(Fault::ticket(format!("{other:?}"))),
                };
                self.session.handle(now, Input::Console(reply));
            }
            Due::Upstream => self.speak(),
        }
        self.collect();
    }

    fn speak(&mut self) {
        let Some(size) = self.pieces else {
            let now = self.now;
            // What a state does not consume stays in the buffer for the next one.
            loop {
                let before = self.up.len();
                self.session.handle(now, Input::Upstream(&mut self.up));
                if self.up.is_empty() || self.up.len() == before {
                    return;
                }
            }
        };
        let mut rest = std::mem::take(&mut self.up);
        let mut buf = BytesMut::new();
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(size));
            buf.extend_from_slice(&piece);
            self.session.handle(self.now, Input::Upstream(&mut buf));
        }
        buf.unsplit(rest);
        self.up = buf;
    }

    fn judge(&mut self, request: &Arc<Request>) -> Verdict {
        let hold = match self.policy.judge(request) {
            Judgement::Allow(pass) => return Verdict::Clear(Clearance::Pass(pass)),
            Judgement::Deny(denial) => return Verdict::Denied(denial),
            Judgement::Hold(hold) => hold,
        };
        let new = NewTicket {
            digest: request.digest(),
            tenant: request.context.tenant.clone(),
            requester: request.principal.id.clone(),
            class: "write".into(),
            rule: hold.rule.to_string(),
            why: hold.why,
            needs: hold.needs,
            asked: gate::audit::asked(request),
            role: request.context.role.to_string(),
            in_transaction: request.context.in_transaction,
            client: request.client.to_string(),
        };
        match now(self.store.open(new)) {
            Ok(Opened::Approved(ticket)) => Verdict::Clear(Clearance::Ticket {
                ticket: ticket.id,
                request: Arc::clone(request),
            }),
            Ok(Opened::Pending(ticket)) => {
                self.log.push(format!("        held as {}", ticket.id));
                assert!(
                    self.waits.insert(ticket.id),
                    "waits twice for {}",
                    ticket.id
                );
                Verdict::Held(Box::new(ticket))
            }
            Err(StoreError::Unavailable(_)) => Verdict::Unavailable(Fault::store_down()),
            Err(other) => panic!("{other}"),
        }
    }

    fn collect(&mut self) {
        while let Some(effect) = self.session.next_effect() {
            self.carry_out(effect);
        }
        let new = self.session.output().split();
        self.bytes.extend_from_slice(&new);
        self.out.unsplit(new);
        let heard = if self.out.is_empty() {
            Vec::new()
        } else {
            self.whole()
        };
        if !heard.is_empty() {
            self.log.push(format!("hears   {}", heard.join("  ")));
            self.heard.extend(heard);
        }
    }

    fn whole(&mut self) -> Vec<String> {
        // Rows may pass in pieces: only whole messages are heard.
        let mut at = 0;
        while let Ok(Some(header)) = wire::frame::header(&self.out[at..], usize::MAX) {
            if self.out.len() - at < header.total {
                break;
            }
            at += header.total;
        }
        hear(&mut self.out.split_to(at))
    }

    fn carry_out(&mut self, effect: Effect) {
        assert!(!self.closed, "after Close: {effect:?}");
        self.log.push(format!("  {}", show(&effect)));
        let due = match effect {
            Effect::Lookup { .. } => Due::Account,
            Effect::Admit => Due::Admitted,
            Effect::Read(texts) => Due::Readings(texts),
            Effect::Ask(request) => Due::Verdict(request),
            Effect::Checkout(settings) => {
                assert!(!self.leased, "one lease at a time");
                Due::Leased(settings)
            }
            Effect::Claim(clearance) => Due::Claimed(clearance),
            Effect::Write(entry) => {
                self.outcome_once(&entry);
                Due::Written(entry)
            }
            Effect::Note(entry) => {
                self.outcome_once(&entry);
                if let Entry::Intent { number, ticket, .. } = entry {
                    assert_eq!(ticket, None, "a signed intent is waited for");
                    self.intents.insert(number);
                }
                return;
            }
            Effect::Load(cargo) => return self.load(&cargo),
            Effect::Settle(settlement) => Due::Settled(settlement),
            Effect::Leave { ticket, withdraw } => {
                assert!(
                    self.waits.remove(&ticket),
                    "leaves {ticket} without waiting"
                );
                if withdraw && now(self.store.withdraw(ticket)).is_ok() {
                    self.log.push(format!("        {ticket} is withdrawn"));
                }
                return;
            }
            Effect::Checkin(disposition) => {
                assert!(self.leased, "checked in without a lease");
                self.leased = false;
                self.up.clear();
                if disposition == Disposition::Close {
                    let gone = std::mem::take(&mut self.server);
                    self.server.committed = gone.committed;
                    self.server.heard = gone.heard;
                } else {
                    assert!(self.server.is_idle(), "a connection in use is no clean one");
                }
                return;
            }
            Effect::CancelUpstream => return,
            Effect::Console(command) => Due::Console(command),
            Effect::Close => {
                self.closed = true;
                return;
            }
        };
        self.due.push_back(due);
    }

    fn outcome_once(&mut self, entry: &Entry) {
        if let Entry::Outcome { number, .. } = entry {
            assert!(self.written.insert(*number), "two outcomes of {number}");
        }
    }

    /// Nothing goes up unreleased, and nothing signed without its intent on disk.
    fn load(&mut self, cargo: &[Cargo]) {
        assert!(self.leased, "loaded without a lease");
        for it in cargo {
            if let Cargo::Released(released, _) = it {
                assert!(!self.intents.is_empty(), "no intent");
                if let Authority::Signed { ticket, claim } = released.authority() {
                    let inside = self.store.0.borrow();
                    let claimed = inside
                        .claims
                        .iter()
                        .any(|it| (it.0, it.1) == (*ticket, *claim));
                    let ticket = &inside
                        .tickets
                        .iter()
                        .find(|it| it.0.id == *ticket)
                        .unwrap()
                        .0;
                    assert!(claimed && ticket.missing().is_empty(), "unsigned");
                    assert_eq!(ticket.digest, released.request().digest().to_string());
                }
            }
            for message in messages(it) {
                self.server.take(message, &mut self.up);
            }
        }
        if !self.up.is_empty() {
            self.due.push_back(Due::Upstream);
        }
    }

    pub fn transcript(&self) -> String {
        self.log.join("\n")
    }
}

fn tags(bytes: &[u8]) -> String {
    let mut rest = bytes;
    let mut said = Vec::new();
    while let Ok(Some(header)) = wire::frame::header(rest, usize::MAX) {
        let tag = char::from(header.tag);
        let Some(body) = rest.get(5..header.total) else {
            break;
        };
        let text = match header.tag {
            b'Q' => format!(" {}", String::from_utf8_lossy(body).trim_end_matches('\0')),
            b'P' => format!(
                " {}",
                String::from_utf8_lossy(body)
                    .trim_end_matches('\0')
                    .replace('\0', ":")
            ),
            _ => String::new(),
        };
        said.push(format!("{tag}{text}"));
        rest = &rest[header.total..];
    }
    said.join(", ")
}

fn show(effect: &Effect) -> String {
    match effect {
        Effect::Read(texts) => format!("Read({})", texts.len()),
        Effect::Ask(request) => format!(
            "Ask{}",
            if request.context.in_transaction {
                " in transaction"
            } else {
                ""
            }
        ),
        Effect::Checkout(_) => "Checkout".into(),
        Effect::Claim(clearance) => match clearance.ticket() {
            Some(ticket) => format!("Claim {ticket}"),
            None => "Claim pass".into(),
        },
        Effect::Write(entry) => format!("Write {}", entry_word(entry)),
        Effect::Note(entry) => format!("Note {}", entry_word(entry)),
        Effect::Load(cargo) => {
            let words: Vec<String> = cargo.iter().map(cargo_word).collect();
            format!("Load {}", words.join(", "))
        }
        Effect::Settle(settlement) => {
            let tickets: Vec<String> = settlement
                .claims
                .iter()
                .map(|it| it.0.to_string())
                .collect();
            format!("Settle {} {:?}", tickets.join(" "), settlement.event)
        }
        Effect::Leave { ticket, withdraw } => format!("Leave {ticket} withdraw={withdraw}"),
        Effect::Checkin(disposition) => format!("Checkin {disposition:?}"),
        other => format!("{other:?}"),
    }
}

fn entry_word(entry: &Entry) -> String {
    match entry {
        Entry::Intent {
            number,
            rule,
            ticket,
            asked,
            ..
        } => format!(
            "intent {number} {} {:?}",
            ticket.map_or_else(
                || rule.as_deref().unwrap_or("").to_owned(),
                |it| it.to_string()
            ),
            asked.iter().map(|it| it.text.as_str()).collect::<Vec<_>>()
        ),
        Entry::Outcome {
            number,
            end,
            tags,
            error,
            ..
        } => format!(
            "outcome {number} {end:?} {tags:?}{}",
            error
                .as_ref()
                .map_or_else(String::new, |it| format!(" {it}"))
        ),
        Entry::TransactionEnd { tickets, end, .. } => format!(
            "end {end:?} {}",
            tickets
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        ),
        Entry::Login {
            principal, tenant, ..
        } => format!("login {principal} {tenant}"),
        other => format!("{other:?}"),
    }
}

fn cargo_word(cargo: &Cargo) -> String {
    match cargo {
        Cargo::Released(_, Form::Query) => "Released as Query".into(),
        Cargo::Released(released, Form::Parse) => match released.request().work {
            gate::Work::Query(_) => "Released as Parse".into(),
            gate::Work::Batch(_) => "Released batch".into(),
        },
        Cargo::More(_, more) => format!("{more:?}")
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect(),
        Cargo::Look(gate::Look::Parse(_)) => "Look Parse".into(),
        Cargo::Look(gate::Look::Describe) => "Look Describe".into(),
        Cargo::Own(own) => format!("{own:?}")
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect(),
        other => format!("{other:?}"),
    }
}
