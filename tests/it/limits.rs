//! Limits: SQL of any size and depth, messages without end, readers that do not read. The process
//! lives and serves the others.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use harness::Login;
use harness::raw::{self, Frame, Raw};
use harness::stage::{Stage, eventually, held, held_raw};

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

/// The client is told why it is let go, and of the key that says so.
#[track_caller]
fn refused(client: &mut Raw, sqlstate: &str, key: &str) {
    let frames = client.frames_until_closed();
    let error = frames.iter().find(|frame| frame.tag == b'E');
    let error = error.unwrap_or_else(|| panic!("closed without a word: {frames:?}"));
    assert_eq!(error.sqlstate(), sqlstate, "{}", error.describe());
    fatal(error, key);
}

#[track_caller]
fn fatal(error: &Frame, key: &str) {
    assert_eq!(error.field('S').as_deref(), Some("FATAL"));
    let hint = error.field('H').unwrap_or_default();
    assert!(hint.contains(&format!("{key} in [limits]")), "{hint}");
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
    refused(&mut client, "08P01", "request_bytes_max");

    let mut client = stage.raw("alice");
    client.send(&[raw::parse("a", &fits), raw::parse("b", &fits)].concat());
    refused(&mut client, "54000", "request_bytes_max");

    let mut client = stage.raw("alice");
    for name in ["a", "b", "c", "d", "e"] {
        client.send(&raw::parse(name, "select 1"));
    }
    client.is_silent_for(Duration::from_millis(50));
    client.send(&raw::parse("f", "select 1"));
    refused(&mut client, "54000", "pipeline_max");
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

/// A login that must fail.
#[track_caller]
fn turned_away(login: &Login, key: &str) {
    let error = Raw::try_login(login, &[]).unwrap_err();
    assert_eq!(error.sqlstate(), "53300", "{}", error.describe());
    fatal(&error, key);
}

/// A place is free again as soon as the gate knows that somebody left.
#[track_caller]
fn let_in(login: &Login) -> Raw {
    let mut client = None;
    eventually("there is room again", || {
        client = Raw::try_login(login, &[]).ok();
        client.is_some()
    });
    client.unwrap()
}

#[test]
fn one_session_too_many_is_told_which_limit_it_met() {
    for key in ["sessions_max", "sessions_per_address_max"] {
        let stage = Stage::with(|setup| setup.more = format!("[limits]\n{key} = 2\n"));
        let login = stage.login("alice");
        let (mut first, _second) = (Raw::login(&login), Raw::login(&login));
        turned_away(&login, key);
        // Who approves comes in all the same, or nothing would ever move.
        Raw::login(&stage.console("bob"));
        // Who is in may still cancel, though that is one more connection.
        first.send(&raw::query(UPDATE));
        held_raw(&mut first);
        let cancel = raw::cancel_request(first.key().0, first.key().1);
        Raw::connect(stage.gate.address()).send(&cancel);
        assert_eq!(raw::tags(&first.frames_until(b'Z')), "EZ");
        drop(first);
        let_in(&login);
    }
}

/// One tenant cannot take the places of all, and nobody learns that it is full who may not use it.
#[test]
fn a_tenant_has_its_own_number_of_sessions() {
    let stage = Stage::with_twin(|setup| {
        setup.more = "[limits]\nsessions_per_tenant_max = 2\n".to_owned();
    });
    let login = stage.login("alice");
    let (first, _second) = (Raw::login(&login), Raw::login(&login));
    turned_away(&login, "sessions_per_tenant_max");
    let stranger = login.person("alice", "wrong");
    let error = Raw::try_login(&stranger, &[]).unwrap_err();
    assert_eq!(error.sqlstate(), "28P01");
    Raw::login(&login.database("twin"));
    Raw::login(&stage.console("bob"));
    drop(first);
    let_in(&login);
}

/// A result of about 100 MB.
const HUGE: &str = "select repeat('x', 10000) from generate_series(1, 10000)";

/// How many server connections wait for somebody to read.
#[track_caller]
fn stuck(stage: &Stage) -> usize {
    let role = &stage.database.write.name;
    let filter = format!("wait_event = 'ClientWrite' and usename = '{role}'");
    let count = format!("select count(*) from pg_stat_activity where {filter}");
    stage.database.sql(&count).parse().unwrap()
}

/// Hazards R55: of what waits for those who never read, the gate keeps little; the rest stays in the server.
#[test]
fn fifty_clients_that_never_read_cost_no_memory() {
    let stage = Stage::with(|setup| setup.tenant = "pool_size = 50\nwait = '60 s'\n".to_owned());
    let login = stage.login("alice");
    let mut lazy: Vec<Raw> = (0..50).map(|_| Raw::login(&login)).collect();
    let before = resident_kib(stage.gate.id());
    for client in &mut lazy {
        client.send(&raw::query(HUGE));
    }
    eventually("all wait", || stuck(&stage) == 50);
    let grown = resident_kib(stage.gate.id()).saturating_sub(before);
    println!("fifty results of 100 MB: {grown} KiB more");
    assert!(grown < 60_000, "{grown} KiB");
    assert_eq!(stage.psql_console("bob").query("SHOW VERSION").ok().code, 0);
}

/// Hazards R56: a write that times out frees both sides.
#[test]
fn whoever_never_reads_loses_the_server_connection() {
    let mut stage = Stage::with(|setup| {
        setup.more = "[limits]\nslow_reader = '1 s'\n".to_owned();
        setup.tenant = "pool_size = 2\nwait = '60 s'\n".to_owned();
    });
    let mut lazy: Vec<Raw> = (0..4).map(|_| stage.raw("alice")).collect();
    for client in &mut lazy {
        client.send(&raw::query(HUGE));
    }
    stage.gate.stderr().wait_for("(slow_reader)");
    // Both places were theirs, and are nobody's in the end.
    assert_eq!(stage.psql("bob").query("select 1").ok().stdout, "1");
    eventually("their connections are gone", || stuck(&stage) == 0);
    for client in &mut lazy {
        while client.frame_within(harness::DEADLINE).is_ok() {}
    }
}

/// Hazards R1, R55: a length is a promise, and nobody pays for it in advance.
#[test]
fn what_a_header_claims_takes_no_memory() {
    let stage = Stage::new();
    let login = stage.login("alice");
    let mut clients: Vec<Raw> = (0..100).map(|_| Raw::login(&login)).collect();
    let before = resident_kib(stage.gate.id());
    for client in &mut clients {
        client.send(&[&b"Q\x00\xff\xff\xff"[..], b"select"].concat());
    }
    assert_eq!(stage.psql("bob").query("select 1").ok().stdout, "1");
    let grown = resident_kib(stage.gate.id()).saturating_sub(before);
    println!("a hundred headers: {grown} KiB more");
    assert!(grown < 10_000, "{grown} KiB");
    for client in &mut clients {
        client.is_silent_for(Duration::from_millis(1));
    }
}

/// Hazards R55: a tenant whose clients do not read keeps so much and no more, and who does read goes on.
#[test]
fn the_sessions_of_a_tenant_share_what_may_wait() {
    let stage = Stage::with_twin(|setup| {
        setup.more =
            "[limits]\nbuffer_bytes_max = '8 MiB'\ntenant_buffer_bytes_max = '16 MiB'\n".to_owned();
        setup.tenant = "pool_size = 20\n".to_owned();
    });
    let login = stage.login("alice");
    let mut lazy: Vec<Raw> = (0..15).map(|_| Raw::login(&login)).collect();
    let before = resident_kib(stage.gate.id());
    for client in &mut lazy {
        client.send(&raw::query(HUGE));
    }
    eventually("all wait", || stuck(&stage) == 15);
    let grown = resident_kib(stage.gate.id()).saturating_sub(before);
    println!("what a tenant keeps: {grown} KiB more");
    assert!(grown < 50_000, "{grown} KiB");
    for login in [login.clone(), login.database("twin")] {
        let rows = Raw::login(&login).query(HUGE).len();
        assert_eq!(rows, 10_003);
    }
    let mut last = lazy.pop().unwrap();
    drop(lazy);
    assert_eq!(last.frames_until(b'Z').len(), 10_003);
}

/// Large requests take turns where a tenant may keep little; none waits for ever for another.
#[test]
fn large_requests_of_a_tenant_take_turns() {
    let stage = Stage::with(|setup| {
        setup.more = "[limits]\ntenant_buffer_bytes_max = '32 KiB'\n".to_owned();
    });
    let login = stage.login("alice");
    let sql = format!("select length('{}')", "x".repeat(200_000));
    let message = raw::query(&sql);
    let (most, rest) = message.split_at(message.len() - 10);
    let mut clients: Vec<Raw> = (0..8).map(|_| Raw::login(&login)).collect();
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                client.send(most);
                client.send(rest);
                assert_eq!(raw::tags(&client.frames_until(b'Z')), "TDCZ");
            });
        }
    });
}
