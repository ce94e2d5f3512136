//! Lengths that lie, bytes behind the end, messages out of place: peers crashed, or ran what was hidden.

use harness::raw::{self, Raw};
use harness::stage::{Stage, held_raw};

use super::{hello, open, plain, resident_kib, said, stranger, unharmed};

const TAGS: &[u8] = b"QPBDECHSXFdcfpZRKTNAGVWvtn123sIz!\0\xff";
const LENGTHS: [u32; 7] = [u32::MAX, 0, 3, 4, 7, 0x7fff_ffff, 0x8000_0000];

/// What is hidden in the body of another message.
fn hidden() -> Vec<u8> {
    raw::query("delete from t")
}

/// R1: PostHog/duckgres#715, pgdog#1228 and sunng87/pgwire#112 took memory, or died, on a length alone.
#[test]
fn a_length_word_is_no_reason_to_allocate() {
    let mut stage = plain();
    let before = resident_kib(&stage);
    for &tag in TAGS {
        for length in LENGTHS {
            let lie = [&[tag], &length.to_be_bytes()[..], b"\0\0\0\0"].concat();
            let mut client = stranger(&stage);
            client.send(&[hello(&stage), lie.clone()].concat());
            client.half_close();
            let heard = client.frames_until_closed();
            assert!(
                heard.iter().all(|it| b"RE".contains(&it.tag)),
                "{}",
                said(&heard)
            );
        }
    }
    let mut clients: Vec<Raw> = (0..40).map(|_| stage.raw("alice")).collect();
    for (client, length) in clients.iter_mut().zip(LENGTHS.iter().cycle()) {
        client.send(&[&b"Q"[..], &length.to_be_bytes(), &hidden()].concat());
    }
    for client in &mut clients {
        client.half_close();
        client.frames_until_closed();
    }
    let after = resident_kib(&stage);
    assert!(after < before + 64 * 1024, "{before} KiB, then {after} KiB");
    unharmed(&mut stage);
}

/// R1: CVE-2012-4575, a long name in the startup packet overran pgbouncer's buffer.
#[test]
fn cve_2012_4575_a_long_name_is_just_a_name() {
    let mut stage = plain();
    for length in [63, 64, 1_000, 9_900] {
        let long = "x".repeat(length);
        for pairs in [
            [("user", &*long), ("database", "d")],
            [("user", "alice"), ("database", &long)],
        ] {
            let mut client = stranger(&stage);
            client.send(&raw::startup(&pairs));
            let refused = client.authenticate("wrong").unwrap_err();
            assert_eq!(refused.sqlstate(), "28P01", "{length}");
        }
    }
    unharmed(&mut stage);
}

/// R2, CVE-2024-27304: a Bind of 4 GiB whose length wrapped, so that its value was read as messages.
#[test]
fn cve_2024_27304_what_a_value_holds_is_no_message() {
    let mut stage = open(1);
    // Header and value agree, modulo 2^32.
    for (frame_length, value_length) in [(17_u32, u32::MAX - 8), (0, 0), (u32::MAX, u32::MAX - 100)]
    {
        let mut body = b"\0\0\0\0\0\x01".to_vec();
        body.extend(value_length.to_be_bytes());
        body.extend(hidden());
        let mut client = stage.raw("alice");
        let parse = raw::parse("", "select $1::text");
        let bind = [&b"B"[..], &frame_length.to_be_bytes(), &body].concat();
        client.send(&[parse, bind, raw::sync()].concat());
        client.half_close();
        let heard = client.frames_until_closed();
        assert!(heard.iter().any(|it| it.tag == b'E'), "{}", said(&heard));
        unharmed(&mut stage);
    }
    // A value that looks like messages and is as long as it says is a value.
    let mut client = stage.raw("alice");
    let smuggled = String::from_utf8(hidden()).unwrap().replace('\0', " ");
    client.send(
        &[
            raw::parse("", "select $1::text"),
            raw::bind_values("", "", &[Some(&smuggled)]),
            raw::execute(""),
            raw::sync(),
        ]
        .concat(),
    );
    let answer = client.frames_until(b'Z');
    assert_eq!(answer[2].columns(), [Some(smuggled)]);
    unharmed(&mut stage);
}

/// R3: sunng87/pgwire#190 and ClickHouse/ClickHouse#116998 read past a NUL, or not to the end. A byte more
/// is refused in every kind of message, with the server's own SQLSTATE.
#[test]
fn bytes_behind_the_end_are_refused_as_the_server_does() {
    let mut stage = open(2);
    let direct = stage.database.login(&stage.database.write);
    let kinds = [
        raw::query("select 1"),
        raw::parse("", "select 1"),
        raw::bind("", ""),
        raw::describe(b'S', ""),
        raw::execute(""),
        raw::close(b'P', ""),
        raw::sync(),
        raw::flush(),
        raw::frame(b'f', b"why\0"),
        raw::frame(b'Q', b"select 1"),
        raw::frame(b'Q', &[b"select 1\0", &hidden()[..], b"\0"].concat()),
        raw::frame(b'P', b"\0select 1\0delete from t\0\0\0"),
    ];
    for (number, message) in kinds.iter().enumerate() {
        let broken = if number < 9 {
            raw::frame(message[0], &[&message[5..], b"\0"].concat())
        } else {
            message.clone()
        };
        // The server takes a broken CopyFail outside of COPY for nothing at all.
        if message[0] == b'f' {
            continue;
        }
        let prepared = [raw::parse("", "select 1"), raw::bind("", ""), broken];
        let bytes = if b"BDEC".contains(&message[0]) {
            prepared.concat()
        } else {
            prepared[2].clone()
        };
        let [server, gate] = [Raw::login(&direct), stage.raw("alice")].map(|mut client| {
            client.send(&[&bytes[..], &raw::sync()].concat());
            client.frames_until(b'E').last().unwrap().sqlstate()
        });
        assert_eq!(server, "08P01", "the server, {bytes:?}");
        assert_eq!(gate, server, "{bytes:?}");
    }
    unharmed(&mut stage);
}

