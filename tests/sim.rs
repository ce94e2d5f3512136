//! `make sim`: plays seeds of a simulated gate, and holds what the tickets say against what is in the database. It plays SEEDS of
//! them, from SEED on, or that one alone, and then it tells its history; so it does of the first that shows a fault. It is not built
//! with the rest: BREAK asks for a gate with a fault, which must be found.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "what it prints is what it is for; whoever asks for what there is not is told so"
)]

use std::env;
use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;

use harness::sim::{self, Came, Fault};

/// The faults that may be asked for.
const BREAKS: [&str; 1] = ["double-claim"];
/// The variable that asks the store for one.
const FAULT: &str = "PORTCULLIS_BREAK";
/// Seeds where nobody says how many.
const SEEDS: u64 = 1000;
/// How often it is told how far it is.
const TELL_EVERY: u64 = 100;

fn main() -> ExitCode {
    let number = |name: &str| {
        let given = env::var(name).ok().filter(|it| !it.is_empty());
        given.map(|it| it.parse::<u64>().expect("SEED and SEEDS are numbers"))
    };
    let (first, seeds) = (number("SEED"), number("SEEDS"));
    let broken = env::var(FAULT).ok().filter(|it| !it.is_empty());
    if let Some(broken) = &broken {
        assert!(BREAKS.contains(&broken.as_str()), "BREAK is double-claim");
    }
    let tells = first.is_some() && seeds.is_none();
    let (first, seeds) = (
        first.unwrap_or(1),
        seeds.unwrap_or(if tells { 1 } else { SEEDS }),
    );
    let mut sum = Sum::default();
    for seed in first..first.saturating_add(seeds) {
        let came = sim::run(seed);
        sum.add(&came);
        if tells || !came.faults.is_empty() {
            came.history.iter().for_each(|line| println!("{line}"));
        }
        if !came.faults.is_empty() {
            came.faults
                .iter()
                .for_each(|fault| println!("FAULT in seed {seed}: {fault}"));
            let broken = broken.map_or(String::new(), |it| format!(" BREAK={it}"));
            println!("to see it again: make sim SEED={seed}{broken}");
            break;
        }
        if stderr().is_terminal() && sum.seeds.is_multiple_of(TELL_EVERY) {
            eprint!("\r{} of {seeds} seeds", sum.seeds);
        }
    }
    if stderr().is_terminal() {
        eprintln!();
    }
    println!("{}", sum.words());
    ExitCode::from(u8::from(sum.faults > 0))
}

/// What was played so far.
#[derive(Default)]
struct Sum {
    seeds: u64,
    statements: u64,
    crashes: u64,
    duplicates: usize,
    lost: usize,
    faults: usize,
    in_doubt: usize,
}

impl Sum {
    fn add(&mut self, came: &Came) {
        let count = |which: fn(&Fault) -> bool| came.faults.iter().filter(|it| which(it)).count();
        self.seeds += 1;
        self.statements += came.statements;
        self.crashes += came.crashes;
        self.duplicates += count(|it| matches!(it, Fault::Duplicate(_)));
        self.lost += count(|it| matches!(it, Fault::Lost(_)));
        self.faults += came.faults.len();
        self.in_doubt += came.in_doubt;
    }

    fn words(&self) -> String {
        let Self {
            seeds,
            statements,
            crashes,
            duplicates,
            lost,
            faults,
            in_doubt,
        } = self;
        let other = match faults - duplicates - lost {
            0 => String::new(),
            other => format!(", {other} other faults"),
        };
        format!(
            "{seeds} seeds, {statements} statements, {crashes} crashes, {duplicates} duplicates, {lost} lost{other}, {in_doubt} in doubt"
        )
    }
}
