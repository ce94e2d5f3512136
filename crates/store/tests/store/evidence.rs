//! Every way to touch a journal that somebody thought of, each found, and each found again by the
//! gate, which then refuses to start and leaves the file as it is (hazards R110). The forger here
//! knows the format; he does not have the store.

use gate::Journal as _;
use sha2::{Digest as _, Sha256};
use store::{Head, JournalError, JournalFile, Report, Tampered, verify, verify_state};

use crate::support::{NODE, StateDir, intent, login};

const RECORDS: u64 = 8;

/// A journal of eight records, all anchored: one start and seven entries.
async fn written() -> StateDir {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    for number in 1..RECORDS {
        state.clock.advance(1_000);
        journal.write(intent(1, number, None)).await.unwrap();
    }
    drop((journal, store));
    state
}

/// The line without its seal, sealed again behind the hash `prev`, by the documentation alone.
fn reseal(line: &str, prev: &str) -> (String, String) {
    let body = &line[..line.len() - 76];
    let at = body.find("\"prev\":\"").unwrap() + 8;
    let body = format!("{}{prev}{}", &body[..at], &body[at + 64..]);
    let raw = (0..32).map(|byte| u8::from_str_radix(&prev[byte * 2..byte * 2 + 2], 16).unwrap());
    let mut input: Vec<u8> = raw.collect();
    input.extend_from_slice(body.as_bytes());
    let hex: Vec<String> = Sha256::digest(&input)
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    let hash = hex.concat();
    (format!("{body},\"hash\":\"{hash}\"}}\n"), hash)
}

/// Seals every line from `from` on again, so that the chain is whole in itself.
pub(crate) fn reseal_from(lines: &mut [String], from: usize) {
    let mut prev = from
        .checked_sub(1)
        .map_or("0".repeat(64), |at| hash_of(&lines[at]));
    for line in &mut lines[from..] {
        (*line, prev) = reseal(line, &prev);
    }
}

pub(crate) fn hash_of(line: &str) -> String {
    line[line.len() - 67..line.len() - 3].to_owned()
}

