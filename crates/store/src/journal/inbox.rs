//! Entries on their way to the journal's thread. Each thread of the gate puts its own into a tray of its own, and wakes the
//! journal's only where that may sleep for long or somebody waits; it gathers what comes meanwhile, so that one wake-up, one
//! write and one sync serve many. It never holds an entry longer than [`GATHER`] once the journal's thread knows of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate::Entry;
use tokio::sync::oneshot;

/// How many entries of a tray may wait for the thread.
const ENTRIES_MAX: usize = 8192;
/// How many bytes of a tray may wait before another entry is refused.
const BYTES_MAX: usize = 64 << 20;
/// How long the thread gathers entries for which nobody waits.
pub(super) const GATHER: Duration = Duration::from_millis(5);
/// So many bytes are not gathered any longer.
const GATHERED_BYTES: usize = 64 << 10;

/// What is kept of the room for the texts of entries.
const KEPT_BYTES: usize = 1 << 20;

/// Entries as JSON, in one buffer, and who waits for them. Two such buffers go back and forth, so that an entry takes no
/// memory of its own.
#[derive(Default)]
pub(super) struct Entries {
    texts: Vec<u8>,
    /// Where in `texts` each ends.
    ends: Vec<usize>,
    pub(super) waiting: Vec<oneshot::Sender<()>>,
}

/// What waits for the thread.
#[derive(Default)]
pub(super) struct Inbox {
    trays: Mutex<Vec<Arc<Tray>>>,
    bell: Mutex<Bell>,
    wake: Condvar,
}

/// What one of the gate's threads put in.
#[derive(Default)]
pub(super) struct Tray(Mutex<Content>);

#[derive(Default)]
struct Content {
    entries: Entries,
    /// Nothing more is taken: the journal's thread is gone.
    closed: bool,
}

/// Rung where the thread may sleep, not for each entry.
#[derive(Default)]
struct Bell {
    /// Something is in a tray.
    rung: bool,
    /// And it is not gathered any longer.
    due: bool,
    /// Nothing more comes: the handles are gone, or the thread is.
    closed: bool,
}

/// The inbox does not take the entry, or not now.
pub(super) struct Refused;

/// The thread's end. However the thread ends, by a panic too, nobody waits for it any longer.
pub(super) struct Outbox(pub(super) Arc<Inbox>);

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// What the thread finds.
pub(super) enum Found {
    /// Some.
    Entries,
    /// None came in time.
    Late,
    /// None will come.
    Closed,
}

impl Entries {
    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each, in order.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let each = starts.zip(&self.ends);
        each.map(|(start, end)| self.texts.get(start..*end).unwrap_or_default())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Refused> {
        // Where one could not be written whole, nothing of it stays.
        self.texts.truncate(self.ends.last().copied().unwrap_or(0));
        serde_json::to_writer(&mut self.texts, entry).map_err(|_| Refused)?;
        self.ends.push(self.texts.len());
        Ok(())
    }

    /// Takes what is in `other`, behind its own.
    fn take(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        let before = self.texts.len();
        self.texts.append(&mut other.texts);
        self.ends
            .extend(other.ends.drain(..).map(|end| before + end));
        self.waiting.append(&mut other.waiting);
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.texts.shrink_to(KEPT_BYTES);
        self.ends.clear();
        self.waiting.clear();
    }
}

impl Content {
    fn is_full(&self) -> bool {
        self.entries.ends.len() >= ENTRIES_MAX || self.entries.texts.len() > BYTES_MAX
    }

    fn is_due(&self) -> bool {
        !self.entries.waiting.is_empty() || self.entries.texts.len() >= GATHERED_BYTES
    }
}

impl Tray {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing more, and tells those who wait that nothing is written any more.
    fn close(&self) {
        let mut content = self.lock();
        content.closed = true;
        content.entries.clear();
    }
}

impl Inbox {
    /// A tray for one more thread.
    pub(super) fn tray(&self) -> Arc<Tray> {
        let tray = Arc::<Tray>::default();
        let mut trays = self.trays();
        if self.bell().closed {
            tray.close();
        }
        trays.push(Arc::clone(&tray));
        tray
    }

    /// Puts an entry into a tray, and who waits for it.
    pub(super) fn put(
        &self,
        tray: &Tray,
        entry: &Entry,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), Refused> {
        let mut content = tray.lock();
        if content.closed || content.is_full() {
            return Err(Refused);
        }
        let (first, was_due) = (content.entries.is_empty(), content.is_due());
        content.entries.write(entry)?;
        content.entries.waiting.extend(written);
        let due = content.is_due();
        drop(content);
        if first || (due && !was_due) {
            let mut bell = self.bell();
            bell.rung = true;
            bell.due |= due;
            drop(bell);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes all that is there, in the place of what was taken before, once there is something: at the latest after
    /// `patience`, if there is one.
    pub(super) fn take(&self, patience: Option<Duration>, taken: &mut Entries) -> Found {
        taken.clear();
        let nothing = |it: &mut Bell| !it.rung && !it.closed;
        let bell = self.bell();
        let mut bell = match patience {
            None => {
                let waited = self.wake.wait_while(bell, nothing);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(patience) => {
                let waited = self.wake.wait_timeout_while(bell, patience, nothing);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if !bell.rung {
            return if bell.closed {
                Found::Closed
            } else {
                Found::Late
            };
        }
        let more = |it: &mut Bell| !it.due && !it.closed;
        if more(&mut bell) {
            let waited = self.wake.wait_timeout_while(bell, GATHER, more);
            bell = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        (bell.rung, bell.due) = (false, false);
        drop(bell);
        // Only now: what comes into a tray that was emptied rings again.
        for tray in self.trays().iter() {
            taken.take(&mut tray.lock().entries);
        }
        Found::Entries
    }

    /// Nothing more comes. What is there is still taken out, or dropped with the [`Outbox`].
    pub(super) fn close(&self) {
        self.bell().closed = true;
        self.wake.notify_one();
    }

    /// Takes nothing more, and tells those who wait that nothing is written any more.
    fn clear(&self) {
        let trays = self.trays();
        self.bell().closed = true;
        trays.iter().for_each(|tray| tray.close());
    }

    fn trays(&self) -> MutexGuard<'_, Vec<Arc<Tray>>> {
        self.trays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bell(&self) -> MutexGuard<'_, Bell> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
