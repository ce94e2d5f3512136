//! What a client says beside its statements: why, and whether it waits on the wire.

use harness::raw::{self, Raw, error};
use harness::stage::{RULES, Stage, held_raw, leave_approved, user};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// The one value that comes back.
#[track_caller]
fn shown(client: &mut Raw, setting: &str) -> String {
    let answer = client.query(&format!("show portcullis.{setting}"));
    assert_eq!(raw::tags(&answer), "TDCZ", "{setting}");
    answer[1].columns()[0].clone().unwrap_or_default()
}

#[test]
fn a_reason_is_on_the_ticket() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    assert_eq!(shown(&mut alice, "reason"), "");
    assert_eq!(
        raw::tags(&alice.query("set portcullis.reason = 'TICKET-7: it is old'")),
        "CZ"
    );
    assert_eq!(shown(&mut alice, "reason"), "TICKET-7: it is old");
    alice.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut alice);
    assert_eq!(
        stage.ticket("bob", &ticket, "reason"),
        "TICKET-7: it is old"
    );
    assert_eq!(stage.ticket("bob", &ticket, "writes"), "t");
    stage.reject(&ticket, "no");
    alice.frames_until(b'Z');
    assert_eq!(raw::tags(&alice.query("reset portcullis.reason")), "CZ");
    assert_eq!(shown(&mut alice, "reason"), "");
    assert_eq!(shown(&mut alice, "ticket"), ticket);

    // In front of the text, where no session is at hand; and in front of it in the same string.
    let mut bob = stage.raw("bob");
    bob.send(&raw::query(&format!("/* reason: by comment */ {UPDATE}")));
    let ticket = held_raw(&mut bob);
    assert_eq!(stage.ticket("carol", &ticket, "reason"), "by comment");
    let mut carol = stage.raw("carol");
    carol.send(&raw::query(&format!(
        "set portcullis.reason to 'in one string'; {UPDATE}"
    )));
    assert_eq!(carol.frame().tag, b'C', "SET is answered");
    let ticket = held_raw(&mut carol);
    assert_eq!(stage.ticket("bob", &ticket, "reason"), "in one string");
    stage.approve(&ticket);
    assert!(raw::tags(&carol.frames_until(b'Z')).ends_with("CZ"));
    let several = "delete from t where id = 2; delete from t where id = 3";
    carol.send(&raw::query(&format!(
        "set portcullis.reason = 'both'; {several}"
    )));
    assert_eq!(carol.frame().tag, b'C', "SET is answered");
    let ticket = held_raw(&mut carol);
    assert_eq!(stage.ticket("bob", &ticket, "reason"), "both");
    assert!(stage.ticket("bob", &ticket, "statement").ends_with(several));
}

#[test]
fn who_does_not_wait_gets_the_ticket_at_once() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    assert_eq!(shown(&mut alice, "wait"), "on");
    assert_eq!(raw::tags(&alice.query("set portcullis.wait = off")), "CZ");
    let answer = alice.query(UPDATE);
    assert_eq!(raw::tags(&answer), "EZ");
    let fault = error(&answer);
    assert_eq!(fault.sqlstate(), "ZG008");
    let ticket = shown(&mut alice, "ticket");
    assert!(
        fault
            .field('M')
            .unwrap()
            .contains(&format!("held as ticket {ticket}:"))
    );
    assert!(
        fault
            .field('H')
            .unwrap()
            .contains(&format!("portcullis approve {ticket}"))
    );
    assert_eq!(
        stage.state(&ticket),
        "pending",
        "it is there though nobody waits for it"
    );
    // The same again is the same ticket; approved, it runs.
    alice.query(UPDATE);
    assert_eq!(shown(&mut alice, "ticket"), ticket);
    stage.approve(&ticket);
    assert_eq!(raw::tags(&alice.query(UPDATE)), "CZ");
    assert_eq!(stage.state(&ticket), "done");
    // DISCARD ALL is the server's; the gate's own settings stay until they are reset.
    alice.query("reset portcullis.wait");
    assert_eq!(shown(&mut alice, "wait"), "on");
}

