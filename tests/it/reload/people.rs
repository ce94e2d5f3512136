//! People whom a reload concerns: who is removed or changed loses what they had, and groups count as they are now.

use std::time::Instant;

use harness::psql;
use harness::raw::{self, Raw};
use harness::stage::{
    RULES, eventually, held_raw, leave_approved, leave_pending, password, user, user_anew,
};

use super::{Changing, SOON, farewell, said, value};

#[test]
fn who_is_removed_loses_sessions_and_tickets_within_a_second() {
    let it = Changing::new(|setup| setup.more = user("dave"));
    let dave = it
        .stage
        .gate
        .login("dave", &password("dave"), &it.stage.database.name);
    let approved = leave_approved(&it.stage, "delete from t where id = 1");
    let (mut idle, mut waits, mut other) = (
        it.stage.raw("alice"),
        it.stage.raw("alice"),
        Raw::login(&dave),
    );
    let mut console = Raw::login(&it.stage.console("alice"));
    waits.send(&raw::query("delete from t where id = 2"));
    let pending = held_raw(&mut waits);
    other.send(&raw::query("delete from t where id = 3"));
    let theirs = held_raw(&mut other);
    let mut terminal = it.stage.psql("alice").spawn(&[]);
    terminal.type_line("select 6 * 7;");
    terminal.stdout().wait_for("42");

    let since = Instant::now();
    it.write_text(|text| text.replace(&user("alice"), ""));
    let report = it.reload();
    assert_eq!(said(&report, "sessions_ended"), "4");
    assert_eq!(said(&report, "tickets_void"), "2");
    for client in [&mut idle, &mut waits, &mut console] {
        let why = farewell(client).field('M').unwrap();
        assert!(
            why.contains("account \"alice\" was removed or changed"),
            "{why}"
        );
    }
    assert!(
        since.elapsed() < SOON,
        "{:?} from the file on",
        since.elapsed()
    );
    for ticket in [&approved, &pending] {
        assert_eq!(it.stage.state(ticket), "void");
    }
    terminal.type_line("select 1;");
    assert_ne!(terminal.finish().code, 0);
    let refused = it.stage.psql("alice").query("select 1").failed(2);
    assert!(
        refused.stderr.contains("authentication failed"),
        "{refused:?}"
    );
    // Nobody else has lost anything.
    assert_eq!(it.stage.state(&theirs), "pending");
    it.stage.approve(&theirs);
    assert_eq!(raw::tags(&other.frames_until(b'Z')), "NCZ");
    assert_eq!(it.stage.count("true"), "2");
    // The journal says who did it, and why the tickets are void.
    let log = it.stage.gate.directory().file("state");
    let exported =
        harness::stage::portcullis(&["audit", "verify", "--state", &log.to_string_lossy()]);
    exported.ok();
}

#[test]
fn who_has_another_password_or_goes_elsewhere_loses_what_is_there() {
    let mut it = Changing::new(|setup| setup.more = user("dave"));
    let name = it.stage.database.name.clone();
    let mut idle = it.stage.raw("alice");
    let ticket = leave_pending(&it.stage, "delete from t where id = 1");
    it.write_text(|text| {
        text.replacen("[user.alice]", "[user.alice]\ntenants = ['portcullis']", 1)
    });
    let report = it.reload();
    let why = farewell(&mut idle).field('M').unwrap();
    assert!(why.contains("may not use database"), "{why}");
    assert_eq!(said(&report, "tickets_void"), "1");
    assert_eq!(it.stage.state(&ticket), "void");
    // More than before takes nothing from anybody.
    it.write_text(|text| {
        text.replacen(
            "[user.alice]",
            &format!("[user.alice]\ntenants = ['{name}']"),
            1,
        )
    });
    it.reload();
    let mut idle = it.stage.raw("alice");
    let ticket = leave_pending(&it.stage, "delete from t where id = 1");
    it.write(|_| {});
    let report = it.reload();
    assert_eq!(said(&report, "sessions_ended"), "0");
    assert_eq!(value(&mut idle, "select 1"), "1");
    assert_eq!(it.stage.state(&ticket), "pending");
    let shown = || {
        psql(&it.stage.console("carol"))
            .query("SHOW SESSIONS")
            .ok()
            .stdout
    };
    eventually("whoever left is gone", || {
        shown().matches("|alice|").count() == 1
    });
    // Another verifier, if only of the same password.
    it.write_text(|text| text.replace(&user("alice"), &user_anew("alice")));
    let report = it.reload();
    assert_eq!(said(&report, "sessions_ended"), "1");
    farewell(&mut idle);
    assert_eq!(it.stage.state(&ticket), "void");
    assert_eq!(it.stage.psql("alice").query("select 1").ok().stdout, "1");
}

#[test]
fn groups_count_as_they_are_now_for_those_who_are_here() {
    let it = Changing::new(|setup| {
        setup.more = user("dave");
        setup.rules = format!(
            "{RULES}\n[[rule]]\nname = 'interns'\ngroup = 'interns'\nclass = 'write'\nverdict = 'deny'\nmessage = 'ask somebody'\n"
        );
        setup.more.push_str("[group.interns]\nmembers = ['dave']\n");
    });
    let mut bob = Raw::login(&it.stage.console("bob"));
    let mut alice = it.stage.raw("alice");
    alice.send(&raw::query("delete from t where id = 1"));
    let ticket = held_raw(&mut alice);
    let signed = leave_approved(&it.stage, "delete from t where id = 2");
    it.write_text(|text| {
        text.replace("members = ['bob', 'carol']", "members = ['dave', 'carol']")
            .replace("members = ['dave']\n", "members = ['alice']\n")
    });
    let report = it.reload();
    assert_eq!(
        said(&report, "sessions_ended"),
        "0",
        "groups end no session"
    );
    let answer = bob.query(&format!("APPROVE {ticket}"));
    assert_eq!(
        raw::error(&answer).sqlstate(),
        "55000",
        "bob does not even see it"
    );
    // Alice is in a group by now that may not, in the session that she had.
    let carol = it.stage.cli("carol").run(&["approve", &ticket]);
    carol.ok();
    let answer = alice.frames_until(b'Z');
    assert_eq!(
        raw::error(&answer).sqlstate(),
        "ZG001",
        "{}",
        raw::error(&answer).describe()
    );
    let answer = alice.query("delete from t where id = 2");
    assert_eq!(raw::error(&answer).sqlstate(), "ZG001");
    assert_ne!(it.stage.ticket("carol", &signed, "state"), "done");
    assert_eq!(it.stage.count("true"), "3");
}
