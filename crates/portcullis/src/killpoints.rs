//! `portcullis` as a sweep wants it: built so that it ends itself where it is told to. It never differs in anything else.

use std::process::ExitCode;

#[path = "main.rs"]
mod program;

fn main() -> ExitCode {
    program::main()
}
