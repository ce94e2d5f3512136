//! What a pool promises, before a server made of memory and on a clock that only moves when nothing
//! else can. It never opens a socket and never waits for real.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is all test code: a panic is how a test says no"
)]

mod fairness;
mod owners;
mod pauses;
mod places;
mod server;
mod storms;
mod threads;
mod time;

use std::future::Future;

/// Runs a test on a thread of its own with a clock that stands still while there is work.
fn run(test: impl Future<Output = ()>) {
    runtime(
        tokio::runtime::Builder::new_current_thread().start_paused(true),
        test,
    );
}

/// The same with a clock that goes.
fn run_now(test: impl Future<Output = ()>) {
    runtime(&mut tokio::runtime::Builder::new_current_thread(), test);
}

fn runtime(builder: &mut tokio::runtime::Builder, test: impl Future<Output = ()>) {
    let runtime = builder.enable_time().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}
