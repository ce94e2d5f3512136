//! The table of hiding places, `tests/fixtures/hiding/places.toml`, and the ways to spell what it holds. It judges nothing: the
//! tests here ask `sql`, and those in `tests/it` a policy and a gate.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test uses a part of it"
)]

use std::fmt;

use sql::{Class, Major};
use toml::{Table, Value};

const PLACES: &str = include_str!("../../../../tests/fixtures/hiding/places.toml");

/// A row of the table.
#[derive(Debug)]
pub struct Place {
    pub name: String,
    pub source: String,
    pub rule: Rule,
    /// A part of the reason that is given, if calls are in it.
    pub says: Option<String>,
    /// As they are written down; of a call, a SELECT of it.
    pub texts: Vec<String>,
    calls: Vec<String>,
    /// The parser does not take it.
    pub not_sql: bool,
}

/// What is expected of a place.
#[derive(Debug)]
pub enum Rule {
    /// It is of this class at least, and held.
    Weakest(Class),
    /// It is opaque before this major, and where nobody knows which it is; from then on it passes.
    Before(Major),
    /// It passes.
    Passes,
    /// These tests prove it: file and name.
    Wire(Vec<String>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.source)
    }
}

impl Rule {
    /// Whether it passes on a server of this major.
    pub fn passes_on(&self, major: Option<Major>) -> bool {
        match self {
            Rule::Before(first) => major >= Some(*first),
            Rule::Passes => true,
            Rule::Weakest(_) | Rule::Wire(_) => false,
        }
    }
}

/// All rows.
pub fn places() -> Vec<Place> {
    let table: Table = PLACES.parse().unwrap();
    let rows = table["place"].as_array().unwrap();
    rows.iter()
        .map(|row| place(row.as_table().unwrap()))
        .collect()
}

fn place(row: &Table) -> Place {
    let name = text(&row["name"]);
    let keys = ["weakest", "before", "passes", "wire"].map(|key| row.get(key));
    let rule = match keys {
        [Some(class), None, None, None] => Rule::Weakest(text(class).parse().unwrap()),
        [None, Some(major), None, None] => Rule::Before(major.to_string().parse().unwrap()),
        [None, None, Some(_), None] => Rule::Passes,
        [None, None, None, Some(_)] => Rule::Wire(list(row, "wire")),
        _ => panic!("{name}: one of weakest, before, passes and wire"),
    };
    let calls = list(row, "calls");
    let mut texts = list(row, "texts");
    texts.extend(calls.iter().map(|call| format!("SELECT {call}")));
    let wire = matches!(rule, Rule::Wire(_));
    assert_eq!(texts.is_empty(), wire, "{name}: texts, or the wire alone");
    Place {
        source: text(&row["source"]),
        says: row.get("says").map(text),
        not_sql: row.get("not_sql").is_some(),
        rule,
        texts,
        calls,
        name,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn list(row: &Table, key: &str) -> Vec<String> {
    let values = row.get(key).and_then(Value::as_array);
    values.into_iter().flatten().map(text).collect()
}

/// Whether it can stand wherever a query can.
pub fn is_query(text: &str) -> bool {
    matches!(first_word(text), "SELECT" | "WITH" | "VALUES" | "TABLE")
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

impl Place {
    /// Every way to write what it holds.
    pub fn spellings(&self) -> Vec<String> {
        let mut all: Vec<String> = self.texts.iter().flat_map(|it| dressed(it)).collect();
        // A name in quotes means another one in capitals.
        let plain = self.texts.iter().filter(|it| !it.contains('"'));
        all.extend(plain.map(|it| it.to_uppercase()));
        all.extend(self.calls.iter().flat_map(|it| called(it)));
        if matches!(self.rule, Rule::Passes) {
            return all;
        }
        let queries = self.texts.iter().filter(|it| is_query(it));
        all.extend(queries.flat_map(|it| within(it)));
        if matches!(self.rule, Rule::Before(_)) {
            // On no server a read.
            all.retain(|it| !it.starts_with("COPY"));
        }
        let changes = ["INSERT", "UPDATE", "DELETE", "MERGE"];
        let runs = |it: &&String| is_query(it) || changes.contains(&first_word(it));
        all.extend(self.texts.iter().filter(runs).flat_map(|it| behind(it)));
        all
    }
}

/// A statement with something around it that says nothing.
fn dressed(text: &str) -> [String; 3] {
    [
        text.to_owned(),
        format!("/* /* nested */ */ -- SELECT 1\n\t{text} /* end */ ;"),
        format!(";\r\n{text};;"),
    ]
}

/// A call in every way that it can be written.
fn called(call: &str) -> Vec<String> {
    let (name, rest) = call.split_once('(').unwrap();
    let capitals = name.to_uppercase();
    let first = name.chars().next().map_or(0, u32::from);
    let tail = &name[1..];
    [
        format!("SELECT pg_catalog.{call}"),
        format!("SELECT {capitals} ({rest}"),
        format!("SELECT \"{name}\"({rest}"),
        format!("SELECT \"pg_catalog\" . /* here */ \"{name}\"\n({rest}"),
        format!("SELECT U&\"\\{first:04x}{tail}\"({rest}"),
        format!("SELECT U&\"!{first:04X}{tail}\" UESCAPE '!' ({rest}"),
        format!("SELECT * FROM {call}"),
        format!("SELECT * FROM ROWS FROM ({call}, generate_series(1, 2)) WITH ORDINALITY"),
        format!("SELECT 1 FROM t, LATERAL {call} x"),
        format!("SELECT 1 LIMIT (SELECT 1 FROM {call})"),
        format!("SELECT a FROM t WHERE {call} IS NULL"),
        format!("SELECT CASE WHEN a THEN COALESCE(1, {call}) END FROM t ORDER BY {call}"),
        format!("SELECT ({call}).*"),
        format!("VALUES (1), ({call})"),
    ]
    .to_vec()
}

/// A query where a query can stand.
fn within(query: &str) -> [String; 7] {
    [
        format!("WITH w AS ({query}) SELECT * FROM w"),
        format!("WITH w AS MATERIALIZED ({query}) SELECT 1"),
        format!("SELECT * FROM ({query}) AS x"),
        format!("SELECT 1 WHERE EXISTS ({query})"),
        format!("SELECT 1 UNION ALL ({query})"),
        format!("DECLARE c CURSOR FOR {query}"),
        format!("COPY ({query}) TO STDOUT"),
    ]
}

/// A statement in one that explains or prepares it.
fn behind(statement: &str) -> [String; 4] {
    [
        format!("EXPLAIN {statement}"),
        format!("EXPLAIN (ANALYZE off, FORMAT json, VERBOSE) {statement}"),
        format!("EXPLAIN ANALYZE {statement}"),
        format!("PREPARE p AS {statement}"),
    ]
}
