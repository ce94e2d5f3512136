//! One record of the journal: what the session's thread pays for it, what the journal's thread pays, and what a sync
//! costs those who wait for one. The disk is that of the temporary directory.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use divan::Bencher;
use divan::counter::ItemsCount;
use gate::audit::End;
use gate::{Authority, Entry, Journal as _, Request};
use store::journal::Sink;
use store::{JournalFile, Keeping, Options, Sqlite, SystemClock, tickets_file};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::{asks, texts};

/// Records in a queue: fewer than it takes, and all of them in one write.
const RECORDS: usize = 4_000;
/// Sessions that wait for one sync.
const WAITING: usize = 64;

/// The file, and a door in front of it: what is queued behind a closed door is taken all at once when it opens.
struct Door {
    file: File,
    syncs: bool,
    shut_next: Arc<AtomicBool>,
    closed: SyncSender<()>,
    opens: Receiver<()>,
}

impl Sink for Door {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Sink::write_all(&mut self.file, bytes)?;
        if self.shut_next.swap(false, Ordering::AcqRel) {
            self.closed.send(()).map_err(io::Error::other)?;
            self.opens.recv().map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs { self.file.sync() } else { Ok(()) }
    }

    fn go_on_in(&mut self, file: File) -> io::Result<()> {
        self.file = file;
        Ok(())
    }
}

/// A journal, and whoever writes to it.
struct Desk {
    open: SyncSender<()>,
    closed: Receiver<()>,
    shut_next: Arc<AtomicBool>,
    journal: JournalFile,
    runtime: Runtime,
    request: Arc<Request>,
    authority: Authority,
    _dir: TempDir,
}

impl Desk {
    fn new(syncs: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::default();
        let store = Sqlite::open(&tickets_file(dir.path()), SystemClock, options).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        let shut_next = Arc::new(AtomicBool::new(false));
        let (open, opens) = sync_channel(1);
        let (tell, closed) = sync_channel(1);
        let door = |file| -> Box<dyn Sink> {
            Box::new(Door {
                file,
                syncs,
                shut_next: Arc::clone(&shut_next),
                closed: tell,
                opens,
            })
        };
        let path = store::journal_dir(dir.path());
        let keeping = Keeping::default();
        let journal = JournalFile::open_with(&path, "node-1", &store, SystemClock, keeping, door);
        let journal = runtime.block_on(journal).unwrap();
        Self {
            open,
            closed,
            shut_next,
            journal,
            runtime,
            request: asks::query(&texts::account(17)),
            authority: Authority::Unsigned {
                rule: Arc::from("reads pass"),
            },
            _dir: dir,
        }
    }

    fn intent(&self) -> Entry {
        Entry::intent(4_711, 17, &self.request, &self.authority)
    }

    /// Closes the door behind one record.
    fn close(&self) {
        self.shut_next.store(true, Ordering::Release);
        self.journal.note(&self.intent()).unwrap();
        self.closed.recv().unwrap();
    }

    fn open(&self) {
        self.open.send(()).unwrap();
    }

    /// Writes a record, and with it whatever is queued.
    fn wait(&self) {
        let write = self.journal.write(self.intent());
        self.runtime.block_on(write).unwrap();
    }
}

fn outcome() -> Entry {
    Entry::Outcome {
        session: 4_711,
        number: 17,
        end: End::Done,
        tags: vec!["SELECT 1".into()],
        error: None,
    }
}

/// The session's thread: the entry is made, turned into JSON and queued.
fn note(bencher: Bencher<'_, '_>, entry: impl Fn(&Desk) -> Entry) {
    let desk = Desk::new(false);
    desk.close();
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| {
            desk.open();
            desk.wait();
            desk.close();
        })
        .bench_local_values(|()| {
            for _ in 0..RECORDS {
                desk.journal.note(&entry(&desk)).unwrap();
            }
        });
    desk.open();
}

#[divan::bench(sample_size = 1)]
fn note_4_000_intents(bencher: Bencher<'_, '_>) {
    note(bencher, Desk::intent);
}

#[divan::bench(sample_size = 1)]
fn note_4_000_outcomes(bencher: Bencher<'_, '_>) {
    note(bencher, |_| outcome());
}

/// The journal's thread: what is queued is chained and written, and nothing is synced.
#[divan::bench(sample_size = 1)]
fn chain_and_append_4_000(bencher: Bencher<'_, '_>) {
    batch(bencher, &Desk::new(false), RECORDS);
}

/// The same, for one who waits alone.
#[divan::bench(sample_size = 1)]
fn append_1_and_sync(bencher: Bencher<'_, '_>) {
    let desk = Desk::new(true);
    bencher.bench_local(|| desk.wait());
}

/// The same, for as many as wait together.
#[divan::bench(sample_size = 1)]
fn append_64_and_sync(bencher: Bencher<'_, '_>) {
    batch(bencher, &Desk::new(true), WAITING);
}

fn batch(bencher: Bencher<'_, '_>, desk: &Desk, records: usize) {
    bencher
        .counter(ItemsCount::new(records))
        .with_inputs(|| {
            desk.close();
            for _ in 1..records {
                desk.journal.note(&desk.intent()).unwrap();
            }
        })
        .bench_local_values(|()| {
            desk.open();
            desk.wait();
        });
}
