//! Tests of the real binary against a real PostgreSQL, in one program: they share its server.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this is all test code: a panic is how a test says no, and deadlines read the clock"
)]

mod sandbox;
