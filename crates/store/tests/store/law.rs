//! The law of tickets: whatever happens in whatever order, a store does what a page of plain code
//! says, and no ticket is spent twice without having been put back. It never looks at timing.

use std::collections::BTreeSet;

use gate::ticket::{ClaimId, Say, TimeOuts};
use gate::tickets::{NewTicket, Opened, StoreError, Tickets as _, Word};
use gate::{Event, State, TicketId};
use proptest::prelude::*;
use store::Sqlite;

use crate::conformance::{DECIDE_MS, USE_MS, asked_by, once, spent, standing};
use crate::support::StateDir;

const TEXTS: [&str; 2] = ["delete from a", "delete from b"];
const PEOPLE: [&str; 3] = ["bob", "carol", "alice"];

#[derive(Clone, Debug)]
enum Deed {
    Open(usize),
    Say {
        ticket: usize,
        by: usize,
        approve: bool,
    },
    Withdraw(usize),
    Claim(usize),
    Settle(usize, Event),
    Wait(i64),
    Sweep,
}

fn deed() -> impl Strategy<Value = Deed> {
    let ends = prop_oneof![
        Just(Event::Unclaim),
        Just(Event::Succeed),
        Just(Event::Fail),
        Just(Event::RollBack),
        Just(Event::Doubt),
    ];
    prop_oneof![
        3 => (0..TEXTS.len()).prop_map(Deed::Open),
        6 => (0..4_usize, 0..PEOPLE.len(), prop::bool::weighted(0.9))
            .prop_map(|(ticket, by, approve)| Deed::Say { ticket, by, approve }),
        1 => (0..4_usize).prop_map(Deed::Withdraw),
        4 => (0..4_usize).prop_map(Deed::Claim),
        3 => (0..4_usize, ends).prop_map(|(ticket, event)| Deed::Settle(ticket, event)),
        2 => prop_oneof![Just(1), Just(USE_MS - 1), Just(USE_MS), Just(DECIDE_MS)]
            .prop_map(Deed::Wait),
        1 => Just(Deed::Sweep),
    ]
}

/// A ticket as plain code has it: two of `dba` must sign.
struct Model {
    id: TicketId,
    text: usize,
    state: State,
    expires: i64,
    signed: BTreeSet<usize>,
    claim: Option<ClaimId>,
}

impl Model {
    fn now(&self, now: i64) -> State {
        let lapses = matches!(self.state, State::Pending | State::Approved);
        if lapses && self.expires <= now {
            State::Expired
        } else {
            self.state
        }
    }

    fn step(&mut self, event: Event, now: i64) -> Result<(), StoreError> {
        let state = self.now(now);
        self.state = event
            .apply(state)
            .ok_or(StoreError::WrongState { id: self.id, state })?;
        Ok(())
    }

    fn say(&mut self, by: usize, approve: bool, now: i64) -> Result<(), StoreError> {
        if PEOPLE[by] == "alice" {
            return Err(StoreError::OwnTicket(self.id));
        }
        if !approve {
            return self.step(Event::Reject, now);
        }
        let state = self.now(now);
        if state != State::Pending {
            return Err(StoreError::WrongState { id: self.id, state });
        }
        self.signed.insert(by);
        if self.signed.len() == 2 {
            self.step(Event::Approve, now)?;
            self.expires = now + USE_MS;
        }
        Ok(())
    }
}

struct Trial {
    store: Sqlite,
    state: StateDir,
    models: Vec<Model>,
}

