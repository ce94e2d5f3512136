//! `[journal]`: how large its files become, how long they are kept, and with what its heads are signed. It never looks at a
//! journal.

use std::time::Duration;

use store::{Custody, Keeping, Keys, Signing, TenantKeys};

use super::files;
use super::keys;
use super::reader::{Fields, Text};

/// Reads the table; `tenants` are the keys of those that have one.
pub(super) fn custody(top: &Fields<'_>, tenants: TenantKeys) -> Custody {
    let table = top.table("journal", keys::JOURNAL);
    let keeping = table.as_ref().map(keeping).unwrap_or_default();
    let signing = table.as_ref().and_then(signing);
    let keys = Keys { signing, tenants };
    Custody { keeping, keys }
}

fn keeping(table: &Fields<'_>) -> Keeping {
    let mut keeping = Keeping::default();
    let bytes = table.size("rotate_bytes", 64 << 10..=1 << 40);
    if let Some(bytes) = bytes.and_then(|it| u64::try_from(it).ok()) {
        keeping.rotate_bytes = bytes;
    }
    let day = Duration::from_hours(24);
    let keep = table.duration("keep", day..=day * 36_500);
    keeping.keep_ms = keep.and_then(|it| i64::try_from(it.as_millis()).ok());
    keeping
}

fn signing(table: &Fields<'_>) -> Option<Signing> {
    let hour = Duration::from_hours(1);
    let within = table.duration("sign_within", Duration::from_millis(100)..=hour * 24);
    let Some(Text { text, span }) = table.text("signing_key", "the path of a file") else {
        table.refuse("sign_within", "without \"signing_key\"");
        return None;
    };
    match files::signing_key(&table.page.path(text)) {
        Ok(key) => {
            let signing = Signing::with(key);
            let within = within.unwrap_or(signing.within);
            Some(Signing { within, ..signing })
        }
        Err(flaw) => {
            table.page.flaw(&span, flaw);
            None
        }
    }
}
