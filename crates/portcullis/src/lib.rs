//! The binary's commands: the daemon's (`serve`, `try`, `check`), the approver's (`cli`), what a policy says
//! (`explain`, `policy test`), and the story that shows them (`demo`). It decides nothing: a running gate does.

pub mod check;
pub mod cli;
pub mod demo;
pub mod explain;
pub mod policy_test;
pub mod sandbox;
pub mod serve;
pub mod tenant;
pub mod try_it;
