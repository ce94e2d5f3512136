//! What expires, what is shared, and who wins. Each case has a store of its own; it
//! never depends on the order of cases.

use gate::tickets::{Filter, NewTicket, Opened, StoreError, Whose};
use gate::{Digest, Event, Outcome, State, TicketId, Tickets};
use store::WallClock as _;
use tokio::task::LocalSet;

use super::bench::{Bench, DECIDE_MS, PENDING_MAX, USE_MS, asked_by, once, standing};

fn wrong(id: TicketId, state: State) -> StoreError {
    StoreError::WrongState { id, state }
}

pub(super) async fn a_new_ticket_is_as_asked<T: Tickets>(bench: &Bench<T>) {
    let new = asked_by("alice", "delete from t", &[("dba", 2), ("owners", 1)]);
    let ticket = bench
        .pending(NewTicket {
            in_transaction: true,
            ..new.clone()
        })
        .await;
    assert_eq!(ticket.state, State::Pending);
    assert_eq!((ticket.created_ms, ticket.expires_ms), {
        let now = bench.clock.now_ms();
        (now, now + DECIDE_MS)
    });
    assert_eq!(ticket.digest, Digest::of(b"delete from t").to_string());
    assert_eq!(
        (ticket.needs.clone(), ticket.asked.clone()),
        (new.needs.clone(), new.asked)
    );
    assert_eq!(
        (ticket.tenant.as_str(), ticket.requester.as_str()),
        ("acme", "alice")
    );
    assert_eq!(
        (&ticket.class, &ticket.rule, &ticket.why),
        (&new.class, &new.rule, &new.why)
    );
    assert_eq!((&ticket.role, &ticket.client), (&new.role, &new.client));
    assert_eq!((&ticket.reason, &ticket.facts), (&new.reason, &new.facts));
    assert_eq!(ticket.time_outs, new.time_outs);
    assert!(ticket.in_transaction && ticket.decisions.is_empty());
    assert_eq!((ticket.previous, ticket.outcome.clone()), (None, None));
    assert_eq!(ticket.missing(), new.needs);
    assert_eq!(bench.store.ticket(ticket.id).await.unwrap(), ticket);
}

pub(super) async fn expiry_is_judged_without_a_sweep<T: Tickets>(bench: &Bench<T>) {
    let alive = bench.simple("select 1").await.id;
    bench.clock.advance(DECIDE_MS - 1);
    assert_eq!(bench.state(alive).await, State::Pending);
    bench.clock.advance(1);
    let id = alive;
    assert_eq!(bench.state(id).await, State::Expired);
    let expired = Err(wrong(id, State::Expired));
    assert_eq!(bench.say(id, "bob", &["dba"], true).await, expired);
    assert_eq!(bench.say(id, "bob", &["dba"], false).await, expired);
    let withdrawn = bench.store.withdraw(vec![id]).await;
    assert_eq!(withdrawn, Err(wrong(id, State::Expired)));
    assert!(bench.store.ticket(id).await.unwrap().decisions.is_empty());

    let swept = bench.store.expire().await.unwrap();
    assert_eq!(
        swept.iter().map(|it| (it.id, it.state)).collect::<Vec<_>>(),
        [(id, State::Expired)]
    );
    assert!(
        bench.store.expire().await.unwrap().is_empty(),
        "an expiry is told once"
    );

    let next = bench.simple("select 1").await;
    assert_ne!(next.id, id, "an expired ticket is not shared");
    assert_eq!(next.previous, Some(id));
}

pub(super) async fn approval_starts_a_new_time<T: Tickets>(bench: &Bench<T>) {
    let id = bench.simple("select 1").await.id;
    bench.clock.advance(DECIDE_MS - 1);
    let ticket = bench.say(id, "bob", &["dba"], true).await.unwrap();
    assert_eq!(ticket.expires_ms, bench.clock.now_ms() + USE_MS);
    bench.clock.advance(USE_MS);
    let claim = bench.claim(id, "select 1").await;
    assert_eq!(claim, Err(wrong(id, State::Expired)));
    assert!(matches!(
        bench.store.open(asked_by("alice", "select 1", &[("dba", 1)])).await,
        Ok(Opened::Pending(ticket)) if ticket.id != id
    ));
}

pub(super) async fn another_digest_is_not_claimed<T: Tickets>(bench: &Bench<T>) {
    let id = bench.approved("delete from t where id = 1").await.id;
    assert_eq!(
        bench.claim(id, "delete from t where id = 2").await,
        Err(StoreError::NoSuchTicket(id))
    );
    assert_eq!(bench.state(id).await, State::Approved);
}

pub(super) async fn one_of_many_claims_wins<T: Tickets + Clone + 'static>(bench: &Bench<T>) {
    let id = bench.approved("delete from t").await.id;
    let local = LocalSet::new();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = bench.store.clone();
            local.spawn_local(
                async move { store.claim(id, once("delete from t"), standing()).await },
            )
        })
        .collect();
    local.await;
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error, wrong(id, State::Executing)),
        }
    }
    assert_eq!(won, 1);
}

