//! The command line: exit codes, JSON, and how it finds the gate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use harness::stage::{Stage, held, leave_pending, password, portcullis};
use harness::{Finished, Login, Program};
use serde_json::Value;

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// `portcullis` with these variables and no others of libpq or of its own.
fn bare(login: &Login, variables: &[(&str, &str)]) -> Program {
    let mut program = harness::cli(login)
        .env("PORTCULLIS_URL", "")
        .env("PGPASSFILE", "");
    for (name, value) in variables {
        program = program.env(name, value);
    }
    program
}

fn root(login: &Login) -> String {
    login
        .root_cert
        .as_ref()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

#[test]
fn exit_codes_tell_a_script_what_happened() {
    let stage = Stage::new();
    let ticket = leave_pending(&stage, UPDATE);
    // 0: done.
    for words in [
        &["pending"][..],
        &["show", &ticket],
        &["pending", "--all"],
        &["--help"],
    ] {
        stage.cli("bob").run(words).ok();
    }
    // 1: the gate refused.
    for words in [
        &["approve", &ticket][..],
        &["show", "T-99"],
        &["approve", "T-99"],
        &["pools"],
        &["sessions"],
        &["reject", &ticket, "why not"],
    ] {
        let said = stage.cli("alice").run(words).failed(1);
        assert!(said.stderr.starts_with("ERROR:  "), "{words:?}: {said:?}");
    }
    // 2: wrong usage.
    for words in [
        &["approve"][..],
        &["frobnicate"],
        &["show", "x"],
        &["reject", &ticket],
        &[],
    ] {
        stage.cli("bob").run(words).failed(2);
    }
    let url = stage.console("bob").url();
    let wrong = url.replace("verify-full", "verify-nothing");
    stage
        .cli("bob")
        .env("PORTCULLIS_URL", &wrong)
        .run(&["pending"])
        .failed(2);
    // 3: no connection, or no login.
    let bob = stage.console("bob");
    let nobody = bob.person("bob", "wrong");
    let said = harness::cli(&nobody).run(&["pending"]).failed(3);
    assert!(
        said.stderr.contains("password authentication failed"),
        "{said:?}"
    );
    let elsewhere = Login {
        port: 1,
        ..bob.clone()
    };
    harness::cli(&elsewhere).run(&["pending"]).failed(3);
    let stranger = harness::GateDir::new();
    let distrustful = Login {
        root_cert: Some(stranger.file("ca.pem")),
        ..bob
    };
    let said = harness::cli(&distrustful).run(&["pending"]).failed(3);
    assert!(said.stderr.contains("certificate"), "{said:?}");
    assert_eq!(stage.state(&ticket), "pending");
}

#[test]
fn several_tickets_are_decided_each_by_itself() {
    let stage = Stage::new();
    let first = leave_pending(&stage, UPDATE);
    let second = leave_pending(&stage, "delete from t");
    let said = stage
        .cli("bob")
        .run(&["approve", &first, "T-99", &second])
        .failed(1);
    assert_eq!(said.stdout, format!("{first} approved\n{second} approved"));
    assert!(
        said.stderr.contains("ticket T-99 does not exist"),
        "{said:?}"
    );
    let said = stage.cli("alice").run(&["withdraw", &first, &second]).ok();
    assert_eq!(
        said.stdout,
        format!("{first} withdrawn\n{second} withdrawn")
    );
}

#[test]
fn every_answer_can_be_json() {
    let stage = Stage::new();
    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    let other = leave_pending(&stage, "delete from t");
    let ask = |who: &str, words: &[&str]| stage.cli(who).arg("--json").run(words);

    let list = json(&ask("bob", &["pending"]).ok());
    let of = |id: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|it| it["id"] == id)
            .unwrap()
    };
    assert_eq!(of(&ticket)["statement"], UPDATE);
    assert_eq!(of(&other)["state"], "pending");
    let card = json(&ask("bob", &["show", &ticket]).ok());
    assert_eq!(card["requester"], "alice");
    assert_eq!(card["outcome"], Value::Null);
    let sessions = json(&ask("carol", &["sessions"]).ok());
    assert!(
        sessions
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["ticket"] == *ticket)
    );
    let pools = json(&ask("carol", &["pools"]).ok());
    assert_eq!(pools[0]["database"], *stage.database.name);

    let approved = json(&ask("bob", &["approve", &ticket, "T-99"]).failed(1));
    assert_eq!(approved[0]["state"], "approved");
    assert_eq!(
        approved[1]["error"]["message"],
        "ticket T-99 does not exist"
    );
    let rejected = json(&ask("bob", &["reject", &other, "no"]).ok());
    assert_eq!(rejected["state"], "rejected");
    assert_eq!(alice.finish().ok().stdout, "UPDATE 1");
    assert_eq!(json(&ask("bob", &["pending"]).ok()), Value::Array(vec![]));
}

#[test]
fn tables_are_readable_and_say_when_they_are_empty() {
    let stage = Stage::new();
    let said = stage.cli("bob").run(&["pending"]).ok();
    assert_eq!(said.stdout, "no ticket is waiting");
    let ticket = leave_pending(&stage, UPDATE);
    let said = stage.cli("bob").run(&["pending"]).ok();
    let line = said
        .stdout
        .lines()
        .find(|line| line.contains(&ticket))
        .unwrap();
    assert!(
        line.contains("alice") && line.contains("update t set"),
        "{said:?}"
    );
    let said = stage.cli("bob").run(&["show", &ticket]).ok();
    for part in [&*ticket, "alice", "dba", UPDATE, "portcullis approve"] {
        assert!(said.stdout.contains(part), "{part}: {said:?}");
    }
}

