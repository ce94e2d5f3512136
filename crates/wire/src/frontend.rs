//! Messages that a client sends (manual, "Message Formats", those marked F). It never passes on a body
//! that it has not read to its last byte, nor sends one that was not rebuilt from its parts (R2, R3).

mod decode;
mod encode;
mod message;
pub mod tag;

pub use encode::{
    bind, cleartext_password, close, copy_data, copy_done, copy_fail, describe, execute, flush,
    parse, password, query, sasl_initial, sync, terminate,
};
pub use message::{Bind, Execute, Frontend, Parse, Target};
