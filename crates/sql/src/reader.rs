//! The handle others read texts by: own threads with big stacks, a bounded queue, a cache. It never blocks the caller's thread
//! on a long text, gives another text's reading only to those who ask for one, never fails (what cannot be read now is opaque),
//! and names no runtime.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use futures_channel::oneshot;

use crate::cache::{By, Cache};
use crate::mask::Mask;
use crate::parse::{STACK_BYTES, fits_any_stack, read_deep, read_for, unread};
use crate::{Catalog, READ_BYTES_MAX, Reading, caps};

/// What a cache holds at most, in bytes.
pub const CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longer texts are not cached: they are generated, and do not come again.
pub const CACHED_TEXT_BYTES_MAX: usize = 16 * 1024;

/// Longer texts are not read on the caller's thread.
pub const HERE_BYTES_MAX: usize = 4 * 1024;

/// How many texts may wait for a thread; more are opaque at once.
pub const QUEUE_MAX: usize = 256;

/// How long a text may wait for a thread; then it is opaque, and whoever comes later is read.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

/// Reads texts. Cheap to clone; its threads end with its last clone.
#[derive(Clone, Debug)]
pub struct Reader {
    cache: Arc<Cache>,
    /// None where whoever asks reads.
    queue: Option<SyncSender<Job>>,
}

#[derive(Debug)]
struct Job {
    text: ByteString,
    cache: Arc<Cache>,
    catalog: Arc<Catalog>,
    answer: oneshot::Sender<Arc<Reading>>,
    /// Not read after this; none where no clock reaches so far.
    until: Option<Instant>,
}

impl Job {
    fn is_overdue(&self) -> bool {
        self.until.is_some_and(|until| now() >= until)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a text waited for a thread is nobody else's to know, and decides nothing that is written down"
)]
fn now() -> Instant {
    Instant::now()
}

impl Reader {
    /// Starts the threads; at least one.
    pub fn start(threads: usize) -> std::io::Result<Reader> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        let cache = Arc::new(Cache::new(CACHE_BYTES_MAX));
        for n in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("sql-{n}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&jobs))?;
        }
        let queue = Some(queue);
        Ok(Reader { cache, queue })
    }

    /// One that keeps no threads: whoever asks reads, and waits for nobody. For whoever wants everything to happen in the same
    /// order each time.
    pub fn without_threads() -> Reader {
        Reader {
            cache: Arc::new(Cache::new(CACHE_BYTES_MAX)),
            queue: None,
        }
    }

    /// The reading of a text that was read before and is still remembered.
    pub fn known(&self, text: &ByteString, catalog: &Catalog) -> Option<Arc<Reading>> {
        if text.len() > CACHED_TEXT_BYTES_MAX {
            None
        } else {
            self.cache.find(catalog.id(), By::Text, text)
        }
    }

    /// The reading of a text that differs from this one in nothing but numbers that decide nothing, if one was read before
    /// and is still remembered: this one's own, if the lists and the parsers are right. Whoever decides more by it than to let
    /// it pass reads the very text.
    pub fn known_but_for_numbers(&self, text: &str, catalog: &Catalog) -> Option<Arc<Reading>> {
        let mask = Mask::of(text)?;
        self.cache.find(catalog.id(), By::Mask, mask.as_str())
    }

    /// The same threads, with a cache of its own: for another thread of the gate, which then waits for no lock of this one's.
    #[must_use]
    pub fn beside(&self) -> Reader {
        Reader {
            cache: Arc::new(Cache::new(CACHE_BYTES_MAX)),
            queue: self.queue.clone(),
        }
    }

    /// How many bytes are remembered, as the cache counts them.
    pub fn bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Reads a text on one of the threads. Dropping the future gives up the place in the queue. A full queue and a dead
    /// thread give an opaque reading that says so, and that is not remembered.
    pub async fn read(&self, text: ByteString, catalog: Arc<Catalog>) -> Arc<Reading> {
        if let Some(known) = self.known(&text, &catalog) {
            return known;
        }
        if text.len() > READ_BYTES_MAX {
            // Refused by its length alone.
            return Arc::new(read_for(&text, &catalog));
        }
        let Some(queue) = &self.queue else {
            return keep(&text, &catalog, read_for(&text, &catalog), &self.cache);
        };
        let (answer, reading) = oneshot::channel();
        match queue.try_send(Job {
            text: text.clone(),
            cache: Arc::clone(&self.cache),
            catalog,
            answer,
            until: now().checked_add(WAIT_MAX),
        }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Arc::new(unread(&text, "was not read: the parser's queue is full"));
            }
            Err(TrySendError::Disconnected(_)) => {
                return Arc::new(unread(&text, "was not read: the parser's threads are gone"));
            }
        }
        match reading.await {
            Ok(reading) => reading,
            Err(oneshot::Canceled) => {
                Arc::new(unread(&text, "was not read: the parser's thread died"))
            }
        }
    }

    /// The reading of a known text, or of a short one, read here and now: some tens of microseconds, at worst a few
    /// milliseconds. Safe on a stack of 2 MiB: only what has so few words and signs that its tree cannot be deep is read on it
    /// (`tests/reader.rs` tries the worst shapes on 1 MiB). A build that is not optimised borrows a thread with a big stack.
    pub fn read_here(&self, text: &ByteString, catalog: &Catalog) -> Option<Arc<Reading>> {
        if let Some(known) = self.known(text, catalog) {
            return Some(known);
        }
        if text.len() > HERE_BYTES_MAX || !caps::is_shallow(text) {
            return None;
        }
        if fits_any_stack(text) {
            return Some(read_and_keep(text, catalog, &self.cache));
        }
        thread::scope(|scope| {
            let aside = thread::Builder::new().stack_size(STACK_BYTES);
            let reading = aside
                .spawn_scoped(scope, || read_and_keep(text, catalog, &self.cache))
                .ok()?;
            reading.join().ok()
        })
    }
}

