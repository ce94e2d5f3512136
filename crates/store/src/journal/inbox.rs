//! Entries on their way to the journal's thread. Who puts one in wakes the thread only where it may sleep for long or somebody
//! waits; the thread gathers what comes meanwhile, so that one wake-up, one write and one sync serve many. It never holds an
//! entry longer than [`GATHER`] once the thread knows of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate::Entry;
use tokio::sync::oneshot;

/// How many entries may wait for the thread.
const ENTRIES_MAX: usize = 8192;
/// How many bytes of entries may wait before another is refused.
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
    gathered: Mutex<Gathered>,
    wake: Condvar,
}

#[derive(Default)]
struct Gathered {
    entries: Entries,
    /// Nothing more is taken: the handles are gone, or the thread is.
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

    fn clear(&mut self) {
        self.texts.clear();
        self.texts.shrink_to(KEPT_BYTES);
        self.ends.clear();
        self.waiting.clear();
    }
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.entries.ends.len() >= ENTRIES_MAX || self.entries.texts.len() > BYTES_MAX
    }

    fn is_due(&self) -> bool {
        let urgent = !self.entries.waiting.is_empty();
        urgent || self.closed || self.entries.texts.len() >= GATHERED_BYTES
    }
}

impl Inbox {
    /// Puts an entry in, and who waits for it.
    pub(super) fn put(
        &self,
        entry: &Entry,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), Refused> {
        let mut gathered = self.lock();
        if gathered.closed || gathered.is_full() {
            return Err(Refused);
        }
        let (first, was_due) = (gathered.entries.is_empty(), gathered.is_due());
        gathered.entries.write(entry)?;
        gathered.entries.waiting.extend(written);
        let wake = first || (gathered.is_due() && !was_due);
        drop(gathered);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes all that is there, in the place of what was taken before, once there is something: at the latest after
    /// `patience`, if there is one.
    pub(super) fn take(&self, patience: Option<Duration>, taken: &mut Entries) -> Found {
        taken.clear();
        let nothing = |it: &mut Gathered| it.entries.is_empty() && !it.closed;
        let gathered = self.lock();
        let mut gathered = match patience {
            None => {
                let waited = self.wake.wait_while(gathered, nothing);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(patience) => {
                let waited = self.wake.wait_timeout_while(gathered, patience, nothing);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if gathered.entries.is_empty() {
            return if gathered.closed {
                Found::Closed
            } else {
                Found::Late
            };
        }
        if !gathered.is_due() {
            let more = |it: &mut Gathered| !it.is_due();
            let waited = self.wake.wait_timeout_while(gathered, GATHER, more);
            gathered = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut gathered.entries, taken);
        Found::Entries
    }

    /// Takes nothing more. What is there is still taken out, or dropped with the [`Outbox`].
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Takes nothing more, and tells those who wait that nothing is written any more.
    fn clear(&self) {
        let mut gathered = self.lock();
        gathered.closed = true;
        gathered.entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
