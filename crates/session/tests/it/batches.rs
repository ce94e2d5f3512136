//! Extended batches: Sync, Flush, errors, names and portals.

use gate::State;

use crate::dialect::{b, cp, cs, dp, ds, e, h, p, pbde, q, s};
use crate::world::World;

const WRITE: &str = "INSERT INTO t VALUES (1)";

fn heard(world: &mut World) -> Vec<String> {
    std::mem::take(&mut world.heard)
}

#[test]
fn parse_bind_execute_sync() {
    let mut world = World::new();
    world.client(&[pbde("SELECT 1"), s()].concat());
    insta::assert_snapshot!(world.transcript());
    let mut world = World::new();
    world.client(&[pbde(WRITE), s()].concat());
    world.approve(1);
    insta::assert_snapshot!("parse_bind_execute_sync_held", world.transcript());
}

/// A look runs nothing and is asked of nobody (hazards R71); its statement stays for what comes next.
#[test]
fn a_statement_that_is_looked_at_first() {
    let mut world = World::new();
    world.client(&[p("s1", WRITE), ds("s1"), s()].concat());
    assert_eq!(heard(&mut world), ["1", "t", "n", "Z:I"]);
    world.client(&[b("", "s1"), e("", 0), s()].concat());
    world.approve(1);
    insta::assert_snapshot!(world.transcript());
    let parsed = world.server.heard.iter().filter(|it| *it == WRITE);
    assert_eq!(parsed.count(), 1);
    assert_eq!(world.server.committed, [WRITE]);
}

#[test]
fn a_look_that_is_flushed_is_whole_upstream() {
    let mut world = World::new();
    world.client(&[p("", "SELECT 1"), ds(""), h()].concat());
    assert_eq!(heard(&mut world), ["1", "t", "T"]);
    world.client(&[b("", ""), e("", 0), s()].concat());
    assert_eq!(heard(&mut world), ["2", "D:0", "C:SELECT 1", "Z:I"]);
    insta::assert_snapshot!(world.transcript());
    world.client(&[ds(""), s()].concat());
    assert_eq!(heard(&mut world), ["t", "T", "Z:I"]);
}

#[test]
fn a_look_that_fails() {
    let mut world = World::new();
    world.client(&[p("s1", "SELECT nosuch"), ds("s1"), s()].concat());
    insta::assert_snapshot!(world.transcript());
    heard(&mut world);
    // Flushed, the rest is skipped up to the client's Sync.
    world.client(&[p("s1", "SELECT nosuch"), h(), ds("s1"), b("", "s1"), s()].concat());
    assert_eq!(
        heard(&mut world),
        ["E:ERROR 42P01 relation does not exist", "Z:I"]
    );
    // The name was never given.
    world.client(&[b("", "s1"), s()].concat());
    assert!(heard(&mut world)[0].starts_with("E:ERROR 26000"));
}

#[test]
fn parse_bind_describe_flush_then_execute_sync() {
    let mut world = World::new();
    world.client(&[p("", "SELECT theirs"), b("", ""), dp(""), h()].concat());
    assert_eq!(heard(&mut world), ["1", "2", "T"]);
    world.client(&[e("", 0), s()].concat());
    assert_eq!(heard(&mut world), ["D:0", "C:SELECT 1", "Z:I"]);
    insta::assert_snapshot!(world.transcript());
}

/// Hazards R70: the Bind is held, though nothing is executed yet.
#[test]
fn a_bind_is_held_before_its_execute() {
    let mut world = World::new();
    world.client(&[p("", WRITE), b("", ""), h()].concat());
    assert_eq!(world.session.state(), "held");
    assert!(world.server.heard.is_empty());
    world.approve(1);
    world.client(&[e("", 0), h(), s()].concat());
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
}

#[test]
fn rows_in_portions() {
    let mut world = World::new();
    world.client(&[p("", "SELECT many"), b("c", ""), e("c", 2), h()].concat());
    assert_eq!(heard(&mut world), ["1", "2", "D:0", "D:1", "s"]);
    world.client(&[e("c", 2), h()].concat());
    assert_eq!(heard(&mut world), ["D:2", "D:3", "s"]);
    world.client(&[e("c", 2), cp("c"), s()].concat());
    assert_eq!(heard(&mut world), ["D:4", "C:SELECT 1", "3", "Z:I"]);
}

/// Hazards V27: a portal that lives across Syncs is fenced again for each fetch.
#[test]
fn a_portal_across_syncs_in_a_transaction() {
    let mut world = World::new();
    world.client(&[q("BEGIN"), p("", "SELECT many"), b("c", ""), e("c", 2), s()].concat());
    world.client(&[e("c", 2), s(), e("c", 2), s(), q("COMMIT")].concat());
    insta::assert_snapshot!(world.transcript());
    heard(&mut world);
    world.client(&[e("c", 2), s()].concat());
    assert_eq!(
        heard(&mut world),
        ["E:ERROR 34000 portal \"c\" does not exist", "Z:I"]
    );
}

