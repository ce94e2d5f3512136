//! PAUSE and RESUME: a server is restarted while clients wait at the gate, and none of them notices more than the time it took.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::options;
use harness::raw::{self, Frame, Raw};
use harness::sandbox::{Postgres, Shutdown};
use harness::stage::{Setup, Stage, eventually, held_raw, leave_approved, pool_figure, ticket_in};

const UPDATE: &str = "update t set note = 'new' where id = 1";
/// Everybody may read and write.
const WRITES: &str = r#"
[[rule]]
name = "writes"
class = ["read", "write", "session"]
verdict = "allow"
"#;

fn private() -> Postgres {
    let server = Postgres::start(options()).unwrap();
    let table = "create table t (id int primary key, note text); insert into t values (1, 'one'); \
                 create table n (i int); insert into n values (0)";
    server.sql("postgres", table).unwrap();
    server
}

fn before(server: &Postgres, change: impl FnOnce(&mut Setup)) -> Stage {
    let upstream = format!(
        "host = 'localhost'\nport = {}\ndatabase = 'postgres'\nuser = 'postgres'\npassword = '{}'\nsslmode = 'disable'",
        server.port(),
        server.password()
    );
    let mut setup = Setup {
        upstream: Some(upstream),
        ..Setup::default()
    };
    change(&mut setup);
    setup.start()
}

/// What carol says on the console, and what is answered.
#[track_caller]
fn say(stage: &Stage, command: &str) -> Vec<Frame> {
    Raw::login(&stage.console("carol")).query(command)
}

#[track_caller]
fn done(stage: &Stage, command: &str) {
    let answer = say(stage, command);
    let said: Vec<_> = answer.iter().map(Frame::describe).collect();
    assert_eq!(raw::tags(&answer), "CZ", "{command}: {said:?}");
}

#[track_caller]
fn refused(stage: &Stage, command: &str, sqlstate: &str, message: &str) {
    let answer = say(stage, command);
    let error = raw::error(&answer);
    assert_eq!(error.sqlstate(), sqlstate, "{}", error.describe());
    assert_eq!(error.field('M').unwrap(), message);
}

fn backends(server: &Postgres) -> String {
    let count = "select count(*) from pg_stat_activity \
                 where backend_type = 'client backend' and pid <> pg_backend_pid()";
    server.sql("postgres", count).unwrap()
}

/// Hazards R65.
#[test]
fn a_server_is_restarted_under_load_and_no_client_hears_an_error() {
    let mut server = private();
    let stage = before(&server, |setup| {
        setup.top = "workers = 3".to_owned();
        setup.rules = WRITES.to_owned();
        setup.tenant = "pool_size = 4\nwait = '60 s'".to_owned();
    });
    let (over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..12 {
            let mut client = stage.raw(["alice", "bob"][number % 2]);
            let (over, written) = (&over, &written);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let answers = [
                        client.query("update n set i = i + 1"),
                        client.query("select i from n"),
                        client.query("begin"),
                        client.query("update n set i = i + 1"),
                        client.query("commit"),
                    ];
                    let tags: Vec<_> = answers.iter().map(|it| raw::tags(it)).collect();
                    assert_eq!(tags, ["CZ", "TDCZ", "CZ", "CZ", "CZ"], "client {number}");
                    written.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            let before = written.load(Ordering::Relaxed);
            eventually("they write", || {
                written.load(Ordering::Relaxed) > before + 100
            });
            done(&stage, &format!("PAUSE {}", stage.database.name));
            assert_eq!(backends(&server), "0", "nothing is open");
            server.restart().unwrap();
            let waiting = |stage: &Stage| {
                let waiting = pool_figure(stage, &stage.database.name, "cl_waiting");
                waiting.parse::<usize>().unwrap()
            };
            eventually("all wait", || waiting(&stage) == 12);
            done(&stage, &format!("RESUME {}", stage.database.name));
        }
        over.store(true, Ordering::Relaxed);
    });
    let total = server.sql("postgres", "select i from n").unwrap();
    assert_eq!(total, written.load(Ordering::Relaxed).to_string());
}