pub(super) async fn a_pending_ticket_is_shared<T: Tickets>(bench: &Bench<T>) {
    let id = bench.simple("delete from t").await.id;
    assert_eq!(bench.simple("delete from t").await.id, id);
    assert_ne!(
        bench.simple("delete from  t").await.id,
        id,
        "a byte is a difference"
    );
    let other = bench
        .pending(asked_by("bob", "delete from t", &[("dba", 1)]))
        .await;
    assert_ne!(other.id, id, "a ticket is one person's");
    assert_eq!(other.previous, None);
    let elsewhere = NewTicket {
        tenant: "globex".into(),
        ..asked_by("alice", "delete from t", &[("dba", 1)])
    };
    assert_ne!(
        bench.pending(elsewhere).await.id,
        id,
        "a ticket is one tenant's"
    );
}

/// Hazards R99: nobody floods those who sign.
pub(super) async fn so_many_may_wait_and_no_more<T: Tickets>(bench: &Bench<T>) {
    for number in 0..PENDING_MAX {
        bench.simple(&format!("delete from t{number}")).await;
    }
    let open = async |who, text| bench.store.open(asked_by(who, text, &[("dba", 1)])).await;
    let many = |whose, max| Err(StoreError::TooMany { whose, max });
    let told = open("alice", "one more").await.map(|_| ());
    assert_eq!(told, many(Whose::Person, PENDING_MAX));
    let shared = open("alice", "delete from t0").await;
    assert!(shared.is_ok(), "one that waits is shared all the same");
    open("bob", "one").await.unwrap();
    let told = open("bob", "two").await.map(|_| ());
    assert_eq!(told, many(Whose::Tenant, PENDING_MAX + 1));
    // Who decides makes room.
    bench.say(TicketId(1), "bob", &["dba"], true).await.unwrap();
    open("bob", "two").await.unwrap();
    // What has expired waits no more.
    bench.clock.advance(DECIDE_MS);
    open("alice", "one more").await.unwrap();
}

pub(super) async fn an_approved_ticket_is_found<T: Tickets>(bench: &Bench<T>) {
    let id = bench.approved("delete from t").await.id;
    let open = || {
        bench
            .store
            .open(asked_by("alice", "delete from t", &[("dba", 1)]))
    };
    assert!(matches!(open().await, Ok(Opened::Approved(ticket)) if ticket.id == id));
    bench.claim(id, "delete from t").await.unwrap();
    let Ok(Opened::Pending(next)) = open().await else {
        panic!("a spent ticket was found")
    };
    assert_ne!(next.id, id);
}

pub(super) async fn a_spent_ticket_is_named_as_previous<T: Tickets>(bench: &Bench<T>) {
    let first = bench.claimed("delete from t").await;
    let outcome = Outcome {
        tags: vec![],
        error: Some("23503: it is referenced".to_owned()),
    };
    bench
        .store
        .settle(vec![first], Event::Fail, Some(outcome.clone()))
        .await
        .unwrap();
    assert_eq!(
        bench.store.ticket(first.0).await.unwrap().outcome,
        Some(outcome)
    );
    let second = bench.simple("delete from t").await;
    assert_eq!(second.previous, Some(first.0));
    bench.store.withdraw(vec![second.id]).await.unwrap();
    assert_eq!(
        bench.simple("delete from t").await.previous,
        Some(second.id)
    );
}

pub(super) async fn a_claim_that_was_undone_cannot_be_settled<T: Tickets>(bench: &Bench<T>) {
    let (id, first) = bench.claimed("delete from t").await;
    bench
        .store
        .settle(vec![(id, first)], Event::Unclaim, None)
        .await
        .unwrap();
    let late = bench
        .store
        .settle(vec![(id, first)], Event::Succeed, None)
        .await;
    assert_eq!(late, Err(wrong(id, State::Approved)));
    let second = bench.claim(id, "delete from t").await.unwrap();
    assert_ne!(first, second);
    let late = bench
        .store
        .settle(vec![(id, first)], Event::Succeed, None)
        .await;
    assert_eq!(
        late,
        Err(wrong(id, State::Executing)),
        "the claim of another use"
    );
    let outcome = Outcome {
        tags: vec!["DELETE 3".into()],
        error: None,
    };
    bench
        .store
        .settle(vec![(id, second)], Event::Succeed, Some(outcome.clone()))
        .await
        .unwrap();
    let ticket = bench.store.ticket(id).await.unwrap();
    assert_eq!((ticket.state, ticket.outcome), (State::Done, Some(outcome)));
}

