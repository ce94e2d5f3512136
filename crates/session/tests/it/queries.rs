//! A Query, from the socket to the server and back.

use gate::ticket::{Decision, Say};
use gate::{Event, State};
use session::{Fault, Input, News};

use crate::dialect::{b, e, p, q, s, x};
use crate::world::World;

const WRITE: &str = "INSERT INTO t VALUES (1)";

/// A session whose write is held.
fn held() -> World {
    let mut world = World::new();
    world.client(&q(WRITE));
    assert_eq!(world.session.state(), "held");
    assert_eq!(world.session.waits_for(), Some(gate::TicketId(1)));
    world
}

#[test]
fn an_allowed_read_is_fenced_and_its_tag_waits_for_the_end_of_the_fence() {
    let mut world = World::new();
    world.client(&q("SELECT theirs"));
    insta::assert_snapshot!(world.transcript());
    assert_eq!(
        world.server.heard,
        ["BEGIN READ ONLY", "SELECT theirs", "ROLLBACK"]
    );
}

/// DESIGN ruling 10: the read lane's sessions are READ ONLY by default, and where nothing of the user's runs nothing can change
/// that.
#[test]
fn a_read_of_nothing_but_tables_is_fenced_by_its_lane() {
    let mut world = World::new();
    world.client(&q("SELECT 1"));
    assert_eq!(world.server.heard, ["SELECT 1"]);
    world.client(&[p("", "SELECT 2"), b("", ""), e("", 0), s()].concat());
    assert_eq!(world.server.heard, ["SELECT 1", "SELECT 2"]);
    assert!(world.log.iter().any(|it| it.contains("Checkout Read")));
    // On the write lane nothing is READ ONLY by itself.
    world.client(&q("BEGIN"));
    world.client(&q("SELECT 3"));
    assert!(
        world
            .server
            .heard
            .iter()
            .any(|it| it.starts_with("SAVEPOINT"))
    );
}

/// Hazards R75: the parser proposes, the server disposes.
#[test]
fn a_read_that_writes_after_all_is_refused_by_the_server() {
    let mut world = World::new();
    world.client(&q("SELECT sneaky"));
    insta::assert_snapshot!(world.transcript());
    assert!(world.server.committed.is_empty());
    world.client(&q("SELECT 1"));
    assert_eq!(world.heard.last().unwrap(), "Z:I");
}

#[test]
fn a_held_write_runs_once_it_is_approved() {
    let mut world = held();
    assert!(world.server.heard.is_empty());
    world.approve(1);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Done);
    assert_eq!(world.server.committed, [WRITE]);
}

/// DESIGN ruling 1: checkout, context, claim, intent, send.
#[test]
fn the_context_is_on_the_connection_before_anything_is_spent() {
    let mut world = held();
    world.leave_setting("datestyle", "German");
    world.approve(1);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.server.heard, ["RESET ALL", WRITE]);
}

/// Hazards R82: a deferred constraint fails at the commit, and then there is no tag.
#[test]
fn a_tag_is_not_heard_before_the_commit_that_makes_it_true() {
    let mut world = World::new();
    world.client(&q("INSERT INTO deferred VALUES (1)"));
    world.approve(1);
    let errors: Vec<_> = world
        .heard
        .iter()
        .filter(|it| it.starts_with("C:"))
        .collect();
    assert!(errors.is_empty(), "{}", world.transcript());
    assert_eq!(world.heard.last().unwrap(), "Z:I");
    assert_eq!(world.store.state(1), State::Failed);
}

#[test]
fn a_rejection_is_told_with_its_reason() {
    let mut world = held();
    world.reject(1);
    insta::assert_snapshot!(world.transcript());
    assert!(world.server.heard.is_empty());
}

#[test]
fn a_cancel_withdraws() {
    let mut world = held();
    world.cancel();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Withdrawn);
}

#[test]
fn an_expiry_a_withdrawal_elsewhere_and_a_signature_are_told() {
    let mut world = held();
    world.store.set(1, Event::Expire);
    world.news(1, News::Expired);
    assert_eq!(
        world.heard[1..],
        [
            "E:ERROR ZG003 ticket T-1 has expired | Send the statement again to ask anew.",
            "Z:I"
        ]
    );
    let mut world = held();
    world.store.set(1, Event::Withdraw);
    world.news(1, News::Withdrawn);
    assert_eq!(
        world.heard[1..],
        ["E:ERROR ZG004 ticket T-1 was withdrawn", "Z:I"]
    );
    let mut world = held();
    let mut ticket = world.store.0.borrow().tickets[0].0.clone();
    ticket.decisions.push(Decision {
        by: "bob".into(),
        groups: Vec::new(),
        say: Say::Approve,
        comment: None,
        at_ms: 0,
    });
    world.news(1, News::Said(Box::new(ticket)));
    assert!(world.heard[1].starts_with("N:NOTICE ZG000 ticket T-1 was signed"));
    assert_eq!(world.session.state(), "held");
}

