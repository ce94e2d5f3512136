//! The journal: what happened, in lines chained by hash (see [`crate::chain`]) and anchored in the
//! store. It never changes a line that it wrote, never goes on behind a line that does not
//! verify, and never writes again after an error.

mod inbox;
mod sink;
mod text;
mod writer;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use gate::tickets::StoreError;
use gate::{Entry, Journal, JournalDown};
use tokio::sync::oneshot;

use self::inbox::{Entries, Inbox, Outbox, Refused, Said, Tray};
pub use self::sink::Sink;
use self::writer::{Anchor, Batch, Writer};
use crate::clock::WallClock;
use crate::layout::journal_file;
use crate::sqlite::Sqlite;
use crate::verify::{self, Tampered, Walk};

/// Why a journal was not opened. It was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process, or another handle of this one, writes it.
    #[error("journal {} is written by another process", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
    },
    /// It belongs to another node.
    #[error(
        "journal {} belongs to node \"{found}\", but this is node \"{expected}\"", path.display()
    )]
    OtherNode {
        /// The journal.
        path: PathBuf,
        /// This node.
        expected: String,
        /// The journal's.
        found: String,
    },
    /// It does not verify.
    #[error("the journal does not verify and was left as it is: {0}")]
    Tampered(#[from] Tampered),
    /// The store did not say how far the journal should reach.
    #[error("cannot read the journal's head in the ticket store: {0}")]
    Store(#[from] StoreError),
    /// The file system said no.
    #[error("cannot open journal {}: {doing}: {why}", path.display())]
    Cannot {
        /// The journal or its directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        why: io::Error,
    },
}

/// A handle on the journal; all share the journal's thread. When the last one goes, what was queued is
/// written, synced and anchored first. What clones of a handle are given is written in that order; of
/// what comes by others only that before which somebody waited is in front for sure.
#[derive(Clone)]
pub struct JournalFile {
    shared: Arc<Shared>,
    tray: Arc<Tray>,
}

struct Shared {
    dir: PathBuf,
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl JournalFile {
    /// Verifies the journal of `node` in `dir` (made if only it is missing) up to the head in
    /// `store`, cuts off a torn end, and writes that the gate started.
    pub async fn open(
        dir: &Path,
        node: &str,
        store: &Sqlite,
        clock: impl WallClock,
    ) -> Result<Self, JournalError> {
        Self::open_with(dir, node, store, clock, |file| Box::new(file)).await
    }

    /// The same, writing through what `sink` makes of the file: for tests of failing disks.
    pub async fn open_with(
        dir: &Path,
        node: &str,
        store: &Sqlite,
        clock: impl WallClock,
        sink: impl FnOnce(File) -> Box<dyn Sink>,
    ) -> Result<Self, JournalError> {
        let path = journal_file(dir);
        let mut file = lock(dir, &path)?;
        let walk = verify::walk(&path, store.head(node).await?, &mut |_| Ok(()))?;
        if let Some(found) = walk.node.as_ref().filter(|found| *found != node) {
            let (expected, found) = (node.to_owned(), found.clone());
            return Err(JournalError::OtherNode {
                path,
                expected,
                found,
            });
        }
        cut(dir, &mut file, &walk).map_err(fails(&path, "cut off a torn record"))?;

        let inbox = Arc::new(Inbox::default());
        let mut writer = Writer {
            sink: sink(file),
            clock: Box::new(clock),
            node: serde_json::Value::from(node).to_string(),
            tail: walk.tail,
            anchor: Anchor::new(store.clone(), node),
            batch: Batch::default(),
            taken: Entries::default(),
        };
        let started = Entry::Started {
            torn_bytes: walk.torn_bytes,
        };
        let started = serde_json::to_vec(&started).map_err(io::Error::from);
        writer.seal(Said::One(&started.map_err(fails(&path, "write"))?));
        let outbox = Outbox(Arc::clone(&inbox));
        let (ready, first) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                // On this thread, as its head may have to wait for room in the store's queue.
                let result = writer.put(true);
                let goes_on = result.is_ok();
                let Outbox(inbox) = &outbox;
                if ready.send(result).is_ok() && goes_on {
                    writer.run(inbox);
                }
            })
            .map_err(fails(&path, "start its thread"))?;
        let shared = Shared {
            dir: dir.to_owned(),
            inbox,
            thread: Some(thread),
        };
        let journal = Self {
            tray: shared.inbox.tray(),
            shared: Arc::new(shared),
        };
        let ended = |_| io::Error::other("its thread has ended");
        first
            .await
            .map_err(ended)
            .flatten()
            .map_err(fails(&path, "write"))?;
        Ok(journal)
    }

    /// A handle for another thread of the gate, which then waits for no lock of this one's.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            tray: self.shared.inbox.tray(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// The directory that it is in.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    fn queue(
        &self,
        entry: &Entry,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), JournalDown> {
        let put = self.shared.inbox.put(&self.tray, entry, written);
        put.map_err(|Refused| JournalDown)
    }
}

impl Journal for JournalFile {
    /// A disk error ends the thread, for good.
    fn is_open(&self) -> bool {
        let running = |thread: &JoinHandle<()>| !thread.is_finished();
        self.shared.thread.as_ref().is_some_and(running)
    }

    fn note(&self, entry: &Entry) -> Result<(), JournalDown> {
        self.queue(entry, None)
    }

    async fn write(&self, entry: Entry) -> Result<(), JournalDown> {
        let (written, done) = oneshot::channel();
        self.queue(&entry, Some(written))?;
        done.await.map_err(|_| JournalDown)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.inbox.close();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the journal's thread panicked");
        }
    }
}

/// Opens the file, making it and its directory where they are missing, for this process alone.
fn lock(dir: &Path, path: &Path) -> Result<File, JournalError> {
    if !dir.is_dir() {
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(fails(dir, "make the directory"))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent).map_err(fails(parent, "sync the directory"))?;
        }
    }
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(fails(path, "open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(JournalError::Busy {
                path: path.to_owned(),
            });
        }
        Err(TryLockError::Error(why)) => return Err(fails(path, "lock")(why)),
    }
    sync_dir(dir).map_err(fails(dir, "sync the directory"))?;
    Ok(file)
}

/// Cuts off what a crash left behind the last whole record; the bytes are kept beside it.
fn cut(dir: &Path, file: &mut File, walk: &Walk) -> io::Result<()> {
    if walk.torn_bytes == 0 {
        return Ok(());
    }
    let kept = dir.join(format!("torn-after-{}.bin", walk.tail.seq));
    let mut kept = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(kept)?;
    file.seek(SeekFrom::Start(walk.whole_bytes))?;
    io::copy(file, &mut kept)?;
    kept.sync_all()?;
    sync_dir(dir)?;
    file.set_len(walk.whole_bytes)?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn fails(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |why| JournalError::Cannot { path, doing, why }
}
