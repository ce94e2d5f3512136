//! Where an unqualified name may lead. The one place that knows the search path; what the catalog knows of
//! a name comes in here, too, once it is asked. It never says which of several places is the right one.

use std::borrow::Cow;

use sql::{Class, Function, Leaves, Relation, Statement};

use crate::context::Context;
use crate::policy::pattern::{Glob, unquoted};

/// What stands in a path for the schema of the role. PostgreSQL's default is this and [`DEFAULT_SCHEMA`].
const OWN_SCHEMA: &str = "$user";
/// The other schema of the default.
const DEFAULT_SCHEMA: &str = "public";
/// What is looked at first unless the path says otherwise.
const CATALOG: &str = "pg_catalog";

/// The schemas in which a session looks for a name that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchPath<'c>(Option<Vec<Cow<'c, str>>>);

/// The schemas in which one name may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schemas<'a> {
    /// In one of these: the first by itself, as it is named or the catalog, and those of the path.
    These(Option<&'a str>, &'a [Cow<'a, str>]),
    /// Nobody knows.
    Unknown,
}

impl<'c> SearchPath<'c> {
    /// That of a session which set what `context` says. What it ran since may have changed it in ways
    /// that only the server knows.
    pub(crate) fn of(context: &'c Context) -> Self {
        if context.state.is_some() {
            return Self::unknown();
        }
        let role = Cow::Borrowed(&*context.role);
        let Some(set) = context.settings.get("search_path") else {
            return Self(Some(vec![role, Cow::Borrowed(DEFAULT_SCHEMA)]));
        };
        let mut path = schemas(set);
        for schema in path.iter_mut().flatten() {
            if schema == OWN_SCHEMA {
                schema.clone_from(&role);
            }
        }
        Self(path)
    }

    /// One that nobody knows.
    pub(crate) fn unknown() -> Self {
        Self(None)
    }

    /// Where `relation` may lie. Without the catalog every schema of the path may have it, and for `pg_*`
    /// the catalog, whose relations are all named so. Temporary tables are nobody's but the session's.
    pub(crate) fn of_relation<'a>(&'a self, relation: &'a Relation) -> Schemas<'a> {
        let in_catalog = relation.name.starts_with("pg_");
        self.of_name(relation.schema.as_deref(), in_catalog)
    }

    /// Where `function` may lie: in a schema of the path, or in the catalog.
    pub(crate) fn of_function<'a>(&'a self, function: &'a Function) -> Schemas<'a> {
        self.of_name(function.schema.as_deref(), true)
    }

    fn of_name<'a>(&'a self, schema: Option<&'a str>, in_catalog: bool) -> Schemas<'a> {
        match (schema, &self.0) {
            (Some(schema), _) => Schemas::These(Some(schema), &[]),
            (None, None) => Schemas::Unknown,
            (None, Some(path)) => Schemas::These(in_catalog.then_some(CATALOG), path),
        }
    }
}

impl<'a> Schemas<'a> {
    /// Those that are known, in their order.
    pub(crate) fn known(self) -> impl Iterator<Item = &'a str> + Clone {
        let (first, path) = match self {
            Self::These(first, path) => (first, path),
            Self::Unknown => (None, &[][..]),
        };
        first.into_iter().chain(path.iter().map(|it| &**it))
    }

    /// Whether one of them fits: enough to hold or to deny.
    pub(crate) fn any(self, pattern: Option<&Glob>) -> bool {
        match (pattern, self) {
            (None, _) | (_, Schemas::Unknown) => true,
            (Some(pattern), Schemas::These(..)) => self.known().any(|it| pattern.fits(it)),
        }
    }

    /// Whether each of them fits: what it takes to allow.
    pub(crate) fn all(self, pattern: Option<&Glob>) -> bool {
        match (pattern, self) {
            (None, _) => true,
            (Some(pattern), Schemas::Unknown) => pattern.is_any(),
            (Some(pattern), Schemas::These(..)) => {
                let mut known = self.known().peekable();
                known.peek().is_some() && known.all(|it| pattern.fits(it))
            }
        }
    }
}

/// Whether the path behind `statement` is known if the one before it is.
pub(crate) fn keeps_path(statement: &Statement) -> bool {
    match (statement.class, statement.setting.as_deref()) {
        (Class::Session | Class::Admin, Some(name)) => {
            !["search_path", "role", "session_authorization"].contains(&name)
        }
        (Class::Session, None) => statement.forgets() || statement.leaves == Leaves::Nothing,
        (Class::Admin | Class::Opaque, _) => false,
        _ => true,
    }
}

/// The names of a list as the server reads it; none if it is not one.
pub(crate) fn schemas(list: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let behind = if let Some(quoted) = rest.strip_prefix('"') {
            let (name, behind) = unquoted(quoted).ok()?;
            names.push(name.into());
            behind.trim_start()
        } else {
            let (name, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            let name = name.trim_end();
            if name.is_empty() || name.contains(['"', ' ']) {
                return None;
            }
            names.push(lower(name));
            behind
        };
        // An empty name is what SET makes of '': it leads nowhere.
        names.retain(|name| !name.is_empty());
        if behind.is_empty() {
            return Some(names);
        }
        rest = behind.strip_prefix(',')?.trim_start();
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|it| it.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_schemas_is_read_as_the_server_does() {
        let read = |list: &str| schemas(list).map(|it| it.join("|"));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("\"$user\", public"), some("$user|public"));
        assert_eq!(
            read(" App ,\"My \"\"x\" , public"),
            some("app|My \"x|public")
        );
        assert_eq!(read(""), some(""));
        assert_eq!(read("\"\""), some(""));
        for broken in ["a,", "a b", "\"a", "a\"b", "\"a\"b", ","] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_changes_the_path_is_known() {
        for (text, keeps) in [
            ("SELECT 1", true),
            ("UPDATE t SET a = 1", true),
            ("SET work_mem = '1MB'", true),
            ("SET search_path = x", false),
            ("SET LOCAL search_path = x", false),
            ("SET ROLE x", false),
            ("SET SESSION AUTHORIZATION x", false),
            ("ALTER ROLE x SET search_path = y", false),
            ("RESET search_path", false),
            ("DISCARD ALL", false),
            ("RESET ALL", false),
            ("DEALLOCATE p", true),
            ("SELECT set_config('search_path', 'x', false)", false),
            ("DO $$ $$", false),
        ] {
            let reading = sql::read(text);
            assert_eq!(keeps_path(&reading.statements[0]), keeps, "{text}");
        }
    }
}
