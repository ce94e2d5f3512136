//! The identity of a request: every bit of what runs and where, and nothing else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use common::{Asks, bind, prepared};
use gate::work::Values;
use gate::{Digest, Step, Work};
use sql::Isolation;

fn values(values: &[Option<&'static str>], formats: &[i16], results: &[i16]) -> Values {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    Values {
        formats: formats.to_vec(),
        values: values.iter().map(|it| it.map(bytes)).collect(),
        result_formats: results.to_vec(),
    }
}

fn one(text: &str, types: &[u32], values: Values) -> Asks {
    Asks::work(Work::Batch(vec![bind("", text, types, values)]))
}

/// Two statements that are bound, and which of them is executed how far.
fn two(executes: &[(&'static str, i32)]) -> Asks {
    let mut steps = vec![
        bind("a", "INSERT INTO audit VALUES (1)", &[], Values::default()),
        bind("b", "DELETE FROM t", &[], Values::default()),
    ];
    steps.extend(executes.iter().map(|(portal, max_rows)| Step::Execute {
        portal: (*portal).into(),
        max_rows: *max_rows,
    }));
    Asks::work(Work::Batch(steps))
}

fn several(asks: Asks, change: impl FnOnce(&mut gate::Context)) -> Asks {
    let mut asks = asks;
    change(&mut asks.context);
    asks
}

/// Requests that differ in what runs.
fn works() -> Vec<(&'static str, Asks)> {
    vec![
        ("base", Asks::query("SELECT 1")),
        ("text", Asks::query("SELECT 2")),
        ("blank", Asks::query("SELECT 1 ")),
        ("case", Asks::query("select 1")),
        ("batch", one("SELECT 1", &[], Values::default())),
        ("type", one("SELECT 1", &[25], Values::default())),
        ("other type", one("SELECT 1", &[23], Values::default())),
        (
            "value",
            one("SELECT 1", &[], values(&[Some("a")], &[], &[])),
        ),
        (
            "other value",
            one("SELECT 1", &[], values(&[Some("b")], &[], &[])),
        ),
        (
            "empty value",
            one("SELECT 1", &[], values(&[Some("")], &[], &[])),
        ),
        ("null", one("SELECT 1", &[], values(&[None], &[], &[]))),
        (
            "two nulls",
            one("SELECT 1", &[], values(&[None, None], &[], &[])),
        ),
        (
            "format",
            one("SELECT 1", &[], values(&[Some("a")], &[1], &[])),
        ),
        (
            "text format",
            one("SELECT 1", &[], values(&[Some("a")], &[0], &[])),
        ),
        (
            "result format",
            one("SELECT 1", &[], values(&[Some("a")], &[], &[1])),
        ),
        ("executed", two(&[("a", 0), ("b", 0)])),
        ("in other order", two(&[("b", 0), ("a", 0)])),
        ("one alone", two(&[("b", 0)])),
        ("one twice", two(&[("a", 0), ("a", 0)])),
        ("so far", two(&[("a", 1), ("b", 0)])),
        ("twice", Asks::batch(&["SELECT 1", "SELECT 1"])),
        ("joined", Asks::batch(&["SELECT 1SELECT 1"])),
    ]
}

/// Requests that differ in where it runs.
fn contexts() -> Vec<(&'static str, Asks)> {
    let base = || Asks::query("SELECT 1");
    let setting = |name: &str, value: &str| {
        let pair = (name.to_owned(), value.to_owned());
        several(base(), |it| it.settings = Arc::new([pair].into()))
    };
    vec![
        ("tenant", base().at("other")),
        ("principal", base().by("bob")),
        (
            "cluster",
            several(base(), |it| it.system_identifier = Arc::from("7002")),
        ),
        ("role", several(base(), |it| it.role = Arc::from("acme_ro"))),
        (
            "state",
            several(base(), |it| it.state = Some(Digest::of(b"x"))),
        ),
        (
            "isolation",
            several(base(), |it| it.isolation = Some(Isolation::Serializable)),
        ),
        (
            "transaction",
            several(base(), |it| it.in_transaction = true),
        ),
        ("search_path", setting("search_path", "a")),
        ("other search_path", setting("search_path", "b")),
        ("datestyle", setting("datestyle", "ISO")),
    ]
}

/// Hazards R91, R92: all of these are different requests.
#[test]
fn every_bit_of_what_runs_and_where_counts() {
    let all = works().into_iter().chain(contexts());
    let mut seen = HashMap::new();
    for (what, asks) in all {
        let digest = asks.request().digest();
        if let Some(same) = seen.insert(digest, what) {
            assert_eq!(same, what, "two requests with one digest");
        }
    }
}

#[test]
fn names_of_portals_groups_and_looks_of_things_do_not_count() {
    let of = |asks: &Asks| asks.request().digest();
    let named = |portal: &str| {
        Asks::work(Work::Batch(vec![bind(
            portal,
            "SELECT 1",
            &[],
            Values::default(),
        )]))
    };
    assert_eq!(of(&named("")), of(&named("c1")));
    let parsed = || {
        let statement = prepared("", "SELECT 1", &[]);
        let bound = Step::Bind {
            portal: "".into(),
            statement: Arc::clone(&statement),
            values: Values::default(),
        };
        Asks::work(Work::Batch(vec![
            Step::Parse(Arc::clone(&statement)),
            Step::DescribeStatement(statement),
            bound,
        ]))
    };
    assert_eq!(of(&named("")), of(&parsed()));
    let base = Asks::query("SELECT 1");
    assert_eq!(of(&base), of(&base.clone().in_group("ops")));
    for name in [
        "application_name",
        "statement_timeout",
        "client_min_messages",
    ] {
        let pair = (name.to_owned(), "1".to_owned());
        let other = several(base.clone(), |it| it.settings = Arc::new([pair].into()));
        assert_eq!(of(&base), of(&other), "{name}");
    }
}

#[test]
fn what_runs_is_what_is_bound() {
    let statement = prepared("", "SELECT 1", &[]);
    let looked = Work::Batch(vec![Step::Parse(statement)]);
    assert!(looked.pieces().next().is_none() && looked.texts().is_empty());
    assert_eq!(Asks::batch(&["SELECT 1", "SELECT 2"]).work.texts().len(), 2);
    let Work::Batch(mut steps) = Asks::batch(&["SELECT 1"]).work else {
        panic!("a batch");
    };
    let alone = Work::Batch(steps.clone());
    steps.push(Step::Parse(prepared("p", "SELECT '{1}'::checked[]", &[])));
    let beside = Work::Batch(steps);
    assert_eq!(beside.texts(), ["SELECT 1", "SELECT '{1}'::checked[]"]);
    let of = |work| Asks::work(work).request().digest();
    assert_ne!(of(alone), of(beside));
}

#[test]
fn people_see_texts_and_parameters() {
    let asks = one(
        "SELECT $1, $2, $3",
        &[25],
        values(&[Some("a"), None, Some("\u{1}b")], &[0, 0, 1], &[]),
    );
    let asked = gate::audit::asked(&asks.request());
    let shown: Vec<_> = asked[0]
        .parameters
        .iter()
        .map(|it| (it.type_oid, it.value.as_deref()))
        .collect();
    assert_eq!(shown, [(25, Some("a")), (0, None), (0, Some("\\x0162"))]);
}
