//! Ten thousand statements held at once, each of a session of its own and with a ticket of its own,
//! and one of them approved in that crowd. Memory is what a held session has beyond an idle one. It
//! is the gate's case alone, and it never approves more than the one.

use std::thread;
use std::time::Duration;

use super::approve::{Approver, ticket_in};
use super::{Case, too_few_files};
use crate::Trouble;
use crate::crowd;
use crate::ground::Ground;
use crate::measure::{Metric, Reading, ms_since, now, real};
use crate::peers::{Kind, Peer};
use crate::proc;

const SESSIONS: usize = 10_000;

/// Until the gate has put away what it only needed for a log-in or to hold.
const SETTLED: Duration = Duration::from_millis(500);

const EACH: Metric = Metric {
    name: "KiB a held statement",
    against: None,
};
const HOLDS: Metric = Metric {
    name: "holds a second",
    against: None,
};
const APPROVE: Metric = Metric {
    name: "approve to answer ms",
    against: None,
};
const RUN: Metric = Metric {
    name: "approve to result ms",
    against: None,
};

pub(super) struct Held;

impl Case for Held {
    fn name(&self) -> String {
        "held".to_owned()
    }

    fn about(&self) -> String {
        format!("{SESSIONS} statements held at once, and one of them approved")
    }

    fn seconds(&self) -> u64 {
        20
    }

    fn takes(&self, kind: Kind) -> bool {
        kind == Kind::Gate
    }

    fn impossible(&self) -> Option<String> {
        too_few_files(SESSIONS)
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        let process = peer.process().ok_or("no process to look at")?;
        let mut crowd = crowd::gather(&ground.door(peer, false), SESSIONS)?;
        let mut approver = Approver::log_in(ground, peer)?;
        thread::sleep(SETTLED);
        let idle = proc::memory_kib(process)?;
        let start = now();
        for (number, client) in crowd.iter_mut().enumerate() {
            client.ask(&format!(
                "UPDATE ledger SET note = 'crowd {number}' WHERE id = 1"
            ))?;
        }
        let mut last = String::new();
        for client in &mut crowd {
            last = ticket_in(&client.message()?)?;
        }
        let holds = real(SESSIONS) / ms_since(start) * 1e3;
        thread::sleep(SETTLED);
        let held = proc::memory_kib(process)?;
        let start = now();
        approver.approve(&last)?;
        let answered = ms_since(start);
        crowd.last_mut().ok_or("nobody is there")?.until(b'Z')?;
        Ok(vec![
            (EACH, (held - idle) / real(SESSIONS)),
            (HOLDS, holds),
            (APPROVE, answered),
            (RUN, ms_since(start)),
        ])
    }
}
