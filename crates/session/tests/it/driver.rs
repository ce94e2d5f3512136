//! The driver of a scripted session: it carries effects out, one answer at a time. What the design
//! promises of any order of events is asserted here, always.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::BytesMut;
use gate::ticket::{Scope, TimeOuts};
use gate::tickets::{NewTicket, Opened, StoreError};
use gate::{
    Authority, Cargo, Clearance, Entry, Group, JournalDown, Judgement, Law, NotClaimed, Principal,
    Released, Request, Tickets,
};
use session::{
    Account, Admission, ConsoleCommand, Disposition, Effect, Fault, Input, Leased, PoolMode,
    Settlement, Show, TableReply, Verdict,
};
use sql::Reading;
use wire::backend::encode;
use wire::fields::{Fields, Severity};
use wire::scram::Verifier;
use wire::sqlstate::SqlState;

use crate::cargo::messages;
use crate::dialect::hear;
use crate::store::now;
use crate::words::show;
use crate::world::{Due, SECRET, World};

/// When everything is asked, in milliseconds since 1970.
const NOW_MS: i64 = 1_800_000_000_000;

/// As for a tenant that has nothing of its own but what is `sneaky`, or `theirs`.
fn read(text: &str) -> Reading {
    Reading {
        known: !["sneaky", "theirs"].iter().any(|it| text.contains(it)),
        ..sql::read(text)
    }
}

