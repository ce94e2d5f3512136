//! Faults that other proxies, drivers and servers had, one test each, named after the fault. Where the
//! server must misbehave a scripted one does.
//!
//! The numbers R1, R2 ... are the project's own list of hazards.

mod cancel;
mod fake;
mod framing;
mod identity;
mod leaks;
mod pooling;
mod upstream;

use std::fs;
use std::time::Duration;

use harness::raw::{self, Frame, Raw};
use harness::stage::{Setup, Stage};

/// Everything passes, so that whatever gets through does run.
const ALL: &str = "[[rule]]\nname = 'all'\nverdict = 'allow'\n";

/// A gate that lets everything pass to a pool of one, so that everybody is somebody's next.
#[track_caller]
fn open(pool_size: u32) -> Stage {
    open_with(|setup| setup.tenant = format!("pool_size = {pool_size}\n"))
}

#[track_caller]
fn open_with(change: impl FnOnce(&mut Setup)) -> Stage {
    Stage::with(|setup| {
        ALL.clone_into(&mut setup.rules);
        change(setup);
    })
}

/// The gate is well, serves others, and nothing of the attack has run.
#[track_caller]
fn unharmed(stage: &mut Stage) {
    assert_eq!(value(&mut stage.raw("bob"), "select 6 * 7"), "42");
    assert_eq!(stage.count("true"), "3", "rows");
    let log = stage.gate.stderr().text();
    assert!(!log.contains("panicked"), "{log}");
}

/// The one value of a query.
#[track_caller]
fn value(client: &mut Raw, sql: &str) -> String {
    let answer = client.query(sql);
    row_of(&answer).unwrap_or_else(|| panic!("{sql}: {}", said(&answer)))
}

fn row_of(answer: &[Frame]) -> Option<String> {
    let row = answer.iter().find(|frame| frame.tag == b'D')?;
    row.columns().first()?.clone()
}

fn said(answer: &[Frame]) -> String {
    let each: Vec<_> = answer.iter().map(Frame::describe).collect();
    each.join(" | ")
}

/// A client that has come in clear text and said nothing yet.
fn stranger(stage: &Stage) -> Raw {
    Raw::connect(stage.gate.address())
}

/// A gate that takes clear text as well: strangers are cheap.
fn plain() -> Stage {
    open_with(|setup| setup.tls.push_str("plaintext = true\n"))
}

fn hello(stage: &Stage) -> Vec<u8> {
    raw::startup(&[("user", "alice"), ("database", &stage.database.name)])
}

/// Memory of the gate in KiB.
fn resident_kib(stage: &Stage) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.gate.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Long enough to see that nothing comes.
const SILENCE: Duration = Duration::from_millis(200);
