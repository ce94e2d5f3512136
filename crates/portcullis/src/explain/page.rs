//! An explanation as people read it on a terminal. It never cuts a statement's meaning away: only its text
//! is shortened, and characters that a terminal would obey are shown.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::cli::visible;
use crate::explain::judge::{Answer, Each};

const BOLD: Style = Style::new().bold();
const LABEL: Style = Style::new().dimmed();
/// Columns of a statement's own text.
const TEXT_COLUMNS: usize = 72;

/// What the policy says of each statement, and of all of them.
pub(crate) fn page(answer: &Answer, observes: bool) -> String {
    let mut page = String::new();
    let count = answer.each.len();
    for (number, each) in answer.each.iter().enumerate() {
        if number > 0 {
            page.push('\n');
        }
        heading(&mut page, each, (number + 1, count));
        about(&mut page, each);
    }
    if answer.each.is_empty() {
        let _ = writeln!(page, "{}  it has no statement", verdict(answer.verdict));
    } else if count > 1 {
        let _ = writeln!(page, "\n{}  all of it", verdict(answer.verdict));
    }
    if let Some(why) = &answer.together {
        let held = verdict("hold");
        let _ = writeln!(page, "{held}  as one query string: {}", visible::plain(why));
    }
    if observes {
        page.push_str("\nThe policy only observes: what it holds is written down and passes.\n");
    }
    page
}

fn heading(page: &mut String, each: &Each, (number, count): (usize, usize)) {
    let which = if count > 1 {
        format!("statement {number} of {count}: ")
    } else {
        String::new()
    };
    let text = visible::cut(&visible::one_line(&each.text), TEXT_COLUMNS);
    let _ = writeln!(
        page,
        "{}  {which}{BOLD}{text}{BOLD:#}",
        verdict(each.verdict)
    );
}

fn about(page: &mut String, each: &Each) {
    let calls = each.functions.iter().map(|it| format!("{it}()"));
    let needs = each
        .needs
        .iter()
        .map(|(count, of)| format!("{count} of {of}"));
    let alone = if each.in_transaction {
        ""
    } else {
        "  (cannot sit in a transaction)"
    };
    let rows = [
        ("class", format!("{}{alone}", each.class)),
        ("reads", each.relations_read.join(", ")),
        ("writes", each.relations_written.join(", ")),
        ("calls", calls.collect::<Vec<_>>().join(", ")),
        ("rule", each.rule.clone()),
        ("why", each.why.clone()),
        ("needs", needs.collect::<Vec<_>>().join(", ")),
        ("says", each.message.clone().unwrap_or_default()),
    ];
    for (label, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let value = visible::plain(value);
        let _ = writeln!(page, "       {LABEL}{label:<7}{LABEL:#}{value}");
    }
}

/// The word, as wide as the longest.
fn verdict(word: &str) -> String {
    let color = match word {
        "allow" => AnsiColor::Green,
        "hold" => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    let style = color.on_default().bold();
    format!("{style}{word:<5}{style:#}")
}
