//! The journal over the years: files that are closed and follow one another, and a disk that takes nothing for a while.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use harness::raw::{self, Raw};
use harness::stage::{Stage, eventually, held_raw, leave_approved, leave_pending, portcullis};

use crate::tickets::{entries, journal, serve, state, verify};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// A read that takes a tenth of a megabyte of the journal.
fn long(number: usize) -> String {
    format!("select {number} /* {} */", "x".repeat(100 << 10))
}

/// The files that are closed, in order.
fn closed(stage: &Stage) -> Vec<PathBuf> {
    let files = fs::read_dir(state(stage).join("journal")).unwrap();
    let mut closed: Vec<PathBuf> = files.map(|it| it.unwrap().path()).collect();
    closed.retain(|it| it != &journal(stage));
    closed.sort();
    closed
}

#[test]
fn files_follow_one_another() {
    let mut stage = Stage::with(|setup| {
        setup
            .more
            .push_str("\n[journal]\nrotate_bytes = '64 KiB'\n");
    });
    let ticket = leave_approved(&stage, UPDATE);
    let mut client = stage.raw("alice");
    for number in 0..5 {
        assert_eq!(raw::tags(&client.query(&long(number))), "TDCZ");
    }
    eventually("files are closed", || closed(&stage).len() >= 3);
    verify(&stage).ok();
    stage.gate.kill9();
    let stage = stage.restart();
    assert_eq!(stage.psql("alice").query(UPDATE).ok().stdout, "UPDATE 1");
    assert_eq!(stage.state(&ticket), "done");
    let said = verify(&stage).ok().stdout;
    assert!(said.starts_with("the journal is whole: "), "{said}");
    let folder = state(&stage);
    let folder = folder.to_string_lossy();
    let exported = portcullis(&["audit", "export", "--state", &folder])
        .ok()
        .stdout;
    assert!((0..5).all(|it| exported.contains(&format!("select {it} /* xxx"))));
    assert_eq!(exported.matches("\"kind\":\"started\"").count(), 2);

    // One in the middle goes: nobody says that all is well, and the gate does not start.
    let mut stage = stage;
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    fs::remove_file(&closed(&stage)[1]).unwrap();
    let said = verify(&stage).failed(1).stderr;
    assert!(
        said.contains("the journal is not whole: records "),
        "{said}"
    );
    assert!(said.contains(" are missing: "), "{said}");
    let refused = serve(&stage).failed(1).stderr;
    assert!(refused.contains(" are missing: "), "{refused}");
}

/// Files of the gate may have so many bytes from now on.
fn limit(stage: &Stage, bytes: &str) {
    let done = Command::new("prlimit")
        .arg(format!("--pid={}", stage.gate.id()))
        .arg(format!("--fsize={bytes}:"))
        .status();
    assert!(done.unwrap().success());
}

/// The error, where it is that of a gate without a journal.
fn closed_to(client: &mut Raw, sql: &str) -> bool {
    let frames = client.query(sql);
    let Some(error) = frames.iter().find(|it| it.tag == b'E') else {
        return false;
    };
    let said = (error.sqlstate(), error.field('M').unwrap());
    let expected = "the gate is closed: the journal cannot be written: file too large";
    assert_eq!(said, ("ZG007".to_owned(), expected.to_owned()));
    true
}

/// Hazards R109: where nothing can be written down, nothing goes up; and once it can, nobody has to start the gate again.
#[test]
fn a_full_disk_closes_the_gate_until_there_is_room() {
    let mut stage = Stage::new();
    leave_approved(&stage, UPDATE);
    let mut waits = stage.raw("alice");
    waits.send(&raw::query("delete from t where id = 3"));
    let held = held_raw(&mut waits);
    let mut client = stage.raw("alice");

    limit(&stage, "1048576");
    let ran = (0..200).find(|number| closed_to(&mut client, &long(*number)));
    let ran = ran.expect("it never closed");
    assert!(ran >= 5, "{ran}");
    // Nothing goes up, signed or not, and nobody signs for anything.
    assert!(closed_to(
        &mut client,
        "select nextval('pg_catalog.nothing')"
    ));
    assert!(closed_to(&mut client, UPDATE));
    let said = stage.cli("bob").run(&["approve", &held]).failed(1).stderr;
    assert!(
        said.contains("the journal cannot be written: file too large"),
        "{said}"
    );
    assert_eq!(stage.count("note = 'new'"), "0");
    assert_eq!(stage.count("true"), "3");

    limit(&stage, "unlimited");
    stage.gate.stderr().wait_for("the journal is written again");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
    stage.approve(&held);
    let answer = raw::tags(&waits.frames_until(b'Z'));
    assert!(answer.ends_with("CZ"), "{answer}");
    assert_eq!(stage.count("true"), "2");

    let log = stage.gate.stderr().text();
    assert_eq!(
        log.matches("the gate is closed until there is room")
            .count(),
        1,
        "{log}"
    );
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    assert_eq!(entries(&stage, "reopened").len(), 1);
    // What had passed is written down, though the disk took none of it then.
    let text = fs::read_to_string(journal(&stage)).unwrap();
    let written = |number: usize| text.matches(&format!("\"select {number} /* xxx")).count();
    let lost: Vec<usize> = (0..ran).filter(|it| written(*it) != 1).collect();
    assert!(lost.is_empty(), "{lost:?} of {ran}");
    let said = verify(&stage).ok().stdout;
    assert!(said.starts_with("the journal is whole: "), "{said}");
    assert!(!said.contains("torn"), "{said}");
}

/// The copy is of a moment: what was approved then may have run since, and does not run again by itself.
#[test]
fn a_copy_is_taken_while_the_gate_runs_and_is_put_back() {
    let mut stage = Stage::new();
    let pending = leave_pending(&stage, "delete from t where id = 3");
    let approved = leave_approved(&stage, UPDATE);
    let folder = state(&stage);
    let copy = stage.gate.directory().file("copy");
    let store = |what: &[&str]| {
        let there = ["--state", &folder.to_string_lossy()].map(str::to_owned);
        let args = what.iter().map(|it| (*it).to_owned()).chain(there);
        let args: Vec<String> = ["store".to_owned()].into_iter().chain(args).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        portcullis(&args)
    };
    let copy = copy.to_string_lossy();
    store(&["backup", &copy]).ok();
    let again = store(&["backup", &copy]).failed(1).stderr;
    assert!(again.contains("is not empty"), "{again}");
    assert_eq!(stage.psql("alice").query(UPDATE).ok().stdout, "UPDATE 1");
    let sound = store(&["check"]).ok().stdout;
    assert!(sound.starts_with("the state is sound: "), "{sound}");

    let refused = store(&["restore", &copy, "--force"]).failed(1).stderr;
    assert!(refused.contains("a gate runs on "), "{refused}");
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    let refused = store(&["restore", &copy]).failed(1).stderr;
    assert!(refused.contains("is not empty"), "{refused}");
    let said = store(&["restore", &copy, "--force"]).ok().stdout;
    assert!(said.contains("1 approved tickets are void"), "{said}");
    store(&["check"]).ok();

    let stage = stage.restart();
    assert_eq!(stage.state(&pending), "pending");
    assert_eq!(stage.state(&approved), "void");
    let mut client = stage.raw("alice");
    client.send(&raw::query(UPDATE));
    assert_ne!(held_raw(&mut client), approved);
    verify(&stage).ok();
}
