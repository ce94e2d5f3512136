//! What came of the suites: a line while they run, a table at the end, and `RESULTS.md`.

use std::fmt::Write as _;
use std::time::Duration;

use super::door::Setting;
use super::said::Said;

/// One run of a suite.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub said: Said,
    pub took: Duration,
}

/// All runs of a suite.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub client: String,
    /// Why it could not be had on this machine.
    pub skipped: Option<String>,
    /// Why it could not be set up, though it should.
    pub broken: Option<String>,
    pub runs: Vec<(Setting, Run)>,
}

impl Run {
    /// `12 passed, 1 failed, 2 skipped, 3.4 s`
    pub fn line(&self) -> String {
        let mut line = format!("{} passed", self.said.passed.len());
        for (count, word) in [
            (self.said.failed.len(), "FAILED"),
            (self.said.skipped.len(), "skipped"),
        ] {
            if count > 0 {
                let _ = write!(line, ", {count} {word}");
            }
        }
        let _ = write!(line, ", {:.1} s", self.took.as_secs_f32());
        line
    }

    /// `12/13`
    fn share(&self) -> String {
        let (passed, failed) = (self.said.passed.len(), self.said.failed.len());
        format!("{passed}/{}", passed + failed)
    }
}

impl Report {
    pub(crate) fn new(client: &str) -> Self {
        Self {
            client: client.to_owned(),
            ..Self::default()
        }
    }

    /// Whether nothing went wrong. A client that cannot be had is no failure, and is told.
    pub fn good(&self) -> bool {
        self.broken.is_none() && self.runs.iter().all(|(_, run)| run.said.failed.is_empty())
    }

    /// Every check that failed, with the run and the reason.
    pub fn failures(&self) -> Vec<String> {
        let client = &self.client;
        let set_up = self.broken.iter().map(|why| format!("{client}: {why}"));
        let checks = self.runs.iter().flat_map(|(setting, run)| {
            let one = move |(check, why): &(String, String)| {
                format!("{client}, {setting}: {check}: {why}")
            };
            run.said.failed.iter().map(one)
        });
        set_up.chain(checks).collect()
    }

    /// Every check that was left out, with the runs and the reason.
    fn omissions(&self) -> Vec<String> {
        let client = &self.client;
        let mut checks: Vec<(String, Vec<String>)> = Vec::new();
        for (setting, run) in &self.runs {
            for (check, why) in &run.said.skipped {
                let line = format!("{check}: {why}");
                match checks.iter_mut().find(|(it, _)| *it == line) {
                    Some((_, settings)) => settings.push(setting.to_string()),
                    None => checks.push((line, vec![setting.to_string()])),
                }
            }
        }
        let whole = self.skipped.iter().map(|why| format!("{client}: {why}"));
        let one = |(line, settings): &(String, Vec<String>)| {
            format!("{client} ({}): {line}", settings.join("; "))
        };
        whole.chain(checks.iter().map(one)).collect()
    }

    /// Its row without what people see: client, version, a share for each run.
    fn cells(&self, settings: &[Setting]) -> Vec<String> {
        let share = |setting| {
            let run = self.runs.iter().find(|(it, _)| it == setting);
            let why_not = match self.skipped {
                Some(_) => "skipped",
                None => "not set up",
            };
            run.map_or_else(|| why_not.to_owned(), |(_, run)| run.share())
        };
        let mut cells = vec![self.client.clone(), self.first(|said| &said.version)];
        cells.extend(settings.iter().map(share));
        cells
    }

    /// What the first run says that says it.
    fn first(&self, word: fn(&Said) -> &Option<String>) -> String {
        let mut found = self
            .runs
            .iter()
            .filter_map(|(_, run)| word(&run.said).as_ref());
        found.next().cloned().unwrap_or_default()
    }
}

/// All in one line.
pub fn total(reports: &[Report]) -> String {
    let runs = || reports.iter().flat_map(|report| &report.runs);
    let count =
        |checks: fn(&Said) -> usize| runs().map(|(_, run)| checks(&run.said)).sum::<usize>();
    let clients = reports.iter().filter(|report| !report.runs.is_empty());
    format!(
        "{} clients of {} in {} runs: {} checks passed, {} failed, {} left out",
        clients.count(),
        reports.len(),
        runs().count(),
        count(|said| said.passed.len()),
        count(|said| said.failed.len()),
        count(|said| said.skipped.len()),
    )
}

/// The table for a terminal, without what people see: that is long.
pub fn table(reports: &[Report], settings: &[Setting]) -> String {
    let mut rows = vec![headings(settings)];
    rows.extend(reports.iter().map(|report| report.cells(settings)));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The page `RESULTS.md`, below its own first lines.
pub fn page(reports: &[Report], settings: &[Setting]) -> String {
    let mut text = String::new();
    let mut row = |cells: Vec<String>, last: &str| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let last = last.replace('|', "\\|");
        let _ = writeln!(text, "| {} | {last} |", cells.join(" | "));
    };
    let headings = headings(settings);
    let rule = vec!["---".to_owned(); headings.len()];
    row(headings, "while it is held, a person sees");
    row(rule, "---");
    for report in reports {
        row(report.cells(settings), &report.first(|said| &said.sees));
    }
    let _ = write!(text, "\n{}.\n", total(reports));
    for (heading, lines) in [
        ("Failed", list(reports, Report::failures)),
        ("Left out", list(reports, Report::omissions)),
    ] {
        if !lines.is_empty() {
            let _ = write!(text, "\n## {heading}\n\n{lines}");
        }
    }
    text
}

fn headings(settings: &[Setting]) -> Vec<String> {
    let mut headings = vec!["client".to_owned(), "version".to_owned()];
    headings.extend(settings.iter().map(Setting::to_string));
    headings
}

fn list(reports: &[Report], lines: fn(&Report) -> Vec<String>) -> String {
    let lines = reports.iter().flat_map(lines);
    lines
        .map(|line| format!("- {line}\n"))
        .collect::<Vec<_>>()
        .concat()
}
