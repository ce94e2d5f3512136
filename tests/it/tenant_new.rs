//! `portcullis tenant new --apply`: a tenant is made by a ticket that somebody else signs, and a session of it works.

use std::path::{Path, PathBuf};

use harness::raw::{Raw, error};
use harness::stage::{Stage, eventually, password, portcullis};
use harness::{Finished, Process};

/// A stage whose tenant's login may make roles, and owns the database. Reads pass; nothing is denied.
fn stage() -> Stage {
    let stage = Stage::with(|setup| {
        setup.rules = String::from(
            "[[rule]]\nname = 'reads'\nclass = ['read', 'session']\nverdict = 'allow'\n",
        );
    });
    let (name, write) = (&stage.database.name, &stage.database.write.name);
    stage.database.sql(&format!(
        "alter role {write} createrole createdb; alter database {name} owner to {write}; alter schema public owner to {write}"
    ));
    stage
}

fn folder(stage: &Stage) -> PathBuf {
    stage.gate.directory().file("passwords")
}

/// The words of a command that makes `tenant`.
fn words(stage: &Stage, tenant: &str, more: &[&str]) -> Vec<String> {
    let folder = folder(stage);
    let server = format!("localhost:{}", stage.database.server.postgres().port());
    let args = [
        "tenant",
        "new",
        tenant,
        "--passwords",
        &folder.to_string_lossy(),
        "--server",
        &server,
    ];
    let words = args.iter().chain(more);
    words.map(|it| (*it).to_owned()).collect()
}

/// The same, through the stage's tenant, as alice.
fn apply(stage: &Stage, tenant: &str, more: &[&str]) -> Process {
    let through = ["--apply", "--through", &stage.database.name];
    let words = words(stage, tenant, &[more, &through].concat());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stage.cli("alice").spawn(&words)
}

/// The ticket that it waits for.
#[track_caller]
fn asked(process: &mut Process) -> String {
    let said = process.stdout().wait_for(" pending, waiting for 1 of dba");
    said.split(' ').next().unwrap().to_owned()
}

/// Signed while it waits.
#[track_caller]
fn signed(stage: &Stage, mut process: Process) -> Finished {
    let ticket = asked(&mut process);
    process
        .stderr()
        .wait_for(&format!("held as ticket {ticket}"));
    stage.approve(&ticket);
    process.finish()
}

