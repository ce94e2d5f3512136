//! The cases, in the order they are measured. A case says how one turn of one peer is taken; it
//! never knows of rounds, of other peers, or of what a figure is set against but by name.

mod approve;
mod churn;
mod copy;
mod held;
mod idle;
mod result;
mod select;
mod tpcb;

use std::thread;
use std::time::Duration;

use crate::Trouble;
use crate::ground::Ground;
use crate::measure::{Metric, Reading};
use crate::peers::{Kind, Peer};
use crate::pgbench;
use crate::proc;

/// Transactions or log-ins a second, set against a direct connection.
const TPS: Metric = Metric {
    name: "tps",
    against: Some(Kind::Direct),
};

/// The peer's own CPU time a transaction or log-in.
const CPU: Metric = Metric {
    name: "CPU µs each",
    against: Some(Kind::Pgbouncer),
};

/// Seconds of one turn of pgbench; it knows no less.
const SECONDS: u64 = 1;

/// What a peer may still have to do when its clients have gone: a journal that is synced ten times a
/// second, connections to be closed.
const AFTERMATH: Duration = Duration::from_millis(150);

/// How long a turn is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lap {
    /// So short that a round has several of them, of peers that are up all the time.
    Short,
    /// Once in a round, of a program that has just been started and has done nothing yet.
    Long,
}

pub(crate) trait Case {
    /// What `CASES` names it by.
    fn name(&self) -> String;

    /// What it measures.
    fn about(&self) -> String;

    /// About how long a peer takes in a round.
    fn seconds(&self) -> u64 {
        4
    }

    /// How long that is beside a round.
    fn lap(&self) -> Lap {
        Lap::Long
    }

    /// Whether it makes sense with such a peer.
    fn takes(&self, _kind: Kind) -> bool {
        true
    }

    /// Why this machine cannot do it, if it cannot.
    fn impossible(&self) -> Option<String> {
        None
    }

    /// One turn.
    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble>;
}

/// All of them.
pub(crate) fn all() -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    for case in select::all() {
        cases.push(Box::new(case));
    }
    cases.push(Box::new(tpcb::Tpcb));
    for tls in [false, true] {
        cases.push(Box::new(churn::Churn { tls }));
    }
    for tls in [false, true] {
        cases.push(Box::new(result::LargeResult { tls }));
    }
    cases.push(Box::new(copy::CopyIn));
    for tls in [false, true] {
        cases.push(Box::new(idle::Idle { tls }));
    }
    cases.push(Box::new(held::Held));
    cases.push(Box::new(approve::Approve));
    cases
}

/// What pgbench finds with these options: transactions a second, and CPU for each.
fn by_pgbench(
    ground: &Ground,
    peer: &Peer,
    tls: bool,
    options: &[&str],
) -> Result<Vec<Reading>, Trouble> {
    let (run, cpu) = cpu_of(peer, || pgbench::run(ground, peer, tls, options))?;
    let mut readings = vec![(TPS, run.tps)];
    readings.extend(cpu.map(|seconds| (CPU, seconds * 1e6 / run.done)));
    Ok(readings)
}

/// The CPU that a peer used while something was done, in seconds.
fn cpu_of<T>(
    peer: &Peer,
    work: impl FnOnce() -> Result<T, Trouble>,
) -> Result<(T, Option<f64>), Trouble> {
    let Some(process) = peer.process() else {
        return Ok((work()?, None));
    };
    let before = proc::cpu_seconds(process);
    let done = work()?;
    thread::sleep(AFTERMATH);
    Ok((done, Some(proc::cpu_seconds(process) - before)))
}

/// Why a crowd of so many sessions cannot be had here: each is one open file of the bench and one of
/// the peer.
fn too_few_files(sessions: usize) -> Option<String> {
    const OTHER_FILES: usize = 500;

    let (soft, _) = proc::open_files_max().ok()?;
    let needed = sessions + OTHER_FILES;
    (soft < needed).then(|| {
        format!("{sessions} sessions need {needed} open files, and this machine gives {soft} (ulimit -Hn)")
    })
}
