//! How many bytes the reader keeps of a text, by its own count. It never measures a time.

use std::io::Write as _;
use std::sync::Arc;

use sql::{Catalog, Reader};

use crate::texts;

/// One line for each text.
pub(crate) fn print() {
    let catalog = Arc::new(Catalog::unknown(None));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<28}{:>10}{:>10}",
        "kept of a text, bytes", "text", "kept"
    )
    .unwrap();
    for (name, text) in [
        ("short select", texts::account(17)),
        ("1 KB select", texts::report(1_024, 17)),
        ("1 KB of columns", texts::columns(1_024, 17)),
        ("15 KB of numbers", texts::numbers(15 * 1_024, 17)),
        ("100 KB of numbers", texts::numbers(100 * 1_024, 17)),
        ("60 joins", texts::joins(60, 17)),
        ("200 concatenations", texts::concatenations(200, 17)),
    ] {
        let reader = Reader::start(1).unwrap();
        let bytes = text.len();
        runtime.block_on(reader.read(text.into(), Arc::clone(&catalog)));
        let kept = reader.bytes();
        writeln!(out, "{name:<28}{bytes:>10}{kept:>10}").unwrap();
    }
    writeln!(out).unwrap();
}
