//! PREPARE and EXECUTE are judged by what is inside (hazards, section L): an EXECUTE passes, waits and is signed as what it
//! runs, as long as nobody can have changed what the name means; else it waits as something unknown.

use harness::raw::{self, Raw, bind, execute, parse, sync};
use harness::stage::{Stage, held_raw};

/// What a held statement says of itself; nothing of one that passes. It does not run.
#[track_caller]
fn why(stage: &Stage, client: &mut Raw, bytes: &[u8]) -> Option<String> {
    client.send(bytes);
    let first = client.frame();
    if first.tag != b'N' {
        let rest = client.frames_until(b'Z');
        let failed = first.tag == b'E' || rest.iter().any(|it| it.tag == b'E');
        assert!(!failed, "{}", first.describe());
        return None;
    }
    let notice = first.field('M').unwrap_or_default();
    let ticket = harness::stage::ticket_in(&notice).unwrap();
    let why = stage.ticket("bob", &ticket, "why");
    stage.reject(&ticket, "no");
    client.frames_until(b'Z');
    Some(why)
}

/// The same of a Query.
#[track_caller]
fn asked(stage: &Stage, client: &mut Raw, sql: &str) -> Option<String> {
    why(stage, client, &raw::query(sql))
}

/// Somebody signs for it.
#[track_caller]
fn signed(stage: &Stage, client: &mut Raw, sql: &str) -> String {
    client.send(&raw::query(sql));
    let ticket = held_raw(client);
    stage.approve(&ticket);
    let answer = client.frames_until(b'Z');
    assert!(raw::tags(&answer).ends_with("CZ"), "{sql}");
    ticket
}

const UNKNOWN: &str = "whose text is not here";

#[test]
fn an_execute_is_what_it_runs() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    let prepare = "prepare notes(int, text) as select note from t where id = $1 or note = $2";
    assert_eq!(asked(&stage, &mut alice, prepare), None);
    for run in [
        "execute notes(1, 'two')",
        "EXECUTE \"notes\"(1 + 1, lower('TWO'))",
        "explain execute notes(1, 'x')",
        "explain analyze execute notes(1, 'x')",
    ] {
        assert_eq!(asked(&stage, &mut alice, run), None, "{run}");
    }
    let rows = raw::tags(&alice.query("execute notes(1, 'two')"));
    assert_eq!(rows, "TDDCZ");
    for (run, part) in [
        ("execute others(1)", UNKNOWN),
        (
            "execute notes(nobodys(), 'x')",
            "unknown function nobodys()",
        ),
        ("execute \"Notes\"(1, 'x')", UNKNOWN),
        (
            "create table copied as execute notes(1, 'x')",
            "holds a ExecuteStmt",
        ),
    ] {
        let Some(said) = asked_or_denied(&stage, &mut alice, run) else {
            panic!("{run} passed")
        };
        assert!(said.contains(part), "{run}: {said}");
    }
}

/// As `asked`, where the rules deny what makes tables.
#[track_caller]
fn asked_or_denied(stage: &Stage, client: &mut Raw, sql: &str) -> Option<String> {
    client.send(&raw::query(sql));
    let first = client.frame();
    if first.tag == b'E' {
        client.frames_until(b'Z');
        return first.field('D');
    }
    let ticket = harness::stage::ticket_in(&first.field('M').unwrap_or_default())?;
    let why = stage.ticket("bob", &ticket, "why");
    stage.reject(&ticket, "no");
    client.frames_until(b'Z');
    Some(why)
}

/// What is signed says what runs, and is spent on that alone.
#[test]
fn a_write_that_was_prepared_is_signed_as_one() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    signed(
        &stage,
        &mut alice,
        "prepare gone(int) as delete from t where id = $1",
    );
    alice.send(&raw::query("execute gone(1)"));
    let ticket = held_raw(&mut alice);
    assert_eq!(stage.ticket("bob", &ticket, "class"), "write");
    let why = stage.ticket("bob", &ticket, "why");
    assert!(
        why.contains("runs prepared statement gone, which writes t"),
        "{why}"
    );
    let shown = stage.ticket("bob", &ticket, "statement");
    assert!(
        shown.contains("prepare gone(int) as delete from t"),
        "{shown}"
    );
    assert_eq!(stage.count("id = 1"), "1");
    stage.approve(&ticket);
    assert_eq!(raw::tags(&alice.frames_until(b'Z')), "NCZ");
    assert_eq!(stage.count("id = 1"), "0");
}

