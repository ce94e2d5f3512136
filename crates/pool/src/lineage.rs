//! The newest timeline that any thread has met at the server of a tenant. PostgreSQL takes a new one at each promotion, so whoever
//! is on an older one was the primary before. It never asks a server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One tenant's.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    /// Of which cluster; a tenant that leads to another one begins anew.
    cluster: Mutex<Option<Arc<str>>>,
    newest: AtomicU32,
}

/// What meeting a server came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// The first, or one like those before.
    Known,
    /// A newer one than this: there was a failover.
    Newer(u32),
    /// An older one than this.
    Older(u32),
}

impl Lineage {
    /// The newest that was met; 0 where none was.
    pub(crate) fn newest(&self) -> u32 {
        self.newest.load(Ordering::Acquire)
    }

    /// Somebody has met a primary of this cluster, as far as it says, on this timeline.
    pub(crate) fn meet(&self, cluster: Option<&Arc<str>>, timeline: u32) -> Met {
        let mut known = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.newest();
        let is_another = known.is_some() && cluster.is_some() && known.as_ref() != cluster;
        if known.is_none() || is_another {
            *known = cluster.cloned();
        }
        if newest == 0 || is_another {
            self.newest.store(timeline, Ordering::Release);
            return Met::Known;
        }
        if timeline < newest {
            return Met::Older(newest);
        }
        self.newest.store(timeline, Ordering::Release);
        if timeline == newest {
            Met::Known
        } else {
            Met::Newer(newest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_an_older_timeline_was_the_primary_before() {
        let (one, other) = (Arc::from("7001"), Arc::from("7002"));
        let lineage = Lineage::default();
        assert_eq!(lineage.meet(Some(&one), 3), Met::Known);
        assert_eq!(lineage.meet(Some(&one), 3), Met::Known);
        assert_eq!(lineage.meet(Some(&one), 4), Met::Newer(3));
        assert_eq!(lineage.meet(Some(&one), 3), Met::Older(4));
        assert_eq!(lineage.meet(None, 3), Met::Older(4));
        assert_eq!(lineage.newest(), 4);
        assert_eq!(lineage.meet(Some(&other), 1), Met::Known);
        assert_eq!(lineage.newest(), 1);
    }
}
