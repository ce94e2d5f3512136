//! How the journal writes: in order, on disk before it says so, anchored only behind that, and
//! behind an error not before it is mended. Disks here fail and wait when they are told to.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gate::{Journal as _, JournalDown};
use store::journal::Sink;
use store::{JournalError, JournalFile, Keeping, Sqlite, verify_state};
use tokio::task::LocalSet;

use crate::support::{NODE, StateDir, login};

/// What a test holds of a disk.
#[derive(Clone, Default)]
struct Levers(Arc<Disk>);

#[derive(Default)]
struct Disk {
    fail_write: AtomicBool,
    full: AtomicBool,
    fail_sync: AtomicBool,
    writes: AtomicUsize,
    syncs: AtomicUsize,
    stuck: Mutex<bool>,
    moved: Condvar,
}

impl Disk {
    /// Waits until it is not stuck.
    fn free(&self) -> std::sync::MutexGuard<'_, bool> {
        let stuck = self.stuck.lock().unwrap();
        self.moved.wait_while(stuck, |stuck| *stuck).unwrap()
    }
}

struct Faulty(File, Levers);

impl Sink for Faulty {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let disk = &self.1.0;
        disk.writes.fetch_add(1, Ordering::SeqCst);
        if disk.fail_write.load(Ordering::SeqCst) {
            Sink::write_all(&mut self.0, &bytes[..bytes.len() / 2])?;
            return Err(io::Error::other("the disk is gone"));
        }
        if disk.full.load(Ordering::SeqCst) {
            drop(disk.free());
            // Some of it arrives.
            Sink::write_all(&mut self.0, &bytes[..bytes.len() / 2])?;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Sink::write_all(&mut self.0, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let disk = &self.1.0;
        let _stuck = disk.free();
        disk.syncs.fetch_add(1, Ordering::SeqCst);
        if disk.fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.0.sync()
    }

    fn go_on_in(&mut self, file: File) -> io::Result<()> {
        self.0.go_on_in(file)
    }
}

impl Levers {
    async fn journal(&self, state: &StateDir, store: &Sqlite) -> JournalFile {
        let levers = self.clone();
        let sink = |file| -> Box<dyn Sink> { Box::new(Faulty(file, levers)) };
        let clock = state.clock.clone();
        let keeping = Keeping::default();
        JournalFile::open_with(&state.journal_dir(), NODE, store, clock, keeping, sink)
            .await
            .unwrap()
    }

    fn stick(&self, stuck: bool) {
        *self.0.stuck.lock().unwrap() = stuck;
        self.0.moved.notify_all();
    }

