//! What may run on a replica: reads of tables that say the same there, and nothing else.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use sql::{Catalog, Major, Statement};

const ROWS: [[&str; 5]; 5] = [
    ["relation", "public", "t", "", ""],
    [
        "relation",
        "public",
        "v",
        "v",
        " SELECT t.id FROM public.t;",
    ],
    [
        "relation",
        "public",
        "busy",
        "v",
        " SELECT pg_stat_activity.pid FROM pg_stat_activity;",
    ],
    ["function", "public", "mine", "0 0 -", "s sql f"],
    ["relation", "public", "far", "f", "postgres_fdw"],
];

fn same(text: &str) -> bool {
    let catalog = Catalog::of_rows(Major::new(15), ROWS.iter().copied());
    let reading = sql::read_for(text, &catalog.unwrap());
    !reading.statements.is_empty() && reading.statements.iter().all(Statement::is_same_anywhere)
}

#[test]
fn a_read_of_tables_is_the_same_anywhere() {
    for text in [
        "select * from t",
        "select count(*), max(id) from public.t where note like 'a%' group by lower(note)",
        "select * from v where id = $1",
        "with x as (select id from t) select * from x order by id limit 3",
        "explain select * from t",
    ] {
        assert!(same(text), "{text}");
    }
}

#[test]
fn what_asks_for_the_server_or_changes_something_is_not() {
    for text in [
        "select 1",
        "select pg_is_in_recovery()",
        "select id, pg_current_wal_lsn() from t",
        "select txid_current() from t",
        "select pg_advisory_lock(1) from t",
        "select inet_server_port() from t",
        "select currval('s'), id from t",
        "select nextval('s') from t",
        "select mine() from t",
        "select * from busy",
        "select * from far",
        "select * from pg_stat_activity",
        "select * from pg_catalog.pg_class, t",
        "select * from information_schema.tables",
        "select * from t for update",
        "select * from t for share",
        "select * into n from t",
        "insert into t values (1)",
        "show work_mem",
        "fetch c",
        "explain analyze delete from t",
        "lock table t in access share mode",
        "copy t to stdout",
        "begin",
    ] {
        assert!(!same(text), "{text}");
    }
}