pub(super) async fn settling_is_all_or_nothing<T: Tickets>(bench: &Bench<T>) {
    let one = bench.claimed("delete from a").await;
    let two = bench.claimed("delete from b").await;
    bench
        .store
        .settle(vec![two], Event::Doubt, None)
        .await
        .unwrap();
    let both = bench
        .store
        .settle(vec![one, two], Event::Succeed, None)
        .await;
    assert_eq!(both, Err(wrong(two.0, State::InDoubt)));
    assert_eq!(bench.state(one.0).await, State::Executing);
    let crossed = bench
        .store
        .settle(vec![(one.0, two.1)], Event::Succeed, None)
        .await;
    assert_eq!(crossed, Err(wrong(one.0, State::Executing)));
    let three = bench.claimed("delete from c").await;
    let crossed = vec![(one.0, three.1), (three.0, one.1)];
    let crossed = bench.store.settle(crossed, Event::Succeed, None).await;
    assert_eq!(
        crossed,
        Err(wrong(one.0, State::Executing)),
        "the claim of another ticket"
    );
    for event in [Event::Claim, Event::Reject, Event::Expire] {
        let strange = bench.store.settle(vec![one], event, None).await;
        assert_eq!(strange, Err(wrong(one.0, State::Executing)));
    }
    bench
        .store
        .settle(vec![one], Event::RollBack, None)
        .await
        .unwrap();
}

pub(super) async fn an_unclaimed_ticket_expires_like_any<T: Tickets>(bench: &Bench<T>) {
    let claim = bench.claimed("delete from t").await;
    bench.clock.advance(USE_MS);
    assert!(
        bench.store.expire().await.unwrap().is_empty(),
        "what executes does not expire"
    );
    assert_eq!(bench.state(claim.0).await, State::Executing);
    bench
        .store
        .settle(vec![claim], Event::Unclaim, None)
        .await
        .unwrap();
    assert_eq!(bench.state(claim.0).await, State::Expired);
    let again = bench.claim(claim.0, "delete from t").await;
    assert_eq!(again, Err(wrong(claim.0, State::Expired)));
    assert_eq!(bench.store.expire().await.unwrap().len(), 1);
}

pub(super) async fn a_rule_has_times_of_its_own<T: Tickets>(bench: &Bench<T>) {
    let own = |decide, used| NewTicket {
        decide_within_ms: decide,
        use_within_ms: used,
        ..asked_by("alice", "drop table t", &[("dba", 1)])
    };
    let short = bench.pending(own(Some(10), None)).await;
    assert_eq!(short.expires_ms, short.created_ms + 10);
    bench.clock.advance(10);
    assert_eq!(bench.state(short.id).await, State::Expired);

    let brief = bench.pending(own(None, Some(20))).await.id;
    let ticket = bench.say(brief, "bob", &["dba"], true).await.unwrap();
    assert_eq!(ticket.expires_ms, bench.clock.now_ms() + 20);
    bench.clock.advance(20);
    assert_eq!(bench.state(brief).await, State::Expired);
}

pub(super) async fn a_list_is_filtered<T: Tickets>(bench: &Bench<T>) {
    let approved = bench.approved("a").await.id;
    bench.clock.advance(USE_MS);
    let bobs = bench.pending(asked_by("bob", "b", &[("dba", 1)])).await.id;
    let own = bench.simple("c").await.id;
    let list = async |states: &[State], requester: Option<&str>, limit| {
        let requester = requester.map(Into::into);
        let filter = Filter {
            states: states.to_vec(),
            requester,
            limit,
        };
        let found = bench.store.list(filter).await.unwrap();
        found
            .into_iter()
            .map(|ticket| ticket.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&[], None, 10).await, [own, bobs, approved]);
    assert_eq!(list(&[], None, 2).await, [own, bobs]);
    assert_eq!(list(&[], None, 0).await.len(), 3, "a limit of 0 is none");
    assert_eq!(list(&[State::Pending], None, 10).await, [own, bobs]);
    assert_eq!(list(&[State::Pending], Some("bob"), 10).await, [bobs]);
    assert!(
        list(&[State::Approved], None, 10).await.is_empty(),
        "its time is over"
    );
    assert_eq!(list(&[State::Expired], None, 10).await, [approved]);
}

pub(super) async fn an_unknown_ticket_is_unknown<T: Tickets>(bench: &Bench<T>) {
    let id = TicketId(42);
    let none = StoreError::NoSuchTicket(id);
    assert_eq!(bench.store.ticket(id).await.unwrap_err(), none);
    assert_eq!(bench.store.withdraw(vec![id]).await.unwrap_err(), none);
    assert_eq!(
        bench.say(id, "bob", &["dba"], true).await.unwrap_err(),
        none
    );
    assert_eq!(bench.claim(id, "").await.unwrap_err(), none);
    let claim = vec![(id, gate::ticket::ClaimId(1))];
    assert_eq!(
        bench
            .store
            .settle(claim, Event::Doubt, None)
            .await
            .unwrap_err(),
        none
    );
}
