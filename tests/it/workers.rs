//! A gate of several threads is one gate: the same limits, the same tickets, the same cancels, whichever thread a session came to.
//! Connections go to the thread that has the fewest, so two that come one after the other come to two threads.

use std::fs;
use std::time::{Duration, Instant};

use harness::Gate;
use harness::raw::{self, Raw};
use harness::stage::{Setup, Stage, eventually, held_raw, pool_figure, ticket_in};

/// Everything passes but what writes to `t`.
const HOLD_WRITES: &str = "[[rule]]\nname = 'writes'\nclass = 'write'\nverdict = 'hold'\n\
    approvals = 1\nfrom = 'dba'\n\
    [[rule]]\nname = 'opaque'\nclass = 'opaque'\nverdict = 'hold'\napprovals = 1\nfrom = 'dba'\n\
    [[rule]]\nname = 'all'\nverdict = 'allow'\n";

const UPDATE: &str = "update t set note = 'signed' where id = 1";

fn stage(change: impl FnOnce(&mut Setup)) -> Stage {
    let mut setup = Setup {
        top: "workers = 2\n".to_owned(),
        rules: HOLD_WRITES.to_owned(),
        ..Setup::default()
    };
    change(&mut setup);
    setup.start()
}

/// Two sessions of alice, on two threads.
fn pair(stage: &Stage) -> [Raw; 2] {
    [stage.raw("alice"), stage.raw("alice")]
}

#[track_caller]
fn passes(client: &mut Raw, sql: &str) {
    let answer = client.query(sql);
    let error = answer.iter().find(|it| matches!(it.tag, b'E' | b'N'));
    assert!(error.is_none(), "{sql}: {}", error.unwrap().describe());
}

/// How often the threads of the gate that drive sessions beside the first have had to wait, which they do for each message.
fn waits_of_workers(gate: &Gate) -> Vec<u64> {
    let tasks = fs::read_dir(format!("/proc/{}/task", gate.id())).unwrap();
    let status = tasks.filter_map(|it| fs::read_to_string(it.unwrap().path().join("status")).ok());
    let workers = status.filter(|it| it.starts_with("Name:\tworker\n"));
    let waits = workers.map(|it| {
        let line = it
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    });
    waits.collect()
}

#[test]
fn sessions_are_driven_by_all_threads() {
    let stage = stage(|setup| setup.top = "workers = 3\n".to_owned());
    // The third thread is the one that accepts. A thread names itself, a moment after it has begun.
    eventually("both have begun", || {
        waits_of_workers(&stage.gate).len() == 2
    });
    let before = waits_of_workers(&stage.gate);
    let mut clients: Vec<Raw> = (0..6).map(|_| stage.raw("alice")).collect();
    for _ in 0..20 {
        for client in &mut clients {
            passes(client, "select 1");
        }
    }
    let after = waits_of_workers(&stage.gate);
    for (before, after) in before.iter().zip(&after) {
        assert!(after - before >= 20, "{before} and then {after}");
    }
}

#[test]
fn together_they_have_no_more_connections_than_the_pool() {
    let stage = stage(|setup| {
        setup.tenant = "pool_size = 2\npool_mode = 'transaction'\nwait = '25 s'".to_owned();
    });
    let mut clients: Vec<Raw> = (0..8).map(|_| stage.raw("alice")).collect();
    for round in 0..5 {
        for client in &mut clients {
            client.send(&raw::query("begin"));
            client.send(&raw::query("select txid_current_if_assigned() from t"));
            client.send(&raw::query("commit"));
        }
        for client in &mut clients {
            let answer: Vec<_> = (0..3).flat_map(|_| client.frames_until(b'Z')).collect();
            assert_eq!(raw::tags(&answer), "CZTDDDCZCZ", "in round {round}");
        }
        assert!(stage.upstreams("") <= 4, "two for each of two lanes");
    }
    let tenant = stage.database.name.clone();
    let figure = |column| -> u32 { pool_figure(&stage, &tenant, column).parse().unwrap() };
    eventually("nobody waits any more", || figure("cl_waiting") == 0);
    assert!((1..=4).contains(&(figure("sv_idle") + figure("sv_active"))));
    assert_eq!(figure("pool_size"), 4, "two for each of two lanes");
}

