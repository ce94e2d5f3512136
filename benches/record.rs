//! What a run leaves behind: a line of JSON for the run, and one for each figure and each peer that
//! has none. Tables, plot and comparison are made from these lines and from nothing else.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Trouble;
use crate::measure::{Outcome, Series, Spread};
use crate::peers::Kind;

/// One line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    Run(Run),
    Figure(Figure),
    Missing(Missing),
}

/// Where, when and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) command: String,
    /// What was measured against what.
    pub(crate) versions: String,
    pub(crate) rounds: usize,
}

/// One figure of one peer in one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) case: String,
    pub(crate) peer: String,
    pub(crate) metric: String,
    pub(crate) rounds: Vec<f64>,
    pub(crate) spread: Spread,
    pub(crate) to_direct: Option<Spread>,
    pub(crate) to_pgbouncer: Option<Spread>,
    /// Which of the two is set against that of another run.
    pub(crate) compared: Option<String>,
    /// Cores that others had in the case, on average.
    pub(crate) foreign_cores: f64,
}

/// Somebody without figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) case: String,
    pub(crate) peer: String,
    pub(crate) why: String,
}

/// The lines of a case.
pub(crate) fn lines(case: &str, outcome: &Outcome) -> Vec<Line> {
    let count = outcome.foreign_cores.len().max(1);
    let foreign = outcome.foreign_cores.iter().sum::<f64>() / crate::measure::real(count);
    let figures = outcome.series.iter().map(|series| {
        Line::Figure(Figure {
            case: case.to_owned(),
            peer: series.kind.name().to_owned(),
            metric: series.metric.name.to_owned(),
            rounds: series.rounds.clone(),
            spread: series.spread(),
            to_direct: over(series, outcome, Kind::Direct),
            to_pgbouncer: over(series, outcome, Kind::Pgbouncer),
            compared: series.metric.against.map(|kind| kind.name().to_owned()),
            foreign_cores: foreign,
        })
    });
    let missing = outcome.missing.iter().map(|(kind, why)| {
        Line::Missing(Missing {
            case: case.to_owned(),
            peer: kind.name().to_owned(),
            why: why.clone(),
        })
    });
    figures.chain(missing).collect()
}

fn over(series: &Series, outcome: &Outcome, kind: Kind) -> Option<Spread> {
    if series.kind == kind {
        return None;
    }
    let spread = series.over(outcome.of(kind, series.metric.name)?);
    // A peer that used nothing that could be counted is no yardstick.
    (spread.least.is_finite() && spread.most.is_finite()).then_some(spread)
}

pub(crate) fn write(file: &Path, lines: &[Line]) -> Result<(), Trouble> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(fs::write(file, text)?)
}

pub(crate) fn read(file: &Path) -> Result<Vec<Line>, Trouble> {
    let text = fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

pub(crate) fn figures(lines: &[Line]) -> impl Iterator<Item = &Figure> {
    lines.iter().filter_map(|line| match line {
        Line::Figure(figure) => Some(figure),
        Line::Run(_) | Line::Missing(_) => None,
    })
}

impl Figure {
    /// The ratio that another run should have, too.
    pub(crate) fn ratio(&self) -> Option<Spread> {
        if self.compared.as_deref() == Some(Kind::Direct.name()) {
            return self.to_direct;
        }
        self.compared.as_ref().and(self.to_pgbouncer)
    }
}
