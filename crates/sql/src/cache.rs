//! Readings by catalog and by exact text or its mask, bounded in bytes. It never holds on to the buffer a text came in, never takes
//! a mask for a text, and a hash alone never decides.

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
    young: Readings,
    young_bytes: usize,
    old: Readings,
    old_bytes: usize,
}

/// By catalog, then by text: what one database makes of a text says nothing of another, and a text may look like a mask.
type Readings = HashMap<(u64, By), HashMap<Box<str>, Arc<Reading>>>;

/// What a reading is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum By {
    /// The very text.
    Text,
    /// The mask of texts that all read like this.
    Mask,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Cache {
        Cache {
            bytes_max,
            generations: Mutex::default(),
        }
    }

    pub(crate) fn find(&self, catalog: u64, by: By, text: &str) -> Option<Arc<Reading>> {
        let place = (catalog, by);
        let mut generations = self.lock();
        if let Some(reading) = generations.young.get(&place).and_then(|it| it.get(text)) {
            return Some(Arc::clone(reading));
        }
        let (text, reading) = generations.forget_old(place, text)?;
        let forgotten = generations.add(place, text, Arc::clone(&reading), self.bytes_max / 2);
        unlocked(generations, forgotten);
        Some(reading)
    }

    pub(crate) fn keep(&self, catalog: u64, by: By, text: &str, reading: &Arc<Reading>) {
        if weight(text, reading) > self.bytes_max / 8 {
            return;
        }
        let (place, text, reading) = ((catalog, by), Box::from(text), Arc::clone(reading));
        let mut generations = self.lock();
        let before = generations.forget_old(place, &text);
        let forgotten = generations.add(place, text, reading, self.bytes_max / 2);
        unlocked(generations, (before, forgotten));
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Nothing panics under this lock; and a half-made change costs a parse at most.
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bytes(&self) -> usize {
        let generations = self.lock();
        generations.young_bytes + generations.old_bytes
    }
}

impl Generations {
    fn forget_old(&mut self, place: (u64, By), text: &str) -> Option<(Box<str>, Arc<Reading>)> {
        let (text, reading) = self.old.get_mut(&place)?.remove_entry(text)?;
        self.old_bytes = self.old_bytes.saturating_sub(weight(&text, &reading));
        Some((text, reading))
    }

    /// Gives back the generation that made room, if one had to.
    fn add(
        &mut self,
        place: (u64, By),
        text: Box<str>,
        reading: Arc<Reading>,
        bytes_max: usize,
    ) -> Readings {
        let bytes = weight(&text, &reading);
        let mut forgotten = Readings::new();
        if self.young_bytes.saturating_add(bytes) > bytes_max {
            let young = std::mem::take(&mut self.young);
            forgotten = std::mem::replace(&mut self.old, young);
            self.old_bytes = std::mem::take(&mut self.young_bytes);
        }
        if self
            .young
            .entry(place)
            .or_default()
            .insert(text, reading)
            .is_none()
        {
            self.young_bytes += bytes;
        }
        forgotten
    }
}

/// Drops what was forgotten behind the lock: a full generation is some thousand readings, which take milliseconds.
fn unlocked<T>(generations: MutexGuard<'_, Generations>, forgotten: T) {
    drop(generations);
    drop(forgotten);
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
        cache.keep(0, By::Text, "often", &reading);
        for n in 0..5_000 {
            cache.keep(0, By::Text, &format!("SELECT {n}"), &reading);
            assert!(cache.bytes() <= 64 * 1024);
            assert!(cache.find(0, By::Text, "often").is_some(), "at {n}");
        }
        assert!(cache.find(0, By::Text, "SELECT 0").is_none());
        assert!(cache.find(0, By::Text, "SELECT 4999").is_some());
    }

    #[test]
    fn the_same_text_again_is_counted_once() {
        let cache = Cache::new(64 * 1024);
        let reading = Arc::new(crate::read("SELECT 1"));
        cache.keep(0, By::Text, "SELECT 1", &reading);
        let bytes = cache.bytes();
        cache.keep(0, By::Text, "SELECT 1", &reading);
        assert_eq!(cache.bytes(), bytes);
        assert!(cache.find(0, By::Text, "select 1").is_none());
        assert!(
            cache.find(1, By::Text, "SELECT 1").is_none(),
            "of another catalog"
        );
        assert!(cache.find(0, By::Mask, "SELECT 1").is_none(), "of a mask");
    }
}
