//! Readings by exact text, bounded in bytes. It never holds on to the buffer a text came in, and a hash alone never decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Reading;

/// What an entry costs beside its text and reading: two map slots, an Arc's counts.
const ENTRY_BYTES: usize = 128;

/// Two generations: what is asked for moves to the young one; when that is half of the bound, it becomes the old one and the
/// former old one is forgotten.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Reading>>,
    young_bytes: usize,
    old: HashMap<Box<str>, Arc<Reading>>,
    old_bytes: usize,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Cache {
        Cache {
            bytes_max,
            generations: Mutex::default(),
        }
    }

    pub(crate) fn find(&self, text: &str) -> Option<Arc<Reading>> {
        let mut generations = self.lock();
        if let Some(reading) = generations.young.get(text) {
            return Some(Arc::clone(reading));
        }
        let (text, reading) = generations.old.remove_entry(text)?;
        let bytes = weight(&text, &reading);
        generations.old_bytes = generations.old_bytes.saturating_sub(bytes);
        generations.add(text, Arc::clone(&reading), self.bytes_max / 2);
        Some(reading)
    }

    pub(crate) fn keep(&self, text: &str, reading: &Arc<Reading>) {
        if weight(text, reading) > self.bytes_max / 8 {
            return;
        }
        let mut generations = self.lock();
        if let Some((text, known)) = generations.old.remove_entry(text) {
            generations.old_bytes = generations.old_bytes.saturating_sub(weight(&text, &known));
        }
        generations.add(text.into(), Arc::clone(reading), self.bytes_max / 2);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Nothing panics under this lock; and a half-made change costs a parse at most.
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let generations = self.lock();
        generations.young_bytes + generations.old_bytes
    }
}

impl Generations {
    fn add(&mut self, text: Box<str>, reading: Arc<Reading>, bytes_max: usize) {
        let bytes = weight(&text, &reading);
        if self.young_bytes.saturating_add(bytes) > bytes_max {
            self.old = std::mem::take(&mut self.young);
            self.old_bytes = std::mem::take(&mut self.young_bytes);
        }
        if self.young.insert(text, reading).is_none() {
            self.young_bytes += bytes;
        }
    }
}

fn weight(text: &str, reading: &Reading) -> usize {
    ENTRY_BYTES + text.len() + reading.weight()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_in_bytes_and_keeps_what_is_used() {
        let cache = Cache::new(64 * 1024);
        let reading = Arc::new(crate::read("SELECT 1"));
        cache.keep("often", &reading);
        for n in 0..5_000 {
            cache.keep(&format!("SELECT {n}"), &reading);
            assert!(cache.bytes() <= 64 * 1024);
            assert!(cache.find("often").is_some(), "at {n}");
        }
        assert!(cache.find("SELECT 0").is_none());
        assert!(cache.find("SELECT 4999").is_some());
    }

    #[test]
    fn the_same_text_again_is_counted_once() {
        let cache = Cache::new(64 * 1024);
        let reading = Arc::new(crate::read("SELECT 1"));
        cache.keep("SELECT 1", &reading);
        let bytes = cache.bytes();
        cache.keep("SELECT 1", &reading);
        assert_eq!(cache.bytes(), bytes);
        assert!(cache.find("select 1").is_none());
    }
}
