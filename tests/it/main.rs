//! Tests of the real binary against a real PostgreSQL, in one program: they share its server.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is all test code: a panic is how a test says no, and deadlines read the clock"
)]

mod admin;
mod asking;
mod audit;
mod bad_input;
mod binding;
mod canary;
mod catalog;
mod clients;
mod commands;
mod console;
mod conversations;
mod credentials;
mod cves;
mod deploy;
mod drivers;
mod edge;
mod escape;
mod explain;
mod extended;
mod fence;
mod functions;
mod fuzz;
mod grants;
mod hiding;
mod hold;
mod inside;
mod install;
mod isolation;
mod journal;
mod killpoints;
mod ledger;
mod limits;
mod load;
mod login;
mod looks;
mod modes;
mod numbers;
mod online;
mod pause;
mod policy;
mod pooling;
mod race;
mod relay;
mod reload;
mod replicas;
mod routing;
mod sandbox;
mod scripts;
mod shows;
mod signals;
mod sim;
mod suites;
mod systemd;
mod tenant_new;
mod tickets;
mod time_outs;
mod transactions;
mod try_it;
mod unfenced;
mod upstream;
mod versions;
mod watch;
mod words;
mod workers;
