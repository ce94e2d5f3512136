//! When the journal's head is to be signed, and the entry that does. It never signs a head twice.

use std::io;
use std::time::{Duration, Instant};

use gate::Entry;

use crate::chain::Head;
use crate::clock::monotonic;
use crate::options::Signing;

/// The key, and how far it has signed.
pub(super) struct Signer {
    signing: Signing,
    /// The last record that signed, once there is one of this run.
    last: u64,
    /// When it was first seen that there is a record behind that.
    since: Option<Instant>,
}

impl Signer {
    pub(super) fn new(signing: Signing) -> Self {
        Self {
            signing,
            last: 0,
            since: None,
        }
    }

    /// How long what is behind the last signed head may still be; nothing if that is nothing.
    pub(super) fn left(&self) -> Option<Duration> {
        let waited = monotonic().saturating_duration_since(self.since?);
        Some(self.signing.within.saturating_sub(waited))
    }

    /// Whether the records up to `tail` have waited long enough, or are many.
    pub(super) fn is_due(&mut self, tail: Head) -> bool {
        let behind = tail.seq.saturating_sub(self.last);
        if behind == 0 {
            return false;
        }
        self.since.get_or_insert_with(monotonic);
        let is_late = self.left().is_some_and(|left| left.is_zero());
        is_late || behind >= self.signing.records
    }

    /// The entry of the next record, written at that time, as JSON; nothing if `tail` has signed itself.
    pub(super) fn sign(&mut self, node: &str, tail: Head, at: &str) -> Option<io::Result<Vec<u8>>> {
        if tail.seq == self.last {
            return None;
        }
        let key = &self.signing.key;
        let Some(signature) = key.sign(node, tail, at) else {
            return Some(Err(io::Error::other("the journal's head was not signed")));
        };
        let signed = Entry::Signed {
            key: key.public().id().to_owned(),
            signature,
        };
        (self.last, self.since) = (tail.seq.saturating_add(1), None);
        Some(serde_json::to_vec(&signed).map_err(io::Error::from))
    }
}
