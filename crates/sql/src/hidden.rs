//! Which casts to a type of the user's a statement may run where nobody wrote it. It never goes by what the statement converts,
//! only by what it names: what it cannot tell counts as such a type.
//!
//! PostgreSQL converts to a type only where something asks for it: a function or an operator that takes it, an expression of
//! it beside which another one stands (UNION, CASE, an array), a parameter of it, or whoever writes it down. An expression has
//! such a type because a column, a function or an operator brings it, or again because somebody wrote it down; and what is
//! PostgreSQL's own brings no user's type that it was not given. So where no name in a statement leads to the type, in an array, a
//! domain, a row or a range neither, nothing is converted to it.

use crate::lists::kinds;
use crate::on::On;
use crate::own::{Casts, Types};
use crate::{Reading, Relation};

/// The first such cast to a type of the user's that the names of a statement lead to.
#[derive(Debug)]
pub(crate) struct Hidden<'a> {
    on: On<'a>,
    found: Option<String>,
}

impl<'a> Hidden<'a> {
    pub(crate) fn new(on: On<'a>) -> Self {
        Hidden { on, found: None }
    }

    /// The search is over.
    pub(crate) fn done(&mut self) -> Option<String> {
        self.found.take()
    }

    /// A function is called by this name, as an attribute or not; or, since one can be written so, a cast.
    pub(crate) fn function(&mut self, name: &str) {
        if self.looks() {
            let on = self.on;
            for it in on.catalog().functions(name) {
                self.told(&it.types);
            }
            self.is_type(name);
        }
    }

    /// An operator of this name compares or computes, whether a text spells it or not.
    pub(crate) fn operator(&mut self, name: &str) {
        if self.looks() {
            let on = self.on;
            for it in on.catalog().operators(name) {
                self.told(&it.types);
            }
        }
    }

    /// A type is written down.
    pub(crate) fn data_type(&mut self, parts: &[String]) {
        if self.looks() {
            let known = parts.last().is_some_and(|name| self.is_type(name));
            if !known && !self.on.has_type(parts) {
                self.anything();
            }
        }
    }

    /// A name is that of a type, if the user has such a type. An array of it has its name behind an underscore, or behind more
    /// where that was taken.
    fn is_type(&mut self, name: &str) -> bool {
        let (on, mut known) = (self.on, false);
        let mut name = Some(name);
        while let Some(one) = name.filter(|_| self.looks()) {
            if let Some(cast) = on.casts_to_own().find(|it| it.target == one) {
                self.found = Some(cast.function.clone());
            }
            for it in on.catalog().types(one) {
                known = true;
                match &it.casts {
                    Casts::Plain => {}
                    Casts::Checks(checks) => self.list(checks),
                    Casts::Unknown => self.anything(),
                }
            }
            name = one.strip_prefix('_');
        }
        known
    }

    /// The expressions of a list of the catalog's own.
    pub(crate) fn list(&mut self, list: &str) {
        if !list.is_empty() && self.looks() {
            match self.on.read(&format!("SELECT {list}")) {
                Some(Reading {
                    statements,
                    why_opaque: None,
                    ..
                }) => statements
                    .into_iter()
                    .for_each(|it| self.behind(it.may_convert)),
                _ => self.anything(),
            }
        }
    }

    /// What was found behind something.
    pub(crate) fn behind(&mut self, found: Option<String>) {
        self.found = self.found.take().or(found);
    }

    /// A relation is read. PostgreSQL's own have no columns of a user's type; of one that the catalog does not list nobody knows.
    pub(crate) fn reads(&mut self, relation: &Relation) {
        let built_in = match relation.schema.as_deref() {
            Some(schema) => matches!(schema, "pg_catalog" | "information_schema"),
            None => relation.name.starts_with("pg_"),
        };
        if !built_in && self.on.behind(relation).is_empty() {
            self.anything();
        }
    }

    /// A struct of this kind was met. Whoever sends a parameter says of what type it is, outside the text.
    pub(crate) fn kind(&mut self, kind: &str) {
        if kind == "ParamRef" && !self.on.declares() {
            self.anything();
        }
    }

    /// A number was met: how far a window goes by values, a function says that was added to the order of their type.
    pub(crate) fn number(&mut self, kind: &str, field: &str, number: i32) {
        if (kind, field) == ("WindowDef", "frame_options") && kinds::goes_by_values(number) {
            self.anything();
        }
    }

    /// Something that may be of any type.
    pub(crate) fn anything(&mut self) {
        if self.looks() {
            self.found = self.on.casts_to_own().next().map(|it| it.function.clone());
        }
    }

    fn told(&mut self, types: &Types) {
        match types {
            Types::Untold => self.anything(),
            Types::Own(list) => self.list(list),
        }
    }

    /// Whether there is anything to be found, still.
    fn looks(&self) -> bool {
        self.found.is_none() && self.on.casts_to_own().next().is_some()
    }
}
