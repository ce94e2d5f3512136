//! The clocks that the store tells time by. It never sleeps, and nothing else in this crate asks
//! the system for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Civil time. Expiry is judged by the store's clock alone (hazards R100); tests hand in one that
/// they move by hand.
pub trait WallClock: Send + 'static {
    /// Milliseconds since 1970, UTC.
    fn now_ms(&self) -> i64;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the store reads the clock"
    )]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// What a record says of its time, in milliseconds since 1970.
pub(crate) fn milliseconds(at: &str) -> Option<i64> {
    let at: jiff::Timestamp = at.parse().ok()?;
    Some(at.as_millisecond())
}

/// The monotonic clock, for how long records have waited for the disk.
#[expect(
    clippy::disallowed_methods,
    reason = "a delay of one thread, which no decision hangs on"
)]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
