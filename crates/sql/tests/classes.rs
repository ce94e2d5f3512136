//! A table of statements and their classes. It never needs a server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use sql::Class::{
    self, Admin, CopyIn, CopyOut, Ddl, Maintenance, Opaque, Read, Session, Transaction, Write,
};

const TABLE: &[(Class, &str)] = &[
    // --- reads ---
    (Read, "SELECT"),
    (Read, "SELECT 1"),
    (Read, "SELECT 1;"),
    (Read, "TABLE accounts"),
    (Read, "VALUES (1, 'a'), (2, 'b')"),
    (Read, "SELECT FROM accounts"),
    (Read, "(SELECT 1)"),
    (
        Read,
        "SELECT a, b AS c FROM t WHERE a = $1 AND b LIKE '%x' OR NOT c ORDER BY 1 DESC NULLS LAST LIMIT 10 OFFSET 2",
    ),
    (
        Read,
        "SELECT * FROM a JOIN b USING (id) LEFT JOIN c ON a.x = c.x NATURAL JOIN d CROSS JOIN LATERAL (SELECT a.id) e",
    ),
    (
        Read,
        "SELECT count(*), sum(DISTINCT x) FILTER (WHERE y > 0) FROM t GROUP BY ROLLUP (a, b) HAVING count(*) > 1",
    ),
    (
        Read,
        "SELECT grouping(a) FROM t GROUP BY GROUPING SETS ((a), ())",
    ),
    (
        Read,
        "SELECT row_number() OVER w, lag(x, 1) OVER (PARTITION BY a ORDER BY b ROWS 1 PRECEDING) FROM t WINDOW w AS (ORDER BY a)",
    ),
    (
        Read,
        "WITH x AS (SELECT 1 AS a), y AS MATERIALIZED (SELECT * FROM x) SELECT * FROM y",
    ),
    (
        Read,
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    ),
    (
        Read,
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT * FROM r",
    ),
    (
        Read,
        "SELECT 1 UNION SELECT 2 INTERSECT SELECT 3 EXCEPT ALL SELECT 4",
    ),
    (
        Read,
        "SELECT CASE x WHEN 1 THEN 'a' ELSE 'b' END, COALESCE(a, b), NULLIF(a, b), GREATEST(1, 2), LEAST(a, b) FROM t",
    ),
    (
        Read,
        "SELECT x::int, CAST(y AS varchar(10)), z::timestamptz, '{}'::jsonb, date '2020-01-01', w::text[], v::_int4, 'a'::\"char\" FROM t",
    ),
    (
        Read,
        "SELECT EXISTS (SELECT 1), x IN (SELECT 1), x = ANY (SELECT 1), x > ALL (ARRAY[1,2]), ARRAY(SELECT 1), (SELECT 1) FROM t",
    ),
    (
        Read,
        "SELECT x IS NULL, y IS NOT TRUE, a IS DISTINCT FROM b, a BETWEEN 1 AND 2, a NOT BETWEEN SYMMETRIC 1 AND 2, a ILIKE 'x', a SIMILAR TO 'b' FROM t",
    ),
    (
        Read,
        "SELECT a[1], a[1:2], (r).f, ROW(1, 2), x COLLATE \"C\" FROM t",
    ),
    (
        Read,
        "SELECT extract(year FROM now()), overlay('a' placing 'b' from 1), substring('a' from 1 for 2), position('a' in 'b'), trim(both from 'x')",
    ),
    (
        Read,
        "SELECT current_date, current_timestamp(3), current_user, session_user, current_schema, localtime, current_catalog",
    ),
    (
        Read,
        "SELECT now() AT TIME ZONE 'UTC', (a, b) OVERLAPS (c, d) FROM t",
    ),
    (
        Read,
        "SELECT j -> 'a' ->> 'b', j #>> '{a}', j @> '{}', j ? 'a' FROM t",
    ),
    (Read, "SELECT 1 OPERATOR(pg_catalog.+) 2"),
    (
        Read,
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x), mode() WITHIN GROUP (ORDER BY x) FROM t",
    ),
    (
        Read,
        "SELECT * FROM generate_series(1, 10) WITH ORDINALITY AS g(n, o), unnest(ARRAY[1], ARRAY[2]) AS u(a, b)",
    ),
    (
        Read,
        "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY[1]))",
    ),
    (
        Read,
        "SELECT * FROM jsonb_to_recordset('[]') AS x(a int, b text)",
    ),
    (
        Read,
        "SELECT * FROM t TABLESAMPLE bernoulli (10) REPEATABLE (1)",
    ),
    (Read, "SELECT * FROM t ORDER BY x USING <"),
    (
        Read,
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES",
    ),
    (
        Read,
        "SELECT make_interval(days => 10), concat_ws(',', VARIADIC ARRAY['a'])",
    ),
    (
        Read,
        "SELECT random(), gen_random_uuid(), clock_timestamp(), version(), pg_backend_pid()",
    ),
    (
        Read,
        "SELECT pg_catalog.lower('X'), B'101', X'1F', E'\\n', U&'\\0041', $$x$$",
    ),
    (
        Read,
        "SELECT 'accounts'::regclass, pg_total_relation_size('accounts')",
    ),
    (
        Read,
        "SELECT (information_schema._pg_expandarray(ARRAY[1])).n",
    ),
    (Read, "SELECT * FROM ONLY secrets"),
    (Read, "SELECT FOR READ ONLY"),
    (Read, "EXPLAIN SELECT * FROM accounts"),
    (
        Read,
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM accounts",
    ),
    (Read, "DECLARE c CURSOR FOR SELECT * FROM accounts"),
    (Read, "FETCH 10 FROM c"),
    (Read, "MOVE ALL IN c"),
    // --- session ---
    (Session, "SHOW search_path"),
    (Session, "SHOW ALL"),
    (Session, "SHOW TRANSACTION ISOLATION LEVEL"),
    (Session, "SET application_name = 'x'"),
    (Session, "SET LOCAL statement_timeout TO 0"),
    (Session, "SET \"DateStyle\" TO ISO, DMY"),
    (Session, "SET TIME ZONE 'UTC'"),
    (Session, "SET TIME ZONE INTERVAL '1' HOUR TO MINUTE"),
    (Session, "SET extra_float_digits = 3"),
    (Session, "SET client_encoding TO 'utf-8'"),
    (Session, "SET NAMES 'UTF8'"),
    (Session, "SET client_encoding = unicode"),
    (Session, "SET standard_conforming_strings = on"),
    (Session, "SET idle_in_transaction_session_timeout = '1min'"),
    (Session, "RESET timezone"),
    (Session, "SET client_min_messages TO DEFAULT"),
    (
        Session,
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
    ),
    (Session, "DEALLOCATE ALL"),
    (Session, "CLOSE c"),
    // --- transaction ---
    (Transaction, "BEGIN"),
    (
        Transaction,
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE",
    ),
    (Transaction, "COMMIT"),
    (Transaction, "END AND CHAIN"),
    (Transaction, "ABORT"),
    (Transaction, "SAVEPOINT a"),
    (Transaction, "RELEASE a"),
    (Transaction, "ROLLBACK TO SAVEPOINT a"),
    // --- copy ---
    (CopyOut, "COPY accounts TO STDOUT"),
    (
        CopyOut,
        "COPY (SELECT * FROM accounts) TO STDOUT WITH (FORMAT csv)",
    ),
    (CopyIn, "COPY accounts (id) FROM STDIN"),
    (
        CopyIn,
        "COPY accounts FROM STDIN WITH (FORMAT csv) WHERE id > 1",
    ),
    (Write, "COPY (DELETE FROM accounts RETURNING *) TO STDOUT"),
    (Opaque, "COPY (SELECT billing.run()) TO STDOUT"),
    // --- maintenance ---
    (Maintenance, "VACUUM accounts"),
    (Maintenance, "ANALYZE"),
    (Maintenance, "REINDEX TABLE CONCURRENTLY accounts"),
    (Maintenance, "CLUSTER accounts USING i"),
    (Maintenance, "REFRESH MATERIALIZED VIEW CONCURRENTLY m"),
    // --- writes ---
    (
        Write,
        "INSERT INTO accounts VALUES (1, DEFAULT) ON CONFLICT (id) DO UPDATE SET a = excluded.a RETURNING *",
    ),
    (
        Write,
        "INSERT INTO t SELECT * FROM s ON CONFLICT DO NOTHING",
    ),
    (
        Write,
        "UPDATE accounts SET (a, b) = (SELECT 1, 2), c[1] = 2 FROM o WHERE o.id = accounts.id",
    ),
    (Write, "UPDATE t SET a = 1 WHERE CURRENT OF c"),
    (
        Write,
        "DELETE FROM accounts USING o WHERE o.id = accounts.id",
    ),
    (
        Write,
        "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)",
    ),
    (Write, "TRUNCATE a, b CASCADE"),
    (Read, "LOCK TABLE a IN ACCESS SHARE MODE"),
    (Write, "LOCK TABLE a IN ROW SHARE MODE"),
    (Write, "LOCK TABLE a"),
    (Write, "SELECT * FROM accounts FOR UPDATE"),
    (
        Write,
        "SELECT * FROM accounts FOR KEY SHARE OF accounts SKIP LOCKED",
    ),
    (Write, "SELECT 1 FROM (SELECT * FROM t FOR SHARE) x"),
    (
        Write,
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
    ),
    (Write, "EXPLAIN DELETE FROM t"),
    (Write, "EXPLAIN ANALYZE INSERT INTO t VALUES (1)"),
    (Write, "SELECT nextval('s')"),
    (Write, "SELECT pg_advisory_lock(1)"),
    (Write, "SET CONSTRAINTS ALL IMMEDIATE"),
    // --- ddl ---
    (Ddl, "SELECT * INTO x FROM t"),
    (
        Ddl,
        "CREATE TABLE t (id serial PRIMARY KEY, m mood, r int REFERENCES o(id), CHECK (id > 0))",
    ),
    (Ddl, "CREATE TABLE x AS SELECT * FROM t"),
    (Ddl, "CREATE MATERIALIZED VIEW m AS SELECT 1"),
    (Ddl, "EXPLAIN CREATE TABLE x AS SELECT 1"),
    (Ddl, "CREATE VIEW v AS SELECT my_function(1)"),
    (Ddl, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(a))"),
    (
        Ddl,
        "ALTER TABLE t ADD COLUMN a int DEFAULT 0, DROP COLUMN b",
    ),
    (Ddl, "DROP TABLE IF EXISTS a, s.b CASCADE"),
    (
        Ddl,
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
    ),
    (
        Ddl,
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
    ),
    (
        Ddl,
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    ),
    (
        Ddl,
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD (SELECT 1; SELECT 2)",
    ),
    (Ddl, "CREATE POLICY p ON t USING (a = current_user)"),
    (Ddl, "CREATE TYPE mood AS ENUM ('a')"),
    (Ddl, "ALTER TYPE mood ADD VALUE 'b'"),
    (Ddl, "CREATE SCHEMA s CREATE TABLE t (a int)"),
    (Ddl, "GRANT SELECT ON t TO bob"),
    (Ddl, "REVOKE ALL ON SCHEMA s FROM bob"),
    (
        Ddl,
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob",
    ),
    (Ddl, "COMMENT ON TABLE t IS 'x'"),
    (Ddl, "ALTER TABLE a RENAME TO b"),
    (Ddl, "ALTER TABLE a OWNER TO bob"),
    (Ddl, "CREATE SEQUENCE s"),
    // --- admin ---
    (Session, "SET search_path = x"),
    (
        Session,
        "SET search_path = pg_catalog, \"$user\", public, pg_temp",
    ),
    (Session, "SET SCHEMA 'x'"),
    (Session, "RESET search_path"),
    (Admin, "SET search_path = x, pg_catalog"),
    (Admin, "SET search_path = pg_temp, x"),
    (Session, "SELECT set_config('search_path', '', false)"),
    (
        Session,
        "SELECT pg_catalog.set_config('TimeZone', 'UTC', true)",
    ),
    (
        Opaque,
        "SELECT set_config('search_path', 'x, PG_catalog', false)",
    ),
    (
        Opaque,
        "SELECT set_config('search_path', 'pg_temp, \"pg_catalog\"', false)",
    ),
    (Opaque, "SELECT set_config('timezone', 'UTC', false) FROM t"),
    (Session, "SELECT set_config('timezone', 'UTC', false), 1"),
    (
        Session,
        "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new",
    ),
    (Session, "SELECT set_config('jit', $1, false)"),
    (Opaque, "SELECT set_config('search_path', $1, false)"),
    (Opaque, "SELECT set_config($1, 'off', false)"),
    (
        Opaque,
        "SELECT set_config('jit', 'off', false), set_config('role', 'x', false)",
    ),
    (Session, "SET default_transaction_read_only = on"),
    (Admin, "SET default_transaction_read_only = off"),
    (Session, "SELECT pg_advisory_unlock_all()"),
    (
        Session,
        "SELECT pg_catalog.pg_advisory_unlock(1), pg_advisory_unlock_shared(1, 2)",
    ),
    (Write, "SELECT pg_advisory_unlock(id) FROM t"),
    (Write, "SELECT pg_advisory_unlock_all(), nextval('s')"),
    (Opaque, "SELECT mine.pg_advisory_unlock_all()"),
    (Opaque, "SELECT set_config('timezone', x.f, false) FROM t x"),
    (Opaque, "SELECT mine.set_config('timezone', 'UTC', false)"),
    (
        Opaque,
        "SELECT set_config('timezone', 'UTC', false) WHERE mine()",
    ),
    (
        Opaque,
        "SELECT set_config('timezone', 'UTC', false) WHERE set_config('role', 'x', false) = ''",
    ),
    (
        Session,
        "SELECT set_config('bytea_output','hex',false) FROM pg_catalog.generate_series(1, 1) AS name WHERE name = 1",
    ),
    (Session, "DISCARD ALL"),
    (Session, "RESET ALL"),
    (Session, "LISTEN x"),
    (Session, "UNLISTEN *"),
    (Write, "NOTIFY x, 'y'"),
    (Admin, "SET ROLE bob"),
    (Admin, "RESET ROLE"),
    (Admin, "SET SESSION AUTHORIZATION bob"),
    (Session, "SET row_security = off"),
    (Admin, "SET app.tenant = '1'"),
    (Admin, "SET synchronous_commit = off"),
    (Admin, "SET client_encoding = 'SJIS'"),
    (Admin, "RESET client_encoding"),
    (Admin, "SET standard_conforming_strings = off"),
    (Admin, "SET application_name FROM CURRENT"),
    (Admin, "SET TRANSACTION READ WRITE"),
    (Admin, "SET TRANSACTION READ ONLY, READ WRITE"),
    (Admin, "SET TRANSACTION SNAPSHOT 'x'"),
    (
        Session,
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ),
    (
        Admin,
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ),
    (Admin, "SET transaction_read_only = off"),
    (Admin, "LOAD 'x'"),
    (Admin, "DECLARE c CURSOR WITH HOLD FOR SELECT 1"),
    (Write, "DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE"),
    (Admin, "COPY accounts TO '/tmp/x'"),
    (Admin, "COPY accounts FROM PROGRAM 'id'"),
    (Admin, "COPY (SELECT 1) TO PROGRAM 'id'"),
    (Admin, "CREATE ROLE bob"),
    (Admin, "ALTER USER bob PASSWORD 'x'"),
    (Admin, "ALTER ROLE bob SET work_mem = '4MB'"),
    (Admin, "GRANT admin TO bob"),
    (Admin, "CREATE DATABASE d"),
    (Admin, "DROP DATABASE d"),
    (Admin, "ALTER DATABASE d SET x.y = 1"),
    (Admin, "CREATE EXTENSION dblink"),
    (Admin, "DROP EXTENSION dblink"),
    (Admin, "ALTER SYSTEM SET work_mem = 1"),
    (Admin, "CHECKPOINT"),
    (Admin, "PREPARE TRANSACTION 'x'"),
    (Admin, "COMMIT PREPARED 'x'"),
    (Admin, "ROLLBACK PREPARED 'x'"),
    (Admin, "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p"),
    (Admin, "CREATE SERVER s FOREIGN DATA WRAPPER w"),
    (Admin, "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c"),
    (Admin, "CREATE PUBLICATION p FOR ALL TABLES"),
    (Admin, "DROP OWNED BY bob"),
    // --- opaque ---
    (Opaque, "DO $$ BEGIN END $$"),
    (Opaque, "CALL p(1)"),
    (Opaque, "EXECUTE x"),
    (Opaque, "EXPLAIN EXECUTE x"),
    (Opaque, "CREATE TABLE x AS EXECUTE y"),
    (Session, "PREPARE x AS SELECT 1"),
    (
        Session,
        "PREPARE x(int, text) AS SELECT * FROM t WHERE a = $1",
    ),
    (Opaque, "PREPARE x(my_domain) AS SELECT $1"),
    (Write, "PREPARE x AS DELETE FROM t"),
    (Opaque, "PREPARE x AS SELECT billing.run()"),
    (Session, "SELECT txid_current()"),
    (
        Session,
        "SELECT CASE WHEN pg_is_in_recovery() THEN null ELSE txid_current() END",
    ),
    (Write, "SELECT txid_current(), nextval('s')"),
    (Opaque, "SELECT billing.run()"),
    (Opaque, "SELECT public.lower('x')"),
    (Opaque, "SELECT unnest(ARRAY[1], ARRAY[2])"),
    (Opaque, "SELECT lower('x', 'y')"),
    (Opaque, "SELECT 1 OPERATOR(public.+) 2"),
    (Opaque, "SELECT 1 ### 2"),
    (Opaque, "SELECT 'a'::mood"),
    (Opaque, "SELECT 'a'::public.text"),
    (Opaque, "SELECT * FROM t TABLESAMPLE mine (1)"),
    (Opaque, "SELECT * FROM t ORDER BY x USING ###"),
    (Opaque, "SELECT x ### ANY (SELECT 1) FROM t"),
    (Opaque, "INSERT INTO t SELECT billing.run()"),
    (Opaque, "CREATE TABLE x AS SELECT billing.run()"),
    (Opaque, "CREATE INDEX i ON t (mine(a))"),
    (Opaque, "SELECT JSON_SCALAR(1)"),
    (Opaque, "SELECT JSON_OBJECT('a': 1)"),
    (Opaque, "SELECT '1' IS JSON"),
    (
        Opaque,
        "SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (a int PATH '$'))",
    ),
    (
        Read,
        "SELECT xmlelement(name a), xmlserialize(content '<a/>' AS text), '<a/>' IS DOCUMENT",
    ),
    (
        Read,
        "SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS b int PATH 'b')",
    ),
    (
        Opaque,
        "SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS b unknown_domain PATH 'b')",
    ),
    (Opaque, "SELECT xmlforest(nobodys() AS a)"),
    (Opaque, "SELEC 1"),
];

#[test]
fn every_statement_has_its_class() {
    let wrong: Vec<String> = TABLE
        .iter()
        .filter_map(|(class, text)| {
            let reading = sql::read(text);
            let why = &reading.statements[0].why;
            (reading.class() != Some(*class))
                .then(|| format!("{text}: {:?}, not {class}: {why}", reading.class()))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{}\n{} of {}",
        wrong.join("\n"),
        wrong.len(),
        TABLE.len()
    );
}

/// Every row but the last one, which is no SQL, parses.
#[test]
fn every_statement_is_single_and_says_why() {
    for (_, text) in TABLE {
        let reading = sql::read(text);
        assert_eq!(
            reading.single(),
            *text != "SELEC 1",
            "{text}: {:?}",
            reading.why_opaque
        );
        assert!(!reading.statements[0].why.is_empty(), "{text}");
    }
}
