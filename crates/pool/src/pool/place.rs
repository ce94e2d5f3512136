//! Whether the server that let a pool in is the one that it is for: the primary, and not one that was the primary before a
//! failover; or a replica (hazards R64). It is looked for at each login, since an address can lead elsewhere at any time.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Pool;
use crate::connect::{ConnectError, Greeting};
use crate::dial::Dial;
use crate::lineage::Met;
use crate::options::Station;
use crate::reset::farewell;
use crate::server::Connection;
use crate::storm::{Patience, Try};
use crate::upstream::Upstream;

impl<D: Dial> Pool<D> {
    /// The newest timeline that the tenant's primary was met on, where it says so.
    pub fn timeline(&self) -> Option<u32> {
        Some(self.lineage.newest()).filter(|it| *it > 0)
    }

    /// How many are lent, or on their way.
    pub fn in_use(&self) -> usize {
        self.tally.in_use() + self.tally.logging_in.get()
    }

    /// Only the cluster that this one knows will do.
    pub fn belong_to(&self, primary: &Self) {
        let mut facts = self.facts.borrow_mut();
        if facts.is_none() {
            *facts = primary.known_facts();
        }
    }

    /// What is wrong with a server that has let us in, if something is.
    pub(super) fn weigh(&self, greeting: &Greeting) -> Result<(), ConnectError> {
        let follows = greeting.in_recovery == Some(true);
        match self.options.station {
            Station::Primary if follows => return Err(ConnectError::InRecovery),
            Station::Replica if !follows => return Err(ConnectError::NoReplica),
            _ if follows => return Ok(()),
            Station::Primary | Station::Replica | Station::Any => {}
        }
        let Some(timeline) = greeting.timeline else {
            return Ok(());
        };
        let cluster = greeting.system_identifier.as_ref();
        match self.lineage.meet(cluster, timeline) {
            Met::Known => Ok(()),
            Met::Newer(before) => {
                tracing::warn!(
                    tenant = %self.lane.0,
                    host = %self.options.host,
                    port = self.options.port,
                    "a failover: the server is on timeline {timeline}, and was on {before}"
                );
                Ok(())
            }
            Met::Older(known) => Err(ConnectError::OldTimeline {
                found: timeline,
                known,
            }),
        }
    }

    /// How long a server that is not what it must be is waited for: like one that is down.
    pub(super) fn patience_here(&self, patience: Patience) -> Patience {
        Patience {
            known: patience.known.map(|_| self.misplaced.known()),
            ..patience
        }
    }

    /// It is of no use for now; somebody tries again in a moment.
    pub(super) fn misplace<S>(&self, placed: Try<'_>, upstream: Upstream<S>, error: ConnectError)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        tracing::warn!(
            tenant = %self.lane.0,
            host = %self.options.host,
            port = self.options.port,
            "not used: {error}"
        );
        placed.failed(Arc::new(error));
        tokio::task::spawn_local(farewell(upstream));
    }

    /// What keeps connections from coming about, if something does.
    pub(super) fn trouble(&self) -> Option<Arc<ConnectError>> {
        let down = self.server.logins.backoff().trouble();
        down.or_else(|| self.misplaced.trouble())
    }

    /// Whether there was a failover since this connection was made.
    pub(super) fn is_of_before(&self, connection: &Connection<D>) -> bool {
        connection.timeline != 0 && connection.timeline < self.lineage.newest()
    }
}
