//! What is filed under names that the operator wrote, found by names that anybody sends. It never takes a name from whoever asks
//! into itself, and so needs no hash with a secret: names that collide cannot be sent to make it slow.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Values by name.
pub(crate) type ByName<T> = HashMap<Box<str>, T, BuildHasherDefault<NameHasher>>;

/// Takes a name eight bytes at a time: most are as long as one or two such words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NameHasher(u64);

impl NameHasher {
    fn add(&mut self, word: u64) {
        /// The golden ratio, of which every bit of a product has something.
        const RATIO: u128 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.0 ^ word) * RATIO;
        let (high, low) = (product >> 64, product & u128::from(u64::MAX));
        self.0 = u64::try_from(high ^ low).unwrap_or_default();
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let more = |rest: u64, byte: &u8| (rest << 8) | u64::from(*byte);
        self.add(rest.iter().fold(0x100 + bytes.len() as u64, more));
    }

    /// What ends a name.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault};

    use super::NameHasher;

    /// A table looks at the lower bits for a place and at the upper ones for a first comparison.
    #[test]
    fn names_that_are_alike_lie_apart() {
        for (before, behind) in [("t", ""), ("", "_archive"), ("customer_orders_", "_2026")] {
            let names = (0..10_000).map(|number| format!("{before}{number}{behind}"));
            let by = BuildHasherDefault::<NameHasher>::default();
            let hashes: Vec<u64> = names.map(|name| by.hash_one(name.as_str())).collect();
            let places: HashSet<u64> = hashes.iter().map(|hash| hash & 0xffff).collect();
            let upper: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            // By chance it would be 9,270.
            assert!(places.len() > 9_000, "{before}*{behind}: {}", places.len());
            assert_eq!(upper.len(), 128, "{before}*{behind}");
        }
    }
}
