//! Whose turn it is to get a connection to a server. It knows who waits and in which order they
//! came; it never knows what for, nor a clock or a socket.
//!
//! Tenants take turns, whatever the number of their waiters; within a tenant its lanes take turns;
//! within a lane whoever came first is served first.

use std::collections::VecDeque;

use gate::TenantId;

/// Those that wait for one server.
#[derive(Debug)]
pub(crate) struct Turns<W> {
    /// Tenants with waiters; whose turn was longest ago stands in front.
    tenants: VecDeque<Party<W>>,
    numbers: u64,
}

#[derive(Debug)]
struct Party<W> {
    tenant: TenantId,
    lanes: VecDeque<Lane<W>>,
}

#[derive(Debug)]
struct Lane<W> {
    id: u64,
    /// In the order of their numbers.
    waiters: VecDeque<(u64, W)>,
}

/// A place in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    tenant: TenantId,
    lane: u64,
    number: u64,
}

impl<W> Turns<W> {
    /// Joins the queue of a lane, as its last.
    pub(crate) fn join(&mut self, tenant: &TenantId, lane: u64, waiter: W) -> Seat {
        self.numbers += 1;
        let (number, tenant) = (self.numbers, tenant.clone());
        let seat = Seat {
            tenant: tenant.clone(),
            lane,
            number,
        };
        let waiter = (number, waiter);
        let Some(party) = self.tenants.iter_mut().find(|it| it.tenant == tenant) else {
            let lanes = VecDeque::from([Lane::of(lane, waiter)]);
            self.tenants.push_back(Party { tenant, lanes });
            return seat;
        };
        match party.lanes.iter_mut().find(|it| it.id == lane) {
            Some(lane) => lane.waiters.push_back(waiter),
            None => party.lanes.push_back(Lane::of(lane, waiter)),
        }
        seat
    }

    /// Gives a place in the queue up; nothing if it was served already.
    pub(crate) fn leave(&mut self, seat: &Seat) -> Option<W> {
        let at = self
            .tenants
            .iter()
            .position(|it| it.tenant == seat.tenant)?;
        let party = self.tenants.get_mut(at)?;
        let lane_at = party.lanes.iter().position(|it| it.id == seat.lane)?;
        let waiters = &mut party.lanes.get_mut(lane_at)?.waiters;
        let found = waiters.binary_search_by_key(&seat.number, |it| it.0).ok()?;
        let (_, waiter) = waiters.remove(found)?;
        if waiters.is_empty() {
            party.lanes.remove(lane_at);
        }
        if party.lanes.is_empty() {
            self.tenants.remove(at);
        }
        Some(waiter)
    }

    /// Takes out the next one that can be served: the first of its lane, from the tenant whose turn
    /// was longest ago. `can` is asked about the first of a lane only.
    pub(crate) fn next(&mut self, mut can: impl FnMut(&W) -> bool) -> Option<W> {
        let (at, lane_at) = self.tenants.iter().enumerate().find_map(|(at, party)| {
            let mut served = |lane: &Lane<W>| lane.waiters.front().is_some_and(|(_, it)| can(it));
            Some((at, party.lanes.iter().position(&mut served)?))
        })?;
        let mut party = self.tenants.remove(at)?;
        let mut lane = party.lanes.remove(lane_at)?;
        let (_, waiter) = lane.waiters.pop_front()?;
        if !lane.waiters.is_empty() {
            party.lanes.push_back(lane);
        }
        if !party.lanes.is_empty() {
            self.tenants.push_back(party);
        }
        Some(waiter)
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// The first of each lane in which somebody waits, and how many do.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (&W, usize)> {
        let lanes = self.tenants.iter().flat_map(|party| &party.lanes);
        lanes.filter_map(|lane| Some((&lane.waiters.front()?.1, lane.waiters.len())))
    }

    /// Whether somebody waits in this lane of a tenant.
    pub(crate) fn waits(&self, tenant: &TenantId, lane: u64) -> bool {
        let mut parties = self.tenants.iter().filter(|it| it.tenant == *tenant);
        parties.any(|party| party.lanes.iter().any(|it| it.id == lane))
    }

