//! How many come from one address: connections, and those of them that became sessions. It never knows
//! who they are.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

/// Every address that somebody is connected from.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    counts: DashMap<IpAddr, Count>,
}

#[derive(Debug, Default)]
struct Count {
    connections: usize,
    sessions: usize,
}

/// One connection of an address; it is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Arrival {
    doors: Arc<Doors>,
    address: IpAddr,
    is_session: bool,
}

impl Doors {
    /// A connection comes, unless its address has `max` of them.
    pub(crate) fn arrive(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Arrival> {
        let address = address.to_canonical();
        let mut count = self.counts.entry(address).or_default();
        if count.connections >= max {
            return None;
        }
        count.connections += 1;
        Some(Arrival {
            doors: Arc::clone(self),
            address,
            is_session: false,
        })
    }
}

impl Arrival {
    /// The connection becomes a session, unless its address has `max` of them.
    pub(crate) fn enter(&mut self, max: usize) -> bool {
        let Some(mut count) = self.doors.counts.get_mut(&self.address) else {
            return false;
        };
        if self.is_session || count.sessions >= max {
            return self.is_session;
        }
        count.sessions += 1;
        self.is_session = true;
        true
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(mut count) = self.doors.counts.get_mut(&self.address) {
            count.connections -= 1;
            count.sessions -= usize::from(self.is_session);
        }
        let nobody = |_: &IpAddr, count: &Count| count.connections == 0;
        self.doors.counts.remove_if(&self.address, nobody);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_another_has_its_own() {
        let doors = Arc::new(Doors::default());
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut first = doors.arrive(one, 3).unwrap();
        let mut second = doors.arrive(one, 3).unwrap();
        let third = doors.arrive(one, 3).unwrap();
        assert!(doors.arrive(one, 3).is_none());
        assert!(doors.arrive(other, 3).is_some());
        assert!(first.enter(1));
        assert!(first.enter(1), "it is one already");
        assert!(!second.enter(1));
        drop(first);
        assert!(second.enter(1));
        drop((second, third));
        assert!(doors.counts.is_empty(), "nobody is remembered");
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_ipv6() {
        let doors = Arc::new(Doors::default());
        let plain: IpAddr = "10.0.0.1".parse().unwrap();
        let _first = doors.arrive(plain, 1).unwrap();
        assert!(
            doors
                .arrive("::ffff:10.0.0.1".parse().unwrap(), 1)
                .is_none()
        );
    }
}
