//! Limits: SQL of any size and depth, messages without end, readers that do not read. The process
//! lives and serves the others.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use harness::Login;
use harness::raw::{self, Raw};

use crate::stage::{Stage, eventually, held, held_raw};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// Texts that are hard on a parser (hazards R10, V24), most of them valid.
fn hard() -> Vec<(&'static str, String)> {
    let nested = |open: &str, core: &str, close: &str, times: usize| {
        format!("{}{core}{}", open.repeat(times), close.repeat(times))
    };
    vec![
        ("a sum", format!("select 1{}", "+1".repeat(60_000))),
        (
            "parens",
            format!("select {}", nested("(", "1", ")", 100_000)),
        ),
        ("selects", nested("select (", "select 1", ")", 20_000)),
        ("not", format!("select {}true", "not ".repeat(100_000))),
        ("minus", format!("select {}1", "- ".repeat(100_000))),
        (
            "case",
            nested("select case when true then ", "1", " end", 1),
        ),
        (
            "cases",
            format!(
                "select {}",
                nested("case when true then ", "1", " end", 20_000)
            ),
        ),
        (
            "and",
            format!("select 1 where true{}", " and true".repeat(50_000)),
        ),
        (
            "json",
            format!("select '{{}}'::json{}", "->'a'".repeat(50_000)),
        ),
        (
            "indirection",
            format!("select a{} from t", "[1]".repeat(50_000)),
        ),
        ("casts", format!("select 1{}", "::int".repeat(50_000))),
        (
            "unions",
            format!("select 1{}", " union all select 1".repeat(20_000)),
        ),
        (
            "joins",
            format!("select 1 from t{}", " natural join t".repeat(20_000)),
        ),
        (
            "list",
            format!("select 1 where 1 in (1{})", ",1".repeat(100_000)),
        ),
        (
            "comments",
            format!("{} select 1", nested("/*", "", "*/", 100_000)),
        ),
        ("open comments", "/*".repeat(100_000)),
        ("open parens", format!("select {}", "(".repeat(200_000))),
        ("statements", "select 1;".repeat(50_000)),
        ("empty statements", ";".repeat(200_000)),
        ("quotes", format!("select {}", "'a' ".repeat(50_000))),
        ("a name", format!("select \"{}\"", "x".repeat(1_000_000))),
        ("dollars", format!("select {}", "$a$".repeat(100_001))),
    ]
}

#[test]
fn sql_of_any_depth_is_answered_or_held_and_the_gate_lives() {
    let stage = Stage::new();
    for (name, sql) in hard() {
        for extended in [false, true] {
            let mut client = stage.raw("alice");
            if extended {
                let batch = [
                    raw::parse("", &sql),
                    raw::bind("", ""),
                    raw::execute(""),
                    raw::sync(),
                ];
                client.send(&batch.concat());
            } else {
                client.send(&raw::query(&sql));
            }
            let first = client.frame();
            assert!(
                b"12NETICS".contains(&first.tag),
                "{name}: {}",
                first.describe()
            );
        }
    }
    assert_eq!(stage.psql("alice").query("select 6 * 7").ok().stdout, "42");
}

/// What nobody could read is for people to look at, and then for PostgreSQL.
#[test]
fn what_is_too_deep_to_read_is_held_and_not_passed() {
    let stage = Stage::new();
    let deep = format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let mut client = stage.raw("alice");
    client.send(&raw::query(&deep));
    let ticket = held_raw(&mut client);
    assert_eq!(stage.ticket("bob", &ticket, "class"), "opaque");
    assert_eq!(
        stage.ticket("bob", &ticket, "length"),
        format!("{} bytes", deep.len())
    );
    stage.approve(&ticket);
    let answer = client.frames_until(b'Z');
    // It depends on the server's stack, and either answer is its own.
    assert!(["NTDCZ", "NEZ"].contains(&&*raw::tags(&answer)));
}

/// What is too long to be read is held whatever it is; its bytes still run as they are.
#[test]
fn ten_megabytes_wait_while_others_are_served() {
    let stage = Stage::new();
    let login = stage.login("alice");
    let (tell, tickets) = std::sync::mpsc::channel();
    let busy = thread::spawn(move || {
        let mut client = Raw::login(&login);
        let sql = format!("select length('{}')", "x".repeat(10_000_000));
        client.send(&raw::query(&sql));
        tell.send(held_raw(&mut client)).unwrap();
        let answer = client.frames_until(b'Z');
        tell.send(raw::tags(&answer)).unwrap();
    });
    let mut bob = stage.raw("bob");
    let mut slowest = Duration::ZERO;
    let mut next = || {
        loop {
            let since = Instant::now();
            assert_eq!(raw::tags(&bob.query("select 1")), "TDCZ");
            slowest = slowest.max(since.elapsed());
            if let Ok(said) = tickets.try_recv() {
                return said;
            }
        }
    };
    let (first, length) = (next(), "10000017 bytes");
    assert_eq!(stage.ticket("bob", &first, "class"), "opaque");
    assert_eq!(stage.ticket("bob", &first, "length"), length);
    stage.approve(&first);
    assert_eq!(next(), "NTDCZ");
    busy.join().unwrap();
    assert!(slowest < Duration::from_secs(5), "bob waited {slowest:?}");
}

