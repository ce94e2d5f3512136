//! Process ids that clients were given, named in SQL: pgAdmin's Cancel, `pg_terminate_backend` of one's own
//! session (DESIGN ruling 21). And who leaves, or is sent away: what ends with them, and what they still hear.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::tickets::journal;
use harness::raw::{self, Frame, Raw, bind_values, describe, execute, parse, sync};
use harness::stage::{Stage, eventually, held_raw};

const SLEEP: &str = "select pg_sleep(600)";
const UPDATE: &str = "update t set note = 'changed' where id = 1";

fn open() -> Stage {
    let all = "[[rule]]\nname = 'all'\nverdict = 'allow'\n";
    Stage::with(|setup| all.clone_into(&mut setup.rules))
}

#[track_caller]
fn wait_asleep(stage: &Stage, count: &str) {
    let asleep = format!(
        "select count(*) from pg_stat_activity where state = 'active' and query = '{SLEEP}' and datname = '{}'",
        stage.database.name
    );
    eventually("so many sleep", || stage.database.sql(&asleep) == count);
}

fn rows(frames: &[Frame]) -> Vec<Option<String>> {
    let rows = frames.iter().filter(|it| it.tag == b'D');
    rows.flat_map(Frame::columns).collect()
}

#[track_caller]
fn cancelled(client: &mut Raw) {
    let frames = client.frames_until(b'Z');
    let error = frames.iter().find(|it| it.tag == b'E').expect("no error");
    assert_eq!(error.sqlstate(), "57014", "{}", error.describe());
}

#[track_caller]
fn ended(client: &mut Raw) {
    let frames = client.frames_until_closed();
    let last = frames.last().expect("nothing was said");
    assert_eq!(last.sqlstate(), "57P01", "{}", last.describe());
    assert_eq!(last.field('S').as_deref(), Some("FATAL"));
}

#[test]
fn the_process_id_of_the_greeting_cancels_as_on_a_server() {
    let stage = open();
    let (mut busy, mut other) = (stage.raw("alice"), stage.raw("alice"));
    let pid = busy.key().0;
    let cancel = format!("select pg_cancel_backend({pid})");
    for round in 0..2 {
        busy.send(&raw::query(SLEEP));
        wait_asleep(&stage, "1");
        if round == 0 {
            let told = other.query(&cancel);
            let real = Raw::login(&stage.login("alice")).query("select pg_cancel_backend(0)");
            assert_eq!(told[0].body, real[0].body, "a row of another shape");
            assert_eq!(rows(&told), [Some("t".to_owned())]);
        } else {
            // As drivers call it: prepared, the id as a parameter, the answer in binary.
            let text = "select pg_catalog.pg_cancel_backend($1)";
            let bound = bind_values("", "", &[Some(&pid.to_string())]);
            other.send(
                &[
                    parse("", text),
                    bound,
                    describe(b'P', ""),
                    execute(""),
                    sync(),
                ]
                .concat(),
            );
            let told = other.frames_until(b'Z');
            assert_eq!(raw::tags(&told), "12TDCZ");
            assert_eq!(rows(&told), [Some("t".to_owned())]);
        }
        cancelled(&mut busy);
    }
    // Who does nothing is not cancelled, nor what they do next.
    assert_eq!(rows(&other.query(&cancel)), [Some("t".to_owned())]);
    assert_eq!(raw::tags(&busy.query("select 1")), "TDCZ");
    // Lines reach the file in batches.
    eventually("the journal has them", || {
        let text = fs::read_to_string(journal(&stage)).unwrap();
        text.matches("signalled").count() == 3
    });
}

/// What `pg_backend_pid()` says is the server's; while that connection is lent, it is as good.
#[test]
fn so_does_the_servers_own_while_it_is_lent() {
    let stage = open();
    let (mut busy, mut other) = (stage.raw("alice"), stage.raw("alice"));
    busy.query("begin");
    let pid = rows(&busy.query("select pg_backend_pid()"))
        .remove(0)
        .unwrap();
    busy.send(&raw::query(SLEEP));
    wait_asleep(&stage, "1");
    let told = other.query(&format!("select pg_cancel_backend({pid})"));
    assert_eq!(rows(&told), [Some("t".to_owned())]);
    cancelled(&mut busy);
}

