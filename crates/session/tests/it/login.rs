//! The way in: SCRAM, the startup packet's parameters, and what a new session is told.

use std::time::Duration;

use session::{Destination, Input};
use wire::startup::Startup;

use crate::world::{SECRET, World, policy, startup};

fn connect(parameters: &[(&'static str, &'static str)]) -> World {
    let mut all = vec![("user", "alice"), ("database", "acme")];
    all.extend_from_slice(parameters);
    World::connect(policy(), &startup(&all))
}

fn words(world: &World) -> Vec<&str> {
    world.heard.iter().map(String::as_str).collect()
}

#[test]
fn a_good_login_is_told_what_a_session_must_know() {
    let mut world = connect(&[("TimeZone", "Europe/Vienna"), ("application_name", "x")]);
    world.run();
    assert!(world.session.principal().is_none());
    world.log_in(SECRET);
    insta::assert_snapshot!(world.transcript());
    assert_eq!(world.session.tenant().unwrap().as_str(), "acme");
    assert_eq!(world.session.principal().unwrap().id.as_str(), "alice");
}

/// Hazards R8: who does not exist takes the same path and hears the same words.
#[test]
fn a_wrong_password_and_an_unknown_user_look_alike() {
    let mut wrong = connect(&[]);
    wrong.run();
    wrong.log_in("guess");
    let mut unknown = connect(&[]);
    unknown.known_user = false;
    unknown.run();
    unknown.log_in(SECRET);
    let last = "E:FATAL 28P01 password authentication failed for user \"alice\"";
    assert_eq!(words(&wrong), ["R", "R", last]);
    assert_eq!(words(&unknown), ["R", "R", last]);
    assert!(wrong.session.is_closed() && unknown.session.is_closed());
    assert!(unknown.log.iter().all(|it| !it.contains("Admit")));
}

#[test]
fn a_tenant_that_is_not_theirs_does_not_exist() {
    let mut world = connect(&[]);
    world.destination = None;
    world.run();
    world.log_in(SECRET);
    let last = world.heard.last().unwrap();
    assert!(
        last.starts_with("E:FATAL 3D000 database \"acme\" does not exist"),
        "{last}"
    );
}

#[test]
fn what_reaches_around_the_gate_is_refused_before_anything_is_asked() {
    for (name, value, code) in [
        ("replication", "database", "0A000"),
        ("options", "-c role=postgres", "42501"),
        ("options", "-c app.tenant=b", "42501"),
        ("client_encoding", "SJIS", "0A000"),
        ("nonsense", "1", "42501"),
    ] {
        let mut world = connect(&[(name, value)]);
        world.run();
        assert_eq!(world.heard.len(), 1, "{name}={value}");
        assert!(
            world.heard[0].starts_with(&format!("E:FATAL {code}")),
            "{}",
            world.heard[0]
        );
        assert_eq!(world.log[0], "  Close");
        assert!(world.session.is_closed());
    }
    let mut world = World::connect(policy(), &startup(&[("database", "acme")]));
    world.run();
    assert!(
        world.heard[0].starts_with("E:FATAL 28000"),
        "{:?}",
        world.heard
    );
}

/// Hazards R7: a newer minor version and unknown protocol options are negotiated down.
#[test]
fn a_newer_protocol_is_negotiated_down() {
    let parameters = [("user", "alice"), ("database", "acme"), ("_pq_.foo", "1")];
    let startup = Startup {
        minor: 9_999,
        ..startup(&parameters)
    };
    let mut world = World::connect(policy(), &startup);
    world.run();
    assert_eq!(words(&world), ["v", "R"]);
    world.log_in(SECRET);
    assert_eq!(world.session.state(), "idle");
}

#[test]
fn a_login_may_not_last_for_ever() {
    let mut world = connect(&[]);
    world.run();
    let deadline = world.session.deadline().unwrap();
    assert_eq!(deadline - world.now, Duration::from_secs(15));
    world.wait(14);
    assert_eq!(world.session.state(), "login");
    world.wait(1);
    assert_eq!(
        world.heard[1..],
        [
            "E:FATAL 57014 canceling authentication due to timeout | The time for it is login in [limits]."
        ]
    );
}

#[test]
fn anything_but_a_password_is_refused() {
    for bytes in [&b"Q\0\0\0\x06a\0"[..], b"p\0\0\0\x06ab", b"p\0\x01\0\x06ab"] {
        let mut world = connect(&[]);
        world.run();
        world.client(bytes);
        assert!(world.heard[1].starts_with("E:FATAL"), "{:?}", world.heard);
        assert!(world.session.is_closed());
    }
}

#[test]
fn who_leaves_or_is_drained_while_logging_in() {
    let mut world = connect(&[]);
    world.run();
    world.gone();
    assert!(world.session.is_closed());
    let mut world = connect(&[]);
    world.pause("lookup");
    world.say("drain", Input::Drain);
    assert!(world.heard[0].starts_with("E:FATAL 57P01"));
}

#[test]
fn the_console_has_the_same_door() {
    let mut world = connect(&[]);
    world.destination = Some(Destination::Console);
    world.run();
    world.log_in(SECRET);
    assert_eq!(world.session.state(), "console");
    assert_eq!(world.heard.last().unwrap(), "Z:I");
    assert!(world.log.iter().all(|it| !it.contains("Admit")));
}
