//! What was heard from the upstream, for the accounts: tags, errors, names that were accepted.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use wire::fields::Fields;

/// What the server said of one segment.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Command tags that the client saw.
    pub(crate) tags: Vec<Arc<str>>,
    /// The error that the client saw, as SQLSTATE and message.
    pub(crate) error: Option<String>,
    /// An error in the gate's own part.
    pub(crate) own_error: Option<Box<Fields>>,
    /// Why the row of the ledger could not be laid down: nothing behind it ran.
    pub(crate) unclaimed: Option<Box<Fields>>,
    /// Names whose Parse was accepted.
    pub(crate) confirmed: Vec<ByteString>,
    /// Those since the last DEALLOCATE ALL.
    pub(crate) prepared_since: Vec<ByteString>,
    /// What statements return, by the client's names for them.
    pub(crate) shapes: Vec<(ByteString, Bytes)>,
    /// Rows that the gate asked for itself.
    pub(crate) rows: Vec<Vec<Option<Bytes>>>,
}

impl Heard {
    /// Whether something was refused.
    pub(crate) fn failed(&self) -> bool {
        self.error.is_some() || self.own_error.is_some() || self.unclaimed.is_some()
    }

    /// What was said later in the same segment.
    pub(crate) fn then(mut self, later: Self) -> Self {
        self.tags = joined(self.tags, later.tags);
        self.prepared_since = joined(self.prepared_since, later.prepared_since);
        self.error = self.error.or(later.error);
        self.own_error = self.own_error.or(later.own_error);
        self.unclaimed = self.unclaimed.or(later.unclaimed);
        self
    }
}

/// One list behind the other; the first is empty where there was no Flush.
fn joined<T>(mut first: Vec<T>, later: Vec<T>) -> Vec<T> {
    if first.is_empty() {
        return later;
    }
    first.extend(later);
    first
}
