//! What a user's own function, operator, type or relation is, as a catalog lists it: plain data. It never asks a catalog.

use crate::Relation;

/// Whether something of the user's may run where only reads may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It may.
    None,
    /// It may not, for this reason: a phrase that follows its name.
    Because(&'static str),
}

/// A cast that is made where nobody writes it.
#[derive(Debug)]
pub(crate) struct HiddenCast {
    pub(crate) function: String,
    pub(crate) target: String,
}

#[derive(Debug)]
pub(crate) struct UserFunction {
    pub(crate) schema: String,
    pub(crate) args_min: usize,
    /// None: variadic.
    pub(crate) args_max: Option<usize>,
    pub(crate) types: Types,
    pub(crate) harm: Harm,
}

#[derive(Debug)]
pub(crate) struct UserOperator {
    pub(crate) schema: String,
    pub(crate) types: Types,
    pub(crate) harm: Harm,
}

/// Those of the user's types that something takes or gives.
#[derive(Debug)]
pub(crate) enum Types {
    /// Expressions of them; there may be none.
    Own(String),
    /// Nobody said.
    Untold,
}

impl Types {
    /// As a row has them: `-` for none.
    pub(crate) fn of_row(list: Option<&str>) -> Types {
        match list {
            None | Some("") => Types::Untold,
            Some("-") => Types::Own(String::new()),
            Some(list) => Types::Own(list.to_owned()),
        }
    }
}

/// A type that is not PostgreSQL's own.
#[derive(Debug)]
pub(crate) struct UserType {
    pub(crate) schema: String,
    /// What a cast to it may run.
    pub(crate) casts: Casts,
}

#[derive(Debug)]
pub(crate) enum Casts {
    /// Nothing but the type's own input.
    Plain,
    /// What this condition runs.
    Checks(String),
    /// Nobody knows.
    Unknown,
}

/// A relation that is not PostgreSQL's own.
#[derive(Debug)]
pub(crate) struct UserRelation {
    pub(crate) schema: String,
    pub(crate) kind: RelationKind,
}

/// What stands behind a relation's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RelationKind {
    /// Rows of its own, or of its partitions, and what writing them runs.
    Table(Runs),
    /// A query.
    View(String),
    /// Something that this wrapper of foreign data answers.
    Foreign(String),
    /// Rows of this one, too: a partition, or a child.
    Parent(Relation),
}

/// `volatility language definer`, as in `s plpgsql f`.
pub(crate) fn harm(facts: &str) -> Option<Harm> {
    let mut words = facts.split(' ');
    let (volatility, language, definer) = (words.next()?, words.next()?, words.next()?);
    Some(match (volatility, language, definer) {
        ("v", ..) => Harm::Because("is volatile"),
        (_, _, "t") => Harm::Because("runs with its owner's rights"),
        ("i" | "s", "sql" | "plpgsql", "f") | ("i", "c" | "internal", "f") => Harm::None,
        ("s", "c" | "internal", "f") => Harm::Because("is in C and not immutable"),
        ("i" | "s", _, "f") => Harm::Because("is in a language that may do anything"),
        _ => return None,
    })
}

pub(crate) fn worst(all: impl Iterator<Item = (String, Harm)>) -> Option<(String, Harm)> {
    all.reduce(|worst, next| if worst.1 == Harm::None { next } else { worst })
}

/// What inserting, changing or deleting rows of a table runs, beside what a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// These expressions at most: defaults, checks, what indexes are made of, policies. With an identity column a sequence counts.
    Expressions { list: String, counts: bool },
    /// Triggers and rules, of its own or of tables that follow it, and these expressions.
    Anything { list: String },
}

impl Runs {
    /// The expressions.
    pub(crate) fn list(&self) -> &str {
        match self {
            Runs::Expressions { list, .. } | Runs::Anything { list } => list,
        }
    }
}
