//! `portcullis watch`: every change is a line, also behind a gate that was gone for a while.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use harness::stage::{Setup, Stage, held, leave_pending, user};
use harness::{Login, Process};
use serde_json::Value;

const UPDATE: &str = "update t set note = 'new' where id = 1";
const DELETE: &str = "delete from t where id = 2";

/// One address for a gate that comes back on another port.
struct Relay {
    port: u16,
    gate: Arc<Mutex<SocketAddr>>,
}

impl Relay {
    fn to(stage: &Stage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Arc::new(Mutex::new(stage.gate.address()));
        let current = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let address = *current.lock().unwrap();
                // A gate that is not there: the client sees its connection end.
                let Ok(server) = TcpStream::connect(address) else {
                    continue;
                };
                pour(client.try_clone().unwrap(), server.try_clone().unwrap());
                pour(server, client);
            }
        });
        Self { port, gate }
    }

    fn lead_to(&self, stage: &Stage) {
        *self.gate.lock().unwrap() = stage.gate.address();
    }

    fn login(&self, stage: &Stage, who: &str) -> Login {
        Login {
            port: self.port,
            ..stage.console(who)
        }
    }
}

fn pour(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ended = io::copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Both);
        let _gone = from.shutdown(Shutdown::Both);
    });
}

fn watch(login: &Login, more: &[&str]) -> Process {
    harness::cli(login).spawn(&[&["watch", "--every", "100ms"], more].concat())
}

/// The next line about a ticket that has this event.
#[track_caller]
fn line(watch: &mut Process, ticket: &str, event: &str) -> String {
    watch
        .stdout()
        .wait_for(&format!(" {ticket:<6} {event:<11} "))
}

/// The next object with this event.
#[track_caller]
fn object(watch: &mut Process, event: &str) -> Value {
    let line = watch.stdout().wait_for(&format!("\"event\":\"{event}\""));
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn each_change_is_a_line_while_it_happens() {
    let stage = Stage::new();
    let first = leave_pending(&stage, UPDATE);
    let mut bob = watch(&stage.console("bob"), &["--bell"]);
    let table = bob.stdout().wait_for(&first);
    assert!(
        table.contains("alice") && table.contains("update t"),
        "{table}"
    );

    let mut alice = stage.psql("alice").start(DELETE);
    let second = held(&mut alice);
    let new = line(&mut bob, &second, "new");
    assert!(new.contains("alice at ") && new.contains(DELETE), "{new}");
    assert!(new.contains(": waits for 1 of dba: "), "{new}");
    let command = format!("APPROVE {second} 'it''s fine'");
    stage.psql_console("carol").query(&command).ok();
    let done = line(&mut bob, &second, "done");
    assert!(done.ends_with(": DELETE 1"), "{done}");
    alice.finish().ok();

    stage.reject(&first, "not \u{202e}today");
    let rejected = line(&mut bob, &first, "rejected");
    assert!(rejected.contains("rejected by bob at "), "{rejected}");
    assert!(rejected.ends_with(r": not \u{202e}today"), "{rejected}");

    let third = leave_pending(&stage, UPDATE);
    line(&mut bob, &third, "new");
    stage.approve(&third);
    let approved = line(&mut bob, &third, "approved");
    assert!(approved.contains("approved by bob at "), "{approved}");
    stage.cli("alice").run(&["withdraw", &third]).ok();
    line(&mut bob, &third, "withdrawn");

    bob.signal("INT");
    let said = bob.finish().ok();
    assert!(!said.stdout.contains('\u{7}'), "a bell is for a terminal");
    assert_eq!(said.stderr, "");
}

#[test]
fn an_object_a_line_says_who_signed() {
    let seniors = "[group.seniors]\nmembers = ['bob', 'carol', 'dave']\n";
    let two = Setup {
        default: "{ approvals = 2, from = 'seniors' }".to_owned(),
        more: user("dave") + seniors,
        ..Setup::default()
    };
    let stage = two.start();
    let ticket = leave_pending(&stage, UPDATE);
    let mut alice = watch(&stage.console("alice"), &["--json"]);
    let waiting = object(&mut alice, "waiting");
    assert_eq!(waiting["id"], *ticket);
    assert_eq!(waiting["statement"], UPDATE);
    assert_eq!(waiting["waiting_for"], "2 of seniors");
    stage.approve(&ticket);
    let signed = object(&mut alice, "signed");
    assert_eq!(
        (&signed["state"], &signed["waiting_for"]),
        (&Value::from("pending"), &Value::from("1 of seniors"))
    );
    let detail = signed["detail"].as_str().unwrap();
    assert!(detail.starts_with("approved by bob at "), "{detail}");
    let carol = stage.psql_console("carol");
    carol.query(&format!("APPROVE {ticket}")).ok();
    let approved = object(&mut alice, "approved");
    let detail = approved["detail"].as_str().unwrap();
    assert!(detail.starts_with("approved by carol at "), "{detail}");
    assert_eq!(approved["waiting_for"], Value::Null);
    alice.signal("INT");
    for line in alice.finish().ok().stdout.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        assert!(object["time"].is_string(), "{line}");
    }
}

#[test]
fn a_gate_that_restarts_is_watched_on() {
    let stage = Stage::new();
    let relay = Relay::to(&stage);
    let first = leave_pending(&stage, UPDATE);
    let login = relay.login(&stage, "bob");
    let (mut words, mut objects) = (watch(&login, &[]), watch(&login, &["--json"]));
    words.stdout().wait_for(&first);
    object(&mut objects, "waiting");

    let stage = stage.restart();
    words.stderr().wait_for("lost the gate, trying again: ");
    object(&mut objects, "lost");
    // What happens while nobody looks is told when somebody looks again.
    let second = leave_pending(&stage, DELETE);
    stage.reject(&first, "no");
    relay.lead_to(&stage);
    words.stderr().wait_for("the gate is back");
    line(&mut words, &first, "rejected");
    line(&mut words, &second, "new");
    object(&mut objects, "back");
    assert_eq!(object(&mut objects, "rejected")["id"], *first);
    assert_eq!(object(&mut objects, "new")["id"], *second);

    words.signal("INT");
    objects.signal("INT");
    let said = words.finish().ok();
    assert_eq!(said.stderr.lines().count(), 2, "{said:?}");
    assert_eq!(said.stdout.matches(" new ").count(), 1, "{said:?}");
    assert_eq!(objects.finish().ok().stderr, "");
}

/// Who is not let in any more is told so; nobody knocks for ever with a password that is wrong.
#[test]
fn a_login_that_is_refused_ends_it() {
    let stage = Stage::new();
    let relay = Relay::to(&stage);
    let mut bob = watch(&relay.login(&stage, "bob"), &[]);
    bob.stdout().wait_for("no ticket is waiting");
    let config = stage.gate.directory().file("portcullis.toml");
    let config = std::fs::read_to_string(config).unwrap();
    let (alices, bobs) = (verifier(&config, "alice"), verifier(&config, "bob"));
    let Stage { gate, database } = stage;
    let gate = gate.restart_with(&config.replace(&bobs, &alices));
    let stage = Stage { gate, database };
    relay.lead_to(&stage);
    let said = bob.finish().failed(3);
    assert!(
        said.stderr.contains("password authentication failed"),
        "{said:?}"
    );
}

/// The line with the verifier of a person.
fn verifier(config: &str, who: &str) -> String {
    let (_, table) = config.split_once(&format!("[user.{who}]\n")).unwrap();
    table.lines().next().unwrap().to_owned()
}
