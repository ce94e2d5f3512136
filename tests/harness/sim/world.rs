//! What a simulated gate touches beside its store and its journal: a clock that can be set, chance, and the way to its server.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use pool::Dial;
use proxy::world::World;
use store::WallClock;

use super::dice::Dice;
use super::journal::Memory;
use super::life::{Deed, Life};
use super::pipe::{End, with_gate};
use super::postgres::Postgres;
use super::shelf::Shelf;

/// When every seed begins: 2026, for people who read a trace.
const BEGIN_MS: i64 = 1_767_225_600_000;

/// The time of day: it goes on with the virtual time, and can be set.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    start: tokio::time::Instant,
    set_by: Arc<AtomicI64>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            set_by: Arc::default(),
        }
    }

    /// Somebody sets it.
    pub(super) fn jump(&self, ms: i64) {
        self.set_by.fetch_add(ms, Ordering::Relaxed);
    }
}

impl WallClock for Clock {
    fn now_ms(&self) -> i64 {
        let passed = i64::try_from(self.start.elapsed().as_millis()).unwrap();
        BEGIN_MS + passed + self.set_by.load(Ordering::Relaxed)
    }
}

/// The world of one life of the gate.
pub(super) struct Virtual {
    pub(super) clock: Clock,
    pub(super) dice: Dice,
}

impl World for Virtual {
    type Dial = Cable;
    type Tickets = Shelf;
    type Journal = Memory;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn random(&self, bytes: &mut [u8]) -> bool {
        for byte in bytes {
            *byte = u8::try_from(self.dice.below(256)).unwrap();
        }
        true
    }
}

/// The way to the server.
pub(super) struct Cable {
    pub(super) server: Rc<Postgres>,
    pub(super) life: Rc<Life>,
    pub(super) dice: Dice,
}

impl Dial for Cable {
    type Socket = End;

    async fn dial(&self, _: &str, _: u16) -> io::Result<End> {
        self.dice.pause().await;
        self.life.or_dies(Deed::Server).await;
        if !self.server.is_up() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = with_gate(&self.dice, &self.life, Deed::Server);
        self.server.accept(theirs);
        Ok(ours)
    }
}
