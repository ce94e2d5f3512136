//! Ways around the gate that a hostile reading of it found, each closed and each a test.

use gate::State;

use crate::dialect::{b, e, h, p, pbde, q, s};
use crate::world::{World, settings_pass};

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

/// What an EXECUTE runs is the text of the statement that it names: that is signed, and not the name.
#[test]
fn an_execute_is_signed_with_what_it_runs() {
    let ask = |text: &str| {
        let mut world = World::new();
        world.client(&[p("foo", text), s()].concat());
        world.client(&q("EXECUTE foo"));
        let inside = world.store.0.borrow();
        let (ticket, digest) = inside.tickets.last().unwrap();
        let shown: Vec<_> = ticket.asked.iter().map(|it| it.text.clone()).collect();
        (*digest, shown)
    };
    let (one, shown) = ask("DELETE FROM t WHERE id = 1");
    let prepared = "PREPARE \"foo\" AS DELETE FROM t WHERE id = 1";
    assert_eq!(shown, [prepared, "EXECUTE foo"]);
    assert_ne!(one, ask("DELETE FROM t WHERE id = 2").0);
}

/// While backslashes mean something to the server, nobody here can say what a text is.
#[test]
fn a_text_that_the_server_reads_otherwise_is_held() {
    let mut world = World::new();
    world.client(&q("SELECT 1"));
    heard(&mut world);
    world.client(&q("SET app.tenant = 'b'"));
    world.approve(1);
    world.upstream_says(b"S\0\0\0\x24standard_conforming_strings\0off\0");
    world.client(&q("SELECT 1"));
    assert!(world.is_waiting(), "{:?}", world.heard);
}

/// A setting that was committed, and that nobody has looked at, goes to nobody else.
#[test]
fn settings_of_a_chained_transaction_are_not_left_on_the_connection() {
    let mut world = World::with(settings_pass());
    world.client(&q("BEGIN"));
    world.client(&q("SET datestyle = German"));
    world.client(&q("COMMIT AND CHAIN"));
    world.client(b"F\0\0\0\x04");
    world.client(&q("ROLLBACK"));
    let back: Vec<_> = world
        .log
        .iter()
        .filter(|it| it.contains("Checkin"))
        .collect();
    assert!(!back.iter().any(|it| it.contains("Clean")), "{back:?}");
}

/// A Bind of a DEALLOCATE, or of a PREPARE, is enough: what the name means then only the server knows.
#[test]
fn a_name_that_sql_frees_means_nothing_any_more() {
    let mut world = World::with(settings_pass());
    world.client(&q("SET app.tenant = 'b'"));
    world.approve(1);
    world.client(&[p("s2", "SHOW work_mem"), p("d2", "DEALLOCATE s2"), s()].concat());
    world.client(&q("BEGIN"));
    world.client(&[b("px", "d2"), s()].concat());
    world.client(&[e("px", 0), s()].concat());
    heard(&mut world);
    world.client(&[b("", "s2"), e("", 0), s()].concat());
    assert!(world.is_waiting(), "{:?}", world.heard);
}

/// Two things may wait behind one: the rest of a batch, and the Query that closed it.
#[test]
fn a_query_behind_a_batch_that_is_taken_apart_is_not_lost() {
    let mut world = World::new();
    world.client(&q("BEGIN"));
    heard(&mut world);
    let savepoint = [p("", "SAVEPOINT a"), b("", ""), e("", 0)].concat();
    world.client(&[savepoint, pbde("SELECT 2"), q("SELECT 3"), s()].concat());
    let all = heard(&mut world);
    assert_eq!(
        all.iter().filter(|it| it.starts_with("Z:")).count(),
        2,
        "{all:?}"
    );
    assert_eq!(
        all.iter().filter(|it| *it == "C:SELECT 1").count(),
        2,
        "{all:?}"
    );
}

/// What the gate runs inside a client's transaction does not take the place of the client's portal: an
/// Execute of that would run the gate's own SQL again.
#[test]
fn a_denial_leaves_the_clients_portal_alone() {
    let mut world = World::new();
    world.client(&q("BEGIN"));
    let savepoint = [p("", "SAVEPOINT a"), b("", ""), e("", 0), s()].concat();
    world.client(&savepoint);
    world.client(&q("CREATE TABLE x ()"));
    heard(&mut world);
    // The test's own server refuses what nobody released (see the driver).
    world.client(&[e("", 0), s()].concat());
    let own = |it: &&String| it.contains("portcullis_denied");
    assert_eq!(world.server.heard.iter().filter(own).count(), 1);
    assert_eq!(heard(&mut world).last().unwrap(), "Z:E");
}
