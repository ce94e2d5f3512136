//! Transactions: virtual until something is released, refused as a whole, bounded while held.

use gate::State;

use crate::dialect::{b, dp, e, p, pbde, pipeline, q, s};
use crate::world::World;

const WRITE: &str = "INSERT INTO t VALUES (1)";
const OTHER: &str = "INSERT INTO t VALUES (2)";

fn heard(world: &mut World) -> Vec<String> {
    std::mem::take(&mut world.heard)
}

/// A transaction with one approved write in it.
fn worked() -> World {
    let mut world = World::new();
    world.client(&pipeline(&[q("BEGIN"), q(WRITE)]));
    world.approve(1);
    assert_eq!(world.heard.last().unwrap(), "Z:T");
    assert_eq!(world.store.state(1), State::Executing);
    world
}

/// DESIGN ruling 3: nothing is sent for a transaction that does nothing.
#[test]
fn a_virtual_transaction_costs_nothing() {
    let mut world = World::new();
    for end in ["COMMIT", "ROLLBACK", "END", "ABORT"] {
        world.client(&pipeline(&[q("BEGIN"), q(end)]));
        let tag = if matches!(end, "COMMIT" | "END") {
            "C:COMMIT"
        } else {
            "C:ROLLBACK"
        };
        assert_eq!(heard(&mut world), ["C:BEGIN", "Z:T", tag, "Z:I"]);
    }
    world.client(
        &[
            pbde("BEGIN ISOLATION LEVEL SERIALIZABLE"),
            s(),
            pbde("COMMIT"),
            dp(""),
            s(),
        ]
        .concat(),
    );
    assert_eq!(heard(&mut world)[..5], ["1", "2", "n", "C:BEGIN", "Z:T"]);
    assert!(world.server.heard.is_empty());
}

#[test]
fn begin_is_sent_with_its_modes_in_front_of_the_first_statement() {
    let mut world = World::new();
    world.client(&q(
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE, NOT DEFERRABLE",
    ));
    world.client(&q("SELECT 1"));
    assert_eq!(
        world.server.heard,
        [
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE",
            "SAVEPOINT portcullis_fence",
            "SET LOCAL transaction_read_only = on",
            "SELECT 1",
            "RELEASE SAVEPOINT portcullis_fence",
        ]
    );
}

#[test]
fn what_was_spent_is_settled_at_the_commit() {
    let mut world = worked();
    world.client(&q("COMMIT"));
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
    assert_eq!(world.server.committed, [WRITE]);
    let mut world = worked();
    world.client(&q("ROLLBACK"));
    assert_eq!(world.store.state(1), State::RolledBack);
    assert_eq!(heard(&mut world).last().unwrap(), "Z:I");
}

/// Hazards R90: back to a savepoint, the ticket stays spent.
#[test]
fn back_to_a_savepoint() {
    let mut world = worked();
    world.client(&pipeline(&[q("SAVEPOINT a"), q(OTHER)]));
    world.approve(2);
    world.client(&pipeline(&[q("ROLLBACK TO a"), q("COMMIT")]));
    assert_eq!(
        (world.store.state(1), world.store.state(2)),
        (State::Done, State::RolledBack)
    );
    assert_eq!(world.server.committed, [WRITE]);
}

/// A chained transaction is another one: its end says nothing about the first.
#[test]
fn a_chained_commit_settles_what_it_commits() {
    let mut world = worked();
    world.client(&q("COMMIT AND CHAIN"));
    assert_eq!(world.store.state(1), State::Done);
    world.client(&q("ROLLBACK"));
    assert_eq!(world.store.state(1), State::Done);
}

#[test]
fn a_transaction_that_a_signed_text_begins_is_settled_like_any_other() {
    let mut world = World::new();
    world.client(&q("BEGIN; INSERT INTO t VALUES (1)"));
    world.approve(1);
    assert_eq!(world.heard.last().unwrap(), "Z:T");
    assert_eq!(world.store.state(1), State::Executing);
    world.client(&q("ROLLBACK"));
    assert_eq!(world.store.state(1), State::RolledBack);
}

/// Hazards R34: COMMIT behind a denial keeps nothing.
#[test]
fn a_denial_in_a_transaction() {
    let mut world = World::new();
    world.client(&pipeline(&[
        q("BEGIN"),
        q("CREATE TABLE t ()"),
        q("SELECT 1"),
        q("COMMIT"),
    ]));
    insta::assert_snapshot!("a_denial_in_a_virtual_transaction", world.transcript());
    assert!(world.server.heard.is_empty());
    let mut world = worked();
    world.client(&pipeline(&[
        q("CREATE TABLE t ()"),
        q("SELECT 1"),
        q("COMMIT"),
    ]));
    insta::assert_snapshot!("a_denial_in_an_open_transaction", world.transcript());
    assert!(world.server.committed.is_empty());
    assert_eq!(world.store.state(1), State::RolledBack);
}

