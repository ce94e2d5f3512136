//! How a thread stands, for those who look: what it answers to an errand. Nothing is decided by it.

use pool::LoginCounts;

use crate::lanes::PoolView;
use crate::stats::Sums;

/// How one thread stands.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Its pools, of every tenant that was asked for.
    pub(crate) pools: Vec<PoolView>,
    /// What it has counted.
    pub(crate) sums: Sums,
    /// Logins to servers.
    pub(crate) logins: LoginCounts,
    /// The number of the configuration that it goes by.
    pub(crate) version: u64,
    /// When that was read, in milliseconds since 1970.
    pub(crate) loaded_ms: i64,
    /// When the gate's certificate expires, in seconds since 1970; none without one.
    pub(crate) certificate_expires: Option<i64>,
}
