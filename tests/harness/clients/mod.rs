//! Real clients, each a suite of its own in `tests/clients/`: found, set up, run straight against
//! PostgreSQL, through a gate that lets everything pass, and before a gate that holds writes. A suite
//! judges itself; nothing here knows what it does.
//!
//! `tests/clients/README.md` says what a suite is and what it may expect.

mod decide;
mod door;
pub mod report;
mod said;
mod suite;

use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

pub use decide::{approve, state};
pub use door::{Pooling, Setting, Way};
pub use report::{Report, Run};
pub use said::Said;
pub use suite::Suite;

use suite::SetUp;

/// What runs of suites have in common.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where suites install their clients.
    pub cache: PathBuf,
    /// Where what they say is kept, with the log of their gates.
    pub logs: PathBuf,
    /// The program `clients`, which approves for the suites.
    pub program: PathBuf,
}

/// Runs these suites, so many at a time, and tells `progress` what happens.
pub fn run_all(
    suites: &[Suite],
    settings: &[Setting],
    options: &Options,
    parallel: usize,
    progress: &(dyn Fn(&str) + Sync),
) -> Vec<Report> {
    let waiting = Mutex::new(suites.iter());
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..parallel.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some(suite) = next else { break };
                    let report = run(suite, settings, options, progress);
                    let mut done = reports.lock().unwrap();
                    done.push(report);
                    let (name, count, all) = (&suite.name, done.len(), suites.len());
                    progress(&format!("{name}: done; {count} of {all} clients are"));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap();
    reports.sort_by(|one, other| one.client.cmp(&other.client));
    reports
}

/// Runs one suite, as each of these says.
pub fn run(
    suite: &Suite,
    settings: &[Setting],
    options: &Options,
    progress: &(dyn Fn(&str) + Sync),
) -> Report {
    let name = &suite.name;
    let mut report = Report::new(name);
    progress(&format!("{name}: setting up"));
    match suite.set_up(&options.cache, &options.logs) {
        SetUp::Done => {}
        SetUp::Skipped(why) => {
            progress(&format!("{name}: skipped: {why}"));
            report.skipped = Some(why);
            return report;
        }
        SetUp::Failed(why) => {
            progress(&format!("{name}: NOT SET UP: {why}"));
            report.broken = Some(why);
            return report;
        }
    }
    for setting in settings {
        let run = suite.run(setting, options);
        progress(&format!("{name}: {setting}: {}", run.line()));
        for (check, why) in &run.said.failed {
            progress(&format!("{name}: {setting}:   not ok {check}: {why}"));
        }
        report.runs.push((setting.clone(), run));
    }
    report
}
