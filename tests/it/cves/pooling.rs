//! Answers that went to the wrong client, and transactions that nobody ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::raw::{self, Raw};
use harness::stage::{Stage, eventually};

use super::{open, row_of, said, unharmed, value};

/// R27: supavisor#1079 gave a connection back at the first of several ReadyForQuery; pgdog#763, #1332.
#[test]
fn a_connection_is_given_back_when_all_is_answered() {
    let stage = open(1);
    let over = Arc::new(AtomicBool::new(false));
    let (login, ended) = (stage.login("bob"), Arc::clone(&over));
    let neighbour = thread::spawn(move || {
        let mut bob = Raw::login(&login);
        let mut number = 0;
        while !ended.load(Ordering::Relaxed) {
            number += 1;
            let sql = format!("select 'bob {number}'");
            assert_eq!(value(&mut bob, &sql), format!("bob {number}"));
        }
    });
    let mut alice = stage.raw("alice");
    let batch = |number: u32, end: Vec<u8>| {
        let text = format!("select 'alice {number}' from generate_series(1, 3)");
        [
            raw::parse("", &text),
            raw::bind("", ""),
            raw::execute_rows("", 2),
            end,
        ]
        .concat()
    };
    for round in 0..40 {
        let number = round * 10;
        let pipeline = [
            raw::query(&format!("select 'alice {number}'; select 'alice {number}'")),
            raw::query(&format!("select 'alice {}'", number + 1)),
            batch(number + 2, raw::flush()),
            raw::sync(),
            batch(number + 3, raw::sync()),
            batch(number + 4, raw::sync()),
        ];
        alice.send(&pipeline.concat());
        let mut rows = Vec::new();
        for _ in 0..5 {
            let answer = alice.frames_until(b'Z');
            rows.extend(
                answer
                    .iter()
                    .filter(|it| it.tag == b'D')
                    .map(|it| it.columns()[0].clone().unwrap()),
            );
        }
        let expected = [0, 0, 1, 2, 2, 3, 3, 4, 4].map(|more| format!("alice {}", number + more));
        assert_eq!(rows, expected);
    }
    over.store(true, Ordering::Relaxed);
    neighbour.join().expect("bob got his own answers");
}

/// R28: pgdog#139, #762, #805 and pgcat#65 went on with a connection on which half a request lay. The
/// client is cut off at every byte of a script; the next borrower gets its own answer, and every write is
/// whole or not at all.
#[test]
fn a_client_cut_off_at_any_byte_spoils_nothing() {
    let mut stage = open(1);
    let script = [
        raw::query("select 'first'"),
        raw::query("begin"),
        raw::parse("a", "update t set note = $1 where id = 1"),
        raw::bind_values("", "a", &[Some("half")]),
        raw::describe(b'P', ""),
        raw::execute(""),
        raw::flush(),
        raw::close(b'S', "a"),
        raw::sync(),
        raw::query("copy t from stdin"),
        raw::frame(b'd', b"9\tnine\n"),
        raw::frame(b'c', b""),
        raw::query("savepoint s; select 1/0"),
        raw::query("rollback to s"),
        raw::query("rollback"),
    ]
    .concat();
    for length in 0..=script.len() {
        let mut client = stage.raw("alice");
        client.send(&script[..length]);
        // Sometimes in peace, sometimes with answers unread, which the gate hears as a reset.
        if length % 2 == 0 {
            client.half_close();
            client.frames_until_closed();
        }
        drop(client);
        let mut next = stage.raw("bob");
        let sql = format!("select 'bob {length}'");
        let answer = next.query(&sql);
        assert_eq!(
            row_of(&answer),
            Some(format!("bob {length}")),
            "{}",
            said(&answer)
        );
        let kept = value(
            &mut next,
            "select count(*) from t where note in ('half', 'nine')",
        );
        assert_eq!(kept, "0", "cut at {length}");
    }
    unharmed(&mut stage);
}

