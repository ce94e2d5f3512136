//! A server, or somebody in its place, that misbehaves: peers showed its words, hung, or crashed.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use harness::raw::{self, Frame, Raw};
use harness::stage::Stage;

use super::fake::{Fake, Peer, row_description};
use super::{SILENCE, row_of, said, value};

const CANARY: &str = "trust me and type your password";

/// The client learns that there is no server, and nothing that "it" said; others are served.
#[track_caller]
fn turned_away(stage: &mut Stage) {
    let since = Instant::now();
    let refused = Raw::try_login(&stage.login("alice"), &[]).err();
    let refused = refused.expect("nobody gets in");
    no_server(&refused);
    assert!(
        since.elapsed() < Duration::from_secs(20),
        "{:?}",
        since.elapsed()
    );
    let mut console = Raw::login(&stage.console("carol"));
    assert_eq!(raw::tags(&console.query("SHOW VERSION")), "TDCZ");
    let log = stage.gate.stderr().text();
    assert!(!log.contains("panicked"), "{log}");
}

/// What a client is told where the gate reaches no server.
#[track_caller]
fn no_server(refused: &Frame) {
    let words = refused.describe();
    assert!(!words.contains("trust me"), "{words}");
    let states = ["57P03", "53300"];
    assert!(states.contains(&&*refused.sqlstate()), "{words}");
}

fn error(fields: &[u8]) -> Vec<u8> {
    raw::frame(b'E', &[fields, b"\0"].concat())
}

/// Words that nobody may take for the server's.
fn lie() -> Vec<u8> {
    error(format!("SFATAL\0C28P01\0M{CANARY}\0").as_bytes())
}

/// The server's side of SCRAM up to its first message: this one, in which `NONCE` stands for the gate's.
fn begin_scram(peer: &mut Peer, first: &str) -> Option<()> {
    peer.packet()?;
    peer.say(&raw::frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"))?;
    let (_, body) = peer.frame()?;
    let said = String::from_utf8_lossy(&body).into_owned();
    let text = first.replace("NONCE", said.rsplit("r=").next()?);
    let message = [&[0, 0, 0, 11], text.as_bytes()].concat();
    peer.say(&raw::frame(b'R', &message))
}

/// The last message of SCRAM.
fn end_scram(peer: &mut Peer, proof: &[u8]) -> Option<()> {
    peer.say(&raw::frame(b'R', &[&[0, 0, 0, 12], proof].concat()))
}

/// alice, before a server that answers one statement with these bytes, and all others as it should.
#[track_caller]
fn before_one_that_answers(statement: &'static str, bytes: Vec<u8>) -> (Fake, Stage, Raw) {
    let fake = Fake::start(move |peer| {
        peer.let_in(true)?;
        peer.serve(statement, &bytes)
    });
    let stage = fake.stage();
    let alice = stage.raw("alice");
    (fake, stage, alice)
}

/// bob, who comes next, is served.
#[track_caller]
fn the_next_is_served(stage: &Stage, after: &[u8]) {
    assert_eq!(value(&mut stage.raw("bob"), "select 7"), "7", "{after:?}");
}

/// R12, CVE-2024-10977: an error in place of the answer to SSLRequest is nobody's word.
#[test]
fn cve_2024_10977_an_error_before_tls_is_not_believed() {
    let fake = Fake::start(|peer| {
        peer.packet()?;
        peer.say(&lie())
    });
    turned_away(&mut fake.stage_by("sslmode = 'require'"));
}

/// R11, CVE-2021-23222: what a man in the middle sent ahead of the handshake was taken for the server's.
#[test]
fn cve_2021_23222_bytes_ahead_of_the_handshake_are_not_the_servers() {
    let fake = Fake::start(|peer| {
        peer.packet()?;
        let ready = [raw::frame(b'R', &[0; 4]), raw::frame(b'Z', b"I")].concat();
        peer.say(&[&b"S"[..], &lie(), &ready].concat())?;
        peer.bytes(1_000).map(drop)
    });
    turned_away(&mut fake.stage_by("sslmode = 'require'"));
}

/// R15, CVE-2026-6665: what a hostile server says in SCRAM. The words go nowhere, and nobody waits for them.
#[test]
fn cve_2026_6665_hostile_scram_of_a_server() {
    let long = "x".repeat(60_000);
    for (name, first) in [
        ("empty", String::new()),
        ("no salt", "r=NONCEabc,i=4096".to_owned()),
        ("no count", "r=NONCEabc,s=c2FsdA==".to_owned()),
        ("another nonce", "r=abc,s=c2FsdA==,i=4096".to_owned()),
        ("no base64", "r=NONCEabc,s=!!!,i=4096".to_owned()),
        ("none", "r=NONCEabc,s=c2FsdA==,i=0".to_owned()),
        ("negative", "r=NONCEabc,s=c2FsdA==,i=-1".to_owned()),
        ("too many", "r=NONCEabc,s=c2FsdA==,i=99999999999".to_owned()),
        ("an error", format!("e={CANARY}")),
        ("a long nonce", format!("r=NONCE{long},s=c2FsdA==,i=1")),
        ("a long salt", format!("r=NONCEabc,s={long},i=1")),
        ("an extension", "m=x,r=NONCEabc,s=c2FsdA==,i=1".to_owned()),
    ] {
        let fake = Fake::start(move |peer| {
            begin_scram(peer, &first)?;
            peer.frame()?;
            end_scram(peer, b"v=AAAA")?;
            peer.greet(true)
        });
        eprintln!("{name}");
        turned_away(&mut fake.stage());
    }
}

/// The same: a count of iterations that would keep the gate busy for minutes keeps nobody else waiting.
#[test]
fn cve_2026_6665_a_count_of_iterations_stops_nobody_else() {
    let fake = Fake::start(|peer| {
        begin_scram(peer, "r=NONCEabc,s=c2FsdA==,i=2147483647")?;
        peer.frame().map(drop)
    });
    let stage = fake.stage();
    // More of them than the gate has threads.
    let waiting: Vec<_> = (0..6)
        .map(|_| {
            let login = stage.login("alice");
            std::thread::spawn(move || Raw::try_login(&login, &[]).err())
        })
        .collect();
    for _ in 0..8 {
        let since = Instant::now();
        let mut console = Raw::login(&stage.console("carol"));
        assert_eq!(raw::tags(&console.query("SHOW VERSION")), "TDCZ");
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "{:?}",
            since.elapsed()
        );
    }
    for each in waiting {
        let refused = each.join().unwrap().expect("nobody gets in");
        no_server(&refused);
    }
}

