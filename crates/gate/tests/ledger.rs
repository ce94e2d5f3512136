//! What a row of the ledger may go with: what runs in the transaction in which the row was laid down, all of it, and is taken
//! back with it (hazards R81, R86, V10, V19).

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod common;

use common::Asks;

#[test]
fn a_row_goes_with_what_lives_and_dies_with_it() {
    for text in [
        "insert into t values (1)",
        "with gone as (delete from t returning *) select * from gone",
        "insert into t values (1); select 1",
        "begin; insert into t values (1); commit",
        "insert into t values (1); rollback",
        "savepoint s; insert into t values (1); release s",
        "copy t from stdin",
        "create table u (id int)",
        "set lock_timeout = '1s'; alter table t add c int",
        "truncate t",
    ] {
        assert!(Asks::query(text).request().fits_ledger(), "{text}");
        assert!(Asks::batch(&[text]).request().fits_ledger(), "{text}");
    }
}

#[test]
fn it_goes_with_nothing_else() {
    for text in [
        // Nothing is changed.
        "select 1",
        "set search_path = a",
        "copy t to stdout",
        // It cannot sit in a transaction, or acts outside of it.
        "vacuum t",
        "insert into t values (1); vacuum t",
        "create index concurrently on t (id)",
        "alter system set work_mem = '1MB'",
        "do $$ begin commit; end $$",
        "call p()",
        "select nobody_knows(1)",
        "no sql at all",
        "reindex table t",
        // It sets how its transaction is to be.
        "begin isolation level serializable; insert into t values (1); commit",
        "begin read write; insert into t values (1); commit",
        "set transaction isolation level serializable; insert into t values (1)",
        "set transaction_isolation = 'serializable'; insert into t values (1)",
        // It leaves the transaction that the row is in.
        "rollback; insert into t values (1)",
        "commit; insert into t values (1)",
        "insert into t values (1); commit; insert into t values (2)",
        "rollback to s; insert into t values (1)",
        "prepare transaction 'p'",
    ] {
        assert!(!Asks::query(text).request().fits_ledger(), "{text}");
    }
    let two = ["rollback", "insert into t values (1)"];
    assert!(!Asks::batch(&two).request().fits_ledger());
}

#[test]
fn maintenance_can_where_a_transaction_is_open_already() {
    let mut asks = Asks::query("refresh materialized view v");
    assert!(!asks.request().fits_ledger());
    asks.context.in_transaction = true;
    assert!(asks.request().fits_ledger());
}
