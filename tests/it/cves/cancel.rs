//! Cancels that hit a neighbour, or said something, or whose keys were in a log.

use std::thread;

use harness::raw::{self, Raw};
use harness::stage::{Stage, eventually};

use super::{open, open_with, said, value};

#[track_caller]
fn cancel(stage: &Stage, id: i32, secret: &[u8], tls: bool) -> Raw {
    let mut canceller = Raw::connect(stage.gate.address());
    if tls {
        canceller.start_tls(stage.gate.root_cert(), "localhost");
    }
    canceller.send(&raw::cancel_request(id, secret));
    canceller
}

fn is_running(stage: &Stage, sql: &str) -> bool {
    let active = format!(
        "select count(*) from pg_stat_activity where state = 'active' and query = $q${sql}$q$"
    );
    stage.database.sql(&active) != "0"
}

/// R52: pgbouncer#141, a stray ReadyForQuery on a cancel connection shifted every later answer by one.
#[test]
fn a_cancel_connection_gets_no_bytes() {
    let stage = open(1);
    let client = stage.raw("alice");
    let (id, secret) = client.key();
    for tls in [false, true] {
        for secret in [secret, b"nope", &[7; 32], &[0; 256]] {
            let mut canceller = cancel(&stage, id, secret, tls);
            assert!(canceller.frames_until_closed().is_empty());
        }
    }
    for garbage in [
        &b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\0"[..],
        b"\0\0\0\x0b\x04\xd2\x16\x2e\0\0\0",
    ] {
        let mut canceller = Raw::connect(stage.gate.address());
        canceller.send(garbage);
        let heard = canceller.frames_until_closed();
        assert!(heard.iter().all(|it| it.tag == b'E'), "{}", said(&heard));
    }
}

/// R51: pgbouncer#717, #38, odyssey#1215 and #1216: a cancel that came late hit whoever had the connection
/// next. One connection, a hundred cancels, and a victim.
#[test]
fn a_cancel_never_hits_a_neighbour() {
    let stage = open(1);
    let login = stage.login("bob");
    let victim = thread::spawn(move || {
        let mut bob = Raw::login(&login);
        for number in 0..400 {
            let answer = bob.query(&format!("select {number} from pg_sleep(0.002)"));
            assert!(
                raw::tags(&answer).starts_with("TD"),
                "{number}: {}",
                said(&answer)
            );
        }
    });
    let mut alice = stage.raw("alice");
    let (id, secret) = alice.key();
    let secret = secret.to_vec();
    let mut hits = 0;
    for round in 0..100 {
        // Some are over before the cancel comes, some are not.
        let sql = format!(
            "select {round} from pg_sleep({})",
            f64::from(round % 10) * 0.001
        );
        alice.send(&raw::query(&sql));
        let mut canceller = cancel(&stage, id, &secret, false);
        let heard = alice.frames_until(b'Z');
        let fine = heard
            .iter()
            .all(|it| it.tag != b'E' || it.sqlstate() == "57014");
        assert!(fine, "{}", said(&heard));
        hits += usize::from(heard.iter().any(|it| it.tag == b'E'));
        assert!(canceller.frames_until_closed().is_empty());
    }
    victim.join().expect("the victim's statements survive");
    assert!(hits > 0, "no cancel came in time");
}

/// R49, R31: pgbouncer#1172, pgdog#674, pgcat#71: ids that were used twice. Nobody guesses a secret, and a
/// key dies with its session.
#[test]
fn a_key_is_one_sessions_and_dies_with_it() {
    let stage = open(2);
    let gone: Vec<(i32, Vec<u8>)> = (0..50)
        .map(|_| {
            let client = stage.raw("bob");
            let (id, secret) = client.key();
            (id, secret.to_vec())
        })
        .collect();
    let mut secrets: Vec<_> = gone.iter().map(|it| &it.1).collect();
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 50, "a secret came twice");
    let mut alice = stage.raw("alice");
    let (id, secret) = alice.key();
    let secret = secret.to_vec();
    let sql = "select 1 from pg_sleep(1.5)";
    alice.send(&raw::query(sql));
    eventually("it runs", || is_running(&stage, sql));
    let mut tries: Vec<(i32, Vec<u8>)> = gone;
    for bit in 0..32 {
        let mut near = secret.clone();
        near[bit / 8] ^= 1 << (bit % 8);
        tries.push((id, near));
    }
    tries.push((id, [&secret[..], b"\0"].concat()));
    tries.push((id - 1, secret.clone()));
    tries.push((id + 1, secret));
    for (id, secret) in &tries {
        cancel(&stage, *id, secret, false).frames_until_closed();
    }
    let heard = alice.frames_until(b'Z');
    assert_eq!(raw::tags(&heard), "TDCZ", "{}", said(&heard));
}

/// R49, R113: neon#9838 and supavisor#507, #746: keys and passwords in a log.
#[test]
fn no_secret_is_in_the_log() {
    let mut stage = open_with(|setup| setup.tenant = "pool_size = 1\n".to_owned());
    let mut alice = stage.raw("alice");
    let (id, secret) = alice.key();
    let number = u32::from_be_bytes(secret.try_into().unwrap());
    let secret = secret.to_vec();
    alice.query("select nosuch");
    cancel(&stage, id, &secret, false).frames_until_closed();
    cancel(&stage, id, b"nope", true).frames_until_closed();
    let wrong = stage.login("alice").person("alice", "wrong-hunter2");
    assert!(Raw::try_login(&wrong, &[]).is_err());
    alice.send(&raw::frame(b'!', b"hunter2"));
    alice.frames_until_closed();
    let hex = format!("{number:08x}");
    let log = stage.gate.stderr().text().to_lowercase();
    let (write, alice) = (
        stage.database.write.password.clone(),
        harness::stage::password("alice"),
    );
    for word in [
        &*number.to_string(),
        &hex,
        "hunter2",
        &write,
        &alice,
        "scram-sha-256$",
    ] {
        assert!(!log.contains(word), "{word} in {log}");
    }
}

/// R54: a cancel of nothing is nothing, and the next statement is not cancelled by an earlier one.
#[test]
fn a_cancel_of_nothing_is_nothing() {
    let stage = open(1);
    let mut alice = stage.raw("alice");
    let (id, secret) = alice.key();
    let secret = secret.to_vec();
    for number in 0..30 {
        cancel(&stage, id, &secret, number % 2 == 0).frames_until_closed();
        assert_eq!(
            value(&mut alice, &format!("select {number}")),
            number.to_string()
        );
    }
}
