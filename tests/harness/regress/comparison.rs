//! Two runs of the suite side by side, test by test and byte by byte.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Mode, Reasons, Run};

/// What a run through the gate has in common with the straight one.
#[derive(Debug)]
pub struct Comparison {
    mode: Mode,
    identical: usize,
    differing: Vec<Difference>,
    /// Tests that have a reason to differ, and do not.
    stale: Vec<String>,
    /// Where the differences are.
    diffs: PathBuf,
}

/// A test that printed something else through the gate.
#[derive(Debug)]
struct Difference {
    test: String,
    /// Why, or what there is no reason for.
    reason: Result<String, String>,
}

impl Comparison {
    /// Compares with two straight runs, and writes a diff for each test that differs from both.
    /// Where the straight runs differ from one another, that is the reason.
    pub fn make(
        mode: Mode,
        direct: [&Run; 2],
        gated: &Run,
        reasons: &Reasons,
    ) -> Result<Self, String> {
        let diffs = super::directory().join("diffs").join(mode.name());
        super::emptied(&diffs)?;
        let [first, second] = direct.map(|run| &run.outputs);
        let names: BTreeSet<&String> = first.keys().chain(gated.outputs.keys()).collect();
        let (same, other): (Vec<_>, Vec<_>) = names.into_iter().partition(|test| {
            let output = gated.outputs.get(*test);
            output == first.get(*test) || output == second.get(*test)
        });
        let mut differing = Vec::new();
        for test in other {
            let lines = write_diff(mode, direct[0], gated, test)?;
            let reason = if first.get(test) == second.get(test) {
                reason(reasons, mode, test, lines)
            } else {
                Ok("two straight runs differ, too".to_owned())
            };
            let test = test.clone();
            differing.push(Difference { test, reason });
        }
        let stale = reasons
            .tests(mode)
            .filter(|reason| same.iter().any(|test| test == reason))
            .map(str::to_owned)
            .collect();
        Ok(Self {
            mode,
            identical: same.len(),
            differing,
            stale,
            diffs,
        })
    }

    /// How many failures that makes: outside of session mode any difference may be by design.
    pub fn unexcused(&self) -> usize {
        match self.mode {
            Mode::Session => self.without_reason(),
            Mode::Transaction => 0,
        }
    }

    /// How many tests differ and nobody knows why.
    fn without_reason(&self) -> usize {
        let unknown = |it: &&Difference| it.reason.is_err();
        self.differing.iter().filter(unknown).count()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Difference { test, reason } in &self.differing {
            match reason {
                Ok(why) => writeln!(f, "  {test:<20} {why}")?,
                Err(what) => writeln!(f, "  {test:<20} WITHOUT REASON: {what}")?,
            }
        }
        for test in &self.stale {
            writeln!(f, "  {test:<20} STALE: identical, and yet in reasons.toml")?;
        }
        if !self.differing.is_empty() {
            writeln!(f, "  each difference is in {}", self.diffs.display())?;
        }
        write!(
            f,
            "{} mode: identical {}, differing {}, without reason {}",
            self.mode,
            self.identical,
            self.differing.len(),
            self.without_reason()
        )
    }
}

fn reason(reasons: &Reasons, mode: Mode, test: &str, lines: usize) -> Result<String, String> {
    match reasons.of(mode, test) {
        Some(known) if known.lines.is_none_or(|explained| explained == lines) => {
            Ok(known.why.clone())
        }
        Some(known) => Err(format!(
            "{lines} lines of its diff, and reasons.toml explains {}",
            known.lines.unwrap_or_default()
        )),
        None => Err(format!("{lines} lines of its diff")),
    }
}

/// Writes what `diff` says of the two outputs that the runs left; how many lines are not in both.
fn write_diff(mode: Mode, direct: &Run, gated: &Run, test: &str) -> Result<usize, String> {
    let output = Command::new("diff")
        .args(["-a", "-N", "-U", "5"])
        .args([direct.output(test), gated.output(test)])
        .output()
        .map_err(|error| format!("could not run diff: {error}"))?;
    let path = super::directory().join(format!("diffs/{mode}/{test}.diff"));
    fs::write(&path, &output.stdout)
        .map_err(|error| format!("could not write {}: {error}", path.display()))?;
    let changed = |line: &&[u8]| matches!(line.first(), Some(b'+' | b'-'));
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(changed);
    // Two of them name the files.
    Ok(lines.count().saturating_sub(2))
}

#[cfg(test)]
mod tests {
    use super::{Mode, Reasons, reason};

    #[test]
    fn a_reason_explains_so_many_lines_and_no_more() {
        let text = "[session]\na = { lines = 3, why = 'x' }\nb = { why = 'y' }\n";
        let reasons = Reasons::parse(text).unwrap();
        let of = |test, lines| reason(&reasons, Mode::Session, test, lines);
        assert_eq!(of("a", 3), Ok("x".to_owned()));
        assert!(of("a", 4).unwrap_err().contains("explains 3"));
        assert_eq!(of("b", 4), Ok("y".to_owned()));
        assert!(of("c", 1).is_err());
    }
}
