//! What people say of a ticket, how long it counts, and whose word it is.

use harness::raw::{self, Raw};
use harness::stage::{
    RULES, Setup, Stage, held, held_raw, leave_approved, leave_pending, table, user,
};

const UPDATE: &str = "update t set note = 'new' where id = 1";
const OTHER: &str = "update t set note = 'new' where id = 2";

/// What the console says to a command of `who`: tags of the answer, and its rows or its SQLSTATE.
fn say(stage: &Stage, who: &str, command: &str) -> (String, String) {
    let answer = Raw::login(&stage.console(who)).query(command);
    let rows = answer.iter().filter(|frame| frame.tag == b'D').map(|row| {
        let columns = row.columns().into_iter();
        let columns: Vec<String> = columns.map(Option::unwrap_or_default).collect();
        columns.join("|")
    });
    let rows: Vec<String> = rows.collect();
    let error = answer.iter().find(|frame| frame.tag == b'E');
    let said = error.map_or_else(|| rows.join("\n"), raw::Frame::sqlstate);
    (raw::tags(&answer), said)
}

#[test]
fn several_tickets_are_decided_in_one_command_or_none() {
    let stage = Stage::new();
    let one = leave_pending(&stage, UPDATE);
    let two = leave_pending(&stage, OTHER);
    let said = say(&stage, "bob", &format!("APPROVE {one}, {two} 'both'"));
    assert_eq!(said.1, format!("{one}|approved|\n{two}|approved|"));

    let three = leave_pending(&stage, "delete from t where id = 1");
    for command in ["APPROVE", "REQUEST CHANGES", "REJECT", "WITHDRAW"] {
        let text = if command == "WITHDRAW" { "" } else { "'no'" };
        // One of them is none of theirs, or no ticket at all.
        let who = if command == "WITHDRAW" {
            "alice"
        } else {
            "bob"
        };
        let said = say(&stage, who, &format!("{command} {three}, T-99 {text}"));
        assert_eq!(said, ("EZ".to_owned(), "55000".to_owned()), "{command}");
    }
    assert_eq!(stage.state(&three), "pending");
    let said = say(&stage, "alice", &format!("WITHDRAW {one} {three}")).1;
    assert_eq!(said, format!("{one}|withdrawn|\n{three}|withdrawn|"));
}

/// Who asks for changes takes back a yes; the waiting client hears all that is said, and waits on.
#[test]
fn changes_requested_and_remarks_reach_whoever_waits() {
    let stage = Stage::with(|setup| {
        setup.default = "{ approvals = 2, from = 'dba' }".to_owned();
        setup.more = format!("{}groups = ['dba']\n", user("dave"));
    });
    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    stage
        .cli("alice")
        .run(&["comment", &ticket, "for the fair"])
        .ok();
    let heard = alice.stderr().wait_for("comment of ");
    assert!(
        heard.contains(&format!("comment of \"alice\" on ticket {ticket}")),
        "{heard}"
    );
    stage.approve(&ticket);
    alice.stderr().wait_for("was signed by \"bob\"");
    stage
        .cli("bob")
        .run(&["request-changes", &ticket, "-m", "add a WHERE"])
        .ok();
    alice.stderr().wait_for("were requested by \"bob\"");
    alice.stderr().wait_for("add a WHERE");

    // Carol's word alone is not enough then, though two people have said yes by now.
    say(&stage, "carol", &format!("APPROVE {ticket}"));
    assert_eq!(stage.ticket("bob", &ticket, "waiting_for"), "1 of dba");
    assert_eq!(stage.state(&ticket), "pending");
    stage.approve(&ticket);
    assert_eq!(alice.finish().ok().stdout, "UPDATE 1");
    let card = stage
        .psql_console("bob")
        .arg("-x")
        .query(&format!("SHOW TICKET {ticket}"));
    for said in [
        "comment by alice",
        "approved by bob",
        "changes requested by bob",
        "approved by carol",
    ] {
        assert!(card.stdout.contains(said), "{said}: {}", card.stdout);
    }
}