/// R15: a server that proves nothing, or leaves out the proof, is not the one with the password.
#[test]
fn a_server_that_proves_nothing_is_not_trusted() {
    for (name, last) in [
        ("no proof", None),
        ("a wrong proof", Some(&b"v=AAAAAAAA"[..])),
    ] {
        let fake = Fake::start(move |peer| {
            begin_scram(peer, "r=NONCEabc,s=c2FsdA==,i=4096")?;
            peer.frame()?;
            if let Some(last) = last {
                end_scram(peer, last)?;
            }
            peer.greet(true)?;
            peer.serve("", b"")
        });
        eprintln!("{name}");
        turned_away(&mut fake.stage());
    }
}

/// R15: a server that asks for the password in clear text, over clear text, does not get it.
#[test]
fn a_password_is_not_told_to_who_asks() {
    static HEARD: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let fake = Fake::start(|peer| {
        peer.packet()?;
        peer.say(&raw::frame(b'R', b"\0\0\0\x03"))?;
        loop {
            let byte = peer.bytes(1)?;
            HEARD.lock().unwrap().extend(byte);
        }
    });
    turned_away(&mut fake.stage());
    let heard = HEARD.lock().unwrap();
    assert!(!heard.windows(6).any(|it| it == b"pencil"), "{heard:?}");
}

/// R41, CVE-2026-6666: an error without some of its fields. The client gets one it can read, and its Z.
#[test]
fn cve_2026_6666_an_error_may_lack_any_field() {
    let whole: [&[u8]; 4] = [
        b"SERROR\0",
        b"VERROR\0",
        b"C22012\0",
        b"Mdivision by zero\0",
    ];
    let mut bodies: Vec<Vec<u8>> = (0..4)
        .map(|left_out| {
            let rest = whole.iter().enumerate().filter(|it| it.0 != left_out);
            rest.flat_map(|it| it.1.to_vec()).collect()
        })
        .collect();
    bodies.extend([
        Vec::new(),
        b"Cx\0".to_vec(),
        b"Z\0".to_vec(),
        b"SERROR\0SERROR\0C22012\0M\0".to_vec(),
    ]);
    for body in bodies {
        let (_fake, stage, mut client) = before_one_that_answers("select 1/0", error(&body));
        client.send(&raw::query("select 1/0"));
        // What has neither severity may end the session; all else is an error like any other.
        let heard = client.frames_until(b'E');
        if heard.last().unwrap().field('S').as_deref() != Some("FATAL") {
            client.frames_until(b'Z');
            assert_eq!(value(&mut client, "select 7"), "7", "{body:?}");
        }
        drop(client);
        the_next_is_served(&stage, &body);
    }
}

