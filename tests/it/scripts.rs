//! Scripts: signed together before any of them runs, sent one after the other, each in its turn.

use harness::raw::{self, Frame, Raw, error};
use harness::stage::{Stage, held_raw};

const CHANGE: &str = "-- the fair is over\nbegin;\nupdate t set note = 'first' where id = 1;\nselect 1;\n\
                      update t set note = 'second' where id = 2;\ncommit;\n\n/* last */ delete from t where id = 3;\n";

/// The script, asked for by alice.
#[track_caller]
fn request(stage: &Stage) -> String {
    let file = stage.gate.directory().write("change.sql", CHANGE);
    let tenant = stage.database.name.as_str();
    let args = ["request", "-f", &file.to_string_lossy(), "--tenant", tenant];
    let said = stage.cli("alice").run(&args).ok().stdout;
    said.split(' ').next().unwrap().to_owned()
}

#[track_caller]
fn say(client: &mut Raw, sql: &str) -> Vec<Frame> {
    client.query(sql)
}

#[test]
fn psql_runs_a_signed_script_from_its_file() {
    let stage = Stage::new();
    let ticket = request(&stage);
    let scope = stage.ticket("bob", &ticket, "scope");
    assert_eq!(scope, "script of 6 statements, 3 of them signed for");
    stage.approve(&ticket);
    let options = format!("-c portcullis.script={ticket}");
    let file = stage.gate.directory().file("change.sql");
    let psql = stage.psql("alice").env("PGOPTIONS", &options);
    psql.arg("-v")
        .arg("ON_ERROR_STOP=1")
        .arg("-f")
        .arg(&file.to_string_lossy())
        .run(&[])
        .ok();
    assert_eq!(stage.count("note in ('first', 'second')"), "2");
    assert_eq!(stage.count("id = 3"), "0");
    assert_eq!(stage.state(&ticket), "done");
    // It is good once.
    let again = stage
        .psql("alice")
        .env("PGOPTIONS", &options)
        .query("delete from t where id = 1");
    assert!(
        again
            .failed(1)
            .stderr
            .contains(&format!("script {ticket} is done"))
    );
}

#[test]
fn each_statement_has_its_turn() {
    let stage = Stage::new();
    let ticket = request(&stage);
    let mut alice = stage.raw("alice");
    say(&mut alice, &format!("set portcullis.script = '{ticket}'"));
    // Nobody has signed yet: the first statement waits for those who sign the whole.
    say(&mut alice, "begin");
    alice.send(&raw::query("update t set note = 'first' where id = 1"));
    assert_eq!(held_raw(&mut alice), ticket);
    stage.approve(&ticket);
    assert!(raw::tags(&alice.frames_until(b'Z')).ends_with("CZ"));
    assert_eq!(stage.state(&ticket), "executing");
    // Nobody else can go on with it.
    let mut bob = stage.raw("bob");
    say(&mut bob, &format!("set portcullis.script = '{ticket}'"));
    let answer = say(&mut bob, "update t set note = 'second' where id = 2");
    assert!(
        error(&answer)
            .field('M')
            .unwrap()
            .contains("is no script of yours")
    );
    let mut second = stage.raw("alice");
    say(&mut second, &format!("set portcullis.script = '{ticket}'"));
    say(&mut second, "begin");
    let answer = say(&mut second, "update t set note = 'second' where id = 2");
    let message = error(&answer).field('M').unwrap();
    assert!(message.contains("is executing"), "{message}");
    // What needs no signature passes as ever; what is not next does not.
    assert_eq!(raw::tags(&say(&mut alice, "select 1")), "TDCZ");
    let answer = say(&mut alice, "delete from t where id = 3");
    assert_eq!(error(&answer).sqlstate(), "ZG010");
    let detail = error(&answer).field('D').unwrap();
    assert!(
        detail.contains("update t set note = 'second' where id = 2"),
        "{detail}"
    );
    assert_eq!(stage.count("id = 3"), "1");
    // As any error it ends the transaction that it is in, and the script with it.
    say(&mut alice, "rollback");
    assert_eq!(stage.state(&ticket), "rolled_back");
}

