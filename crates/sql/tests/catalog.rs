//! What a database's own catalog changes in a reading: functions, operators, types and views of the user's (parser.md, rules of
//! use 3 and 4; CVE-2018-1058).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use sql::{Catalog, Class, Major, Reading, read, read_for};

fn catalog(rows: &[[&str; 5]]) -> Catalog {
    Catalog::of_rows(Major::new(15), rows.iter().copied()).unwrap()
}

fn shop() -> Catalog {
    catalog(&[
        ["function", "billing", "total", "1 2", "s sql f"],
        ["function", "billing", "run", "0 0", "v plpgsql f"],
        ["function", "billing", "any", "1 *", "i plpgsql f"],
        ["function", "billing", "owned", "0 0", "s sql t"],
        ["function", "public", "crosstab", "1 1", "s c f"],
        ["function", "public", "similarity", "2 2", "i c f"],
        ["function", "public", "shell", "1 1", "i plpython3u f"],
        ["function", "public", "lower", "1 1", "v sql f"],
        ["function", "public", "upper", "1 1", "i sql f"],
        ["operator", "public", "%%", "", "i c f"],
        ["operator", "public", "<=>", "", "v sql f"],
        ["operator", "public", "+", "", "v sql f"],
        ["type", "public", "mood", "e", ""],
        ["type", "public", "positive", "d", "(VALUE > 0)"],
        [
            "type",
            "public",
            "counted",
            "d",
            "(nextval('s'::regclass) > 0)",
        ],
        ["type", "public", "strange", "p", ""],
        ["relation", "public", "orders", "", ""],
        ["relation", "public", "people", "", ""],
        ["child", "public", "people", "public", "people_2026"],
        [
            "relation",
            "public",
            "recent",
            "v",
            "SELECT id, billing.total(id) FROM public.orders",
        ],
        [
            "relation",
            "public",
            "again",
            "v",
            "SELECT * FROM public.recent",
        ],
        [
            "relation",
            "public",
            "bad",
            "v",
            "SELECT nextval('s') FROM public.orders",
        ],
        [
            "relation",
            "public",
            "worse",
            "v",
            "SELECT * FROM public.bad",
        ],
        [
            "relation",
            "public",
            "ring",
            "v",
            "SELECT * FROM public.ring",
        ],
        ["relation", "public", "far", "f", "postgres_fdw"],
        ["relation", "public", "file", "f", "file_fdw"],
    ])
}

/// Text, class, and a part of why.
const READINGS: &[(&str, Class, &str)] = &[
    ("SELECT billing.total(1)", Class::Read, ""),
    ("SELECT total(1, 2)", Class::Read, ""),
    (
        "SELECT total(1, 2, 3)",
        Class::Opaque,
        "unknown function total()",
    ),
    ("SELECT billing.any(1, 2, 3, 4)", Class::Read, ""),
    ("SELECT billing.any()", Class::Opaque, "unknown function"),
    (
        "SELECT shop.total(1)",
        Class::Opaque,
        "unknown function shop.total()",
    ),
    (
        "SELECT billing.run()",
        Class::Opaque,
        "calls billing.run(), which is volatile",
    ),
    (
        "SELECT run()",
        Class::Opaque,
        "may call billing.run(), which is volatile",
    ),
    (
        "SELECT billing.owned()",
        Class::Opaque,
        "its owner's rights",
    ),
    (
        "SELECT crosstab('delete from t')",
        Class::Opaque,
        "is in C and not immutable",
    ),
    ("SELECT similarity('a', 'b')", Class::Read, ""),
    ("SELECT shell('rm')", Class::Opaque, "may do anything"),
    (
        "SELECT lower('A')",
        Class::Opaque,
        "may call public.lower(), which is volatile",
    ),
    ("SELECT pg_catalog.lower('A')", Class::Read, ""),
    ("SELECT upper('A')", Class::Read, ""),
    (
        "SELECT nextval('s')",
        Class::Write,
        "calls nextval(), which",
    ),
    ("SELECT 'a' %% 'b'", Class::Read, ""),
    (
        "SELECT 'a' <=> 'b'",
        Class::Opaque,
        "may use operator public.<=>, which is volatile",
    ),
    ("SELECT 1 + 1", Class::Opaque, "may use operator public.+"),
    ("SELECT 1 OPERATOR(pg_catalog.+) 1", Class::Read, ""),
    ("SELECT 1 - 1", Class::Read, ""),
    (
        "SELECT 'ok'::mood, '{ok}'::mood[], '{ok}'::_mood, 'ok'::public.mood",
        Class::Read,
        "",
    ),
    (
        "SELECT 'ok'::other.mood",
        Class::Opaque,
        "unknown type other.mood",
    ),
    ("SELECT 1::positive", Class::Read, ""),
    (
        "SELECT 1::counted",
        Class::Opaque,
        "whose check is not harmless",
    ),
    ("SELECT 1::strange", Class::Opaque, "an unknown kind"),
    ("SELECT o.total FROM orders o", Class::Read, ""),
    (
        "SELECT o.lower FROM orders o",
        Class::Opaque,
        "attribute notation",
    ),
    ("SELECT * FROM orders", Class::Read, ""),
    ("SELECT * FROM recent", Class::Read, ""),
    (
        "SELECT * FROM bad",
        Class::Write,
        "reads bad, which calls nextval()",
    ),
    (
        "SELECT * FROM public.worse",
        Class::Write,
        "reads public.worse, which reads public.bad, which calls nextval()",
    ),
    ("WITH bad AS (SELECT 1) SELECT * FROM bad", Class::Read, ""),
    ("SELECT * FROM ring", Class::Opaque, "behind too many views"),
    ("SELECT * FROM far", Class::Read, ""),
    (
        "SELECT * FROM file",
        Class::Opaque,
        "reads file, which file_fdw answers",
    ),
    ("INSERT INTO bad VALUES (1)", Class::Write, "writes bad"),
];

