//! The binary's commands: the daemon's (`serve`, `try`, `check`), the approver's (`cli`), and the
//! story that shows both (`demo`). It decides nothing: a running gate does.

pub mod check;
pub mod cli;
pub mod demo;
pub mod sandbox;
pub mod serve;
pub mod try_it;
