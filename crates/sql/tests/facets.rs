//! The facets of a statement: relations with their scopes, functions, control, settings, what cannot sit in a transaction,
//! and the reasons in words. It never needs a server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use sql::{Class, Control, Isolation, Statement};

fn one(text: &str) -> Statement {
    let reading = sql::read(text);
    assert!(reading.single(), "{text}: {reading:?}");
    reading.statements.into_iter().next().unwrap()
}

fn listed(relations: &[sql::Relation]) -> String {
    relations
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Texts, what they read, what they write.
const RELATIONS: &[(&str, &str, &str)] = &[
    ("SELECT * FROM a, s.b, a", "a s.b", ""),
    (
        "WITH x AS (SELECT * FROM a) SELECT * FROM x, s.x",
        "s.x a",
        "",
    ),
    ("WITH x AS (SELECT * FROM x) SELECT * FROM x", "x", ""),
    (
        "WITH RECURSIVE x AS (SELECT * FROM x) SELECT * FROM x",
        "",
        "",
    ),
    (
        "WITH x AS (SELECT * FROM y), y AS (SELECT * FROM x) SELECT * FROM y",
        "y",
        "",
    ),
    (
        "WITH RECURSIVE x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x",
        "",
        "",
    ),
    (
        "SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) q, x",
        "x",
        "",
    ),
    (
        "WITH x AS (SELECT 1) SELECT (SELECT count(*) FROM x JOIN b ON true)",
        "b",
        "",
    ),
    (
        "WITH x AS (SELECT 1) SELECT 1 UNION SELECT 2 FROM x",
        "",
        "",
    ),
    (
        "(WITH x AS (SELECT 1) SELECT 1 FROM x) UNION SELECT 2 FROM x",
        "x",
        "",
    ),
    (
        "WITH x AS (SELECT 1) INSERT INTO x SELECT * FROM x",
        "",
        "x",
    ),
    ("WITH x AS (SELECT 1) UPDATE x SET a = 1 FROM x y", "", "x"),
    ("WITH x AS (SELECT 1) DELETE FROM t USING x, u", "u", "t"),
    (
        "WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE",
        "",
        "t",
    ),
    (
        "WITH d AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM d JOIN c USING (id)",
        "c",
        "b a",
    ),
    ("SELECT * FROM a x FOR UPDATE OF x", "a", ""),
    (
        "SELECT * FROM a LEFT JOIN (b JOIN c ON true) ON true",
        "a b c",
        "",
    ),
    ("SELECT * FROM a TABLESAMPLE system (1)", "a", ""),
    ("TABLE \"A b\"", "A b", ""),
    ("SELECT * FROM db.s.t", "s.t", ""),
    ("EXPLAIN DELETE FROM t USING u", "u", "t"),
    ("DECLARE c CURSOR FOR SELECT * FROM a", "a", ""),
    ("PREPARE p AS UPDATE a SET x = 1 FROM b", "b", "a"),
    ("COPY s.t TO STDOUT", "s.t", ""),
    ("COPY s.t FROM STDIN", "", "s.t"),
    ("COPY t TO '/tmp/x'", "t", ""),
    ("COPY (SELECT * FROM a) TO STDOUT", "a", ""),
    ("TRUNCATE a, s.b", "", "a s.b"),
    ("LOCK a", "", "a"),
    ("DROP TABLE a, s.b", "", "a s.b"),
    ("DROP TRIGGER x ON s.t", "", "s.t"),
    ("DROP FUNCTION f(int)", "", ""),
    ("ALTER TABLE s.t ADD COLUMN a int", "", "s.t"),
    ("CREATE VIEW v AS SELECT * FROM a", "a", "v"),
    ("CREATE TABLE t (LIKE o)", "", "t o"),
    ("CREATE INDEX ON t (a)", "", "t"),
    ("GRANT SELECT ON a, b TO c", "", "a b"),
    ("VACUUM a, s.b", "", "a s.b"),
    ("REINDEX TABLE a", "", "a"),
    (
        "CREATE RULE r AS ON DELETE TO t DO ALSO INSERT INTO l SELECT * FROM o",
        "o",
        "t l",
    ),
];

#[test]
fn relations_and_their_scopes() {
    for &(text, reads, writes) in RELATIONS {
        let statement = one(text);
        assert_eq!(
            (
                listed(&statement.reads).as_str(),
                listed(&statement.writes).as_str()
            ),
            (reads, writes),
            "{text}"
        );
    }
}

#[test]
fn functions_as_called() {
    let statement = one(
        "SELECT lower(a), billing.run(1, 2), rank(1) WITHIN GROUP (ORDER BY a), count(*), lower(b) FROM t",
    );
    let called: Vec<_> = statement
        .functions
        .iter()
        .map(|f| format!("{f}/{}", f.args))
        .collect();
    assert_eq!(called, ["lower/1", "billing.run/2", "rank/2", "count/0"]);
}

#[test]
fn reasons_in_words() {
    for (text, why) in [
        (
            "SELECT * FROM accounts, app.users",
            "reads accounts, app.users",
        ),
        ("SELECT 1", "reads nothing"),
        ("DELETE FROM accounts", "writes accounts"),
        (
            "SELECT billing.run()",
            "calls unknown function billing.run()",
        ),
        (
            "SELECT lower(1, 2)",
            "calls unknown function lower() with 2 arguments",
        ),
        ("SELECT nextval('s')", "calls nextval(), which writes"),
        ("SELECT * FROM t FOR UPDATE", "locks rows (FOR UPDATE)"),
        (
            "SELECT * FROM t FOR KEY SHARE",
            "locks rows (FOR KEY SHARE)",
        ),
        ("SELECT 'a'::app.mood", "casts to unknown type app.mood"),
        ("SELECT 1 ### 2", "uses unknown operator ###"),
        (
            "SELECT '1' IS JSON",
            "holds a JsonIsPredicate, which servers before 16 do not have",
        ),
        ("SELECT * INTO x FROM t", "creates x"),
        ("COPY a TO STDOUT", "reads a (COPY TO STDOUT)"),
        ("COPY a FROM STDIN", "writes a (COPY FROM STDIN)"),
        ("TRUNCATE a", "truncates: a"),
        ("CALL p.f(1)", "calls procedure p.f()"),
        (
            "PREPARE x AS DELETE FROM t",
            "prepares a statement that writes t",
        ),
        ("SET role TO x", "sets role"),
        ("VACUUM", "vacuums"),
    ] {
        assert_eq!(one(text).why, why, "{text}");
    }
    let wrong = sql::read("SELEC foo");
    assert_eq!(
        wrong.why_opaque.as_deref(),
        Some("does not parse: syntax error at or near \"SELEC\"")
    );
    assert_eq!(wrong.statements[0].range, 0..9);
    assert_eq!(wrong.statements[0].class, Class::Opaque);
}

#[test]
fn control() {
    let begin = |isolation, read_only, deferrable| {
        Some(Control::Begin {
            start: false,
            isolation,
            read_only,
            deferrable,
        })
    };
    for (text, control) in [
        ("BEGIN", begin(None, None, None)),
        ("begin work", begin(None, None, None)),
        (
            "START TRANSACTION READ ONLY",
            Some(Control::Begin {
                start: true,
                isolation: None,
                read_only: Some(true),
                deferrable: None,
            }),
        ),
        (
            "BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE, NOT DEFERRABLE",
            begin(Some(Isolation::Serializable), Some(false), Some(false)),
        ),
        ("BEGIN READ ONLY READ WRITE", begin(None, Some(false), None)),
        (
            "BEGIN ISOLATION LEVEL READ UNCOMMITTED",
            begin(Some(Isolation::ReadUncommitted), None, None),
        ),
        (
            "BEGIN ISOLATION LEVEL READ COMMITTED",
            begin(Some(Isolation::ReadCommitted), None, None),
        ),
        (
            "BEGIN ISOLATION LEVEL REPEATABLE READ DEFERRABLE",
            begin(Some(Isolation::RepeatableRead), None, Some(true)),
        ),
        ("COMMIT", Some(Control::Commit { chain: false })),
        ("END AND CHAIN", Some(Control::Commit { chain: true })),
        (
            "ROLLBACK AND NO CHAIN",
            Some(Control::Rollback { chain: false }),
        ),
        ("ABORT AND CHAIN", Some(Control::Rollback { chain: true })),
        ("SAVEPOINT \"A b\"", Some(Control::Savepoint("A b".into()))),
        ("RELEASE x", Some(Control::Release("x".into()))),
        ("ROLLBACK TO X", Some(Control::RollbackTo("x".into()))),
        ("PREPARE TRANSACTION 'x'", None),
        ("COMMIT PREPARED 'x'", None),
        ("SET TRANSACTION READ ONLY", None),
        ("SELECT 1", None),
    ] {
        assert_eq!(one(text).control, control, "{text}");
    }
}

#[test]
fn settings() {
    for (text, setting) in [
        ("SET DateStyle = ISO", Some("datestyle")),
        ("SET \"TimeZone\" = 'UTC'", Some("timezone")),
        ("SET TIME ZONE DEFAULT", Some("timezone")),
        ("SET NAMES 'UTF8'", Some("client_encoding")),
        ("SET LOCAL search_path = a, b", Some("search_path")),
        ("RESET statement_timeout", Some("statement_timeout")),
        ("RESET ALL", None),
        ("SHOW portcullis.tickets", Some("portcullis.tickets")),
        ("SHOW ALL", None),
        ("SET TRANSACTION READ ONLY", None),
        ("SELECT 1", None),
    ] {
        assert_eq!(one(text).setting.as_deref(), setting, "{text}");
    }
}

#[test]
fn outside_transaction() {
    for text in [
        "VACUUM",
        "VACUUM FULL t",
        "CREATE DATABASE d",
        "DROP DATABASE d",
        "ALTER DATABASE d SET TABLESPACE x",
        "CREATE TABLESPACE x LOCATION '/x'",
        "DROP TABLESPACE x",
        "ALTER SYSTEM SET work_mem = 1",
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "DROP INDEX CONCURRENTLY i",
        "REINDEX INDEX CONCURRENTLY i",
        "REINDEX (CONCURRENTLY) TABLE t",
        "REINDEX DATABASE d",
        "REINDEX SCHEMA s",
        "CLUSTER",
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
        "DROP SUBSCRIPTION s",
        "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
        "DISCARD ALL",
        "COMMIT PREPARED 'x'",
        "ROLLBACK PREPARED 'x'",
    ] {
        assert!(one(text).outside_transaction, "{text}");
    }
    for text in [
        "ANALYZE t",
        "SELECT 1",
        "CREATE INDEX i ON t (a)",
        "DROP INDEX i",
        "REINDEX TABLE t",
        "CLUSTER t",
        "ALTER TABLE t DETACH PARTITION p",
        "DISCARD PLANS",
        "CHECKPOINT",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "PREPARE TRANSACTION 'x'",
    ] {
        assert!(!one(text).outside_transaction, "{text}");
    }
}
