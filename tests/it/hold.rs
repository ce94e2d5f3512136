//! The hold: what a client hears while it waits, and what ends the wait.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::raw::{self, Raw};
use harness::stage::{Stage, eventually, held, held_raw, leave_approved};

const UPDATE: &str = "update t set note = 'new' where id = 1";
const CHANGED: &str = "note = 'new'";

/// Long enough for whatever should not come, were it to come.
const A_WHILE: Duration = Duration::from_millis(100);

/// A rule of its own, so that its name can be looked for.
const WRITES_WAIT: &str = "[[rule]]\nname = 'writes wait'\nclass = 'write'\n\
    verdict = 'hold'\nfrom = 'dba'\n";

fn cancel(address: SocketAddr, id: i32, secret: &[u8]) -> Raw {
    let mut other = Raw::connect(address);
    other.send(&raw::cancel_request(id, secret));
    other
}

#[test]
fn the_notice_names_ticket_rule_people_and_command() {
    let stage = Stage::with(|setup| setup.rules.push_str(WRITES_WAIT));
    let mut client = stage.raw("alice");
    client.send(&raw::query(UPDATE));
    let notice = client.frame();
    assert_eq!(notice.tag, b'N', "{}", notice.describe());
    let field = |name| notice.field(name).unwrap_or_default();
    assert_eq!(field('S'), "NOTICE");
    assert_eq!(field('C'), "ZG000");
    assert_eq!(
        field('M'),
        "held as ticket T-1: waits for 1 approval from \"dba\""
    );
    assert!(field('D').starts_with("Rule \"writes wait\" holds it: "));
    assert!(field('H').contains("portcullis approve T-1"));
    assert_eq!(stage.ticket("bob", "T-1", "rule"), "writes wait");
    assert_eq!(stage.ticket("bob", "T-1", "statement"), UPDATE);
    client.is_silent_for(A_WHILE);
    assert_eq!(stage.count(CHANGED), "0");
}

#[test]
fn an_approved_statement_runs_and_its_answer_comes() {
    let stage = Stage::new();
    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    assert_eq!(stage.count(CHANGED), "0");
    let said = stage
        .cli("bob")
        .run(&["approve", &ticket, "-m", "fine"])
        .ok();
    assert_eq!(said.stdout, format!("{ticket} approved"));
    alice.stderr().wait_for("is approved: running");
    assert_eq!(alice.finish().ok().stdout, "UPDATE 1");
    assert_eq!(stage.count(CHANGED), "1");
    assert_eq!(stage.state(&ticket), "done");
    assert_eq!(stage.ticket("bob", &ticket, "outcome"), "UPDATE 1");
}

/// What the server says to a signed statement is for the client as it is.
#[test]
fn an_approved_statement_may_still_fail() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&raw::query("insert into t values (1, 'again')"));
    let ticket = held_raw(&mut client);
    stage.approve(&ticket);
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "NEZ");
    assert_eq!(answer[1].sqlstate(), "23505");
    stage.wait_state(&ticket, "failed");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
}

/// Hazards R58: a heartbeat that keeps the connection alive and says what is missing.
#[test]
fn a_waiting_client_hears_a_heartbeat() {
    let stage = Stage::with(|setup| setup.more = "[hold]\nheartbeat = '1 s'\n".to_owned());
    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    let beat = alice.stderr().wait_for("has waited");
    let expected = format!("ticket {ticket} has waited 0:01 for 1 approval from \"dba\"");
    assert!(beat.ends_with(&expected), "{beat}");
    alice.stderr().wait_for("has waited 0:02");
}

#[test]
fn a_rejection_tells_the_reason_and_the_session_goes_on() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut client);
    stage
        .cli("bob")
        .run(&["reject", &ticket, "it isn't Friday"])
        .ok();
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "EZ");
    assert_eq!(answer[0].sqlstate(), "ZG002");
    assert_eq!(answer[0].field('S').as_deref(), Some("ERROR"));
    assert_eq!(
        answer[0].field('M').unwrap(),
        format!("ticket {ticket} was rejected by \"bob\"")
    );
    assert_eq!(answer[0].field('D').unwrap(), "Reason: it isn't Friday");
    assert_eq!(answer[1].body, b"I");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    assert_eq!(stage.count(CHANGED), "0");
    assert_eq!(stage.state(&ticket), "rejected");
}

