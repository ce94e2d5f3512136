//! Tickets and journal outlive the gate: restarts, crashes, and what an editor can do to the files.

use std::fs;
use std::path::PathBuf;

use harness::raw;
use harness::stage::{
    Stage, eventually, held, held_raw, leave_approved, leave_pending, portcullis,
};

const UPDATE: &str = "update t set note = 'new' where id = 1";
const OTHER: &str = "update t set note = 'new' where id = 2";

pub(crate) fn state(stage: &Stage) -> PathBuf {
    stage.gate.directory().file("state")
}

pub(crate) fn journal(stage: &Stage) -> PathBuf {
    state(stage).join("journal").join("journal.jsonl")
}

/// The entries of this kind in the journal, in order. A quote in anything that somebody wrote has a backslash there.
pub(crate) fn entries(stage: &Stage, kind: &str) -> Vec<String> {
    let text = fs::read_to_string(journal(stage)).unwrap();
    let entries = text.split("{\"kind\":\"").skip(1);
    let kind = format!("{kind}\",");
    let entries = entries.filter(|it| it.starts_with(&kind));
    entries.map(str::to_owned).collect()
}

pub(crate) fn verify(stage: &Stage) -> harness::Finished {
    let folder = state(stage);
    portcullis(&["audit", "verify", "--state", &folder.to_string_lossy()])
}

/// `portcullis serve` over files that it should refuse.
pub(crate) fn serve(stage: &Stage) -> harness::Finished {
    let config = stage.gate.directory().file("portcullis.toml");
    portcullis(&["serve", "--config", &config.to_string_lossy()])
}

#[test]
fn a_restart_keeps_pending_and_approved_tickets() {
    for signal in ["TERM", "KILL"] {
        let mut stage = Stage::new();
        let pending = leave_pending(&stage, OTHER);
        let approved = leave_approved(&stage, UPDATE);
        if signal == "KILL" {
            stage.gate.kill9();
        } else {
            stage.gate.signal(signal);
            assert_eq!(stage.gate.wait(), 0);
        }
        let stage = stage.restart();
        assert_eq!(stage.state(&pending), "pending", "{signal}");
        assert_eq!(stage.state(&approved), "approved", "{signal}");
        assert_eq!(stage.count("note = 'new'"), "0", "{signal}");

        let mut client = stage.raw("alice");
        assert_eq!(raw::tags(&client.query(UPDATE)), "CZ", "{signal}");
        stage.approve(&pending);
        assert_eq!(raw::tags(&client.query(OTHER)), "CZ", "{signal}");
        assert_eq!(stage.count("note = 'new'"), "2", "{signal}");
        client.send(&raw::query(UPDATE));
        let next = held_raw(&mut client);
        assert!(![pending, approved].contains(&next), "{signal}: {next}");
    }
}

#[test]
fn sigterm_tells_held_clients_their_ticket_and_exits_0() {
    let mut stage = Stage::new();
    let mut held_client = stage.raw("alice");
    held_client.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut held_client);
    let mut idle = stage.raw("bob");
    let mut console = raw::Raw::login(&stage.console("bob"));
    stage.gate.signal("TERM");

    let told = held_client.frames_until_closed();
    let told = told.last().expect("it was told nothing");
    assert_eq!(told.sqlstate(), "57P01");
    let detail = told.field('D').unwrap();
    assert!(detail.contains(&ticket), "{detail}");
    for client in [&mut idle, &mut console] {
        let told = client.frames_until_closed();
        assert_eq!(told.last().unwrap().sqlstate(), "57P01");
    }
    assert_eq!(stage.gate.wait(), 0);

    // As it was told: once it is approved, the same statement runs at once.
    let stage = stage.restart();
    stage.approve(&ticket);
    let mut client = stage.raw("alice");
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
}

