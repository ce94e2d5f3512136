//! How many are connected, and how many from one address: connections, and those of them that became
//! sessions. Those on the console are counted apart, so that who approves comes in where all else is full.
//! It never knows who they are.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// Every address that somebody is connected from.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    counts: DashMap<IpAddr, Count>,
    sessions: AtomicUsize,
    consoles: AtomicUsize,
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
    became: Became,
}

/// What a connection has become so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Became {
    Nothing,
    Session,
    Console,
}

/// What stands in somebody's way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// The gate has as many as it may.
    Gate,
    /// Their address has.
    Address,
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
            became: Became::Nothing,
        })
    }
}

impl Arrival {
    /// The connection becomes a session, unless there are `max` of them, or `address_max` of its address.
    pub(crate) fn enter(&mut self, max: usize, address_max: usize) -> Result<(), Full> {
        if !take(&self.doors.sessions, max) {
            return Err(Full::Gate);
        }
        let mut count = self.doors.counts.entry(self.address).or_default();
        if count.sessions >= address_max {
            self.doors.sessions.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Address);
        }
        count.sessions += 1;
        self.became = Became::Session;
        Ok(())
    }

    /// The connection goes to the console, unless there are `max` of them.
    pub(crate) fn enter_console(&mut self, max: usize) -> Result<(), Full> {
        if !take(&self.doors.consoles, max) {
            return Err(Full::Gate);
        }
        self.became = Became::Console;
        Ok(())
    }
}

/// One more, if there are fewer than `max`.
fn take(count: &AtomicUsize, max: usize) -> bool {
    let more = |count: usize| (count < max).then_some(count + 1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .is_ok()
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(mut count) = self.doors.counts.get_mut(&self.address) {
            count.connections -= 1;
            count.sessions -= usize::from(self.became == Became::Session);
        }
        match self.became {
            Became::Nothing => {}
            Became::Session => _ = self.doors.sessions.fetch_sub(1, Ordering::Relaxed),
            Became::Console => _ = self.doors.consoles.fetch_sub(1, Ordering::Relaxed),
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
        assert_eq!(first.enter(9, 1), Ok(()));
        assert_eq!(second.enter(9, 1), Err(Full::Address));
        drop(first);
        assert_eq!(second.enter(9, 1), Ok(()));
        drop((second, third));
        assert!(doors.counts.is_empty(), "nobody is remembered");
    }

    #[test]
    fn the_console_has_room_where_there_is_none() {
        let doors = Arc::new(Doors::default());
        let mut arrivals = [(); 4].map(|()| doors.arrive([10, 0, 0, 1].into(), 9).unwrap());
        let [first, second, approver, another] = &mut arrivals;
        assert_eq!(first.enter(1, 9), Ok(()));
        assert_eq!(second.enter(1, 9), Err(Full::Gate));
        assert_eq!(approver.enter_console(1), Ok(()));
        assert_eq!(another.enter_console(1), Err(Full::Gate));
        drop(arrivals);
        assert_eq!(doors.sessions.load(Ordering::Relaxed), 0);
        assert_eq!(doors.consoles.load(Ordering::Relaxed), 0);
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
