//! Tickets that are good for more than one request, or for one before anybody signs; and the gate closed to all. Each case has
//! a store of its own; it never depends on the order of cases.

use gate::script::ScriptStep;
use gate::ticket::{Asked, Grant, Scope};
use gate::tickets::{Claimed, Filter, HeldAll, NewTicket, Opened, Standing, Step, StoreError, Use};
use gate::{Class, Event, State, Ticket, TicketId, Tickets};
use store::WallClock as _;

use super::bench::{Bench, USE_MS, asked_by, once, people, spent, standing};

fn wrong(id: TicketId, state: State) -> StoreError {
    StoreError::WrongState { id, state }
}

/// A grant of writes to alice, so many times for twice as long as a ticket is good for.
async fn granted<T: Tickets>(bench: &Bench<T>, uses_max: u32) -> Ticket {
    let grant = Grant {
        classes: vec![Class::Write],
        until_ms: bench.clock.now_ms() + 2 * USE_MS,
        uses_max,
    };
    let new = NewTicket {
        scope: Scope::Grant(grant),
        classes: Vec::new(),
        ..asked_by("alice", "grant", &[("dba", 1)])
    };
    let id = bench.pending(new).await.id;
    bench.say(id, "bob", &["dba"], true).await.unwrap()
}

async fn opened<T: Tickets>(bench: &Bench<T>, text: &str) -> Opened {
    let new = asked_by("alice", text, &[("dba", 1)]);
    bench.store.open(new).await.unwrap()
}

pub(super) async fn a_grant_is_used_so_often_until_it_is_over<T: Tickets>(bench: &Bench<T>) {
    let grant = granted(bench, 2).await;
    assert_eq!(grant.expires_ms, bench.clock.now_ms() + 2 * USE_MS);
    let mut claims = Vec::new();
    for text in ["delete from a", "delete from b"] {
        let Opened::Approved(found) = opened(bench, text).await else {
            panic!("{text} is covered")
        };
        assert_eq!(found.id, grant.id);
        claims.push(bench.claim(grant.id, text).await.unwrap());
    }
    assert_ne!(claims[0], claims[1], "each use is a claim of its own");
    // Both are under way, and no third.
    assert_eq!(
        bench.claim(grant.id, "c").await,
        Err(wrong(grant.id, State::Done))
    );
    assert!(matches!(opened(bench, "c").await, Opened::Pending(_)));
    // What was never sent gives its use back.
    let undone = vec![(grant.id, claims[1])];
    bench
        .store
        .settle(undone, Event::Unclaim, None)
        .await
        .unwrap();
    let again = bench.claim(grant.id, "d").await.unwrap();
    bench.clock.advance(USE_MS);
    let settle = async |claim, event| {
        let claims = vec![(grant.id, claim)];
        bench.store.settle(claims, event, None).await
    };
    settle(claims[0], Event::Fail).await.unwrap();
    assert_eq!(
        bench.state(grant.id).await,
        State::Approved,
        "one is under way"
    );
    settle(again, Event::Doubt).await.unwrap();
    assert_eq!(bench.state(grant.id).await, State::Done);
    assert_eq!(
        settle(again, Event::Succeed).await,
        Err(wrong(grant.id, State::Done))
    );

    let over = granted(bench, 5).await;
    bench.clock.advance(2 * USE_MS);
    assert_eq!(
        bench.claim(over.id, "e").await,
        Err(wrong(over.id, State::Expired))
    );
    assert!(matches!(opened(bench, "e").await, Opened::Pending(_)));
}

