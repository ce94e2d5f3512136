//! The store, tried through its public doors. It never reaches into the crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests fail as tests do"
)]

mod backup;
#[path = "../conformance/mod.rs"]
mod conformance;
mod crash;
mod encrypted;
mod evidence;
mod file;
mod files;
mod law;
mod processes;
mod recovery;
mod signed;
mod support;
mod writing;
