//! What is asked for beforehand, what is granted for a while, and what runs before anybody signs.

use harness::raw::{self, Raw, error};
use harness::stage::{Stage, eventually, held_raw};

use crate::tickets::journal;

const UPDATE: &str = "update t set note = 'new' where id = 1";

fn update(id: u32) -> String {
    format!("update t set note = 'new' where id = {id}")
}

/// The ticket that a `request` on the command line came to.
#[track_caller]
fn request(stage: &Stage, args: &[&str]) -> String {
    let tenant = stage.database.name.as_str();
    let args = [&["request", "--tenant", tenant], args].concat();
    let said = stage.cli("alice").run(&args).ok().stdout;
    let ticket = said.split(' ').next().unwrap();
    assert!(ticket.starts_with("T-"), "{said}");
    ticket.to_owned()
}

#[test]
fn what_is_requested_beforehand_runs_at_once() {
    let stage = Stage::new();
    let ticket = request(&stage, &[UPDATE, "--reason", "before the fair"]);
    assert_eq!(stage.ticket("bob", &ticket, "reason"), "before the fair");
    assert_eq!(stage.ticket("bob", &ticket, "writes"), "t");
    assert_eq!(
        request(&stage, &[UPDATE]),
        ticket,
        "the same request is the same ticket"
    );
    stage.approve(&ticket);
    assert_eq!(raw::tags(&stage.raw("alice").query(UPDATE)), "CZ");
    assert_eq!(stage.state(&ticket), "done");

    // A file of several statements is one ticket, and one Query string claims it.
    let both = format!("begin; {};\n{}; commit", update(2), update(3));
    let file = stage.gate.directory().write("change.sql", &both);
    let ticket = request(&stage, &["-f", &file.to_string_lossy()]);
    let scope = stage.ticket("bob", &ticket, "scope");
    assert_eq!(scope, "script of 4 statements, 2 of them signed for");
    stage.approve(&ticket);
    let answer = stage.raw("alice").query(&both);
    assert_eq!(raw::tags(&answer).replace('N', ""), "CCCCZ");
    assert_eq!(stage.count("note = 'new'"), "3");

    let tenant = stage.database.name.as_str();
    let read = stage
        .cli("alice")
        .run(&["request", "--tenant", tenant, "select 1"])
        .ok();
    assert!(read.stdout.contains("no ticket is needed"), "{read:?}");
    let denied = stage
        .cli("alice")
        .run(&["request", "--tenant", tenant, "drop table t"]);
    assert!(
        denied
            .failed(1)
            .stderr
            .contains("schema changes go through migrations")
    );
    let nowhere = stage
        .cli("alice")
        .run(&["request", "--tenant", "nowhere", UPDATE]);
    assert!(nowhere.failed(1).stderr.contains("nowhere"));
}

/// DESIGN ruling 19: each use of a grant is a claim of its own.
#[test]
fn a_grant_lets_its_classes_pass_so_often() {
    let stage = Stage::new();
    let grant = request(
        &stage,
        &[
            "--grant", "write", "--for", "1h", "--uses", "2", "-m", "fair",
        ],
    );
    let scope = stage.ticket("bob", &grant, "scope");
    assert!(scope.starts_with("grant of write, until "), "{scope}");
    assert!(scope.ends_with("0 of 2 used"), "{scope}");
    let mut alice = stage.raw("alice");
    alice.query("set portcullis.wait = off");
    assert_eq!(
        error(&alice.query(UPDATE)).sqlstate(),
        "ZG008",
        "nobody has signed for it yet"
    );
    stage.approve(&grant);
    let mut bob = stage.raw("bob");
    bob.query("set portcullis.wait = off");
    assert_eq!(
        error(&bob.query(UPDATE)).sqlstate(),
        "ZG008",
        "it is alice's"
    );
    assert_eq!(raw::tags(&alice.query(&update(2))), "CZ");
    // Not what nobody can know beforehand, nor another class beside it.
    let opaque = alice.query("do $$ begin delete from t; end $$");
    assert_eq!(error(&opaque).sqlstate(), "ZG008");
    assert_eq!(raw::tags(&alice.query(&update(3))), "CZ");
    assert_eq!(stage.state(&grant), "done");
    assert_eq!(
        error(&alice.query("delete from t where id = 3")).sqlstate(),
        "ZG008"
    );
    assert_eq!(stage.count("note = 'new'"), "2");
    let intents = std::fs::read_to_string(journal(&stage)).unwrap();
    let of_grant = format!("\"ticket\":{}", grant.trim_start_matches("T-"));
    let uses = intents
        .lines()
        .filter(|it| it.contains("\"kind\":\"intent\"") && it.contains(&of_grant));
    assert_eq!(uses.count(), 2);

    let nonsense = [
        "request", "--tenant", "x", "--grant", "opaque", "--for", "1h",
    ];
    let refused = stage.cli("alice").run(&nonsense).failed(1);
    assert!(refused.stderr.contains("cannot be granted"), "{refused:?}");
}

