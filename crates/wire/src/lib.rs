//! PostgreSQL's wire protocol, versions 3.0 and 3.2: bytes in, messages out. It never does I/O, never
//! reads a clock, never draws a random number, and never panics on what a peer sent.
//!
//! A *startup packet* is what comes before the first tag ([`startup`]); a *frame* is tag, length and body
//! ([`frame`]); a *message* is a decoded frame ([`frontend`], [`backend`]). Whoever holds the socket
//! appends what it reads to a `BytesMut` and calls `take` until that says `None`.
//!
//! What every decoder here promises:
//! - a length is checked against a limit before anything is allocated for it, and a count against the
//!   bytes that are there (R1);
//! - a body is consumed exactly: a byte too many, a NUL inside a string, or bytes that are not UTF-8 are
//!   an error, not a guess (R3);
//! - a client's message is made of slices of the buffer it came in, not copies. What is kept for long (a
//!   held statement) keeps that buffer alive, so whoever keeps it may want to copy it first. What is read
//!   from an upstream's body is small, and copied.

mod error;
mod reader;
mod writer;

pub mod backend;
pub mod cancel_key;
pub mod fields;
pub mod frame;
pub mod frontend;
pub mod scram;
pub mod sqlstate;
pub mod startup;

pub use bytestring::ByteString;
pub use cancel_key::CancelKey;
pub use error::WireError;
