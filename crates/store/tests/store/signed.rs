//! Heads that are signed: when they are, and that whoever lacks the key cannot write a chain anew, though the store is theirs,
//! too.

use std::time::Duration;

use gate::Journal as _;
use rusqlite::{Connection, params};
use store::{
    Custody, JournalError, JournalFile, Keeping, Keys, PublicKey, Signed, Signing, SigningKey,
    Sqlite, Tampered, tickets_file, verify_state, verify_state_signed,
};

use crate::evidence::{hash_of, reseal_from};
use crate::support::{NODE, StateDir, login};
use crate::writing::wait_for;

/// So long that nothing is signed for its sake.
const LONG: Duration = Duration::from_hours(1);

fn signing(key: &SigningKey) -> Signing {
    Signing {
        within: LONG,
        ..Signing::with(key.clone())
    }
}

fn custody(keeping: Keeping, signing: Signing) -> Custody {
    let keys = Keys {
        signing: Some(signing),
        ..Keys::default()
    };
    Custody { keeping, keys }
}

impl StateDir {
    async fn journal_signed(&self, store: &Sqlite, signing: Signing) -> JournalFile {
        let custody = custody(Keeping::default(), signing);
        self.journal_kept(store, custody).await
    }

    fn signed(&self, keys: &[PublicKey]) -> Result<Signed, Tampered> {
        let report = verify_state_signed(self.dir.path(), keys)?;
        Ok(report.signed.unwrap())
    }

    /// The forger has the store: its head is that of the journal as he left it.
    fn forge_head(&self) {
        let lines = self.lines();
        let (seq, last) = (lines.len(), lines.last().unwrap());
        let db = Connection::open(tickets_file(self.dir.path())).unwrap();
        let head = "UPDATE heads SET seq = ?1, hash = ?2";
        assert_eq!(
            db.execute(head, params![i64::try_from(seq).unwrap(), hash_of(last)])
                .unwrap(),
            1
        );
    }
}

fn is_signed(line: &str) -> bool {
    line.contains(r#""entry":{"kind":"signed","#)
}

/// Twenty records with a signed head behind each third, and at the end.
async fn written(key: &SigningKey) -> StateDir {
    let state = StateDir::new();
    let store = state.store();
    let signing = Signing {
        records: 3,
        ..signing(key)
    };
    let journal = state.journal_signed(&store, signing).await;
    for session in 1..20 {
        journal.write(login(session)).await.unwrap();
    }
    drop((journal, store));
    state
}

#[tokio::test]
async fn the_head_is_signed_at_the_beginning_after_so_many_and_at_the_end() {
    let key = SigningKey::generate().unwrap();
    let state = written(&key).await;
    let signed: Vec<usize> = (0..)
        .zip(state.lines())
        .filter(|it| is_signed(&it.1))
        .map(|it| it.0 + 1)
        .collect();
    // The start, then three log-ins each; behind the nineteenth is the end.
    assert_eq!(signed, [2, 6, 10, 14, 18, 22, 26, 28]);
    let found = state.signed(&[key.public().clone()]).unwrap();
    let expected = Signed {
        heads: 8,
        to: 27,
        at: "2026-01-31T12:00:00.000Z".to_owned(),
        behind: 0,
        others: 0,
    };
    assert_eq!(found, expected);
    let unchecked = verify_state(state.dir.path()).unwrap();
    assert_eq!((unchecked.signed, unchecked.unchecked), (None, 8));
}

#[tokio::test]
async fn what_waits_is_signed_in_time() {
    let key = SigningKey::generate().unwrap();
    let state = StateDir::new();
    let store = state.store();
    let within = Duration::from_millis(1);
    let signing = Signing {
        within,
        ..signing(&key)
    };
    let journal = state.journal_signed(&store, signing).await;
    journal.write(login(1)).await.unwrap();
    // Nothing else is written, and the journal stays open: its thread wakes up for that alone.
    let fourth = || state.lines().get(3).is_some_and(|it| it.ends_with('\n'));
    wait_for("it is signed", fourth);
    assert!(is_signed(&state.lines()[3]));
    assert_eq!(state.signed(&[key.public().clone()]).unwrap().behind, 0);
}

#[tokio::test]
async fn what_is_behind_the_last_signed_head_is_said_and_no_fault() {
    let key = SigningKey::generate().unwrap();
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal_signed(&store, signing(&key)).await;
    for session in 0..5 {
        journal.write(login(session)).await.unwrap();
    }
    let found = state.signed(&[key.public().clone()]).unwrap();
    assert_eq!((found.to, found.heads, found.behind), (1, 1, 5));
}

#[tokio::test]
async fn every_closed_file_ends_with_a_signed_head() {
    let key = SigningKey::generate().unwrap();
    let state = StateDir::new();
    let store = state.store();
    let keeping = Keeping {
        rotate_bytes: 1_500,
        keep_ms: None,
    };
    let custody = custody(keeping, signing(&key));
    let journal = state.journal_kept(&store, custody).await;
    for session in 0..30 {
        journal.write(login(session)).await.unwrap();
    }
    drop(journal);
    let files = std::fs::read_dir(state.journal_dir()).unwrap();
    let mut closed = 0;
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(is_signed(text.lines().last().unwrap()), "{text}");
        closed += 1;
    }
    assert!(closed > 4, "{closed}");
    assert_eq!(state.signed(&[key.public().clone()]).unwrap().behind, 0);
}