/// Whatever may have changed what a name means makes it unknown; what cannot, does not.
#[test]
fn a_name_means_what_was_prepared_last() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    let known = |alice: &mut Raw, name: &str| {
        let said = asked(&stage, alice, &format!("execute {name}"));
        assert!(
            said.as_deref().is_none_or(|it| it.contains(UNKNOWN)),
            "{said:?}"
        );
        said.is_none()
    };
    assert_eq!(asked(&stage, &mut alice, "prepare p as select 1"), None);
    assert_eq!(asked(&stage, &mut alice, "prepare q as select 2"), None);
    assert!(known(&mut alice, "p") && known(&mut alice, "q"));
    // A PREPARE that fails leaves what was there, and nobody here says so.
    assert!(raw::tags(&alice.query("prepare p as select 3")).contains('E'));
    assert!(!known(&mut alice, "p") && known(&mut alice, "q"));
    assert_eq!(asked(&stage, &mut alice, "deallocate p"), None);
    assert!(!known(&mut alice, "p") && known(&mut alice, "q"));
    assert_eq!(asked(&stage, &mut alice, "prepare p as select 3"), None);
    assert!(known(&mut alice, "p"));
    // In one string the name is another's by the time that it is run.
    let string = "deallocate p; prepare p as select note from t; execute p";
    let said = asked(&stage, &mut alice, string).unwrap();
    assert!(said.contains(UNKNOWN), "{said}");
    assert!(known(&mut alice, "p"));
    signed(
        &stage,
        &mut alice,
        "do $$ begin execute 'deallocate p'; end $$",
    );
    assert!(!known(&mut alice, "p") && !known(&mut alice, "q"));
    assert_eq!(asked(&stage, &mut alice, "prepare r as select 1"), None);
    assert!(known(&mut alice, "r"));
    assert_eq!(asked(&stage, &mut alice, "deallocate all"), None);
    assert!(!known(&mut alice, "r"));
}

/// A statement of the protocol can be run by SQL, and one of SQL by the protocol.
#[test]
fn names_are_one_for_sql_and_the_protocol() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    let read = [parse("s1", "select note from t"), sync()].concat();
    let write = [parse("s2", "delete from t"), sync()].concat();
    alice.send(&[read, write].concat());
    alice.frames_until(b'Z');
    alice.frames_until(b'Z');
    assert_eq!(asked(&stage, &mut alice, "execute s1"), None);
    let said = asked(&stage, &mut alice, "execute s2").unwrap();
    assert!(
        said.contains("runs prepared statement s2, which writes t"),
        "{said}"
    );
    assert_eq!(
        asked(&stage, &mut alice, "prepare p as select id from t"),
        None
    );
    let run = [bind("", "p"), execute(""), sync()].concat();
    assert_eq!(why(&stage, &mut alice, &run), None);
    let unknown = [bind("", "nobodys"), execute(""), sync()].concat();
    assert!(why(&stage, &mut alice, &unknown).is_some_and(|it| it.contains(UNKNOWN)));
    assert_eq!(stage.count("true"), "3");
}

/// What is read may lie; the server refuses it in an EXECUTE as well (hazards V27).
#[test]
fn an_execute_that_passes_is_fenced() {
    let stage = Stage::new();
    stage.database.sql(
        "create function really() returns int language plpgsql volatile as \
         $$ begin insert into t values (100, 'sneaked'); return 1; end $$; \
         create function sneaky() returns int language plpgsql stable as \
         $$ begin return really(); end $$; create view v as select sneaky() as x",
    );
    let mut alice = stage.raw("alice");
    assert_eq!(
        asked(&stage, &mut alice, "prepare p as select x from v"),
        None
    );
    for begin in [None, Some("begin")] {
        if let Some(begin) = begin {
            alice.query(begin);
        }
        let answer = alice.query("execute p");
        let refused = answer.iter().find(|it| it.tag == b'E').unwrap();
        assert_eq!(refused.sqlstate(), "25006", "{begin:?}");
        alice.query("rollback");
    }
    assert_eq!(stage.count("note = 'sneaked'"), "0");
}
