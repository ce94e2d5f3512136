//! Who may run what before anybody signs, and who looks at it afterwards. It never lets anything run by itself.

use std::sync::Arc;

use sql::Class;

use crate::policy::pattern::Glob;
use crate::policy::rule::Need;
use crate::principal::Group;
use crate::request::Request;

/// A rule of break-glass. An empty list matches everything, but for the classes: those are named.
#[derive(Clone, Debug)]
pub struct BreakGlass {
    /// Its name, shown to whoever looks at what ran.
    pub name: Arc<str>,
    /// Tenants.
    pub tenants: Vec<Glob>,
    /// People.
    pub users: Vec<Glob>,
    /// Groups of which the requester is in one.
    pub groups: Vec<Group>,
    /// The classes of all statements of the request.
    pub classes: Vec<Class>,
    /// Who must look at it.
    pub review: Need,
}

impl BreakGlass {
    /// Whether it is about `request`.
    pub(crate) fn fits(&self, request: &Request) -> bool {
        let any =
            |globs: &[Glob], name: &str| globs.is_empty() || globs.iter().any(|it| it.fits(name));
        let classes = request.classes();
        any(&self.tenants, request.context.tenant.as_str())
            && any(&self.users, request.principal.id.as_str())
            && (self.groups.is_empty()
                || self.groups.iter().any(|it| request.principal.in_group(it)))
            && !classes.is_empty()
            && classes.iter().all(|it| self.classes.contains(it))
    }
}