/// Adds what is printed to the configuration. No test has the keys of other parts of it.
#[track_caller]
fn add(stage: Stage, tenant: &str, more: &[&str]) -> Stage {
    let words = words(&stage, tenant, &[more, &["--toml"]].concat());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let keys = portcullis(&words).ok().stdout;
    let root = stage.database.server.root_cert().display().to_string();
    let lines = keys.lines().map(|it| match it.split_once(" = ") {
        // On this server other tests have databases that everybody may come to.
        Some(("isolation", "\"database\"")) => String::new(),
        Some(("port", _)) => format!("{it}\nsslrootcert = '{root}'\n"),
        _ => format!("{it}\n"),
    });
    let keys: String = lines.collect();
    let file = stage.gate.directory().file("portcullis.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let (before, after) = config.split_once("[policy]").unwrap();
    let config = format!("{before}{keys}\n[policy]{after}");
    Stage {
        gate: stage.gate.restart_with(&config),
        database: stage.database,
    }
}

fn session(stage: &Stage, tenant: &str) -> Raw {
    Raw::login(&stage.gate.login("alice", &password("alice"), tenant))
}

#[track_caller]
fn rows(client: &mut Raw, sql: &str) -> Vec<Option<String>> {
    let frames = client.query(sql);
    let rows = frames.iter().filter(|it| it.tag == b'D');
    let rows: Vec<_> = rows.flat_map(harness::raw::Frame::columns).collect();
    assert!(
        !rows.is_empty(),
        "{:?}",
        frames
            .iter()
            .map(harness::raw::Frame::describe)
            .collect::<Vec<_>>()
    );
    rows
}

#[test]
fn a_signed_ticket_makes_a_schema_and_its_sessions_work() {
    let stage = stage();
    let database = stage.database.name.clone();
    let name = format!("{database}_acme");
    let model = ["--model", "schema", "--database", &database];
    let done = signed(&stage, apply(&stage, &name, &model)).ok();
    assert!(done.stdout.contains(" done\n"), "{}", done.stdout);
    assert!(
        done.stdout
            .contains(&format!("tenant \"{name}\" has its roles and its schema")),
        "{}",
        done.stdout
    );
    // Passwords are where they were made, and nowhere in what was signed.
    let file = folder(&stage).join(format!("{name}_app.password"));
    let secret = std::fs::read_to_string(file).unwrap();
    let shown = stage.cli("bob").run(&["show", "T-1"]).ok().stdout;
    assert!(
        shown.contains("SCRAM-SHA-256$4096:") && !shown.contains(secret.trim_end()),
        "{shown}"
    );
    let stage = add(stage, &name, &model);
    // The owner makes a table, which is signed for; the others use it.
    let mut owner = session(&stage, &format!("{name}_migrate"));
    let ticket = start(&mut owner, "create table docs (id int, note text)");
    stage.approve(&ticket);
    owner.frames_until(b'Z');
    let mut app = session(&stage, &name);
    assert_eq!(
        rows(&mut app, "select count(*) from docs"),
        [Some("0".to_owned())]
    );
    assert_eq!(
        rows(&mut app, "select current_user"),
        [Some(format!("{name}_read"))]
    );
    let ticket = start(&mut app, "insert into docs values (1, current_user)");
    stage.approve(&ticket);
    app.frames_until(b'Z');
    assert_eq!(
        rows(&mut app, "select note from docs"),
        [Some(format!("{name}_app"))]
    );
    let ticket = start(&mut app, "create table mine (id int)");
    stage.approve(&ticket);
    assert_eq!(error(&app.frames_until(b'Z')).sqlstate(), "42501");
}

/// Sends what is held, and says as which ticket.
#[track_caller]
fn start(client: &mut Raw, sql: &str) -> String {
    client.send(&harness::raw::query(sql));
    harness::stage::held_raw(client)
}

#[test]
fn nobody_signs_and_nothing_is_made() {
    let stage = stage();
    let database = stage.database.name.clone();
    let name = format!("{database}_acme");
    let model = ["--model", "schema", "--database", &database];
    let mut process = apply(&stage, &name, &model);
    let ticket = asked(&mut process);
    process.stderr().wait_for("held as ticket");
    stage.reject(&ticket, "not here");
    let said = process.finish().failed(1);
    assert!(
        said.stderr.contains("it stopped at: CREATE ROLE"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("was rejected by \"bob\""),
        "{}",
        said.stderr
    );
    let count = format!("select count(*) from pg_roles where rolname like '{name}%'");
    assert_eq!(stage.database.sql(&count), "0");
}

#[test]
fn a_second_run_changes_nothing_and_says_so() {
    let stage = stage();
    let database = stage.database.name.clone();
    let name = format!("{database}_acme");
    let model = ["--model", "schema", "--database", &database];
    // Whoever is started anew asks for the same ticket.
    let mut first = apply(&stage, &name, &model);
    let ticket = asked(&mut first);
    first.stderr().wait_for("held as ticket");
    first.kill9();
    stage.wait_for_nobody("alice");
    let second = apply(&stage, &name, &model);
    let said = signed(&stage, second).ok();
    assert!(
        said.stdout.starts_with(&format!("{ticket} ")),
        "{}",
        said.stdout
    );
    let again = signed(&stage, apply(&stage, &name, &model)).failed(1);
    assert!(
        again
            .stderr
            .contains(&format!("role \"{name}\" already exists")),
        "{}",
        again.stderr
    );
    let missing = [&model[..], &["--if-missing"]].concat();
    let said = apply(&stage, &name, &missing).finish().ok();
    assert!(said.stdout.contains("nothing was done"), "{}", said.stdout);
}

/// REVOKE of what somebody else has granted is a warning to PostgreSQL; here it is an error, and nothing is made.
#[test]
fn what_stays_open_to_everybody_is_refused() {
    let stage = stage();
    let database = stage.database.name.clone();
    stage
        .database
        .sql("alter schema public owner to postgres; grant usage on schema public to public");
    let name = format!("{database}_acme");
    let process = apply(
        &stage,
        &name,
        &["--model", "schema", "--database", &database],
    );
    let said = signed(&stage, process).failed(1);
    assert!(
        said.stderr.contains("PUBLIC still uses schema public"),
        "{}",
        said.stderr
    );
    let count = format!("select count(*) from pg_roles where rolname like '{name}%'");
    assert_eq!(stage.database.sql(&count), "0");
}

#[test]
fn a_database_is_made_from_outside_and_then_from_inside() {
    let stage = stage();
    let name = format!("{}_own", stage.database.name);
    let model = ["--model", "database"];
    let inside = format!("{name}_migrate");
    // The gate may know the way before there is something at its end.
    let stage = add(stage, &name, &model);
    let mut process = apply(
        &stage,
        &name,
        &[&model[..], &["--inside", &inside]].concat(),
    );
    let ticket = asked(&mut process);
    process
        .stderr()
        .wait_for(&format!("held as ticket {ticket}"));
    stage.approve(&ticket);
    process.stdout().wait_for("has its roles and its database");
    let ticket = asked(&mut process);
    process
        .stderr()
        .wait_for(&format!("held as ticket {ticket}"));
    stage.approve(&ticket);
    process.finish().ok();
    eventually("its tenant works", || {
        let mut app = session(&stage, &name);
        rows(&mut app, "select current_database()") == [Some(name.clone())]
    });
    assert!(Path::new(&folder(&stage).join(format!("{name}_owner.password"))).is_file());
}