/// R4: pgdog#591, neon#7117 and #12345 lost bytes when a read was cancelled half way.
#[test]
fn a_session_in_single_bytes_is_a_session() {
    let stage = plain();
    let login = stage.login("alice");
    let mut client = Raw::login(&login);
    let script = [
        raw::parse("a", "select $1::int + 1"),
        raw::bind_values("", "a", &[Some("41")]),
        raw::execute(""),
        raw::sync(),
        raw::query("select 'two'"),
    ];
    for byte in script.concat() {
        client.send(&[byte]);
    }
    let first = client.frames_until(b'Z');
    assert_eq!(raw::tags(&first), "12DCZ");
    assert_eq!(first[2].columns(), [Some("42".to_owned())]);
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "TDCZ");
}

/// R5: pgbouncer 1.5.5 and 1.18 to 1.21 (#846, #849, #927, #928) died of a packet in the wrong order. Every
/// tag, in every state before the login.
#[test]
fn every_tag_before_the_login_is_survived() {
    let mut stage = plain();
    let sasl = |data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        raw::frame(b'p', &[&b"SCRAM-SHA-256\0"[..], &length, data].concat())
    };
    let steps = [Vec::new(), hello(&stage), sasl(b"n,,n=,r=abcdefghijklmnop")];
    for state in 1..=steps.len() {
        for tag in 0..=u8::MAX {
            let ahead = steps[..state].concat();
            let mut client = stranger(&stage);
            client.send(&[ahead, raw::frame(tag, b"\0\0\0\0"), hidden()].concat());
            client.half_close();
            let heard = client.frames_until_closed();
            let fine = heard.iter().all(|it| b"RE".contains(&it.tag));
            assert!(fine, "{state}, {tag}: {}", said(&heard));
        }
    }
    unharmed(&mut stage);
}

/// The same within a session: while held, in a COPY, in a failed transaction, behind an error in a batch.
#[test]
fn every_tag_in_every_state_is_survived() {
    let mut stage = Stage::with(|setup| {
        setup.rules =
            "[[rule]]\nname = 'r'\nclass = ['read', 'session', 'copy_in']\nverdict = 'allow'\n"
                .to_owned();
    });
    let held = "update t set note = 'x' where id = 1";
    for &tag in TAGS {
        for state in ["held", "copy", "failed", "skipping"] {
            let mut client = stage.raw("alice");
            match state {
                "held" => {
                    client.send(&raw::query(held));
                    held_raw(&mut client);
                }
                "copy" => {
                    client.send(&raw::query("copy t from stdin"));
                    client.frames_until(b'G');
                }
                "failed" => {
                    client.query("begin");
                    client.query("select nosuch");
                }
                _ => {
                    client.send(&[raw::parse("", "select nosuch"), raw::flush()].concat());
                    client.frames_until(b'E');
                }
            }
            client.send(&raw::frame(tag, b"\0\0\0\0"));
            client.send(&hidden());
            client.half_close();
            let heard = client.frames_until_closed();
            let fatal = heard
                .iter()
                .filter(|it| it.tag == b'E' && it.field('S').as_deref() == Some("FATAL"));
            assert!(fatal.count() <= 1, "{state}, {tag}: {}", said(&heard));
        }
    }
    unharmed(&mut stage);
}

/// R6, CVE-2026-6479: requests for encryption, without end, on one socket.
#[test]
fn cve_2026_6479_encryption_is_not_negotiated_for_ever() {
    let mut stage = open(1);
    let gss = [0, 0, 0, 8, 4, 210, 22, 48];
    for ahead in [true, false] {
        let mut client = stranger(&stage);
        let mut answers = 0;
        if ahead {
            let both = [&raw::ssl_request()[..], &gss].concat();
            client.send(&both.repeat(5_000));
        } else {
            for _ in 0..5_000 {
                client.send(&gss);
                if client.byte() != b'N' {
                    break;
                }
                answers += 1;
            }
        }
        assert!(answers <= 1, "{answers} answers");
        drop(client);
    }
    unharmed(&mut stage);
}

/// R9: pgcat#158 and supavisor#970 fell over when many came and said nothing.
#[test]
fn a_swarm_of_silent_clients_keeps_nobody_out() {
    let mut stage = open(1);
    let swarm: Vec<Raw> = (0..300)
        .map(|number| {
            let mut client = stranger(&stage);
            client.send(&raw::ssl_request()[..number % 8]);
            client
        })
        .collect();
    unharmed(&mut stage);
    drop(swarm);
}
