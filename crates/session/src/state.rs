//! The states of a session, one file each. A state owns only what it needs, is consumed by its
//! `handle`, and answers with its own small `Next`; which state that leads to is for `session.rs`.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod asking;
pub(crate) mod console;
pub(crate) mod held;
pub(crate) mod idle;
pub(crate) mod job;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod releasing;
pub(crate) mod row;
pub(crate) mod running;
pub(crate) mod settling;
pub(crate) mod skipping;
pub(crate) mod unwinding;
pub(crate) mod what;
