//! The journal: what happened, in lines chained by hash (see [`crate::chain`]) and anchored in the
//! store. It never changes a line that it wrote, never goes on behind a line that does not
//! verify, and never takes an entry while the disk does not.

mod error;
mod files;
mod forget;
mod heads;
mod inbox;
mod outage;
mod sink;
mod text;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use gate::{Entry, Journal, JournalDown, TenantId};
use tokio::sync::oneshot;

pub use self::error::JournalError;
use self::error::fails;
pub(crate) use self::files::is_written;
use self::files::{Files, cut_torn, lock};
use self::heads::Signer;
pub use self::inbox::Backlog;
use self::inbox::{Entries, Inbox, Outbox, Refused, Tray};
pub use self::sink::Sink;
use self::writer::{Anchor, Batch, Writer};
use crate::cipher::{Cipher, Keyring};
use crate::clock::WallClock;
use crate::layout::journal_file;
use crate::options::{Custody, Keeping, Keys};
use crate::private;
use crate::signatures::Signatures;
use crate::sqlite::Sqlite;
use crate::tampered::Tampered;
use crate::tenant_keys::TenantKey;
use crate::unsettled::Past;
use crate::verify::{self, Walk};

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
    keys: Keys,
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
        let keeping = Keeping::default();
        Self::open_with(dir, node, store, clock, keeping, |file| Box::new(file)).await
    }

    /// The same with files that are kept, signed and encrypted as `custody` says, writing through what `sink` makes of the
    /// file: for tests of failing disks.
    pub async fn open_with(
        dir: &Path,
        node: &str,
        store: &Sqlite,
        clock: impl WallClock,
        custody: impl Into<Custody>,
        sink: impl FnOnce(File) -> Box<dyn Sink>,
    ) -> Result<Self, JournalError> {
        let Custody { keeping, keys } = custody.into();
        let path = journal_file(dir);
        let mut file = lock(dir)?;
        let head = store.head(node).await?;
        let walk = verify::walk(dir, head, Signatures::last(&keys), &mut |_| Ok(()))?;
        check_node(&path, node, &walk)?;
        cut_torn(dir, &mut file, &walk).map_err(fails(&path, "cut off a torn record"))?;

        let begins = walk.tail.seq.saturating_add(1);
        let cipher = Cipher::of_run(begins, keys.tenants.clone()).map_err(io::Error::other);
        let cipher = cipher.map_err(fails(&path, "set up encryption"))?;
        let inbox = Arc::new(Inbox::new(cipher));
        let files = Files::new(dir, &file, &walk).map_err(fails(&path, "look at"))?;
        let mut writer = Writer {
            sink: sink(file),
            files,
            keeping,
            turn_at: keeping.rotate_bytes,
            forgot_ms: i64::MIN,
            clock: Box::new(clock),
            node: serde_json::Value::from(node).to_string(),
            tail: walk.tail,
            anchor: Anchor::new(store.clone(), node),
            signer: keys.signing.clone().map(Signer::new),
            batch: Batch::default(),
            taken: Entries::default(),
        };
        let begun = writer.begin(walk.torn_bytes);
        begun.map_err(fails(&path, "write"))?;
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
            keys,
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

    /// How many entries wait for its thread, how many bytes those have, and how often the disk took none.
    pub fn backlog(&self) -> Backlog {
        self.shared.inbox.backlog()
    }

    /// The keys of its tenants.
    pub(crate) fn tenant_keys(&self) -> Vec<TenantKey> {
        self.shared.keys.tenants.all().cloned().collect()
    }

    fn queue(
        &self,
        tenant: Option<&TenantId>,
        entry: &Entry,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), JournalDown> {
        let tenant = tenant.map(TenantId::as_str);
        let put = self.shared.inbox.put(&self.tray, tenant, entry, written);
        put.map_err(|Refused| self.down())
    }

    async fn written(&self, tenant: Option<&TenantId>, entry: &Entry) -> Result<(), JournalDown> {
        let (written, done) = oneshot::channel();
        self.queue(tenant, entry, Some(written))?;
        done.await.map_err(|_| self.down())
    }
}

impl Journal for JournalFile {
    fn is_open(&self) -> bool {
        let running = |thread: &JoinHandle<()>| !thread.is_finished();
        !self.shared.inbox.is_shut() && self.shared.thread.as_ref().is_some_and(running)
    }

    fn down(&self) -> JournalDown {
        self.shared.inbox.why()
    }

    fn note(&self, entry: &Entry) -> Result<(), JournalDown> {
        self.queue(None, entry, None)
    }

    async fn write(&self, entry: Entry) -> Result<(), JournalDown> {
        self.written(None, &entry).await
    }

    fn note_at(&self, tenant: Option<&TenantId>, entry: &Entry) -> Result<(), JournalDown> {
        self.queue(tenant, entry, None)
    }

    async fn write_at(&self, tenant: Option<&TenantId>, entry: Entry) -> Result<(), JournalDown> {
        self.written(tenant, &entry).await
    }
}

impl Past for JournalFile {
    fn each(&self, see: &mut dyn FnMut(&Entry)) -> Result<(), Tampered> {
        let dir = &self.shared.dir;
        let mut keys = Keyring::new(&self.tenant_keys());
        let walked = verify::walk(dir, None, Signatures::default(), &mut |record| {
            let read = private::entries(record, &mut keys);
            let read = read.map_err(|error| Tampered::NoRecord {
                file: journal_file(dir),
                line: record.seq,
                seq: record.seq,
                why: format!("an entry that this program does not know: {error}"),
            })?;
            read.iter().for_each(&mut *see);
            Ok(())
        });
        walked.map(|_| ())
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

fn check_node(path: &Path, node: &str, walk: &Walk) -> Result<(), JournalError> {
    match &walk.node {
        Some(found) if found != node => Err(JournalError::OtherNode {
            path: path.to_owned(),
            expected: node.to_owned(),
            found: found.clone(),
        }),
        _ => Ok(()),
    }
}