#[test]
fn a_waiting_client_hears_a_heartbeat() {
    let mut world = held();
    assert!(world.session.deadline().is_some());
    world.wait(14);
    assert_eq!(world.heard.len(), 1);
    world.wait(1);
    world.wait(5);
    world.wait(231);
    assert_eq!(
        world.heard[1..],
        [
            "N:NOTICE ZG000 ticket T-1 has waited 0:15 for 1 approval from \"dba\"",
            "N:NOTICE ZG000 ticket T-1 has waited 4:11 for 1 approval from \"dba\"",
        ]
    );
}

#[test]
fn a_ticket_of_before_is_used_at_once_and_named() {
    let mut world = held();
    world.gone();
    let store = world.store.clone();
    world.approve(1);
    let mut again = World::new();
    again.store = store;
    again.client(&q(WRITE));
    insta::assert_snapshot!(again.transcript());
    assert_eq!(again.store.state(1), State::Done);
    // The same bytes once more are another request.
    again.client(&q(WRITE));
    assert!(
        again
            .heard
            .last()
            .unwrap()
            .contains("Ticket T-1 was for the same statement")
    );
}

/// DESIGN ruling 18: one claim wins, the rest ask again at once.
#[test]
fn a_ticket_that_another_session_spent_is_asked_for_again() {
    let mut world = held();
    world.pause("claim");
    world.approve(1);
    world.store.set(1, Event::Claim);
    world.resume();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.session.waits_for(), Some(gate::TicketId(2)));
    assert!(world.server.heard.is_empty());
}

#[test]
fn a_denial_is_told_and_the_session_lives() {
    let mut world = World::new();
    world.client(&q("CREATE TABLE t ()"));
    insta::assert_snapshot!(world.transcript());
    world.client(&q("SELECT 1"));
    assert_eq!(world.heard.last().unwrap(), "Z:I");
}

#[test]
fn an_empty_query_is_answered_by_the_gate() {
    let mut world = World::new();
    world.client(&q(""));
    world.client(&q("-- ping"));
    assert_eq!(world.heard, ["I", "Z:I", "I", "Z:I"]);
    assert!(world.server.heard.is_empty());
}

#[test]
fn with_the_store_the_journal_or_the_pool_down_nothing_signed_is_sent() {
    let mut world = World::new();
    world.store.0.borrow_mut().down = true;
    world.client(&q(WRITE));
    assert_eq!(
        world.heard,
        [
            "E:ERROR ZG007 the gate is closed: no ticket store | Nothing was sent.",
            "Z:I"
        ]
    );
    let mut world = held();
    world.journal_down = true;
    world.approve(1);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Approved);
    let mut world = held();
    world.pool_error = Some(Fault::pool_exhausted("acme"));
    world.approve(1);
    assert_eq!(world.store.state(1), State::Approved);
    assert!(
        world.heard[2].starts_with("E:ERROR 53300"),
        "{:?}",
        world.heard
    );
    assert_eq!(world.heard[3], "Z:I");
    assert!(world.server.heard.is_empty());
}

/// Hazards R89: what is in doubt is said so, in words that no driver retries on.
#[test]
fn a_lost_server_leaves_what_was_signed_in_doubt() {
    let mut world = held();
    world.pause("upstream");
    world.approve(1);
    world.upstream_gone();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::InDoubt);
    assert!(world.session.is_closed());
}

#[test]
fn a_farewell_of_the_server_is_not_passed_on_where_something_was_signed() {
    let farewell = || {
        let mut out = bytes::BytesMut::new();
        let fields = wire::fields::Fields::new(
            wire::fields::Severity::Fatal,
            wire::sqlstate::SqlState::ADMIN_SHUTDOWN,
            "terminating connection due to administrator command",
        );
        wire::backend::encode::error_response(&fields, &mut out);
        out
    };
    let mut world = held();
    world.pause("upstream");
    world.approve(1);
    world.lose_upstream_bytes();
    world.upstream_says(&farewell());
    assert!(
        world.heard.last().unwrap().starts_with("E:FATAL ZG006"),
        "{:?}",
        world.heard
    );
    assert!(world.session.is_closed());
    // Of a read it is.
    let mut world = World::new();
    world.pause("upstream");
    world.client(&q("SELECT 1"));
    world.lose_upstream_bytes();
    world.upstream_says(&farewell());
    assert_eq!(
        world.heard,
        ["E:FATAL 57P01 terminating connection due to administrator command"]
    );
}

