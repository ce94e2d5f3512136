//! Places where a write hides in what looks like a read: hazards.md section L and V15, and the rows and pitfalls of parser.md.
//! It never needs a server: that the server agrees was measured when the rows were written down.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use sql::{Class, Reading};

fn class(text: &str) -> Class {
    sql::read(text).class().unwrap_or(Class::Read)
}

/// Hazards, section L and V15: (construct, the weakest class it may have).
const HIDING: &[(&str, Class)] = &[
    ("COPY t TO PROGRAM 'x'", Class::Admin),
    ("COPY t FROM PROGRAM 'x'", Class::Admin),
    ("copy binary t from program 'x'", Class::Admin),
    ("COPY t FROM '/etc/passwd'", Class::Admin),
    ("COPY (SELECT 1) TO '/tmp/x'", Class::Admin),
    ("DO 'begin end'", Class::Opaque),
    (
        "DO LANGUAGE plpgsql $$ begin copy t to program 'x'; end $$",
        Class::Opaque,
    ),
    ("CALL f()", Class::Opaque),
    ("EXECUTE unknown", Class::Opaque),
    ("EXECUTE unknown(1, 2)", Class::Opaque),
    ("EXPLAIN ANALYZE EXECUTE unknown", Class::Opaque),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'delete from t'",
        Class::Ddl,
    ),
    ("ALTER FUNCTION f() SECURITY DEFINER", Class::Ddl),
    (
        "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()",
        Class::Ddl,
    ),
    (
        "CREATE RULE x AS ON INSERT TO t DO ALSO DELETE FROM u",
        Class::Ddl,
    ),
    ("CREATE POLICY x ON t USING (true)", Class::Ddl),
    ("ALTER POLICY x ON t USING (false)", Class::Ddl),
    (
        "CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION f()",
        Class::Admin,
    ),
    ("SET SESSION AUTHORIZATION bob", Class::Admin),
    ("SET SESSION SESSION AUTHORIZATION DEFAULT", Class::Admin),
    ("RESET SESSION AUTHORIZATION", Class::Admin),
    ("SET ROLE NONE", Class::Admin),
    ("SET LOCAL ROLE bob", Class::Admin),
    ("RESET ROLE", Class::Admin),
    ("SELECT set_config('role', 'bob', false)", Class::Opaque),
    ("ALTER ROLE CURRENT_USER SET search_path = x", Class::Admin),
    ("ALTER USER bob PASSWORD 'x'", Class::Admin),
    ("SET a.b = 'c'", Class::Admin),
    ("SET search_path TO x", Class::Session),
    ("SET \"SEARCH_PATH\" TO x", Class::Session),
    ("SET row_security = off", Class::Session),
    ("SET synchronous_commit = off", Class::Admin),
    ("SET standard_conforming_strings = off", Class::Admin),
    ("SET client_encoding = 'LATIN1'", Class::Admin),
    ("SET NAMES 'BIG5'", Class::Admin),
    ("SET NAMES DEFAULT", Class::Admin),
    ("UPDATE pg_settings SET setting = 'x'", Class::Admin),
    ("SELECT dblink('', 'delete from t')", Class::Opaque),
    (
        "SELECT * FROM dblink('', 'select 1') AS t(a int)",
        Class::Opaque,
    ),
    ("SELECT dblink_exec('', 'delete from t')", Class::Opaque),
    ("CREATE EXTENSION x", Class::Admin),
    ("CREATE SERVER x FOREIGN DATA WRAPPER y", Class::Admin),
    ("CREATE USER MAPPING FOR bob SERVER x", Class::Admin),
    ("CREATE FOREIGN TABLE t (a int) SERVER x", Class::Admin),
    (
        "CREATE SUBSCRIPTION x CONNECTION 'y' PUBLICATION z",
        Class::Admin,
    ),
    ("LOAD 'x'", Class::Admin),
    ("SELECT nextval('s')", Class::Write),
    ("SELECT setval('s', 1)", Class::Write),
    ("SELECT setval('s', 1, true)", Class::Write),
    ("SELECT pg_notify('a', 'b')", Class::Write),
    ("SELECT pg_advisory_lock(1)", Class::Write),
    ("SELECT pg_try_advisory_xact_lock(1, 2)", Class::Write),
    ("ALTER SYSTEM RESET ALL", Class::Admin),
    ("CHECKPOINT", Class::Admin),
    ("EXPLAIN DELETE FROM t", Class::Write),
    ("PREPARE x AS DELETE FROM t", Class::Write),
    ("DECLARE c CURSOR FOR SELECT billing.run()", Class::Opaque),
    ("DECLARE c CURSOR FOR SELECT nextval('s')", Class::Write),
    ("PREPARE TRANSACTION 'x'", Class::Admin),
    ("LISTEN x", Class::Session),
    ("NOTIFY x", Class::Write),
    ("LOCK t IN ACCESS EXCLUSIVE MODE", Class::Write),
    (
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
        Class::Write,
    ),
    (
        "SELECT * FROM (WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x) y",
        Class::Write,
    ),
    ("SELECT 1 UNION (SELECT 2 FOR UPDATE)", Class::Write),
    ("SELECT * INTO TEMP x FROM t", Class::Ddl),
];