pub(super) async fn a_grant_covers_its_classes_person_and_tenant<T: Tickets>(bench: &Bench<T>) {
    let grant = granted(bench, 9).await;
    let none = || Err(StoreError::NoSuchTicket(grant.id));
    for other in [
        Use {
            classes: vec![Class::Write, Class::Ddl],
            ..once("a")
        },
        Use {
            classes: vec![Class::Opaque],
            ..once("a")
        },
        Use {
            classes: Vec::new(),
            ..once("a")
        },
        Use {
            principal: "bob".into(),
            ..once("a")
        },
        Use {
            tenant: "globex".into(),
            ..once("a")
        },
    ] {
        let claimed = bench.store.claim(grant.id, other.clone(), standing()).await;
        assert_eq!(claimed.map(spent), none(), "{other:?}");
    }
    for new in [
        NewTicket {
            classes: vec![Class::Ddl],
            ..asked_by("alice", "a", &[("dba", 1)])
        },
        NewTicket {
            tenant: "globex".into(),
            ..asked_by("alice", "b", &[("dba", 1)])
        },
        asked_by("bob", "c", &[("dba", 1)]),
    ] {
        assert!(matches!(
            bench.store.open(new).await,
            Ok(Opened::Pending(_))
        ));
    }
    // Whoever signed for it must still be who they were.
    let nobody = Standing {
        people: people(&[]),
        ..standing()
    };
    let claimed = bench
        .store
        .claim(grant.id, once("a"), nobody)
        .await
        .unwrap();
    assert!(matches!(claimed, Claimed::Reopened(_)));
    assert_eq!(bench.state(grant.id).await, State::Pending);
}

pub(super) async fn an_approved_ticket_comes_before_a_grant<T: Tickets>(bench: &Bench<T>) {
    let ticket = bench.approved("delete from t").await.id;
    let grant = granted(bench, 1).await.id;
    assert!(
        matches!(opened(bench, "delete from t").await, Opened::Approved(it) if it.id == ticket)
    );
    bench.claim(ticket, "delete from t").await.unwrap();
    assert!(matches!(opened(bench, "delete from t").await, Opened::Approved(it) if it.id == grant));
}

pub(super) async fn broken_glass_runs_once_and_is_reviewed<T: Tickets>(bench: &Bench<T>) {
    let new = NewTicket {
        scope: Scope::BreakGlass,
        ..asked_by("alice", "delete from t", &[("dba", 1)])
    };
    let Opened::Approved(ticket) = bench.store.open(new.clone()).await.unwrap() else {
        panic!("it waits")
    };
    // The rule that lets it run must stand.
    let refused = bench
        .store
        .claim(ticket.id, once("delete from t"), standing())
        .await;
    assert_eq!(refused, Err(wrong(ticket.id, State::Void)));
    let breaks = Standing {
        breaks_glass: true,
        ..standing()
    };
    let claim = bench
        .store
        .claim(ticket.id, once("delete from t"), breaks.clone())
        .await;
    let claim = spent(claim.unwrap());
    let again = bench
        .store
        .claim(ticket.id, once("delete from t"), breaks)
        .await;
    assert_eq!(again, Err(wrong(ticket.id, State::Executing)));
    let settled = vec![(ticket.id, claim)];
    bench
        .store
        .settle(settled, Event::Succeed, None)
        .await
        .unwrap();

    let waiting = Filter {
        states: vec![State::Pending],
        requester: None,
        limit: 10,
    };
    let waiting = bench.store.list(waiting).await.unwrap();
    let [review] = waiting.as_slice() else {
        panic!("{waiting:?}")
    };
    assert_eq!(review.scope, Scope::Review { of: ticket.id });
    // It waits for as long as it takes, lets nothing run, and is somebody else's to close.
    bench.clock.advance(365 * 24 * 3600 * 1000);
    assert!(bench.store.expire().await.unwrap().is_empty());
    let none = Err(StoreError::NoSuchTicket(review.id));
    assert_eq!(bench.claim(review.id, "delete from t").await, none);
    let own = bench.say(review.id, "alice", &["dba"], true).await;
    assert_eq!(own, Err(StoreError::OwnTicket(review.id)));
    let closed = bench.say(review.id, "bob", &["dba"], true).await.unwrap();
    assert_eq!(closed.state, State::Done);
    // The same again is another one.
    let next = bench.store.open(new).await.unwrap();
    assert!(matches!(next, Opened::Approved(it) if it.id > review.id));
}

pub(super) async fn the_gate_is_closed_and_opened<T: Tickets>(bench: &Bench<T>) {
    let held = HeldAll {
        by: "carol".into(),
        reason: Some("restore".to_owned()),
        at_ms: 7,
    };
    assert_eq!(bench.store.held_all().await, Ok(None));
    assert_eq!(bench.store.hold_all(Some(held.clone())).await, Ok(None));
    assert_eq!(bench.store.held_all().await, Ok(Some(held.clone())));
    assert_eq!(bench.store.hold_all(None).await, Ok(Some(held)));
    assert_eq!(bench.store.held_all().await, Ok(None));
}

