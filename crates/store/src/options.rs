//! How a store is told to keep tickets. It never says what of.

/// How long tickets live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// People decide a ticket within so many milliseconds of its making, or it expires.
    pub decide_within_ms: i64,
    /// An approved ticket is used within so many milliseconds, or it expires.
    pub use_within_ms: i64,
}