/// A yes that was taken back before it was used is none.
#[test]
fn an_approval_can_be_taken_back_until_it_is_used() {
    let stage = Stage::new();
    let ticket = leave_approved(&stage, UPDATE);
    let said = say(&stage, "bob", &format!("REQUEST CHANGES {ticket} 'wait'")).1;
    assert_eq!(said, format!("{ticket}|pending|1 of dba"));
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(UPDATE));
    assert_eq!(held_raw(&mut alice), ticket, "it waits on the same ticket");
    assert_eq!(stage.count("note = 'new'"), "0");
    stage.approve(&ticket);
    assert_eq!(raw::tags(&alice.frames_until(b'Z')).replace('N', ""), "CZ");
}

/// Hazards R79, R100: who is in which group is asked again when a ticket is spent.
#[test]
fn who_has_left_the_group_has_not_signed() {
    let database = table();
    let setup = Setup {
        more: format!("{}groups = ['dba']\n", user("dave")),
        ..Setup::default()
    };
    let stage = Stage {
        gate: harness::Gate::start(&setup.config(&database)),
        database,
    };
    let ticket = leave_approved(&stage, UPDATE);
    let config = setup
        .config(&stage.database)
        .replace("['bob', 'carol']", "['carol']");
    let gate = stage.gate.restart_with(&config);
    let stage = Stage {
        gate,
        database: stage.database,
    };

    let mut alice = stage.raw("alice");
    alice.send(&raw::query(UPDATE));
    assert_eq!(held_raw(&mut alice), ticket);
    assert_eq!(stage.ticket("carol", &ticket, "state"), "pending");
    assert_eq!(stage.ticket("carol", &ticket, "waiting_for"), "1 of dba");
    assert_eq!(stage.count("note = 'new'"), "0");
    say(&stage, "carol", &format!("APPROVE {ticket}"));
    assert_eq!(raw::tags(&alice.frames_until(b'Z')).replace('N', ""), "CZ");
}

/// What the rules ask for by now is asked for when a ticket is spent, and what they deny is void.
#[test]
fn the_rules_of_now_are_asked_when_a_ticket_is_spent() {
    let database = table();
    let rule = |rest: &str| {
        let setup = Setup {
            rules: format!("{RULES}[[rule]]\nname = 'writes'\nclass = 'write'\n{rest}\n"),
            more: format!("{}groups = ['operators']\n", user("dave")),
            ..Setup::default()
        };
        setup.config(&database)
    };
    let dba = rule("verdict = 'hold'\nfrom = 'dba'");
    let both = rule(
        "verdict = 'hold'\nneeds = [{ approvals = 1, from = 'dba' }, { approvals = 1, from = 'operators' }]",
    );
    let frozen = rule("verdict = 'deny'\nmessage = 'frozen'");
    let gate = harness::Gate::start(&dba);
    let stage = Stage { gate, database };
    let one = leave_approved(&stage, UPDATE);
    let two = leave_approved(&stage, OTHER);

    let Stage { gate, database } = stage;
    let stage = Stage {
        gate: gate.restart_with(&both),
        database,
    };
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(UPDATE));
    assert_eq!(held_raw(&mut alice), one);
    assert_eq!(stage.ticket("bob", &one, "waiting_for"), "1 of operators");
    drop(alice);

    let Stage { gate, database } = stage;
    let stage = Stage {
        gate: gate.restart_with(&frozen),
        database,
    };
    let mut alice = stage.raw("alice");
    let answer = alice.query(OTHER);
    assert_eq!(answer[0].sqlstate(), "ZG001");
    assert_eq!(
        stage.state(&two),
        "approved",
        "it is only denied as long as the rule stands"
    );
    assert_eq!(stage.count("note = 'new'"), "0");
}

/// Hazards R102: whoever has two logins is one person, and signs for themselves with neither.
#[test]
fn a_second_login_is_the_same_person() {
    let stage = Stage::with(|setup| {
        let twin = user("alice2").replace("[user.alice2]\n", "[user.alice2]\nperson = 'alice'\n");
        setup.more = format!("{twin}groups = ['dba']\n");
    });
    let ticket = leave_pending(&stage, UPDATE);
    let said = say(&stage, "alice2", &format!("APPROVE {ticket}"));
    assert_eq!(said, ("EZ".to_owned(), "42501".to_owned()));
    assert_eq!(stage.state(&ticket), "pending");
    // It is the same person's: the other login withdraws it, or claims it.
    stage.approve(&ticket);
    assert_eq!(raw::tags(&stage.raw("alice2").query(UPDATE)), "CZ");
    assert_eq!(stage.state(&ticket), "done");
}
