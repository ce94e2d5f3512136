//! A journal of several files is one chain: it goes on over them, none can be taken away unseen, and what goes by rule is
//! said in the chain. The forger here has the files; he does not have the store.

use std::path::PathBuf;

use gate::audit::End;
use gate::{Journal as _, State, Tickets as _};
use store::{
    Forgotten, JournalError, JournalFile, Keeping, Sqlite, Tampered, read_state, recover,
    verify_state,
};

use crate::recovery::claimed;
use crate::support::{NODE, StateDir, intent, login, outcome};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A few records a file.
const SHORT: Keeping = Keeping {
    rotate_bytes: 1_500,
    keep_ms: None,
};
const TEN_DAYS: Keeping = Keeping {
    keep_ms: Some(10 * DAY_MS),
    ..SHORT
};

impl StateDir {
    /// Closed files with their first and last record, in order.
    fn closed(&self) -> Vec<(u64, u64, PathBuf)> {
        let files = std::fs::read_dir(self.journal_dir()).unwrap();
        let mut closed: Vec<_> = files
            .filter_map(|it| {
                let path = it.unwrap().path();
                let name = path.file_name()?.to_str()?.to_owned();
                let numbers = name.strip_prefix("journal.")?.strip_suffix(".jsonl")?;
                let (first, last) = numbers.split_once('-')?;
                Some((first.parse().unwrap(), last.parse().unwrap(), path))
            })
            .collect();
        closed.sort();
        closed
    }

    /// The number of each record that a reader is handed.
    fn read(&self) -> Vec<u64> {
        let mut read = Vec::new();
        let taken = read_state(self.dir.path(), &mut |seen| {
            read.push(seen.seq);
            Ok(())
        });
        taken.unwrap();
        read
    }

    async fn refused(&self, store: &Sqlite) -> Tampered {
        let clock = self.clock.clone();
        match JournalFile::open(&self.journal_dir(), NODE, store, clock).await {
            Err(JournalError::Tampered(tampered)) => tampered,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("the gate started on it"),
        }
    }
}

/// Forty records in several files, all anchored.
async fn written() -> StateDir {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal_kept(&store, SHORT).await;
    for session in 1..40 {
        journal.write(login(session)).await.unwrap();
    }
    drop((journal, store));
    assert!(state.closed().len() >= 5, "{:?}", state.closed());
    state
}

#[tokio::test]
async fn the_chain_goes_on_over_files() {
    let state = written().await;
    let mut next = 1;
    for (first, last, path) in state.closed() {
        assert_eq!(first, next);
        let lines = std::fs::read_to_string(path).unwrap().lines().count() as u64;
        assert_eq!(lines, last - first + 1);
        next = last + 1;
    }
    let report = verify_state(state.dir.path()).unwrap();
    assert_eq!(
        (report.records, report.unanchored, report.forgotten),
        (40, 0, None)
    );
    assert_eq!(state.read(), (1..=40).collect::<Vec<_>>());

    let store = state.store();
    let journal = state.journal_kept(&store, SHORT).await;
    for session in 41..60 {
        journal.write(login(session)).await.unwrap();
    }
    drop((journal, store));
    assert_eq!(state.read(), (1..=60).collect::<Vec<_>>());
}

