//! A run in words for people: a table on the terminal, and a section for RESULTS.md. It judges
//! nothing.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Trouble;
use crate::measure::Spread;
use crate::peers::Kind;
use crate::record::{Figure, Line, Run, figures};

/// What stands before and behind the section in RESULTS.md.
const FROM: &str = "<!-- `make bench` writes from here -->\n";
const TO: &str = "<!-- to here -->\n";

/// The figures of one case.
pub(crate) fn terminal(name: &str, about: &str, lines: &[Line]) -> Result<String, Trouble> {
    let mut text = format!("\n{name}: {about}\n");
    writeln!(
        text,
        "  {:<30}{:<12}{:>10}{:>21}{:>10}{:>13}",
        "", "", "median", "least .. most", "/ direct", "/ pgbouncer"
    )?;
    for figure in figures(lines) {
        let Spread {
            median,
            least,
            most,
        } = figure.spread;
        let spread = format!("{} .. {}", short(least), short(most));
        writeln!(
            text,
            "  {:<30}{:<12}{:>10}{spread:>21}{:>10}{:>13}",
            figure.metric,
            figure.peer,
            short(median),
            ratio(figure.to_direct),
            ratio(figure.to_pgbouncer),
        )?;
    }
    if let Some(figure) = figures(lines).next() {
        let cores = figure.foreign_cores;
        writeln!(
            text,
            "  meanwhile others had {cores:.2} cores of the machine"
        )?;
    }
    for line in lines {
        if let Line::Missing(missing) = line {
            writeln!(text, "  {} has no figures: {}", missing.peer, missing.why)?;
        }
    }
    Ok(text)
}

/// Puts a run in place of the last one in RESULTS.md.
pub(crate) fn publish(results: &Path, lines: &[Line]) -> Result<(), Trouble> {
    let text = fs::read_to_string(results)?;
    let parts = text.split_once(FROM).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(TO)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or("RESULTS.md has no place for a run")?;
    let section = markdown(lines)?;
    Ok(fs::write(
        results,
        format!("{before}{FROM}{section}{TO}{after}"),
    )?)
}

/// A run as a section of RESULTS.md.
pub(crate) fn markdown(lines: &[Line]) -> Result<String, Trouble> {
    let mut text = String::new();
    for line in lines {
        if let Line::Run(run) = line {
            heading(&mut text, run, foreign_cores(lines))?;
        }
    }
    let peers: Vec<&str> = Kind::ALL
        .map(Kind::name)
        .into_iter()
        .filter(|name| figures(lines).any(|it| it.peer == *name))
        .collect();
    writeln!(
        text,
        "| case | figure | {} | ÷ direct | ÷ pgbouncer |",
        peers.join(" | ")
    )?;
    writeln!(text, "|---|---|{}---|---|", "---|".repeat(peers.len()))?;
    let mut told: Vec<(&str, &str)> = Vec::new();
    for figure in figures(lines) {
        let row = (figure.case.as_str(), figure.metric.as_str());
        if told.contains(&row) {
            continue;
        }
        told.push(row);
        let of = |peer: &str| {
            figures(lines)
                .find(|it| (it.case.as_str(), it.metric.as_str()) == row && it.peer == peer)
        };
        write!(text, "| {} | {} |", row.0, row.1)?;
        for peer in &peers {
            let cell = of(peer).map_or_else(|| "–".to_owned(), |it| with_spread(it.spread));
            write!(text, " {cell} |")?;
        }
        let ours = of(Kind::Gate.name());
        let ratio_of = |pick: fn(&Figure) -> Option<Spread>| {
            let spread = ours.and_then(pick);
            spread.map_or_else(|| "–".to_owned(), with_spread)
        };
        writeln!(
            text,
            " {} | {} |",
            ratio_of(|it| it.to_direct),
            ratio_of(|it| it.to_pgbouncer)
        )?;
    }
    text.push('\n');
    for line in lines {
        if let Line::Missing(missing) = line {
            let (case, peer, why) = (&missing.case, &missing.peer, &missing.why);
            writeln!(text, "- {case}: {peer} has no figures: {why}")?;
        }
    }
    Ok(text)
}

/// Cores that others had, from the quietest case to the loudest.
fn foreign_cores(lines: &[Line]) -> Spread {
    Spread::of(figures(lines).map(|figure| figure.foreign_cores).collect())
}

fn heading(text: &mut String, run: &Run, others: Spread) -> Result<(), Trouble> {
    let Run {
        date,
        machine,
        command,
        versions,
        rounds,
    } = run;
    writeln!(text, "## {date}\n")?;
    writeln!(
        text,
        "`{command}` on {machine}; {versions}. Median (least–most) of {rounds} interleaved rounds; a\n\
         ratio is portcullis's, taken within each round. Others had {} cores of the machine meanwhile.\n",
        with_spread(others)
    )?;
    writeln!(text, "![CPU and memory over pgbouncer's](plot.svg)\n")?;
    Ok(())
}

fn with_spread(spread: Spread) -> String {
    let Spread {
        median,
        least,
        most,
    } = spread;
    format!("{} ({}–{})", short(median), short(least), short(most))
}

fn ratio(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |it| format!("{:.2}", it.median))
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        it if it >= 100.0 => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
