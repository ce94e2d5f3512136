//! How a pool stands, in figures: for people who look. Nothing is decided by them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use tokio::time::Instant;

/// What `SHOW POOLS` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sessions that wait for a connection.
    pub waiting: usize,
    /// How long the first of them has waited.
    pub max_wait: Duration,
    /// Connections that are lent.
    pub active: usize,
    /// Connections that are not.
    pub idle: usize,
    /// Connections that are being reset.
    pub resetting: usize,
    /// Connections that log in.
    pub logging_in: usize,
}

/// Those of several pools together.
impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.waiting += other.waiting;
        self.max_wait = self.max_wait.max(other.max_wait);
        self.active += other.active;
        self.idle += other.idle;
        self.resetting += other.resetting;
        self.logging_in += other.logging_in;
    }
}

/// Since when sessions wait.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    since: RefCell<BTreeMap<u64, Instant>>,
    next: Cell<u64>,
}

impl Waits {
    /// One more waits, until this is dropped.
    pub(crate) fn begin(&self) -> Wait<'_> {
        self.next.set(self.next.get() + 1);
        let number = self.next.get();
        self.since.borrow_mut().insert(number, Instant::now());
        Wait(self, number)
    }

    /// How many wait, and how long the first of them has.
    pub(crate) fn figures(&self) -> (usize, Duration) {
        let since = self.since.borrow();
        let first = since.first_key_value();
        let longest = first.map_or(Duration::ZERO, |(_, since)| since.elapsed());
        (since.len(), longest)
    }
}

/// One session that waits.
pub(crate) struct Wait<'a>(&'a Waits, u64);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.since.borrow_mut().remove(&self.1);
    }
}