/// A script of three statements, the second in a transaction.
pub(super) async fn script<T: Tickets>(bench: &Bench<T>) -> TicketId {
    let steps = [(0, false), (2, true), (4, false)];
    let steps = steps.map(|(at, in_transaction)| ScriptStep { at, in_transaction });
    let asked = [
        "delete from a",
        "begin",
        "delete from b",
        "commit",
        "delete from c",
    ];
    let asked = asked.map(|text| Asked {
        text: text.into(),
        parameters: Vec::new(),
    });
    let new = NewTicket {
        scope: Scope::Script {
            steps: steps.into(),
        },
        asked: asked.into(),
        ..asked_by("alice", "script", &[("dba", 1)])
    };
    let id = bench.pending(new).await.id;
    bench.say(id, "bob", &["dba"], true).await.unwrap();
    id
}

pub(super) fn sent(holder: &str, text: &str, in_transaction: bool) -> Use {
    Use {
        in_transaction,
        step: Some(Step {
            holder: holder.into(),
            text: text.into(),
        }),
        ..once(text)
    }
}

pub(super) async fn a_script_is_checked_off_in_its_order<T: Tickets>(bench: &Bench<T>) {
    let id = script(bench).await;
    let claim = async |once: Use| bench.store.claim(id, once, standing()).await.map(spent);
    let expects = |next: Option<&str>| StoreError::NotNext {
        id,
        expected: next.map(str::to_owned),
    };
    let early = claim(sent("one", "delete from b", true)).await;
    assert_eq!(early, Err(expects(Some("delete from a"))));
    assert_eq!(
        bench.state(id).await,
        State::Approved,
        "nothing is spent by that"
    );
    let first = claim(sent("one", " -- x\ndelete from a;", false))
        .await
        .unwrap();
    assert_eq!(bench.state(id).await, State::Executing);
    let other = claim(sent("two", "delete from b", true)).await;
    assert_eq!(
        other,
        Err(wrong(id, State::Executing)),
        "it is one connection's"
    );
    bench
        .store
        .settle(vec![(id, first)], Event::Succeed, None)
        .await
        .unwrap();
    assert_eq!(bench.state(id).await, State::Executing, "there is more");
    let outside = claim(sent("one", "delete from b", false)).await;
    assert_eq!(outside, Err(expects(Some("delete from b"))));
    // What was never sent has its turn again.
    let second = claim(sent("one", "delete from b", true)).await.unwrap();
    assert_eq!(second, first, "it is one use");
    bench
        .store
        .settle(vec![(id, first)], Event::Unclaim, None)
        .await
        .unwrap();
    claim(sent("one", "delete from b", true)).await.unwrap();
    bench
        .store
        .settle(vec![(id, first)], Event::Succeed, None)
        .await
        .unwrap();
    claim(sent("one", "delete from c", false)).await.unwrap();
    let more = claim(sent("one", "delete from d", false)).await;
    assert_eq!(more, Err(expects(None)));
    bench
        .store
        .settle(vec![(id, first)], Event::Succeed, None)
        .await
        .unwrap();
    assert_eq!(bench.state(id).await, State::Done);
    assert_eq!(bench.store.abandon(id, "one".into()).await, Ok(None));
}

pub(super) async fn a_script_that_is_left_has_failed<T: Tickets>(bench: &Bench<T>) {
    let id = script(bench).await;
    assert_eq!(bench.store.abandon(id, "one".into()).await, Ok(None));
    assert_eq!(
        bench.state(id).await,
        State::Approved,
        "nobody has begun it"
    );
    let begun = sent("one", "delete from a", false);
    bench.store.claim(id, begun, standing()).await.unwrap();
    assert_eq!(bench.store.abandon(id, "two".into()).await, Ok(None));
    let left = bench
        .store
        .abandon(id, "one".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(left.state, State::Failed);
    let outcome = left.outcome.unwrap().error.unwrap();
    assert_eq!(outcome, "its session ended behind 1 of 3 statements");
    // As one request it is spent like any other.
    let id = script(bench).await;
    let claim = bench.claim(id, "script").await.unwrap();
    bench
        .store
        .settle(vec![(id, claim)], Event::Succeed, None)
        .await
        .unwrap();
    assert_eq!(bench.state(id).await, State::Done);
}
