//! Tickets: what may become of them, who may say so, and the claim.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{Asks, need};
use gate::ledger::Fate;
use gate::rights::OPERATORS;
use gate::ticket::{ClaimId, Decision, Facts, Say, Scope, TimeOuts, missing};
use gate::tickets::{
    Claimed, Doubt, Filter, HeldAll, NewTicket, Opened, Standing, StoreError, Use, Word,
};
use gate::{
    Action, Authority, Clearance, Digest, Event, Group, Judgement, Law, Need, NotClaimed, Outcome,
    People, Policy, Principal, State, Ticket, TicketId, Tickets, authorize, claim,
};

#[test]
fn what_may_become_of_a_ticket() {
    let mut table = String::new();
    for event in Event::ALL {
        let _infallible = write!(table, "{:>9}:", format!("{event:?}"));
        for state in State::ALL {
            if let Some(next) = event.apply(*state) {
                let _infallible = write!(table, " {state} -> {next},");
            }
        }
        table = table.trim_end_matches(',').to_owned() + "\n";
    }
    insta::assert_snapshot!(table);
    // What ran, or was refused, is final; what is in doubt can only be found out.
    for state in State::ALL {
        let moves = Event::ALL
            .iter()
            .filter(|it| it.apply(*state).is_some())
            .count();
        let ends = !matches!(
            state,
            State::Pending | State::Approved | State::Executing | State::InDoubt
        );
        assert_eq!(moves == 0, ends, "{state}");
        assert_eq!(state.to_string().parse::<State>(), Ok(*state));
    }
}

#[test]
fn a_ticket_is_named_by_a_number() {
    for (text, number) in [("T-42", 42), ("t-42", 42), ("42", 42), ("0042", 42)] {
        assert_eq!(text.parse(), Ok(TicketId(number)), "{text}");
    }
    for text in [
        "",
        "T-",
        "T-0",
        "0",
        "-1",
        "T--1",
        "+1",
        "T-+1",
        "1 ",
        "T-T-1",
        "1e3",
        "٣",
        "99999999999999999999",
    ] {
        assert!(text.parse::<TicketId>().is_err(), "{text}");
    }
    assert_eq!(TicketId(42).to_string(), "T-42");
}

fn decision(by: &str, groups: &[&str], yes: bool) -> Decision {
    Decision {
        by: by.into(),
        groups: groups.iter().map(|it| Group::from(*it)).collect(),
        say: if yes { Say::Approve } else { Say::Changes },
        comment: None,
        at_ms: 0,
    }
}

