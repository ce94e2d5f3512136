//! Whether somebody has closed the gate to all but reads. It never says for whom it should be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use gate::tickets::HeldAll;

/// Shared by all threads; a statement that passes looks at one flag.
#[derive(Debug, Default)]
pub(crate) struct Shut {
    closed: AtomicBool,
    by: Mutex<Option<HeldAll>>,
}

impl Shut {
    /// As the store has it.
    pub(crate) fn set(&self, held: Option<HeldAll>) {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(held.is_some(), Ordering::Release);
        *by = held;
    }

    /// Who has closed it.
    pub(crate) fn by(&self) -> Option<HeldAll> {
        if !self.closed.load(Ordering::Acquire) {
            return None;
        }
        self.by
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
