//! pgbench's select-only: one row by its key, in each of the three query modes, by 1, 8 and 32
//! clients, and by 8 over TLS. It never writes, and its rows are in memory: what is left is the way.
//! In simple mode each text is new, since the key stands in it.

use super::{Case, Lap, SECONDS, by_pgbench};
use crate::Trouble;
use crate::ground::Ground;
use crate::measure::{Metric, Reading};
use crate::peers::Peer;
use crate::pgbench;

/// Of one client, whom nobody else delays.
const P50: Metric = Metric {
    name: "p50 µs",
    against: None,
};
const P99: Metric = Metric {
    name: "p99 µs",
    against: None,
};

/// What pgbench's latencies are logged to.
const LOG: &str = "latency";

#[derive(Clone, Copy)]
pub(super) struct Select {
    mode: &'static str,
    clients: u32,
    tls: bool,
}

pub(super) fn all() -> Vec<Select> {
    let modes = ["simple", "extended", "prepared"];
    let plain = modes.into_iter().flat_map(|mode| {
        [1, 8, 32].map(|clients| Select {
            mode,
            clients,
            tls: false,
        })
    });
    let tls = modes.map(|mode| Select {
        mode,
        clients: 8,
        tls: true,
    });
    plain.chain(tls).collect()
}

impl Case for Select {
    fn name(&self) -> String {
        let kind = if self.tls { "tls" } else { "select" };
        format!("{kind}-{}-{}", self.mode, self.clients)
    }

    fn about(&self) -> String {
        let over = if self.tls { " over TLS" } else { "" };
        format!(
            "one row by its key, {} mode, {} clients{over}",
            self.mode, self.clients
        )
    }

    fn lap(&self) -> Lap {
        Lap::Short
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        let (clients, seconds) = (self.clients.to_string(), SECONDS.to_string());
        let mut options = vec![
            "-S", "-n", "-M", self.mode, "-c", &clients, "-j", "1", "-T", &seconds,
        ];
        let alone = self.clients == 1;
        if alone {
            options.extend(["--log", "--log-prefix", LOG]);
        }
        let mut readings = by_pgbench(ground, peer, self.tls, &options)?;
        if alone {
            let sorted = pgbench::latencies(ground.directory(), LOG)?;
            let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied();
            readings.extend(at(50).map(|it| (P50, it)));
            readings.extend(at(99).map(|it| (P99, it)));
        }
        Ok(readings)
    }
}
