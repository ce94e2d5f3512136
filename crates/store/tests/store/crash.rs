//! What a crash leaves at the end of the file, and that the chain goes on behind it. It never cuts
//! what the store knows of.

use gate::Journal as _;
use rusqlite::Connection;
use store::{JournalError, JournalFile, Tampered, tickets_file, verify_state};

use crate::support::{NODE, StateDir, login};

/// Six records of which the store knows three.
async fn behind() -> StateDir {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    for session in 0..5 {
        journal.write(login(session)).await.unwrap();
    }
    drop((journal, store));
    let lines = state.lines();
    let third = &lines[2];
    let db = Connection::open(tickets_file(state.dir.path())).unwrap();
    let hash = &third[third.len() - 67..third.len() - 3];
    db.execute("UPDATE heads SET seq = 3, hash = ?1", [hash])
        .unwrap();
    state
}

#[tokio::test]
async fn records_beyond_the_head_are_kept() {
    let state = behind().await;
    let report = verify_state(state.dir.path()).unwrap();
    assert_eq!(
        (report.records, report.head_seq, report.unanchored),
        (6, Some(3), 3)
    );
    let store = state.store();
    drop(state.journal(&store).await);
    let head = store.head(NODE).await.unwrap().unwrap();
    assert_eq!((head.seq, state.lines().len()), (7, 7));
    assert!(state.lines()[6].contains(r#""entry":{"kind":"started","torn_bytes":0}"#));
}

/// The file cut at every byte: before the head it is refused and left alone, behind it the last
/// whole record is found, what is torn is kept beside it, and the chain goes on.
#[tokio::test]
async fn a_cut_at_any_byte_is_found_or_mended() {
    let state = behind().await;
    let whole = state.bytes();
    let db_path = tickets_file(state.dir.path());
    let db = std::fs::read(&db_path).unwrap();
    let ends: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1)
        .collect();
    for cut in (0..=whole.len()).rev().step_by(7) {
        std::fs::write(state.journal_file(), &whole[..cut]).unwrap();
        std::fs::write(&db_path, &db).unwrap();
        for name in ["tickets.db-wal", "tickets.db-shm"] {
            let _ = std::fs::remove_file(state.dir.path().join(name));
        }
        let store = state.store();
        let clock = state.clock.clone();
        let opened = JournalFile::open(&state.journal_dir(), NODE, &store, clock).await;
        let kept = ends.iter().filter(|end| **end <= cut).count();
        if kept < 3 {
            let Err(JournalError::Tampered(Tampered::Truncated { seq, head: 3, .. })) = opened
            else {
                panic!("cut at {cut}")
            };
            assert_eq!(seq, kept as u64);
            assert_eq!(state.bytes(), &whole[..cut]);
        } else {
            let torn = cut - ends[kept - 1];
            drop(opened.unwrap_or_else(|error| panic!("cut at {cut}: {error}")));
            assert!(state.lines()[kept].contains(&format!("\"torn_bytes\":{torn}}}")));
            assert_eq!(
                verify_state(state.dir.path()).unwrap().records,
                kept as u64 + 1
            );
            let aside = state.journal_dir().join(format!("torn-after-{kept}.bin"));
            let aside_bytes = std::fs::read(&aside).unwrap_or_default();
            assert_eq!(aside_bytes, &whole[ends[kept - 1]..cut]);
            let _ = std::fs::remove_file(aside);
        }
    }
}

/// After a power cut a file can have grown without its data.
#[tokio::test]
async fn a_hole_at_the_end_is_torn() {
    let state = behind().await;
    let mut bytes = state.bytes();
    bytes.extend_from_slice(&[0; 100]);
    bytes.extend_from_slice(b"the end of a later record\"}\n");
    std::fs::write(state.journal_file(), &bytes).unwrap();
    assert_eq!(verify_state(state.dir.path()).unwrap().torn_bytes, 128);
    let store = state.store();
    drop(state.journal(&store).await);
    assert!(state.lines()[6].contains(r#""torn_bytes":128"#));
    assert_eq!(verify_state(state.dir.path()).unwrap().records, 7);
}
