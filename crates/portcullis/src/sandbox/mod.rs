//! Things that live only as long as the process that started them.
//!
//! `portcullis demo` and the tests need a private PostgreSQL, child processes and certificates. All
//! of them go away with their owner, however it ends: each is tied to it by a pipe, and a small
//! shell at the other end cleans up when the pipe closes, which a SIGKILL cannot prevent.
//!
//! Nothing here is used by `serve`. It blocks, and it knows nothing of the other crates.

mod binaries;
pub mod ca;
mod error;
mod options;
mod postgres;
mod room;
mod server;
mod signal;
mod watched;

pub use binaries::psql;
pub use error::SandboxError;
pub use options::{Options, ServerTls};
pub use postgres::Postgres;
pub use server::Shutdown;
pub use watched::{Capture, Watched};
