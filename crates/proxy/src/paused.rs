//! Which tenants an operator has paused: shared by all threads, and forgotten at a restart. It never touches a pool.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gate::TenantId;

/// Whom a `PAUSE` or a `RESUME` is about: one tenant, or all.
pub(crate) type Whom = Option<TenantId>;

#[derive(Debug, Default)]
pub(crate) struct Paused(Mutex<Which>);

#[derive(Debug, Default)]
struct Which {
    all: bool,
    some: BTreeSet<TenantId>,
}

/// Why somebody cannot be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotResumed {
    /// Nothing of it is paused.
    NotPaused,
    /// It is paused with all others.
    AllArePaused,
}

impl Paused {
    /// From now on. Twice is as good as once.
    pub(crate) fn pause(&self, whom: &Whom) {
        let mut which = self.which();
        match whom {
            None => which.all = true,
            Some(tenant) => {
                which.some.insert(tenant.clone());
            }
        }
    }

    /// Not any more. All are resumed together, those that were paused by name too.
    pub(crate) fn resume(&self, whom: &Whom) -> Result<(), NotResumed> {
        let mut which = self.which();
        match whom {
            None if !which.all && which.some.is_empty() => Err(NotResumed::NotPaused),
            None => {
                *which = Which::default();
                Ok(())
            }
            Some(_) if which.all => Err(NotResumed::AllArePaused),
            Some(tenant) if which.some.remove(tenant) => Ok(()),
            Some(_) => Err(NotResumed::NotPaused),
        }
    }

    /// Whether this tenant is paused.
    pub(crate) fn is(&self, tenant: &TenantId) -> bool {
        let which = self.which();
        which.all || which.some.contains(tenant)
    }

    fn which(&self) -> MutexGuard<'_, Which> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_resumed_by_its_name_and_all_together() {
        let paused = Paused::default();
        let (acme, shop) = (TenantId::from("acme"), TenantId::from("shop"));
        let one = Some(acme.clone());
        assert_eq!(paused.resume(&one), Err(NotResumed::NotPaused));
        assert_eq!(paused.resume(&None), Err(NotResumed::NotPaused));
        paused.pause(&one);
        paused.pause(&one);
        assert!(paused.is(&acme) && !paused.is(&shop));
        assert_eq!(paused.resume(&one), Ok(()));
        assert!(!paused.is(&acme));
        paused.pause(&one);
        paused.pause(&None);
        assert!(paused.is(&shop));
        assert_eq!(paused.resume(&one), Err(NotResumed::AllArePaused));
        assert_eq!(paused.resume(&None), Ok(()));
        assert!(!paused.is(&acme) && !paused.is(&shop));
    }
}