/// Hazards R33: in the extended protocol an error is followed by silence up to the Sync.
#[test]
fn a_rejection_in_a_batch_is_followed_by_silence_up_to_the_sync() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let batch = [
        raw::parse("", UPDATE),
        raw::bind("", ""),
        raw::execute(""),
        raw::flush(),
    ];
    client.send(&batch.concat());
    let ticket = held_raw(&mut client);
    stage.cli("bob").run(&["reject", &ticket, "no"]).ok();
    assert_eq!(client.frame().sqlstate(), "ZG002");
    client.send(&raw::parse("", "select 1"));
    client.is_silent_for(A_WHILE);
    client.send(&raw::sync());
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "Z");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
}

#[test]
fn a_ticket_that_nobody_decides_expires() {
    let stage = Stage::with(|setup| {
        setup.more = "[tickets]\ndecide_within = '1 s'\n".to_owned();
    });
    let mut client = stage.raw("alice");
    client.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut client);
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "EZ");
    assert_eq!(answer[0].sqlstate(), "ZG003");
    assert!(answer[0].field('M').unwrap().contains(&ticket));
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    assert_eq!(stage.state(&ticket), "expired");
    let late = stage.cli("bob").run(&["approve", &ticket]).failed(1);
    assert!(late.stderr.contains("is expired"), "{late:?}");
}

#[test]
fn a_signature_that_nobody_uses_expires() {
    let stage = Stage::with(|setup| {
        setup.more = "[tickets]\nuse_within = '1 s'\n".to_owned();
    });
    let ticket = leave_approved(&stage, UPDATE);
    stage.wait_state(&ticket, "expired");
    let mut again = stage.psql("alice").start(UPDATE);
    assert_ne!(held(&mut again), ticket);
    assert_eq!(stage.count(CHANGED), "0");
}

/// Hazards R50: psql 15 sends its cancel in clear text, and the gate takes TLS only.
#[test]
fn ctrl_c_withdraws_the_ticket_at_once() {
    let stage = Stage::new();
    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    let since = Instant::now();
    alice.signal("INT");
    let ended = alice.finish().failed(1);
    assert!(ended.stderr.contains("57014"), "{ended:?}");
    let withdrawn = format!("Ticket {ticket} is withdrawn.");
    assert!(ended.stderr.contains(&withdrawn), "{ended:?}");
    assert!(since.elapsed() < Duration::from_secs(5));
    stage.wait_state(&ticket, "withdrawn");
    let late = stage.cli("bob").run(&["approve", &ticket]).failed(1);
    assert!(late.stderr.contains("is withdrawn"), "{late:?}");
    assert_eq!(stage.count(CHANGED), "0");
}

/// Hazards R52: who cancels gets not a byte, over TLS or in clear text.
#[test]
fn a_cancel_request_gets_no_answer_and_the_session_goes_on() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let (id, secret) = client.key();
    let secret = secret.to_vec();
    for over_tls in [false, true] {
        client.send(&raw::query(UPDATE));
        let ticket = held_raw(&mut client);
        let mut other = Raw::connect(stage.gate.address());
        if over_tls {
            other.start_tls(stage.gate.root_cert(), "localhost");
        }
        other.send(&raw::cancel_request(id, &secret));
        assert!(other.frames_until_closed().is_empty());
        let answer = client.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "EZ");
        assert_eq!(answer[0].sqlstate(), "57014");
        stage.wait_state(&ticket, "withdrawn");
        assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    }
}

#[test]
fn a_cancel_with_a_wrong_key_does_nothing() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let (id, secret) = client.key();
    let mut wrong = secret.to_vec();
    wrong[0] ^= 1;
    let secret = secret.to_vec();
    client.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut client);
    let longer = [&secret[..], &[0]].concat();
    for (id, key) in [
        (id, &wrong[..]),
        (id + 1, &secret),
        (0, &secret),
        (-1, &secret),
        (id, &longer),
    ] {
        let mut other = cancel(stage.gate.address(), id, key);
        assert!(other.frames_until_closed().is_empty());
    }
    client.is_silent_for(A_WHILE);
    assert_eq!(stage.state(&ticket), "pending");
    stage.approve(&ticket);
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "NCZ");
}

