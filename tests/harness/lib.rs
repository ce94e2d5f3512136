//! What the tests share: a real PostgreSQL, the real binary, the real psql, and a client that can
//! send anything.
//!
//! Tests are plain `#[test]` functions, and nothing here sleeps and hopes: whoever waits, waits for
//! a line, a frame or an end, under a deadline that only a failing test reaches.
//!
//! ```no_run
//! let database = harness::database();
//! database.sql("create table t (id int)");
//! let gate = harness::Gate::start("listen = '127.0.0.1:0' ...");
//! let mut alice = harness::psql(&gate.login("alice", "secret", "acme")).start("delete from t");
//! let notice = alice.stderr().wait_for("ticket");
//! ```

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    clippy::disallowed_methods,
    reason = "this is all test code: a panic is how a test says no, and deadlines read the clock"
)]

pub mod canary;
mod cli;
pub mod clients;
pub mod conversation;
mod database;
pub mod escape;
#[path = "../fuzz/targets/mod.rs"]
pub mod fuzz;
mod gate;
pub mod killpoints;
mod lines;
mod login;
mod process;
pub mod raw;
pub mod regress;
mod server;
pub mod sim;
pub mod stage;
pub mod switch;
pub mod vault;

pub use cli::{cli, killpoints_binary, portcullis_binary, psql, sim_binary};
pub use database::{Database, Role, database, database_in, postgres, upstream_root_cert};
pub use gate::{Gate, GateDir, Refused};
pub use lines::Lines;
pub use login::Login;
pub use portcullis::sandbox;
pub use process::{Finished, Process, Program};
pub use server::{Server, options, server, server_of};

use std::time::Duration;

/// How long anything may take before the test fails. Generous: machines are shared.
pub const DEADLINE: Duration = Duration::from_mins(1);
