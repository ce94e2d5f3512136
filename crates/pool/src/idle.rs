//! Connections that lie unused, and which of them somebody gets. It never looks at a connection.

use std::sync::Arc;

use gate::{PrincipalId, Settings};
use tokio::time::Instant;

/// Who borrows, and with what settings the connection must have logged in.
#[derive(Clone, Debug)]
pub struct Borrower {
    /// Whose connection it becomes with a reset.
    pub principal: PrincipalId,
    /// Settings of the startup packet, by name; most connections have none.
    pub login: Arc<Settings>,
}

/// Connections that lie unused; the longest unused first.
#[derive(Debug)]
pub(crate) struct Idle<C> {
    lying: Vec<Lying<C>>,
}

#[derive(Debug)]
struct Lying<C> {
    owner: Option<PrincipalId>,
    login: Arc<Settings>,
    since: Instant,
    connection: C,
}

impl<C> Idle<C> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lying.len()
    }

    /// Since when the longest unused one has been so.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.lying.first().map(|it| it.since)
    }

    /// Lays one down that logged in with these settings; without an owner it is anybody's.
    pub(crate) fn put(
        &mut self,
        connection: C,
        owner: Option<PrincipalId>,
        login: Arc<Settings>,
        since: Instant,
    ) {
        self.lying.push(Lying {
            owner,
            login,
            since,
            connection,
        });
    }

    /// One that `who` may have: their own before anybody's, and the last used first. Never one of
    /// somebody else's (hazards R24).
    pub(crate) fn take(&mut self, who: Option<&Borrower>) -> Option<C> {
        let fits = |it: &Lying<C>| match who {
            Some(who) => it.login == who.login,
            None => it.login.is_empty(),
        };
        let own = |it: &Lying<C>| who.is_some_and(|who| it.owner.as_ref() == Some(&who.principal));
        let anybodys = |it: &Lying<C>| it.owner.is_none();
        let at = self.lying.iter().rposition(|it| own(it) && fits(it));
        let at = at.or_else(|| self.lying.iter().rposition(|it| anybodys(it) && fits(it)))?;
        Some(self.lying.remove(at).connection)
    }

    /// The one that has been unused longest, whosever it is: to be closed.
    pub(crate) fn take_oldest(&mut self) -> Option<C> {
        let first = (!self.lying.is_empty()).then(|| self.lying.remove(0))?;
        Some(first.connection)
    }

    /// Takes out all that `is` says, which hears since when each has been unused.
    pub(crate) fn extract(&mut self, mut is: impl FnMut(&mut C, Instant) -> bool) -> Vec<C> {
        let taken = self
            .lying
            .extract_if(.., |it| is(&mut it.connection, it.since));
        taken.map(|it| it.connection).collect()
    }
}

impl<C> Default for Idle<C> {
    fn default() -> Self {
        Self { lying: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn idle(owners: &[&str]) -> Idle<usize> {
        let (mut idle, start) = (Idle::default(), Instant::now());
        for (number, owner) in owners.iter().enumerate() {
            let owner = (!owner.is_empty()).then(|| PrincipalId::from(*owner));
            let since = start + Duration::from_secs(number as u64);
            idle.put(number, owner, Arc::default(), since);
        }
        idle
    }

    fn who(name: &str, login: &[(&str, &str)]) -> Borrower {
        let login = login
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Borrower {
            principal: PrincipalId::from(name),
            login: Arc::new(login.collect()),
        }
    }

    #[test]
    fn nobody_gets_what_logged_in_with_other_settings() {
        let utc = who("alice", &[("timezone", "UTC")]);
        let mut idle = idle(&["", "alice"]);
        assert_eq!(idle.take(Some(&utc)), None);
        let since = Instant::now();
        idle.put(7, None, Arc::clone(&utc.login), since);
        assert_eq!(idle.take(Some(&utc)), Some(7));
    }

    #[test]
    fn ones_own_comes_before_anybodys_and_the_last_used_first() {
        let alice = who("alice", &[]);
        let mut idle = idle(&["alice", "", "alice", "", "bob"]);
        let taken: Vec<_> = std::iter::from_fn(|| idle.take(Some(&alice))).collect();
        assert_eq!(taken, [2, 0, 3, 1]);
        assert_eq!(idle.len(), 1);
    }

    #[test]
    fn nobody_gets_what_is_anothers() {
        let mut idle = idle(&["alice", "bob"]);
        assert_eq!(idle.take(Some(&who("carol", &[]))), None);
        assert_eq!(idle.take(None), None);
        assert_eq!(idle.take_oldest(), Some(0));
        assert_eq!(idle.len(), 1);
    }

    #[test]
    fn what_has_been_unused_longest_is_closed_first() {
        let mut idle = idle(&["", "alice", ""]);
        let start = idle.oldest().unwrap();
        let late = start + Duration::from_secs(1);
        assert_eq!(idle.extract(|_, since| since < late), [0]);
        assert_eq!(idle.oldest(), Some(late));
        assert_eq!(idle.take_oldest(), Some(1));
    }
}
