//! The self-test of a tenant: SQL of the gate's own that each of its logins runs, and that finds what would let it out, or others
//! in (hazards R116). Isolation is mostly grants, and grants drift. It never says what becomes of a tenant that fails.

use std::fmt;

use super::Walls;
use crate::ledger::quoted;

/// What is tested: one login of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// What its tenant is said to be kept in.
    pub walls: Walls,
    /// Every login of the tenant: what only these are members of is the tenant's own.
    pub logins: Vec<String>,
    /// Whether it is the login that fences rows of the ledger, and may do nothing else.
    pub ledger: bool,
}

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    /// On what, as a person names it.
    pub object: String,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.what)
    }
}

impl Finding {
    /// Of what the server answers to [`Question::sql`]: one row.
    pub fn of(row: [String; 2]) -> Self {
        let [what, object] = row;
        Self { object, what }
    }

    /// That two tenants which should each have a server of their own have the same; or nobody can tell.
    pub fn same_server(other: Option<&str>) -> Self {
        let what = match other {
            Some(other) => format!("tenant \"{other}\" is on it, too"),
            None => "the login may not ask which it is, so it may be another tenant's".to_owned(),
        };
        Self {
            object: "server".to_owned(),
            what,
        }
    }
}

impl Question {
    /// The SQL: rows of what is found, and on what. Names are all that is spelled into it.
    pub(crate) fn sql(&self) -> String {
        let list = |names: &[String]| {
            let names = names.iter().map(|it| quoted(it, '\''));
            format!("ARRAY[{}]", names.collect::<Vec<_>>().join(", "))
        };
        // Whoever fences has nothing to do in any of them.
        let schemas = if self.ledger {
            &[][..]
        } else {
            &self.walls.schemas
        };
        let model = format!("'{}'", self.walls.isolation);
        let values = [
            ("{model}", model),
            ("{schemas}", list(schemas)),
            ("{logins}", list(&self.logins)),
            ("{ledger}", self.ledger.to_string()),
        ];
        // In the order of the file, and never in what was filled in: a name may look like any of these.
        let (mut sql, mut rest) = (String::new(), include_str!("test.sql"));
        for (name, value) in values {
            if let Some((before, behind)) = rest.split_once(name) {
                sql.push_str(before);
                sql.push_str(&value);
                rest = behind;
            }
        }
        sql.push_str(rest);
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isolation;

    #[test]
    fn names_are_spelled_and_nothing_else_is() {
        let mut question = Question {
            walls: Walls {
                isolation: Isolation::Schema,
                schemas: vec!["o'na\"me".to_owned(), "{logins}".to_owned()],
            },
            logins: vec!["back\\slash".to_owned()],
            ledger: false,
        };
        let sql = question.sql();
        let asked = "SELECT 'schema'::text AS model, ARRAY['o''na\"me', '{logins}']::text[] AS schemas, \
             ARRAY[ E'back\\\\slash']::text[] AS logins, false::boolean AS ledger";
        assert!(sql.contains(asked), "{sql}");
        assert_eq!(
            question.walls.search_path().as_deref(),
            Some("\"o'na\"\"me\", \"{logins}\"")
        );
        question.ledger = true;
        assert!(question.sql().contains("ARRAY[]::text[] AS schemas"));
    }

    #[test]
    fn a_finding_is_a_line() {
        let row = ["has no row security", "public.t"].map(str::to_owned);
        assert_eq!(
            Finding::of(row).to_string(),
            "public.t: has no row security"
        );
        let said = Finding::same_server(Some("globex")).to_string();
        assert_eq!(said, "server: tenant \"globex\" is on it, too");
    }
}