/// R41: pgbouncer#718 (a notice of a bad length broke libpq), pgdog#705 and #841. Whatever a server says
/// in place of an answer, the client reads frames, at most one FATAL, and the next one is served.
#[test]
fn nonsense_of_a_server_ends_one_session_at_most() {
    let fatal = error(b"SFATAL\0VFATAL\0C57P01\0Mterminating\0");
    for answer in [
        b"N\0\0\0\x02".to_vec(),
        b"N\xff\xff\xff\xff".to_vec(),
        b"D\x7f\xff\xff\xff".to_vec(),
        raw::frame(b'N', b"Mno end"),
        raw::frame(b'C', b"no end"),
        raw::frame(b'Z', b"IIII"),
        raw::frame(b'Z', b"x"),
        raw::frame(b'W', b"\0\0\0"),
        raw::frame(b'R', b"\0\0\0\x03"),
        raw::frame(b'V', b""),
        raw::frame(b'\0', b""),
        fatal.clone(),
        [fatal.clone(), fatal].concat(),
    ] {
        let (_fake, mut stage, mut client) = before_one_that_answers("select 9", answer.clone());
        client.send(&raw::query("select 9"));
        let mut fatals = 0;
        while let Ok(frame) = client.frame_within(Duration::from_secs(3)) {
            assert!(
                b"TDCZENSIA".contains(&frame.tag),
                "{answer:?}: {}",
                frame.describe()
            );
            fatals +=
                usize::from(frame.tag == b'E' && frame.field('S').as_deref() == Some("FATAL"));
            if frame.tag == b'Z' {
                break;
            }
        }
        assert!(fatals <= 1, "{answer:?}: {fatals} FATAL");
        drop(client);
        the_next_is_served(&stage, &answer);
        let log = stage.gate.stderr().text();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// R30: pgdog#1318 and #841, a pooled connection on which something lies is nobody's next connection.
#[test]
fn what_lies_on_an_idle_connection_is_nobodys_answer() {
    let left_over = [
        row_description(),
        raw::frame(b'D', b"\0\x01\0\0\0\x016"),
        raw::frame(b'C', b"SELECT 1\0"),
    ];
    for extra in [
        left_over.concat(),
        raw::frame(b'Z', b"I"),
        raw::frame(b'Z', b"T"),
        b"D\0\0".to_vec(),
    ] {
        let answer = [
            row_description(),
            raw::frame(b'D', b"\0\x01\0\0\0\x018"),
            raw::frame(b'C', b"SELECT 1\0"),
            raw::frame(b'Z', b"I"),
            extra,
        ];
        // In place of row, tag and Z: the second Z, which `serve` adds, lies on the connection too.
        let (_fake, stage, mut first) =
            before_one_that_answers("select 8; select 8", answer.concat());
        first.send(&raw::query("select 8; select 8"));
        first.frames_until(b'Z');
        drop(first);
        let mut next = stage.raw("bob");
        let answer = next.query("select 7");
        assert_eq!(row_of(&answer).as_deref(), Some("7"), "{}", said(&answer));
        next.is_silent_for(SILENCE);
    }
}

/// R53: pgdog#918 and teleport#9389 needed a BackendKeyData that not every server sends.
#[test]
fn a_server_without_a_cancel_key_serves() {
    let fake = Fake::start(|peer| {
        peer.let_in(false)?;
        peer.serve("", b"")
    });
    let stage = fake.stage();
    let mut client = stage.raw("alice");
    assert_eq!(value(&mut client, "select 7"), "7");
    let (id, secret) = client.key();
    let mut cancel = Raw::connect(stage.gate.address());
    cancel.send(&raw::cancel_request(id, secret));
    assert!(cancel.frames_until_closed().is_empty());
    assert_eq!(value(&mut client, "select 7"), "7");
}
