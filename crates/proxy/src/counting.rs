//! What all threads have counted, gathered by errands: nobody counts for anybody else. It never waits for a thread that does
//! not answer.

use std::time::Duration;

use crate::crew::{Crew, Errand};
use crate::figures::Figures;
use crate::gatekeeper::Gatekeeper;
use crate::stats::{Sums, together};
use crate::world::World;

/// How long a thread may take to answer. One that lives takes milliseconds.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);

impl<W: World> Gatekeeper<W> {
    /// How this thread stands.
    pub(crate) fn figures(&self) -> Figures {
        let version = self.version();
        Figures {
            pools: self.pools(),
            sums: self.tallies.totals(),
            logins: self.servers.logins(),
            version: version.number,
            loaded_ms: version.at_ms,
            certificate_expires: version.config.tls.expires(),
        }
    }

    /// Ends a period of the averages from time to time, for ever.
    pub(crate) async fn keep_periods(&self) {
        loop {
            let sums = sums(&self.crew).await;
            self.periods.end(self.world.now(), sums);
            let period = self.version().config.admin.stats_period;
            tokio::time::sleep(period).await;
        }
    }
}

/// What all threads have counted.
pub(crate) async fn sums(crew: &Crew) -> Sums {
    let threads = crew.ask(ANSWER, Errand::Figures).await;
    together(threads.into_iter().flatten().map(|it| it.sums))
}
