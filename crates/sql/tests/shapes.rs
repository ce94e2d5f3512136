//! Texts built to exhaust a parser, asked for on a stack of 2 MiB: the process stays alive, the answer comes soon, and it is
//! never a read by mistake. What is deep and honest is read.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use std::thread;

use sql::{Class, READ_BYTES_MAX};

fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

/// A text of about this many bytes that nests.
type Shape = (&'static str, String);

fn shapes(bytes: usize) -> Vec<Shape> {
    let mut shapes = regular(bytes);
    shapes.extend(irregular(bytes));
    shapes
}

/// Shapes that repeat an opening and a closing around an inside.
fn regular(bytes: usize) -> Vec<Shape> {
    let around = |open: &str, inside: &str, close: &str| {
        let n = bytes / (open.len() + close.len());
        format!("SELECT {}{inside}{}", open.repeat(n), close.repeat(n))
    };
    vec![
        ("sum", around("1+", "1", "")),
        ("concatenation", around("'a'||", "'a'", "")),
        ("power", around("1^", "1", "")),
        ("parentheses", around("(", "1", ")")),
        ("not", around("NOT ", "true", "")),
        ("minus", around("- ", "a", "")),
        ("case", around("CASE WHEN true THEN ", "1", " END")),
        ("case else", around("CASE WHEN a THEN 1 ELSE ", "1", " END")),
        ("call", around("abs(", "1", ")")),
        ("cast", around("", "1", "::int")),
        ("array", around("ARRAY[", "1", "]")),
        (
            "arrays",
            around("[", "1", "]").replacen("SELECT ", "SELECT ARRAY", 1),
        ),
        ("scalar subquery", around("(SELECT ", "1", ")")),
        ("exists", around("EXISTS (SELECT ", "1", ")")),
        ("from subquery", around("* FROM (SELECT ", "1", ") x")),
        ("union", around("1 UNION SELECT ", "1", "")),
        ("union right", around("1 UNION (SELECT ", "1", ")")),
        ("joins", around("", "* FROM a", " JOIN a ON true")),
        ("and or", around("(a AND (b OR ", "c", "))")),
        ("subscripts", around("", "a", "[1]")),
        ("subscript in subscript", around("a[", "1", "]")),
        ("fields", around("", "(a)", ".b")),
        ("row", around("ROW(", "1", ")")),
        ("is null", around("", "a", " IS NULL")),
        ("collate", around("", "a", " COLLATE \"C\"")),
        ("coalesce", around("COALESCE(", "1", ")")),
        ("between", around("a BETWEEN ", "1", " AND 2")),
        ("at time zone", around("", "a", " AT TIME ZONE 'UTC'")),
        ("json path", around("", "a", "->'b'")),
    ]
}

/// Shapes that do not.
fn irregular(bytes: usize) -> Vec<Shape> {
    vec![
        (
            "nested joins",
            format!("SELECT * FROM {}a", "(a JOIN ".repeat(bytes / 8)),
        ),
        (
            "nested joins closed",
            format!(
                "SELECT * FROM {}a{}",
                "(a JOIN ".repeat(bytes / 18),
                " ON true) ".repeat(bytes / 18)
            ),
        ),
        (
            "with",
            format!(
                "{} SELECT 1{}",
                "WITH a AS (".repeat(bytes / 30),
                ") SELECT 1".repeat(bytes / 30)
            ),
        ),
        ("unclosed parentheses", "(".repeat(bytes)),
        (
            "unclosed brackets",
            format!("SELECT a{}", "[".repeat(bytes)),
        ),
        ("quotes", "'".repeat(bytes | 1)),
        ("dollars", "$a".repeat(bytes / 2)),
        ("spaced comments", "/* ".repeat(bytes / 3)),
        (
            "operator runs",
            format!(
                "SELECT 1 {}",
                "<*+-=>".repeat(84).repeat(bytes / 600).replace("--", "-+")
            ),
        ),
        (
            "explain",
            format!("{} SELECT 1", "EXPLAIN ".repeat(bytes / 8)),
        ),
    ]
}

#[test]
fn deep_texts_on_a_small_stack() {
    for bytes in [2_000, 4 * 1024, 20_000, 120_000, READ_BYTES_MAX - 100] {
        let classes = on_small_stack(move || {
            shapes(bytes)
                .into_iter()
                .map(|(name, text)| (name, sql::read(&text)))
                .collect::<Vec<_>>()
        });
        for (name, reading) in classes {
            // Each is one expression over what it names, and holds nothing but operators and built-in functions.
            assert_eq!(reading.statements.len(), 1, "{name} of {bytes}");
            if let Some(why) = &reading.why_opaque {
                assert!(
                    why.contains("nested too deeply")
                        || why.starts_with("does not parse")
                        || why.contains("operator characters"),
                    "{name} of {bytes}: {why}"
                );
            }
        }
    }
}

#[test]
fn flat_texts_are_read_whole() {
    let (list, statements, ands) = on_small_stack(|| {
        (
            sql::read(&format!("SELECT 1 WHERE 1 IN ({}1)", "1,".repeat(50_000))),
            sql::read(&"SELECT 1;".repeat(20_000)),
            sql::read(&format!("SELECT a{}", " AND a".repeat(20_000))),
        )
    });
    assert_eq!(list.class(), Some(Class::Read));
    assert_eq!(
        (statements.class(), statements.statements.len()),
        (Some(Class::Read), 20_000)
    );
    assert_eq!(ands.class(), Some(Class::Read));
}

#[test]
fn quadratic_texts_are_refused_unread() {
    for text in [
        "/*".repeat(40_000),
        format!("SELECT 1 {}", "+".repeat(20_000)),
        "-".repeat(513),
        "*/".repeat(60_000),
    ] {
        let reading = sql::read(&text);
        assert_eq!(reading.class(), Some(Class::Opaque));
        assert_eq!(
            reading.why_opaque.as_deref(),
            Some("holds more than 512 operator characters in a row")
        );
    }
    let long = sql::read(&"x".repeat(READ_BYTES_MAX + 1));
    assert!(
        long.why_opaque
            .unwrap()
            .starts_with("is too long to read: 262145 bytes")
    );
    assert_eq!(
        sql::read("SELECT '\0'").why_opaque.as_deref(),
        Some("holds a NUL byte")
    );
}

/// Deep and honest statements are read: prost's default limit of a hundred nested messages held them, and a dependency that is
/// turned off can bring it back.
#[test]
fn what_is_deep_and_honest_is_read() {
    on_small_stack(|| {
        let repeat = |open: &str, inside: &str, close: &str, n: usize| {
            format!("SELECT {}{inside}{}", open.repeat(n), close.repeat(n))
        };
        for (name, text) in [
            ("sum", repeat("1+", "1", "", 1_000)),
            ("concatenation", repeat("a||", "b", "", 200)),
            ("joins", repeat("", "* FROM a", " JOIN a ON true", 60)),
            ("unions", repeat("", "1", " UNION ALL SELECT 1", 500)),
            ("scalar subqueries", repeat("(SELECT ", "1", ")", 100)),
            ("calls", repeat("abs(", "1", ")", 400)),
        ] {
            let reading = sql::read(&text);
            assert_eq!(reading.why_opaque, None, "{name}");
            assert_eq!(reading.class(), Some(Class::Read), "{name}");
        }
        // What the parser itself takes for too deep.
        let sum = sql::read(&repeat("1+", "1", "", 100_000));
        assert_eq!(
            sum.why_opaque.as_deref(),
            Some("is nested too deeply to read")
        );
        assert!(sql::read(&"a".repeat(10_000_000)).why_opaque.is_some());
    });
}

/// A parse error on a thread says nothing about the next text on it.
#[test]
fn a_thread_reads_on_after_errors() {
    on_small_stack(|| {
        for _ in 0..50 {
            assert_eq!(sql::read("SELECT (").class(), Some(Class::Opaque));
            assert_eq!(sql::read(&"(".repeat(20_000)).class(), Some(Class::Opaque));
            assert_eq!(sql::read("SELECT 1").class(), Some(Class::Read));
        }
    });
}
