//! What flows through: large results in little memory, COPY both ways, notices, notifications,
//! parameters (hazards R27, R55; V21).

use std::fs;
use std::time::{Duration, Instant};

use harness::DEADLINE;
use harness::raw::{self, Frame, Raw, bind, describe, execute, frame, parse, query, sync};
use harness::stage::{Stage, held_raw};

const MIB: u64 = 1024 * 1024;

/// What the gate's memory may grow by while far more than that passes through it.
const GROWTH_MAX: u64 = 16 * MIB;

/// The most memory that the gate has had so far, by the kernel's word.
fn peak(stage: &Stage) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.gate.id())).unwrap();
    let line = status.lines().find(|it| it.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Reads an answer without keeping it: its tags but for rows, the number of rows, their bytes.
#[track_caller]
fn drain(client: &mut Raw) -> (String, usize, usize) {
    let deadline = Instant::now() + DEADLINE;
    let (mut tags, mut rows, mut bytes) = (String::new(), 0, 0);
    loop {
        assert!(Instant::now() < deadline, "after {rows} rows");
        let frame = client.frame();
        if matches!(frame.tag, b'D' | b'd') {
            rows += 1;
            bytes += frame.body.len();
            continue;
        }
        tags.push(char::from(frame.tag));
        if frame.tag == b'Z' {
            return (tags, rows, bytes);
        }
    }
}

fn batch(sql: &str) -> Vec<u8> {
    [
        parse("", sql),
        bind("", ""),
        describe(b'P', ""),
        execute(""),
        sync(),
    ]
    .concat()
}

/// Hazards R55: what the client has not read yet is not the gate's to keep. A client that reads late
/// gets the last bytes, too: those that waited in TLS when all was written.
#[test]
fn large_results_pass_in_little_memory() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.query("select 1");
    let before = peak(&stage);
    let sql = "select repeat('x', 1000) from generate_series(1, 50000)";
    for (bytes, tags) in [(query(sql), "TCZ"), (batch(sql), "12TCZ")] {
        client.send(&bytes);
        // The client is slow: others are served meanwhile, and this one's rows wait in the server.
        let mut other = stage.raw("carol");
        assert_eq!(raw::tags(&other.query("select 2")), "TDCZ");
        let (seen, rows, bytes) = drain(&mut client);
        assert_eq!((seen.as_str(), rows), (tags, 50_000));
        assert_eq!(bytes, 50_000 * 1006);
    }
    let grown = peak(&stage).saturating_sub(before);
    println!("two results of 50 MB: {} KiB more", grown / 1024);
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
}

/// One row that is larger than all buffers passes in pieces.
#[test]
fn one_large_row_passes_in_little_memory() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.query("select 1");
    let before = peak(&stage);
    for bytes in [
        query("select repeat('x', 20000000)"),
        batch("select repeat('y', 20000000)"),
    ] {
        client.send(&bytes);
        let (_, rows, bytes) = drain(&mut client);
        assert_eq!((rows, bytes), (1, 20_000_006));
    }
    let grown = peak(&stage).saturating_sub(before);
    println!("two rows of 20 MB: {} KiB more", grown / 1024);
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
}

fn copy_data(data: &[u8]) -> Vec<u8> {
    frame(b'd', data)
}

#[track_caller]
fn approve(stage: &Stage, client: &mut Raw) {
    stage.approve(&held_raw(client));
    let running = client.frame();
    assert_eq!(running.tag, b'N', "{}", running.describe());
}

#[test]
fn copy_out_streams() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let sql = "copy (select repeat('x', 999) from generate_series(1, 8000)) to stdout";
    for (bytes, tags) in [(query(sql), "HcCZ"), (batch(sql), "12nHcCZ")] {
        client.send(&bytes);
        approve(&stage, &mut client);
        let (seen, rows, bytes) = drain(&mut client);
        assert_eq!((seen.as_str(), rows, bytes), (tags, 8000, 8_000_000));
    }
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
}