#[test]
fn a_pause_waits_for_what_runs_and_keeps_all_else_waiting() {
    let server = private();
    let mut stage = before(&server, |setup| setup.rules = WRITES.to_owned());
    let name = stage.database.name.clone();
    let mut works = stage.raw("alice");
    works.query("begin");
    assert_eq!(raw::tags(&works.query("update n set i = 7")), "CZ");
    let mut pause = Raw::login(&stage.console("carol"));
    pause.send(&raw::query(&format!("pause {name}")));
    let paused = |stage: &Stage| pool_figure(stage, &stage.database.name, "paused") == "2";
    eventually("both lanes are paused", || paused(&stage));
    let mut waits = stage.raw("bob");
    waits.send(&raw::query("select i from n"));
    eventually("bob waits", || {
        pool_figure(&stage, &stage.database.name, "cl_waiting") == "1"
    });
    pause.is_silent_for(Duration::from_millis(300));
    assert_eq!(raw::tags(&works.query("select i from n")), "TDCZ");
    assert_eq!(raw::tags(&works.query("commit")), "CZ");
    assert_eq!(raw::tags(&pause.frames_until(b'Z')), "CZ");
    assert_eq!(backends(&server), "0");
    // Twice is as good as once, and so is all beside one.
    done(&stage, &format!("PAUSE {name}"));
    done(&stage, "PAUSE");
    waits.is_silent_for(Duration::from_millis(300));
    refused(
        &stage,
        &format!("RESUME {name}"),
        "55000",
        "all databases are paused",
    );
    done(&stage, "RESUME");
    let answer = waits.frames_until(b'Z');
    assert_eq!(answer[1].columns(), [Some("7".to_owned())]);
    assert!(!paused(&stage));
    let log = stage.gate.stderr().text();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn whoever_gives_a_pause_up_leaves_it_and_a_resume_ends_it() {
    let server = private();
    let stage = before(&server, |setup| setup.rules = WRITES.to_owned());
    let name = stage.database.name.clone();
    let mut works = stage.raw("alice");
    works.query("begin");
    works.query("update n set i = 7");
    let mut psql = stage.psql_console("carol").start(&format!("PAUSE {name}"));
    let paused = || pool_figure(&stage, &name, "paused") == "2";
    eventually("it is paused", paused);
    psql.signal("INT");
    let ended = psql.finish().failed(1);
    assert!(ended.stderr.contains("57014"), "{ended:?}");
    assert!(paused());
    let mut pause = Raw::login(&stage.console("carol"));
    pause.send(&raw::query("PAUSE"));
    pause.is_silent_for(Duration::from_millis(200));
    done(&stage, "RESUME");
    let answer = pause.frames_until(b'Z');
    assert_eq!(raw::error(&answer).sqlstate(), "55000");
    assert_eq!(raw::tags(&works.query("commit")), "CZ");
    // Whoever leaves in the middle of it is not held up by it.
    works.query("begin");
    works.query("update n set i = 8");
    let mut leaves = Raw::login(&stage.console("carol"));
    leaves.send(&raw::query("PAUSE"));
    eventually("it is paused", paused);
    leaves.send(&raw::terminate());
    leaves.half_close();
    works.query("commit");
    done(&stage, "PAUSE");
    done(&stage, "RESUME");
    assert_eq!(raw::tags(&works.query("select 1")), "TDCZ");
}

#[test]
fn only_operators_pause_what_is_there() {
    let stage = Stage::new();
    let name = &stage.database.name;
    for command in ["PAUSE", "RESUME"] {
        for who in ["alice", "bob"] {
            let answer = Raw::login(&stage.console(who)).query(command);
            assert_eq!(raw::error(&answer).sqlstate(), "42501", "{who}");
        }
        let nowhere = format!("{command} nowhere");
        refused(
            &stage,
            &nowhere,
            "3D000",
            "database \"nowhere\" does not exist",
        );
    }
    refused(
        &stage,
        &format!("RESUME {name}"),
        "55000",
        &format!("database \"{name}\" is not paused"),
    );
    refused(&stage, "RESUME", "55000", "no database is paused");
    stage.cli("carol").run(&["pause", name]).ok();
    assert_eq!(
        pool_figure(&stage, name, "pool_size"),
        "0",
        "nobody came yet"
    );
    let early = stage.psql("alice").start("select note from t where id = 1");
    eventually("they wait", || {
        pool_figure(&stage, name, "cl_waiting") == "1"
    });
    stage.cli("carol").run(&["resume", name]).ok();
    assert_eq!(early.finish().ok().stdout, "one");
    let refused = stage.cli("carol").run(&["resume", name]).failed(1);
    assert!(refused.stderr.contains("is not paused"), "{refused:?}");
}

#[test]
fn other_tenants_go_on_while_one_is_paused() {
    let stage = Stage::with_twin(|_| {});
    done(&stage, "PAUSE twin");
    assert_eq!(stage.psql("alice").query("select 1").ok().stdout, "1");
    done(&stage, "RESUME twin");
}

/// A wait for a connection is a wait for a connection, whatever for.
#[test]
fn a_pause_counts_against_the_wait_and_the_session_goes_on() {
    let server = private();
    let stage = before(&server, |setup| {
        setup.tenant = "wait = '1 s'".to_owned();
    });
    let ticket = leave_approved(&stage, UPDATE);
    let mut client = stage.raw("alice");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    done(&stage, "PAUSE");
    for sql in ["select 1", UPDATE] {
        let since = Instant::now();
        let answer = client.query(sql);
        assert_eq!(raw::tags(&answer), "EZ");
        assert_eq!(answer[0].sqlstate(), "57P03");
        let message = format!("database \"{}\" is paused", stage.database.name);
        assert_eq!(answer[0].field('M').unwrap(), message);
        assert!(since.elapsed() >= Duration::from_secs(1));
    }
    assert_eq!(stage.state(&ticket), "approved");
    done(&stage, "RESUME");
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
    assert_eq!(stage.state(&ticket), "done");
}

/// Hazards R65: what was approved waits at the gate, and its time goes on.
#[test]
fn an_approved_ticket_waits_at_the_gate_and_expires_there() {
    let mut server = private();
    let stage = before(&server, |setup| {
        setup.tenant = "wait = '60 s'".to_owned();
        setup.more = "[tickets]\nuse_within = '3 s'\n".to_owned();
    });
    let mut client = stage.raw("alice");
    done(&stage, "PAUSE");
    client.send(&raw::query(UPDATE));
    let first = held_raw(&mut client);
    stage.approve(&first);
    eventually("it waits for a connection", || {
        pool_figure(&stage, &stage.database.name, "cl_waiting") == "1"
    });
    assert_eq!(stage.state(&first), "approved");
    server.halt(Shutdown::Fast);
    server.resume().unwrap();
    done(&stage, "RESUME");
    assert!(raw::tags(&client.frames_until(b'Z')).ends_with("CZ"));
    assert_eq!(stage.state(&first), "done");

    done(&stage, "PAUSE");
    client.send(&raw::query(UPDATE));
    let second = held_raw(&mut client);
    stage.approve(&second);
    stage.wait_state(&second, "expired");
    done(&stage, "RESUME");
    // It is asked for anew.
    let third = loop {
        let notice = client.frame().field('M').unwrap();
        if let Some(ticket) = ticket_in(&notice) {
            break ticket;
        }
    };
    assert_ne!(second, third);
    stage.approve(&third);
    assert!(raw::tags(&client.frames_until(b'Z')).ends_with("CZ"));
}