/// All hashes fit, and so does the store's head: only the signature tells.
#[tokio::test]
async fn a_chain_written_anew_by_somebody_without_the_key_is_found() {
    let key = SigningKey::generate().unwrap();
    for from in [0, 8, 24] {
        let state = written(&key).await;
        let mut lines = state.lines();
        let edited = lines[from..].iter().position(|it| it.contains("alice"));
        let edited = from + edited.unwrap();
        lines[edited] = lines[edited].replace("alice", "alicf");
        reseal_from(&mut lines, edited);
        state.put(&lines);
        state.forge_head();
        let whole = verify_state(state.dir.path()).unwrap();
        assert_eq!(whole.records, 28, "without the key all is well");

        let next = (edited..lines.len())
            .find(|it| is_signed(&lines[*it]))
            .unwrap() as u64
            + 1;
        let tampered = state.signed(&[key.public().clone()]).unwrap_err();
        let Tampered::Signature {
            line, seq, key: id, ..
        } = &tampered
        else {
            panic!("{tampered}")
        };
        assert_eq!((*line, *seq, &**id), (next, next, key.public().id()));
        assert!(tampered.to_string().contains("bears no signature of key"));

        // The gate does not go on behind it, and signs it even less.
        let store = state.store();
        let before = state.bytes();
        let custody = custody(Keeping::default(), signing(&key));
        let (dir, clock) = (state.journal_dir(), state.clock.clone());
        let opened =
            JournalFile::open_with(&dir, NODE, &store, clock, custody, |it| Box::new(it)).await;
        let Err(JournalError::Tampered(refused)) = opened else {
            panic!("the gate started on it")
        };
        assert!(
            matches!(refused, Tampered::Signature { seq: 28, .. }),
            "{refused}"
        );
        assert_eq!(state.bytes(), before);
    }
}

/// Who takes the signatures out, too, is left with a chain that nobody has signed for.
#[tokio::test]
async fn a_chain_without_its_signatures_is_said_to_be_signed_no_further() {
    let key = SigningKey::generate().unwrap();
    let keys = [key.public().clone()];
    let state = written(&key).await;
    let mut lines = state.lines();
    let mut at = 0;
    lines.retain(|line| {
        at += 1;
        at <= 10 || !is_signed(line)
    });
    for (at, line) in lines.iter_mut().enumerate() {
        let behind = line.find(',').unwrap();
        *line = format!("{{\"seq\":{}{}", at + 1, &line[behind..]);
    }
    reseal_from(&mut lines, 10);
    state.put(&lines);
    state.forge_head();
    let found = state.signed(&keys).unwrap();
    assert_eq!((found.to, found.heads, found.behind), (9, 3, 13));

    lines.retain(|line| !is_signed(line));
    for (at, line) in lines.iter_mut().enumerate() {
        let behind = line.find(',').unwrap();
        *line = format!("{{\"seq\":{}{}", at + 1, &line[behind..]);
    }
    reseal_from(&mut lines, 0);
    state.put(&lines);
    state.forge_head();
    verify_state(state.dir.path()).unwrap();
    let tampered = state.signed(&keys).unwrap_err();
    assert!(matches!(tampered, Tampered::Unsigned { .. }), "{tampered}");
}

#[tokio::test]
async fn a_new_key_speaks_for_what_the_old_one_signed() {
    let (old, new) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let state = written(&old).await;
    let store = state.store();
    let journal = state.journal_signed(&store, signing(&new)).await;
    journal.write(login(99)).await.unwrap();
    drop((journal, store));
    let keys = |keys: &[&SigningKey]| {
        keys.iter()
            .map(|it| it.public().clone())
            .collect::<Vec<_>>()
    };
    let of = |found: Signed| (found.heads, found.to, found.behind, found.others);
    assert_eq!(
        of(state.signed(&keys(&[&old, &new])).unwrap()),
        (10, 31, 0, 0)
    );
    assert_eq!(of(state.signed(&keys(&[&new])).unwrap()), (2, 31, 0, 8));
    assert_eq!(of(state.signed(&keys(&[&old])).unwrap()), (8, 27, 4, 2));
    let other = SigningKey::generate().unwrap();
    let tampered = state.signed(&keys(&[&other])).unwrap_err();
    assert!(matches!(tampered, Tampered::Unsigned { .. }), "{tampered}");
}

/// A signature that was copied from a head to another one is none.
#[tokio::test]
async fn a_signature_of_another_head_does_not_fit() {
    let key = SigningKey::generate().unwrap();
    let state = written(&key).await;
    let mut lines = state.lines();
    let signature = |line: &str| {
        let (_, behind) = line.split_once("\"signature\":\"").unwrap();
        behind.split_once('"').unwrap().0.to_owned()
    };
    let (old, new) = (signature(&lines[27]), signature(&lines[21]));
    lines[27] = lines[27].replace(&old, &new);
    reseal_from(&mut lines, 27);
    state.put(&lines);
    state.forge_head();
    let tampered = state.signed(&[key.public().clone()]).unwrap_err();
    assert!(
        matches!(tampered, Tampered::Signature { seq: 28, .. }),
        "{tampered}"
    );
}