#[test]
fn copy_in_streams() {
    let stage = Stage::new();
    stage.database.sql("create table big (line text)");
    let mut client = stage.raw("alice");
    let chunk = copy_data(&[b"x".repeat(999), b"\n".to_vec()].concat().repeat(50));
    for bytes in [query("copy big from stdin"), batch("copy big from stdin")] {
        let extended = bytes[0] == b'P';
        client.send(&bytes);
        approve(&stage, &mut client);
        client.frames_until(b'G');
        for _ in 0..160 {
            client.send(&chunk);
        }
        client.send(&frame(b'c', &[]));
        if extended {
            // The first one was swallowed (V21).
            client.send(&sync());
        }
        let answer = client.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "CZ");
        assert_eq!(answer[0].text(), "COPY 8000");
    }
    assert_eq!(stage.database.sql("select count(*) from big"), "16000");
}

#[test]
fn copy_in_can_fail_on_either_side() {
    let stage = Stage::new();
    stage.database.sql("create table number (n int)");
    let mut client = stage.raw("alice");
    client.send(&query("copy number from stdin"));
    approve(&stage, &mut client);
    client.frames_until(b'G');
    client.send(&[copy_data(b"1\n"), frame(b'f', b"changed my mind\0")].concat());
    let answer = client.frames_until(b'Z');
    assert_eq!(answer[0].sqlstate(), "57014");

    client.send(&query("copy number from stdin"));
    approve(&stage, &mut client);
    client.frames_until(b'G');
    client.send(&[copy_data(b"one\n"), copy_data(b"2\n"), frame(b'c', &[])].concat());
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "EZ");
    assert_eq!(answer[0].sqlstate(), "22P02");

    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    assert_eq!(stage.database.sql("select count(*) from number"), "0");
}

#[test]
fn notices_of_the_server_pass_in_order() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&query(
        "do $$ begin raise notice 'one'; raise warning 'two'; raise notice 'three'; end $$",
    ));
    approve(&stage, &mut client);
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "NNNCZ");
    let said: Vec<_> = answer[..3]
        .iter()
        .map(|it| it.field('M').unwrap())
        .collect();
    assert_eq!(said, ["one", "two", "three"]);
    assert_eq!(answer[1].sqlstate(), "01000");
}

/// A session that listens keeps its connection, and hears while it is idle.
#[test]
fn notifications_arrive() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&query("listen news"));
    let answer = loop {
        let frame = client.frame();
        match frame.tag {
            b'N' if frame.sqlstate() == "ZG000" && frame.field('H').is_some() => {
                let message = frame.field('M').unwrap();
                stage.approve(&harness::stage::ticket_in(&message).unwrap());
            }
            b'N' => {}
            _ => break frame,
        }
    };
    assert_eq!(answer.text(), "LISTEN", "{}", answer.describe());
    client.frames_until(b'Z');
    for news in ["first", "second"] {
        stage.database.sql(&format!("notify news, '{news}'"));
        let frame = client.frame();
        assert_eq!(frame.tag, b'A', "{}", frame.describe());
        assert_eq!(frame.body[4..], *format!("news\0{news}\0").as_bytes());
        assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    }
}

/// The client hears of a parameter that it changed, and its connection keeps the value.
#[test]
fn parameters_are_told() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let answer = client.query("set timezone = 'Asia/Tokyo'");
    let told = |answer: &[Frame]| {
        let status = answer.iter().find(|frame| frame.tag == b'S').cloned();
        status.map(|it| String::from_utf8(it.body).unwrap())
    };
    assert_eq!(told(&answer).as_deref(), Some("TimeZone\0Asia/Tokyo\0"));
    for _ in 0..2 {
        let shown = client.query("show timezone");
        assert_eq!(shown[1].columns(), [Some("Asia/Tokyo".to_owned())]);
    }
    // Another session of the same gate is not told, and does not have it.
    let mut other = stage.raw("alice");
    let shown = other.query("show timezone");
    assert_eq!(told(&shown), None);
    assert_ne!(shown[1].columns(), [Some("Asia/Tokyo".to_owned())]);
    client.is_silent_for(Duration::from_millis(1));
}