#[track_caller]
fn refused(client: &mut Raw, sqlstate: &str) {
    let frames = client.frames_until_closed();
    let error = frames.iter().find(|frame| frame.tag == b'E');
    let error = error.unwrap_or_else(|| panic!("closed without a word: {frames:?}"));
    assert_eq!(error.sqlstate(), sqlstate, "{}", error.describe());
    assert_eq!(error.field('S').as_deref(), Some("FATAL"));
}

#[test]
fn a_request_that_is_too_large_is_refused() {
    let stage = Stage::with(|setup| {
        setup.more = "[limits]\nrequest_bytes_max = '1 KiB'\npipeline_max = 5\n".to_owned();
    });
    let mut client = stage.raw("alice");
    let fits = format!("select '{}'", "x".repeat(900));
    assert_eq!(raw::tags(&client.query(&fits)), "TDCZ");
    // Only its header: nobody waits for the rest, or makes room for it (hazards R1).
    client.send(b"Q\0\0\x04\x05");
    refused(&mut client, "08P01");

    let mut client = stage.raw("alice");
    client.send(&[raw::parse("a", &fits), raw::parse("b", &fits)].concat());
    refused(&mut client, "54000");

    let mut client = stage.raw("alice");
    for name in ["a", "b", "c", "d", "e"] {
        client.send(&raw::parse(name, "select 1"));
    }
    client.is_silent_for(Duration::from_millis(50));
    client.send(&raw::parse("f", "select 1"));
    refused(&mut client, "54000");
    assert_eq!(stage.psql("alice").query("select 1").ok().stdout, "1");
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// Hazards R55: what waits for a client that does not read, waits in the server.
#[test]
fn a_client_that_does_not_read_costs_no_memory() {
    let stage = Stage::new();
    let before = resident_kib(stage.gate.id());
    let mut lazy = stage.raw("alice");
    lazy.send(&raw::query(
        "select repeat('x', 10000) from generate_series(1, 20000)",
    ));
    let stuck = "select count(*) from pg_stat_activity where wait_event = 'ClientWrite'";
    let stuck = format!("{stuck} and datname = '{}'", stage.database.name);
    eventually("the server waits", || stage.database.sql(&stuck) == "1");
    assert_eq!(stage.psql("bob").query("select 1").ok().stdout, "1");
    let grown = resident_kib(stage.gate.id()).saturating_sub(before);
    assert!(grown < 50_000, "{grown} KiB");
    let answer = lazy.frames_until(b'Z');
    assert_eq!(answer.len(), 20_003);
}

/// Hazards R57: a client may send ahead while it waits, and only so much of it is kept.
#[test]
fn what_is_sent_ahead_of_a_hold_waits_outside() {
    let stage = Stage::new();
    let before = resident_kib(stage.gate.id());
    let mut client = stage.raw("alice");
    client.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut client);
    let cancel = client.key();
    let cancel = raw::cancel_request(cancel.0, cancel.1);
    let ahead = raw::query(&format!("select length('{}')", "x".repeat(100_000)));
    let sender = thread::spawn(move || {
        for _ in 0..100 {
            client.send(&ahead);
        }
        client
    });
    // The cancel comes by another door and is heard all the same.
    let mut other = Raw::connect(stage.gate.address());
    other.send(&cancel);
    assert!(other.frames_until_closed().is_empty());
    stage.wait_state(&ticket, "withdrawn");
    let mut client = sender.join().unwrap();
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "EZ");
    for _ in 0..100 {
        assert_eq!(raw::tags(&client.frames_until(b'Z')), "TDCZ");
    }
    let grown = resident_kib(stage.gate.id()).saturating_sub(before);
    assert!(grown < 50_000, "{grown} KiB");
}

/// Hazards R57: its end is heard behind all that it had sent ahead.
#[test]
fn whoever_sent_much_ahead_and_left_runs_nothing_later() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut client);
    let ahead = raw::query(&format!("select length('{}')", "x".repeat(100_000)));
    client.send(&ahead.repeat(10));
    drop(client);
    stage.approve(&ticket);
    assert_eq!(stage.state(&ticket), "approved");
    assert_eq!(stage.count("note = 'new'"), "0");
}

/// Hazards R9, R58: many that wait are cheap, and one that works is quick.
#[test]
fn a_hundred_held_clients_cost_no_connection() {
    let stage = Stage::new();
    let login: Login = stage.login("alice");
    let mut clients: Vec<Raw> = (0..100).map(|_| Raw::login(&login)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&raw::query(&format!("delete from t where id = {number}")));
    }
    for client in &mut clients {
        held_raw(client);
    }
    let role = &stage.database.write.name;
    let backends = format!("select count(*) from pg_stat_activity where usename = '{role}'");
    assert_eq!(
        stage.database.sql(&backends),
        "1",
        "that of the first login"
    );
    assert_eq!(
        stage
            .psql("bob")
            .query("select count(*) from t")
            .ok()
            .stdout,
        "3"
    );
    let mut psql = stage.psql("bob").start(UPDATE);
    let ticket = held(&mut psql);
    stage.cli("carol").run(&["approve", &ticket]).ok();
    assert_eq!(psql.finish().ok().stdout, "UPDATE 1");
}
