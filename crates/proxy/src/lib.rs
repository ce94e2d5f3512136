//! The daemon: configuration, TLS, listeners, the driver of a session, and the console's answers.
//!
//! It decides nothing about a statement and keeps no protocol state: `session` says what to do, and
//! the driver here does it, through the traits of [`world`].

mod admin;
mod changes;
pub mod config;
mod connection;
mod console;
mod counting;
mod crew;
mod daemon;
mod doors;
mod doubts;
mod expiry;
mod figures;
mod following;
mod gatekeeper;
mod holding;
mod inherited;
mod isolation;
mod knowledge;
mod lanes;
mod letterbox;
mod listener;
mod negotiate;
mod origin;
mod patient;
mod pause;
mod paused;
mod purse;
mod registry;
mod reload;
mod replicas;
mod requests;
mod settle;
mod shut;
pub mod simulate;
mod socket;
mod standing;
mod stats;
mod systemd;
mod tls;
mod version;
mod watch;
mod worker;
pub mod world;

pub use daemon::{Daemon, StartError};
pub use expiry::expires;
