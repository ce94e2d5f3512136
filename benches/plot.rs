//! Draws a run as SVG: what each pooler costs over pgbouncer, a bar a case on a scale of powers of
//! two. It draws only ratios, and leaves out what has none.

use std::fmt::Write as _;

use crate::Trouble;
use crate::measure::{Spread, real};
use crate::peers::Kind;
use crate::record::{Figure, Line, figures};

const WIDTH: f64 = 860.0;
/// Where the scale begins and ends.
const LEFT: f64 = 290.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 62.0;
const ROW: f64 = 22.0;
/// The scale, as powers of two.
const LEAST: f64 = -3.0;
const MOST: f64 = 4.0;

const INK: &str = "#24292f";
const GATE: &str = "#2f6f9f";
const OTHER: &str = "#b0803a";

/// The picture of a run; `None` if it has no ratio to pgbouncer.
pub(crate) fn svg(lines: &[Line]) -> Result<Option<String>, Trouble> {
    let rows: Vec<(&Figure, Spread)> = figures(lines)
        .filter(|figure| figure.compared.as_deref() == Some(Kind::Pgbouncer.name()))
        .filter_map(|figure| Some((figure, figure.to_pgbouncer?)))
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let bottom = TOP + ROW * real(rows.len());
    let height = bottom + 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut svg,
        16.0,
        24.0,
        "start",
        "CPU and memory over pgbouncer's (1 = the same, less is better)",
    )?;
    text(
        &mut svg,
        16.0,
        42.0,
        "start",
        "bar: median of the ratios within each round; line: least to most",
    )?;
    scale(&mut svg, bottom)?;
    for (place, (figure, spread)) in rows.iter().enumerate() {
        bar(&mut svg, TOP + ROW * real(place), figure, *spread)?;
    }
    svg.push_str("</svg>\n");
    Ok(Some(svg))
}

fn scale(svg: &mut String, bottom: f64) -> Result<(), Trouble> {
    for power in -3_i32..=4 {
        let ratio = 2_f64.powi(power);
        let x = place(ratio);
        let (ink, width) = if power == 0 {
            (INK, 1.5)
        } else {
            ("#d0d7de", 1.0)
        };
        writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"{ink}\" stroke-width=\"{width}\"/>"
        )?;
        text(svg, x, bottom + 18.0, "middle", &format!("{ratio}"))?;
    }
    Ok(())
}

fn bar(svg: &mut String, y: f64, figure: &Figure, spread: Spread) -> Result<(), Trouble> {
    let middle = y + ROW / 2.0;
    let (one, value) = (place(1.0), place(spread.median));
    let (x, width) = (one.min(value), (one - value).abs().max(1.0));
    let ink = if figure.peer == Kind::Gate.name() {
        GATE
    } else {
        OTHER
    };
    let what = format!("{}, {}", figure.case, figure.metric);
    let who = if figure.peer == Kind::Gate.name() {
        what
    } else {
        format!("{what} ({})", figure.peer)
    };
    text(svg, LEFT - 10.0, middle + 4.0, "end", &who)?;
    writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{ink}\"/>",
        y + 4.0,
        ROW - 8.0
    )?;
    let (least, most) = (place(spread.least), place(spread.most));
    writeln!(
        svg,
        "<line x1=\"{least:.1}\" x2=\"{most:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"{INK}\" stroke-width=\"2\"/>"
    )?;
    text(
        svg,
        RIGHT + 8.0,
        middle + 4.0,
        "start",
        &format!("{:.2}", spread.median),
    )
}

/// Where a ratio lies; what is beyond the scale lies at its end.
fn place(ratio: f64) -> f64 {
    let power = ratio.log2().clamp(LEAST, MOST);
    LEFT + (RIGHT - LEFT) * (power - LEAST) / (MOST - LEAST)
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) -> Result<(), Trouble> {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_where_it_ends() {
        assert!((place(1e9) - RIGHT).abs() < 1e-9);
        assert!((place(0.0) - LEFT).abs() < 1e-9);
        assert!(place(1.0) < place(2.0));
        assert!(svg(&[]).unwrap().is_none());
    }
}