/// R29: pgdog#848 hung, and pgcat kept the locks, when a client left inside a transaction.
#[test]
fn a_client_that_leaves_inside_a_transaction_ends_it() {
    let stage = open(2);
    let lock = "update t set note = 'locked' where id = 1";
    for state in ["T", "E"] {
        for how in ["Terminate", "FIN", "RST"] {
            let mut alice = stage.raw("alice");
            alice.query("begin");
            assert_eq!(raw::tags(&alice.query(lock)), "CZ");
            if state == "E" {
                alice.query("select 1/0");
            }
            match how {
                "Terminate" => alice.send(&raw::terminate()),
                "FIN" => alice.half_close(),
                // Answers that nobody reads make the kernel say RST when the socket closes.
                _ => alice.send(&raw::query("select repeat('x', 1000000)")),
            }
            drop(alice);
            let mut bob = stage.raw("bob");
            bob.query("set statement_timeout = '20s'");
            let answer = bob.query("update t set note = 'free' where id = 1");
            assert_eq!(raw::tags(&answer), "CZ", "{state} {how}: {}", said(&answer));
            assert_eq!(stage.count("note = 'locked'"), "0", "{state} {how}");
        }
    }
}

/// R30: pgdog#841, half of the idle connections are ended, again and again; nobody notices.
#[test]
fn idle_connections_that_die_are_nobodys_trouble() {
    let stage = open(3);
    let role = stage.database.write.name.clone();
    let mut clients: Vec<Raw> = (0..3).map(|_| stage.raw("alice")).collect();
    for round in 0..20 {
        for client in &mut clients {
            client.send(&raw::query(&format!("select {round}")));
        }
        for client in &mut clients {
            let answer = client.frames_until(b'Z');
            assert_eq!(
                row_of(&answer),
                Some(round.to_string()),
                "{}",
                said(&answer)
            );
        }
        kill(&stage, &role);
    }
}

fn kill(stage: &Stage, role: &str) {
    let idle = format!("from pg_stat_activity where usename = '{role}' and state = 'idle'");
    eventually("they are idle", || {
        let busy = format!(
            "select count(*) from pg_stat_activity where usename = '{role}' and state <> 'idle'"
        );
        stage.database.sql(&busy) == "0"
    });
    let pids = stage
        .database
        .sql(&format!("select pid {idle} order by pid"));
    for pid in pids.lines().step_by(2) {
        stage
            .database
            .sql(&format!("select pg_terminate_backend({pid}, 10000)"));
    }
}

/// R32, R33: pgdog#776 and #1356 lost count of answers behind an error in a pipeline.
#[test]
fn an_error_in_a_pipeline_shifts_no_answer() {
    let stage = open(1);
    let one = |sql: &str| [raw::parse("", sql), raw::bind("", ""), raw::execute("")].concat();
    let bad = || one("select 1/0");
    let script = [
        [
            one("select 'a'"),
            bad(),
            one("select 'lost'"),
            raw::flush(),
            one("select 'lost'"),
            raw::sync(),
        ]
        .concat(),
        raw::query("select 'b'; select 1/0; select 'lost'"),
        [bad(), raw::query("select 'lost'"), raw::sync()].concat(),
        [one("select 'c'"), raw::sync()].concat(),
    ];
    let mut direct = Raw::login(&stage.database.login(&stage.database.write));
    let mut alice = stage.raw("alice");
    for (number, part) in script.iter().enumerate() {
        if number == 2 {
            // A Query in an open batch: the gate refuses it, and says so (V18).
            continue;
        }
        for client in [&mut direct, &mut alice] {
            client.send(part);
        }
        let [server, gate] = [direct.frames_until(b'Z'), alice.frames_until(b'Z')];
        assert_eq!(
            raw::tags(&server),
            raw::tags(&gate),
            "{number}: {}",
            said(&gate)
        );
        assert_eq!(row_of(&server), row_of(&gate));
    }
}
