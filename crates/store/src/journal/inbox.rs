//! Entries on their way to the journal's thread. Each thread of the gate puts its own into a tray of its own, and wakes the
//! journal's only where that may sleep for long or somebody waits; it gathers what comes meanwhile, so that one wake-up, one
//! write and one sync serve many. It never holds an entry longer than [`GATHER`] once the journal's thread knows of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate::{Entry, JournalDown};
use tokio::sync::oneshot;

use super::text;
use crate::cipher::Cipher;
use crate::private;

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

/// A record takes no more entries once its own have so many bytes.
const RECORD_BYTES: usize = 16 << 10;

/// Entries as JSON, in one buffer, and who waits for them. One for which somebody waits is a record by itself. Those for which
/// nobody does share one, since a link of the chain costs more than an entry. Two such buffers go back and forth, so that an
/// entry takes no memory of its own.
#[derive(Default)]
pub(super) struct Entries {
    texts: Vec<u8>,
    records: Vec<Span>,
    count: usize,
    pub(super) waiting: Vec<oneshot::Sender<()>>,
}

/// Where in the texts the entries of one record are.
struct Span {
    start: usize,
    end: usize,
    is_list: bool,
}

/// What one record is to say.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    /// One entry.
    One(&'a [u8]),
    /// Entries with commas between them.
    List(&'a [u8]),
}

/// What waits for the thread.
#[derive(Default)]
pub(super) struct Inbox {
    trays: Mutex<Vec<Arc<Tray>>>,
    bell: Mutex<Bell>,
    wake: Condvar,
    /// Nothing is taken now.
    shut: AtomicBool,
    outages: AtomicU64,
    why: Mutex<Option<JournalDown>>,
    cipher: Option<Cipher>,
}

/// What waits for the journal's thread, for people who look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries.
    pub entries: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How often, since the start, nothing was taken for a while because the disk took nothing.
    pub outages: u64,
}

/// What one of the gate's threads put in.
#[derive(Default)]
pub(super) struct Tray(Mutex<Content>);

#[derive(Default)]
struct Content {
    entries: Entries,
    /// Nothing is taken: the disk takes nothing, or the journal's thread is gone.
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
        self.count == 0
    }

    /// What each record is to say, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = Said<'_>> {
        self.records.iter().map(|it| {
            let text = self.texts.get(it.start..it.end).unwrap_or_default();
            if it.is_list {
                Said::List(text)
            } else {
                Said::One(text)
            }
        })
    }

    /// Writes an entry, and who waits for it.
    fn write(
        &mut self,
        written: Option<oneshot::Sender<()>>,
        text: impl FnOnce(&mut Vec<u8>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let is_list = written.is_none();
        let last = self.records.last_mut();
        // Where one could not be written whole, nothing of it stays.
        self.texts.truncate(last.as_ref().map_or(0, |it| it.end));
        let shared = last.filter(|it| is_list && it.has_room());
        if shared.is_some() {
            self.texts.push(b',');
        }
        let start = self.texts.len();
        text(&mut self.texts)?;
        let end = self.texts.len();
        match shared {
            Some(record) => record.end = end,
            None => self.records.push(Span {
                start,
                end,
                is_list,
            }),
        }
        self.count += 1;
        self.waiting.extend(written);
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
        let behind = |it: Span| Span {
            start: before + it.start,
            end: before + it.end,
            ..it
        };
        self.records.extend(other.records.drain(..).map(behind));
        self.count += std::mem::take(&mut other.count);
        self.waiting.append(&mut other.waiting);
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.texts.shrink_to(KEPT_BYTES);
        self.records.clear();
        self.count = 0;
        self.waiting.clear();
    }
}

impl Span {
    fn has_room(&self) -> bool {
        self.is_list && self.end - self.start < RECORD_BYTES
    }
}

impl Content {
    fn is_full(&self) -> bool {
        self.entries.count >= ENTRIES_MAX || self.entries.texts.len() > BYTES_MAX
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
    /// One whose entries are encrypted where their tenants have keys.
    pub(super) fn new(cipher: Option<Cipher>) -> Self {
        Self {
            cipher,
            ..Self::default()
        }
    }

    /// A tray for one more thread.
    pub(super) fn tray(&self) -> Arc<Tray> {
        let tray = Arc::<Tray>::default();
        let mut trays = self.trays();
        if self.is_shut() || self.bell().closed {
            tray.close();
        }
        trays.push(Arc::clone(&tray));
        tray
    }

    /// Puts an entry into a tray, and who waits for it. Whose it is need not be said where it says so itself.
    pub(super) fn put(
        &self,
        tray: &Tray,
        tenant: Option<&str>,
        entry: &Entry,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), Refused> {
        let mut content = tray.lock();
        if content.closed || content.is_full() {
            return Err(Refused);
        }
        let (first, was_due) = (content.entries.is_empty(), content.is_due());
        let text = |into: &mut Vec<u8>| self.text(tenant, entry, into);
        content.entries.write(written, text)?;
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

    fn text(&self, tenant: Option<&str>, entry: &Entry, into: &mut Vec<u8>) -> Result<(), Refused> {
        let written = match &self.cipher {
            None => text::write(entry, into).map(|()| true),
            Some(cipher) => private::write(cipher, tenant, entry, text::write, into),
        };
        match written {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Refused),
        }
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

    /// Takes nothing now. What was taken so far is in the place of what was taken before.
    pub(super) fn shut(&self, why: JournalDown, taken: &mut Entries) {
        taken.clear();
        *self.reason() = Some(why);
        self.outages.fetch_add(1, Ordering::Relaxed);
        let trays = self.trays();
        self.shut.store(true, Ordering::Release);
        for tray in trays.iter() {
            let mut content = tray.lock();
            content.closed = true;
            taken.take(&mut content.entries);
        }
    }

    /// Takes entries again.
    pub(super) fn open(&self) {
        let trays = self.trays();
        for tray in trays.iter() {
            tray.lock().closed = false;
        }
        self.shut.store(false, Ordering::Release);
        *self.reason() = None;
    }

    /// Whether nothing is taken now.
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// Why an entry was not taken, or not written.
    pub(super) fn why(&self) -> JournalDown {
        let ended = || self.bell().closed.then_some(JournalDown::Ended);
        let why = *self.reason();
        why.or_else(ended).unwrap_or(JournalDown::Behind)
    }

    /// What waits.
    pub(super) fn backlog(&self) -> Backlog {
        let mut backlog = Backlog {
            outages: self.outages.load(Ordering::Relaxed),
            ..Backlog::default()
        };
        for tray in self.trays().iter() {
            let entries = &tray.lock().entries;
            backlog.entries += entries.count;
            backlog.bytes += entries.texts.len();
        }
        backlog
    }

    /// Waits so long, or until nothing more comes; whether that is so.
    pub(super) fn rest(&self, patience: Duration) -> bool {
        let more = |it: &mut Bell| !it.closed;
        let waited = self.wake.wait_timeout_while(self.bell(), patience, more);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
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

    fn reason(&self) -> MutexGuard<'_, Option<JournalDown>> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trays(&self) -> MutexGuard<'_, Vec<Arc<Tray>>> {
        self.trays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bell(&self) -> MutexGuard<'_, Bell> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
