//! The ledger as its database has it: who may do what with it, and that of a claim and a fence one wins (hazards R81, R83, V8,
//! V9).

use std::thread;

use harness::psql;
use harness::raw::{self, Raw};

use crate::ledger::{rows, session, setup, stage};

fn claim(nonce: &str) -> String {
    format!("select portcullis.claim('{nonce}', 'T-1')")
}

fn fence(nonce: &str) -> String {
    format!("select portcullis.fence(sha256('{nonce}'), 'T-1')")
}

#[track_caller]
fn answer(client: &mut Raw, sql: &str) -> String {
    let frames = client.query(sql);
    let found = frames.iter().find_map(|it| match it.tag {
        b'D' => it.columns()[0].clone(),
        b'E' => Some(it.sqlstate()),
        _ => None,
    });
    found.unwrap_or_default()
}

/// Hazards V8, V9: whoever fences waits for what is under way, or is told that it goes on.
#[test]
fn a_fence_waits_for_what_is_under_way() {
    let stage = stage();
    let (write, ledger) = (&stage.database.write, &stage.database.ledger);
    let (mut original, mut resolver) = (session(&stage, write), session(&stage, ledger));
    original.query("begin");
    original.query(&claim("a"));
    assert_eq!(answer(&mut resolver, &fence("a")), "55P03");
    resolver.send(&raw::query(&fence("a")));
    original.query("commit");
    let frames = resolver.frames_until(b'Z');
    assert_eq!(frames[1].columns()[0].as_deref(), Some("ran"));
    original.query("begin");
    original.query(&claim("b"));
    resolver.send(&raw::query(&fence("b")));
    original.query("rollback");
    let frames = resolver.frames_until(b'Z');
    assert_eq!(frames[1].columns()[0].as_deref(), Some("fenced"));
    assert_eq!(answer(&mut original, &claim("b")), "23505");
    assert_eq!(answer(&mut resolver, &fence("b")), "fenced");
}

/// Hazards R83: never both.
#[test]
fn of_a_claim_and_a_fence_that_race_one_wins() {
    let stage = stage();
    let (write, ledger) = (&stage.database.write, &stage.database.ledger);
    let (mut original, mut resolver) = (session(&stage, write), session(&stage, ledger));
    for number in 0..200 {
        let nonce = format!("n{number}");
        let insert = format!(
            "begin; {}; insert into t values ({number}, 'ran'); commit",
            claim(&nonce)
        );
        let fenced = thread::scope(|scope| {
            let resolver = scope.spawn(|| answer(&mut resolver, &fence(&nonce)));
            let frames = original.query(&insert);
            if frames.iter().any(|it| it.tag == b'E') {
                original.query("rollback");
            }
            resolver.join().unwrap()
        });
        let ran = stage.count(&format!("id = {number}"));
        let expected = if ran == "1" { "ran" } else { "fenced" };
        assert_eq!(fenced, expected, "{number}");
    }
}

#[test]
fn install_shows_the_sql_and_makes_what_nobody_else_can_change() {
    let stage = stage();
    let shown = stage.install(&[]).ok().stdout;
    assert!(
        shown.contains("CREATE TABLE IF NOT EXISTS portcullis.ledger"),
        "{shown}"
    );
    // It is the SQL: psql runs it, and again.
    for _ in 0..2 {
        psql(&stage.database.server.superuser(&stage.database.name))
            .arg("-v")
            .arg("ON_ERROR_STOP=1")
            .query(&shown)
            .ok();
    }
    let (write, ledger) = (&stage.database.write, &stage.database.ledger);
    let refused = [
        (write, "select * from portcullis.ledger"),
        (
            write,
            "insert into portcullis.ledger values (sha256('a'), 'ran')",
        ),
        (write, "delete from portcullis.ledger"),
        (write, "select portcullis.fence(sha256('a'), 'T-1')"),
        (write, "create table portcullis.mine (id int)"),
        (write, "drop schema portcullis cascade"),
        (ledger, "select portcullis.claim('a', 'T-1')"),
        (ledger, "update portcullis.ledger set fate = 'ran'"),
        (
            ledger,
            "create or replace function portcullis.claim(nonce bytea, ticket text) returns void language sql as ''",
        ),
        (&stage.database.read, "select portcullis.claim('a', 'T-1')"),
        (&stage.database.owner, "select portcullis.claim('a', 'T-1')"),
    ];
    for (role, sql) in refused {
        assert_eq!(
            answer(&mut session(&stage, role), sql),
            "42501",
            "{}: {sql}",
            role.name
        );
    }
    // Names that others make do not lead its functions astray (hazards R16).
    let mut client = session(&stage, write);
    client.query("create table public.ledger (key bytea, fate text, ticket text)");
    client.query("create temp table ledger (key bytea, fate text, ticket text)");
    client.query("set search_path = public, pg_temp");
    client.query("create function public.sha256(text) returns bytea language sql as $$ select '\\x00'::bytea $$");
    client.query(&claim("c"));
    assert_eq!(rows(&stage), "T-1 ran");
    assert_eq!(
        stage
            .database
            .sql("select encode(key, 'hex') from portcullis.ledger"),
        stage
            .database
            .sql("select encode(pg_catalog.sha256('c'::bytea), 'hex')")
    );
}

#[test]
fn install_refuses_what_would_be_no_ledger() {
    let stage = setup(false).start();
    let said = stage.install(&[]).failed(2).stderr;
    assert!(said.contains("has no \"ledger_user\""), "{said}");
    let stage = crate::ledger::stage();
    let database = &stage.database;
    // The logins must not own it, nor anything in it, whoever makes the rest.
    let write = &database.write;
    let grant = format!(
        "drop schema portcullis cascade; grant create on database {} to {}",
        database.name, write.name
    );
    database.sql(&grant);
    let said = stage.install_as(&write.name, &write.password).failed(1);
    assert!(said.stderr.contains("a login of the gate owns"), "{said:?}");
    for before in [
        "create schema portcullis",
        "create schema portcullis; create table portcullis.ledger \
         (key bytea primary key, fate text, ticket text, login name, at timestamptz)",
    ] {
        session(&stage, write).query(before);
        let apply = ["--apply", "--as", "postgres"];
        let said = stage.install(&apply).failed(1).stderr;
        assert!(said.contains("a login of the gate owns"), "{said}");
        session(&stage, write).query("drop schema portcullis cascade");
        stage.install(&apply).ok();
        database.sql("drop schema portcullis cascade");
    }
    // A superuser can do what it wants.
    database.sql(&format!("alter role {} superuser", write.name));
    let said = stage
        .install(&["--apply", "--as", "postgres"])
        .failed(1)
        .stderr;
    assert!(said.contains("is a superuser"), "{said}");
    database.sql(&format!("alter role {} nosuperuser", write.name));
    let said = stage.install(&["--apply"]).failed(2).stderr;
    assert!(said.contains("--as"), "{said}");
}
