//! Messages that a server sends (manual, "Message Formats", those marked B): encoders for what we say to a
//! client, decoders for what we look at from an upstream. It never touches rows that only pass through.

pub mod decode;
pub mod encode;
mod message;
pub mod tag;

pub use message::{Authentication, Column, Status};