/// Touches the journal, sees that it is found offline, and that the gate does not start on it.
async fn found(touch: impl FnOnce(&mut Vec<String>)) -> Tampered {
    let state = written().await;
    let mut lines = state.lines();
    touch(&mut lines);
    state.put(&lines);
    let before = state.bytes();
    let tampered = verify_state(state.dir.path()).unwrap_err();
    let words = tampered.to_string();
    assert!(words.contains("journal.jsonl"), "{words}");

    let store = state.store();
    let clock = state.clock.clone();
    match JournalFile::open(&state.journal_dir(), NODE, &store, clock).await {
        Ok(_) => panic!("the gate started on it: {words}"),
        // A chain in another node's name is told by that name offline, by its hash at the gate.
        Err(JournalError::Tampered(Tampered::Rewritten { .. }))
            if matches!(tampered, Tampered::UnknownNode { .. }) => {}
        Err(JournalError::Tampered(again)) => assert_eq!(again.to_string(), words),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(state.bytes(), before, "evidence was changed");
    tampered
}

#[tokio::test]
async fn an_untouched_journal_verifies() {
    let state = written().await;
    let expected = Report {
        node: Some(NODE.to_owned()),
        records: RECORDS,
        first_at: Some("2026-01-31T12:00:00.000Z".to_owned()),
        last_at: Some("2026-01-31T12:00:07.000Z".to_owned()),
        head_seq: Some(RECORDS),
        unanchored: 0,
        torn_bytes: 0,
        forgotten: None,
        signed: None,
        unchecked: 0,
    };
    assert_eq!(verify_state(state.dir.path()).unwrap(), expected);
    let mut lines = state.lines();
    let before = lines.clone();
    reseal_from(&mut lines, 0);
    assert_eq!(lines, before, "the documentation seals as the code does");
}

#[tokio::test]
async fn an_edited_record_is_found() {
    let tampered = found(|lines| lines[3] = lines[3].replace("alice", "alicf")).await;
    assert!(
        matches!(
            tampered,
            Tampered::Edited {
                line: 4,
                seq: 4,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn an_edited_record_with_a_fitting_hash_is_found_at_the_next() {
    let tampered = found(|lines| {
        let prev = hash_of(&lines[2]);
        lines[3] = reseal(&lines[3].replace("alice", "alicf"), &prev).0;
    })
    .await;
    assert!(
        matches!(
            tampered,
            Tampered::Link {
                line: 5,
                seq: 5,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn blanks_are_an_edit() {
    let tampered = found(|lines| lines[3] = lines[3].replacen(',', ", ", 1)).await;
    assert!(
        matches!(
            tampered,
            Tampered::Edited {
                line: 4,
                seq: 4,
                ..
            }
        ),
        "{tampered}"
    );
    let tampered = found(|lines| lines[3] = lines[3].replace("\"}\n", "\"} \n")).await;
    assert!(
        matches!(
            tampered,
            Tampered::NoRecord {
                line: 4,
                seq: 4,
                ..
            }
        ),
        "{tampered}"
    );
    let tampered = found(|lines| lines.insert(3, "\n".to_owned())).await;
    assert!(
        matches!(
            tampered,
            Tampered::NoRecord {
                line: 4,
                seq: 4,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn a_removed_record_is_found() {
    let tampered = found(|lines| drop(lines.remove(3))).await;
    assert!(
        matches!(
            tampered,
            Tampered::Order {
                line: 4,
                seq: 4,
                found: 5,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn a_removed_first_record_is_found() {
    let tampered = found(|lines| drop(lines.remove(0))).await;
    assert!(
        matches!(
            tampered,
            Tampered::Order {
                line: 1,
                seq: 1,
                found: 2,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn swapped_records_are_found() {
    let tampered = found(|lines| lines.swap(3, 4)).await;
    assert!(
        matches!(
            tampered,
            Tampered::Order {
                line: 4,
                seq: 4,
                found: 5,
                ..
            }
        ),
        "{tampered}"
    );
    let tampered = found(|lines| {
        lines.swap(3, 4);
        for (at, seq) in [(3, 4), (4, 5)] {
            let behind = lines[at].find(',').unwrap();
            lines[at] = format!("{{\"seq\":{seq}{}", &lines[at][behind..]);
        }
    })
    .await;
    assert!(
        matches!(
            tampered,
            Tampered::Link {
                line: 4,
                seq: 4,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn an_inserted_record_is_found() {
    let tampered = found(|lines| lines.insert(3, lines[3].clone())).await;
    assert!(
        matches!(
            tampered,
            Tampered::Order {
                line: 5,
                seq: 5,
                found: 4,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn missing_records_at_the_end_are_found() {
    for left in 1..7 {
        let tampered = found(|lines| lines.truncate(left)).await;
        let Tampered::Truncated {
            seq, head: RECORDS, ..
        } = tampered
        else {
            panic!("{tampered}")
        };
        assert_eq!(seq, left as u64);
    }
    let tampered = found(|lines| lines[7] = lines[7].replace('\n', "")).await;
    assert!(
        matches!(
            tampered,
            Tampered::Truncated {
                seq: 7,
                head: 8,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn an_emptied_and_a_removed_journal_are_found() {
    let tampered = found(Vec::clear).await;
    assert!(
        matches!(
            tampered,
            Tampered::Truncated {
                seq: 0,
                head: 8,
                ..
            }
        ),
        "{tampered}"
    );
    let state = written().await;
    std::fs::remove_file(state.journal_file()).unwrap();
    let tampered = verify_state(state.dir.path()).unwrap_err();
    assert!(
        matches!(
            tampered,
            Tampered::Truncated {
                seq: 0,
                head: 8,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn a_rewritten_end_is_found() {
    let tampered = found(|lines| {
        lines[5] = lines[5].replace("alice", "alicf");
        reseal_from(lines, 5);
    })
    .await;
    assert!(
        matches!(
            tampered,
            Tampered::Rewritten {
                line: 8,
                seq: 8,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn a_whole_other_journal_is_found() {
    let tampered = found(|lines| {
        for line in lines.iter_mut() {
            *line = line.replace("alice", "alicf").replace(NODE, "gate-2");
        }
        reseal_from(lines, 0);
    })
    .await;
    assert!(
        matches!(tampered, Tampered::UnknownNode { .. }),
        "{tampered}"
    );
    let tampered = found(|lines| {
        lines[5] = lines[5].replace(NODE, "gate-2");
        reseal_from(lines, 5);
    })
    .await;
    assert!(
        matches!(
            tampered,
            Tampered::Node {
                line: 6,
                seq: 6,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn zeros_over_a_record_are_found() {
    let tampered = found(|lines| {
        let middle = "\0".repeat(lines[3].len() - 1);
        lines[3] = format!("{middle}\n");
    })
    .await;
    assert!(
        matches!(
            tampered,
            Tampered::Truncated {
                seq: 3,
                head: 8,
                ..
            }
        ),
        "{tampered}"
    );
}

/// Without a head a whole chain is all that can be seen; with one, the same file is found short.
#[tokio::test]
async fn only_the_head_tells_of_a_cut() {
    let state = written().await;
    let mut lines = state.lines();
    let head = Head {
        seq: RECORDS,
        hash: hash_of(&lines[7]).parse().unwrap(),
    };
    lines.truncate(5);
    state.put(&lines);
    let report = verify(&state.journal_dir(), None).unwrap();
    assert_eq!(
        (report.records, report.head_seq, report.unanchored),
        (5, None, 5)
    );
    let tampered = verify(&state.journal_dir(), Some(head)).unwrap_err();
    assert!(
        matches!(
            tampered,
            Tampered::Truncated {
                seq: 5,
                head: 8,
                ..
            }
        ),
        "{tampered}"
    );
}

#[tokio::test]
async fn another_nodes_journal_is_not_continued() {
    let state = written().await;
    let before = state.bytes();
    let store = state.store();
    let opened =
        JournalFile::open(&state.journal_dir(), "gate-2", &store, state.clock.clone()).await;
    assert!(matches!(opened, Err(JournalError::OtherNode { .. })));
    assert_eq!(state.bytes(), before);
}

#[tokio::test]
async fn a_running_gate_can_be_verified() {
    let state = written().await;
    let store = state.store();
    let journal = state.journal(&store).await;
    for session in 0..20 {
        journal.write(login(session)).await.unwrap();
        let report = verify_state(state.dir.path()).unwrap();
        assert!(report.records >= RECORDS + 1 + session);
    }
    drop(journal);
    assert_eq!(
        store.head(NODE).await.unwrap().map(|head| head.seq),
        Some(RECORDS + 21)
    );
    assert_eq!(verify_state(state.dir.path()).unwrap().unanchored, 0);
}
