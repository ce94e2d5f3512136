//! pgbench's own mix: a transaction of three updates, a select and an insert, by 8 clients in simple
//! mode. The gate lets these writes pass by a rule. It never waits for a disk: the server does not
//! sync. Eight clients on five branches wait for each other's locks, with every peer.

use super::{Case, Lap, SECONDS, by_pgbench};
use crate::Trouble;
use crate::ground::Ground;
use crate::measure::Reading;
use crate::peers::Peer;

pub(super) struct Tpcb;

impl Case for Tpcb {
    fn name(&self) -> String {
        "tpcb-8".to_owned()
    }

    fn about(&self) -> String {
        "read-write transactions (tpcb-like), simple mode, 8 clients".to_owned()
    }

    fn lap(&self) -> Lap {
        Lap::Short
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        // No turn works through what an earlier one has left behind.
        ground.sql("TRUNCATE pgbench_history")?;
        ground.sql("VACUUM pgbench_branches, pgbench_tellers, pgbench_accounts")?;
        let seconds = SECONDS.to_string();
        let options = [
            "-b",
            "tpcb-like",
            "-n",
            "-c",
            "8",
            "-j",
            "1",
            "-T",
            &seconds,
        ];
        by_pgbench(ground, peer, false, &options)
    }
}
