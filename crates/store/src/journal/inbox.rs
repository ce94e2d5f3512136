//! Entries on their way to the journal's thread. Who puts one in wakes the thread only where it may sleep for long or somebody
//! waits; the thread gathers what comes meanwhile, so that one wake-up, one write and one sync serve many. It never holds an
//! entry longer than [`GATHER`] once the thread knows of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// How many entries may wait for the thread.
const ENTRIES_MAX: usize = 8192;
/// How many bytes of entries may wait before another is refused.
const BYTES_MAX: usize = 64 << 20;
/// How long the thread gathers entries for which nobody waits.
pub(super) const GATHER: Duration = Duration::from_millis(5);
/// So many bytes are not gathered any longer.
const GATHERED_BYTES: usize = 64 << 10;

/// An entry, as JSON, and who waits for it.
pub(super) struct Queued {
    pub(super) entry: String,
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// What waits for the thread.
#[derive(Default)]
pub(super) struct Inbox {
    gathered: Mutex<Gathered>,
    wake: Condvar,
}

#[derive(Default)]
struct Gathered {
    entries: Vec<Queued>,
    bytes: usize,
    /// Somebody waits for one of them.
    urgent: bool,
    /// Nothing more is taken: the handles are gone, or the thread is.
    closed: bool,
}

/// The inbox takes nothing now.
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
    /// These, in order.
    Entries(Vec<Queued>),
    /// None came in time.
    Late,
    /// None will come.
    Closed,
}

impl Gathered {
    fn is_due(&self) -> bool {
        self.urgent || self.closed || self.bytes >= GATHERED_BYTES
    }
}

impl Inbox {
    /// Puts an entry in.
    pub(super) fn put(&self, queued: Queued) -> Result<(), Refused> {
        let mut gathered = self.lock();
        if gathered.closed || gathered.entries.len() >= ENTRIES_MAX || gathered.bytes > BYTES_MAX {
            return Err(Refused);
        }
        let (first, was_due) = (gathered.entries.is_empty(), gathered.is_due());
        gathered.bytes += queued.entry.len();
        gathered.urgent |= queued.written.is_some();
        gathered.entries.push(queued);
        let wake = first || (gathered.is_due() && !was_due);
        drop(gathered);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes all that is there, once there is something: at the latest after `patience`, if there is one.
    pub(super) fn take(&self, patience: Option<Duration>) -> Found {
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
        (gathered.bytes, gathered.urgent) = (0, false);
        Found::Entries(std::mem::take(&mut gathered.entries))
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
