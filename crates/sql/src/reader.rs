//! The handle others read texts by: own threads with big stacks, a bounded queue, a cache. It never blocks the caller's thread
//! on a long text, never fails (what cannot be read now is opaque), and names no runtime.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytestring::ByteString;
use futures_channel::oneshot;

use crate::cache::Cache;
use crate::parse::{read_for, unread};
use crate::{Catalog, READ_BYTES_MAX, Reading};

/// What the cache holds at most, in bytes.
pub const CACHE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longer texts are not cached: they are generated, and do not come again.
pub const CACHED_TEXT_BYTES_MAX: usize = 16 * 1024;

/// Longer texts are not read on the caller's thread.
pub const HERE_BYTES_MAX: usize = 4 * 1024;

/// How many texts may wait for a thread; more are opaque at once.
pub const QUEUE_MAX: usize = 256;

/// Virtual memory, touched only as far as a statement is deep.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Reads texts. Cheap to clone; its threads end with its last clone.
#[derive(Clone, Debug)]
pub struct Reader {
    cache: Arc<Cache>,
    queue: SyncSender<Job>,
}

#[derive(Debug)]
struct Job {
    text: ByteString,
    catalog: Arc<Catalog>,
    answer: oneshot::Sender<Arc<Reading>>,
}

impl Reader {
    /// Starts the threads; at least one.
    pub fn start(threads: usize) -> std::io::Result<Reader> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        let cache = Arc::new(Cache::new(CACHE_BYTES_MAX));
        for n in 0..threads.max(1) {
            let (jobs, cache) = (Arc::clone(&jobs), Arc::clone(&cache));
            thread::Builder::new()
                .name(format!("sql-{n}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&jobs, &cache))?;
        }
        Ok(Reader { cache, queue })
    }

    /// The reading of a text that was read before and is still remembered.
    pub fn known(&self, text: &ByteString, catalog: &Catalog) -> Option<Arc<Reading>> {
        if text.len() > CACHED_TEXT_BYTES_MAX {
            None
        } else {
            self.cache.find(catalog.id(), text)
        }
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
        let (answer, reading) = oneshot::channel();
        match self.queue.try_send(Job {
            text: text.clone(),
            catalog,
            answer,
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
    /// milliseconds. Safe on a stack of 2 MiB, since prost's default limit of nested messages bounds the tree
    /// (`tests/shapes.rs` pins both); 256 KiB were enough of an optimised build. Unoptimised, the same hundred levels of
    /// decoding take 1.6 MiB, so there it borrows a thread with a big stack for the while.
    pub fn read_here(&self, text: &ByteString, catalog: &Catalog) -> Option<Arc<Reading>> {
        if let Some(known) = self.known(text, catalog) {
            return Some(known);
        }
        if text.len() > HERE_BYTES_MAX {
            return None;
        }
        if cfg!(debug_assertions) {
            self.read_aside(text, catalog)
        } else {
            Some(read_and_keep(text, catalog, &self.cache))
        }
    }

    fn read_aside(&self, text: &str, catalog: &Catalog) -> Option<Arc<Reading>> {
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
    let reading = Arc::new(read_for(text, catalog));
    if text.len() <= CACHED_TEXT_BYTES_MAX {
        cache.keep(catalog.id(), text, &reading);
    }
    reading
}

fn work(jobs: &Mutex<Receiver<Job>>, cache: &Cache) {
    loop {
        // The lock is held while waiting: the other threads then wait for it instead, which is the same queue.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job {
            text,
            catalog,
            answer,
        }) = job
        else {
            return;
        };
        if answer.is_canceled() {
            continue;
        }
        let reading = cache
            .find(catalog.id(), &text)
            .unwrap_or_else(|| read_and_keep(&text, &catalog, cache));
        // Whoever asked may be gone by now.
        let _ = answer.send(reading);
    }
}
