//! Whether a read says the same on every server that has replayed the same log: what may run on a replica (hazards R119). It never
//! says whether something may run at all.

use crate::lists::functions::{Kind, Known, known_everywhere};
use crate::{Class, Function, Leaves, Relation, Statement};

impl Statement {
    /// Whether it reads tables, by nothing but what its texts and their rows say. What asks for the server itself does not, nor
    /// what runs something of the user's; reads of the catalogs stay with it, since some of them are of the server alone.
    pub fn is_same_anywhere(&self) -> bool {
        self.class == Class::Read
            && self.control.is_none()
            && self.own.is_none()
            && self.keeps.is_none()
            && self.prepared.is_none()
            && self.signal.is_none()
            && self.leaves == Leaves::Nothing
            && self.writes.is_empty()
            && !self.reads.is_empty()
            && !self.relations_read().any(is_of_system)
            && self.functions.iter().all(is_pure)
    }

    /// The relations that it reads, and those behind them.
    pub fn relations_read(&self) -> impl Iterator<Item = &Relation> {
        self.reads.iter().chain(&self.behind)
    }
}

fn is_of_system(relation: &Relation) -> bool {
    match relation.schema.as_deref() {
        Some(schema) => matches!(schema, "pg_catalog" | "information_schema" | "pg_temp"),
        None => relation.name.starts_with("pg_"),
    }
}

fn is_pure(function: &Function) -> bool {
    let parts: Vec<String> = function
        .schema
        .iter()
        .chain([&function.name])
        .cloned()
        .collect();
    known_everywhere(&parts, function.args, false) == Known::Is(Kind::Pure)
}
