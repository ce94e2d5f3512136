//! `make regress`: PostgreSQL's own regression suite straight and through a gate that allows
//! everything, and what differs. `regress [session|transaction] [TEST..]` runs less.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it prints is what it is for"
)]

use std::env;
use std::process::ExitCode;

use harness::regress::{Comparison, Mode, Reasons, Run, Suite};

fn main() -> ExitCode {
    let mut only: Vec<String> = env::args().skip(1).collect();
    let mode = only.first().and_then(|first| Mode::named(first));
    let modes = match mode {
        Some(mode) => {
            only.remove(0);
            vec![mode]
        }
        None => Mode::ALL.to_vec(),
    };
    match compare(&modes, &only) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("regress: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs everything; how many tests differ without a reason where none should, in session mode.
fn compare(modes: &[Mode], only: &[String]) -> Result<usize, String> {
    let reasons = Reasons::read()?;
    let suite = Suite::get()?;
    // Twice, so that what the suite itself prints now so, now so is not taken for the gate's doing.
    let first = Run::direct("direct-1", &suite, only)?;
    let second = Run::direct("direct-2", &suite, only)?;
    let mut comparisons = Vec::new();
    for mode in modes {
        let gated = Run::gated(*mode, &suite, only)?;
        comparisons.push(Comparison::make(
            *mode,
            [&first, &second],
            &gated,
            &reasons,
        )?);
    }
    for comparison in &comparisons {
        println!("\n{comparison}");
    }
    Ok(comparisons.iter().map(Comparison::unexcused).sum())
}
