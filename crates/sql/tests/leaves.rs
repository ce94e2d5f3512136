//! What statements leave in the session (hazards R23: anything unknown stays with it).

use sql::{Leaves, Mention};

use Leaves::{Discarded, Local, Nothing, Residue, Sequences, Settings, State};

const LEAVES: &[(&str, Leaves)] = &[
    ("SELECT 1", Nothing),
    ("SHOW timezone", Nothing),
    ("BEGIN", Nothing),
    ("COPY (SELECT 1) TO STDOUT", Nothing),
    ("FETCH 3 FROM c", Nothing),
    ("CLOSE c", Nothing),
    ("DEALLOCATE ALL", Nothing),
    ("DECLARE c CURSOR FOR SELECT 1", Nothing),
    ("EXPLAIN SELECT 1", Nothing),
    ("SET LOCAL timezone = 'UTC'", Local),
    ("SET TRANSACTION READ ONLY", Local),
    ("SET timezone = 'UTC'", Settings),
    ("SET TIME ZONE 'UTC'", Settings),
    ("SET SESSION \"TimeZone\" = 'UTC'", Settings),
    ("RESET timezone", Settings),
    ("RESET ALL", Settings),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        Settings,
    ),
    ("INSERT INTO t VALUES (1)", Residue),
    ("COPY t FROM STDIN", Residue),
    ("VACUUM t", Residue),
    ("CREATE TABLE t (a int)", Residue),
    ("CREATE ROLE r", Residue),
    ("UNLISTEN *", Residue),
    ("NOTIFY c", Residue),
    ("DISCARD PLANS", Residue),
    ("DISCARD ALL", Discarded),
    ("CREATE TEMP TABLE t (a int)", State),
    ("CREATE LOCAL TEMPORARY VIEW v AS SELECT 1", State),
    ("CREATE TABLE pg_temp.t (a int)", State),
    ("SELECT 1 INTO TEMP t", State),
    ("LISTEN c", State),
    ("LOAD 'x'", State),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", State),
    ("PREPARE p AS SELECT 1", State),
    ("EXECUTE p", State),
    ("SET ROLE r", State),
    ("SET SESSION AUTHORIZATION r", State),
    ("SET app.tenant = 'b'", State),
    ("SELECT pg_advisory_lock(1)", State),
    ("SET client_encoding TO 'utf-8'", Residue),
    ("SET NAMES 'UTF8'", Residue),
    ("SET standard_conforming_strings = on", Residue),
    ("SET standard_conforming_strings = off", State),
    ("RESET client_encoding", State),
    ("SELECT set_config('role', 'r', false)", State),
    ("SELECT set_config('timezone', 'UTC', false)", Settings),
    (
        "SELECT pg_catalog.set_config('search_path', '', false)",
        Settings,
    ),
    (
        "SELECT set_config('timezone', (SELECT mine()), false)",
        State,
    ),
    ("SELECT set_config(name, 'x', false) FROM t", State),
    (
        "SELECT set_config('work_mem', '7MB', false) WHERE set_config('role', 'r', false) <> ''",
        State,
    ),
    (
        "SELECT set_config('work_mem', '7MB', false) LIMIT mine()",
        State,
    ),
    ("SELECT evil.set_config('work_mem', '7MB', false)", State),
    ("UPDATE pg_settings SET setting = 'x'", Settings),
    ("UPDATE evil.pg_settings SET setting = 'x'", Residue),
    ("SELECT pg_sleep(1)", Residue),
    ("SELECT pg_advisory_unlock_all()", Residue),
    ("SELECT pg_cancel_backend(1)", Residue),
    ("SELECT currval('s')", Nothing),
    ("SELECT nextval('s')", Sequences),
    ("SELECT pg_notify('a', 'b')", Nothing),
    ("SELECT setseed(1)", State),
    ("SELECT query_to_xml('select 1', true, true, '')", State),
    ("SELECT pg_read_file('x')", State),
    ("SELECT pg_sleep(1), mine()", State),
    ("SELECT mine()", State),
    ("DO $$BEGIN END$$", State),
    ("CALL p()", State),
    ("SELEC", State),
];

#[test]
fn what_a_statement_leaves() {
    for (text, expected) in LEAVES {
        let reading = sql::read(text);
        assert_eq!(reading.statements[0].leaves, *expected, "{text}");
    }
}

#[test]
fn deallocate_says_what_it_forgets() {
    let forgets = |text| sql::read(text).statements[0].prepared.clone();
    assert_eq!(
        forgets("DEALLOCATE PREPARE \"S 1\""),
        Some(Mention::Forgets(Some("S 1".into())))
    );
    assert_eq!(forgets("DEALLOCATE ALL"), Some(Mention::Forgets(None)));
    assert_eq!(forgets("SELECT 1"), None);
}

#[test]
fn tracked_settings_can_be_found() {
    assert!(sql::TRACKED_SETTINGS.is_sorted());
    assert!(sql::is_tracked("timezone") && !sql::is_tracked("role"));
}
