//! The journal's thread: takes what is queued, seals it, writes it once, syncs it once, tells who
//! waits, then tells the store how far it got. It never tells anybody before the sync, and behind an error it never writes
//! before [`super::outage`] has seen that there is room again.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gate::Entry;
use tokio::sync::oneshot;

use super::files::Files;
use super::heads::Signer;
use super::inbox::{Entries, Found, GATHER, Inbox, Said};
use super::sink::Sink;
use crate::chain::Head;
use crate::clock::{WallClock, monotonic};
use crate::killpoint;
use crate::options::Keeping;
use crate::sqlite::Sqlite;

/// Within this time an entry is on disk, even if nobody waits for it.
const LOST_AT_MOST: Duration = Duration::from_millis(100);
/// Of that, what is left once it was gathered, and with something for the disk itself.
const SYNC_WITHIN: Duration = LOST_AT_MOST.saturating_sub(GATHER.saturating_mul(4));
/// What is kept of the buffer for a batch.
const BATCH_BYTES: usize = 4 << 20;

/// What the thread owns.
pub(super) struct Writer {
    pub(super) sink: Box<dyn Sink>,
    pub(super) files: Files,
    pub(super) keeping: Keeping,
    /// The file is closed once it has so many bytes.
    pub(super) turn_at: u64,
    /// When it was last looked for files to remove.
    pub(super) forgot_ms: i64,
    pub(super) clock: Box<dyn WallClock>,
    /// The node's name as JSON.
    pub(super) node: String,
    pub(super) tail: Head,
    pub(super) anchor: Anchor,
    /// None where the operator has no key.
    pub(super) signer: Option<Signer>,
    pub(super) batch: Batch,
    /// What was taken last.
    pub(super) taken: Entries,
}

/// What was taken from the queue and is not on disk.
#[derive(Default)]
pub(super) struct Batch {
    lines: Vec<u8>,
    waiting: Vec<oneshot::Sender<()>>,
    /// When the last line was sealed, and how that is written.
    at: (i64, String),
    /// When the first record that is written but not synced was written.
    unsynced: Option<Instant>,
}

impl Writer {
    /// Seals that the gate started, and behind so many bytes that were no record.
    pub(super) fn begin(&mut self, torn_bytes: u64) -> io::Result<()> {
        let started = serde_json::to_vec(&Entry::Started { torn_bytes })?;
        self.seal(Said::One(&started));
        self.sign()
    }

    /// Works until every handle is gone or the disk fails; the queue's end says so to the handles.
    pub(super) fn run(mut self, inbox: &Inbox) {
        let mut open = true;
        while open {
            open = self.take(inbox);
            let signed = if open { self.sign_due() } else { self.sign() };
            let put = signed.and_then(|()| self.put(!open));
            let done = put.and_then(|()| self.tidy());
            if let Err(error) = done
                && !self.outlast(&error, inbox)
            {
                return;
            }
        }
    }

    /// Seals one record at the end of what is to be written.
    pub(super) fn seal(&mut self, said: Said<'_>) {
        let now_ms = self.clock.now_ms();
        self.batch.seal(now_ms, &self.node, said, &mut self.tail);
    }

    /// Signs the head if it is time for that, if there is a key.
    fn sign_due(&mut self) -> io::Result<()> {
        let key = self.signer.as_mut();
        if key.is_some_and(|it| it.is_due(self.tail)) {
            self.sign()
        } else {
            Ok(())
        }
    }

    /// Signs the head, if there is a key.
    pub(super) fn sign(&mut self) -> io::Result<()> {
        let Some(key) = &mut self.signer else {
            return Ok(());
        };
        let now_ms = self.clock.now_ms();
        let entry = key.sign(&self.node, self.tail, &rfc3339(now_ms));
        if let Some(entry) = entry.transpose()? {
            let said = Said::One(&entry);
            self.batch.seal(now_ms, &self.node, said, &mut self.tail);
        }
        Ok(())
    }

