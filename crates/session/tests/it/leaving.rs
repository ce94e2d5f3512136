//! A client that leaves, at every step on the way up.

use gate::State;
use gate::ticket::TimeOuts;
use session::News;

use crate::dialect::{h, p, pbde, q, x};
use crate::world::World;

const WRITE: &str = "INSERT INTO t VALUES (1)";

/// A session that stands still at `pause` on its way up with an approved write.
fn at(pause: &'static str) -> World {
    let mut world = World::new();
    world.client(&q(WRITE));
    world.pause(pause);
    world.approve(1);
    world
}

#[test]
fn while_held_nothing_ever_runs_by_itself() {
    let mut world = World::new();
    world.client(&q(WRITE));
    world.gone();
    insta::assert_snapshot!(world.transcript());
    assert!(world.session.is_closed());
    world.approve(1);
    world.news(1, News::Approved(TimeOuts::default()));
    assert_eq!(world.store.state(1), State::Approved);
    assert!(world.server.heard.is_empty());
}

#[test]
fn before_the_claim_nothing_is_spent() {
    let mut world = World::new();
    world.pause("ask");
    world.client(&q(WRITE));
    world.gone();
    world.resume();
    assert!(world.session.is_closed() && !world.is_waiting());
    let mut world = at("checkout");
    world.gone();
    world.resume();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Approved);
}

/// DESIGN ruling 1: a claim that was never sent goes back.
#[test]
fn after_the_claim_it_is_put_back() {
    for pause in ["claim", "write"] {
        let mut world = at(pause);
        world.gone();
        world.resume();
        if pause == "write" {
            insta::assert_snapshot!(world.transcript());
        }
        assert_eq!(world.store.state(1), State::Approved, "{pause}");
        assert!(world.session.is_closed() && world.server.heard.is_empty());
    }
}

#[test]
fn a_cancel_on_the_way_up() {
    let mut world = at("checkout");
    world.cancel();
    world.resume();
    insta::assert_snapshot!("a_cancel_before_the_claim", world.transcript());
    assert_eq!(world.store.state(1), State::Withdrawn);
    // Once it is spent it is sent, and the server is asked to stop.
    let mut world = at("claim");
    world.cancel();
    world.resume();
    assert!(world.log.contains(&"  CancelUpstream".to_owned()));
    assert_eq!(world.store.state(1), State::Done);
}

#[test]
fn a_server_that_goes_before_anything_is_sent_leaves_nothing_in_doubt() {
    for pause in ["claim", "write"] {
        let mut world = at(pause);
        world.upstream_gone();
        world.resume();
        assert_eq!(world.store.state(1), State::Approved, "{pause}");
        assert!(
            world.heard.last().unwrap().starts_with("E:FATAL 08006"),
            "{:?}",
            world.heard
        );
    }
}

/// Hazards R54: what people signed runs to its end, so that its outcome is known.
#[test]
fn while_it_runs_it_runs_to_its_end() {
    let mut world = at("upstream");
    world.gone();
    assert!(!world.session.is_closed());
    world.resume();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
    assert!(world.session.is_closed());
}

#[test]
fn a_read_is_of_no_use_to_nobody() {
    let mut world = World::new();
    world.pause("upstream");
    world.client(&q("SELECT 1"));
    world.gone();
    assert!(world.session.is_closed());
    assert!(world.log.contains(&"  Checkin Close".to_owned()));
}

#[test]
fn in_an_open_segment_the_sync_is_sent_for_it() {
    let mut world = World::new();
    world.client(&[pbde(WRITE), h()].concat());
    world.pause("upstream");
    world.approve(1);
    world.gone();
    world.resume();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
    assert_eq!(world.server.committed, [WRITE]);
}

#[test]
fn in_a_transaction_what_was_spent_is_rolled_back() {
    let mut world = World::new();
    world.client(&[q("BEGIN"), q(WRITE)].concat());
    world.approve(1);
    assert_eq!(world.store.state(1), State::Executing);
    world.gone();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::RolledBack);
}

#[test]
fn while_it_is_settled_the_rest_of_the_transaction_is_settled_too() {
    let mut world = World::new();
    world.client(&[q("BEGIN"), q(WRITE), q("INSERT INTO boom VALUES (2)")].concat());
    world.approve(1);
    world.pause("settle");
    world.approve(2);
    world.gone();
    world.resume();
    assert!(world.session.is_closed());
    assert_eq!(
        world.store.state(1),
        State::RolledBack,
        "{}",
        world.transcript()
    );
    assert_eq!(world.store.state(2), State::Failed);
}

#[test]
fn a_goodbye_behind_what_may_run_lets_it_run() {
    let mut world = World::new();
    world.client(&[q("SELECT 1"), x()].concat());
    assert_eq!(world.heard, ["T", "D:0", "C:SELECT 1", "Z:I"]);
    assert!(world.session.is_closed());
    let mut world = World::new();
    world.client(&[p("", "SELECT 1"), x()].concat());
    assert!(world.session.is_closed());
}

/// All that was sent had been answered and no Sync was: the server rolls back, and nobody doubts it.
#[test]
fn between_a_flush_and_its_sync_it_is_rolled_back() {
    let mut world = World::new();
    world.client(&[pbde(WRITE), h()].concat());
    world.approve(1);
    world.gone();
    assert_eq!(world.store.state(1), State::RolledBack);
    assert!(world.server.committed.is_empty());
    let mut world = World::new();
    world.client(&[pbde("INSERT INTO boom VALUES (1)"), h()].concat());
    world.approve(1);
    assert_eq!(world.session.state(), "skipping");
    world.gone();
    assert_eq!(world.store.state(1), State::Failed);
    // A COMMIT that was heard has happened.
    let mut world = World::new();
    world.client(&[q("BEGIN"), q(WRITE)].concat());
    world.approve(1);
    world.client(&[pbde("COMMIT"), h()].concat());
    world.gone();
    assert_eq!(world.store.state(1), State::Done);
    assert_eq!(world.server.committed, [WRITE]);
}