#[test]
fn what_is_pipelined_behind_a_held_statement_waits_for_it() {
    let mut world = World::new();
    world.client(&[q(WRITE), q("SELECT 1"), s()].concat());
    assert!(world.server.heard.is_empty());
    world.approve(1);
    let order: Vec<_> = world
        .heard
        .iter()
        .filter(|it| !it.starts_with('N'))
        .collect();
    assert_eq!(
        order,
        [
            "C:INSERT 0 1",
            "Z:I",
            "T",
            "D:0",
            "C:SELECT 1",
            "Z:I",
            "Z:I"
        ]
    );
}

/// Hazards R57: who says goodbye behind it does not want it any more.
#[test]
fn a_goodbye_behind_a_held_statement_is_a_client_that_is_gone() {
    let mut world = World::new();
    world.client(&[q(WRITE), x()].concat());
    insta::assert_snapshot!(world.transcript());
    assert!(world.session.is_closed());
    assert_eq!(world.store.state(1), State::Pending);
    let mut world = held();
    world.client(&x());
    assert!(world.session.is_closed());
}

#[test]
fn a_drain_ends_idle_and_held_sessions_and_lets_others_finish() {
    let mut world = World::new();
    world.say("drain", Input::Drain);
    assert!(world.heard[0].starts_with("E:FATAL 57P01") && world.session.is_closed());
    let mut world = held();
    world.say("drain", Input::Drain);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.store.state(1), State::Pending);
    // What runs is finished first; what is held after it is told.
    let mut world = World::new();
    world.pause("upstream");
    world.client(&q("SELECT 1"));
    world.say("drain", Input::Drain);
    assert!(!world.session.is_closed());
    world.resume();
    assert_eq!(world.heard[..4], ["T", "D:0", "C:SELECT 1", "Z:I"]);
    assert!(world.session.is_closed());
    let mut world = World::new();
    world.pause("ask");
    world.client(&q(WRITE));
    world.say("drain", Input::Drain);
    world.resume();
    assert!(world.session.is_closed() && !world.is_waiting());
    // A transaction is let to its end.
    let mut world = World::new();
    world.client(&q("BEGIN"));
    world.say("drain", Input::Drain);
    assert!(!world.session.is_closed());
    world.client(&q("ROLLBACK"));
    assert!(world.session.is_closed());
}

#[test]
fn a_function_call_is_refused() {
    let mut world = World::new();
    world.client(b"F\0\0\0\x0e\0\0\x08\x1e\0\0\0\0\0\0");
    assert_eq!(
        world.heard,
        [
            "E:ERROR 0A000 the function call protocol cannot go through the gate | Call the function in a SELECT.",
            "Z:I"
        ]
    );
}

#[test]
fn a_session_that_changed_its_state_keeps_its_connection() {
    let mut world = World::new();
    world.client(&q("SET app.tenant = 'b'"));
    world.approve(1);
    world.client(&q("SELECT 1"));
    insta::assert_snapshot!(world.transcript());
    // The same bytes there are another request than in a fresh session.
    world.client(&q(WRITE));
    let mut fresh = World::new();
    fresh.client(&q(WRITE));
    let digest = |world: &World| world.store.0.borrow().tickets.last().unwrap().1;
    assert_ne!(digest(&world), digest(&fresh));
    // What it kept is lost with it.
    world.upstream_gone();
    assert!(world.session.is_closed() && !world.is_waiting());
}

#[test]
fn signed_text_of_several_statements_goes_up_as_it_came() {
    let mut world = World::new();
    let script = "INSERT INTO t VALUES (1); UPDATE t SET a = 2";
    world.client(&q(script));
    world.approve(1);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.server.heard, [script]);
}

#[test]
fn a_message_that_no_client_may_send_ends_the_session() {
    for bytes in [
        &b"Z\0\0\0\x05I"[..],
        b"Q\0\0\0\x03",
        b"p\0\0\0\x05x",
        b"Q\x7f\0\0\0",
    ] {
        let mut world = World::new();
        world.client(bytes);
        assert!(
            world.heard[0].starts_with("E:FATAL 08P01"),
            "{:?}",
            world.heard
        );
        assert!(world.session.is_closed());
    }
}

#[test]
fn a_batch_has_a_bound_in_messages_and_in_bytes() {
    let mut world = World::new();
    world.client(&p("", "SELECT 1").repeat(201));
    assert!(
        world.heard[0].starts_with("E:FATAL 54000 more than 200 messages"),
        "{:?}",
        world.heard
    );
    let mut world = World::new();
    let long = format!("SELECT '{}'", "x".repeat(300_000));
    world.client(&p("", &long).repeat(4));
    assert!(
        world.heard[0].starts_with("E:FATAL 54000 more than 1048576 bytes"),
        "{:?}",
        world.heard
    );
}
