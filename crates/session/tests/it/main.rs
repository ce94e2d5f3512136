//! One client, one session, a real policy and parser, and a server made of a few lines: what the
//! session asks for, in which order, and what the client hears.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "tests"
)]

mod batches;
mod cargo;
mod console;
mod copying;
mod dialect;
mod driver;
mod escapes;
mod laws;
mod leaving;
mod login;
mod queries;
mod server;
mod store;
mod table;
mod transactions;
mod words;
mod world;
