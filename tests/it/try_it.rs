//! `portcullis try` and `portcullis demo`: a gate before a database that exists already, and the
//! story of the README.

use std::process::Command;

use harness::{Database, Finished, Login, Process, Program, database, portcullis_binary, postgres};
use tempfile::TempDir;

/// A gate put up by `try`, and where it keeps its state.
struct Trial {
    gate: Process,
    state: TempDir,
    database: Database,
    port: u16,
}

impl Trial {
    fn start(words: &[&str]) -> Self {
        let database = database();
        database.sql("create table t (id int primary key, note text)");
        database.sql("insert into t values (1, 'old')");
        database.sql(&format!(
            "grant select, insert, update on t to {}",
            database.write.name
        ));
        let state = tempfile::tempdir().unwrap();
        let mut gate = program(&database, &state, words).spawn(&[]);
        let ready = gate.stdout().wait_for("ready on ");
        let port = ready.rsplit_once(':').unwrap().1.trim().parse().unwrap();
        Self {
            gate,
            state,
            database,
            port,
        }
    }

    fn login(&self, user: &str, password: &str) -> Login {
        let root = self.state.path().join("tls/ca.pem");
        let gate = Login {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            root_cert: root.exists().then_some(root),
            ..self.database.login(&self.database.write)
        };
        gate.person(user, password)
    }

    fn note(&self) -> String {
        self.database.sql("select note from t where id = 1")
    }
}

/// `portcullis try` before the shared server.
fn program(database: &Database, state: &TempDir, words: &[&str]) -> Program {
    let upstream = format!(
        "postgres://{}:{}@127.0.0.1:{}/{}?sslmode=disable",
        database.write.name,
        database.write.password,
        postgres().port(),
        database.name
    );
    let mut program = Program::new(Command::new(portcullis_binary()))
        .arg("try")
        .arg(&upstream)
        .arg("--state")
        .arg(state.path().to_str().unwrap());
    if !words.contains(&"--listen") {
        program = program.arg("--listen").arg("127.0.0.1:0");
    }
    words
        .iter()
        .fold(program, |program, word| program.arg(word))
}

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// The word behind `label` in what `try` printed.
fn printed(text: &str, label: &str, place: usize) -> String {
    let after = text
        .split(label)
        .nth(place)
        .unwrap_or_else(|| panic!("no {label} in: {text}"));
    after
        .split_whitespace()
        .next()
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

#[test]
fn two_people_with_passwords_made_on_the_spot() {
    let mut trial = Trial::start(&[]);
    let text = trial.gate.stdout().text();
    assert!(
        text.contains(&format!("dbname={}", trial.database.name)),
        "{text}"
    );
    let (alice, bob) = (
        printed(&text, "password=", 1),
        printed(&text, "password=", 2),
    );
    assert_ne!(alice, bob);
    let root = printed(&text, "sslrootcert=", 1);
    assert_eq!(
        root,
        trial.state.path().join("tls/ca.pem").to_str().unwrap()
    );

    let alice = trial.login("alice", &alice);
    let read = harness::psql(&alice).query("select note from t").ok();
    assert!(read.stdout.contains("old"), "{read:?}");
    let mut waiting = harness::psql(&alice).start(UPDATE);
    waiting
        .stderr()
        .wait_for("held as ticket T-1: waits for 1 approval from \"approvers\"");
    assert_eq!(trial.note(), "old");
    harness::cli(&trial.login("bob", &bob))
        .run(&["approve", "T-1"])
        .ok();
    waiting.finish().ok();
    assert_eq!(trial.note(), "new");
}

#[test]
fn quiet_is_one_line() {
    let mut trial = Trial::start(&["--quiet", "--login", "ann:a", "--login", "ben:b", "--plain"]);
    let text = trial.gate.stdout().text();
    assert_eq!(text.trim(), format!("ready on 127.0.0.1:{}", trial.port));
    let said = harness::psql(&trial.login("ann", "a"))
        .query("select note from t")
        .ok();
    assert!(said.stdout.contains("old"), "{said:?}");
    harness::psql(&trial.login("ann", "b"))
        .query("select 1")
        .failed(2);
}

#[test]
fn every_database_of_the_server_is_routed_by_name() {
    let trial = Trial::start(&["--quiet", "--login", "ann:a", "--plain"]);
    let other = database();
    other.sql(&format!(
        "grant connect on database {} to {}",
        other.name, trial.database.write.name
    ));
    let login = trial.login("ann", "a");
    let said = harness::psql(&login.database(&other.name))
        .query("select current_database()")
        .ok();
    assert!(said.stdout.contains(&other.name), "{said:?}");
    let said = harness::psql(&login.database("nosuch"))
        .query("select 1")
        .failed(2);
    assert!(
        said.stderr
            .contains("could not connect to the server of database"),
        "{said:?}"
    );
}

#[test]
fn allow_all_lets_everything_pass_and_writes_it_down() {
    let trial = Trial::start(&["--quiet", "--allow-all", "--plain", "--login", "ann:a"]);
    harness::psql(&trial.login("ann", "a")).query(UPDATE).ok();
    assert_eq!(trial.note(), "new");
    let journal = std::fs::read_to_string(trial.state.path().join("journal/journal.jsonl"));
    assert!(journal.unwrap().contains(UPDATE));
}

#[test]
fn a_policy_file_replaces_the_rules() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        policy.path(),
        "[group.owners]\nmembers = [\"ben\", \"cat\"]\n\
         [policy]\ndefault = { approvals = 1, from = \"owners\" }\n\
         [[rule]]\nname = \"no reads\"\nclass = \"read\"\nverdict = \"deny\"\nmessage = \"not here\"\n",
    )
    .unwrap();
    let path = policy.path().to_str().unwrap();
    let logins = ["--login", "ann:a", "--login", "ben:b", "--login", "cat:c"];
    let words = [&["--plain", "--policy", path][..], &logins[..]].concat();
    let trial = Trial::start(&words);
    let said = harness::psql(&trial.login("ann", "a"))
        .query("select note from t")
        .failed(1);
    assert!(said.stderr.contains("not here"), "{said:?}");
    let mut waiting = harness::psql(&trial.login("ann", "a")).start(UPDATE);
    waiting
        .stderr()
        .wait_for("waits for 1 approval from \"owners\"");
    harness::cli(&trial.login("cat", "c"))
        .run(&["approve", "T-1"])
        .ok();
    waiting.finish().ok();
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let database = database();
    let refused = |words: &[&str]| -> Finished {
        let state = tempfile::tempdir().unwrap();
        program(&database, &state, words).run(&[])
    };
    let said = refused(&["--plain", "--listen", "0.0.0.0:0"]).failed(1);
    assert!(
        said.stderr
            .contains("--plain listens on a loopback address only"),
        "{said:?}"
    );
    let said = refused(&["--policy", "/nonexistent/policy.toml"]).failed(1);
    assert!(said.stderr.contains("/nonexistent/policy.toml"), "{said:?}");
    refused(&["--login", "nopassword"]).failed(2);
    refused(&["--allow-all", "--policy", "x"]).failed(2);
}

#[test]
fn the_story_of_the_readme_happens() {
    let demo = Program::new(Command::new(portcullis_binary()))
        .run(&["demo", "--once"])
        .ok();
    for step in [
        "held as ticket T-1",
        "T-1 approved",
        "UPDATE 1",
        "was rejected by \"bob\"",
    ] {
        assert!(demo.stdout.contains(step), "{step}: {demo:?}");
    }
}
