//! PostgreSQL's own operators, types and sampling methods, by name and major. It never lists an extension's.
//!
//! `data/operators.txt`, `types.txt` and `samplings.txt` are generated (`make functions`): `name majors`, and then the
//! functions behind it, which are all judged harmless.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lines::{Majors, lines};
use crate::{Major, Relation};

const OPERATORS: &str = include_str!("../../data/operators.txt");
const TYPES: &str = include_str!("../../data/types.txt");
const SAMPLINGS: &str = include_str!("../../data/samplings.txt");

/// Words that stand in an operator's place in the tree.
const OPERATOR_WORDS: [&str; 4] = [
    "BETWEEN",
    "NOT BETWEEN",
    "BETWEEN SYMMETRIC",
    "NOT BETWEEN SYMMETRIC",
];

type Table = LazyLock<HashMap<&'static str, Majors>>;

static KNOWN_OPERATORS: Table = LazyLock::new(|| table(OPERATORS));
/// Base, range and multirange types, and arrays of these. Domains, enums and rows are not here: a domain's CHECK runs on a cast.
static KNOWN_TYPES: Table = LazyLock::new(|| table(TYPES));
static KNOWN_SAMPLINGS: Table = LazyLock::new(|| table(SAMPLINGS));

/// Whether these are the parts of a built-in operator's name.
pub(crate) fn operator(parts: &[String], major: Major) -> bool {
    bare(parts).is_some_and(|name| OPERATOR_WORDS.contains(&name))
        || knows(&KNOWN_OPERATORS, parts, major)
}

/// The operators that a word in an operator's place stands for.
pub(crate) fn stands_for(name: &str) -> &'static [&'static str] {
    if OPERATOR_WORDS.contains(&name) {
        &["<", "<=", ">", ">="]
    } else {
        &[]
    }
}

/// Whether these are the parts of a built-in type's name, or of its array's (`_text`).
pub(crate) fn data_type(parts: &[String], major: Major) -> bool {
    // Only rows that are there already, and NULL, can be cast to a row of no type.
    bare(parts) == Some("record") || knows(&KNOWN_TYPES, parts, major)
}

/// Views of PostgreSQL's own behind which a function stands that reaches beyond the tables.
const BEYOND: [&str; 7] = [
    "pg_backend_memory_contexts",
    "pg_config",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_shmem_allocations",
    "pg_shmem_allocations_numa",
];

/// Whether a relation is a view of PostgreSQL's own that shows files or memory.
pub(crate) fn reaches_beyond(relation: &Relation) -> bool {
    let built_in = relation
        .schema
        .as_deref()
        .is_none_or(|it| it == "pg_catalog");
    built_in && BEYOND.contains(&relation.name.as_str())
}

/// Whether these are the parts of a built-in sampling method's name.
pub(crate) fn sampling(parts: &[String], major: Major) -> bool {
    knows(&KNOWN_SAMPLINGS, parts, major)
}

fn knows(table: &Table, parts: &[String], major: Major) -> bool {
    bare(parts)
        .and_then(|name| table.get(name))
        .is_some_and(|majors| majors.contains(major))
}

fn table(text: &'static str) -> HashMap<&'static str, Majors> {
    let named = |words: Vec<&'static str>| {
        let [name, majors, ..] = words.as_slice() else {
            return None;
        };
        Some((*name, Majors::written(majors)?))
    };
    lines(text).filter_map(named).collect()
}

/// The last part, of a name that is unqualified or of pg_catalog.
pub(crate) fn bare(parts: &[String]) -> Option<&str> {
    match parts {
        [name] => Some(name),
        [schema, name] if schema == "pg_catalog" => Some(name),
        _ => None,
    }
}

/// Parts as one would write them.
pub(crate) fn written(parts: &[String]) -> String {
    parts.join(".")
}

/// Kinds that have a name in parts, and in which field.
pub(crate) fn holds_name(kind: &str, field: &str) -> bool {
    matches!(
        (kind, field),
        ("FuncCall", "funcname")
            | ("AExpr", "name")
            | ("SubLink", "oper_name")
            | ("SortBy", "use_op")
            | ("TypeName", "names")
            | ("RangeTableSample", "method")
            | ("ColumnRef", "fields")
            | ("AIndirection", "indirection")
    )
}

/// The kinds of `holds_name`.
pub(crate) fn owns_names(kind: &str) -> bool {
    matches!(
        kind,
        "FuncCall"
            | "AExpr"
            | "SubLink"
            | "SortBy"
            | "TypeName"
            | "RangeTableSample"
            | "ColumnRef"
            | "AIndirection"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str) -> Vec<String> {
        name.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_line_is_well_formed_and_named_once() {
        for text in [OPERATORS, TYPES, SAMPLINGS] {
            assert_eq!(lines(text).count(), table(text).len());
            assert!(lines(text).is_sorted(), "not as `make functions` writes it");
        }
    }

    #[test]
    fn majors_decide() {
        let on = |major| Major::new(major).unwrap();
        assert!(operator(&parts("pg_catalog ||"), Major::OLDEST));
        assert!(operator(&parts("@"), Major::GRAMMAR));
        assert!(!operator(&parts("public ||"), Major::OLDEST));
        assert!(!operator(&parts("@!@"), Major::OLDEST));
        assert!(data_type(&parts("_int4multirange"), on(14)));
        for other in [
            "cardinal_number",
            "_record",
            "pg_class",
            "_pg_class",
            "cstring",
            "unknown",
            "__text",
        ] {
            assert!(!data_type(&parts(other), on(18)), "{other}");
        }
        assert!(sampling(&parts("bernoulli"), on(14)));
        assert!(!sampling(&parts("system_rows"), on(14)));
    }
}