/// A grant that was used in a transaction that is rolled back was used.
#[test]
fn a_grant_counts_what_is_rolled_back() {
    let stage = Stage::new();
    let grant = request(&stage, &["--grant", "write", "--for", "1h", "--uses", "2"]);
    stage.approve(&grant);
    let mut alice = stage.raw("alice");
    for text in ["begin", UPDATE, "rollback"] {
        assert_eq!(raw::tags(&alice.query(text)), "CZ", "{text}");
    }
    let scope = stage.ticket("bob", &grant, "scope");
    assert!(scope.ends_with("1 of 2 used"), "{scope}");
    assert_eq!(raw::tags(&alice.query(UPDATE)), "CZ");
    assert_eq!(stage.state(&grant), "done");
}

#[test]
fn broken_glass_is_loud_and_somebody_else_closes_its_review() {
    let stage = Stage::with(|setup| {
        setup.more =
            "[[break_glass]]\nname = 'on call'\nuser = 'alice'\nclass = ['write', 'read']\n\
                      review = { approvals = 1, from = 'dba' }\n"
                .to_owned();
    });
    let mut alice = stage.raw("alice");
    alice.query("set portcullis.break_glass = on");
    let answer = alice.query(UPDATE);
    assert!(
        error(&answer)
            .field('M')
            .unwrap()
            .contains("needs a reason")
    );
    alice.query("set portcullis.reason = 'the shop is down'");
    let answer = alice.query(UPDATE);
    assert_eq!(raw::tags(&answer), "NCZ");
    assert_eq!(answer[0].field('S').unwrap(), "WARNING");
    let message = answer[0].field('M').unwrap();
    assert!(
        message.starts_with("break-glass: running without approval as ticket T-1"),
        "{message}"
    );
    assert_eq!(stage.count("note = 'new'"), "1");
    assert_eq!(stage.state("T-1"), "done");
    assert!(
        stage
            .ticket("bob", "T-2", "scope")
            .starts_with("review of T-1")
    );
    assert_eq!(stage.ticket("bob", "T-2", "reason"), "the shop is down");
    assert_eq!(stage.state("T-2"), "pending");
    let own = stage.cli("alice").run(&["approve", "T-2"]).failed(1);
    assert!(own.stderr.contains("its own requester"), "{own:?}");
    stage.approve("T-2");
    assert_eq!(stage.state("T-2"), "done");
    let written = std::fs::read_to_string(journal(&stage)).unwrap();
    assert!(
        written.contains("\"kind\":\"broke_glass\""),
        "it is in the journal"
    );

    // Denials stay denials, other classes wait, and nobody else has it.
    assert_eq!(error(&alice.query("drop table t")).sqlstate(), "ZG001");
    let answer = alice.query("vacuum t");
    assert!(
        error(&answer)
            .field('M')
            .unwrap()
            .contains("not for this statement")
    );
    let mut bob = stage.raw("bob");
    bob.query("set portcullis.break_glass = on");
    bob.query("set portcullis.reason = 'me too'");
    assert_eq!(error(&bob.query(UPDATE)).sqlstate(), "42501");
    alice.query("set portcullis.break_glass = off");
    alice.send(&raw::query(&update(2)));
    held_raw(&mut alice);
}

