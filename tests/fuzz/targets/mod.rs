//! Fuzz targets: each takes any bytes and panics where a law is broken. They do no I/O and know no fuzzer,
//! so that a test runs them as libFuzzer does.
//!
//! The bytes are taken twice: as they are, as they would come from a socket; and as choices for a
//! generator that knows the grammar (`arbitrary`), so that most of what it makes is nearly right.

pub mod backend;
pub mod frontend;
pub mod grammar;
mod scanner;
pub mod seeds;
pub mod sql_text;
pub mod startup;
mod stream;

/// Takes any bytes, and panics where a law is broken.
pub type Target = fn(&[u8]);

/// The targets by name, which is also that of their folder in `tests/fuzz/corpus`.
pub const TARGETS: [(&str, Target); 4] = [
    ("frontend", frontend::target),
    ("backend", backend::target),
    ("startup", startup::target),
    ("sql", sql_text::target),
];