#[test]
fn sigterm_lets_a_running_statement_finish() {
    let mut stage = Stage::new();
    let sql = "update t set note = 'new' from pg_sleep(1) where id = 1";
    let mut alice = stage.psql("alice").start(sql);
    let ticket = held(&mut alice);
    stage.approve(&ticket);
    runs(&stage, sql);
    stage.gate.signal("TERM");
    assert_eq!(alice.finish().ok().stdout, "UPDATE 1");
    assert_eq!(stage.gate.wait(), 0);
    assert_eq!(stage.restart().state(&ticket), "done");
}

/// Waits until the server is at it.
#[track_caller]
fn runs(stage: &Stage, sql: &str) {
    let running = format!(
        "select count(*) from pg_stat_activity where query = $q${sql}$q$ and state = 'active'"
    );
    eventually("it runs", || stage.database.sql(&running) == "1");
}

/// Hazards R80: what was sent and not answered is in doubt, and nobody sends it again.
#[test]
fn a_crash_leaves_a_running_statement_in_doubt() {
    let mut stage = Stage::new();
    let sql = "insert into t select 4, 'once' from pg_sleep(600)";
    let mut alice = stage.psql("alice").start(sql);
    let ticket = held(&mut alice);
    stage.approve(&ticket);
    runs(&stage, sql);
    stage.gate.kill9();
    alice.finish().failed(2);
    verify(&stage).ok();
    let backends = "select pid from pg_stat_activity where query like 'insert into t select 4%'";
    let before = stage.database.sql(backends);

    let stage = stage.restart();
    assert_eq!(stage.state(&ticket), "in_doubt");
    assert_eq!(stage.database.sql(backends), before, "it was sent again");
    let end = format!("select count(pg_terminate_backend(pid)) from ({backends}) them");
    stage.database.sql(&end);

    // The same bytes are a new request, which says what came before.
    let mut again = stage.psql("alice").start(sql);
    let next = held(&mut again);
    assert_ne!(next, ticket);
    let previous = format!("Ticket {ticket} was for the same statement.");
    again.stderr().wait_for(&previous);
    assert_eq!(stage.count("id = 4"), "0");
    stage.cli("bob").run(&["approve", &ticket]).failed(1);
    verify(&stage).ok();
}

#[test]
fn a_torn_tail_of_the_journal_is_a_crash_and_no_crime() {
    let mut stage = Stage::new();
    leave_approved(&stage, UPDATE);
    stage.gate.kill9();
    let mut text = fs::read(journal(&stage)).unwrap();
    let whole = text.len();
    text.extend_from_within(..40);
    fs::write(journal(&stage), &text).unwrap();

    let said = verify(&stage).ok();
    assert!(said.stdout.contains("the journal is whole"), "{said:?}");
    assert!(
        said.stdout.contains("40 bytes after the last record"),
        "{said:?}"
    );
    let stage = stage.restart();
    let said = verify(&stage).ok();
    assert!(!said.stdout.contains("after the last record"), "{said:?}");
    let again = fs::read(journal(&stage)).unwrap();
    assert!(again.len() > whole && again[..whole] == text[..whole]);
    assert_eq!(stage.psql("alice").query(UPDATE).ok().stdout, "UPDATE 1");
}

/// Hazards R109: intent before forward, outcome after, with who signed; and no secret.
#[test]
fn the_journal_has_the_whole_story_in_order() {
    let mut stage = Stage::new();
    let ticket = leave_approved(&stage, UPDATE);
    assert_eq!(stage.psql("alice").query(UPDATE).ok().stdout, "UPDATE 1");
    let refused = "create table x ()";
    stage.psql("alice").query(refused).failed(1);
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);

    let text = fs::read_to_string(journal(&stage)).unwrap();
    let number = ticket.trim_start_matches("T-");
    let story = [
        "\"kind\":\"started\"".to_owned(),
        "\"kind\":\"login\"".to_owned(),
        format!("\"kind\":\"held\",\"session\":1,\"ticket\":{number},"),
        "\"word\":\"approve\"".to_owned(),
        format!("\"ticket\":{number},\"claim\":1,\"asked\":[{{\"text\":\"{UPDATE}\""),
        "\"end\":\"done\",\"tags\":[\"UPDATE 1\"]".to_owned(),
        format!("\"rule\":\"no schema changes\",\"asked\":[{{\"text\":\"{refused}\""),
    ];
    let mut rest = &text[..];
    for part in story {
        let at = rest.find(&part);
        let at = at.unwrap_or_else(|| panic!("{part} is missing, or too early, in\n{text}"));
        rest = &rest[at + part.len()..];
    }
    assert!(!text.contains("secret"), "{text}");
    assert!(!text.contains("SCRAM"), "{text}");
}

