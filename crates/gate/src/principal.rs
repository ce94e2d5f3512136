//! The names of people and of tenants. It never knows how somebody proved who they are.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $type {
            fn from(name: &str) -> Self {
                Self(Arc::from(name))
            }
        }
        impl From<String> for $type {
            fn from(name: String) -> Self {
                Self(Arc::from(name))
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The stable id of a person or a program; what self-approval is judged by (hazards R102).
    PrincipalId
}
name! {
    /// A tenant: what a client names as its database.
    TenantId
}
name! {
    /// A group of principals, as rules and approvals name it.
    Group
}

/// Somebody who has authenticated, with the groups that count for them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The stable id.
    pub id: PrincipalId,
    /// The groups they are in.
    pub groups: BTreeSet<Group>,
}

impl Principal {
    /// Whether they are in `group`.
    pub fn in_group(&self, group: &Group) -> bool {
        self.groups.contains(group)
    }
}

/// Everybody whom the gate knows, by stable id, with the groups that count for them now.
#[derive(Clone, Debug, Default)]
pub struct People(HashMap<PrincipalId, BTreeSet<Group>>);

impl People {
    /// The groups of somebody; none of whom the gate does not know any more.
    pub fn groups(&self, id: &PrincipalId) -> impl Iterator<Item = &Group> {
        self.0.get(id).into_iter().flatten()
    }
}

impl FromIterator<(PrincipalId, BTreeSet<Group>)> for People {
    /// Somebody with several logins is in the groups of all of them.
    fn from_iter<I: IntoIterator<Item = (PrincipalId, BTreeSet<Group>)>>(people: I) -> Self {
        let mut all: HashMap<PrincipalId, BTreeSet<Group>> = HashMap::new();
        for (id, groups) in people {
            all.entry(id).or_default().extend(groups);
        }
        Self(all)
    }
}
