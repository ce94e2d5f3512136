//! How a store is told to keep tickets, and its journal. It never says what of.

use std::time::Duration;

use crate::signing::SigningKey;
use crate::tenant_keys::TenantKeys;

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

/// With what the journal signs its head, and when at the latest; where it begins, where a file is closed and where it ends it
/// does so in any case.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The key.
    pub key: SigningKey,
    /// Nothing is behind the last signed head for longer than that.
    pub within: Duration,
    /// So many records behind it are signed at once.
    pub records: u64,
}

impl Signing {
    /// How long records wait for a signature, unless it is said.
    pub const WITHIN: Duration = Duration::from_secs(10);
    /// How many do.
    pub const RECORDS: u64 = 10_000;

    /// With this key, as often as is usual.
    pub fn with(key: SigningKey) -> Self {
        Self {
            key,
            within: Self::WITHIN,
            records: Self::RECORDS,
        }
    }
}

/// The keys of a journal. Without any it is neither signed nor encrypted.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The operator's.
    pub signing: Option<Signing>,
    /// The tenants'.
    pub tenants: TenantKeys,
}

/// How a journal is kept, and with which keys.
#[derive(Clone, Debug, Default)]
pub struct Custody {
    /// Its files.
    pub keeping: Keeping,
    /// Its keys.
    pub keys: Keys,
}

impl From<Keeping> for Custody {
    fn from(keeping: Keeping) -> Self {
        Self {
            keeping,
            keys: Keys::default(),
        }
    }
}