#[test]
fn a_script_that_stops_on_the_way_has_failed() {
    let stage = Stage::new();
    let ticket = request(&stage);
    stage.approve(&ticket);
    let mut alice = stage.raw("alice");
    say(&mut alice, &format!("set portcullis.script = '{ticket}'"));
    say(&mut alice, "begin");
    assert_eq!(
        raw::tags(&say(&mut alice, "update t set note = 'first' where id = 1")),
        "CZ"
    );
    assert_eq!(
        raw::tags(&say(
            &mut alice,
            "update t set note = 'second' where id = 2"
        )),
        "CZ"
    );
    say(&mut alice, "commit");
    assert_eq!(stage.state(&ticket), "executing", "there is one more");
    alice.send(&raw::terminate());
    alice.frames_until_closed();
    stage.wait_state(&ticket, "failed");
    let outcome = stage.ticket("bob", &ticket, "outcome");
    assert_eq!(outcome, "its session ended behind 2 of 3 statements");
    assert_eq!(stage.count("note in ('first', 'second')"), "2");
    let mut alice = stage.raw("alice");
    say(&mut alice, &format!("set portcullis.script = '{ticket}'"));
    let answer = say(&mut alice, "delete from t where id = 3");
    assert!(error(&answer).field('M').unwrap().contains("is failed"));
}

#[test]
fn a_script_that_is_rolled_back_is_rolled_back() {
    let stage = Stage::new();
    let ticket = request(&stage);
    stage.approve(&ticket);
    let mut alice = stage.raw("alice");
    say(&mut alice, &format!("set portcullis.script = '{ticket}'"));
    say(&mut alice, "begin");
    say(&mut alice, "update t set note = 'first' where id = 1");
    say(&mut alice, "rollback");
    assert_eq!(stage.state(&ticket), "rolled_back");
    assert_eq!(stage.count("note = 'first'"), "0");
}

/// What was signed in a transaction does not run outside of one.
#[test]
fn a_statement_stands_where_it_stood() {
    let stage = Stage::new();
    let ticket = request(&stage);
    stage.approve(&ticket);
    let mut alice = stage.raw("alice");
    say(&mut alice, &format!("set portcullis.script = '{ticket}'"));
    let answer = say(&mut alice, "update t set note = 'first' where id = 1");
    assert_eq!(error(&answer).sqlstate(), "ZG010");
    assert_eq!(stage.state(&ticket), "approved");
    for bad in ["T-99", "nonsense"] {
        let answer = say(&mut alice, &format!("set portcullis.script = '{bad}'"));
        if bad == "nonsense" {
            assert_eq!(error(&answer).sqlstate(), "22023");
        } else {
            let answer = say(&mut alice, "delete from t");
            assert!(
                error(&answer)
                    .field('M')
                    .unwrap()
                    .contains("no script of yours")
            );
        }
    }
}

/// DESIGN ruling 8: what stands in one string with others is signed with them, and runs as it was signed.
#[test]
fn a_string_with_transaction_control_in_the_middle_is_for_a_script() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    for text in [
        "delete from t where id = 1; commit; delete from t where id = 2",
        "delete from t where id = 1; begin; delete from t where id = 2; commit",
        "begin; delete from t where id = 1; savepoint a; delete from t where id = 2; commit",
    ] {
        let answer = say(&mut alice, text);
        assert_eq!(error(&answer).sqlstate(), "0A000", "{text}");
        assert!(
            error(&answer)
                .field('H')
                .unwrap()
                .contains("portcullis request -f")
        );
        say(&mut alice, "rollback");
    }
    assert_eq!(stage.count("true"), "3");
    // As one string a script is one request, and runs as one.
    let ticket = request(&stage);
    stage.approve(&ticket);
    let answer = say(&mut alice, CHANGE);
    assert!(
        raw::tags(&answer).replace('N', "").ends_with("CZ"),
        "{}",
        raw::tags(&answer)
    );
    assert_eq!(stage.state(&ticket), "done");
}
