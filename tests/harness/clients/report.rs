//! What came of the suites: a line while they run, a table at the end, and `RESULTS.md`.

use std::fmt::Write as _;
use std::time::Duration;

use super::door::Way;
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
    pub runs: Vec<(Way, Run)>,
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

    /// Every check that failed, with the way and the reason.
    pub fn failures(&self) -> Vec<String> {
        let client = &self.client;
        let set_up = self.broken.iter().map(|why| format!("{client}: {why}"));
        let checks = self.runs.iter().flat_map(|(way, run)| {
            let one =
                move |(check, why): &(String, String)| format!("{client}, {way}: {check}: {why}");
            run.said.failed.iter().map(one)
        });
        set_up.chain(checks).collect()
    }

    /// Every check that was left out, with the way and the reason, each once.
    fn omissions(&self) -> Vec<String> {
        let client = &self.client;
        let whole = self.skipped.iter().map(|why| format!("{client}: {why}"));
        let mut all: Vec<_> = whole.collect();
        for (_, run) in &self.runs {
            for (check, why) in &run.said.skipped {
                let line = format!("{client}: {check}: {why}");
                if !all.contains(&line) {
                    all.push(line);
                }
            }
        }
        all
    }

    /// Its row: client, version, a share for each way, what a person sees.
    fn cells(&self) -> [String; 6] {
        let first = |word: fn(&Said) -> Option<&String>| {
            let found = self.runs.iter().find_map(|(_, run)| word(&run.said));
            found.cloned().unwrap_or_default()
        };
        let share = |way| {
            let run = self.runs.iter().find(|(it, _)| *it == way);
            let why_not = if self.skipped.is_some() {
                "skipped"
            } else {
                "not set up"
            };
            run.map_or_else(|| why_not.to_owned(), |(_, run)| run.share())
        };
        let [straight, through, held] = Way::ALL.map(share);
        [
            self.client.clone(),
            first(|said| said.version.as_ref()),
            straight,
            through,
            held,
            first(|said| said.sees.as_ref()),
        ]
    }
}

const HEADINGS: [&str; 6] = [
    "client",
    "version",
    "straight",
    "through",
    "held",
    "while it is held, a person sees",
];

/// The table for a terminal, without what people see: that is long.
pub fn table(reports: &[Report]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 5]| {
        let [client, version, straight, through, held] = cells;
        let _ = writeln!(
            text,
            "{client:<16} {version:<14} {straight:<10} {through:<10} {held}"
        );
    };
    line(HEADINGS.first_chunk().copied().unwrap());
    for report in reports {
        let cells = report.cells();
        line(
            cells
                .each_ref()
                .map(String::as_str)
                .first_chunk()
                .copied()
                .unwrap(),
        );
    }
    text
}

/// The page `RESULTS.md`, below its own first lines.
pub fn page(reports: &[Report]) -> String {
    let mut text = String::new();
    let mut row = |cells: [&str; 6]| {
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    row(HEADINGS);
    row(["---"; 6]);
    for report in reports {
        row(report.cells().each_ref().map(String::as_str));
    }
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

fn list(reports: &[Report], lines: fn(&Report) -> Vec<String>) -> String {
    let lines = reports.iter().flat_map(lines);
    lines
        .map(|line| format!("- {line}\n"))
        .collect::<Vec<_>>()
        .concat()
}
