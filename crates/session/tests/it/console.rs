//! The console: commands by Query, answers as tables, nothing of it near a server.

use session::{Destination, Input};

use crate::dialect::{e, h, p, q, s, x};
use crate::world::{SECRET, World, policy, startup};

fn console() -> World {
    let startup = startup(&[("user", "bob"), ("database", "portcullis")]);
    let mut world = World::connect(policy(), &startup);
    world.destination = Some(Destination::Console);
    world.run();
    world.log_in(SECRET);
    world.heard.clear();
    world.log.clear();
    world
}

#[test]
fn commands_are_answered_with_tables_or_errors() {
    let mut world = console();
    world.client(&q("SHOW VERSION;"));
    assert_eq!(world.heard, ["T", "D:0.1", "D:NULL", "C:SHOW", "Z:I"]);
    world.heard.clear();
    world.client(&q("approve T-7 'it''s fine'"));
    let said = "Say { ids: [TicketId(7)], say: Approve, comment: Some(\"it's fine\"), ";
    assert!(world.heard[0].starts_with(&format!("E:ERROR 55000 {said}")));
    assert_eq!(world.heard[1], "Z:I");
    for text in ["APPROVE", "DROP TABLE t", "REJECT 7", "SHOW TICKET x"] {
        world.heard.clear();
        world.client(&q(text));
        assert!(
            world.heard[0].starts_with("E:ERROR 42601"),
            "{:?}",
            world.heard
        );
        assert_eq!(world.heard[1], "Z:I");
    }
    world.heard.clear();
    world.client(&q(" "));
    assert_eq!(world.heard, ["I", "Z:I"]);
}

#[test]
fn prepared_statements_are_refused_once_a_batch() {
    let mut world = console();
    world.client(&[p("", "SHOW VERSION"), e("", 0), h(), q("SHOW VERSION"), s()].concat());
    assert_eq!(world.heard.len(), 2, "{:?}", world.heard);
    assert!(world.heard[0].starts_with("E:ERROR 0A000"));
    assert_eq!(world.heard[1], "Z:I");
    world.client(&x());
    assert!(world.session.is_closed());
}

#[test]
fn a_second_command_waits_for_the_first_and_a_drain_for_both() {
    let mut world = console();
    world.pause("console");
    world.client(&[q("SHOW VERSION"), q("SHOW VERSION")].concat());
    world.say("drain", Input::Drain);
    assert!(world.heard.is_empty());
    world.resume();
    assert_eq!(world.heard.iter().filter(|it| *it == "Z:I").count(), 2);
    assert!(world.heard.last().unwrap().starts_with("E:FATAL 57P01"));
    assert!(world.session.is_closed());
}