#[test]
fn a_running_statement_is_cancelled_at_the_server() {
    let stage = Stage::new();
    let sql = "select pg_sleep(600), count(*) from t";
    let mut alice = stage.psql("alice").start(sql);
    let ticket = held(&mut alice);
    stage.approve(&ticket);
    let running =
        format!("select count(*) from pg_stat_activity where query = '{sql}' and state = 'active'");
    eventually("it runs", || stage.database.sql(&running) == "1");
    alice.signal("INT");
    let ended = alice.finish().failed(1);
    assert!(ended.stderr.contains("57014"), "{ended:?}");
    eventually("it ended", || stage.database.sql(&running) == "0");
    stage.wait_state(&ticket, "failed");
}

#[test]
fn a_cancel_of_an_idle_session_is_nothing() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let (id, secret) = client.key();
    let mut other = cancel(stage.gate.address(), id, secret);
    assert!(other.frames_until_closed().is_empty());
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
}

/// Hazards R57: how a client can leave while its statement is held.
#[test]
fn whoever_leaves_while_held_runs_nothing_later() {
    type Leave = fn(&mut Raw);
    let ways: [(&str, Leave); 3] = [
        ("Terminate", |client| client.send(&raw::terminate())),
        ("FIN", Raw::half_close),
        ("both", |client| {
            client.send(&raw::terminate());
            client.half_close();
        }),
    ];
    let stage = Stage::new();
    for (way, leave) in ways {
        let sql = format!("update t set note = 'new' where id = 1 /* {way} */");
        let mut client = stage.raw("alice");
        client.send(&raw::query(&sql));
        let ticket = held_raw(&mut client);
        leave(&mut client);
        client.frames_until_closed();
        assert_eq!(stage.state(&ticket), "pending", "{way}");
        approved_and_unused(&stage, &ticket, &sql);
    }
}

#[test]
fn kill_9_of_a_held_psql_runs_nothing_later() {
    let stage = Stage::new();
    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    alice.kill9();
    assert_eq!(stage.state(&ticket), "pending");
    approved_and_unused(&stage, &ticket, UPDATE);
}

/// The Terminate is in the gate's hands before the statement is decided: nobody asks any more.
#[test]
fn a_terminate_sent_with_the_statement_counts_as_leaving() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&[raw::query(UPDATE), raw::terminate()].concat());
    client.frames_until_closed();
    let mut again = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut again);
    again.kill9();
    approved_and_unused(&stage, &ticket, UPDATE);
}

/// Signs for a ticket whose client is gone: nothing happens until the same person asks again.
#[track_caller]
fn approved_and_unused(stage: &Stage, ticket: &str, sql: &str) {
    stage.database.sql("update t set note = 'old' where id = 1");
    stage.approve(ticket);
    assert_eq!(stage.state(ticket), "approved");
    let sent = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and query = $q${sql}$q$"
    );
    assert_eq!(stage.database.sql(&sent), "0", "it reached the server");
    assert_eq!(stage.count(CHANGED), "0");
    let again = stage.psql("alice").query(sql).ok();
    assert_eq!(again.stdout, "UPDATE 1");
    assert!(!again.stderr.contains("held"), "{again:?}");
    assert_eq!(stage.count(CHANGED), "1");
    assert_eq!(stage.state(ticket), "done");
}

#[test]
fn messages_behind_a_held_statement_wait_their_turn() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let pipeline = [
        raw::query(UPDATE),
        raw::query("select note from t where id = 1"),
        raw::query("select 7"),
    ];
    client.send(&pipeline.concat());
    let ticket = held_raw(&mut client);
    client.is_silent_for(A_WHILE);
    stage.approve(&ticket);
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "NCZ");
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "TDCZ");
    assert_eq!(answer[1].columns(), [Some("new".to_owned())]);
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "TDCZ");
}

#[test]
fn a_withdrawal_elsewhere_reaches_the_client() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut client);
    stage.cli("alice").run(&["withdraw", &ticket]).ok();
    let answer = client.frames_until(b'Z');
    assert_eq!(answer[0].sqlstate(), "ZG004");
    assert!(answer[0].field('M').unwrap().contains(&ticket));
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
}
