//! How many logins were made, and how many failed: for people who look. Nothing is decided by them.

use std::cell::Cell;
use std::ops::AddAssign;

/// Logins to servers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginCounts {
    /// Those that led to a connection.
    pub done: u64,
    /// Those that did not.
    pub failed: u64,
}

impl AddAssign for LoginCounts {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
    }
}

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct Logged(Cell<LoginCounts>);

impl Logged {
    /// One more.
    pub(crate) fn add(&self, done: bool) {
        let mut logins = self.0.get();
        logins += LoginCounts {
            done: u64::from(done),
            failed: u64::from(!done),
        };
        self.0.set(logins);
    }

    pub(crate) fn logins(&self) -> LoginCounts {
        self.0.get()
    }
}
