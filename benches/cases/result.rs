//! A result of 100,000 rows, 100 MB on the wire, to a client that reads as fast as it can; eight one
//! after the other, since CPU time comes in hundredths of a second, and who reads how much at a time is chance. It never looks at a row. Memory is
//! the peak while they pass, above what there was before.

use super::{Case, cpu_of};
use crate::Trouble;
use crate::client::Client;
use crate::ground::Ground;
use crate::measure::{Metric, Reading, ms_since, now, real};
use crate::peers::{Kind, Peer};
use crate::proc;

pub(super) const SPEED: Metric = Metric {
    name: "MB/s",
    against: Some(Kind::Direct),
};
pub(super) const CPU_MB: Metric = Metric {
    name: "CPU ms/MB",
    against: Some(Kind::Pgbouncer),
};
pub(super) const GROWTH: Metric = Metric {
    name: "KiB grown",
    against: None,
};

/// How often a turn does it.
pub(super) const TIMES: usize = 8;

pub(super) struct LargeResult {
    pub(super) tls: bool,
}

impl Case for LargeResult {
    fn name(&self) -> String {
        if self.tls { "result-tls" } else { "result" }.to_owned()
    }

    fn about(&self) -> String {
        let over = if self.tls { ", over TLS" } else { "" };
        format!("a SELECT of 100 MB{over}")
    }

    fn seconds(&self) -> u64 {
        4
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        let mut client = Client::login(&ground.door(peer, self.tls))?;
        // The first query brings the peer's own program into memory.
        client.query("SELECT id, filler FROM wide LIMIT 1")?;
        passing(peer, || {
            let mut bytes = 0;
            for _ in 0..TIMES {
                client.ask("SELECT id, filler FROM wide")?;
                bytes += client.pour_out()?;
            }
            Ok(bytes)
        })
    }
}

/// Measures many bytes on their way; `work` says how many there were.
pub(super) fn passing(
    peer: &Peer,
    work: impl FnOnce() -> Result<usize, Trouble>,
) -> Result<Vec<Reading>, Trouble> {
    let resident = peer.process().map(|process| {
        proc::forget_peak(process)?;
        proc::resident_kib(process)
    });
    let ((bytes, ms), cpu) = cpu_of(peer, || {
        let start = now();
        let bytes = work()?;
        Ok((bytes, ms_since(start)))
    })?;
    let megabytes = real(bytes) / 1e6;
    let mut readings = vec![(SPEED, megabytes / ms * 1e3)];
    readings.extend(cpu.map(|seconds| (CPU_MB, seconds * 1e3 / megabytes)));
    if let (Some(process), Some(resident)) = (peer.process(), resident.transpose()?) {
        readings.push((GROWTH, proc::peak_kib(process)? - resident));
    }
    Ok(readings)
}
