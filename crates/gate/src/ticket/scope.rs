//! What a ticket lets happen, and how often. Pure data: who must sign for it is no matter of its scope.

use serde::{Deserialize, Serialize};
use sql::Class;

use crate::script::ScriptStep;
use crate::ticket::TicketId;

/// What a ticket lets happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scope {
    /// One request, once: a statement, a Query string or a closed batch.
    #[default]
    Once,
    /// Statements one after the other, in one session: those that need a signature are checked off in this order. As one Query
    /// string it is one request.
    Script {
        /// Which of what is asked, and how it stands.
        steps: Vec<ScriptStep>,
    },
    /// What one person asks for of some classes at one tenant, so many times until a time (DESIGN ruling 19).
    Grant(Grant),
    /// One request, once and at once: nobody has signed, and somebody must close the review of it.
    BreakGlass,
    /// The review of what ran as that ticket. It lets nothing happen.
    Review {
        /// The ticket that ran.
        of: TicketId,
    },
}

/// What a grant covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Statements of these classes, and of no other.
    #[serde(with = "by_name")]
    pub classes: Vec<Class>,
    /// Until then, in milliseconds since 1970.
    pub until_ms: i64,
    /// So many requests.
    pub uses_max: u32,
}

/// The strongest class that a grant can cover: nobody knows beforehand what the others do.
const GRANTED_MAX: Class = Class::Ddl;

impl Grant {
    /// Whether a class can be granted at all: transaction control always passes.
    pub fn can_have(class: Class) -> bool {
        class <= GRANTED_MAX && class != Class::Transaction
    }

    /// Whether it covers a request of statements of these classes.
    pub fn covers(&self, classes: &[Class]) -> bool {
        let covered = |class: &Class| Self::can_have(*class) && self.classes.contains(class);
        !classes.is_empty() && classes.iter().all(covered)
    }
}

impl Scope {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Script { .. } => "script",
            Self::Grant(_) => "grant",
            Self::BreakGlass => "break_glass",
            Self::Review { .. } => "review",
        }
    }
}

/// Classes by their names, as rules write them.
mod by_name {
    use serde::de::Error;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use sql::Class;

    pub(super) fn serialize<S: Serializer>(classes: &[Class], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(classes.iter().map(|it| it.name()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Class>, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        let classes = names.iter().map(|it| it.parse().map_err(D::Error::custom));
        classes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_names_and_nothing_that_nobody_can_know() {
        let grant = Grant {
            classes: vec![
                Class::Write,
                Class::Opaque,
                Class::Admin,
                Class::Transaction,
            ],
            until_ms: 0,
            uses_max: 1,
        };
        for (classes, covered) in [
            (&[Class::Write][..], true),
            (&[Class::Write, Class::Write], true),
            (&[Class::Write, Class::Read], false),
            (&[Class::Opaque], false),
            (&[Class::Admin], false),
            (&[Class::Transaction], false),
            (&[], false),
        ] {
            assert_eq!(grant.covers(classes), covered, "{classes:?}");
        }
    }
}
