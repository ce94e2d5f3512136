//! The table of hiding places through the real gate: what the built-in policy says of each, and that nothing of it reaches the
//! server. What hides behind names that only the tenant's catalog knows is in `behind`.

#[path = "../../crates/sql/tests/places/mod.rs"]
mod places;

mod behind;

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::raw::{self, Raw};
use harness::stage::{Setup, Stage, table};
use harness::{Database, Gate, GateDir, Program, postgres};
use places::{Rule, places};
use serde_json::{Value, json};
use sql::Major;

/// The rules of the built-in policy, in a file's words.
const BUILT_IN: &str =
    "[[rule]]\nname = 'reads and settings'\nclass = ['read', 'session']\nverdict = 'allow'\n";

/// A stage with the rules of the built-in policy, before a database that was made ready.
#[track_caller]
fn before(database: Database, tenant: &str) -> Stage {
    let setup = Setup {
        rules: BUILT_IN.to_owned(),
        tenant: tenant.to_owned(),
        ..Setup::default()
    };
    let gate = Gate::start(&setup.config(&database));
    Stage { gate, database }
}

/// What somebody heard of a statement.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Held,
    /// It went to the server, which refused it, or not.
    Passed(Option<String>),
}

/// Sends a Query. What is held is withdrawn by a cancel.
#[track_caller]
fn hear(stage: &Stage, client: &mut Raw, sql: &str) -> Heard {
    client.send(&raw::query(sql));
    let first = client.frame();
    if first.tag == b'N' && first.sqlstate() == "ZG000" {
        let (id, secret) = client.key();
        let mut other = Raw::connect(stage.gate.address());
        other.send(&raw::cancel_request(id, secret));
        let rest = client.frames_until(b'Z');
        assert!(rest.iter().any(|it| it.tag == b'E'), "{sql}: not withdrawn");
        return Heard::Held;
    }
    let mut frames = vec![first];
    if frames[0].tag != b'Z' {
        frames.extend(client.frames_until(b'Z'));
    }
    let error = frames.iter().find(|frame| frame.tag == b'E');
    Heard::Passed(error.map(|frame| frame.sqlstate()))
}

/// Of what is written down every text, and of the ways to spell it one in so many: each is a ticket, which takes its time.
const ONE_IN: usize = 17;

/// The server writes down every statement that comes to it.
#[test]
fn nothing_of_a_hiding_place_reaches_the_server() {
    let stage = before(table(), "");
    let mut client = stage.raw("alice");
    let major = Major::new(postgres().major().try_into().unwrap());
    let mut sent = Vec::new();
    for place in places() {
        let passes = place.rule.passes_on(major);
        let more = place.spellings().into_iter().step_by(ONE_IN);
        for text in place.texts.iter().cloned().chain(more) {
            let marked = format!("/* place {}. */ {text}", sent.len());
            let heard = hear(&stage, &mut client, &marked);
            assert_eq!(heard != Heard::Held, passes, "{place}: {text}: {heard:?}");
            sent.push((passes, format!("{place}: {text}")));
        }
    }
    // Other tests have bytes of all kinds written there.
    let log = fs::read(postgres().log_path()).unwrap();
    let log = String::from_utf8_lossy(&log);
    let from_here = format!("@{} ", stage.database.name);
    let mut seen = 0;
    for line in log.lines().filter(|line| line.contains(&from_here)) {
        let Some((_, after)) = line.split_once("/* place ") else {
            continue;
        };
        let number: usize = after.split_once('.').unwrap().0.parse().unwrap();
        let (passes, text) = &sent[number];
        assert!(passes, "it reached the server: {text}");
        seen += 1;
    }
    assert!(seen > 20, "the log shows only {seen} of what passed");
}

/// What `portcullis explain` says with the policy of a gate that nobody gave one, of a server that has the least.
#[test]
fn the_built_in_policy_holds_each_spelling() {
    let (places, oldest) = (places(), Major::OLDEST);
    let mut rows = String::new();
    for (number, place) in places.iter().enumerate() {
        for text in place.spellings() {
            rows += &json!({"id": number.to_string(), "sql": text}).to_string();
            rows.push('\n');
        }
    }
    let directory = GateDir::new();
    let file = directory.write("spellings", &rows);
    let program = Program::new(Command::new(harness::portcullis_binary()));
    let said = program
        .run(&[
            "explain",
            "--json",
            "--server-version",
            &oldest.to_string(),
            "--batch",
            file.to_str().unwrap(),
        ])
        .ok();
    let answers: Vec<Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), rows.lines().count());
    for (answer, row) in answers.iter().zip(rows.lines()) {
        let number: usize = answer["id"].as_str().unwrap().parse().unwrap();
        let place = &places[number];
        let passes = place.rule.passes_on(Some(oldest));
        assert_eq!(answer["verdict"] == "allow", passes, "{place}: {row}");
    }
}

/// Rows that no SQL can say are proven elsewhere.
#[test]
fn the_tests_that_rows_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = 0;
    for place in places() {
        let Rule::Wire(tests) = &place.rule else {
            continue;
        };
        for test in tests {
            let (file, name) = test.split_once(' ').unwrap();
            let source = fs::read_to_string(root.join(file)).unwrap();
            let body = format!("#[test]\nfn {name}() {{");
            assert!(source.contains(&body), "{place}: {file} has no test {name}");
            named += 1;
        }
    }
    assert!(named >= 5, "only {named}");
}
