//! The driver of a scripted session: it carries effects out, one answer at a time. What the design
//! promises of any order of events is asserted here, always.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::BytesMut;
use gate::tickets::{NewTicket, Opened, StoreError};
use gate::{
    Authority, Cargo, Clearance, Entry, Group, JournalDown, Judgement, NotClaimed, Principal,
    Request, Tickets,
};
use session::{
    Account, Admission, ConsoleCommand, Disposition, Effect, Fault, Input, Leased, Settlement,
    TableReply, Verdict,
};
use wire::scram::Verifier;

use crate::cargo::messages;
use crate::dialect::hear;
use crate::store::now;
use crate::words::show;
use crate::world::{Due, SECRET, World};

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

    pub fn give(&mut self, due: Due) {
        let now = self.now;
        match due {
            Due::Account => {
                let account = self.account();
                self.session.handle(now, Input::Account(account));
            }
            Due::Admitted => self.session.handle(now, Input::Admitted(Ok(admission()))),
            Due::Readings(texts) => {
                let readings = texts.iter().map(|text| Arc::new(sql::read(text))).collect();
                self.session.handle(now, Input::Readings(readings));
            }
            Due::Verdict(request) => {
                let verdict = self.judge(&request);
                self.session.handle(now, Input::Verdict(verdict));
            }
            Due::Leased => {
                self.leased = self.pool_error.is_none();
                let settings = Arc::new(self.leased_settings.clone());
                let leased = self.pool_error.clone().map_or(Ok(Leased { settings }), Err);
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
            Effect::Checkout(_) => {
                assert!(!self.leased, "one lease at a time");
                Due::Leased
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
}

fn admission() -> Admission {
    let pairs = [("TimeZone", "UTC"), ("server_version", "18.0")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Admission {
        parameters: Arc::new(pairs.into()),
        system_identifier: Arc::from("7001"),
        role: Arc::from("acme_rw"),
    }
}
