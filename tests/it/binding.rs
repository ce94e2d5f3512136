//! What a ticket is bound to, who shares it, and who must sign: one person, one text, one context,
//! once.

use harness::raw::{self, Raw};
use harness::stage::{Stage, eventually, held, held_raw, leave_approved};

const UPDATE: &str = "update t set note = 'new' where id = 1";
const CHANGED: &str = "note = 'new'";

/// The client is told of another ticket than this one, and goes.
#[track_caller]
fn asks_anew(mut client: Raw, messages: &[u8], ticket: &str) {
    client.send(messages);
    assert_ne!(held_raw(&mut client), ticket);
    client.send(&raw::terminate());
    client.frames_until_closed();
}

/// DESIGN principle 4, hazards R91, R92, R103.
#[test]
fn a_ticket_is_for_one_person_tenant_text_and_context() {
    let stage = Stage::with_twin(|_| {});
    let ticket = leave_approved(&stage, UPDATE);
    let login = stage.login("alice");
    let query = raw::query(UPDATE);

    asks_anew(stage.raw("bob"), &query, &ticket);
    asks_anew(Raw::login(&login.database("twin")), &query, &ticket);
    let spaced = raw::query(&format!("{UPDATE} "));
    asks_anew(stage.raw("alice"), &spaced, &ticket);
    let capital = raw::query(&UPDATE.replace("update", "UPDATE"));
    asks_anew(stage.raw("alice"), &capital, &ticket);
    for (name, value) in [
        ("search_path", "public"),
        ("DateStyle", "SQL"),
        ("options", "-c TimeZone=Asia/Tokyo"),
    ] {
        asks_anew(Raw::login_with(&login, &[(name, value)]), &query, &ticket);
    }
    let mut in_transaction = stage.raw("alice");
    in_transaction.query("begin");
    asks_anew(in_transaction, &query, &ticket);
    assert_eq!(stage.state(&ticket), "approved");
    assert_eq!(stage.count(CHANGED), "0");

    // What does not change the meaning does not matter, and once is once.
    let mut other = Raw::login_with(&login, &[("application_name", "other")]);
    assert_eq!(raw::tags(&other.query(UPDATE)), "CZ");
    assert_eq!(stage.state(&ticket), "done");
    asks_anew(other, &query, &ticket);
}

#[test]
fn a_ticket_is_for_its_parameters() {
    let stage = Stage::new();
    let batch = |id: Option<&str>| {
        [
            raw::parse("", "update t set note = 'new' where id = $1"),
            raw::bind_values("", "", &[id]),
            raw::execute(""),
            raw::sync(),
        ]
        .concat()
    };
    let mut client = stage.raw("alice");
    client.send(&batch(Some("2")));
    let ticket = held_raw(&mut client);
    client.send(&raw::terminate());
    client.frames_until_closed();
    stage.approve(&ticket);
    assert_eq!(stage.ticket("bob", &ticket, "parameters"), "$1 = '2'");

    for other in [Some("3"), Some("02"), Some(""), None] {
        asks_anew(stage.raw("alice"), &batch(other), &ticket);
    }
    let mut client = stage.raw("alice");
    client.send(&batch(Some("2")));
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "12CZ");
    assert_eq!(stage.count("id = 2 and note = 'new'"), "1");
    asks_anew(client, &batch(Some("2")), &ticket);
}

/// DESIGN ruling 18.
#[test]
fn identical_requests_share_a_ticket_and_one_claim_wins() {
    let stage = Stage::new();
    let sql = "update t set note = note || '!' where id = 1";
    let mut clients = [
        stage.psql("alice").start(sql),
        stage.psql("alice").start(sql),
    ];
    let tickets = clients.each_mut().map(held);
    assert_eq!(tickets[0], tickets[1]);
    stage.approve(&tickets[0]);
    eventually("one is done", || {
        clients.iter_mut().any(|client| !client.is_running())
    });
    assert_eq!(stage.count("note = 'one!'"), "1");
    let [first, second] = clients;
    let (mut done, mut waits) = (first, second);
    if done.is_running() {
        std::mem::swap(&mut done, &mut waits);
    }
    assert_eq!(done.finish().ok().stdout, "UPDATE 1");
    let next = held(&mut waits);
    assert_ne!(next, tickets[0]);
    let previous = format!("Ticket {} was for the same statement.", tickets[0]);
    waits.stderr().wait_for(&previous);
    stage.approve(&next);
    assert_eq!(waits.finish().ok().stdout, "UPDATE 1");
    assert_eq!(stage.count("note = 'one!!'"), "1");
}

/// DESIGN ruling 18: the ticket is withdrawn when its last waiter cancels.
#[test]
fn a_cancel_takes_only_that_waiter_off() {
    let stage = Stage::new();
    let mut first = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut first);
    let mut second = stage.psql("alice").start(UPDATE);
    assert_eq!(held(&mut second), ticket);
    first.signal("INT");
    first.finish().failed(1);
    assert_eq!(stage.state(&ticket), "pending");
    stage.approve(&ticket);
    assert_eq!(second.finish().ok().stdout, "UPDATE 1");
}

/// Hazards R102: N of M are distinct people, and never the requester.
#[test]
fn two_approvals_are_of_two_people() {
    let stage = Stage::with(|setup| {
        setup.rules.push_str(
            "[[rule]]\nname = 'two sign'\nuser = 'alice'\nclass = 'write'\nverdict = 'hold'\n\
             approvals = 2\nfrom = 'dba'\n",
        );
    });
    let mut alice = stage.psql("alice").start(UPDATE);
    let notice = alice.stderr().wait_for("held as ticket T-1");
    assert!(
        notice.ends_with("waits for 2 approvals from \"dba\""),
        "{notice}"
    );
    let said = stage.cli("bob").run(&["approve", "T-1"]).ok();
    assert_eq!(said.stdout, "T-1 pending, waiting for 1 of dba");
    let signed = alice.stderr().wait_for("was signed");
    assert!(
        signed.ends_with("ticket T-1 was signed by \"bob\": waits for 1 approval from \"dba\""),
        "{signed}"
    );
    let _said_already = stage.cli("bob").run(&["approve", "T-1"]);
    assert_eq!(stage.state("T-1"), "pending");
    stage.cli("alice").run(&["approve", "T-1"]).failed(1);
    assert_eq!(stage.state("T-1"), "pending");
    assert_eq!(stage.count(CHANGED), "0");
    stage.cli("carol").run(&["approve", "T-1"]).ok();
    assert_eq!(alice.finish().ok().stdout, "UPDATE 1");
    let decisions = stage.ticket("bob", "T-1", "decisions");
    assert!(decisions.starts_with("approved by bob"), "{decisions}");
}