fn read_and_keep(text: &str, catalog: &Catalog, cache: &Cache) -> Arc<Reading> {
    keep(text, catalog, read_deep(text, catalog), cache)
}

/// By its mask alone where no number decides: what comes with ever new numbers is remembered once. Who reads a text whose
/// mask is known wants the very text, and may want it again.
fn keep(text: &str, catalog: &Catalog, reading: Reading, cache: &Cache) -> Arc<Reading> {
    let reading = Arc::new(reading);
    if text.len() > CACHED_TEXT_BYTES_MAX {
        return reading;
    }
    let id = catalog.id();
    let masked = (!reading.numbers_decide()).then(|| Mask::of(text));
    match masked.flatten() {
        Some(mask) if cache.find(id, By::Mask, mask.as_str()).is_none() => {
            cache.keep(id, By::Mask, mask.as_str(), &reading);
        }
        _ => cache.keep(id, By::Text, text, &reading),
    }
    reading
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: the other threads then wait for it instead, which is the same queue.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        if !job.answer.is_canceled() {
            answer(job);
        }
    }
}

fn answer(job: Job) {
    let (text, catalog, cache) = (&job.text, &*job.catalog, &job.cache);
    let reading = match cache.find(catalog.id(), By::Text, text) {
        Some(reading) => reading,
        None if job.is_overdue() => Arc::new(unread(text, "was not read in time")),
        None => read_and_keep(text, catalog, cache),
    };
    // Whoever asked may be gone by now.
    let _ = job.answer.send(reading);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    #[test]
    fn what_waited_too_long_is_opaque_and_not_remembered() {
        let cache = Arc::new(Cache::new(CACHE_BYTES_MAX));
        let catalog = Arc::new(Catalog::unknown(None));
        let ask = |until| {
            let (answering, mut asking) = oneshot::channel();
            let job = Job {
                text: "SELECT 1".into(),
                cache: Arc::clone(&cache),
                catalog: Arc::clone(&catalog),
                answer: answering,
                until,
            };
            answer(job);
            asking.try_recv().unwrap().unwrap()
        };
        let late = ask(Some(now()));
        assert_eq!(late.why_opaque.as_deref(), Some("was not read in time"));
        let soon = ask(now().checked_add(WAIT_MAX));
        assert_eq!(soon.class(), Some(Class::Read));
        // What is known is said however late.
        assert!(Arc::ptr_eq(&ask(Some(now())), &soon));
    }
}
