//! What another configuration changes for those who are connected, and for their tickets: who must go, and why; whose tickets
//! are void. It compares, and does nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use gate::PrincipalId;
use session::Fault;

use crate::config::{Config, Tenants, User};
use crate::gatekeeper::CONSOLE;
use crate::version::Version;

/// Two versions, the one that stands and the one that takes its place.
#[derive(Clone, Copy)]
pub(crate) struct Changes<'a> {
    pub(crate) before: &'a Version,
    pub(crate) after: &'a Version,
}

/// How many tenants came, went, and are otherwise; patterns count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) added: usize,
    pub(crate) changed: usize,
    pub(crate) removed: usize,
}

/// Those whose tickets are looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// All of them are void: a login of theirs is gone, or is proven otherwise.
    pub(crate) all: BTreeSet<PrincipalId>,
    /// Those are void where they may not go any more.
    pub(crate) some: BTreeSet<PrincipalId>,
}

impl Changes<'_> {
    /// Why somebody who is connected as `user` to `tenant` must go, if they must.
    pub(crate) fn farewell(&self, user: &str, tenant: &str) -> Option<Fault> {
        let (old, new) = (self.before.verifier(user), self.after.verifier(user));
        let person = |version: &Version| version.principal(user).map(|it| it.id.clone());
        old?;
        if old != new || person(self.before) != person(self.after) {
            return Some(Fault::account_changed(user));
        }
        if tenant == CONSOLE || self.before.config.tenants.find(tenant).is_none() {
            return None;
        }
        if self.after.config.tenants.find(tenant).is_none() {
            return Some(Fault::tenant_removed(tenant));
        }
        let lost = self.before.may_name(user, tenant) && !self.after.may_name(user, tenant);
        lost.then(|| Fault::no_longer_allowed(user, tenant))
    }

    /// Whether a tenant leads to another database, or as another role, than before.
    pub(crate) fn has_moved(&self, tenant: &str) -> bool {
        let of = |version: &Version| version.config.tenants.find(tenant);
        let both = of(self.before).zip(of(self.after));
        both.is_some_and(|(old, new)| !old.write.leads_where(&new.write))
    }

    /// Whose tickets are void, all or some.
    pub(crate) fn lost(&self) -> Lost {
        let new: BTreeMap<&str, &User> = by_name(&self.after.config);
        let mut lost = Lost::default();
        for old in &self.before.config.users {
            match new.get(old.name.as_str()) {
                Some(new) if new.verifier == old.verifier && new.person == old.person => {
                    if new.tenants != old.tenants {
                        lost.some.insert(old.person.clone());
                    }
                }
                _ => {
                    lost.all.insert(old.person.clone());
                }
            }
        }
        lost
    }

    /// Whether a ticket of this person for this tenant is void.
    pub(crate) fn voids(&self, lost: &Lost, person: &PrincipalId, tenant: &str) -> bool {
        let could = || self.before.may_go(person, tenant);
        lost.all.contains(person)
            || (lost.some.contains(person) && could() && !self.after.may_go(person, tenant))
    }
}

fn by_name(config: &Config) -> BTreeMap<&str, &User> {
    let users = config.users.iter();
    users.map(|it| (it.name.as_str(), it)).collect()
}

impl Tally {
    /// Of these tenants.
    pub(crate) fn of(before: &Tenants, after: &Tenants) -> Self {
        let old: BTreeSet<&str> = before.names().collect();
        let new: BTreeSet<&str> = after.names().collect();
        let changed = old.intersection(&new);
        let changed = changed.filter(|it| !before.is_same(after, it)).count();
        let patterns = |tenants: &Tenants| -> BTreeSet<String> {
            let names = tenants.patterns().iter().map(|it| it.name.clone());
            names.collect()
        };
        let (was, is) = (patterns(before), patterns(after));
        let of = |name: &String, tenants: &Tenants| {
            let mut all = tenants.patterns().iter();
            all.find(|it| it.name == *name).cloned()
        };
        let other = |it: &&String| of(it, before) != of(it, after);
        Self {
            added: new.difference(&old).count() + is.difference(&was).count(),
            changed: changed + was.intersection(&is).filter(other).count(),
            removed: old.difference(&new).count() + was.difference(&is).count(),
        }
    }
}