#[test]
fn an_error_behind_a_flush_is_skipped_to_the_sync() {
    let mut world = World::new();
    world.client(
        &[
            pbde("INSERT INTO boom VALUES (1)"),
            h(),
            pbde("SELECT 1"),
            h(),
        ]
        .concat(),
    );
    world.approve(1);
    assert_eq!(world.session.state(), "skipping");
    assert_eq!(world.store.state(1), State::Executing);
    world.client(&s());
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Failed);
}

#[test]
fn an_earlier_flush_of_a_segment_that_fails_is_rolled_back() {
    let mut world = World::new();
    world.client(&[pbde(WRITE), h()].concat());
    world.approve(1);
    world.client(&[pbde("INSERT INTO boom VALUES (2)"), h()].concat());
    world.approve(2);
    world.client(&s());
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::RolledBack);
    assert_eq!(world.store.state(2), State::Failed);
    assert!(world.server.committed.is_empty());
}

/// DESIGN ruling 4, without a transaction block: the segment is made to fail.
#[test]
fn a_denial_in_an_open_segment_undoes_it() {
    let mut world = World::new();
    world.client(&[pbde(WRITE), h()].concat());
    world.approve(1);
    world.client(&[pbde("CREATE TABLE t ()"), h(), pbde(WRITE), s()].concat());
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::RolledBack);
    assert!(world.server.committed.is_empty());
    assert_eq!(world.heard.last().unwrap(), "Z:I");
}

#[test]
fn a_hold_in_an_open_segment_has_a_budget() {
    let mut world = World::new();
    world.client(&[pbde(WRITE), h()].concat());
    world.approve(1);
    world.client(&[pbde("INSERT INTO t VALUES (2)"), s()].concat());
    world.wait(60);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Approved);
    assert_eq!(world.store.state(2), State::Pending);
}

#[test]
fn a_batch_is_one_ticket() {
    let mut world = World::new();
    let two = [
        pbde(WRITE),
        pbde("INSERT INTO t VALUES (2)"),
        pbde("SELECT 1"),
        s(),
    ]
    .concat();
    world.client(&two);
    world.approve(1);
    assert_eq!(world.store.0.borrow().tickets.len(), 1);
    assert_eq!(world.store.0.borrow().tickets[0].0.asked.len(), 3);
    assert_eq!(world.server.committed.len(), 2);
    let tags: Vec<_> = world
        .heard
        .iter()
        .filter(|it| it.starts_with("C:"))
        .collect();
    assert_eq!(tags, ["C:INSERT 0 1", "C:INSERT 0 1", "C:SELECT 1"]);
}

#[test]
fn names() {
    let mut world = World::new();
    world.client(&[b("", "nope"), e("", 0), s()].concat());
    assert_eq!(
        heard(&mut world),
        [
            "E:ERROR 26000 prepared statement \"nope\" does not exist",
            "Z:I"
        ]
    );
    world.client(&[ds(""), s()].concat());
    assert_eq!(
        heard(&mut world),
        [
            "E:ERROR 26000 unnamed prepared statement does not exist",
            "Z:I"
        ]
    );
    world.client(&[p("a", "SELECT 1"), s(), p("a", "SELECT 2"), s()].concat());
    assert_eq!(
        heard(&mut world),
        [
            "1",
            "Z:I",
            "E:ERROR 42P05 prepared statement \"a\" already exists",
            "Z:I"
        ]
    );
    // Closed, the name is free; closing what is not there is no error. Its place is kept.
    world.client(
        &[
            cs("b"),
            cs("a"),
            p("a", "SELECT 2"),
            cs("b"),
            b("", "a"),
            e("", 0),
            cs("a"),
            s(),
        ]
        .concat(),
    );
    assert_eq!(
        heard(&mut world),
        ["3", "3", "1", "3", "2", "D:0", "C:SELECT 1", "3", "Z:I"]
    );
    world.client(&[cs("b"), h(), cp("x"), s()].concat());
    assert_eq!(heard(&mut world), ["3", "3", "Z:I"]);
    world.client(&[e("x", 0), s()].concat());
    assert_eq!(
        heard(&mut world),
        ["E:ERROR 34000 portal \"x\" does not exist", "Z:I"]
    );
}

/// A batch that the gate answers itself gives its names and closes its statements all the same.
#[test]
fn a_begin_by_name() {
    let mut world = World::new();
    world.client(&[p("a", "SELECT 1"), s()].concat());
    heard(&mut world);
    world.client(&[cs("a"), p("S_1", "BEGIN"), b("", "S_1"), e("", 0), s()].concat());
    assert_eq!(heard(&mut world), ["3", "1", "2", "C:BEGIN", "Z:T"]);
    world.client(&[q("SELECT boom"), q("ROLLBACK")].concat());
    heard(&mut world);
    // A later error does not forget it.
    world.client(&[b("", "S_1"), e("", 0), s(), q("COMMIT")].concat());
    assert_eq!(
        heard(&mut world),
        ["2", "C:BEGIN", "Z:T", "C:COMMIT", "Z:I"]
    );
    // By Flush the client goes on in the same segment.
    world.client(&[b("", "S_1"), e("", 0), h(), pbde("SELECT 1"), s()].concat());
    assert_eq!(
        heard(&mut world),
        ["2", "C:BEGIN", "1", "2", "T", "D:0", "C:SELECT 1", "Z:T"]
    );
}

