//! What a store knows of rows in ledgers: which doubts one can tell of, by which key, and what comes of that (hazards R83, R88).

use gate::ledger::{Fate, Key, Nonce, Place};
use gate::ticket::{ClaimId, Grant, Scope};
use gate::tickets::{Claimed, Doubt, NewTicket, StoreError, Use};
use gate::{Class, Event, State, TicketId, Tickets};

use super::bench::{Bench, asked_by, once, standing};
use super::scopes::{script, sent};

fn place() -> Place {
    Place::of("7301", "acme")
}

fn with_row(once: Use) -> Use {
    Use {
        ledger: Some(place()),
        ..once
    }
}

/// A claim, and the nonce that came with it.
async fn claim<T: Tickets>(bench: &Bench<T>, id: TicketId, once: Use) -> (ClaimId, Option<Nonce>) {
    match bench.store.claim(id, once, standing()).await.unwrap() {
        Claimed::Spent(claim, nonce) => (claim, nonce),
        Claimed::Reopened(ticket) => panic!("{} waits again", ticket.id),
    }
}

async fn settle<T: Tickets>(bench: &Bench<T>, id: TicketId, claim: ClaimId, event: Event) {
    let claims = vec![(id, claim)];
    bench.store.settle(claims, event, None).await.unwrap();
}

/// What is in doubt, and the keys.
async fn doubts<T: Tickets>(bench: &Bench<T>) -> Vec<(TicketId, ClaimId, Key)> {
    let of = |it: Doubt| (it.ticket, it.claim, it.key);
    let found = bench.store.doubts().await.unwrap();
    assert!(
        found
            .iter()
            .all(|it| it.tenant.as_str() == "acme" && it.place == place())
    );
    found.into_iter().map(of).collect()
}

pub(super) async fn what_took_a_row_is_resolved_by_it<T: Tickets>(bench: &Bench<T>) {
    for (fate, state, said) in [
        (Fate::Ran, State::Done, "the ledger says that it ran"),
        (
            Fate::Fenced,
            State::Fenced,
            "the ledger says that it has not run, and never will",
        ),
    ] {
        let text = format!("{fate:?}");
        let id = bench.approved(&text).await.id;
        let (first, nonce) = claim(bench, id, with_row(once(&text))).await;
        assert_eq!(doubts(bench).await, [], "it is under way");
        // What was never sent is the same row when it is claimed again.
        settle(bench, id, first, Event::Unclaim).await;
        let (second, again) = claim(bench, id, with_row(once(&text))).await;
        assert_eq!(nonce, again);
        settle(bench, id, second, Event::Doubt).await;
        let key = nonce.unwrap().key();
        assert_eq!(doubts(bench).await, [(id, second, key)]);
        let other = bench.store.resolve(id, first, fate).await;
        assert!(
            matches!(other, Err(StoreError::WrongState { .. })),
            "{other:?}"
        );
        let resolved = bench.store.resolve(id, second, fate).await.unwrap();
        assert_eq!(resolved.state, state);
        assert_eq!(resolved.outcome.unwrap().error.as_deref(), Some(said));
        assert_eq!(doubts(bench).await, []);
        let twice = bench.store.resolve(id, second, fate).await;
        assert_eq!(twice, Err(StoreError::WrongState { id, state }));
    }
}

pub(super) async fn what_took_none_is_for_people<T: Tickets>(bench: &Bench<T>) {
    let id = bench.approved("vacuum").await.id;
    let (first, nonce) = claim(bench, id, once("vacuum")).await;
    assert_eq!(nonce, None);
    settle(bench, id, first, Event::Doubt).await;
    assert_eq!(doubts(bench).await, []);
    // A person may be quicker than a ledger, too.
    let id = bench.approved("delete").await.id;
    let (first, _) = claim(bench, id, with_row(once("delete"))).await;
    settle(bench, id, first, Event::Doubt).await;
    bench
        .store
        .conclude(id, Event::Confirm, None)
        .await
        .unwrap();
    assert_eq!(doubts(bench).await, []);
    let late = bench.store.resolve(id, first, Fate::Fenced).await;
    let state = State::Done;
    assert_eq!(late, Err(StoreError::WrongState { id, state }));
}

pub(super) async fn each_use_of_a_grant_has_its_own_row<T: Tickets>(bench: &Bench<T>) {
    let scope = Scope::Grant(Grant {
        classes: vec![Class::Write],
        until_ms: i64::MAX,
        uses_max: 2,
    });
    let new = NewTicket {
        scope,
        ..asked_by("alice", "a grant", &[("dba", 1)])
    };
    let id = bench.pending(new).await.id;
    bench.say(id, "bob", &["dba"], true).await.unwrap();
    let (first, one) = claim(bench, id, with_row(once("a"))).await;
    let (second, other) = claim(bench, id, with_row(once("b"))).await;
    assert_ne!(one, other);
    settle(bench, id, first, Event::Doubt).await;
    settle(bench, id, second, Event::Succeed).await;
    assert_eq!(doubts(bench).await, [(id, first, one.unwrap().key())]);
    let state = bench.state(id).await;
    let resolved = bench.store.resolve(id, first, Fate::Ran).await.unwrap();
    assert_eq!(resolved.state, state, "the grant is what it was");
    assert_eq!(doubts(bench).await, []);
}

pub(super) async fn a_script_has_the_row_of_its_last_step<T: Tickets>(bench: &Bench<T>) {
    let id = script(bench).await;
    let (use_of_it, first) = claim(bench, id, with_row(sent("one", "delete from a", false))).await;
    settle(bench, id, use_of_it, Event::Succeed).await;
    let (_, second) = claim(bench, id, with_row(sent("one", "delete from b", true))).await;
    assert_ne!(first, second);
    settle(bench, id, use_of_it, Event::Doubt).await;
    let key = second.unwrap().key();
    assert_eq!(doubts(bench).await, [(id, use_of_it, key)]);
    let resolved = bench.store.resolve(id, use_of_it, Fate::Fenced).await;
    let said = resolved.unwrap().outcome.unwrap().error.unwrap();
    assert_eq!(
        said,
        "the ledger says that statement 2 of 3 has not run, and never will"
    );
    // A step that took none leaves nothing that a ledger could tell of.
    let id = script(bench).await;
    let (use_of_it, _) = claim(bench, id, with_row(sent("one", "delete from a", false))).await;
    settle(bench, id, use_of_it, Event::Succeed).await;
    let (_, none) = claim(bench, id, sent("one", "delete from b", true)).await;
    assert_eq!(none, None);
    settle(bench, id, use_of_it, Event::Unclaim).await;
    claim(bench, id, sent("one", "delete from b", true)).await;
    settle(bench, id, use_of_it, Event::Doubt).await;
    assert_eq!(doubts(bench).await, []);
}
