//! A program to be killed: it starts a server and a child, says which, and waits. The test of the
//! watchdogs kills it and looks for what is left.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program of the tests: a panic is how it says no, and its output is read by one"
)]

use std::io::Read;
use std::process::Command;

use harness::options;
use harness::sandbox::{Capture, Postgres, Watched};

fn main() {
    let server = Postgres::start(options()).unwrap();
    let mut sleeper = Command::new("sleep");
    sleeper.arg("600");
    let child = Watched::spawn(&sleeper, Capture::Null, Capture::Null).unwrap();
    println!(
        "victim {} {} {} {}",
        server.port(),
        server.id().unwrap(),
        child.id(),
        server.directory().display()
    );
    let _until_killed = std::io::stdin().read(&mut [0]);
}
