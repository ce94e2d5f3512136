//! Texts that come again with other numbers are known by what they have in common, and yet each is asked about, signed,
//! journalled and run as itself: what lets one pass never speaks for another that waits (hazards R91).

use harness::raw::{self, Raw, bind, execute, parse, sync};
use harness::stage::{RULES, Stage, held_raw};

use crate::tickets::entries;

/// bob's writes pass, carol's are denied, alice's wait.
const BY_PERSON: &str = r#"
[[rule]]
name = "bob writes"
user = "bob"
class = "write"
verdict = "allow"

[[rule]]
name = "carol does not"
user = "carol"
class = "write"
verdict = "deny"
message = "not carol"
"#;

fn by_person(more: &str) -> Stage {
    Stage::with(|setup| setup.rules = format!("{more}{RULES}{BY_PERSON}"))
}

fn update(id: u32) -> String {
    format!("update t set id = {} where id = {id}", id + 5)
}

/// The entries in the journal of a gate that has ended.
fn ended(stage: &mut Stage, kind: &str) -> Vec<String> {
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    entries(stage, kind)
}

/// Each of these texts stands in one of the entries, in this order, and nothing else does.
#[track_caller]
fn assert_each(entries: &[String], texts: &[String]) {
    assert_eq!(entries.len(), texts.len(), "{entries:#?}");
    for (entry, text) in entries.iter().zip(texts) {
        assert!(
            entry.contains(&format!("\"text\":\"{text}\"")),
            "{text}: {entry}"
        );
    }
}

#[test]
fn every_read_is_answered_and_journalled_as_itself() {
    let mut stage = Stage::new();
    let mut texts = Vec::new();
    let mut client = stage.raw("alice");
    for id in [1, 2, 3, 2] {
        let text = format!("select id from t where id = {id}");
        let answer = client.query(&text);
        assert_eq!(answer[1].columns(), [Some(id.to_string())]);
        texts.push(text);
    }
    // By the extended protocol, and by another client.
    for id in [3, 1] {
        let text = format!("select id from t where id = {id}");
        client.send(&[parse("", &text), bind("", ""), execute(""), sync()].concat());
        let answer = client.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "12DCZ");
        assert_eq!(answer[2].columns(), [Some(id.to_string())]);
        texts.push(text);
    }
    let text = "select id from t where id = 2".to_owned();
    assert_eq!(stage.psql("bob").query(&text).ok().stdout, "2");
    texts.push(text);
    drop(client);
    assert_each(&ended(&mut stage, "intent"), &texts);
}

/// What passed for somebody is signed by nobody for another: each ticket is of its own text, and spent on that alone.
#[test]
fn a_write_that_waits_is_the_very_one_that_was_asked() {
    let stage = by_person("");
    let mut bob = stage.raw("bob");
    assert_eq!(raw::tags(&bob.query(&update(1))), "CZ");
    assert_eq!(raw::tags(&bob.query(&update(9))), "CZ");

    let mut alice = stage.raw("alice");
    let ask = |alice: &mut Raw, text: &str| {
        alice.send(&raw::query(text));
        let ticket = held_raw(alice);
        let shown = stage.ticket("bob", &ticket, "statement");
        assert_eq!(shown.trim_end(), text);
        let digest = stage.ticket("bob", &ticket, "digest");
        (ticket, digest)
    };
    let (two, digest_of_two) = ask(&mut alice, &update(2));
    stage.reject(&two, "no");
    assert!(raw::tags(&alice.frames_until(b'Z')).contains('E'));
    let (three, digest_of_three) = ask(&mut alice, &update(3));
    assert_ne!(two, three);
    assert_ne!(digest_of_two, digest_of_three);
    stage.approve(&three);
    assert!(raw::tags(&alice.frames_until(b'Z')).ends_with("CZ"));
    assert_eq!(stage.count("id = 8"), "1");
    assert_eq!(stage.count("id = 2"), "1");
    // It was spent on that one: the other waits again, as what it was.
    let (again, digest) = ask(&mut alice, &update(2));
    assert_ne!(again, two);
    assert_eq!(digest, digest_of_two);
    drop(alice);
    stage.wait_for_nobody("alice");

    // A gate that has never seen its like gives it the same digest.
    let stage = stage.restart();
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(&update(2)));
    let ticket = held_raw(&mut alice);
    assert_eq!(stage.ticket("bob", &ticket, "digest"), digest_of_two);
}

