//! The names of people and of tenants. It never knows how somebody proved who they are.

use std::collections::BTreeSet;
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
