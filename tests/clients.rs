//! `make clients`: runs real clients before the gate, one suite each, and writes what came of it to
//! `tests/clients/RESULTS.md`. `MODE`, `POOL`, `PARALLEL` and `ONLY` in the environment say how.
//!
//! `clients approve TEXT` and `clients state TEXT [STATE]` are the second person, for the suites.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a program of the tests: a panic is how it says no, and its output is read by people"
)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use harness::clients::report::{page, table};
use harness::clients::{Options, Report, Suite, approve, run_all, state};
use harness::postgres;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let answer = match args[..] {
        [] => return run(),
        ["approve", text] => approve(text),
        ["state", text] => state(text, None),
        ["state", text, to_come] => state(text, Some(to_come)),
        _ => Err("usage: clients [approve TEXT | state TEXT [STATE]]".to_owned()),
    };
    match answer {
        Ok(word) => println!("{word}"),
        Err(why) => {
            eprintln!("clients: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run() -> ExitCode {
    let only = setting("ONLY").unwrap_or_default();
    let only: Vec<&str> = only.split_whitespace().collect();
    let suites = if only.is_empty() {
        Suite::all()
    } else {
        Suite::named(&only)
    };
    let number = |name| setting(name).map(|text| text.parse().unwrap());
    let program = env::current_exe().unwrap();
    // target/debug/clients
    let target = program.ancestors().nth(2).unwrap();
    let options = Options {
        mode: setting("MODE"),
        pool: number("POOL"),
        cache: target.join("clients"),
        logs: target.join("clients/log"),
        program: program.clone(),
    };
    let parallel = number("PARALLEL").unwrap_or(2);
    let parallel = usize::try_from(parallel).unwrap();
    let reports = run_all(&suites, &options, parallel, &|line| println!("{line}"));
    println!("\n{}", table(&reports));
    // Some of them are not the results.
    let results = if only.is_empty() {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/RESULTS.md")
    } else {
        options.logs.join("RESULTS.md")
    };
    fs::write(&results, heading(&options) + &page(&reports)).unwrap();
    println!("written: {}", results.display());
    let failures: Vec<_> = reports.iter().flat_map(Report::failures).collect();
    for failure in &failures {
        println!("failed: {failure}");
    }
    println!("what they said is in {}", options.logs.display());
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// A variable that says something.
fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn heading(options: &Options) -> String {
    let mode = options.mode.as_deref();
    let pool = options.pool.map(|size| format!(" POOL={size}"));
    let date = Command::new("date").args(["-u", "+%F"]).output().unwrap();
    format!(
        "# Clients before the gate\n\n\
         Written by `make clients{}{}` on {}, PostgreSQL {}. Each number is checks passed of checks\n\
         made: straight against PostgreSQL, through a gate that lets everything pass, and, for what\n\
         a hold means, before a gate that holds writes. [README.md](README.md) says what a suite is.\n\n",
        mode.map(|mode| format!(" MODE={mode}")).unwrap_or_default(),
        pool.unwrap_or_default(),
        String::from_utf8_lossy(&date.stdout).trim(),
        postgres().major(),
    )
}