#[test]
fn a_denial_is_written_down_with_its_own_text() {
    let mut stage = by_person("");
    let mut bob = stage.raw("bob");
    assert_eq!(raw::tags(&bob.query(&update(1))), "CZ");
    let mut carol = stage.raw("carol");
    let texts = [update(2), update(3), update(2)];
    for text in &texts {
        let denied = carol.query(text);
        assert_eq!(denied[0].sqlstate(), "ZG001");
    }
    // And what one was denied still passes for the other.
    assert_eq!(raw::tags(&bob.query(&update(2))), "CZ");
    drop((bob, carol));
    assert_each(&ended(&mut stage, "denied"), &texts);
}

/// What only observes writes each down once, though it is asked about twice.
#[test]
fn what_is_observed_is_written_down_once() {
    let mut stage = by_person("mode = 'observe'\n");
    let mut alice = stage.raw("alice");
    let texts = [update(1), update(2), update(3), update(3)];
    for text in &texts {
        assert_eq!(raw::tags(&alice.query(text)), "CZ");
    }
    drop(alice);
    assert_each(&ended(&mut stage, "observed"), &texts);
}

/// What stands behind a name is known by its numbers no more than what stands in a text.
#[test]
fn what_an_execute_runs_is_the_very_text() {
    let stage = by_person("");
    let mut bob = stage.raw("bob");
    assert_eq!(raw::tags(&bob.query(&update(1))), "CZ");
    let mut alice = stage.raw("alice");
    for (name, id) in [("two", 2), ("three", 3)] {
        alice.send(&[parse(name, &update(id)), sync()].concat());
        assert_eq!(raw::tags(&alice.frames_until(b'Z')), "1Z");
    }
    for (name, id) in [("three", 3), ("two", 2)] {
        alice.send(&raw::query(&format!("execute {name}")));
        let ticket = held_raw(&mut alice);
        let shown = stage.ticket("bob", &ticket, "statement");
        assert!(shown.contains(&update(id)), "{shown}");
        stage.approve(&ticket);
        assert!(raw::tags(&alice.frames_until(b'Z')).ends_with("CZ"));
        assert_eq!(stage.count(&format!("id = {}", id + 5)), "1");
    }
    for id in [1, 2] {
        let (name, text) = (
            format!("n{id}"),
            format!("select id from t where id = {id}"),
        );
        alice.send(&[parse(&name, &text), sync()].concat());
        alice.frames_until(b'Z');
        assert_eq!(raw::tags(&alice.query(&format!("execute {name}"))), "TCZ");
    }
}

/// A number that decides is read as it stands, whatever passed before it.
#[test]
fn a_number_that_decides_passes_for_no_other() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    let pid = alice.key().0;
    // Nobody's, which the server is asked about, and so waits; and then one's own.
    let mut other = stage.raw("alice");
    let nobodys = format!(
        "select pg_cancel_backend({})",
        if pid == 1_000_000 {
            1_000_001
        } else {
            1_000_000
        }
    );
    other.send(&raw::query(&nobodys));
    let ticket = held_raw(&mut other);
    stage.reject(&ticket, "no");
    other.frames_until(b'Z');
    let own = format!("select pg_cancel_backend({pid})");
    assert_eq!(raw::tags(&other.query(&own)), "TDCZ");
    // A setting is what it is set to.
    for value in [5_000, 6_000, 7_000] {
        let set = alice.query(&format!("set statement_timeout = {value}"));
        assert_eq!(raw::tags(&set)[..1], *"C");
        let shown = alice.query("select setting from pg_settings where name = 'statement_timeout'");
        assert_eq!(shown[1].columns(), [Some(value.to_string())]);
    }
}
