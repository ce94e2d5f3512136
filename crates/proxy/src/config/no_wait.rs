//! Whose sessions do not wait on the wire: services get the ticket at once, and people wait. It never knows a ticket.

use gate::policy::Glob;
use gate::{Group, Principal};

use super::keys;
use super::known::Known;
use super::reader::Fields;

/// Who gets a ticket at once where the session does not say otherwise.
#[derive(Clone, Debug, Default)]
pub struct NoWait {
    /// These people and programs.
    pub users: Vec<Glob>,
    /// Everybody in one of these groups.
    pub groups: Vec<Group>,
    /// Sessions that begin with such an `application_name`.
    pub applications: Vec<Glob>,
}

impl NoWait {
    /// What `[hold]` says of it.
    pub(super) fn read(top: &Fields<'_>, known: Known<'_>) -> Self {
        let Some(table) = top.table("hold", keys::HOLD) else {
            return Self::default();
        };
        let groups = table.texts("no_wait_groups", "a group").unwrap_or_default();
        let applications = table.texts("no_wait_applications", "an application_name");
        Self {
            users: known.users_of(&table, "no_wait_users"),
            groups: groups.iter().map(|it| known.group(&table, it)).collect(),
            applications: applications
                .unwrap_or_default()
                .iter()
                .map(|it| Glob::from(it.text))
                .collect(),
        }
    }

    /// Whether a session of `who` that says it is `application` gets its tickets at once.
    pub fn is_for(&self, who: &Principal, application: &str) -> bool {
        self.users.iter().any(|it| it.fits(who.id.as_str()))
            || self.groups.iter().any(|it| who.in_group(it))
            || self.applications.iter().any(|it| it.fits(application))
    }
}
