//! A state directory copied while it is used, and put back. It never starts a gate.

use gate::audit::End;
use gate::{Journal as _, State, Tickets as _};
use rusqlite::Connection;
use store::Unsettled as _;
use store::{BackupError, Keeping, backup, check, restore, tickets_file, verify_state};

use crate::recovery::claimed;
use crate::support::{NODE, StateDir, intent, login, outcome};

const SHORT: Keeping = Keeping {
    rotate_bytes: 1_500,
    keep_ms: None,
};

#[tokio::test]
async fn a_copy_that_is_taken_under_load_holds() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal_kept(&store, SHORT).await;
    let copies = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let writer = journal.beside();
        let writer = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async {
                for number in 0..400 {
                    writer.write(login(number)).await.unwrap();
                }
            });
        });
        let mut number = 0;
        while !writer.is_finished() || number == 0 {
            let into = copies.path().join(number.to_string());
            let report = backup(state.dir.path(), &into).unwrap();
            // Up to the head, and not a record more.
            assert_eq!((report.unanchored, report.torn_bytes), (0, 0));
            assert_eq!(check(&into).unwrap().faults, Vec::<String>::new());
            number += 1;
        }
    });
}

/// What was approved when the copy was taken may have run since: nothing of it runs again by itself.
#[tokio::test]
async fn nothing_runs_on_the_word_of_an_old_state() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    let (done, executing) = (
        claimed(&store, "delete from a", false).await,
        claimed(&store, "delete from b", false).await,
    );
    journal.write(intent(1, 1, Some(done))).await.unwrap();
    let end = outcome(1, 1, End::Done, &["DELETE 1"]);
    journal.write(end).await.unwrap();
    let settled = store.settle(vec![done], gate::Event::Succeed, None);
    settled.await.unwrap();
    let approved = claimed(&store, "delete from c", false).await;
    let undone = store.settle(vec![approved], gate::Event::Unclaim, None);
    undone.await.unwrap();

    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    drop(journal);
    backup(state.dir.path(), &copy).unwrap();
    let there = tempfile::tempdir().unwrap();
    let restored = restore(&copy, there.path(), false).unwrap();
    assert_eq!((restored.void, restored.in_doubt), (1, 1));
    assert_eq!(restored.aside, None);
    assert_eq!(check(there.path()).unwrap().faults, Vec::<String>::new());
    let again = StateDir {
        dir: there,
        clock: state.clock.clone(),
    };
    let store = again.store();
    for (id, expected) in [
        (done, State::Done),
        (executing, State::InDoubt),
        (approved, State::Void),
    ] {
        assert_eq!(store.ticket(id.0).await.unwrap().state, expected);
    }
    assert!(store.executing().await.unwrap().is_empty());
    again.journal(&store).await.write(login(1)).await.unwrap();
    verify_state(again.dir.path()).unwrap();
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    // Behind its anchor, which is on its way.
    store.head(NODE).await.unwrap();
    backup(state.dir.path(), &copy).unwrap();
    let again = backup(state.dir.path(), &copy);
    assert!(matches!(again, Err(BackupError::NotEmpty { .. })));

    // A gate runs on it, whatever is said; then none does.
    for force in [false, true] {
        let refused = restore(&copy, state.dir.path(), force);
        assert!(matches!(refused, Err(BackupError::Running { .. })));
    }
    journal.write(login(1)).await.unwrap();
    drop((journal, store));
    let refused = restore(&copy, state.dir.path(), false);
    assert!(matches!(refused, Err(BackupError::NotEmpty { .. })));
    assert_eq!(verify_state(state.dir.path()).unwrap().records, 2);
    let restored = restore(&copy, state.dir.path(), true).unwrap();
    assert_eq!(verify_state(state.dir.path()).unwrap().records, 1);
    assert_eq!(verify_state(&restored.aside.unwrap()).unwrap().records, 2);

    // A copy that somebody touched is not put back.
    let file = copy.join("journal").join("journal.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("started", "startee")).unwrap();
    let refused = restore(&copy, &copies.path().join("new"), false);
    assert!(matches!(refused, Err(BackupError::Tampered(_))));
}

#[tokio::test]
async fn tickets_and_their_uses_agree() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    let (ticket, _) = claimed(&store, "delete from a", false).await;
    drop((journal, store));
    let found = check(state.dir.path()).unwrap();
    assert_eq!((found.tickets, found.faults.len()), (1, 0));
    let db = Connection::open(tickets_file(state.dir.path())).unwrap();
    for (change, what) in [
        (
            "UPDATE tickets SET state = 'approved'",
            "has an open use, but is not executing",
        ),
        (
            "UPDATE tickets SET state = 'executing'; UPDATE claims SET ended = 'done', ended_ms = 1",
            "is executing, but no use of it is open",
        ),
        (
            "UPDATE tickets SET state = 'failed'; DELETE FROM claims",
            "has ended, but was never used",
        ),
    ] {
        db.execute_batch(change).unwrap();
        let faults = check(state.dir.path()).unwrap().faults;
        assert_eq!(faults, [format!("ticket {ticket} {what}")]);
    }
}
