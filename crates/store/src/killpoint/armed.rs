//! What a gate does that was built to be ended: at each step it reads its order, and where that names the step it ends itself
//! as `kill -9` does, or stops until somebody has ended its server. Without an order it goes on.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gate::Cargo;
use rustix::process::{Signal, getpid, kill_process};

use super::Step;

/// The variable that names the file with the order: which order it is, the step, at which time that it is reached, and
/// `kill` or `stop`.
const ORDER: &str = "PORTCULLIS_KILLPOINTS";
/// How often one who was stopped looks whether the order is gone.
const LOOK: Duration = Duration::from_millis(1);

/// The order that was read last, and how often its step was reached.
static OBEYED: Mutex<(String, u32)> = Mutex::new((String::new(), 0));
/// Something of a requester's is loaded and not flushed.
static LOADED: AtomicBool = AtomicBool::new(false);
/// What went up last was something of a requester's.
static SENT: AtomicBool = AtomicBool::new(false);
/// The journal's file has an intent that is not synced.
static INTENT: AtomicBool = AtomicBool::new(false);
/// The same of what came of one.
static RECORD: AtomicBool = AtomicBool::new(false);

/// The gate is at this step.
pub fn reached(step: Step) {
    let Some(order) = order() else { return };
    let mut words = order.split_whitespace().skip(1);
    let (Some(name), Some(time), Some(how)) = (words.next(), words.next(), words.next()) else {
        return;
    };
    if name != format!("{step:?}") || time.parse() != Ok(count(&order)) {
        return;
    }
    if how == "stop" {
        stop(&order);
    } else {
        end();
    }
}

/// This is about to be loaded on a connection.
pub fn loading(cargo: &[Cargo]) {
    let theirs =
        |it: &Cargo| matches!(it, Cargo::Released(..) | Cargo::Batch(..) | Cargo::More(..));
    let theirs = cargo.iter().any(theirs);
    SENT.store(theirs, Ordering::Relaxed);
    LOADED.store(theirs, Ordering::Relaxed);
    if theirs {
        reached(Step::Forward);
    }
}

/// What was loaded is on its way.
pub fn flushed() {
    if LOADED.swap(false, Ordering::Relaxed) {
        reached(Step::Forwarded);
    }
}

/// The server has answered.
pub fn replied() {
    if SENT.load(Ordering::Relaxed) {
        reached(Step::Reply);
    }
}

/// These lines are in the journal's file.
pub fn written(lines: &[u8]) {
    let lines = String::from_utf8_lossy(lines);
    let holds = |kind: &str| lines.contains(kind);
    if holds(r#"{"kind":"intent""#) {
        INTENT.store(true, Ordering::Relaxed);
        reached(Step::IntentWritten);
    }
    if holds(r#"{"kind":"outcome""#) || holds(r#"{"kind":"transaction_end""#) {
        RECORD.store(true, Ordering::Relaxed);
        reached(Step::RecordWritten);
    }
}

/// What is in the journal's file is on disk.
pub fn synced() {
    if INTENT.swap(false, Ordering::Relaxed) {
        reached(Step::IntentSynced);
    }
    if RECORD.swap(false, Ordering::Relaxed) {
        reached(Step::RecordSynced);
    }
}

fn order() -> Option<String> {
    let file = std::env::var_os(ORDER)?;
    fs::read_to_string(file).ok().filter(|it| !it.is_empty())
}

/// How often the step of this order was reached, with now.
fn count(order: &str) -> u32 {
    let mut obeyed = OBEYED.lock().unwrap_or_else(PoisonError::into_inner);
    if obeyed.0 != order {
        *obeyed = (order.to_owned(), 0);
    }
    obeyed.1 += 1;
    obeyed.1
}

/// No destructor runs, and no buffer is flushed.
fn end() {
    // One may always end oneself.
    let _sent = kill_process(getpid(), Signal::KILL);
    loop {
        thread::park();
    }
}

/// The whole process stops; when it goes on, whoever ended the server has taken the order away.
fn stop(this: &str) {
    let _sent = kill_process(getpid(), Signal::STOP);
    while order().as_deref() == Some(this) {
        thread::sleep(LOOK);
    }
}