/// It finds the gate as psql would, with PORTCULLIS_URL before all, and flags before that.
#[test]
fn flags_come_before_the_url_and_the_url_before_the_variables_of_libpq() {
    let stage = Stage::new();
    let bob = stage.console("bob");
    let (port, root) = (bob.port.to_string(), root(&bob));
    let libpq = [
        ("PGHOST", "localhost"),
        ("PGPORT", &*port),
        ("PGUSER", "bob"),
        ("PGPASSWORD", &bob.password),
        // Whatever database psql would ask for, this is about the console.
        ("PGDATABASE", "nowhere"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", &root),
    ];
    bare(&bob, &libpq).run(&["pending"]).ok();
    bare(&bob, &libpq).run(&["-p", "1", "pending"]).failed(3);

    // The URL wins over all of them, also with another database in it.
    let url = bob.database("nowhere").url();
    let wrong = [
        ("PGHOST", "192.0.2.1"),
        ("PGPORT", "1"),
        ("PGUSER", "x"),
        ("PGPASSWORD", "x"),
    ];
    bare(&bob, &wrong)
        .env("PORTCULLIS_URL", &url)
        .run(&["pending"])
        .ok();
    bare(&bob, &libpq)
        .env("PORTCULLIS_URL", "host=localhost port=1")
        .run(&["pending"])
        .failed(3);
    // It says a part, and the variables the rest.
    bare(&bob, &libpq)
        .env("PORTCULLIS_URL", "user=carol password=carol-secret")
        .run(&["pools"])
        .ok();

    // Flags win over the URL, and --url replaces it.
    let misled = bob.url().replace(&port, "1");
    let flags = ["-h", "localhost", "-p", &port, "-U", "bob", "pending"];
    bare(&bob, &[])
        .env("PORTCULLIS_URL", &misled)
        .run(&flags)
        .ok();
    bare(&bob, &[])
        .env("PORTCULLIS_URL", &misled)
        .run(&["--url", &url, "pending"])
        .ok();
    bare(&bob, &[])
        .env("PORTCULLIS_URL", &bob.url())
        .run(&["-U", "nobody", "pending"])
        .failed(3);
}

#[test]
fn the_password_file_of_libpq_is_read() {
    let stage = Stage::new();
    let bob = stage.console("bob");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    let write = |line: String, mode: u32| {
        fs::write(&file, format!("# passwords\n{line}\n")).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    };
    let (port, root, home) = (
        bob.port,
        root(&bob),
        home.path().to_string_lossy().into_owned(),
    );
    let url = format!("host=localhost port={port} user=bob sslmode=verify-full sslrootcert={root}");
    let run = || bare(&bob, &[("HOME", &home), ("PORTCULLIS_URL", &url)]).run(&["-w", "pending"]);

    write(
        format!("localhost:{port}:portcullis:bob:{}", bob.password),
        0o600,
    );
    run().ok();
    write(format!("*:*:*:bob:{}", bob.password), 0o600);
    run().ok();
    // As libpq: a file that others may read is none, and one for others neither.
    write(format!("*:*:*:bob:{}", bob.password), 0o644);
    run().failed(3);
    write(format!("localhost:{port}:acme:bob:{}", bob.password), 0o600);
    run().failed(3);
    write(
        format!("localhost:{port}:portcullis:carol:{}", bob.password),
        0o600,
    );
    run().failed(3);
    let elsewhere: PathBuf = file.with_file_name("other");
    fs::rename(&file, &elsewhere).unwrap();
    write("*:*:*:*:wrong".to_owned(), 0o600);
    fs::write(&elsewhere, format!("*:*:*:*:{}", bob.password)).unwrap();
    let elsewhere = elsewhere.to_string_lossy();
    bare(&bob, &[("HOME", &home), ("PORTCULLIS_URL", &url)])
        .env("PGPASSFILE", &elsewhere)
        .run(&["-w", "pending"])
        .ok();
}

/// Requesters see and withdraw their own with the same commands.
#[test]
fn a_requester_uses_the_same_commands() {
    let stage = Stage::new();
    let ticket = leave_pending(&stage, UPDATE);
    let mut bob = stage.psql("bob").start("delete from t");
    let foreign = held(&mut bob);
    let list = stage.cli("alice").run(&["pending"]).ok().stdout;
    assert!(list.contains(&ticket) && !list.contains(&foreign), "{list}");
    stage.cli("alice").run(&["show", &ticket]).ok();
    stage.cli("alice").run(&["show", &foreign]).failed(1);
    stage.cli("alice").run(&["withdraw", &foreign]).failed(1);
    let said = stage.cli("alice").run(&["withdraw", &ticket]).ok();
    assert_eq!(said.stdout, format!("{ticket} withdrawn"));
    assert_eq!(stage.state(&foreign), "pending");
}

#[test]
fn password_makes_a_verifier_that_lets_in() {
    let made = |json: &[&str]| {
        let mut command = std::process::Command::new(harness::portcullis_binary());
        command.arg("password");
        let mut program = Program::new(command).spawn(json);
        program.type_line("a long & 'quoted' one");
        program.finish().ok()
    };
    let verifier = made(&[]).stdout;
    assert!(verifier.starts_with("SCRAM-SHA-256$4096:"), "{verifier}");
    assert_ne!(made(&[]).stdout, verifier, "the salt is drawn anew");
    assert!(json(&made(&["--json"]))["verifier"].is_string());
    let stage = Stage::with(|setup| {
        setup.more = format!("[user.erin]\nverifier = '{verifier}'\n");
    });
    let erin = stage.login("erin").person("erin", "a long & 'quoted' one");
    assert_eq!(harness::psql(&erin).query("select 1").ok().stdout, "1");
    let wrong = erin.person("erin", &password("erin"));
    harness::psql(&wrong).query("select 1").failed(2);
    portcullis(&["password"]).failed(2);
}
