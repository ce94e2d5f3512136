//! A Query, from the socket to the server and back.

use session::{Fault, News};

use crate::dialect::{q, x};
use crate::world::World;

/// The words that the client heard since the last call.
fn heard(world: &mut World) -> Vec<String> {
    std::mem::take(&mut world.heard)
}

#[test]
fn an_allowed_read_is_fenced_and_its_tag_waits_for_the_commit() {
    let mut world = World::new();
    world.pause("upstream");
    world.client(&q("SELECT 1"));
    world.resume();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(
        world.server.heard,
        ["BEGIN READ ONLY", "SELECT 1", "COMMIT"]
    );
}

#[test]
fn a_held_write_runs_once_it_is_approved() {
    let mut world = World::new();
    world.client(&q("INSERT INTO t VALUES (1)"));
    assert!(world.server.heard.is_empty());
    world.approve(1);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), gate::State::Done);
    assert_eq!(world.server.committed, ["INSERT INTO t VALUES (1)"]);
}