/// What somebody may do to the lines of a journal, and what `audit verify` says to it.
type Tamper = (&'static str, fn(&mut Vec<String>), &'static str);

const TAMPERS: [Tamper; 7] = [
    (
        "edited",
        |lines| lines[2] = lines[2].replace("alice", "ALICE"),
        "record 3 was changed",
    ),
    (
        "removed",
        |lines| drop(lines.remove(2)),
        "expected record 3, found record 4",
    ),
    (
        "reordered",
        |lines| lines.swap(2, 3),
        "expected record 3, found record 4",
    ),
    (
        "doubled",
        |lines| lines.insert(2, lines[1].clone()),
        "expected record 3, found record 2",
    ),
    (
        "foreign",
        |lines| lines.insert(2, "{}".to_owned()),
        "found no record",
    ),
    (
        "truncated",
        |lines| lines.truncate(lines.len() - 1),
        "but the store knows of record",
    ),
    ("emptied", Vec::clear, "but the store knows of record"),
];

#[test]
fn a_tampered_journal_is_found_and_the_gate_refuses_to_start() {
    let mut stage = Stage::new();
    leave_approved(&stage, UPDATE);
    assert_eq!(stage.psql("alice").query(UPDATE).ok().stdout, "UPDATE 1");
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    let said = verify(&stage).ok();
    assert!(
        said.stdout.starts_with("the journal is whole: "),
        "{said:?}"
    );

    let original = fs::read_to_string(journal(&stage)).unwrap();
    for (what, tamper, words) in TAMPERS {
        let mut lines: Vec<String> = original.lines().map(str::to_owned).collect();
        tamper(&mut lines);
        lines.push(String::new());
        let text = lines.join("\n");
        assert_ne!(text, original, "{what}");
        fs::write(journal(&stage), text).unwrap();
        let said = verify(&stage).failed(1);
        assert!(
            said.stderr.contains("the journal is not whole"),
            "{what}: {said:?}"
        );
        assert!(said.stderr.contains(words), "{what}: {said:?}");
        let refused = serve(&stage).failed(1);
        assert!(refused.stderr.contains(words), "{what}: {refused:?}");
        assert!(!refused.stdout.contains("ready"), "{what}: {refused:?}");
    }
    fs::remove_file(journal(&stage)).unwrap();
    verify(&stage).failed(1);
    serve(&stage).failed(1);

    fs::write(journal(&stage), original).unwrap();
    verify(&stage).ok();
    assert_eq!(stage.restart().state("T-1"), "done");
}

#[test]
fn audit_verify_speaks_json_and_knows_the_configuration() {
    let stage = Stage::new();
    leave_approved(&stage, UPDATE);
    let config = stage.gate.directory().file("portcullis.toml");
    let config = config.to_string_lossy();
    // While the gate runs: it only reads.
    let said = portcullis(&["audit", "verify", "--config", &config, "--json"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(said["whole"], true, "{said}");
    assert!(said["records"].as_u64() > Some(3), "{said}");
    portcullis(&["audit", "verify", "--state", "/nonexistent"]).failed(2);
}

#[test]
fn two_gates_cannot_share_a_journal() {
    let stage = Stage::new();
    let refused = serve(&stage).failed(1);
    assert!(refused.stderr.contains("by another process"), "{refused:?}");
    assert_eq!(stage.psql("alice").query("select 1").ok().stdout, "1");
    verify(&stage).ok();
}
