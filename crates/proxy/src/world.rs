//! What reaches the driver from outside: clock, upstream sockets, ticket store, journal. The daemon
//! hands in the real ones; a seeded simulation hands in its own and runs this very code.

use std::time::Instant;

use gate::{Journal, Tickets};
use pool::{Dial, TcpDial};
use store::{JournalFile, Sqlite, SystemClock, WallClock};

/// Everything that a driver touches outside its own memory, but for the client's socket, which it
/// is given as `AsyncRead + AsyncWrite`.
pub trait World: 'static {
    /// Opens upstream sockets.
    type Dial: Dial;
    /// Keeps tickets.
    type Tickets: Tickets + Clone + 'static;
    /// Writes down what happens.
    type Journal: Journal + Clone + 'static;

    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// The time of day, in milliseconds since 1970: for rules that have hours, and for what people read.
    fn now_ms(&self) -> i64;

    /// Fills `bytes` with randomness fit for nonces and keys; `false` if there is none to be had.
    fn random(&self, bytes: &mut [u8]) -> bool;
}

/// The world as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

impl World for Real {
    type Dial = TcpDial;
    type Tickets = Sqlite;
    type Journal = JournalFile;

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn now_ms(&self) -> i64 {
        SystemClock.now_ms()
    }

    fn random(&self, bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }
}
