//! `make micro`: what the pieces of the gate cost one by one, in time and in allocations. It starts no server, and it
//! never fails on a time: it prints, and a person reads. Others use the machine, so the column to read is `fastest`.
//!
//! Allocations are those of Rust; what PostgreSQL's own parser takes and gives back in C is not counted. Counting makes
//! each allocation some nanoseconds dearer than it is in the gate.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a bench that cannot be set up has nothing to say, and its numbers are small"
)]

mod asks;
mod frames;
mod journal;
mod kept;
mod known;
mod login;
mod policy;
mod reading;
mod tenants;
mod texts;

use std::time::Duration;

use divan::{AllocProfiler, Divan};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How long each measurement goes on at least, to meet moments in which nobody else is at work.
const TIME_MIN: Duration = Duration::from_millis(700);
/// And at most, so that all of them take a minute.
const TIME_MAX: Duration = Duration::from_millis(2_500);

fn main() {
    kept::print();
    tenants::print();
    Divan::default()
        .min_time(TIME_MIN)
        .max_time(TIME_MAX)
        .config_with_args()
        .main();
}