/// pgjdbc sends BEGIN in the same segment as the first statement.
#[test]
fn a_begin_in_front_of_the_first_statement() {
    let begin = || [p("S_1", "BEGIN"), b("", "S_1"), e("", 0)].concat();
    let mut world = World::new();
    world.client(&[begin(), pbde("SELECT 1"), s()].concat());
    insta::assert_snapshot!(world.transcript());
    let mut world = World::new();
    world.client(&[begin(), pbde(WRITE), s()].concat());
    assert_eq!(world.heard[..3], ["1", "2", "C:BEGIN"]);
    world.approve(1);
    world.client(&[pbde("COMMIT"), s()].concat());
    assert_eq!(world.store.state(1), State::Done);
    // Behind it a look, or nothing at all.
    let mut world = World::new();
    world.client(&[begin(), p("x", "SELECT 1"), ds("x"), s()].concat());
    assert_eq!(world.heard, ["1", "2", "C:BEGIN", "1", "t", "T", "Z:T"]);
    // Denied, it has begun all the same, and failed.
    let mut world = World::new();
    world.client(
        &[
            begin(),
            pbde("CREATE TABLE t ()"),
            s(),
            pbde("ROLLBACK"),
            s(),
        ]
        .concat(),
    );
    assert_eq!(world.heard[..3], ["1", "2", "C:BEGIN"]);
    assert_eq!(
        world.heard[4..],
        ["Z:E", "1", "2", "n", "C:ROLLBACK", "Z:I"]
    );
    assert!(world.server.heard.is_empty());
}

#[test]
fn an_empty_batch_and_an_empty_statement() {
    let mut world = World::new();
    world.client(&[s(), h(), s()].concat());
    assert_eq!(heard(&mut world), ["Z:I", "Z:I"]);
    world.client(&[pbde(""), s()].concat());
    assert_eq!(heard(&mut world), ["1", "2", "n", "I", "Z:I"]);
    assert!(world.server.heard.is_empty());
}

/// As pgjdbc sends the savepoint of each statement: `P B E` of BEGIN, a Query, and a batch.
#[test]
fn a_query_in_the_middle_of_a_batch() {
    let mut world = World::new();
    world.client(&[p("", "SELECT 1"), q("SELECT 1")].concat());
    assert_eq!(heard(&mut world), ["1", "T", "D:0", "C:SELECT 1", "Z:I"]);
    let begin = [p("", "BEGIN"), b("", ""), e("", 0)].concat();
    let read = [pbde("SELECT 1"), s()].concat();
    world.client(&[begin, q("SAVEPOINT s"), read].concat());
    assert_eq!(
        heard(&mut world),
        [
            "1",
            "2",
            "C:BEGIN",
            "C:SAVEPOINT",
            "Z:T",
            "1",
            "2",
            "T",
            "D:0",
            "C:SELECT 1",
            "Z:T"
        ]
    );
}

/// Outside a transaction block it would share the fate of what was sent before it.
#[test]
fn a_query_behind_work_that_no_sync_has_ended() {
    let mut world = World::new();
    world.client(&[pbde(WRITE), h()].concat());
    world.approve(1);
    heard(&mut world);
    world.client(&q("SELECT 1"));
    assert!(
        world.heard[0].starts_with("E:FATAL 08P01"),
        "{:?}",
        world.heard
    );
    assert!(world.session.is_closed() && world.server.committed.is_empty());
}

#[test]
fn notices_and_parameters_of_the_server_pass() {
    let mut world = World::new();
    world.client(&q("SELECT notice"));
    assert_eq!(
        world.heard,
        ["T", "N:NOTICE 00000 hello", "D:0", "C:SELECT 1", "Z:I"]
    );
    // A parameter that the client knows already is not told again.
    let mut world = World::new();
    world.client(&[q("BEGIN"), q("SELECT 1")].concat());
    heard(&mut world);
    let mut out = bytes::BytesMut::new();
    for zone in ["UTC", "Europe/Vienna", "Europe/Vienna"] {
        wire::backend::encode::parameter_status("TimeZone", zone, &mut out);
    }
    world.upstream_says(&out);
    assert_eq!(heard(&mut world), ["S:TimeZone=Europe/Vienna"]);
    // What nobody asked for cannot be followed.
    world.upstream_says(b"C\0\0\0\x05\0");
    assert!(heard(&mut world)[0].starts_with("E:FATAL 08P01"));
    assert!(world.session.is_closed());
}
