//! The functions that PostgreSQL has built in, by name, argument count and major, and what a call of each may do. It never
//! goes by volatility (`table_to_xml` is stable and reads any table it is told to), and never knows a user's function.
//!
//! `data/functions.txt` is generated (`make functions`): `name prokind volatility parallel set|- counts`. `2` is two arguments
//! on every major, `2@16-` since 16, `2+` two or more (variadic). A call whose count no built-in of that name can take resolves
//! to a user's function. `data/judged` is the judgement: a file for each kind, and every name in one of them. What `pg_proc`
//! has and SQL cannot call (arguments of type `internal`, handlers, triggers) is in neither.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lines::{Majors, lines};
use super::names;
use crate::{Class, Major};

const GENERATED: &str = include_str!("../../data/functions.txt");
const JUDGED: [(Kind, &str); 6] = [
    (Kind::Pure, include_str!("../../data/judged/pure.txt")),
    (Kind::Catalog, include_str!("../../data/judged/catalog.txt")),
    (Kind::Told, include_str!("../../data/judged/told.txt")),
    (Kind::Session, include_str!("../../data/judged/session.txt")),
    (Kind::Writes, include_str!("../../data/judged/writes.txt")),
    (
        Kind::Dangerous,
        include_str!("../../data/judged/dangerous.txt"),
    ),
];

/// What calling a function may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Nothing: its answer comes from its arguments.
    Pure,
    /// Reads catalogs, sizes, counters, facts of the own session.
    Catalog,
    /// Does what its arguments say: reads a table, runs a query or a CHECK, sets a setting.
    Told,
    /// Changes the own session, takes its locks, or depends on what was done in it.
    Session,
    /// Writes to the database.
    Writes,
    /// Reaches beyond the tables: files, other sessions, the whole server.
    Dangerous,
}

impl Kind {
    /// What a call of it makes of a statement, and what it does in words; none if it is harmless.
    pub(crate) fn harm(self) -> Option<(Class, &'static str)> {
        match self {
            Kind::Pure | Kind::Catalog => None,
            Kind::Told => Some((Class::Opaque, "does what it is told to")),
            // Locks and notifications reach others: they are gated as writes (hazards, section L).
            Kind::Session => Some((Class::Write, "uses or changes the state of the session")),
            Kind::Writes => Some((Class::Write, "writes")),
            Kind::Dangerous => Some((Class::Admin, "reaches beyond the tables")),
        }
    }
}

/// What is known of a call; what is known least is greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Known {
    /// A built-in function of this kind.
    Is(Kind),
    /// No built-in of this name takes so many arguments on this major.
    OtherCount,
    /// No built-in has this name on this major.
    No,
}

/// What is known of calling the function with these name parts and so many arguments on a server of this major. With
/// `VARIADIC array` the array stands for any number of them.
pub(crate) fn known(parts: &[String], args: usize, variadic: bool, major: Major) -> Known {
    let built_in = entry(parts)
        .and_then(|entry| Some((entry.kind, entry.counts.get(major.index()).copied()?)))
        .filter(|(_, counts)| *counts != 0);
    match built_in {
        None => Known::No,
        Some((kind, counts)) if takes(counts, args, variadic) => Known::Is(kind),
        Some(_) => Known::OtherCount,
    }
}

/// What every major knows of such a call, for a server whose major is not known: on one that lacks a name it may be a user's.
pub(crate) fn known_everywhere(parts: &[String], args: usize, variadic: bool) -> Known {
    let on_each = Major::ALL.map(|major| known(parts, args, variadic, major));
    on_each.into_iter().max().unwrap_or(Known::No)
}

/// Whether a function of [`Kind::Told`] does nothing but cast to the type of its first argument, or to those of its fields.
pub(crate) fn is_told_a_type(name: &str) -> bool {
    matches!(
        name,
        "json_populate_record"
            | "json_populate_recordset"
            | "jsonb_populate_record"
            | "jsonb_populate_record_valid"
            | "jsonb_populate_recordset"
    )
}

/// Whether a function of [`Kind::Told`] is told nothing where it has so many arguments: `ts_rewrite` of three queries replaces
/// one of them, and runs the text only of two arguments.
pub(crate) fn is_told_nothing(name: &str, args: usize) -> bool {
    (name, args) == ("ts_rewrite", 3)
}

/// Whether a function of [`Kind::Writes`] does nothing but give the transaction a number, as it may where it is READ ONLY.
/// DataGrip asks for one at every introspection.
pub(crate) fn takes_a_number(name: &str) -> bool {
    matches!(name, "pg_current_xact_id" | "txid_current")
}

/// Whether a built-in function of this name casts what it is given where no text says so: `to_json` and its like look for a
/// cast to json, even an explicit one; `quote_literal` and `quote_nullable` have one to text in their bodies.
pub(crate) fn looks_for_casts(name: &str) -> bool {
    name.contains("json") || matches!(name, "quote_literal" | "quote_nullable")
}

