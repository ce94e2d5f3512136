//! How the gate comes by its logins upstream: from a command, by a certificate, from Vault, from AWS; and that what it comes by is
//! seen nowhere.

mod aws;
mod bound;
mod certificate;
mod command;
mod vault;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use harness::raw::{self, Frame, Raw};
use harness::stage::{Setup, Stage};
use harness::{Database, Gate, GateDir};

/// Writes a file that nobody else may read.
fn secret(directory: &GateDir, name: &str, text: &str) -> PathBuf {
    let path = directory.write(name, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// The keys that lead a tenant to the database as its writing role, which is proven by `proof`.
fn to(database: &Database, proof: &str) -> String {
    format!(
        "host = 'localhost'\nport = {}\nuser = '{}'\nsslrootcert = '{}'\n{proof}\n",
        database.server.postgres().port(),
        database.write.name,
        database.server.root_cert().display(),
    )
}

/// A gate before this database, to which `proof` lets it in.
#[track_caller]
fn stage(
    mut directory: GateDir,
    database: Database,
    proof: &str,
    change: impl FnOnce(&mut Setup),
) -> Stage {
    let mut setup = Setup {
        upstream: Some(to(&database, proof)),
        ..Setup::default()
    };
    change(&mut setup);
    directory.set("PORTCULLIS_LOG", "trace");
    let gate = Gate::start_in(directory, &setup.config(&database));
    Stage { gate, database }
}

/// One value, as alice is told it on the lane for everything.
#[track_caller]
fn told(client: &mut Raw, sql: &str) -> String {
    client.query("begin");
    let answer = client.query(sql);
    let said: Vec<_> = answer.iter().map(Frame::describe).collect();
    assert_eq!(raw::tags(&answer), "TDCZ", "{said:?}");
    client.query("commit");
    answer[1].columns()[0].clone().unwrap()
}

/// A login fails for what is behind the gate: the client learns that, the operator why.
#[track_caller]
fn turned_away(stage: &mut Stage, logged: &str) {
    let refused = Raw::try_login(&stage.login("alice"), &[]).unwrap_err();
    assert_eq!(refused.sqlstate(), "57P03", "{}", refused.describe());
    stage.gate.stderr().wait_for(logged);
}

/// Nothing that the gate has said or written down holds any of these.
#[track_caller]
fn nowhere(stage: &mut Stage, secrets: &[&str]) {
    let mut said = stage.gate.stderr().text();
    for command in ["SHOW POOLS", "SHOW SESSIONS", "SHOW TICKETS", "SHOW CONFIG"] {
        let answer = Raw::login(&stage.console("carol")).query(command);
        for row in answer.iter().filter(|it| it.tag == b'D') {
            let columns = row.columns();
            said.extend(columns.iter().flatten().flat_map(|it| [it, "\n"]));
        }
    }
    let mut written = Vec::new();
    read_all(&stage.gate.directory().file("state"), &mut written);
    let written = String::from_utf8_lossy(&written);
    for secret in secrets {
        assert!(!secret.is_empty());
        assert!(!said.contains(secret), "{secret} was said:\n{said}");
        assert!(!written.contains(secret), "{secret} was written down");
    }
}

fn read_all(directory: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.extend(fs::read(path).unwrap_or_default());
        }
    }
}
