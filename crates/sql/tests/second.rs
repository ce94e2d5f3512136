//! The second parser may hold what PostgreSQL's grammar takes for harmless, and nothing else. Each text here is one that the
//! two read differently, measured against a server; it never decides what a statement is.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use sql::{Class, Second};

/// One statement to the server, and more to the other parser: held, with both readings.
#[test]
fn what_it_sees_more_of_is_held_with_both_readings() {
    // After a newline the string goes on in its E mode, so that the quote is escaped.
    let reading = sql::read("SELECT E'a'\n'\\'; DELETE FROM t; --'");
    assert_eq!(reading.class(), Some(Class::Opaque));
    assert_eq!(reading.why_opaque, None, "it parsed");
    let Some(Second::Stronger(seen)) = &reading.second else {
        panic!("{:?}", reading.second);
    };
    let why = &reading.statements[0].why;
    assert!(
        why.ends_with(&format!("; a second parser sees {seen}")),
        "{why}"
    );
}

/// Where it sees less, or cannot parse, the grammar's word stands.
#[test]
fn where_it_sees_less_it_abstains() {
    for (text, class) in [
        ("SELECT 1 END; DELETE FROM t", Class::Write),
        ("SELECT 5-/*'*/3; DELETE FROM t; --'", Class::Write),
        ("SELECT * INTO x FROM t", Class::Ddl),
        ("SELECT 1 ORDER BY 1 USING <", Class::Read),
        ("SELECT", Class::Read),
        ("TABLE t", Class::Read),
        ("SHOW search_path", Class::Session),
        ("COPY t TO STDOUT", Class::CopyOut),
    ] {
        let reading = sql::read(text);
        assert_eq!(reading.class(), Some(class), "{text}");
        let held = matches!(reading.second, Some(Second::Stronger(_)));
        assert!(!held, "{text}: {:?}", reading.second);
    }
}

/// It recurses; and what it cannot hold must not end the process.
#[test]
fn deep_texts_do_not_end_the_process() {
    for text in [
        format!("SELECT 1{}", "+1".repeat(8_000)),
        format!("SELECT {}1{}", "(".repeat(8_000), ")".repeat(8_000)),
        format!("SELECT {}true", "NOT ".repeat(4_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(1_000)),
        format!("SELECT {}1{}", "ARRAY[".repeat(2_000), "]".repeat(2_000)),
        format!("SELECT a{}", "[1]".repeat(5_000)),
        format!("SELECT 1{}", "::int".repeat(3_000)),
    ] {
        let second = sql::read(&text).second;
        assert!(!matches!(second, Some(Second::Stronger(_))), "{second:?}");
    }
}