/// Whether `a.NAME` and `(a).NAME` may be a call of a function that a read may not call: attribute notation calls any function
/// of one argument (the manual, section 8.16.5). A user's own function cannot be told from a column here; what it may do is
/// for the server's fence.
pub(crate) fn calls_as_attribute(name: &str) -> bool {
    // Those of PostgreSQL's own extensions go by family.
    const FAMILIES: [&str; 4] = ["pg_", "lo_", "dblink", "xpath_table"];
    let one = BUILT_IN
        .get(name)
        .filter(|entry| entry.counts.iter().any(|counts| takes(*counts, 1, false)));
    match one {
        Some(entry) => entry.kind.harm().is_some(),
        None => {
            FAMILIES.iter().any(|family| name.starts_with(family)) || name.ends_with("_validator")
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    /// For each major: bit n says that n arguments are taken.
    counts: [u64; Major::ALL.len()],
}

static BUILT_IN: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let kinds: HashMap<_, _> = judged().map(|(kind, name)| (name, kind)).collect();
    let entry = |words: Vec<&'static str>| {
        let (name, counts) = counts(&words)?;
        let kind = *kinds.get(name)?;
        Some((name, Entry { kind, counts }))
    };
    lines(GENERATED).filter_map(entry).collect()
});

/// The table has `information_schema.name`, and of pg_catalog names without a dot.
fn entry(parts: &[String]) -> Option<&'static Entry> {
    match parts {
        [schema, name] if schema == "information_schema" => {
            BUILT_IN.get(format!("{schema}.{name}").as_str())
        }
        _ => BUILT_IN.get(names::bare(parts).filter(|name| !name.contains('.'))?),
    }
}

fn judged() -> impl Iterator<Item = (Kind, &'static str)> {
    JUDGED
        .into_iter()
        .flat_map(|(kind, text)| lines(text).flatten().map(move |name| (kind, name)))
}

