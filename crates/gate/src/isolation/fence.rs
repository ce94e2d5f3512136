//! What statements of a tenant may not name where it is kept in schemas: a search_path or a qualified name that leads out of them,
//! and settings with a dot (DESIGN ruling 11; hazards V11, V12). It is convenience and no wall: what a text does not show is for
//! the server's grants to keep.

use std::sync::Arc;

use sql::{Relation, Sets, Statement};

use super::Walls;
use crate::policy::{Denial, schemas};
use crate::request::Request;

/// The name under which it denies.
pub const RULE: &str = "isolation";

const SEARCH_PATH: &str = "search_path";
/// Schemas that everybody may name: what is in them is PostgreSQL's own, or the session's.
const OPEN: [&str; 3] = ["pg_catalog", "information_schema", "pg_temp"];
/// What stands in a path for the schema of the role.
const OWN_SCHEMA: &str = "$user";
/// What the names of the gate's own settings begin with.
const OURS: &str = "portcullis.";
/// To write it is to SET (hazards V12).
const SETTINGS: &str = "pg_settings";

impl Walls {
    /// Why this request never runs for this tenant, if that is so, whatever the rules say.
    pub fn denies(&self, request: &Request) -> Option<Denial> {
        if !self.isolation.has_schemas() {
            return None;
        }
        let role = &request.context.role;
        let set = request.context.settings.get(SEARCH_PATH);
        let set = set.and_then(|path| self.leaves_by(path, role));
        set.or_else(|| request.statements().find_map(|it| self.reason(it, role)))
            .map(|why| self.denial(&why))
    }

    /// The schema that a search_path of a login leads to and that is not the tenant's.
    pub fn outside(&self, search_path: &str, role: &str) -> Option<String> {
        if !self.isolation.has_schemas() {
            return None;
        }
        match schemas(search_path) {
            Some(path) => path
                .into_iter()
                .find(|it| !self.has(it, role))
                .map(String::from),
            None => Some(search_path.to_owned()),
        }
    }

    fn leaves_by(&self, search_path: &str, role: &str) -> Option<String> {
        let outside = self.outside(search_path, role)?;
        Some(format!("search_path leads to schema \"{outside}\""))
    }

    /// What of a statement leads out.
    fn reason(&self, statement: &Statement, role: &str) -> Option<String> {
        let relations = || statement.reads.iter().chain(&statement.writes);
        let functions = statement.functions.iter();
        let qualified = relations()
            .map(|it| (&it.schema, &it.name))
            .chain(functions.map(|it| (&it.schema, &it.name)));
        for (schema, name) in qualified {
            if let Some(schema) = schema.as_deref().filter(|it| !self.has(it, role)) {
                return Some(format!(
                    "\"{schema}\".\"{name}\" lies in schema \"{schema}\""
                ));
            }
        }
        if statement.writes.iter().any(is_settings) {
            return Some(format!(
                "{SETTINGS} is written, which sets whatever it names"
            ));
        }
        let calls = |it: &sql::Function| it.name == "set_config";
        let known = statement.setting.is_some() || !statement.functions.iter().any(calls);
        match &statement.sets {
            Some(sets) => self.sets(sets, role).or_else(|| {
                (!known).then(|| format!("set_config() may set more than \"{}\"", sets.name))
            }),
            None if known => None,
            None => Some("set_config() is called and the text does not say for what".to_owned()),
        }
    }

    fn sets(&self, sets: &Sets, role: &str) -> Option<String> {
        let name = &sets.name;
        if name.contains('.') && !name.starts_with(OURS) {
            return Some(format!(
                "\"{name}\" is set, and policies may go by settings with a dot"
            ));
        }
        if name != SEARCH_PATH {
            return None;
        }
        match &sets.path {
            Some(path) => path
                .iter()
                .find(|it| !self.has(it, role))
                .map(|it| format!("search_path leads to schema \"{it}\"")),
            None => Some("search_path is set, and the text does not say to what".to_owned()),
        }
    }

    fn has(&self, schema: &str, role: &str) -> bool {
        let schema = if schema == OWN_SCHEMA { role } else { schema };
        // An empty name leads nowhere.
        schema.is_empty()
            || OPEN.contains(&schema)
            || schema.starts_with("pg_temp_")
            || self.schemas.iter().any(|it| it == schema)
    }

    fn denial(&self, why: &str) -> Denial {
        let schemas = self.schemas.iter().map(|it| format!("\"{it}\""));
        let schemas = schemas.collect::<Vec<_>>().join(", ");
        Denial {
            rule: Arc::from(RULE),
            message: format!("this leads out of the schemas of the tenant: {why}"),
            why: format!("sessions of this tenant are kept in {schemas}"),
        }
    }
}

fn is_settings(relation: &Relation) -> bool {
    relation.name == SETTINGS
        && relation
            .schema
            .as_deref()
            .is_none_or(|it| it == "pg_catalog")
}
