//! Newer servers than the usual one: what they say differently, the gate says as they do. A test whose server
//! cannot be had says so and is skipped. `make versions` plays every conversation before each of them.

use std::net::SocketAddr;

use harness::raw::{self, Raw};
use harness::stage::{RULES, Setup, Stage, held_raw};
use harness::{Login, server_of};

use crate::conversations::same_in;

/// Conversations in which majors may differ: what a server reports and is asked for at the start, what it keeps
/// for a session, how it is told to stop.
const TELLING: [&str; 4] = ["startup/", "state/", "cancel/", "prepared/search-path"];

/// Everything passes.
const ALL: &str = "[[rule]]\nname = 'all'\nverdict = 'allow'\n";

/// A gate before PostgreSQL 18, with the usual policy or with these rules.
#[track_caller]
fn before_18(rules: &str) -> Option<Stage> {
    let setup = Setup {
        server: server_of(18)?,
        rules: rules.to_owned(),
        ..Setup::default()
    };
    Some(setup.start())
}

/// What a client is greeted with: the answer to its version, parameters by name, the length of its key.
#[track_caller]
fn greeting(login: &Login, minor: u16, options: &[(&str, &str)]) -> Vec<String> {
    let mut client = Raw::connect(SocketAddr::from(([127, 0, 0, 1], login.port)));
    if let Some(root) = &login.root_cert {
        client.start_tls(root, &login.host);
    }
    let named = [("user", &*login.user), ("database", &*login.database)];
    client.send(&raw::startup_of(minor, &[&named, options].concat()));
    client.authenticate(&login.password).unwrap();
    let said = client.greeting().iter().filter_map(|frame| {
        Some(match frame.tag {
            b'v' => format!("v {:?}", frame.body),
            b'S' => format!("S {}", String::from_utf8_lossy(&frame.body)),
            b'K' => format!("K {}", frame.body.len()),
            b'R' => return None,
            tag => char::from(tag).to_string(),
        })
    });
    let mut said: Vec<String> = said.collect();
    said.sort();
    said
}

fn says(greeting: &[String], what: &str) -> bool {
    greeting.iter().any(|it| it.starts_with(what))
}

#[test]
fn conversations_with_17_are_the_same() {
    if let Some(server) = server_of(17) {
        same_in(server, &TELLING, false);
    }
}

#[test]
fn conversations_with_18_are_the_same() {
    if let Some(server) = server_of(18) {
        same_in(server, &TELLING, false);
    }
}

/// Hazards V25, R49: 18 is the first that knows protocol 3.2, and tells of what it does not know.
#[test]
fn every_protocol_version_is_greeted_as_18_does() {
    let Some(stage) = before_18(ALL) else { return };
    let straight = stage.database.login(&stage.database.write);
    let gate = stage.login("alice");
    let unknown: [(&str, &str); 2] = [("_pq_.unknown", "on"), ("_pq_.other", "1")];
    for minor in [0, 1, 2, 3, 9999] {
        for options in [&[][..], &unknown[..1], &unknown[..]] {
            let server = greeting(&straight, minor, options);
            let heard = greeting(&gate, minor, options);
            let who = |said: Vec<String>| -> Vec<String> {
                let told = said.into_iter();
                told.map(|it| it.replace(&gate.user, &straight.user))
                    .collect()
            };
            assert_eq!(who(heard), server, "3.{minor} {options:?}");
            // That it is so, and not that both are silent.
            let negotiated = minor > 2 || !options.is_empty();
            assert_eq!(says(&server, "v "), negotiated, "{server:?}");
            let key = if minor >= 2 { "K 36" } else { "K 8" };
            assert!(says(&server, key), "{server:?}");
        }
    }
}

/// 18 reports search_path and scram_iterations: at login, and when they change.
#[test]
fn what_18_reports_is_told() {
    let Some(stage) = before_18(ALL) else { return };
    let straight = stage.database.login(&stage.database.write);
    let mut clients = [Raw::login(&straight), stage.raw("alice")];
    for sql in [
        "set search_path = pg_catalog, public",
        "reset search_path",
        "set scram_iterations = 5000",
        "select set_config('search_path', 'public', false)",
        "begin",
        "set local search_path = ''",
        "select 1",
        "commit",
        "set search_path = public; reset search_path",
        "discard all",
        "show search_path",
    ] {
        let [server, gate] = clients.each_mut().map(|client| {
            let answer = client.query(sql);
            let said = answer.iter().map(raw::Frame::describe);
            said.collect::<Vec<_>>()
        });
        assert_eq!(gate, server, "{sql}");
    }
}

/// Who asks for a search_path in the startup packet has it, and is told so in the greeting.
#[test]
fn a_search_path_can_be_asked_for_at_the_start() {
    let Some(stage) = before_18(ALL) else { return };
    let straight = stage.database.login(&stage.database.write);
    for options in [
        [("search_path", "pg_catalog, public")],
        [("options", "-c search_path=pg_catalog")],
        [("options", "-c search_path=\"$user\",\\ public")],
    ] {
        let told = |login: &Login| {
            let said = greeting(login, 0, &options);
            said.into_iter()
                .find(|it| it.starts_with("S search_path\0"))
        };
        let server = told(&straight);
        assert!(server.is_some(), "{options:?}");
        assert_eq!(told(&stage.login("alice")), server, "{options:?}");
    }
}

/// A hold is no other thing there: outside a transaction, in one, and in a batch.
#[test]
fn a_hold_before_18_runs_when_it_is_signed() {
    let Some(stage) = before_18(RULES) else {
        return;
    };
    let mut alice = stage.raw("alice");
    for (number, in_transaction) in [(11, false), (12, true)] {
        if in_transaction {
            alice.query("begin");
        }
        let sql = format!("insert into t values ({number}, 'signed')");
        alice.send(&raw::query(&sql));
        let ticket = held_raw(&mut alice);
        assert_eq!(stage.count("note = 'signed' and id > 11"), "0");
        stage.approve(&ticket);
        let answer = alice.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "NCZ");
        if in_transaction {
            alice.query("commit");
        }
        stage.wait_state(&ticket, "done");
    }
    let batch = [
        raw::parse("", "insert into t values (13, 'signed')"),
        raw::bind("", ""),
        raw::execute(""),
        raw::sync(),
    ];
    alice.send(&batch.concat());
    stage.approve(&held_raw(&mut alice));
    let answer = alice.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "N12CZ");
    assert_eq!(stage.count("note = 'signed'"), "3");
}
