//! COPY, in both directions and both protocols.

use gate::State;

use crate::dialect::{b, copy_fail, data, done, e, p, q, s};
use crate::world::World;

const IN: &str = "COPY t FROM STDIN";

fn by_query() -> World {
    let mut world = World::new();
    world.client(&q(IN));
    world.approve(1);
    assert_eq!(world.heard.last().unwrap(), "G");
    world
}

/// Hazards R43: held before the server says that it wants data, then streamed.
#[test]
fn in_by_query() {
    let mut world = World::new();
    world.client(&q(IN));
    assert!(!world.heard.contains(&"G".to_owned()));
    world.approve(1);
    world.client(&[data(b"1\n"), data(b"2\n")].concat());
    world.client(&done());
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
    world.client(&q("SELECT 1"));
    assert_eq!(world.heard.last().unwrap(), "Z:I");
}

/// Hazards V21: a Sync that was sent early is swallowed, by the server and by the gate.
#[test]
fn in_by_batch_with_an_early_sync() {
    let mut world = World::new();
    world.client(&[p("", IN), b("", ""), e("", 0), s()].concat());
    world.approve(1);
    world.client(&[data(b"1\n"), s(), done()].concat());
    assert!(!world.heard.contains(&"Z:I".to_owned()));
    world.client(&s());
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
    assert_eq!(world.server.committed, [IN]);
}

#[test]
fn in_that_the_client_gives_up() {
    let mut world = by_query();
    world.client(&[data(b"1\n"), copy_fail("no more")].concat());
    assert_eq!(
        world.heard[3..],
        ["E:ERROR 57014 COPY from stdin failed", "Z:I"]
    );
    assert_eq!(world.store.state(1), State::Failed);
    let mut world = World::new();
    world.client(&[p("", IN), b("", ""), e("", 0), s()].concat());
    world.approve(1);
    world.client(&copy_fail("no more"));
    world.client(&[data(b"late"), done(), s()].concat());
    assert_eq!(world.heard.last().unwrap(), "Z:I");
    assert_eq!(world.session.state(), "idle");
    assert_eq!(world.store.state(1), State::Failed);
}

#[test]
fn in_whose_client_goes() {
    let mut world = by_query();
    world.client(&data(b"1\n"));
    world.gone();
    insta::assert_snapshot!("in_by_query_whose_client_goes", world.transcript());
    assert_eq!(world.store.state(1), State::Failed);
    // By batch, and before the server has said that it wants data.
    let mut world = World::new();
    world.client(&[p("", IN), b("", ""), e("", 0), s()].concat());
    world.pause("upstream");
    world.approve(1);
    world.gone();
    world.resume();
    insta::assert_snapshot!("in_by_batch_whose_client_goes_early", world.transcript());
    assert_eq!(world.store.state(1), State::Failed);
    assert!(world.session.is_closed() && world.server.committed.is_empty());
}

#[test]
fn a_query_in_the_middle_ends_the_session() {
    let mut world = by_query();
    world.client(&q("SELECT 1"));
    assert!(
        world.heard[3].starts_with("E:FATAL 08P01"),
        "{:?}",
        world.heard
    );
    assert_eq!(world.store.state(1), State::Failed);
    assert!(world.server.committed.is_empty());
}

#[test]
fn what_is_left_of_a_copy_that_the_server_ended_is_dropped() {
    let mut world = World::new();
    world.client(&[data(b"1"), done(), copy_fail("x"), q("SELECT 1")].concat());
    assert_eq!(world.heard, ["T", "D:0", "C:SELECT 1", "Z:I"]);
}

#[test]
fn out_by_both_protocols() {
    let mut world = World::new();
    world.client(&q("COPY theirs TO STDOUT"));
    insta::assert_snapshot!(world.transcript());
    world.heard.clear();
    world.client(&[p("", "COPY t TO STDOUT"), b("", ""), e("", 0), s()].concat());
    assert_eq!(
        world.heard,
        ["1", "2", "H", "d:a", "d:b", "c", "C:COPY 2", "Z:I"]
    );
}

/// Rows that are longer than what is read at once pass in pieces.
#[test]
fn big_rows_pass_in_pieces() {
    let mut world = World::new();
    world.pieces = Some(1_000);
    world.client(&q("SELECT big"));
    assert_eq!(world.heard, ["T", "D:100000 bytes", "C:SELECT 1", "Z:I"]);
}
