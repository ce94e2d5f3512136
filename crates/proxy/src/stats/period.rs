//! What was counted in the last whole period, as pgbouncer's averages have it. It never counts anything itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Figure, Sums, Totals};

/// The end of the last period, and what was counted in it.
#[derive(Debug, Default)]
pub(crate) struct Periods(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    until: Option<(Instant, Sums)>,
    last: Option<Arc<Period>>,
}

/// One period.
#[derive(Debug)]
pub(crate) struct Period {
    time: Duration,
    sums: Sums,
}

impl Periods {
    /// A period ends: so much has been counted since the start.
    pub(crate) fn end(&self, now: Instant, sums: Sums) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, before)) = state.until.take() {
            let more = sums.iter().map(|(name, totals)| {
                let none = Totals::default();
                let before = before.get(name).unwrap_or(&none);
                (name.clone(), totals.clone() - before)
            });
            state.last = Some(Arc::new(Period {
                time: now.saturating_duration_since(since),
                sums: more.collect(),
            }));
        }
        state.until = Some((now, sums));
    }

    /// The last whole one.
    pub(crate) fn last(&self) -> Option<Arc<Period>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.clone()
    }
}

impl Period {
    /// What was counted of a tenant in it.
    pub(crate) fn of(&self, name: &str) -> Totals {
        self.sums.get(name).cloned().unwrap_or_default()
    }

    /// So many in a second.
    pub(crate) fn per_second(&self, count: u64) -> u64 {
        let milliseconds = self.time.as_millis().max(1);
        u64::try_from(u128::from(count) * 1000 / milliseconds).unwrap_or(u64::MAX)
    }
}

impl Totals {
    /// How long each of so many took of this time.
    pub(crate) fn each(&self, time: Figure, count: u64) -> u64 {
        self.of(time).checked_div(count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tally;
    use super::*;
    use crate::world::{Real, World};

    #[test]
    fn an_average_is_of_the_last_period() {
        let (periods, tally) = (Periods::default(), Tally::default());
        let start = Real.now();
        let sums = |tally: &Tally| Sums::from([("a".to_owned(), tally.totals())]);
        tally.add(Figure::Received, 1_000);
        periods.end(start, sums(&tally));
        assert!(periods.last().is_none(), "the first has no beginning");
        tally.add(Figure::Received, 300);
        tally.add(Figure::Transactions, 3);
        tally.add_time(Figure::TransactionTime, Duration::from_millis(6));
        periods.end(start + Duration::from_mins(1), sums(&tally));
        let last = periods.last().unwrap();
        let it = last.of("a");
        assert_eq!(last.per_second(it.of(Figure::Received)), 5);
        let count = it.of(Figure::Transactions);
        assert_eq!(it.each(Figure::TransactionTime, count), 2_000);
        assert_eq!(last.of("nobody"), Totals::default());
    }
}
