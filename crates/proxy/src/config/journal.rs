//! `[journal]`: how large its files become, and how long they are kept. It never looks at a journal.

use std::time::Duration;

use store::Keeping;

use super::keys;
use super::reader::Fields;

/// Reads the table.
pub(super) fn keeping(top: &Fields<'_>) -> Keeping {
    let mut keeping = Keeping::default();
    let Some(table) = top.table("journal", keys::JOURNAL) else {
        return keeping;
    };
    let bytes = table.size("rotate_bytes", 64 << 10..=1 << 40);
    if let Some(bytes) = bytes.and_then(|it| u64::try_from(it).ok()) {
        keeping.rotate_bytes = bytes;
    }
    let day = Duration::from_hours(24);
    let keep = table.duration("keep", day..=day * 36_500);
    keeping.keep_ms = keep.and_then(|it| i64::try_from(it.as_millis()).ok());
    keeping
}