#[test]
fn what_is_missing() {
    let needs = [need("dba", 2), need("owners", 1)];
    let of = |decisions: &[Decision]| {
        let left = missing(&needs, &"alice".into(), decisions);
        left.iter()
            .map(|it| format!("{}{}", it.approvals, it.group))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let bob = || decision("bob", &["dba"], true);
    assert_eq!(of(&[]), "2dba 1owners");
    assert_eq!(of(&[bob()]), "1dba 1owners");
    // One person counts once, and for one group only.
    assert_eq!(of(&[bob(), bob()]), "1dba 1owners");
    let carol = || decision("carol", &["dba", "owners"], true);
    assert_eq!(of(&[carol()]), "1dba 1owners");
    assert_eq!(of(&[bob(), carol()]), "1owners");
    // Whoever can sign for another group gives way, in whatever order they came.
    let dave = || decision("dave", &["dba"], true);
    for people in [
        [bob(), carol(), dave()],
        [carol(), bob(), dave()],
        [bob(), dave(), carol()],
    ] {
        assert_eq!(of(&people), "");
    }
    // The requester never counts, by no group; and a no is no yes.
    assert_eq!(
        of(&[decision("alice", &["dba", "owners"], true)]),
        "2dba 1owners"
    );
    assert_eq!(of(&[decision("bob", &["dba"], false)]), "2dba 1owners");
    // The latest word of each person counts, and a remark is none.
    let back = || decision("bob", &["dba"], false);
    assert_eq!(of(&[bob(), back()]), "2dba 1owners");
    assert_eq!(of(&[back(), bob()]), "1dba 1owners");
    let remark = Decision {
        say: Say::Comment,
        ..bob()
    };
    assert_eq!(of(&[bob(), remark]), "1dba 1owners");
    // A need of none is a need of one.
    assert_eq!(
        missing(&[need("dba", 0)], &"alice".into(), &[]),
        [need("dba", 1)]
    );
}

fn ticket() -> Ticket {
    Ticket {
        id: TicketId(7),
        state: State::Pending,
        scope: Scope::Once,
        uses: 0,
        tenant: "acme".into(),
        requester: "alice".into(),
        class: "write".into(),
        rule: "writes".into(),
        why: "writes t".into(),
        needs: vec![need("dba", 1), need("owners", 1)],
        asked: Vec::new(),
        digest: String::new(),
        role: "acme_rw".into(),
        in_transaction: false,
        client: String::new(),
        reason: None,
        time_outs: TimeOuts::default(),
        facts: Facts::default(),
        created_ms: 0,
        expires_ms: 0,
        decisions: Vec::new(),
        previous: None,
        outcome: None,
    }
}

#[test]
fn who_may_do_what() {
    let ticket = ticket();
    let people = [
        ("alice", vec![]),
        ("alice", vec!["dba"]),
        ("bob", vec!["dba"]),
        ("carol", vec!["owners"]),
        ("dave", vec![OPERATORS]),
        ("eve", vec![]),
    ];
    let mut table = String::new();
    for (name, groups) in people {
        let who = Principal {
            id: name.into(),
            groups: groups.iter().map(|it| Group::from(*it)).collect(),
        };
        let _infallible = write!(table, "{name} {groups:?}:");
        for (word, action) in [
            ("approve", Action::Approve(&ticket)),
            ("reject", Action::Reject(&ticket)),
            ("changes", Action::RequestChanges(&ticket)),
            ("comment", Action::Comment(&ticket)),
            ("withdraw", Action::Withdraw(&ticket)),
            ("see", Action::See(&ticket)),
            ("terminate", Action::Terminate(&ticket)),
            ("resolve", Action::Resolve(&ticket)),
            ("operate", Action::Operate),
        ] {
            if authorize(&who, action).is_ok() {
                let _infallible = write!(table, " {word}");
            }
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
    let eve = Principal {
        id: "eve".into(),
        groups: [].into(),
    };
    // Who may not see it is not told that it is there.
    let refused = authorize(&eve, Action::See(&ticket)).unwrap_err();
    assert_eq!(refused.message, "ticket T-7 does not exist");
}

/// A store of one ticket, which counts how often it is asked.
struct One {
    state: Cell<State>,
    digest: Digest,
    asked: Cell<u32>,
    /// What the rules asked for at the last claim.
    needs: RefCell<Vec<Need>>,
}

/// Rules that hold everything for the dba.
fn law<'a>(policy: &'a Policy, people: &'a Arc<People>) -> Law<'a> {
    Law {
        policy,
        people,
        now_ms: 0,
        ledger: None,
    }
}

impl Tickets for One {
    async fn open(&self, _: NewTicket) -> Result<Opened, StoreError> {
        unreachable!("a claim opens nothing")
    }
    async fn decide(&self, _: Vec<TicketId>, _: Word) -> Result<Vec<Ticket>, StoreError> {
        unreachable!("a claim decides nothing")
    }
    async fn claim(
        &self,
        id: TicketId,
        once: Use,
        standing: Standing,
    ) -> Result<Claimed, StoreError> {
        self.needs.replace(standing.needs);
        self.asked.set(self.asked.get() + 1);
        let state = self.state.get();
        if once.digest != self.digest {
            return Err(StoreError::WrongState { id, state });
        }
        let next = Event::Claim
            .apply(state)
            .ok_or(StoreError::WrongState { id, state })?;
        self.state.set(next);
        Ok(Claimed::Spent(ClaimId(1), None))
    }
    async fn settle(
        &self,
        _: Vec<(TicketId, ClaimId)>,
        _: Event,
        _: Option<Outcome>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("down".into()))
    }
    async fn withdraw(&self, ids: Vec<TicketId>) -> Result<Vec<Ticket>, StoreError> {
        Err(StoreError::NoSuchTicket(*ids.first().unwrap()))
    }
    async fn conclude(
        &self,
        id: TicketId,
        _: Event,
        _: Option<Outcome>,
    ) -> Result<Ticket, StoreError> {
        Err(StoreError::NoSuchTicket(id))
    }
    async fn doubts(&self) -> Result<Vec<Doubt>, StoreError> {
        unreachable!("nobody looks a doubt up here")
    }
    async fn resolve(&self, _: TicketId, _: ClaimId, _: Fate) -> Result<Ticket, StoreError> {
        unreachable!("nobody looks a doubt up here")
    }
    async fn expire(&self) -> Result<Vec<Ticket>, StoreError> {
        Ok(Vec::new())
    }
    async fn abandon(&self, _: TicketId, _: Arc<str>) -> Result<Option<Ticket>, StoreError> {
        Ok(None)
    }
    async fn hold_all(&self, _: Option<HeldAll>) -> Result<Option<HeldAll>, StoreError> {
        Ok(None)
    }
    async fn held_all(&self) -> Result<Option<HeldAll>, StoreError> {
        Ok(None)
    }
    async fn ticket(&self, id: TicketId) -> Result<Ticket, StoreError> {
        Err(StoreError::NoSuchTicket(id))
    }
    async fn list(&self, _: Filter) -> Result<Vec<Ticket>, StoreError> {
        Ok(Vec::new())
    }
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a fake store never waits"),
    }
}

#[test]
fn a_ticket_is_spent_once_and_only_by_its_own_request() {
    let request = Asks::query("INSERT INTO t VALUES (1)").request();
    let other = Asks::query("INSERT INTO t VALUES (2)").request();
    let store = One {
        state: Cell::new(State::Approved),
        digest: request.digest(),
        asked: Cell::new(0),
        needs: RefCell::default(),
    };
    let clearance = |request: &Arc<gate::Request>| Clearance::Ticket {
        ticket: TicketId(7),
        request: request.clone(),
        time_outs: TimeOuts::default(),
    };
    let (policy, people) = (Policy::built_in("dba".into()), Arc::default());
    let law = law(&policy, &people);
    assert!(!clearance(&request).fenced());
    assert!(matches!(
        now(claim(&store, law.clone(), clearance(&other))),
        Err(NotClaimed::Ticket(_))
    ));
    let released = now(claim(&store, law.clone(), clearance(&request))).unwrap();
    assert_eq!(*store.needs.borrow(), [need("dba", 1)]);
    let signed = Authority::Signed {
        ticket: TicketId(7),
        claim: ClaimId(1),
    };
    assert_eq!(released.authority(), &signed);
    assert_eq!(released.right().authority(), &signed);
    assert_eq!(released.request().digest(), request.digest());
    assert!(matches!(
        now(claim(&store, law, clearance(&request))),
        Err(NotClaimed::Ticket(_))
    ));
    assert_eq!(store.asked.get(), 3);
}

#[test]
fn a_pass_never_touches_the_store() {
    let request = Asks::query("SELECT 1").request();
    let Judgement::Allow(pass) = Policy::allow_all().judge(&request, 0) else {
        panic!("anything passes");
    };
    let store = One {
        state: Cell::new(State::Pending),
        digest: Digest::of(b""),
        asked: Cell::new(0),
        needs: RefCell::default(),
    };
    let (policy, people) = (Policy::built_in("dba".into()), Arc::default());
    let released = now(claim(&store, law(&policy, &people), Clearance::Pass(pass))).unwrap();
    assert!(matches!(released.authority(), Authority::Unsigned { .. }));
    assert_eq!(store.asked.get(), 0);
}

/// The gate's own SQL is constant: nothing of a client's is spelled into it.
#[test]
fn own_sql_is_constant() {
    use gate::cargo::Begin;
    use gate::{Own, Settings};
    let settings = Settings::from([("search_path".to_owned(), "x'; DROP TABLE t; --".to_owned())]);
    let all = [
        Own::Begin(Begin::default()),
        Own::Begin(Begin {
            isolation: Some(sql::Isolation::Serializable),
            read_only: Some(true),
            deferrable: Some(true),
        }),
        Own::Rollback,
        Own::Settings(settings.into()),
        Own::Poison,
        Own::FenceOpen,
        Own::FenceClose,
        Own::SavepointOpen,
        Own::SavepointClose,
        Own::LookOpen,
        Own::LookClose,
    ];
    let mut table = String::new();
    for own in all {
        let name: String = format!("{own:?}")
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect();
        let alone = if own.stands_alone() {
            "alone"
        } else {
            "in a segment"
        };
        let _infallible = writeln!(table, "{name} ({alone}): {}", own.sql().join("; "));
        for text in own.sql() {
            assert!(sql::read(&text).single(), "{text}");
        }
    }
    insta::assert_snapshot!(table);
}