#[test]
fn a_connection_that_lies_unused_serves_whoever_waits_on_another_thread() {
    let stage = stage(|setup| {
        setup.tenant = "pool_size = 2\npool_mode = 'session'".to_owned();
    });
    let [mut first, mut second] = pair(&stage);
    // The third comes to the first thread again, which then has all that there may be.
    let mut third = stage.raw("alice");
    passes(&mut first, "select 1");
    passes(&mut third, "select 1");
    drop(first);
    drop(third);
    passes(&mut second, "select 1");
    passes(&mut second, "create table made (id int)");
}

#[test]
fn who_waits_on_either_thread_is_woken_by_an_approval() {
    let stage = stage(|_| {});
    let mut clients = pair(&stage);
    for (place, client) in clients.iter_mut().enumerate() {
        let sql = format!("{UPDATE} and {place} = {place}");
        client.send(&raw::query(&sql));
        let ticket = held_raw(client);
        stage.approve(&ticket);
        let answer = client.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "NCZ", "on thread {place}");
    }
}

#[test]
fn both_threads_wait_for_the_same_ticket() {
    let stage = stage(|_| {});
    let mut clients = pair(&stage);
    let tickets = clients.each_mut().map(|client| {
        client.send(&raw::query(UPDATE));
        held_raw(client)
    });
    assert_eq!(tickets[0], tickets[1]);
    stage.reject(&tickets[0], "not today");
    for client in &mut clients {
        assert_eq!(raw::tags(&client.frames_until(b'Z')), "EZ");
    }
}

#[test]
fn a_cancel_reaches_a_session_on_either_thread() {
    let stage = stage(|_| {});
    for mut client in pair(&stage) {
        client.send(&raw::query("select pg_sleep(600)"));
        eventually("it runs", || stage.upstreams("and state = 'active'") == 1);
        let (pid, secret) = client.key();
        let request = raw::cancel_request(pid, secret);
        Raw::connect(stage.gate.address()).send(&request);
        let answer = client.frames_until(b'Z');
        let error = answer.iter().find(|it| it.tag == b'E').unwrap();
        assert_eq!(error.sqlstate(), "57014");
    }
}

/// What one thread sent up, the other one judges by: else a function that was harmless would stay so there for a minute.
#[test]
fn a_change_through_one_thread_is_known_on_the_other() {
    let stage = stage(|_| {});
    let [mut here, mut there] = pair(&stage);
    let function = |how: &str| {
        format!(
            "create or replace function f() returns int language plpgsql {how} as 'begin return 1; end'"
        )
    };
    passes(&mut here, &function("immutable"));
    eventually("it is harmless", || {
        is_read(&stage, &mut there, "select f()")
    });
    let since = Instant::now();
    passes(&mut here, &function("volatile"));
    eventually("it is held", || !is_read(&stage, &mut there, "select f()"));
    assert!(
        since.elapsed() < Duration::from_secs(30),
        "only when it was read again anyway"
    );
}

/// Whether it passes; what is held is rejected.
fn is_read(stage: &Stage, client: &mut Raw, sql: &str) -> bool {
    client.send(&raw::query(sql));
    let first = client.frame();
    let is_held = first.tag == b'N';
    if is_held {
        let ticket = first.field('M').as_deref().and_then(ticket_in);
        stage.reject(&ticket.unwrap(), "it is volatile");
    }
    client.frames_until(b'Z');
    !is_held
}

#[test]
fn all_threads_hear_that_the_gate_stops() {
    let mut stage = stage(|_| {});
    let mut clients = pair(&stage);
    for client in &mut clients {
        client.send(&raw::query(UPDATE));
        held_raw(client);
    }
    stage.gate.signal("TERM");
    for client in &mut clients {
        let last = client.frames_until_closed();
        assert_eq!(last.last().unwrap().sqlstate(), "57P01");
    }
    assert_eq!(stage.gate.wait(), 0);
}

#[test]
fn more_threads_than_connections_are_refused() {
    let refused = Gate::refused(&{
        let setup = Setup {
            top: "workers = 4\n".to_owned(),
            tenant: "pool_size = 3".to_owned(),
            ..Setup::default()
        };
        setup.config(&harness::stage::table())
    });
    assert!(
        refused
            .stderr
            .contains("\"workers\" is 4, but \"pool_size\""),
        "{}",
        refused.stderr
    );
}
