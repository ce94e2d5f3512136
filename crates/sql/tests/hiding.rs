//! Places where a write hides in what looks like a read: the table in tests/fixtures/hiding, and the rows and pitfalls of
//! parser.md.
//! It never needs a server: that the server agrees was measured when the rows were written down.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

mod places;

use std::{iter, thread};

use places::{Place, Rule, is_query, places};
use sql::{Catalog, Class, Major, Reading};

fn class(text: &str) -> Class {
    sql::read(text).class().unwrap_or(Class::Read)
}

/// The table of hiding places: every spelling of every one of them, on a server of each major and on one that nobody knows.
#[test]
fn hiding_places() {
    let all = places();
    let places = &all;
    let majors = iter::once(None).chain(Major::ALL.map(Some));
    let wrong: Vec<String> = thread::scope(|scope| {
        let at_once: Vec<_> = majors
            .map(|major| scope.spawn(move || all_misread(places, &Catalog::unknown(major))))
            .collect();
        let each = at_once.into_iter().flat_map(|it| it.join().unwrap());
        each.collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn all_misread(places: &[Place], catalog: &Catalog) -> Vec<String> {
    let mut wrong = Vec::new();
    for place in places {
        for text in place.spellings() {
            let reading = sql::read_for(&text, catalog);
            if let Some(why) = misread(place, &text, catalog, &reading) {
                let on = catalog.major();
                wrong.push(format!("{place}: on {on:?}: {text}: {why}: {reading:?}"));
            }
        }
    }
    wrong
}

/// What is wrong with what a hiding place was taken for.
fn misread(place: &Place, text: &str, catalog: &Catalog, reading: &Reading) -> Option<String> {
    // A slip of the pen would be opaque, and prove nothing.
    if reading.why_opaque.is_some() != place.not_sql {
        return Some("is it SQL or not?".to_owned());
    }
    let Some(class) = reading.class() else {
        return Some("is empty".to_owned());
    };
    let passes = place.rule.passes_on(catalog.major());
    let weakest = match place.rule {
        Rule::Weakest(weakest) => weakest,
        _ if passes => Class::Read,
        _ => Class::Opaque,
    };
    if class < weakest {
        return Some(format!("{class}, weaker than {weakest}"));
    }
    if passes && !matches!(class, Class::Read | Class::Session) {
        return Some(format!("{class} does not pass"));
    }
    // Where the major is known, so is what it lacks.
    let says = place.says.as_ref().filter(|_| catalog.major().is_none())?;
    let prepared = text.contains("PREPARE");
    let said = reading.statements.iter().any(|it| it.why.contains(says));
    (!said && !prepared).then(|| format!("nothing of \"{says}\""))
}

/// The same behind a view, which is read as the query that it is.
#[test]
fn hiding_places_behind_views() {
    let mut views = 0;
    for place in places() {
        let (major, weakest) = match place.rule {
            Rule::Weakest(weakest) => (Some(Major::GRAMMAR), weakest),
            Rule::Before(first) => (
                Major::ALL.into_iter().rfind(|it| *it < first),
                Class::Opaque,
            ),
            _ => continue,
        };
        for query in place.texts.iter().filter(|text| is_query(text)) {
            let row = ["relation", "public", "hidden", "v", query];
            let catalog = Catalog::of_rows(major, [row]).unwrap();
            for text in ["SELECT 1 FROM hidden", "TABLE public.hidden"] {
                let reading = sql::read_for(text, &catalog);
                assert!(
                    reading.class() >= Some(weakest),
                    "{place}: a view of {query}: {reading:?}"
                );
            }
            views += 1;
        }
    }
    assert!(views > 180, "only {views} views");
}

/// Texts that call `f`, each in another place.
const CALLS: &[&str] = &[
    "SELECT f()",
    "SELECT a FROM t WHERE f() = 1",
    "SELECT a FROM t LIMIT f()",
    "SELECT a FROM t OFFSET f()",
    "SELECT a FROM t FETCH FIRST (f()) ROWS ONLY",
    "VALUES (1), (f())",
    "SELECT DISTINCT ON (f()) a FROM t",
    "SELECT count(*) FILTER (WHERE f()) FROM t",
    "SELECT count(*) OVER (PARTITION BY f()) FROM t",
    "SELECT count(*) OVER (ORDER BY f()) FROM t",
    "SELECT count(*) OVER (ROWS f() PRECEDING) FROM t",
    "SELECT count(*) OVER (ROWS BETWEEN 1 PRECEDING AND f() FOLLOWING) FROM t",
    "SELECT count(*) OVER w FROM t WINDOW w AS (ORDER BY f())",
    "SELECT * FROM t TABLESAMPLE system (f())",
    "SELECT * FROM t TABLESAMPLE system (1) REPEATABLE (f())",
    "SELECT 1 FROM t GROUP BY GROUPING SETS ((f()))",
    "SELECT 1 FROM t GROUP BY CUBE (a, f())",
    "SELECT 1 FROM t HAVING f()",
    "SELECT a[f()] FROM t",
    "SELECT a[1:f()] FROM t",
    "SELECT (a).b[f()] FROM t",
    "SELECT make_interval(days => f())",
    "SELECT CASE f() WHEN 1 THEN 2 END",
    "SELECT CASE WHEN true THEN f() END",
    "SELECT CASE WHEN true THEN 1 ELSE f() END",
    "SELECT percentile_cont(f()) WITHIN GROUP (ORDER BY a) FROM t",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY f()) FROM t",
    "SELECT array_agg(a ORDER BY f()) FROM t",
    "SELECT * FROM a JOIN b ON f()",
    "SELECT * FROM ROWS FROM (generate_series(1, 2), f())",
    "SELECT * FROM f() WITH ORDINALITY",
    "SELECT * FROM t, LATERAL (SELECT f()) x",
    "SELECT COALESCE(1, f()), GREATEST(1, f())",
    "SELECT NULLIF(1, f())",
    "SELECT ROW(f())",
    "SELECT ARRAY[[f()]]",
    "SELECT (SELECT (SELECT f()))",
    "SELECT EXISTS (SELECT f())",
    "SELECT 1 IN (f())",
    "SELECT 1 = ANY (SELECT f())",
    "SELECT f() IS NULL",
    "SELECT f() IS TRUE",
    "SELECT f()::text",
    "SELECT f() COLLATE \"C\"",
    "SELECT (f()).a",
    "SELECT (f()).*",
    "SELECT f() BETWEEN 1 AND 2",
    "SELECT 1 UNION SELECT f()",
    "WITH x AS (SELECT f()) SELECT 1",
    "WITH RECURSIVE r AS (SELECT 1 UNION SELECT f()) SELECT * FROM r",
    "WITH RECURSIVE r(a) AS (SELECT 1) CYCLE a SET c TO f() DEFAULT 1 USING p SELECT * FROM r",
    "SELECT a FROM t ORDER BY f()",
    "TABLE t ORDER BY f()",
    "SELECT f() AT TIME ZONE 'UTC'",
    "SELECT extract(year FROM f())",
    "EXPLAIN SELECT f()",
    "COPY (SELECT f()) TO STDOUT",
    "DECLARE c CURSOR FOR SELECT f()",
    "INSERT INTO t VALUES (f())",
    "INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE f() DO UPDATE SET b = f() WHERE f()",
    "INSERT INTO t VALUES (1) RETURNING f()",
    "UPDATE t SET a = f()",
    "UPDATE t SET (a, b) = (f(), 1)",
    "DELETE FROM t WHERE f()",
    "MERGE INTO t USING s ON f() WHEN MATCHED THEN DELETE",
    "MERGE INTO t USING s ON true WHEN MATCHED AND f() THEN DELETE",
    "COPY t FROM STDIN WHERE f()",
    "SELECT xmlelement(name a, f())",
    "SELECT JSON_OBJECT('a': f())",
];

/// Every place a call can stand; the crate's own `functions()` misses most of them.
#[test]
fn a_call_is_found_wherever_it_stands() {
    for &text in CALLS {
        let reading = sql::read(text);
        assert_eq!(reading.class(), Some(Class::Opaque), "{text}: {reading:?}");
        let called = reading
            .statements
            .iter()
            .flat_map(|s| &s.functions)
            .any(|f| f.name == "f" || f.name == "timezone");
        assert!(
            called || text.starts_with("WITH RECURSIVE r(a)"),
            "{text}: {reading:?}"
        );
    }
}

fn names(reading: &Reading) -> (String, String) {
    let list = |relations: &[sql::Relation]| {
        relations
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let statement = &reading.statements[0];
    (list(&statement.reads), list(&statement.writes))
}

/// parser.md's table of texts that sqlparser gets wrong.
#[test]
fn what_sqlparser_gets_wrong() {
    let count = |text: &str| {
        let reading = sql::read(text);
        assert!(reading.why_opaque.is_none(), "{text}: {reading:?}");
        assert_eq!(reading.single(), reading.statements.len() == 1);
        reading.statements.len()
    };
    assert_eq!(count("SELECT 1 END; DELETE FROM t"), 2);
    assert_eq!(count("SELECT 5-/*'*/3; DELETE FROM t; --'"), 2);
    assert_eq!(count("COPY t FROM STDIN; DROP TABLE t"), 2);
    assert_eq!(count("SELECT E'a'\n'\\'; DELETE FROM t; --'"), 1);
    let unicode = sql::read("SELECT U&\"\\006eextval\"('s')");
    assert_eq!(unicode.statements[0].functions[0].name, "nextval");
    assert_eq!(unicode.class(), Some(Class::Write));
    let reading = sql::read("SELECT v OR FROM secrets");
    assert!(
        reading.why_opaque.is_some() || names(&reading).0 == "secrets",
        "{reading:?}"
    );
    assert_eq!(
        names(&sql::read("SELECT * FROM ONLY secrets")),
        ("secrets".into(), String::new())
    );
    let into = sql::read("SELECT * INTO x FROM t");
    assert_eq!(
        (into.class(), names(&into)),
        (Some(Class::Ddl), ("t".into(), "x".into()))
    );
    for text in ["SELECT \"\"", "SELECT '\0'", "SELECT 1DELETE"] {
        assert!(sql::read(text).why_opaque.is_some(), "{text:?}");
    }
}

#[test]
fn pitfalls() {
    // EXPLAIN's ANALYZE in every spelling: the inside decides.
    for options in [
        "ANALYZE",
        "ANALYSE",
        "(ANALYZE)",
        "(analyze on)",
        "(\"analyze\" 1)",
        "(ANALYZE off, ANALYZE true)",
        "VERBOSE",
        "",
    ] {
        assert_eq!(
            class(&format!("EXPLAIN {options} DELETE FROM t")),
            Class::Write,
            "{options}"
        );
        assert_eq!(
            class(&format!("EXPLAIN {options} SELECT 1")),
            Class::Read,
            "{options}"
        );
        assert_eq!(
            class(&format!("EXPLAIN {options} SELECT f()")),
            Class::Opaque,
            "{options}"
        );
    }
    for text in [
        "SELECT",
        "TABLE t",
        "VALUES (1)",
        "SELECT FROM t",
        "SELECT FROM t FOR READ ONLY",
    ] {
        assert_eq!(class(text), Class::Read, "{text}");
    }
    // A text that holds text is never looked into to allow.
    assert_eq!(class("DO 'select 1'"), Class::Opaque);
    // Writes through a field that looks like any relation.
    let made = sql::read("CREATE TABLE a.x AS SELECT * FROM b.y");
    assert_eq!(names(&made), ("b.y".into(), "a.x".into()));
    assert_eq!(
        names(&sql::read("REFRESH MATERIALIZED VIEW m")),
        (String::new(), "m".into())
    );
    // Names are compared decoded.
    assert_eq!(class("SELECT \"lower\"('x'), LOWER('x')"), Class::Read);
    assert_eq!(class("SELECT \"LOWER\"('x')"), Class::Opaque);
    assert_eq!(class("SELECT \"pg_catalog\".\"lower\"('x')"), Class::Read);
    assert_eq!(class("SELECT \"pg_catalog.lower\"('x')"), Class::Opaque);
    assert_eq!(class("SELECT db.pg_catalog.lower('x')"), Class::Opaque);
    // Blanks are PostgreSQL's own: NBSP and U+037E are letters, and a bare CR ends a comment.
    assert_eq!(
        sql::read("SELECT 1\u{37e} DELETE FROM t").statements.len(),
        1
    );
    assert_eq!(class("-- ping\rDELETE FROM t"), Class::Write);
    assert_eq!(
        sql::read("-- ping\u{2028}DELETE FROM t").statements.len(),
        0
    );
    assert_eq!(class("/* /* */ SELECT 1"), Class::Opaque);
}

#[test]
fn statements_and_where_they_stand() {
    let slices = |text: &str| {
        let reading = sql::read(text);
        assert!(reading.why_opaque.is_none(), "{reading:?}");
        reading
            .statements
            .into_iter()
            .map(|s| text[s.range].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        slices("SELECT 1; SELECT 'é;' ; "),
        ["SELECT 1", "SELECT 'é;' "]
    );
    assert_eq!(
        slices(" /* a */ SELECT 1 -- b\n;;; BEGIN"),
        ["SELECT 1 -- b\n", "BEGIN"]
    );
    for empty in [
        "",
        " ",
        ";",
        ";;",
        "/* DBD::Pg ping test */",
        "-- ping",
        "-- ping\n;",
    ] {
        let reading = sql::read(empty);
        assert!(
            reading.statements.is_empty() && !reading.single() && reading.class().is_none(),
            "{empty:?}: {reading:?}"
        );
    }
    for single in [
        "SELECT 1",
        "SELECT 1;",
        "SELECT ';'",
        "SELECT 1; -- ;",
        "SELECT 1;;;",
        ";SELECT 1",
        "SELECT $a$;$a$",
    ] {
        assert!(sql::read(single).single(), "{single}");
    }
    for several in [
        "SELECT 1; SELECT 2",
        "BEGIN;COMMIT",
        "SELECT 1; x",
        "x",
        "SELECT 1\0",
    ] {
        assert!(!sql::read(several).single(), "{several}");
    }
    assert_eq!(
        sql::read("SELECT 1; DELETE FROM t; COMMIT").class(),
        Some(Class::Write)
    );
}

/// Attribute notation calls any function of one argument: `(a).f` and `a.f` are `f(a)`.
#[test]
fn attribute_notation_calls_functions() {
    for text in [
        "SELECT ('f').pg_read_file",
        "SELECT (1).pg_advisory_lock",
        "SELECT (4711).pg_terminate_backend",
        "SELECT ('DELETE FROM t').dblink_exec",
        "SELECT ('SELECT 1').ts_stat",
        "SELECT x.ts_stat FROM unnest(ARRAY['SELECT 1']) x",
        "SELECT (SELECT x.nextval) FROM unnest(ARRAY['s']) x",
        "SELECT 1 FROM t WHERE ((t.a).lo_unlink) = 1",
        "SELECT 1 ORDER BY ('f').pg_read_binary_file",
    ] {
        assert_eq!(sql::read(text).class(), Some(Class::Opaque), "{text}");
    }
    for text in [
        "SELECT (x).n FROM information_schema._pg_expandarray(ARRAY[1]) x",
        "SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class",
        "SELECT t.date, t.name, t.format FROM t",
    ] {
        assert_eq!(sql::read(text).class(), Some(Class::Read), "{text}");
    }
}
