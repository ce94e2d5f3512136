//! How a store is told to keep tickets, and its journal. It never says what of.

/// How long tickets live, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// People decide a ticket within so many milliseconds of its making, or it expires.
    pub decide_within_ms: i64,
    /// An approved ticket is used within so many milliseconds, or it expires.
    pub use_within_ms: i64,
    /// So many tickets of one person may wait at the same time.
    pub pending_per_user_max: u32,
    /// So many tickets at one tenant may wait at the same time.
    pub pending_per_tenant_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        const HOUR_MS: i64 = 60 * 60 * 1000;
        Self {
            decide_within_ms: 8 * HOUR_MS,
            use_within_ms: HOUR_MS,
            pending_per_user_max: 100,
            pending_per_tenant_max: 1000,
        }
    }
}

/// How the files of the journal are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// A file that has so many bytes is closed, and the chain goes on in another.
    pub rotate_bytes: u64,
    /// A closed file whose last record is older than so many milliseconds is removed; none is, without one.
    pub keep_ms: Option<i64>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            rotate_bytes: 256 << 20,
            keep_ms: None,
        }
    }
}