    /// Writes what is there; syncs if somebody waits, if it is time, or if `now`.
    pub(super) fn put(&mut self, now: bool) -> io::Result<()> {
        let Batch {
            lines,
            waiting,
            unsynced,
            at,
        } = &mut self.batch;
        if !lines.is_empty() {
            self.sink.write_all(lines)?;
            killpoint::written(lines);
            self.files.wrote(lines.len(), at.0);
            lines.clear();
            lines.shrink_to(BATCH_BYTES);
            unsynced.get_or_insert_with(monotonic);
        }
        let due = unsynced.is_some_and(|since| left(since).is_zero());
        if unsynced.is_some() && (now || due || !waiting.is_empty()) {
            self.sink.sync()?;
            killpoint::synced();
            *unsynced = None;
            for written in waiting.drain(..) {
                // Who does not wait any more does not mind.
                let _ = written.send(());
            }
            if !self.anchor.at(self.tail, now) {
                // The store is busy; this comes round again.
                *unsynced = Some(monotonic());
            }
        }
        Ok(())
    }

    /// Waits for entries or for the time to sync, and takes all that are there. `false` when no
    /// more can come.
    fn take(&mut self, inbox: &Inbox) -> bool {
        let sync = self.batch.unsynced.map(left);
        let sign = self.signer.as_ref().and_then(Signer::left);
        let patience = sync.into_iter().chain(sign).min();
        match inbox.take(patience, &mut self.taken) {
            Found::Entries => {}
            Found::Late => return true,
            Found::Closed => return false,
        }
        self.seal_taken();
        self.batch.waiting.append(&mut self.taken.waiting);
        true
    }

    /// Seals what was taken.
    pub(super) fn seal_taken(&mut self) {
        for said in self.taken.records() {
            let now_ms = self.clock.now_ms();
            self.batch.seal(now_ms, &self.node, said, &mut self.tail);
        }
    }
}

impl Batch {
    /// Whether something is sealed that is not in the file.
    pub(super) fn is_left(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Nobody waits any longer; who did hears that nothing was written.
    pub(super) fn dismiss(&mut self) {
        self.waiting.clear();
    }

    fn seal(&mut self, now_ms: i64, node: &str, said: Said<'_>, tail: &mut Head) {
        if self.at.0 != now_ms || self.at.1.is_empty() {
            self.at = (now_ms, rfc3339(now_ms));
        }
        let (open, entries, close): (&[u8], _, &[u8]) = match said {
            Said::One(entry) => (b"", entry, b""),
            Said::List(entries) => (b"[", entries, b"]"),
        };
        let entry = [open, entries, close];
        tail.seal(&self.at.1, node, &entry, &mut self.lines);
    }
}

/// The way of a head into the store: only the newest waits there, however slow the store is.
pub(super) struct Anchor {
    store: Sqlite,
    node: Arc<str>,
    next: Arc<Mutex<Option<Head>>>,
}

impl Anchor {
    pub(super) fn new(store: Sqlite, node: &str) -> Self {
        Self {
            store,
            node: Arc::from(node),
            next: Arc::default(),
        }
    }

    pub(super) fn store(&self) -> &Sqlite {
        &self.store
    }

    /// Sends `head`, which is on disk, on its way; `false` if the store has no room now.
    fn at(&self, head: Head, patient: bool) -> bool {
        if hold(&self.next).replace(head).is_some() {
            return true;
        }
        let next = Arc::clone(&self.next);
        let sent =
            self.store
                .post_anchor(Arc::clone(&self.node), move || hold(&next).take(), patient);
        if !sent {
            hold(&self.next).take();
        }
        sent || patient
    }
}

fn hold(next: &Mutex<Option<Head>>) -> MutexGuard<'_, Option<Head>> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much of [`SYNC_WITHIN`] is left.
fn left(since: Instant) -> Duration {
    SYNC_WITHIN.saturating_sub(monotonic().saturating_duration_since(since))
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
fn rfc3339(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_have_milliseconds_and_are_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_769_860_800_120), "2026-01-31T12:00:00.120Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00.000Z");
    }
}