/// Somebody verifies all the while.
#[tokio::test]
async fn files_are_closed_under_load_and_under_readers() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal_kept(&store, SHORT).await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let readers = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                verify_state(state.dir.path()).unwrap();
                read += 1;
            }
            read
        });
        let writers: Vec<_> = (1..=4_u64)
            .map(|thread| {
                let journal = journal.beside();
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.unwrap().block_on(async {
                        for number in 0..300 {
                            let entry = login(thread * 1000 + number);
                            match number % 3 {
                                0 => journal.write(entry).await.unwrap(),
                                _ => journal.note(&entry).unwrap(),
                            }
                        }
                    });
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(readers > 0);
    drop(journal);
    store.head(NODE).await.unwrap();
    let mut entries = 0;
    read_state(state.dir.path(), &mut |_| {
        entries += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(entries, 1201);
    assert!(state.closed().len() > 20, "{}", state.closed().len());
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let count = written().await.closed().len();
    for gone in 0..count {
        let state = written().await;
        let (first, last, path) = state.closed().swap_remove(gone);
        std::fs::remove_file(&path).unwrap();
        let expected = format!(
            "records {first} to {last} are missing: {} has no file with them",
            state.journal_dir().display()
        );
        let tampered = verify_state(state.dir.path()).unwrap_err();
        assert_eq!(tampered.to_string(), expected);
        let refused = state.refused(&state.store()).await;
        assert_eq!(refused.to_string(), expected);
    }
    let state = written().await;
    std::fs::remove_file(state.journal_file()).unwrap();
    let tampered = verify_state(state.dir.path()).unwrap_err();
    assert!(
        matches!(tampered, Tampered::Truncated { head: 40, .. }),
        "{tampered}"
    );
    let refused = state.refused(&state.store()).await;
    assert!(matches!(refused, Tampered::Truncated { head: 40, .. }));
}

#[tokio::test]
async fn a_closed_file_is_whole() {
    let state = written().await;
    let (first, last, path) = state.closed().swap_remove(1);
    let whole = std::fs::read(&path).unwrap();
    for (cut, what) in [(1, "torn"), (300, "cut")] {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let tampered = verify_state(state.dir.path()).unwrap_err();
        let Tampered::NoRecord { file, seq, .. } = &tampered else {
            panic!("{what}: {tampered}")
        };
        assert_eq!(*file, path);
        assert!((first..=last).contains(seq), "{what}: {tampered}");
        state.refused(&state.store()).await;
    }
    let edited = String::from_utf8(whole)
        .unwrap()
        .replacen("alice", "alicf", 1);
    std::fs::write(&path, edited).unwrap();
    let tampered = verify_state(state.dir.path()).unwrap_err();
    let Tampered::Edited {
        file, line: 1, seq, ..
    } = &tampered
    else {
        panic!("{tampered}")
    };
    assert_eq!((file, *seq), (&path, first));
}

#[tokio::test]
async fn files_out_of_their_order_are_found() {
    let state = written().await;
    let closed = state.closed();
    let aside = state.dir.path().join("aside");
    std::fs::rename(&closed[1].2, &aside).unwrap();
    std::fs::rename(&closed[2].2, &closed[1].2).unwrap();
    std::fs::rename(&aside, &closed[2].2).unwrap();
    let tampered = verify_state(state.dir.path()).unwrap_err();
    let Tampered::Order {
        line: 1,
        seq,
        found,
        ..
    } = tampered
    else {
        panic!("{tampered}")
    };
    assert_eq!((seq, found), (closed[1].0, closed[2].0));
}

/// The file had its second name, and the next one did not take its place.
#[tokio::test]
async fn a_turn_that_a_crash_cut_short_is_undone() {
    let state = written().await;
    let closed = state.closed();
    let second = state.journal_dir().join(format!(
        "journal.{:012}-{:012}.jsonl",
        closed.last().unwrap().1 + 1,
        40
    ));
    std::fs::hard_link(state.journal_file(), &second).unwrap();
    std::fs::write(state.journal_dir().join("journal.next"), "").unwrap();
    assert_eq!(verify_state(state.dir.path()).unwrap().records, 40);
    let store = state.store();
    drop(state.journal(&store).await);
    assert!(!second.exists());
    assert!(!state.journal_dir().join("journal.next").exists());
    assert_eq!(state.read(), (1..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn recovery_reads_closed_files() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal_kept(&store, SHORT).await;
    let claim = claimed(&store, "delete from t", false).await;
    journal.write(intent(7, 1, Some(claim))).await.unwrap();
    journal
        .write(outcome(7, 1, End::Done, &["DELETE 3"]))
        .await
        .unwrap();
    for session in 1..40 {
        journal.write(login(session)).await.unwrap();
    }
    drop((journal, store));
    let store = state.store();
    let journal = state.journal_kept(&store, SHORT).await;
    let recovered = recover(&store, &journal).await.unwrap();
    assert_eq!((recovered.len(), recovered[0].state), (1, State::Done));
}

/// So many days, a few records each.
async fn days(state: &StateDir, store: &Sqlite, keeping: Keeping, days: u64) {
    let journal = state.journal_kept(store, keeping).await;
    for day in 0..days {
        for hour in 0..6 {
            state.clock.advance(4 * HOUR_MS);
            journal.write(login(day * 100 + hour)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_chain_says_so() {
    let state = StateDir::new();
    let store = state.store();
    let long = Keeping {
        rotate_bytes: 1 << 30,
        ..TEN_DAYS
    };
    // One file a day, as they are far from full.
    days(&state, &store, long, 20).await;
    let closed = state.closed();
    assert!((9..=13).contains(&closed.len()), "{closed:?}");
    let gone = closed[0].0 - 1;
    assert!(gone > 40, "{closed:?}");
    let report = verify_state(state.dir.path()).unwrap();
    let Some(Forgotten { last, at }) = report.forgotten else {
        panic!("nothing was forgotten")
    };
    assert_eq!(last, gone);
    assert!(at.starts_with("2026-02-"), "{at}");
    let read = state.read();
    assert_eq!(read.first(), Some(&(gone + 1)));
    assert_eq!(read.len() as u64, report.records);

    // The gate starts on it, and what else is taken away is still found.
    days(&state, &store, long, 1).await;
    verify_state(state.dir.path()).unwrap();
    drop(store);
    let (first, last, path) = state.closed().swap_remove(0);
    std::fs::remove_file(path).unwrap();
    let found = verify_state(state.dir.path()).unwrap_err().to_string();
    let expected = format!("records 1 to {last} are missing");
    assert!(first > 1 && found.starts_with(&expected), "{found}");
    state.refused(&state.store()).await;
}

#[tokio::test]
async fn without_a_rule_nothing_goes() {
    let state = StateDir::new();
    let store = state.store();
    days(&state, &store, SHORT, 400).await;
    assert_eq!(state.closed()[0].0, 1);
    assert_eq!(verify_state(state.dir.path()).unwrap().forgotten, None);
}

/// As long as nobody knows what came of a statement, all that is told of it stays.
#[tokio::test]
async fn what_recovery_needs_stays() {
    let state = StateDir::new();
    let store = state.store();
    days(&state, &store, TEN_DAYS, 30).await;
    let begin = |state: &StateDir| state.closed()[0].0;
    assert!(begin(&state) > 1);
    let claim = claimed(&store, "delete from t", false).await;
    let journal = state.journal_kept(&store, TEN_DAYS).await;
    journal.write(intent(7, 1, Some(claim))).await.unwrap();
    drop(journal);
    let at = verify_state(state.dir.path()).unwrap();
    let intent_is = state.read().last().copied().unwrap();
    days(&state, &store, TEN_DAYS, 60).await;
    assert!(begin(&state) <= intent_is, "{at:?}");
    let journal = state.journal_kept(&store, TEN_DAYS).await;
    let recovered = recover(&store, &journal).await.unwrap();
    assert_eq!(recovered[0].state, State::InDoubt);
    drop(journal);
    days(&state, &store, TEN_DAYS, 60).await;
    assert!(begin(&state) <= intent_is, "in doubt, and forgotten");

    let event = gate::Event::Fence;
    store.conclude(claim.0, event, None).await.unwrap();
    days(&state, &store, TEN_DAYS, 2).await;
    assert!(begin(&state) > intent_is, "it is kept for ever");
    verify_state(state.dir.path()).unwrap();
}