#[test]
fn policy_says_who_does_not_wait() {
    let stage = Stage::with(|setup| {
        setup.more = format!(
            "{}groups = ['services']\n[hold]\nno_wait_users = 'bob'\nno_wait_groups = 'services'\n\
             no_wait_applications = ['metabase*']\n",
            user("robot")
        );
    });
    for who in ["bob", "robot"] {
        let answer = stage.raw(who).query(UPDATE);
        assert_eq!(error(&answer).sqlstate(), "ZG008", "{who}");
    }
    let metabase = stage
        .psql("alice")
        .env("PGAPPNAME", "metabase 1.2")
        .query(UPDATE);
    assert!(metabase.failed(1).stderr.contains("ERROR:  ZG008: "));
    // Who says otherwise does, from the start, too.
    let options = "-c portcullis.wait=on -c portcullis.reason=from\\ options";
    let mut psql = stage.psql("bob").env("PGOPTIONS", options).start(UPDATE);
    let ticket = harness::stage::held(&mut psql);
    assert_eq!(stage.ticket("carol", &ticket, "reason"), "from options");
}

/// Drivers prepare what psql sends as text.
#[test]
fn settings_are_answered_in_the_extended_protocol_too() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    let extended = |text: &str| {
        [
            raw::parse("", text),
            raw::describe(b'S', ""),
            raw::bind("", ""),
            raw::describe(b'P', ""),
            raw::execute(""),
            raw::sync(),
        ]
        .concat()
    };
    alice.send(&extended("set portcullis.reason = 'prepared'"));
    assert_eq!(raw::tags(&alice.frames_until(b'Z')), "1tn2nCZ");
    alice.send(&extended("show portcullis.reason"));
    let answer = alice.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "1tT2TDCZ");
    assert_eq!(answer[5].columns()[0].as_deref(), Some("prepared"));
}

#[test]
fn what_cannot_be_set_is_told() {
    let stage = Stage::new();
    let mut alice = stage.raw("alice");
    for (text, sqlstate) in [
        ("set portcullis.nonsense = 1", "42704"),
        ("show portcullis.nonsense", "42704"),
        ("set portcullis.wait = 'perhaps'", "22023"),
        ("set portcullis.ticket = 'T-1'", "55P02"),
        (
            &format!("set portcullis.reason = '{}'", "x".repeat(2001)),
            "22023",
        ),
    ] {
        let answer = alice.query(text);
        assert_eq!(error(&answer).sqlstate(), sqlstate, "{text}");
    }
    let refused = stage
        .psql("alice")
        .env("PGOPTIONS", "-c portcullis.wait=perhaps")
        .query("select 1");
    assert!(
        refused
            .failed(2)
            .stderr
            .contains("requires a Boolean value")
    );
}

/// Hazards R99: nobody can flood those who sign.
#[test]
fn so_many_tickets_wait_and_no_more() {
    let stage = Stage::with(|setup| {
        setup.more = "[tickets]\npending_per_user_max = 2\npending_per_tenant_max = 3\n".to_owned();
    });
    let mut alice = stage.raw("alice");
    alice.query("set portcullis.wait = off");
    let ask = |client: &mut Raw, id: u32| {
        let answer = client.query(&format!("delete from t where id = {id}"));
        let fault = error(&answer);
        (fault.sqlstate(), fault.field('H').unwrap_or_default())
    };
    assert_eq!(ask(&mut alice, 1).0, "ZG008");
    assert_eq!(ask(&mut alice, 2).0, "ZG008");
    let (sqlstate, hint) = ask(&mut alice, 3);
    assert_eq!(sqlstate, "53400");
    assert!(hint.contains("pending_per_user_max"), "{hint}");
    assert_eq!(
        ask(&mut alice, 1).0,
        "ZG008",
        "what waits already is shared"
    );
    let mut bob = stage.raw("bob");
    bob.query("set portcullis.wait = off");
    assert_eq!(ask(&mut bob, 1).0, "ZG008");
    let (sqlstate, hint) = ask(&mut bob, 2);
    assert_eq!(sqlstate, "53400");
    assert!(hint.contains("pending_per_tenant_max"), "{hint}");
}

/// What a statement touches, and whose it is, stands on its ticket.
#[test]
fn who_signs_sees_what_is_touched() {
    let stage = Stage::with(|setup| {
        setup
            .tables
            .push_str("; create table u (id int); create view v as select * from u");
        setup.rules = format!(
            "{RULES}[[rule]]\nname = 'writes'\nclass = 'write'\nverdict = 'hold'\nfrom = 'dba'\n"
        );
    });
    let ticket = leave_approved(&stage, "delete from t where id in (select id from v)");
    assert_eq!(stage.ticket("bob", &ticket, "writes"), "t");
    assert_eq!(stage.ticket("bob", &ticket, "reads"), "v, public.u");
    let ticket = leave_approved(&stage, "vacuum t");
    let beware = stage.ticket("bob", &ticket, "beware");
    assert!(beware.contains("cannot sit in a transaction"), "{beware}");
}