    /// Takes out everybody of a lane.
    pub(crate) fn clear(&mut self, lane: u64) -> Vec<W> {
        let mut gone = Vec::new();
        for party in &mut self.tenants {
            if let Some(at) = party.lanes.iter().position(|it| it.id == lane) {
                let lane = party.lanes.remove(at);
                gone.extend(lane.into_iter().flat_map(|it| it.waiters).map(|it| it.1));
            }
        }
        self.tenants.retain(|it| !it.lanes.is_empty());
        gone
    }
}

impl<W> Lane<W> {
    fn of(id: u64, first: (u64, W)) -> Self {
        let waiters = VecDeque::from([first]);
        Self { id, waiters }
    }
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self {
            tenants: VecDeque::new(),
            numbers: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn id(number: usize) -> TenantId {
        TenantId::from(format!("t{number}"))
    }

    /// Everybody in the order in which they are served.
    fn served<W>(turns: &mut Turns<W>) -> Vec<W> {
        std::iter::from_fn(|| turns.next(|_| true)).collect()
    }

    #[test]
    fn a_thousand_waiters_get_no_more_turns_than_one() {
        let mut turns = Turns::default();
        for number in 0..1000 {
            turns.join(&id(1), 1, (1, number));
        }
        turns.join(&id(2), 2, (2, 0));
        turns.join(&id(3), 3, (3, 0));
        let order = served(&mut turns);
        assert_eq!(order[..4], [(1, 0), (2, 0), (3, 0), (1, 1)]);
        assert_eq!(order.len(), 1002);
    }

    #[test]
    fn two_lanes_of_a_tenant_share_its_turns() {
        let mut turns = Turns::default();
        for (tenant, lane) in [(1, 1), (1, 1), (1, 2), (1, 2), (2, 3), (2, 3)] {
            turns.join(&id(tenant), lane, lane);
        }
        assert_eq!(served(&mut turns), [1, 3, 2, 3, 1, 2]);
    }

    #[test]
    fn who_cannot_be_served_keeps_the_turn_and_stops_nobody() {
        let mut turns = Turns::default();
        for tenant in [1, 2, 3] {
            turns.join(&id(tenant), 1, tenant);
        }
        assert_eq!(turns.next(|it| *it != 1), Some(2));
        assert_eq!(turns.next(|_| true), Some(1));
        assert_eq!(turns.next(|it| *it != 3), None);
        assert_eq!(turns.next(|_| true), Some(3));
    }

    #[test]
    fn who_leaves_is_served_no_more() {
        let mut turns = Turns::default();
        let seats: Vec<_> = (0..3).map(|it| turns.join(&id(1), 1, it)).collect();
        assert_eq!(turns.leave(&seats[1]), Some(1));
        assert_eq!(turns.leave(&seats[1]), None);
        assert_eq!(turns.next(|_| true), Some(0));
        assert_eq!(turns.leave(&seats[0]), None);
        assert_eq!(turns.clear(1), [2]);
        assert_eq!(turns.next(|_| true), None);
    }

    proptest! {
        /// Between two turns of a tenant that goes on waiting every other one that waits has one.
        #[test]
        fn turns_are_fair(joins in prop::collection::vec((0usize..5, 0u64..2), 1..200)) {
            let mut turns = Turns::default();
            for (number, (tenant, lane)) in joins.iter().enumerate() {
                turns.join(&id(*tenant), *lane, (*tenant, *lane, number));
            }
            let mut left: HashMap<usize, usize> = HashMap::new();
            for (tenant, _) in &joins {
                *left.entry(*tenant).or_default() += 1;
            }
            let mut since: HashMap<usize, Vec<usize>> = HashMap::new();
            let mut last: HashMap<(usize, u64), usize> = HashMap::new();
            while let Some((tenant, lane, number)) = turns.next(|_| true) {
                prop_assert!(last.insert((tenant, lane), number).is_none_or(|it| it < number));
                if let Some(others) = since.get(&tenant) {
                    for other in left.keys().filter(|it| **it != tenant) {
                        prop_assert!(others.contains(other), "{} waited twice", other);
                    }
                }
                *left.get_mut(&tenant).unwrap() -= 1;
                left.retain(|_, waiting| *waiting > 0);
                for others in since.values_mut() {
                    others.push(tenant);
                }
                since.insert(tenant, Vec::new());
            }
            prop_assert!(left.is_empty());
        }
    }
}
