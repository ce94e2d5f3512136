//! What an idle session keeps of a peer's memory: 5,000 log in and do nothing, then each asks for
//! one small row and lies idle again. It never counts what the kernel holds for a socket, which is
//! the same for all, and not PostgreSQL itself, which would need 5,000 processes.

use std::thread;
use std::time::Duration;

use super::{Case, too_few_files};
use crate::Trouble;
use crate::crowd;
use crate::ground::Ground;
use crate::measure::{Metric, Reading, real};
use crate::peers::{Kind, Peer};
use crate::proc;

const SESSIONS: usize = 5_000;

/// Until a peer has put away what it only needed for a log-in or a query.
const SETTLED: Duration = Duration::from_millis(500);

const START: Metric = Metric {
    name: "MiB at start",
    against: None,
};
const LOGGED_IN: Metric = Metric {
    name: "KiB a session",
    against: Some(Kind::Pgbouncer),
};
const AFTER_QUERY: Metric = Metric {
    name: "KiB after a query",
    against: Some(Kind::Pgbouncer),
};

pub(super) struct Idle {
    pub(super) tls: bool,
}

impl Case for Idle {
    fn name(&self) -> String {
        if self.tls { "idle-tls" } else { "idle" }.to_owned()
    }

    fn about(&self) -> String {
        let over = if self.tls { " over TLS" } else { "" };
        format!("memory of {SESSIONS} idle sessions{over}")
    }

    fn seconds(&self) -> u64 {
        if self.tls { 8 } else { 4 }
    }

    fn takes(&self, kind: Kind) -> bool {
        kind != Kind::Direct
    }

    fn impossible(&self) -> Option<String> {
        too_few_files(SESSIONS)
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        let process = peer.process().ok_or("no process to look at")?;
        // The first log-in and the first connection to PostgreSQL bring what all share.
        let mut first = crowd::gather(&ground.door(peer, self.tls), 1)?;
        for client in &mut first {
            client.query("SELECT 1")?;
        }
        let settled = || {
            thread::sleep(SETTLED);
            proc::memory_kib(process)
        };
        let start = settled()?;
        let mut crowd = crowd::gather(&ground.door(peer, self.tls), SESSIONS)?;
        let logged_in = settled()?;
        for client in &mut crowd {
            client.query("SELECT 1")?;
        }
        let after_query = settled()?;
        Ok(vec![
            (START, start / 1024.0),
            (LOGGED_IN, (logged_in - start) / real(SESSIONS)),
            (AFTER_QUERY, (after_query - start) / real(SESSIONS)),
        ])
    }
}