impl World {
    pub fn input(&mut self, input: Input<'_>) {
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

    fn claim(&self, clearance: Clearance) -> Result<Released, NotClaimed> {
        let law = Law {
            policy: &self.policy,
            people: &Arc::default(),
            now_ms: NOW_MS,
            ledger: None,
        };
        now(gate::claim(&self.store, law, clearance))
    }

    pub fn give(&mut self, due: Due) {
        let now = self.now;
        match due {
            Due::Account => {
                let account = self.account();
                self.session.handle(now, Input::Account(account));
            }
            Due::Admitted => {
                let admission = admission(self.mode);
                self.session.handle(now, Input::Admitted(Ok(admission)));
            }
            Due::Readings(texts) => {
                let readings = texts.iter().map(|text| Arc::new(read(text))).collect();
                self.session.handle(now, Input::Readings(readings));
            }
            Due::Verdict(request) => {
                let verdict = self.judge(&request);
                self.session.handle(now, Input::Verdict(verdict));
            }
            Due::Signalled => self.session.handle(now, Input::Signalled(false)),
            Due::Leased => {
                self.leased = self.pool_error.is_none();
                let leased = self.lend();
                self.session.handle(now, Input::Leased(leased));
            }
            Due::Claimed(clearance) => {
                let claimed = self.claim(clearance);
                if let Err(NotClaimed::Ticket(error)) = &claimed {
                    self.log.push(format!("        not claimed: {error}"));
                }
                self.session.handle(now, Input::Claimed(claimed));
            }
            Due::Written(entry) => {
                let written = if self.journal_down {
                    Err(JournalDown::NoSpace)
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
                    ConsoleCommand::Show(Show::Version) => Ok(TableReply {
                        columns: vec!["version"],
                        rows: vec![vec![Some("0.1".into())], vec![None]],
                        tag: "SHOW".into(),
                    }),
                    other => Err(Fault::ticket(format!("{other:?}"))),
                };
                self.session.handle(now, Input::Console(reply));
            }
            Due::Upstream => self.speak(),
            Due::UpstreamEnd => self.session.handle(now, Input::UpstreamGone),
        }
        self.collect();
    }

    fn lend(&mut self) -> Result<Leased, Fault> {
        if let Some(fault) = self.pool_error.clone() {
            return Err(fault);
        }
        let (surface, statements) = self.idle.remove(&self.lane).unwrap_or_default();
        self.server.statements = statements;
        Ok(Leased {
            surface,
            pid: Some(4711),
        })
    }

    fn account(&self) -> Account {
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
        Account {
            verifier,
            principal: self.known_user.then(|| Arc::new(principal)),
            destination: self.destination.clone(),
        }
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
        let hold = match self.policy.judge(request, NOW_MS) {
            Judgement::Allow(pass) => return Verdict::Clear(Clearance::Pass(pass)),
            Judgement::Deny(denial) => return Verdict::Denied(denial),
            Judgement::Apart(apart) => return Verdict::Apart(apart),
            Judgement::Hold(hold) => hold,
        };
        let new = NewTicket {
            scope: Scope::Once,
            must_exist: false,
            classes: request.classes(),
            digest: request.digest(),
            tenant: request.context.tenant.clone(),
            requester: request.principal.id.clone(),
            class: "write".into(),
            rule: hold.rule.to_string(),
            why: hold.why,
            needs: hold.needs,
            reason: request.reason().map(str::to_owned),
            time_outs: TimeOuts::default(),
            facts: self.policy.facts(request),
            decide_within_ms: None,
            use_within_ms: None,
            asked: gate::audit::asked(request),
            role: request.context.role.to_string(),
            in_transaction: request.context.in_transaction,
            client: request.client.to_string(),
        };
        match now(self.store.open(new)) {
            Ok(Opened::Approved(ticket)) => Verdict::Clear(Clearance::Ticket {
                time_outs: TimeOuts::default(),
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
            Effect::Admit { .. } => Due::Admitted,
            Effect::Read(texts) => Due::Readings(texts),
            Effect::Ask(request) => Due::Verdict(request),
            // In this house everybody is somebody else.
            Effect::Signal { .. } => Due::Signalled,
            Effect::Checkout(wanted) => {
                self.lane = wanted.lane;
                assert!(!self.leased, "one lease at a time");
                Due::Leased
            }
            Effect::Claim(clearance) => Due::Claimed(clearance),
            Effect::Write(entry) => {
                self.outcome_once(&entry);
                Due::Written(entry)
            }
            Effect::Note(entry) => return self.note(&entry),
            Effect::Load(cargo) => return self.load(&cargo),
            Effect::Settle(settlement) => Due::Settled(settlement),
            Effect::Leave { ticket, withdraw } => {
                assert!(
                    self.waits.remove(&ticket),
                    "leaves {ticket} without waiting"
                );
                if withdraw && now(self.store.withdraw(vec![ticket])).is_ok() {
                    self.log.push(format!("        {ticket} is withdrawn"));
                }
                return;
            }
            Effect::Checkin(disposition, surface) => {
                assert!(self.leased, "checked in without a lease");
                self.leased = false;
                self.up.clear();
                self.due.retain(|it| !matches!(it, Due::UpstreamEnd));
                let dead = std::mem::take(&mut self.dead);
                let closes = disposition == Disposition::Close;
                assert!(!dead || closes, "a dead connection is kept");
                if !closes && !self.lies {
                    assert!(self.server.is_idle(), "a connection in use is no clean one");
                }
                if disposition <= Disposition::Tidy {
                    let statements = std::mem::take(&mut self.server.statements);
                    self.idle.insert(self.lane, (surface, statements));
                } else {
                    self.server.renew();
                }
                return;
            }
            Effect::CancelUpstream if self.hears_cancels => {
                self.server.cancel(&mut self.up);
                Due::Upstream
            }
            // Nobody runs a script here.
            Effect::CancelUpstream | Effect::Abandon(_) => return,
            Effect::Console(command) => Due::Console(command),
            Effect::Close => {
                self.closed = true;
                return;
            }
        };
        self.due.push_back(due);
    }

    fn note(&mut self, entry: &Entry) {
        self.outcome_once(entry);
        match entry {
            Entry::Intent { number, ticket, .. } => {
                assert_eq!(*ticket, None, "a signed intent is waited for");
                self.intents.insert(*number);
            }
            Entry::Looked { number, .. } => _ = self.intents.insert(*number),
            _ => {}
        }
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
            if let Cargo::Released(released, _) | Cargo::Batch(released, _) = it {
                self.may_run(released);
            }
            if self.dead {
                continue;
            }
            let (started, said) = (self.server.started.len(), self.up.len());
            for message in messages(it) {
                if self.chatty {
                    chat(&mut self.up);
                }
                self.server.take(message, &mut self.up);
            }
            for text in &self.server.started[started..] {
                let known = matches!(it, Cargo::Released(..) | Cargo::Batch(..) | Cargo::More(..))
                    && self.released.contains(text);
                assert!(
                    known || matches!(it, Cargo::Own(_)),
                    "{it:?} starts {text:?}"
                );
            }
            self.may_die(said);
            self.dead |= self.server.hung_up;
        }
        if !self.up.is_empty() {
            self.due.push_back(Due::Upstream);
        }
        if self.dead {
            self.due.push_back(Due::UpstreamEnd);
        }
    }

    /// What is released was read as it is, and somebody signed for it or the policy lets it pass.
    fn may_run(&mut self, released: &Released) {
        let request = released.request();
        assert!(!self.intents.is_empty(), "no intent");
        let mut statements = request.statements();
        for text in request.work.texts() {
            let behind = |name: &str| {
                let prepared = request.named.iter().find(|it| it.name == *name)?;
                Some(read(&prepared.text))
            };
            let text_read = read(&text);
            let names = text_read.statements.iter();
            let names = names.filter_map(|it| it.prepared.as_ref()?.name());
            let insides: HashMap<&str, Reading> = names
                .filter_map(|name| Some((name, behind(name)?)))
                .collect();
            for statement in &text_read.with_inside(|name| insides.get(name)).statements {
                assert_eq!(statements.next(), Some(statement), "{text}");
            }
            self.released.insert(text.to_string());
        }
        assert!(statements.next().is_none(), "statements of nothing");
        let Authority::Signed { ticket, claim } = released.authority() else {
            let judgement = self.policy.judge(request, NOW_MS);
            assert!(matches!(judgement, Judgement::Allow(_)), "{judgement:?}");
            return;
        };
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
        assert_eq!(ticket.digest, request.digest().to_string());
    }

    /// The server dies in the middle of what it said from `said` on; a FATAL comes as a whole message.
    fn may_die(&mut self, said: usize) {
        let Some((left, fatal)) = self.dies else {
            return;
        };
        let new = self.up.len() - said;
        if new <= left {
            self.dies = Some((left - new, fatal));
            return;
        }
        let mut rest = self.up.split_off(said);
        rest.truncate(left);
        if fatal {
            while let Some(frame) = wire::frame::take(&mut rest, usize::MAX).unwrap() {
                self.up.extend_from_slice(&[frame.tag]);
                let length = u32::try_from(frame.body.len() + 4).unwrap();
                self.up.extend_from_slice(&length.to_be_bytes());
                self.up.extend_from_slice(&frame.body);
            }
            let code = SqlState::new(b"57P01");
            let words = Fields::new(Severity::Fatal, code, "terminating connection");
            encode::error_response(&words, &mut self.up);
        } else {
            self.up.unsplit(rest);
        }
        self.log.push("        the server dies".into());
        self.dies = None;
        self.dead = true;
    }
}

/// What a server may say at any time.
fn chat(out: &mut BytesMut) {
    let words = Fields::new(Severity::Notice, SqlState::new(b"00000"), "by the way");
    encode::notice_response(&words, out);
    encode::parameter_status("TimeZone", "Europe/Vienna", out);
    encode::notification(99, "channel", "payload", out);
}

fn admission(mode: PoolMode) -> Admission {
    let pairs = [("TimeZone", "UTC"), ("server_version", "18.0")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Admission {
        parameters: Arc::new(pairs.into()),
        system_identifier: Arc::from("7001"),
        role: Arc::from("acme_rw"),
        search_path: None,
        mode,
        waits: true,
    }
}
