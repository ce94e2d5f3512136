//! `make escape`: every way out of `tests/escape`, in each tenancy model, by a tenant with raw SQL before a gate that lets everything
//! pass; then the same by a control tenant that was granted too much. A line a model, and a line for each way that led out;
//! `escape NAME` plays the ways whose name begins so. It ends with 1 if a tenant got out, or too few of the control's ways did.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::env;
use std::process::ExitCode;

use harness::escape::{CONTROL_MIN, Model, run};

fn main() -> ExitCode {
    let only = env::args().nth(1).unwrap_or_default();
    let shows_control = env::var("SHOW").is_ok_and(|it| it == "control");
    let mut good = true;
    for tally in run(&Model::ALL, &only) {
        let control = tally.model == Model::Control;
        println!("{}", tally.line());
        for escape in tally.escapes.iter().filter(|_| !control || shows_control) {
            println!("    {} ({}): {}", escape.way, escape.tries, escape.seen);
        }
        good &= if control {
            !only.is_empty() || tally.escaped() >= CONTROL_MIN
        } else {
            tally.escaped() == 0
        };
    }
    ExitCode::from(u8::from(!good))
}
