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
use std::iter;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use harness::clients::report::{page, table, total};
use harness::clients::{Options, Pooling, Report, Setting, Suite, Way, approve, run_all, state};
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
    #[expect(
        clippy::disallowed_methods,
        reason = "a person waits, and is told how long it took"
    )]
    let started = Instant::now();
    let only = variable("ONLY").unwrap_or_default();
    let only: Vec<&str> = only.split_whitespace().collect();
    let suites = if only.is_empty() {
        Suite::all()
    } else {
        Suite::named(&only)
    };
    let asked = Pooling {
        mode: variable("MODE"),
        size: variable("POOL").map(|text| text.parse().unwrap()),
    };
    let settings = settings(&asked);
    let program = env::current_exe().unwrap();
    // target/debug/clients
    let target = program.ancestors().nth(2).unwrap();
    let options = Options {
        cache: target.join("clients"),
        logs: target.join("clients/log"),
        program: program.clone(),
    };
    let parallel = variable("PARALLEL").map_or(2, |text| text.parse().unwrap());
    let progress = |line: &str| println!("{:>5} s  {line}", started.elapsed().as_secs());
    let reports = run_all(&suites, &settings, &options, parallel, &progress);
    println!("\n{}", table(&reports, &settings));
    // Some of them are not the results.
    let results = if only.is_empty() && asked == Pooling::default() {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/RESULTS.md")
    } else {
        options.logs.join("RESULTS.md")
    };
    fs::write(&results, heading() + &page(&reports, &settings)).unwrap();
    println!("written: {}", results.display());
    let failures: Vec<_> = reports.iter().flat_map(Report::failures).collect();
    for failure in &failures {
        println!("failed: {failure}");
    }
    println!("what they said is in {}", options.logs.display());
    println!("{}", total(&reports));
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// Straight, and before gates that pool as is asked for; unless anything is, before gates as they come
/// and before gates with one connection for everybody, which finds what a pool confuses.
fn settings(asked: &Pooling) -> Vec<Setting> {
    let mut poolings = vec![asked.clone()];
    if *asked == Pooling::default() {
        poolings.push(Pooling {
            mode: Some("transaction".to_owned()),
            size: Some(1),
        });
    }
    let straight = Way::Straight.with(&Pooling::default());
    let gates = poolings
        .iter()
        .flat_map(|pooling| [Way::Through, Way::Held].map(|way| way.with(pooling)));
    iter::once(straight).chain(gates).collect()
}

/// A variable that says something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn heading() -> String {
    let date = Command::new("date").args(["-u", "+%F"]).output().unwrap();
    format!(
        "# Clients before the gate\n\n\
         Written by `make clients` on {}, PostgreSQL {}. Each number is checks passed of checks\n\
         made: straight against PostgreSQL, through a gate that lets everything pass, and, for what\n\
         a hold means, before a gate that holds writes. Without more words a gate has its defaults,\n\
         which are `MODE=transaction` and ten upstream connections. [README.md](README.md) says what a suite is.\n\n",
        String::from_utf8_lossy(&date.stdout).trim(),
        postgres().major(),
    )
}
