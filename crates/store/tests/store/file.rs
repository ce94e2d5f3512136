//! The SQLite file itself: the conformance suite on it, and what it says when it will not open.
//! It never asserts on SQLite's own words.

use std::os::unix::fs::PermissionsExt as _;

use gate::ticket::{ClaimId, Say, TimeOuts};
use gate::tickets::{Open, Opened};
use gate::{State, TicketId, Tickets as _};
use rusqlite::Connection;
use store::{OpenError, Sqlite, Unsettled as _, tickets_file};

use crate::conformance::{self, Manual, OPTIONS, asked_by, once, spent, standing};
use crate::support::StateDir;

#[tokio::test(flavor = "current_thread")]
async fn conforms() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::suite(|clock| {
        count.set(count.get() + 1);
        let path = root.path().join(format!("{}.db", count.get()));
        Sqlite::open(&path, clock, OPTIONS).unwrap()
    })
    .await;
}

fn open(ticket: TicketId, claim: ClaimId) -> Open {
    Open {
        ticket,
        claim,
        in_transaction: false,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_reopened_store_keeps_its_tickets() {
    let state = StateDir::new();
    let store = state.store();
    let Opened::Pending(ticket) = store
        .open(asked_by("alice", "delete from t", &[("dba", 1)]))
        .await
        .unwrap()
    else {
        panic!("it is approved")
    };
    let word = gate::tickets::Word {
        by: "bob".into(),
        groups: vec!["dba".into()],
        say: Say::Approve,
        comment: None,
        narrows: TimeOuts::default(),
    };
    let approved = store.decide(vec![ticket.id], word).await.unwrap();
    drop(store);

    let store = state.store();
    assert_eq!(store.ticket(ticket.id).await.unwrap(), approved[0]);
    let claim = store
        .claim(ticket.id, once("delete from t"), standing())
        .await;
    let claim = spent(claim.unwrap());
    assert_eq!(store.executing().await.unwrap(), [open(ticket.id, claim)]);
    drop(store);

    let store = state.store();
    assert_eq!(
        store.ticket(ticket.id).await.unwrap().state,
        State::Executing
    );
    assert_eq!(store.executing().await.unwrap(), [open(ticket.id, claim)]);
}

/// The caller's future is dropped right behind its first poll; the store goes on.
#[tokio::test(flavor = "current_thread")]
async fn a_dropped_future_is_not_undone() {
    let state = StateDir::new();
    let store = state.store();
    let mut open = Box::pin(store.open(asked_by("alice", "delete from t", &[("dba", 1)])));
    let polled = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(Future::poll(open.as_mut(), cx).is_pending())
    })
    .await;
    assert!(polled);
    drop(open);
    let all = store.list(gate::tickets::Filter::default()).await.unwrap();
    assert_eq!(all.len(), 1);
}

#[test]
fn the_file_is_its_owners_alone() {
    let state = StateDir::new();
    let path = tickets_file(state.dir.path());
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _store = state.store();
    for name in ["tickets.db", "tickets.db-wal", "tickets.db-shm"] {
        let mode = state
            .dir
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_missing_directory_is_named() {
    let state = StateDir::new();
    let path = state.dir.path().join("nowhere").join("tickets.db");
    let error = refused(&path);
    assert!(matches!(error, OpenError::NoDirectory { .. }));
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_newer_schema_is_refused() {
    let state = StateDir::new();
    drop(state.store());
    let path = tickets_file(state.dir.path());
    let db = Connection::open(&path).unwrap();
    db.execute(
        "INSERT INTO refinery_schema_history VALUES (99, 'later', '2026-01-31T12:00:00Z', '1')",
        [],
    )
    .unwrap();
    drop(db);
    let error = refused(&path);
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn something_else_is_refused() {
    let state = StateDir::new();
    let path = tickets_file(state.dir.path());
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE contacts (name TEXT)")
        .unwrap();
    assert!(matches!(refused(&path), OpenError::Foreign { .. }));
    let text = state.dir.path().join("notes.txt");
    std::fs::write(
        &text,
        "no database at all, but a text of some length".repeat(99),
    )
    .unwrap();
    assert!(matches!(refused(&text), OpenError::Cannot { .. }));
}

fn refused(path: &std::path::Path) -> OpenError {
    match Sqlite::open(path, Manual::default(), OPTIONS) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_head_does_not_go_back() {
    let state = StateDir::new();
    let store = state.store();
    let head = |seq, hash: char| store::Head {
        seq,
        hash: hash.to_string().repeat(64).parse().unwrap(),
    };
    assert_eq!(store.head("a").await.unwrap(), None);
    store.anchor("a", head(5, 'a')).await.unwrap();
    store.anchor("a", head(5, 'a')).await.unwrap();
    store.anchor("b", head(1, 'b')).await.unwrap();
    store.anchor("a", head(4, 'a')).await.unwrap_err();
    store.anchor("a", head(5, 'b')).await.unwrap_err();
    assert_eq!(store.head("a").await.unwrap(), Some(head(5, 'a')));
    store.anchor("a", head(6, 'c')).await.unwrap();
    assert_eq!(store.head("a").await.unwrap(), Some(head(6, 'c')));
}