impl Trial {
    async fn run(&mut self, deed: Deed) {
        let now = store::WallClock::now_ms(&self.state.clock);
        let count = self.models.len();
        match deed {
            Deed::Open(text) => self.open(text, now).await,
            Deed::Wait(ms) => self.state.clock.advance(ms),
            Deed::Sweep => self.sweep(now).await,
            Deed::Say { ticket, .. }
            | Deed::Withdraw(ticket)
            | Deed::Claim(ticket)
            | Deed::Settle(ticket, _)
                if ticket >= count => {}
            Deed::Say {
                ticket,
                by,
                approve,
            } => {
                let model = &mut self.models[ticket];
                let groups = vec!["dba".into()];
                let word = Word {
                    by: PEOPLE[by].into(),
                    groups,
                    say: if approve { Say::Approve } else { Say::Reject },
                    comment: None,
                    narrows: TimeOuts::default(),
                };
                let got = self.store.decide(vec![model.id], word).await.map(|_| ());
                assert_eq!(got, model.say(by, approve, now));
            }
            Deed::Withdraw(ticket) => {
                let model = &mut self.models[ticket];
                let got = self.store.withdraw(vec![model.id]).await.map(|_| ());
                assert_eq!(got, model.step(Event::Withdraw, now));
            }
            Deed::Claim(ticket) => {
                let model = &mut self.models[ticket];
                let got = self
                    .store
                    .claim(model.id, once(TEXTS[model.text]), standing())
                    .await;
                let got = got.map(spent);
                let expected = model.step(Event::Claim, now);
                assert_eq!(got.clone().map(|_| ()), expected);
                if let Ok(claim) = got {
                    assert_ne!(
                        model.claim.replace(claim),
                        Some(claim),
                        "a number given twice"
                    );
                }
            }
            Deed::Settle(ticket, event) => {
                let model = &mut self.models[ticket];
                let claim = model.claim.unwrap_or(ClaimId(i64::MAX));
                let got = self
                    .store
                    .settle(vec![(model.id, claim)], event, None)
                    .await;
                assert_eq!(got, model.step(event, now));
            }
        }
    }

    async fn sweep(&mut self, now: i64) {
        let swept: Vec<TicketId> = self
            .store
            .expire()
            .await
            .unwrap()
            .iter()
            .map(|it| it.id)
            .collect();
        let due: Vec<TicketId> = self
            .models
            .iter_mut()
            .filter(|it| it.state != it.now(now))
            .map(|it| {
                it.state = State::Expired;
                it.id
            })
            .collect();
        assert_eq!(swept, due);
    }

    async fn open(&mut self, text: usize, now: i64) {
        let new: NewTicket = asked_by("alice", TEXTS[text], &[("dba", 2)]);
        let (ticket, approved) = match self.store.open(new).await.unwrap() {
            Opened::Approved(ticket) => (ticket, true),
            Opened::Pending(ticket) => (ticket, false),
        };
        let live = |wanted| move |it: &&Model| it.text == text && it.now(now) == wanted;
        let found = |wanted| self.models.iter().rev().find(live(wanted)).map(|it| it.id);
        if let Some(id) = found(State::Approved) {
            assert_eq!((ticket.id, approved), (id, true));
        } else if let Some(id) = found(State::Pending) {
            assert_eq!((ticket.id, approved), (id, false));
        } else {
            assert!(!approved);
            let previous = self
                .models
                .iter()
                .rev()
                .find(|it| it.text == text)
                .map(|it| it.id);
            assert_eq!(ticket.previous, previous);
            self.models.push(Model {
                id: ticket.id,
                text,
                state: State::Pending,
                expires: now + DECIDE_MS,
                signed: BTreeSet::new(),
                claim: None,
            });
        }
    }

    async fn agree(&self) {
        let now = store::WallClock::now_ms(&self.state.clock);
        for model in &self.models {
            let ticket = self.store.ticket(model.id).await.unwrap();
            assert_eq!(ticket.state, model.now(now), "{}", model.id);
            assert_eq!(ticket.expires_ms, model.expires, "{}", model.id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn deeds_in_any_order_keep_the_table(deeds in prop::collection::vec(deed(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let state = StateDir::new();
            let mut trial = Trial { store: state.store(), state, models: Vec::new() };
            for deed in deeds {
                trial.run(deed).await;
                trial.agree().await;
            }
        });
    }
}
