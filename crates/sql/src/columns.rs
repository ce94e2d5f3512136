//! Which columns a statement can read, as far as its text proves it. Whatever is not proven counts as all of them: a name that
//! stands for a whole row, renamed columns, natural joins, and every statement that is no plain read.

use crate::Relation;

/// Built-in functions that take a row of anything: written `row.NAME` they read all of it.
const TAKE_ROWS: [&str; 22] = [
    "any_value",
    "array_agg",
    "concat",
    "concat_ws",
    "count",
    "format",
    "hash_record",
    "hash_record_extended",
    "json_agg",
    "json_agg_strict",
    "jsonb_agg",
    "jsonb_agg_strict",
    "max",
    "min",
    "num_nonnulls",
    "num_nulls",
    "quote_literal",
    "quote_nullable",
    "record_out",
    "row_to_json",
    "to_json",
    "to_jsonb",
];

/// The columns that a statement names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Columns(Known);

#[derive(Clone, Debug, PartialEq, Eq, Default)]
enum Known {
    /// Nothing is proven.
    #[default]
    All,
    These(Vec<Column>),
}

/// A column as the text names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    /// The relations that it may be of; empty where it may be of any.
    of: Vec<Relation>,
    /// None: all of them.
    name: Option<String>,
}

impl Columns {
    /// Whether the statement may read a column that fits, of a relation that it names, spelled as there.
    pub fn may_touch(&self, relation: &Relation, fits: impl Fn(&str) -> bool) -> bool {
        let Known::These(columns) = &self.0 else {
            return true;
        };
        columns.iter().any(|it| {
            (it.of.is_empty() || it.of.contains(relation)) && it.name.as_deref().is_none_or(&fits)
        })
    }

    /// About how many bytes it holds.
    pub(crate) fn weight(&self) -> usize {
        let Known::These(columns) = &self.0 else {
            return 0;
        };
        let column = |it: &Column| {
            size_of::<Column>()
                + it.name.as_deref().map_or(0, str::len)
                + it.of.len() * size_of::<Relation>()
        };
        columns.iter().map(column).sum()
    }
}

/// What was seen of columns and of what they may be of, while a statement was walked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Each relation, and the name that columns have it by.
    relations: Vec<(Relation, String)>,
    /// Qualifier and name; no name for a star.
    refers: Vec<(Option<String>, Option<String>)>,
    unproven: bool,
}

impl Seen {
    /// A relation stands in FROM under this alias.
    pub(crate) fn relation(&mut self, relation: &Relation, alias: &str) {
        let name = if alias.is_empty() {
            &relation.name
        } else {
            alias
        };
        self.relations.push((relation.clone(), name.to_owned()));
    }

    /// A column reference with these parts, and a star behind them or not.
    pub(crate) fn refer(&mut self, parts: &[String], star: bool) {
        let mut parts = parts.to_vec();
        let name = if star { None } else { parts.pop() };
        self.refers.push((parts.pop(), name));
    }

    /// Something that makes names say nothing.
    pub(crate) fn give_up(&mut self) {
        self.unproven = true;
    }

    /// What it comes to. `calls` says whether a name may be a user's function of one argument.
    pub(crate) fn columns(&self, calls: impl Fn(&str) -> bool) -> Columns {
        if self.unproven {
            return Columns::default();
        }
        let named = |name: &str| -> Vec<Relation> {
            let known = self
                .relations
                .iter()
                .filter(|it| it.1 == name || it.0.name == name);
            known.map(|it| it.0.clone()).collect()
        };
        let mut columns: Vec<Column> = Vec::new();
        for (qualifier, name) in &self.refers {
            let takes_rows = |name: &String| TAKE_ROWS.contains(&name.as_str()) || calls(name);
            let column = match (qualifier, name) {
                // A bare name may be a whole row, too.
                (None, Some(name)) if !named(name).is_empty() => Column {
                    of: named(name),
                    name: None,
                },
                (None, name) => Column {
                    of: Vec::new(),
                    name: name.clone(),
                },
                (Some(qualifier), name) => Column {
                    of: named(qualifier),
                    name: name.clone().filter(|it| !takes_rows(it)),
                },
            };
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        Columns(Known::These(columns))
    }
}