/// The name on a line, and how many arguments it takes on each major.
fn counts(words: &[&'static str]) -> Option<(&'static str, [u64; Major::ALL.len()])> {
    let [name, _prokind, _volatility, _parallel, _set, taken @ ..] = words else {
        return None;
    };
    let mut counts = [0; Major::ALL.len()];
    for count in taken {
        let (bits, majors) = match count.split_once('@') {
            Some((count, majors)) => (bits(count)?, Majors::written(majors)?),
            None => (bits(count)?, Majors::ALL),
        };
        for (major, counts) in Major::ALL.into_iter().zip(&mut counts) {
            if majors.contains(major) {
                *counts |= bits;
            }
        }
    }
    Some((name, counts))
}

/// `2` as bit 2, `2+` as bits 2 to 63.
fn bits(count: &str) -> Option<u64> {
    match count.strip_suffix('+') {
        Some(from) => u64::MAX.checked_shl(from.parse().ok()?),
        None => 1_u64.checked_shl(count.parse().ok()?),
    }
}

/// Only what is variadic has bit 63.
fn takes(counts: u64, args: usize, variadic: bool) -> bool {
    let bit = if variadic { 63 } else { args.min(63) };
    counts >> bit & 1 == 1
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn call(name: &str, args: usize) -> Known {
        known_everywhere(&[name.to_owned()], args, false)
    }

    fn on(major: u16, name: &str, args: usize) -> Known {
        known(&[name.to_owned()], args, false, Major::new(major).unwrap())
    }

    #[test]
    fn every_name_has_one_kind_and_no_judgement_is_dead() {
        let mut kinds: BTreeMap<&str, Vec<Kind>> = BTreeMap::new();
        for (kind, name) in judged() {
            kinds.entry(name).or_default().push(kind);
        }
        let twice: Vec<_> = kinds.iter().filter(|(_, kinds)| kinds.len() > 1).collect();
        assert!(twice.is_empty(), "judged more than once: {twice:?}");
        let generated: BTreeSet<&str> = lines(GENERATED)
            .map(|words| {
                counts(&words)
                    .unwrap_or_else(|| panic!("malformed: {words:?}"))
                    .0
            })
            .collect();
        let judged: BTreeSet<&str> = kinds.into_keys().collect();
        let unjudged: Vec<_> = generated.difference(&judged).collect();
        assert!(unjudged.is_empty(), "not judged yet: {unjudged:?}");
        let dead: Vec<_> = judged.difference(&generated).collect();
        assert!(dead.is_empty(), "no major has them: {dead:?}");
        assert_eq!(generated.len(), BUILT_IN.len());
    }

    #[test]
    fn the_data_is_of_the_majors_that_are_known() {
        let of = format!("PostgreSQL {} to {}", Major::OLDEST, Major::GRAMMAR);
        assert!(
            GENERATED.lines().next().unwrap().contains(&of),
            "run `make functions`"
        );
        assert!(
            lines(GENERATED).is_sorted(),
            "not as `make functions` writes it"
        );
    }

    /// Names whose column in the generated table has the letter, and whose kind is one of these.
    fn lettered(column: usize, letter: char, kinds: &[Kind]) -> String {
        let names: BTreeSet<&str> = judged()
            .filter(|(kind, _)| kinds.contains(kind))
            .map(|(_, name)| name)
            .collect();
        let found = lines(GENERATED).filter(|words| words[column].contains(letter));
        let both: Vec<&str> = found
            .map(|words| words[0])
            .filter(|name| names.contains(name))
            .collect();
        both.join(" ")
    }

    /// Volatility proves nothing, but a volatile function that is pure is so by name: the dice and the clock.
    #[test]
    fn pure_is_not_volatile() {
        assert_eq!(
            lettered(2, 'v', &[Kind::Pure]),
            "array_sample array_shuffle clock_timestamp gen_random_uuid random random_normal timeofday timezone uuidv4 uuidv7"
        );
    }

    /// What PostgreSQL itself will not run beside others writes, or changes the session; but for these, which it keeps with
    /// the session for what they look at.
    #[test]
    fn harmless_is_not_parallel_unsafe() {
        assert_eq!(
            lettered(3, 'u', &[Kind::Pure, Kind::Catalog]),
            "current_schema current_schemas currval information_schema._pg_index_position lastval pg_current_xact_id_if_assigned pg_get_sequence_data pg_sequence_last_value \
             txid_current_if_assigned"
        );
    }

    /// That is why operators and casts may be used by name alone.
    #[test]
    fn what_operators_and_casts_call_is_harmless() {
        // Of these types the element's input function is called, and its own line says which that is.
        const BY_ELEMENT: [&str; 3] = ["array_in", "multirange_in", "range_in"];
        let harmless: BTreeSet<&str> = judged()
            .filter(|(kind, _)| kind.harm().is_none())
            .map(|(_, name)| name)
            .collect();
        let operators = lines(include_str!("../../data/operators.txt"));
        for words in operators.chain(lines(include_str!("../../data/types.txt"))) {
            let [name, _majors, functions @ ..] = words.as_slice() else {
                panic!("malformed: {words:?}");
            };
            assert!(!functions.is_empty(), "{name}");
            for function in functions {
                let known = harmless.contains(function) || BY_ELEMENT.contains(function);
                assert!(known, "{name} calls {function}()");
            }
        }
    }

    #[test]
    fn counts_decide() {
        assert_eq!(call("lower", 1), Known::Is(Kind::Pure));
        assert_eq!(call("lower", 2), Known::OtherCount);
        assert_eq!(call("concat", 0), Known::OtherCount);
        assert_eq!(call("concat", 99), Known::Is(Kind::Pure));
        assert_eq!(call("count", 0), Known::Is(Kind::Pure));
        assert_eq!(call("nextval", 1), Known::Is(Kind::Writes));
        assert_eq!(call("billing", 1), Known::No);
        let parts = |parts: &[&str]| {
            parts
                .iter()
                .map(|&part| part.to_owned())
                .collect::<Vec<_>>()
        };
        let two = |schema, name| known_everywhere(&parts(&[schema, name]), 1, false);
        assert_eq!(two("public", "lower"), Known::No);
        assert_eq!(two("pg_catalog", "lower"), Known::Is(Kind::Pure));
        assert_eq!(
            two("information_schema", "_pg_expandarray"),
            Known::Is(Kind::Pure)
        );
        assert_eq!(two("information_schema", "lower"), Known::No);
        assert_eq!(call("_pg_expandarray", 1), Known::No);
        assert_eq!(call("information_schema._pg_expandarray", 1), Known::No);
        let spread = |name| known_everywhere(&parts(&[name]), 1, true);
        assert_eq!(spread("concat"), Known::Is(Kind::Pure));
        assert_eq!(spread("lower"), Known::OtherCount);
    }

    /// On a server that lacks a name or a count, it may be a user's.
    #[test]
    fn majors_decide() {
        assert_eq!(on(14, "regexp_count", 2), Known::No);
        assert_eq!(on(15, "regexp_count", 2), Known::Is(Kind::Pure));
        assert_eq!(on(16, "random", 2), Known::OtherCount);
        assert_eq!(on(17, "random", 2), Known::Is(Kind::Pure));
        assert_eq!(on(14, "pg_start_backup", 1), Known::Is(Kind::Dangerous));
        assert_eq!(on(15, "pg_start_backup", 1), Known::No);
        for some in [("regexp_count", 2), ("pg_is_in_backup", 0)] {
            assert_eq!(call(some.0, some.1), Known::No);
        }
        assert_eq!(call("random", 2), Known::OtherCount);
    }

    #[test]
    fn attributes_that_are_calls() {
        for name in [
            "pg_read_file",
            "nextval",
            "lo_unlink",
            "ts_stat",
            "setseed",
            "dblink_exec",
            "pg_prewarm",
        ] {
            assert!(calls_as_attribute(name), "{name}");
        }
        for name in [
            "name",
            "date",
            "lower",
            "n",
            "pg_get_viewdef",
            "pg_table_size",
            "set_config",
        ] {
            assert!(!calls_as_attribute(name), "{name}");
        }
    }
}
