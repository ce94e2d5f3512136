//! Chance: one number, the seed, decides all of it. It asks nobody else for randomness.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// A source of numbers; clones throw the same dice, in turn.
#[derive(Clone, Debug)]
pub(super) struct Dice(Rc<Cell<u64>>);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Self(Rc::new(Cell::new(seed)))
    }

    /// Dice of one's own: what somebody else throws meanwhile does not change what one gets.
    pub(super) fn own(&self) -> Self {
        Self::of(self.next())
    }

    /// The next number (splitmix64).
    pub(super) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..many`.
    pub(super) fn below(&self, many: u64) -> u64 {
        self.next() % many.max(1)
    }

    /// Whether something happens that does so many times of a thousand.
    pub(super) fn chance(&self, of_1000: u64) -> bool {
        self.below(1000) < of_1000
    }

    pub(super) fn between(&self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(super) fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap();
        &all[at]
    }

    pub(super) fn shuffle<T>(&self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            let other = self.below(at as u64 + 1);
            all.swap(at, usize::try_from(other).unwrap());
        }
    }

    pub(super) fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// How long something takes that mostly takes no time: a message on its way, a disk, a server.
    pub(super) fn delay(&self) -> Duration {
        match self.below(1000) {
            0..=599 => Duration::ZERO,
            600..=899 => self.millis(1, 3),
            900..=989 => self.millis(4, 30),
            _ => self.millis(50, 800),
        }
    }

    /// Waits for that long, or not at all.
    pub(super) async fn pause(&self) {
        let delay = self.delay();
        if delay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(delay).await;
        }
    }
}
