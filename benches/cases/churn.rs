//! A new connection for every query: a SCRAM log-in (and a TLS handshake with a P-256 certificate),
//! one small select, good-bye, by 8 clients. The tps say mostly how long a client works on its
//! password; the price of a log-in is the CPU. It never resumes a TLS session, as libpq does not.

use super::{Case, Lap, SECONDS, by_pgbench};
use crate::Trouble;
use crate::ground::Ground;
use crate::measure::Reading;
use crate::peers::Peer;

pub(super) struct Churn {
    pub(super) tls: bool,
}

impl Case for Churn {
    fn name(&self) -> String {
        if self.tls { "churn-tls" } else { "churn" }.to_owned()
    }

    fn about(&self) -> String {
        let and = if self.tls { " and TLS" } else { "" };
        format!("a log-in with SCRAM{and} for each select, 8 clients")
    }

    fn lap(&self) -> Lap {
        Lap::Short
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        let seconds = SECONDS.to_string();
        let options = ["-C", "-S", "-n", "-c", "8", "-j", "1", "-T", &seconds];
        by_pgbench(ground, peer, self.tls, &options)
    }
}