#[test]
fn a_hold_is_withdrawn_so_and_nobody_elses() {
    let stage = Stage::new();
    let (mut alice, mut again, mut bob) =
        (stage.raw("alice"), stage.raw("alice"), stage.raw("bob"));
    alice.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut alice);
    let cancel = format!("select pg_cancel_backend({})", alice.key().0);
    bob.send(&raw::query(&cancel));
    let asked = held_raw(&mut bob);
    assert_eq!(stage.state(&ticket), "pending", "bob's word is not alice's");
    assert_eq!(rows(&again.query(&cancel)), [Some("t".to_owned())]);
    cancelled(&mut alice);
    stage.wait_state(&ticket, "withdrawn");
    assert_eq!(stage.state(&asked), "pending");
}

#[test]
fn a_session_is_ended_from_another_and_by_itself() {
    let stage = open();
    let mut other = stage.raw("alice");
    for sql in [None, Some(SLEEP)] {
        let mut client = stage.raw("alice");
        if let Some(sql) = sql {
            client.send(&raw::query(sql));
            wait_asleep(&stage, "1");
        }
        let end = format!("select pg_terminate_backend({})", client.key().0);
        assert_eq!(rows(&other.query(&end)), [Some("t".to_owned())]);
        ended(&mut client);
        wait_asleep(&stage, "0");
    }
    let pid = other.key().0;
    let itself = other.query(&format!("select pg_cancel_backend({pid})"));
    assert_eq!(
        (raw::tags(&itself).as_str(), itself[0].sqlstate().as_str()),
        ("EZ", "57014")
    );
    other.send(&raw::query(&format!("select pg_terminate_backend({pid})")));
    ended(&mut other);
}

/// Nobody wants the answer any more, so the server need not find it.
#[test]
fn what_nobody_waits_for_is_cancelled() {
    let stage = open();
    let mut clients = [(); 3].map(|()| stage.raw("alice"));
    for client in &mut clients {
        client.send(&raw::query(SLEEP));
    }
    wait_asleep(&stage, "3");
    let [dropped, mut goes, mut half] = clients;
    drop(dropped);
    goes.send(&raw::terminate());
    drop(goes);
    half.half_close();
    wait_asleep(&stage, "0");
}

/// Unread bytes at a close make the kernel reset the connection, and what was said last is lost.
#[test]
fn the_last_word_is_heard_however_much_was_sent_behind() {
    let stage = Stage::new();
    for _ in 0..10 {
        let mut client = stage.raw("alice");
        client.send(&raw::frame(b'!', b""));
        let reader = thread::spawn(move || {
            // More than the gate reads at once; it may well stop listening in the middle of it.
            client.send(&vec![0; 4 << 20]);
            client
        });
        let mut client = reader.join().unwrap();
        let frames = client.frames_until_closed();
        let last = frames.last().expect("nothing was said");
        assert_eq!(last.field('S').as_deref(), Some("FATAL"));
        assert_eq!(last.sqlstate(), "08P01", "{}", last.describe());
    }
}

/// A request that waits for people is kept in memory, too.
#[test]
fn what_is_held_counts_for_its_tenant() {
    let stage = Stage::with(|setup| {
        setup.more = "[limits]\ntenant_buffer_bytes_max = '400 KiB'\n".to_owned();
    });
    let large = |bytes: usize| format!("update t set note = '{}' where id = 1", "x".repeat(bytes));
    let mut held = stage.raw("alice");
    held.send(&raw::query(&large(350_000)));
    let ticket = held_raw(&mut held);
    let half = raw::query(&format!("select length('{}')", "x".repeat(100_000)));
    let (half, rest) = half.split_at(60_000);
    let (mut first, mut second) = (stage.raw("alice"), stage.raw("alice"));
    // The one whose turn it is to grow, though nothing more fits.
    first.send(half);
    let message = raw::query(&format!("select length('{}')", "y".repeat(100_000)));
    assert_eq!(raw::tags(&stage.raw("bob").query("select 1")), "TDCZ");
    second.send(&message);
    second.is_silent_for(Duration::from_millis(200));
    stage.approve(&ticket);
    held.frames_until(b'Z');
    assert_eq!(raw::tags(&second.frames_until(b'Z')), "TDCZ");
    first.send(rest);
    assert_eq!(raw::tags(&first.frames_until(b'Z')), "TDCZ");
}