/// DESIGN ruling 4: with savepoints open the client can go back to one.
#[test]
fn a_denial_with_savepoints_open() {
    let mut world = worked();
    world.client(&pipeline(&[q("SAVEPOINT a"), q("CREATE TABLE t ()")]));
    assert_eq!(world.heard.last().unwrap(), "Z:E");
    world.client(&q("SELECT 1"));
    assert_eq!(world.heard.last().unwrap(), "Z:E");
    world.client(&pipeline(&[q("ROLLBACK TO a"), q("COMMIT")]));
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
}

/// The savepoint that poisons cannot be made by a client.
#[test]
fn no_savepoint_of_a_client_keeps_a_denied_transaction_alive() {
    let mut world = worked();
    world.client(&pipeline(&[
        q("SAVEPOINT portcullis_denied"),
        q("CREATE TABLE t ()"),
    ]));
    assert_eq!(world.heard.last().unwrap(), "Z:E");
    world.client(&q("COMMIT"));
    assert!(world.server.committed.is_empty());
    assert_eq!(world.store.state(1), State::RolledBack);
}

/// A savepoint that was set in front of what failed is known all the same.
#[test]
fn a_savepoint_in_a_batch_that_fails_later() {
    let mut world = worked();
    world.client(
        &[
            pbde("SAVEPOINT a"),
            pbde("INSERT INTO boom VALUES (3)"),
            s(),
        ]
        .concat(),
    );
    world.approve(2);
    assert_eq!(world.store.state(2), State::Failed);
    world.client(&pipeline(&[q("ROLLBACK TO a"), q(OTHER)]));
    world.approve(3);
    world.client(&pipeline(&[q("ROLLBACK TO a"), q("COMMIT")]));
    assert_eq!(
        (world.store.state(1), world.store.state(3)),
        (State::Done, State::RolledBack)
    );
    assert_eq!(world.server.committed, [WRITE]);
}

#[test]
fn a_hold_in_a_transaction_has_a_budget() {
    let mut world = worked();
    world.client(&q(OTHER));
    assert!(
        heard(&mut world)
            .last()
            .unwrap()
            .contains("rolled back if nobody decides within 60 s")
    );
    world.wait(59);
    assert_eq!(world.session.state(), "held");
    world.wait(1);
    insta::assert_snapshot!(world.transcript());
    // The gate wanted it, so what was spent comes back; what waited still waits.
    assert_eq!(
        (world.store.state(1), world.store.state(2)),
        (State::Approved, State::Pending)
    );
    assert!(world.server.committed.is_empty());
    heard(&mut world);
    world.client(&pipeline(&[q("ROLLBACK"), q("BEGIN"), q(WRITE)]));
    assert_eq!(
        heard(&mut world),
        ["C:ROLLBACK", "Z:I", "C:BEGIN", "Z:T", "C:INSERT 0 1", "Z:T"]
    );
}

#[test]
fn a_hold_in_a_transaction_that_has_done_nothing_has_none() {
    let mut world = World::new();
    world.client(&pipeline(&[q("BEGIN"), q(WRITE)]));
    world.wait(3_600);
    assert_eq!(world.session.state(), "held");
    assert!(world.server.heard.is_empty());
    assert!(!world.log.contains(&"  Checkout".to_owned()));
}

/// What acts outside its transaction does not come back: it may have been done (hazards R86).
#[test]
fn what_nobody_knows_does_not_come_back() {
    let mut world = World::new();
    world.client(&pipeline(&[q("BEGIN"), q("CALL billing.run()")]));
    world.approve(1);
    world.client(&q(WRITE));
    world.wait(60);
    assert_eq!(world.store.state(1), State::RolledBack);
}

/// A lost race inside a transaction that was begun for it costs no connection.
#[test]
fn a_claim_that_is_lost_makes_the_transaction_virtual_again() {
    let mut world = World::new();
    world.client(&pipeline(&[q("BEGIN"), q(WRITE)]));
    world.pause("claim");
    world.approve(1);
    world.store.set(1, gate::Event::Claim);
    world.resume();
    insta::assert_snapshot!(world.transcript());
    world.approve(2);
    world.client(&q("COMMIT"));
    assert_eq!(world.store.state(2), State::Done);
}

#[test]
fn a_failed_transaction_hears_only_its_end() {
    let mut world = World::new();
    world.client(&pipeline(&[
        q("BEGIN"),
        q("SELECT boom"),
        q(""),
        q("SELECT 1"),
        q(WRITE),
        q("COMMIT"),
    ]));
    insta::assert_snapshot!(world.transcript());
}

