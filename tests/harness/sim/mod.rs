//! A simulated day of a gate: the daemon's own code over its own store, in virtual time, with people, a server, a disk and a
//! clock that one seed decides about. The gate is killed wherever it does something that anybody could hear of, and started
//! again; at the end what the tickets say is held against what is in the database. Nothing here is another thread's: the same
//! seed is the same history, to the line.

mod approver;
mod backend;
mod checker;
mod dice;
mod door;
mod history;
mod journal;
mod life;
mod line;
mod pipe;
mod postgres;
mod requester;
mod shelf;
mod stage;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use history::Fault;

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    pub seed: u64,
    /// Statements that were sent.
    pub statements: u64,
    /// Deaths of the gate.
    pub crashes: u64,
    /// Tickets that are in doubt at the end, and left to a person.
    pub in_doubt: usize,
    pub faults: Vec<Fault>,
    /// What happened, line by line.
    pub history: Vec<String>,
}

/// Plays a seed to its end.
pub fn run(seed: u64) -> Came {
    let played = catch_unwind(AssertUnwindSafe(|| stage::play(seed)));
    played.unwrap_or_else(|_| Came {
        seed,
        statements: 0,
        crashes: 0,
        in_doubt: 0,
        faults: vec![Fault::Broke("the simulation panicked".to_owned())],
        history: Vec::new(),
    })
}
