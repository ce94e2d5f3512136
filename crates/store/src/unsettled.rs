//! What recovery asks for beside tickets: the uses that were cut short, and what was written down. The daemon's are in files;
//! a simulation has its own. It never says what became of a use.

use std::future::Future;

use gate::tickets::{Open, StoreError};
use gate::{Entry, Journal, Tickets};

use crate::tampered::Tampered;

/// A store that knows which uses have no end.
pub trait Unsettled: Tickets {
    /// Every use that nobody knows the end of; at start-up these are what a crash left behind.
    fn executing(&self) -> impl Future<Output = Result<Vec<Open>, StoreError>>;
}

/// A journal that can be read again.
pub trait Past: Journal {
    /// Hands every entry that is on disk to `see`, the oldest first.
    fn each(&self, see: &mut dyn FnMut(&Entry)) -> Result<(), Tampered>;
}