    fn syncs(&self) -> usize {
        self.0.syncs.load(Ordering::SeqCst)
    }
}

/// Frees a stuck disk at the end, so that a test that fails ends.
struct Free(Levers);

impl Drop for Free {
    fn drop(&mut self) {
        self.0.stick(false);
    }
}

pub(crate) fn wait_for(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

/// Nobody knows then what is on the disk: only a start looks.
#[tokio::test]
async fn a_disk_that_does_not_sync_closes_the_journal_for_good() {
    broken(|disk| &disk.fail_sync, JournalDown::Disk).await;
}

#[tokio::test]
async fn a_disk_that_says_something_else_than_full_closes_the_journal_for_good() {
    broken(|disk| &disk.fail_write, JournalDown::Disk).await;
}

async fn broken(lever: impl Fn(&Disk) -> &AtomicBool, why: JournalDown) {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    journal.write(login(1)).await.unwrap();
    let mut head = None;
    for _ in 0..500 {
        // The anchor follows the answer.
        head = store.head(NODE).await.unwrap();
        if head.is_some_and(|head| head.seq == 2) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(head.map(|head| head.seq), Some(2));

    lever(&levers.0).store(true, Ordering::SeqCst);
    let beside = journal.beside();
    let (here, there) = tokio::join!(journal.write(login(2)), beside.write(login(2)));
    assert_eq!((here, there), (Err(why), Err(why)));
    lever(&levers.0).store(false, Ordering::SeqCst);
    wait_for("notes are refused", || journal.note(&login(3)).is_err());
    let writes = levers.0.writes.load(Ordering::SeqCst);
    assert_eq!(
        journal.write(login(4)).await,
        Err(why),
        "the journal came back"
    );
    assert_eq!(journal.clone().note(&login(5)), Err(why));
    assert_eq!(journal.beside().note(&login(5)), Err(why));
    assert!(!journal.is_open());
    assert_eq!(journal.down(), why);
    assert_eq!(
        levers.0.writes.load(Ordering::SeqCst),
        writes,
        "it wrote behind an error"
    );
    assert_eq!(
        store.head(NODE).await.unwrap(),
        head,
        "a head without its records"
    );

    drop((journal, beside));
    let journal = state.journal(&store).await;
    journal.write(login(6)).await.unwrap();
    verify_state(state.dir.path()).unwrap();
}

/// Everybody who waits hears that the disk is full; once there is room, what was taken is written whole, and behind it
/// that there was none.
#[tokio::test]
async fn a_full_disk_closes_the_journal_until_there_is_room() {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    journal.write(login(1)).await.unwrap();
    levers.0.full.store(true, Ordering::SeqCst);
    levers.stick(true);
    let beside = journal.beside();
    let before = levers.0.writes.load(Ordering::SeqCst);
    // What the second says comes while the first is on its way to the disk.
    let second = async {
        let taken = || levers.0.writes.load(Ordering::SeqCst) > before;
        wait_for("the first", taken);
        for session in 2..40 {
            journal.note(&login(session)).unwrap();
        }
        let write = beside.write(login(41));
        let free = async { levers.stick(false) };
        tokio::join!(write, free).0
    };
    let (here, there) = tokio::join!(journal.write(login(40)), second);
    let full = Err(JournalDown::NoSpace);
    assert_eq!((here, there), (full, full));
    assert!(!journal.is_open());
    assert_eq!(journal.down(), JournalDown::NoSpace);
    assert_eq!(
        (journal.note(&login(3)), beside.note(&login(3))),
        (full, full)
    );
    assert_eq!(journal.beside().write(login(3)).await, full);

    levers.0.full.store(false, Ordering::SeqCst);
    wait_for("it opens", || journal.is_open());
    journal.write(login(50)).await.unwrap();
    beside.write(login(51)).await.unwrap();
    drop((journal, beside));
    store.head(NODE).await.unwrap();
    let entries = state.entries();
    let has = |session: u64| {
        let session = format!("\"session\":{session},");
        entries.iter().filter(|it| it.contains(&session)).count()
    };
    assert!(
        (1..=41).chain([50, 51]).all(|it| has(it) == 1),
        "{entries:#?}"
    );
    let reopened = entries
        .iter()
        .position(|it| it.contains("\"kind\":\"reopened\""));
    assert_eq!(reopened, Some(entries.len() - 3), "{entries:#?}");
    assert!(entries[entries.len() - 3].contains("no space left on device"));
    let report = verify_state(state.dir.path()).unwrap();
    assert_eq!((report.torn_bytes, report.unanchored), (0, 0));
}

/// What a crash leaves while the disk is full is torn, as ever.
#[tokio::test]
async fn a_gate_that_ends_while_the_disk_is_full_starts_again() {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    levers.0.full.store(true, Ordering::SeqCst);
    assert_eq!(journal.write(login(1)).await, Err(JournalDown::NoSpace));
    drop(journal);
    let journal = state.journal(&store).await;
    journal.write(login(2)).await.unwrap();
    verify_state(state.dir.path()).unwrap();
}

#[tokio::test]
async fn a_head_waits_for_the_disk() {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    let head = async || store.head(NODE).await.unwrap().unwrap().seq;
    assert_eq!(head().await, 1);

    let _free = Free(levers.clone());
    levers.stick(true);
    let local = LocalSet::new();
    let writer = journal.clone();
    let write = local.spawn_local(async move { writer.write(login(1)).await });
    local
        .run_until(async {
            while state.lines().len() < 2 {
                tokio::task::yield_now().await;
            }
            for _ in 0..20 {
                assert_eq!(head().await, 1, "anchored before it was on disk");
                assert!(!write.is_finished(), "told before it was on disk");
                std::thread::sleep(Duration::from_millis(2));
            }
            levers.stick(false);
        })
        .await;
    local.await;
    assert_eq!(write.await.unwrap(), Ok(()));
    drop(journal);
    assert_eq!(head().await, 2);
}

#[tokio::test]
async fn notes_are_on_disk_soon_and_together() {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    let before = levers.syncs();
    for session in 0..100 {
        journal.note(&login(session)).unwrap();
    }
    wait_for("a sync", || levers.syncs() > before);
    assert!(levers.syncs() <= before + 2, "a sync for each note");
    wait_for("all of them", || state.entries().len() == 101);
    std::thread::sleep(Duration::from_millis(250));
    let head = store.head(NODE).await.unwrap().unwrap().seq;
    assert_eq!(head, state.lines().len() as u64);
}

#[tokio::test]
async fn a_write_takes_the_notes_before_it_along() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    for session in 0..10 {
        journal.note(&login(session)).unwrap();
    }
    journal.write(login(10)).await.unwrap();
    let entries = state.entries();
    assert_eq!(entries.len(), 12);
    for (session, entry) in entries[1..].iter().enumerate() {
        let session = format!("\"session\":{session},");
        assert!(entry.contains(&session), "{entry}");
    }
}

/// One for which somebody waits is a record by itself, and what one record says has a bound.
#[tokio::test]
async fn what_nobody_waits_for_shares_a_record() {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    let _free = Free(levers.clone());
    levers.stick(true);
    let waits = async |session| journal.write(login(session)).await.unwrap();
    let notes = |sessions: std::ops::Range<u64>| {
        let each = |session| journal.note(&login(session)).unwrap();
        sessions.for_each(each);
    };
    // The first holds the thread up, so that all others are there before it comes back.
    let all = async {
        let rest = async {
            wait_for("the first", || state.lines().len() == 2);
            notes(2..50);
            let next = waits(50);
            let behind = async {
                notes(51..500);
                levers.stick(false);
            };
            tokio::join!(next, behind);
        };
        tokio::join!(waits(1), rest);
    };
    all.await;
    drop(journal);

    let lines = state.lines();
    let has = |line: &String| {
        let is_list = line.contains("\"entry\":[");
        (is_list, line.matches("\"kind\"").count())
    };
    let shape: Vec<(bool, usize)> = lines.iter().map(has).collect();
    let [before @ .., (true, full), (true, last)] = &shape[..] else {
        panic!("{shape:?}")
    };
    assert_eq!(before[..3], [(false, 1), (false, 1), (true, 48)]);
    assert_eq!(before[3], (false, 1));
    assert!(
        before[4..].iter().all(|it| it == &(true, *full)),
        "{shape:?}"
    );
    assert!((100..300).contains(full), "{shape:?}");
    let behind = full * (before.len() - 3) + last;
    assert_eq!(behind, 449, "{shape:?}");
    assert_eq!(state.entries().len(), 500);
    verify_state(state.dir.path()).unwrap();
}

#[tokio::test]
async fn many_writers_make_one_chain() {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    let local = LocalSet::new();
    for writer in 0..64 {
        let journal = journal.clone();
        local.spawn_local(async move {
            for number in 0..10 {
                journal.write(login(writer * 100 + number)).await.unwrap();
            }
        });
    }
    local.await;
    drop(journal);
    store.head(NODE).await.unwrap();
    let report = verify_state(state.dir.path()).unwrap();
    assert_eq!((report.records, report.unanchored), (641, 0));
    assert!(
        levers.syncs() < 320,
        "{} syncs for 640 writes",
        levers.syncs()
    );
}

/// Nobody waits for ever, nothing is lost, and what one thread wrote stands in the order in which it wrote it.
#[tokio::test]
async fn many_threads_make_one_chain() {
    const EACH: u64 = 400;
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    std::thread::scope(|scope| {
        for thread in 1..=4_u64 {
            let journal = journal.beside();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.unwrap().block_on(async {
                    for number in thread * 1000..thread * 1000 + EACH {
                        match number % 7 {
                            0 => journal.write(login(number)).await.unwrap(),
                            _ => journal.note(&login(number)).unwrap(),
                        }
                    }
                });
            });
        }
    });
    drop(journal);
    store.head(NODE).await.unwrap();
    let report = verify_state(state.dir.path()).unwrap();
    let entries = state.entries();
    assert_eq!(entries.len() as u64, 4 * EACH + 1);
    let records = state.lines().len() as u64;
    assert_eq!((report.records, report.unanchored), (records, 0));
    for thread in 1..=4_u64 {
        let numbers = thread * 1000..thread * 1000 + EACH;
        let places = numbers.map(|it| {
            let session = format!("\"session\":{it},");
            entries.iter().position(|it| it.contains(&session))
        });
        assert!(
            places.is_sorted_by(|a, b| a.is_some() && a < b),
            "thread {thread}"
        );
    }
}

#[tokio::test]
async fn a_full_queue_says_so_and_recovers() {
    let state = StateDir::new();
    let store = state.store();
    let levers = Levers::default();
    let journal = levers.journal(&state, &store).await;
    let _free = Free(levers.clone());
    levers.stick(true);
    let mut taken = 0_u64;
    while journal.note(&login(taken)).is_ok() {
        taken += 1;
        assert!(taken < 1_000_000, "a queue without a bound");
    }
    levers.stick(false);
    wait_for("room", || journal.note(&login(taken)).is_ok());
    drop(journal);
    store.head(NODE).await.unwrap();
    assert_eq!(state.entries().len() as u64, taken + 2);
    verify_state(state.dir.path()).unwrap();
}

#[tokio::test]
async fn two_gates_do_not_write_one_journal() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    let clock = state.clock.clone();
    let second = JournalFile::open(&state.journal_dir(), NODE, &store, clock).await;
    assert!(matches!(second, Err(JournalError::Busy { .. })));
    drop(journal);
    state.journal(&store).await;
}