/// Closed, the gate lets reads pass and nothing else, not even what is approved; and so after a restart.
#[test]
fn the_gate_is_closed_to_all_but_reads() {
    let stage = Stage::with(|setup| {
        setup.rules.push_str(
            "[[rule]]\nname = 'dba'\ngroup = 'dba'\nclass = 'write'\nverdict = 'allow'\n",
        );
    });
    let approved = harness::stage::leave_approved(&stage, UPDATE);
    let mut waiting = stage.raw("alice");
    waiting.send(&raw::query(&update(2)));
    let ticket = held_raw(&mut waiting);
    let refused = stage.cli("bob").run(&["hold", "all"]).failed(1);
    assert!(refused.stderr.contains("permission denied"), "{refused:?}");
    stage
        .cli("carol")
        .run(&["hold", "all", "-m", "we restore"])
        .ok();

    let stage = stage.restart();
    let mut alice = stage.raw("alice");
    assert_eq!(raw::tags(&alice.query("select 1")), "TDCZ");
    for (who, sql) in [("alice", UPDATE), ("bob", UPDATE), ("alice", "vacuum t")] {
        let answer = stage.raw(who).query(sql);
        let fault = error(&answer);
        assert_eq!(fault.sqlstate(), "ZG009", "{who}: {sql}");
        assert!(fault.field('D').unwrap().contains("we restore"));
    }
    // A transaction that is open can end.
    for (sql, tags) in [("begin", "CZ"), ("select 1", "TDCZ"), ("commit", "CZ")] {
        assert_eq!(raw::tags(&alice.query(sql)), tags, "{sql}");
    }
    stage.approve(&ticket);
    assert_eq!(error(&alice.query(&update(2))).sqlstate(), "ZG009");
    assert_eq!(stage.state(&approved), "approved");
    assert_eq!(stage.count("note = 'new'"), "0");
    stage.cli("carol").run(&["hold", "off"]).ok();
    assert_eq!(raw::tags(&alice.query(UPDATE)), "CZ");
    assert_eq!(raw::tags(&alice.query(&update(2))), "CZ");
}

/// What is waited for when the gate is closed stays approved, and its client hears why it does not run.
#[test]
fn whoever_waits_hears_that_the_gate_is_closed() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut alice);
    stage.cli("carol").run(&["hold", "all"]).ok();
    stage.approve(&ticket);
    let answer = alice.frames_until(b'Z');
    assert_eq!(error(&answer).sqlstate(), "ZG009");
    assert_eq!(stage.state(&ticket), "approved");
}

#[test]
fn what_runs_can_be_ended() {
    let stage = Stage::new();
    let sql = "update t set note = 'new' from pg_sleep(600) where id = 1";
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(sql));
    let ticket = held_raw(&mut alice);
    let idle = stage.cli("bob").run(&["terminate", &ticket]).failed(1);
    assert!(idle.stderr.contains("does not run now"), "{idle:?}");
    stage.approve(&ticket);
    eventually("it runs", || stage.active_upstreams() == 1);
    assert_eq!(stage.state(&ticket), "executing");
    stage.cli("bob").run(&["terminate", &ticket]).ok();
    let told = alice.frames_until_closed();
    assert!(told.iter().any(|it| it.tag == b'E'), "{}", raw::tags(&told));
    stage.wait_state(&ticket, "failed");
    eventually("it is gone", || stage.active_upstreams() == 0);
    assert_eq!(stage.count("note = 'new'"), "0");
}

/// What is in doubt is for somebody who has looked.
#[test]
fn a_doubt_is_resolved_by_somebody_who_has_looked() {
    let mut stage = Stage::new();
    let sql = "insert into t select 5, 'once' from pg_sleep(600)";
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(sql));
    let ticket = held_raw(&mut alice);
    stage.approve(&ticket);
    eventually("it runs", || stage.active_upstreams() == 1);
    stage.gate.kill9();
    let stage = stage.restart();
    assert_eq!(stage.state(&ticket), "in_doubt");
    let own = stage
        .cli("alice")
        .run(&["resolve", &ticket, "--done", "-m", "I saw it"])
        .failed(1);
    assert!(own.stderr.contains("cannot be resolved by"), "{own:?}");
    let said = stage
        .cli("bob")
        .run(&["resolve", &ticket, "--fenced", "-m", "no such row"])
        .ok();
    assert_eq!(said.stdout, format!("{ticket} fenced"));
    let outcome = stage.ticket("bob", &ticket, "outcome");
    assert_eq!(outcome, "resolved by bob: no such row");
    let again = stage
        .cli("bob")
        .run(&["resolve", &ticket, "--done", "-m", "or not"])
        .failed(1);
    assert!(again.stderr.contains("is fenced"), "{again:?}");
}

/// The console by psql has all of it, too.
#[test]
fn the_console_takes_requests() {
    let stage = Stage::new();
    let tenant = &stage.database.name;
    let mut console = Raw::login(&stage.console("alice"));
    let answer = console.query(&format!(
        "REQUEST ON {tenant} 'delete from t where note = ''x''' REASON 'old'"
    ));
    assert_eq!(raw::tags(&answer), "TDCZ");
    let ticket = answer[1].columns()[0].clone().unwrap();
    assert_eq!(
        stage.ticket("bob", &ticket, "statement"),
        "delete from t where note = 'x'"
    );
    for bad in [
        "REQUEST",
        "REQUEST ON x",
        "REQUEST GRANT ON x FOR write",
        "HOLD",
        "TERMINATE x",
    ] {
        assert_eq!(error(&console.query(bad)).sqlstate(), "42601", "{bad}");
    }
}
