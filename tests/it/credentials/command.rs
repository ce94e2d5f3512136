//! A command prints the password: it is asked again when the server refuses what it printed, and what it does wrong is the
//! operator's to read.

use std::fs;

use harness::raw::{self, Raw};
use harness::stage::{eventually, leave_approved, shared, table};
use harness::{GateDir, psql};

use super::{nowhere, secret, stage, told, turned_away};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// A script in the directory that prints what is in a file beside it, and notes that it was asked.
fn script(directory: &GateDir, password: &str) -> &'static str {
    secret(directory, "password", password);
    secret(
        directory,
        "print.sh",
        "echo asked >> \"$1/asked\"; echo \"noise of the command\" >&2; cat \"$1/password\"",
    );
    "password_command = ['sh', '{dir}/print.sh', '{dir}']"
}

#[test]
fn a_new_password_is_asked_for_when_the_server_refuses_the_old() {
    let (directory, database) = (GateDir::new(), table());
    let first = database.write.password.clone();
    let command = script(&directory, &format!("{first}\nanother line\n"));
    let mut stage = stage(directory, database, command, |_| {});
    let asked = |stage: &harness::stage::Stage| {
        let log = fs::read_to_string(stage.gate.directory().file("asked"));
        log.unwrap_or_default().lines().count()
    };
    let mut client = stage.raw("alice");
    assert_eq!(told(&mut client, "select count(*) from t"), "3");
    let said = psql(&stage.console("carol"))
        .query("SHOW POOLS")
        .ok()
        .stdout;
    assert!(said.contains(&stage.database.write.name), "{said}");
    // Both lanes log in by the same, and it is asked for once.
    assert_eq!(asked(&stage), 1);
    let (role, second) = (&stage.database.write.name, "another-secret-of-the-role");
    stage.database.sql(&format!(
        "alter role {role} password '{second}'; select count(pg_terminate_backend(pid)) \
         from pg_stat_activity where usename = '{role}'"
    ));
    secret(stage.gate.directory(), "password", second);
    // What came just now is not asked for again.
    eventually("the gate has the new password", || {
        let answer = client.query("select 1");
        raw::tags(&answer) == "TDCZ"
    });
    assert_eq!(asked(&stage), 2);
    assert_eq!(stage.psql("alice").query("select 2").ok().stdout, "2");
    assert_eq!(asked(&stage), 2);
    nowhere(&mut stage, &[&first, second]);
    let log = stage.gate.stderr().text();
    assert!(!log.contains("noise of the command"), "{log}");
}

#[test]
fn what_a_command_does_wrong_is_the_operators_to_read() {
    for (script, logged) in [
        (
            "echo my-secret; echo no ticket >&2; exit 4",
            "it failed with exit status: 4: \"no ticket\"",
        ),
        ("true", "its first line is empty"),
        ("echo my-secret; yes", "it printed more than 65536 bytes"),
        (
            "echo my-secret; exec sleep 600",
            "nothing came from the command \"sh\" within 1 s",
        ),
    ] {
        let command = format!("password_command = ['sh', '-c', '{script}']\nconnect = '1 s'");
        let mut stage = stage(GateDir::new(), table(), &command, |_| {});
        turned_away(&mut stage, logged);
        nowhere(&mut stage, &["my-secret"]);
    }
    let command = "password_command = '{dir}/nowhere'";
    let mut stage = stage(GateDir::new(), table(), command, |_| {});
    turned_away(&mut stage, "it could not be run: No such file");
}

/// As for a server that is down: nothing was sent, and the ticket is as good as before.
#[test]
fn a_statement_waits_for_a_command_that_fails_for_a_while() {
    let (directory, database) = (GateDir::new(), table());
    let password = database.write.password.clone();
    let command = script(&directory, &password);
    let mut stage = stage(directory, database, command, |_| {});
    leave_approved(&stage, UPDATE);
    let role = &stage.database.write.name;
    fs::remove_file(stage.gate.directory().file("password")).unwrap();
    stage.database.sql(&format!(
        "alter role {role} password 'other'; select count(pg_terminate_backend(pid)) \
         from pg_stat_activity where usename = '{role}'"
    ));
    // What was given out is too young to be asked for again, and then nothing is given out.
    eventually("the command fails", || {
        let refused = Raw::try_login(&stage.login("alice"), &[("TimeZone", "UTC")]);
        refused.is_err() && stage.gate.stderr().text().contains("there is no login")
    });
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(UPDATE));
    stage
        .gate
        .stderr()
        .wait_for("there is no login for the upstream");
    secret(stage.gate.directory(), "password", "other");
    assert_eq!(raw::tags(&alice.frames_until(b'Z')), "CZ");
    assert_eq!(stage.count("note = 'new'"), "1");
}

/// A name that a client made up is one argument, whatever is in it, and no shell sees it.
#[test]
fn a_tenant_of_a_pattern_is_one_argument() {
    let (directory, database) = (GateDir::new(), table());
    secret(
        &directory,
        "print.sh",
        "printf '%s|' \"$@\" > \"$1/asked\"; cat \"$1/$2.password\"",
    );
    let name = database.name.clone();
    let password = database.write.password.clone();
    secret(&directory, &format!("{name}.password"), &password);
    let leads = shared(&database).replace(
        &format!("password = '{password}'"),
        "password_command = ['sh', '{dir}/print.sh', '{dir}', '{tenant}', 'of {tenant}; $HOME']",
    );
    let stage = stage(directory, database, "password = 'x'", |setup| {
        // The stage's own tenant is another: this one comes by its pattern.
        setup.more = format!("[tenant.'{}*']\n{leads}\n", &name[..1]);
    });
    let other = stage.database.name.clone();
    let config = fs::read_to_string(stage.gate.directory().file("portcullis.toml")).unwrap();
    let config = config.replace(&format!("[tenant.{other}]"), "[tenant.elsewhere]");
    let stage = harness::stage::Stage {
        gate: stage.gate.restart_with(&config),
        database: stage.database,
    };
    assert_eq!(stage.psql("alice").query("select 1").ok().stdout, "1");
    let asked = fs::read_to_string(stage.gate.directory().file("asked")).unwrap();
    let directory = stage.gate.directory().path().display();
    assert_eq!(asked, format!("{directory}|{name}|of {name}; $HOME|"));
}
