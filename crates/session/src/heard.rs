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

/// What a RowDescription says of a result: names, types and formats. Which column of which table each comes from does not
/// count, as it does not for PostgreSQL: the table may be another that is made alike.
pub(crate) fn shape_of(body: &[u8]) -> Bytes {
    const COUNT: usize = 2;
    const ORIGIN: usize = 6;
    const BEHIND_NAME: usize = 18;
    let mut shape = body.to_vec();
    let mut at = COUNT;
    while let Some(name) = shape
        .get(at..)
        .and_then(|it| it.iter().position(|it| *it == 0))
    {
        let from = at + name + 1;
        if let Some(origin) = shape.get_mut(from..from + ORIGIN) {
            origin.fill(0);
        }
        at = from + BEHIND_NAME;
    }
    shape.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_that_of_any_table_that_is_made_alike() {
        let field = |name: &str, table: u8, kind: u8| {
            let rest = [0, 0, 0, kind, 0, 4, 255, 255, 255, 255, 0, 0];
            [name.as_bytes(), &[0, 0, 0, 0, table, 0, 1], &rest].concat()
        };
        let both = |table, kind| {
            let fields = [field("id", table, 23), field("", table, kind)].concat();
            shape_of(&[&[0, 2], fields.as_slice()].concat())
        };
        assert_eq!(both(1, 25), both(2, 25));
        assert_ne!(both(1, 25), both(1, 23));
        assert_eq!(shape_of(&[]), "");
    }
}
