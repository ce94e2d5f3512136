//! How soon after a failed login the next may begin, and how many at once. While a server is down
//! one session tries, at growing intervals, and all that wait share what it learns (hazards R66).

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::connect::ConnectError;

/// The interval after the first failure; each further one doubles it.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest interval.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Where doubling ends.
const DOUBLINGS_MAX: u32 = 10;

/// How long somebody waits for a try that succeeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until then, at the most.
    pub(crate) until: Instant,
    /// The failures that were known when it began, where one more is enough.
    pub(crate) known: Option<u64>,
}

/// The failures of one thing to try, and when it may be tried again.
#[derive(Debug)]
pub(crate) struct Backoff {
    state: RefCell<State>,
    changed: Notify,
    jitter: Jitter,
}

#[derive(Debug, Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// Failures ever.
    known: u64,
    last: Option<(Arc<ConnectError>, Instant)>,
    trying: bool,
}

/// The right to try now.
#[derive(Debug)]
pub(crate) struct Try<'a> {
    backoff: &'a Backoff,
    /// It is the only one while things are bad.
    probes: bool,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: RefCell::default(),
            changed: Notify::new(),
            jitter: Jitter(Cell::new(seed)),
        }
    }

    /// Failures ever.
    pub(crate) fn known(&self) -> u64 {
        self.state.borrow().known
    }

    /// What went wrong, if the last try failed.
    pub(crate) fn trouble(&self) -> Option<Arc<ConnectError>> {
        let state = self.state.borrow();
        let last = state.last.as_ref().filter(|_| state.failures > 0)?;
        Some(Arc::clone(&last.0))
    }

    /// Waits until it may be tried. While the last try has failed that is one at a time, after a
    /// pause; whose patience is over hears what went wrong.
    pub(crate) async fn turn(&self, patience: Patience) -> Result<Try<'_>, Arc<ConnectError>> {
        loop {
            let wake = {
                let mut state = self.state.borrow_mut();
                let Some((error, not_before)) = &state.last else {
                    return Ok(self.start(false));
                };
                let heard = patience.known.is_some_and(|known| state.known > known);
                let now = Instant::now();
                match state.failures {
                    0 => return Ok(self.start(false)),
                    _ if heard || now >= patience.until => return Err(Arc::clone(error)),
                    _ if state.trying => patience.until,
                    _ if now < *not_before => patience.until.min(*not_before),
                    _ => {
                        state.trying = true;
                        return Ok(self.start(true));
                    }
                }
            };
            // Whether news woke it or the time, it looks again.
            let _either = timeout_at(wake, self.changed.notified()).await;
        }
    }

    fn start(&self, probes: bool) -> Try<'_> {
        Try {
            backoff: self,
            probes,
        }
    }
}

impl Try<'_> {
    /// Whether things have gone wrong since it began, and somebody else is to try.
    pub(crate) fn is_stale(&self) -> bool {
        !self.probes && self.backoff.state.borrow().failures > 0
    }

    /// It went well: everybody may try.
    pub(crate) fn succeeded(self) {
        self.backoff.state.borrow_mut().failures = 0;
    }

    /// It did not. What began before the first failure does not make the pause longer.
    pub(crate) fn failed(self, error: Arc<ConnectError>) {
        let mut state = self.backoff.state.borrow_mut();
        if self.probes || state.failures == 0 {
            let pause = PAUSE * (1 << state.failures.min(DOUBLINGS_MAX));
            let pause = self.backoff.jitter.of(pause.min(PAUSE_MAX));
            state.failures = state.failures.saturating_add(1);
            state.last = Some((error, Instant::now() + pause));
        }
        state.known += 1;
    }
}

/// Whichever way it ended, those that wait look again.
impl Drop for Try<'_> {
    fn drop(&mut self) {
        if self.probes {
            self.backoff.state.borrow_mut().trying = false;
        }
        self.backoff.changed.notify_waiters();
    }
}

/// Logins to one server: so many at once, and one at a time while it is down.
#[derive(Debug)]
pub(crate) struct Logins {
    slots: Semaphore,
    backoff: Backoff,
}

impl Logins {
    pub(crate) fn new(max: usize, seed: u64) -> Self {
        Self {
            slots: Semaphore::new(max.max(1)),
            backoff: Backoff::new(seed),
        }
    }

    /// How the server fares.
    pub(crate) fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// Waits until a login may begin.
    pub(crate) async fn turn(
        &self,
        patience: Patience,
    ) -> Result<(Try<'_>, SemaphorePermit<'_>), Arc<ConnectError>> {
        loop {
            let turn = self.backoff.turn(patience).await?;
            let slot = timeout_at(patience.until, self.slots.acquire()).await;
            let Some(slot) = slot.ok().and_then(Result::ok) else {
                let trouble = self.backoff.trouble();
                return Err(trouble.unwrap_or_else(|| Arc::new(ConnectError::Timeout)));
            };
            if !turn.is_stale() {
                return Ok((turn, slot));
            }
        }
    }
}

/// Spreads what would else happen all at once (splitmix64).
#[derive(Debug)]
struct Jitter(Cell<u64>);

impl Jitter {
    /// Between half of `pause` and all of it.
    fn of(&self, pause: Duration) -> Duration {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = u32::try_from((mixed >> 31) % 1000).unwrap_or(0);
        pause / 2 + pause / 2000 * part
    }
}