/// A look in a transaction that only began: it leaves no trace, unless it fails.
#[test]
fn a_look_in_a_virtual_transaction() {
    use crate::dialect::{ds, h, p};
    let mut world = World::new();
    world.client(&[q("BEGIN"), p("a", "SELECT 1"), ds("a"), s()].concat());
    assert_eq!(heard(&mut world), ["C:BEGIN", "Z:T", "1", "t", "T", "Z:T"]);
    for end in [s(), [h(), s()].concat()] {
        world.client(&[p("", "SELECT nosuch"), end].concat());
        assert_eq!(
            heard(&mut world),
            ["E:ERROR 42P01 relation does not exist", "Z:E"]
        );
        world.client(&pipeline(&[q("SELECT 1"), q("COMMIT"), q("BEGIN")]));
        let rest = heard(&mut world);
        assert!(rest[0].starts_with("E:ERROR 25P02"), "{rest:?}");
        assert_eq!(rest[1..], ["Z:E", "C:ROLLBACK", "Z:I", "C:BEGIN", "Z:T"]);
    }
    assert!(world.server.is_idle());
}

#[test]
fn a_server_that_leaves_while_the_client_thinks() {
    let mut world = worked();
    world.upstream_gone();
    assert!(
        heard(&mut world)
            .last()
            .unwrap()
            .starts_with("E:FATAL 08006")
    );
    assert_eq!(world.store.state(1), State::RolledBack);
    // Without anything on it, a connection that goes is nobody's.
    let mut world = World::new();
    world.client(&q("SELECT 1"));
    world.upstream_gone();
    assert!(!world.session.is_closed());
}

/// A COMMIT on its way when the server is lost: what it would have kept is in doubt.
#[test]
fn a_lost_commit_leaves_its_tickets_in_doubt() {
    let mut world = worked();
    world.pause("upstream");
    world.client(&q("COMMIT"));
    world.upstream_gone();
    world.resume();
    assert_eq!(
        world.store.state(1),
        State::InDoubt,
        "{}",
        world.transcript()
    );
}

/// As psqlODBC and its like send them: BEGIN, or a savepoint, in one string with the statement.
#[test]
fn control_in_front_of_a_statement_is_taken_apart() {
    let mut world = World::new();
    world.client(&q("BEGIN;SELECT 1"));
    let read = ["C:BEGIN", "T", "D:0", "C:SELECT 1", "Z:T"];
    assert_eq!(heard(&mut world), read);
    world.client(&q("SAVEPOINT s; SELECT 1"));
    let read = ["C:SAVEPOINT", "T", "D:0", "C:SELECT 1", "Z:T"];
    assert_eq!(heard(&mut world), read);
    world.client(&q(&format!("SAVEPOINT s;{WRITE}")));
    assert!(world.is_waiting());
    world.approve(1);
    let all = heard(&mut world);
    assert_eq!(all.last().unwrap(), "Z:T");
    world.client(&q("COMMIT"));
    assert_eq!(world.server.committed, [WRITE]);
}

#[test]
fn a_string_of_reads_is_taken_apart_and_ends_with_the_first_that_fails() {
    let mut world = World::new();
    world.client(&q("SELECT 1; SELECT 2; SELECT 3"));
    let each = ["T", "D:0", "C:SELECT 1"];
    let all = [&each[..], &each, &each, &["Z:I"]].concat();
    assert_eq!(heard(&mut world), all);
    world.client(&q("SELECT 1; SELECT boom; SELECT 3"));
    let all = heard(&mut world);
    assert_eq!(all.len(), 6, "{all:?}");
    assert!(
        all[4].starts_with("E:ERROR 22012") && all[5] == "Z:I",
        "{all:?}"
    );
}

/// pgjdbc's autosave, where the savepoint is part of the batch.
#[test]
fn a_savepoint_in_front_of_a_read_in_one_batch() {
    let mut world = World::new();
    world.client(&q("BEGIN"));
    heard(&mut world);
    let savepoint = [p("", "SAVEPOINT s"), b("", ""), e("", 0)].concat();
    world.client(&[savepoint.clone(), pbde("SELECT 1"), s()].concat());
    let all = [
        "1",
        "2",
        "C:SAVEPOINT",
        "1",
        "2",
        "T",
        "D:0",
        "C:SELECT 1",
        "Z:T",
    ];
    assert_eq!(heard(&mut world), all);
    // What fails behind it is skipped to the Sync, which was read with it.
    world.client(&[savepoint, pbde("SELECT boom"), pbde("SELECT 1"), s()].concat());
    let all = heard(&mut world);
    assert_eq!(all.last().unwrap(), "Z:E", "{all:?}");
    assert_eq!(all.iter().filter(|it| it.starts_with("Z:")).count(), 1);
}
