//! Ways around the gate that a hostile reading of it found, each closed and each a test.

use gate::State;

use crate::dialect::{b, e, h, p, pbde, q, s};
use crate::world::World;

const WRITE: &str = "INSERT INTO t VALUES (1)";

fn heard(world: &mut World) -> Vec<String> {
    std::mem::take(&mut world.heard)
}

fn refused(world: &mut World, message: &str) {
    let heard = heard(world);
    let told = heard.iter().any(|it| it.contains(message));
    assert!(told, "no \"{message}\" in {heard:?}");
}

/// A suspended portal of an unsigned read, executed beside a Bind that needs no fence, would run in
/// no fence either.
#[test]
fn an_older_portal_is_not_fetched_beside_a_bind() {
    let mut world = World::new();
    world.client(&[q("BEGIN"), p("", "SELECT many"), b("c", ""), e("c", 2), s()].concat());
    heard(&mut world);
    world.client(&[p("", "SAVEPOINT a"), b("", ""), e("", 0), e("c", 0), s()].concat());
    refused(
        &mut world,
        "a batch that binds cannot fetch from a portal of an earlier one",
    );
    let sent = &world.server.heard;
    assert!(!sent.iter().any(|it| it == "SAVEPOINT a"), "{sent:?}");
}

/// A fence of its own is a transaction of its own: it would take in what was sent before it in the
/// same segment, and end it.
#[test]
fn a_read_does_not_share_a_segment_with_a_write() {
    let mut world = World::new();
    world.client(&[pbde(WRITE), h()].concat());
    world.approve(1);
    heard(&mut world);
    world.client(&[pbde("SELECT 1"), s()].concat());
    refused(
        &mut world,
        "an unsigned read and another statement cannot share a segment",
    );
    assert_eq!(world.store.state(1), State::RolledBack);
    assert!(world.server.committed.is_empty());
}

/// What is bound and not executed does not count as transaction control that ran.
#[test]
fn an_end_that_is_only_bound_ends_nothing() {
    let mut world = World::new();
    world.client(&q("BEGIN"));
    world.client(&q(WRITE));
    world.approve(1);
    let bound = [p("x", "COMMIT"), b("x", "x")].concat();
    let savepoint = [p("y", "SAVEPOINT a"), b("y", "y"), e("y", 0)].concat();
    world.client(&[bound, savepoint, s()].concat());
    assert_eq!(world.store.state(1), State::Executing);
    world.client(&q("COMMIT"));
    assert_eq!(world.store.state(1), State::Done);
}
