//! Two runs side by side: every ratio that both have, the largest difference first. What a peer costs
//! over pgbouncer decides whether they agree. What it lets through over a direct connection is told
//! and decides nothing, since it says who else was running; absolute figures are never compared.

use std::fmt::Write as _;
use std::path::Path;

use crate::Trouble;
use crate::peers::Kind;
use crate::record::{Figure, Line, figures, read};

/// What two runs of the same gate on the same machine may differ by.
const DIFFERENCE_MAX: f64 = 0.15;

/// Ratios of each kind that are shown one by one.
const SHOWN: usize = 8;

/// How two runs differ.
pub(crate) struct Comparison {
    pub(crate) text: String,
    pub(crate) agree: bool,
}

/// Compares two files.
pub(crate) fn compare(one: &Path, other: &Path) -> Result<Comparison, Trouble> {
    of_lines(&read(one)?, &read(other)?)
}

struct Difference<'a> {
    figure: &'a Figure,
    ratios: (f64, f64),
    by: f64,
}

fn of_lines(one: &[Line], other: &[Line]) -> Result<Comparison, Trouble> {
    let cost = differences(one, other, Kind::Pgbouncer);
    let speed = differences(one, other, Kind::Direct);
    let mut text = String::new();
    table(&mut text, "what it costs, over pgbouncer's", &cost)?;
    table(&mut text, "what it lets through, over direct", &speed)?;
    let largest = cost
        .first()
        .ok_or("the two runs have no cost in common")?
        .by;
    let agree = largest <= DIFFERENCE_MAX;
    writeln!(
        text,
        "the largest difference of {} ratios of cost is {:.1} %: the runs {} (within {:.0} %)",
        cost.len(),
        largest * 100.0,
        if agree { "agree" } else { "do NOT agree" },
        DIFFERENCE_MAX * 100.0
    )?;
    Ok(Comparison { text, agree })
}

/// The ratios to one kind of peer that both runs have, the largest difference first.
fn differences<'a>(one: &'a [Line], other: &[Line], over: Kind) -> Vec<Difference<'a>> {
    let ratios = figures(one).filter(|it| it.compared.as_deref() == Some(over.name()));
    let mut found: Vec<Difference<'_>> = ratios
        .filter_map(|figure| {
            let same = |it: &&Figure| {
                (&it.case, &it.peer, &it.metric) == (&figure.case, &figure.peer, &figure.metric)
            };
            let twin = figures(other).find(same)?;
            let ratios = (figure.ratio()?.median, twin.ratio()?.median);
            let by = ratios.0.max(ratios.1) / ratios.0.min(ratios.1) - 1.0;
            Some(Difference { figure, ratios, by })
        })
        .collect();
    found.sort_by(|one, other| other.by.total_cmp(&one.by));
    found
}

fn table(text: &mut String, title: &str, differences: &[Difference<'_>]) -> Result<(), Trouble> {
    writeln!(
        text,
        "{title:<55}{:>8}{:>8}{:>12}",
        "one", "other", "difference"
    )?;
    for Difference { figure, ratios, by } in differences.iter().take(SHOWN) {
        writeln!(
            text,
            "  {:<22}{:<12}{:<19}{:>8.2}{:>8.2}{:>11.1}%",
            figure.case,
            figure.peer,
            figure.metric,
            ratios.0,
            ratios.1,
            by * 100.0
        )?;
    }
    text.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Spread;

    fn run(ratio: f64) -> Vec<Line> {
        let spread = Spread::of(vec![ratio]);
        vec![Line::Figure(Figure {
            case: "select-simple-8".to_owned(),
            peer: "portcullis".to_owned(),
            metric: "CPU µs each".to_owned(),
            rounds: vec![12.0],
            spread,
            to_direct: None,
            to_pgbouncer: Some(spread),
            compared: Some("pgbouncer".to_owned()),
            foreign_cores: 0.0,
        })]
    }

    #[test]
    fn runs_agree_within_fifteen_per_cent() {
        assert!(of_lines(&run(1.0), &run(1.14)).unwrap().agree);
        assert!(of_lines(&run(1.14), &run(1.0)).unwrap().agree);
        assert!(!of_lines(&run(1.0), &run(1.16)).unwrap().agree);
        assert!(of_lines(&run(1.0), &[]).is_err());
    }
}
