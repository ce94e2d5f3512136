//! What people release does not hold up production: it waits for locks, and runs, only so long.

use harness::raw::{self, Raw};
use harness::stage::{Stage, held_raw, leave_pending};

const UPDATE: &str = "update t set note = 'new' where id = 1";
const SLOW: &str = "update t set note = 'new' from pg_sleep(60) where id = 1";

fn stage(mode: &str) -> Stage {
    Stage::with(|setup| {
        setup.tenant = format!("pool_size = 1\npool_mode = '{mode}'\n");
        setup.more.push_str(
            "[[release]]\nlock_timeout = '700 ms'\n[[release]]\nclass = 'maintenance'\nlock_timeout = '5 s'\n\
                      statement_timeout = '20 min'\n",
        );
    })
}

/// Signed by bob, with more words.
#[track_caller]
fn sign(stage: &Stage, client: &mut Raw, sql: &str, more: &[&str]) -> (String, Vec<raw::Frame>) {
    client.send(&raw::query(sql));
    let ticket = held_raw(client);
    let args = [&["approve", ticket.as_str()], more].concat();
    stage.cli("bob").run(&args).ok();
    (ticket, client.frames_until(b'Z'))
}

fn sqlstate(answer: &[raw::Frame]) -> String {
    let error = answer.iter().find(|it| it.tag == b'E');
    error.map_or_else(|| raw::tags(answer), raw::Frame::sqlstate)
}

#[track_caller]
fn shown(client: &mut Raw, setting: &str) -> String {
    let answer = client.query(&format!("show {setting}"));
    assert_eq!(raw::tags(&answer), "TDCZ");
    answer[1].columns()[0].clone().unwrap_or_default()
}

#[test]
fn time_outs_stand_on_the_ticket_and_can_be_narrowed() {
    let stage = stage("transaction");
    let ticket = leave_pending(&stage, UPDATE);
    let usual = "lock_timeout 700 ms, statement_timeout 60 min";
    assert_eq!(stage.ticket("bob", &ticket, "time_outs"), usual);
    let vacuum = leave_pending(&stage, "vacuum t");
    let of_class = "lock_timeout 5 s, statement_timeout 20 min";
    assert_eq!(stage.ticket("bob", &vacuum, "time_outs"), of_class);
    let longer = [
        "approve",
        &vacuum,
        "--lock-timeout",
        "1h",
        "--statement-timeout",
        "3s",
    ];
    stage.cli("bob").run(&longer).ok();
    let narrowed = "lock_timeout 5 s, statement_timeout 3 s";
    assert_eq!(stage.ticket("bob", &vacuum, "time_outs"), narrowed);
    assert!(raw::tags(&stage.raw("alice").query("vacuum t")).ends_with("CZ"));
}

/// An approved statement behind a lock lets go before everything else queues behind it.
#[test]
fn a_lock_is_waited_for_only_so_long_and_nothing_of_it_stays() {
    for mode in ["transaction", "session", "statement"] {
        let stage = stage(mode);
        let mut owner = Raw::login(&stage.database.login(&stage.database.write));
        owner.query("begin");
        owner.query("update t set note = 'mine' where id = 1");
        let mut alice = stage.raw("alice");
        let (ticket, answer) = sign(&stage, &mut alice, UPDATE, &[]);
        assert_eq!(sqlstate(&answer), "55P03", "{mode}");
        assert_eq!(stage.state(&ticket), "failed", "{mode}");
        let (_, answer) = sign(&stage, &mut alice, SLOW, &["--statement-timeout", "300ms"]);
        assert_eq!(sqlstate(&answer), "57014", "{mode}");
        owner.query("rollback");
        let (_, answer) = sign(&stage, &mut alice, UPDATE, &[]);
        assert!(raw::tags(&answer).ends_with("CZ"), "{mode}");
        for setting in ["lock_timeout", "statement_timeout"] {
            assert_eq!(shown(&mut alice, setting), "0", "{mode}: {setting}");
        }
        // Those of the session are its own again.
        if mode != "statement" {
            alice.query("set lock_timeout = '4s'");
            let (_, answer) = sign(&stage, &mut alice, UPDATE, &[]);
            assert!(raw::tags(&answer).ends_with("CZ"), "{mode}");
            assert_eq!(shown(&mut alice, "lock_timeout"), "4s", "{mode}");
        }
    }
}

#[test]
fn in_a_transaction_they_are_for_what_was_signed_alone() {
    for mode in ["transaction", "session"] {
        let stage = stage(mode);
        let mut alice = stage.raw("alice");
        alice.query("begin");
        let (_, answer) = sign(&stage, &mut alice, UPDATE, &[]);
        assert!(raw::tags(&answer).ends_with("CZ"), "{mode}");
        assert_eq!(shown(&mut alice, "lock_timeout"), "0", "{mode}");
        alice.query("savepoint s");
        let (_, answer) = sign(&stage, &mut alice, SLOW, &["--statement-timeout", "300ms"]);
        assert_eq!(sqlstate(&answer), "57014", "{mode}");
        alice.query("rollback to s");
        assert_eq!(shown(&mut alice, "statement_timeout"), "0", "{mode}");
        alice.query("commit");
        assert_eq!(stage.count("note = 'new'"), "1", "{mode}");
        assert_eq!(shown(&mut alice, "lock_timeout"), "0", "{mode}");
    }
}

/// Hazards R85: what is told to be done is on the server's disk, whatever a role or a database has been set to.
#[test]
fn what_was_signed_is_durable() {
    for mode in ["transaction", "session"] {
        let stage = stage(mode);
        let (database, role) = (&stage.database.name, &stage.database.write.name);
        let off = format!("alter role {role} in database {database} set synchronous_commit = off");
        stage.database.sql(&off);
        // A trigger that fires at the end tells what the commit goes by.
        stage.database.sql(
            "create table seen (at text, how text); \
             create function look() returns trigger language plpgsql as \
               $$ begin insert into seen values (tg_op, current_setting('synchronous_commit')); return null; end $$; \
             create constraint trigger look after update on t deferrable initially deferred \
               for each row execute function look(); grant all on seen to public",
        );
        let mut alice = stage.raw("alice");
        let (_, answer) = sign(&stage, &mut alice, UPDATE, &[]);
        assert!(
            raw::tags(&answer).ends_with("CZ"),
            "{mode}: {}",
            raw::tags(&answer)
        );
        alice.query("begin");
        let (_, answer) = sign(
            &stage,
            &mut alice,
            "update t set note = 'new' where id = 2",
            &[],
        );
        assert!(
            raw::tags(&answer).ends_with("CZ"),
            "{mode}: {}",
            raw::tags(&answer)
        );
        alice.query("commit");
        let how = "select string_agg(how, ' ') from seen";
        assert_eq!(stage.database.sql(how), "on on", "{mode}");
        assert_eq!(shown(&mut alice, "synchronous_commit"), "off", "{mode}");
    }
}