#[test]
fn the_catalog_decides_what_a_name_is() {
    let catalog = shop();
    let wrong = |(text, class, why): &&(&str, Class, &str)| {
        let reading = read_for(text, &catalog);
        reading.class() != Some(*class) || !reading.statements[0].why.contains(why)
    };
    let wrong: Vec<_> = READINGS.iter().filter(wrong).collect();
    let seen: Vec<_> = wrong
        .iter()
        .map(|(text, ..)| read_for(text, &catalog).statements.swap_remove(0))
        .map(|it| format!("{}: {}", it.class, it.why))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{seen:#?}");
}

fn behind(reading: &Reading) -> Vec<String> {
    reading.statements[0]
        .behind
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_stands_behind_a_name_is_named() {
    let catalog = shop();
    let shown = |text: &str| behind(&read_for(text, &catalog));
    assert_eq!(
        shown("SELECT * FROM again"),
        ["public.orders", "public.recent"]
    );
    assert_eq!(shown("SELECT * FROM people"), ["public.people_2026"]);
    assert_eq!(shown("DELETE FROM people"), ["public.people_2026"]);
    assert_eq!(shown("SELECT 1"), [""; 0]);
    let functions = &read_for("SELECT * FROM again", &catalog).statements[0].functions;
    assert_eq!(functions[0].to_string(), "billing.total");
}

#[test]
fn a_server_that_lacks_a_name_may_have_a_users() {
    let text = "SELECT any_value(1)";
    let on = |major| read_for(text, &Catalog::unknown(Major::new(major))).class();
    assert_eq!(on(15), Some(Class::Opaque));
    assert_eq!(on(16), Some(Class::Read));
    assert_eq!(read(text).class(), Some(Class::Opaque), "of an unknown one");
}

/// On a server that is older than its syntax, SQL/JSON is a call of whoever's function has that name (parser.md, "Grammar
/// versions").
#[test]
fn syntax_counts_from_the_major_that_has_it() {
    for (text, since) in [
        ("SELECT '1' IS JSON", 16),
        (
            "SELECT JSON_OBJECT('a': 1), JSON_ARRAYAGG(x) FROM generate_series(1, 2) x",
            16,
        ),
        ("SELECT JSON_SCALAR(1)", 17),
        ("SELECT JSON('{}'), JSON_SERIALIZE('{}')", 17),
        (
            "SELECT JSON_VALUE('{}', '$.a' RETURNING int), JSON_EXISTS('{}', '$.a')",
            17,
        ),
        (
            "SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (a int PATH '$'))",
            17,
        ),
    ] {
        for major in Major::ALL {
            let reading = read_for(text, &Catalog::unknown(Some(major)));
            let expected = if Major::new(since).unwrap() <= major {
                Class::Read
            } else {
                Class::Opaque
            };
            let why = &reading.statements[0].why;
            assert_eq!(reading.class(), Some(expected), "{text} on {major}: {why}");
        }
    }
    let domain = "SELECT JSON_VALUE('{}', '$.a' RETURNING counted)";
    let newest = Catalog::unknown(Some(Major::GRAMMAR));
    assert_eq!(read_for(domain, &newest).class(), Some(Class::Opaque));
}

#[test]
fn a_hidden_cast_that_may_do_more_than_convert_holds_what_reads() {
    let cast = |how| catalog(&[["cast", "public", "to_mood", "i mood", how]]);
    let text = "SELECT * FROM orders";
    assert_eq!(read_for(text, &cast("i sql f")).class(), Some(Class::Read));
    let reading = read_for(text, &cast("v sql f"));
    assert_eq!(reading.class(), Some(Class::Opaque));
    assert_eq!(reading.statements[0].why, "may convert by public.to_mood()");
    let explicit = catalog(&[["cast", "public", "to_point", "e point", "v sql f"]]);
    let class = |text| read_for(text, &explicit).class();
    assert_eq!(class(text), Some(Class::Read));
    assert_eq!(class("SELECT 1::point"), Some(Class::Opaque));
    assert_eq!(
        class("SELECT CAST(1 AS pg_catalog.point)"),
        Some(Class::Opaque)
    );
}

#[test]
fn what_is_no_row_of_a_catalog_is_refused() {
    for row in [
        ["table", "public", "t", "", ""],
        ["function", "public", "f", "1", "v sql f"],
        ["function", "public", "f", "1 2", "x sql f"],
        ["operator", "public", "+", "", ""],
    ] {
        assert!(Catalog::of_rows(None, [row]).is_err(), "{row:?}");
    }
}

/// Text, and the columns of `people` that it may read out of those three.
const COLUMNS: &[(&str, &str)] = &[
    ("SELECT id, name FROM people", "id name"),
    (
        "SELECT p.id FROM public.people p WHERE p.name = 'x'",
        "id name",
    ),
    ("SELECT people.id FROM people", "id"),
    ("SELECT public.people.id FROM public.people", "id"),
    ("SELECT count(*) FROM people", ""),
    ("SELECT 1 FROM people ORDER BY salary", "salary"),
    ("SELECT * FROM people", "id name salary"),
    ("TABLE people", "id name salary"),
    ("SELECT p.* FROM people p", "id name salary"),
    (
        "SELECT o.* FROM people p JOIN orders o ON o.id = p.id",
        "id",
    ),
    (
        "SELECT id FROM people p JOIN orders o USING (name)",
        "id name",
    ),
    ("SELECT 1 FROM people NATURAL JOIN orders", "id name salary"),
    ("SELECT p FROM people p", "id name salary"),
    ("SELECT to_json(people) FROM people", "id name salary"),
    ("SELECT p.to_json FROM people p", "id name salary"),
    ("SELECT (p).salary FROM people p", "id name salary"),
    ("SELECT p.total FROM people p", "id name salary"),
    ("SELECT x.b FROM people x(a, b)", "id name salary"),
    (
        "SELECT j.b FROM (people JOIN orders ON true) j(a, b)",
        "id name salary",
    ),
    (
        "WITH x AS (SELECT id AS salary FROM people) SELECT id FROM x",
        "id",
    ),
    (
        "WITH x AS (SELECT id, salary s FROM people) SELECT s FROM x",
        "id salary",
    ),
    ("SELECT (SELECT salary) FROM people", "salary"),
    ("COPY people TO STDOUT", "id name salary"),
    ("DELETE FROM people WHERE id = 1", "id name salary"),
    ("EXPLAIN SELECT id FROM people", "id"),
];

#[test]
fn columns_are_those_that_a_text_can_reach() {
    let catalog = shop();
    for (text, expected) in COLUMNS {
        let statement = &read_for(text, &catalog).statements[0];
        let named = statement.reads.iter().chain(&statement.writes);
        let people = named.clone().find(|it| it.name == "people").unwrap();
        let touched = ["id", "name", "salary"]
            .into_iter()
            .filter(|column| statement.columns.may_touch(people, |it| it == *column));
        assert_eq!(touched.collect::<Vec<_>>().join(" "), *expected, "{text}");
    }
    let unknown = &read("SELECT id FROM people").statements[0];
    assert!(
        unknown
            .columns
            .may_touch(&unknown.reads[0], |it| it == "salary")
    );
}
