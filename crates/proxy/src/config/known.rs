//! What rules may name: users, groups, tenants, owners. It never knows a rule.

use gate::Group;
use gate::policy::{Glob, Owners, glob};

use super::names::Names;
use super::people::Members;
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::nearest;

/// The word in a rule for the owners of what a statement names; where there are any, no group has this name.
pub(super) const OWNERS: &str = "owners";

/// What rules may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// Who may log in.
    pub(super) users: &'a [&'a str],
    /// The groups and who is in them.
    pub(super) members: &'a Members,
    /// The tenants; none are known to a policy of its own.
    pub(super) tenants: &'a Names<'a>,
    /// The owners of relations, where a file says them.
    pub(super) owners: Option<&'a Owners>,
}

impl Known<'_> {
    /// The group of this name; a flaw where there is none.
    pub(super) fn group(&self, fields: &Fields<'_>, name: &Text<'_>) -> Group {
        if let Err(flaw) = self.check_group(name.text) {
            fields.page.flaw(&name.span, flaw);
        }
        Group::from(name.text)
    }

    /// Whether there is such a group.
    pub(super) fn check_group(&self, name: &str) -> Result<(), Flaw> {
        if self.members.contains_key(&Group::from(name)) {
            return Ok(());
        }
        let meant = nearest(name, self.members.keys().map(Group::as_str));
        Err(Flaw::found(format!("unknown group \"{name}\"")).meant(meant))
    }

    /// Patterns of users under `key`.
    pub(super) fn users_of(&self, fields: &Fields<'_>, key: &str) -> Vec<Glob> {
        let users = fields.texts(key, "a user").unwrap_or_default();
        for Text { text, span } in &users {
            if !self.users.iter().any(|user| glob(text, user)) {
                let meant = nearest(text, self.users.iter().copied());
                let flaw = Flaw::found(format!("unknown user \"{text}\"")).meant(meant);
                fields.page.flaw(span, flaw);
            }
        }
        users.iter().map(|it| Glob::from(it.text)).collect()
    }

    /// Patterns of tenants under "tenant".
    pub(super) fn tenants_of(&self, fields: &Fields<'_>) -> Vec<Glob> {
        let tenants = fields.texts("tenant", "a tenant").unwrap_or_default();
        for tenant in &tenants {
            self.tenants.check(fields, tenant, None);
        }
        tenants.iter().map(|it| Glob::from(it.text)).collect()
    }
}