/// Functions that no read may call (V15, parser.md rule 3): the class, why, and calls.
const FUNCTIONS: [(Class, &str, &str); 5] = [
    (
        Class::Admin,
        "which reaches beyond the tables",
        "pg_sleep(1) pg_sleep_for('1s') pg_sleep_until(now()) pg_terminate_backend(1) \
        pg_terminate_backend(1,2) pg_cancel_backend(1) pg_reload_conf() pg_rotate_logfile() pg_switch_wal() pg_stat_reset() \
        pg_stat_reset_shared('bgwriter') pg_stat_reset_slru('x') pg_logical_emit_message(false,'a','b') \
        pg_logical_slot_get_changes('a',null,null) pg_logical_slot_peek_changes('a',null,null) \
        pg_create_logical_replication_slot('a','b') pg_create_physical_replication_slot('a') pg_drop_replication_slot('a') \
        pg_replication_origin_create('a') pg_create_restore_point('a') pg_promote() pg_wal_replay_pause() \
        pg_export_snapshot() pg_import_system_collations('pg_catalog') pg_read_file('/etc/passwd') \
        pg_read_binary_file('x') pg_ls_dir('/') pg_ls_waldir() pg_ls_logdir() pg_ls_tmpdir() pg_stat_file('x') \
        pg_current_logfile() lo_import('x') lo_export(1,'x') pg_show_all_file_settings() pg_hba_file_rules() \
        pg_nextoid('a','b','c') pg_extension_config_dump('a','b') pg_log_backend_memory_contexts(1) \
        brin_summarize_new_values('i') gin_clean_pending_list('i') \
        binary_upgrade_set_next_pg_type_oid(1) fmgr_c_validator(1) pg_stat_get_activity(null) \
        pg_stat_get_backend_activity(1) pg_stat_get_wal_receiver() pg_config()",
    ),
    (
        Class::Opaque,
        "which does what it is told to",
        "set_config('a','b',false) query_to_xml('delete',true,true,'') query_to_xmlschema('x',true,true,'') \
        query_to_xml_and_xmlschema('x',true,true,'') table_to_xml('t',true,true,'') \
        table_to_xml_and_xmlschema('t',true,true,'') schema_to_xml('s',true,true,'') database_to_xml(true,true,'') \
        cursor_to_xml('c',1,true,true,'') ts_stat('select') ts_rewrite('a','select') postgresql_fdw_validator(null,1) \
        plpgsql_validator(1) json_populate_record(null,'{}') domain_in('x',1,1) record_in('x',1,1) \
        array_in('x',1,1) satisfies_hash_partition(1,1,1,1) currtid2('t','(0,1)') lo_get(1) loread(1,1)",
    ),
    (
        Class::Write,
        "which writes",
        "lo_create(0) lo_creat(0) lo_put(1,0,'') lo_from_bytea(0,'') lo_unlink(1) lo_open(1,2) lowrite(1,'') \
        nextval('s') setval('s',1)",
    ),
    (
        Class::Write,
        "which uses or changes the state of the session",
        "setseed(1) pg_notify('a','b') pg_advisory_lock(1) pg_stat_clear_snapshot()",
    ),
    // Extensions', and those that not every major has.
    (
        Class::Opaque,
        "unknown function",
        "pg_stat_statements_reset() dblink_connect('x') dblink_send_query('a','b') pg_prewarm('t') \
        pg_file_write('a','b',true) pg_backup_start('a') pg_start_backup('a') pg_backup_stop() pg_is_in_backup() pg_stop_making_pinned_objects() \
        pg_input_is_valid('a','b')",
    ),
];

#[test]
fn section_l() {
    for (text, weakest) in HIDING {
        let reading = sql::read(text);
        assert!(reading.why_opaque.is_none(), "{text}: {reading:?}");
        assert!(reading.class() >= Some(*weakest), "{text}: {reading:?}");
    }
}

#[test]
fn functions_that_no_read_may_call() {
    for (class, why, calls) in FUNCTIONS {
        for call in calls.split_whitespace() {
            for text in [
                format!("SELECT {call}"),
                format!("SELECT pg_catalog.{call}"),
                format!("SELECT * FROM {call}"),
                format!("SELECT 1 LIMIT (SELECT 1 FROM {call})"),
            ] {
                let reading = sql::read(&text);
                assert_eq!(reading.class(), Some(class), "{text}: {reading:?}");
                let said = &reading.statements[0].why;
                assert!(said.contains(why), "{text}: {reading:?}");
            }
        }
    }
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
