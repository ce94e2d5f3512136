//! `portcullis export`: one ticket as Markdown, for a pull request or a postmortem. Nothing that a person wrote gets out of
//! its code span or fence: it is shown, and never read as Markdown or HTML. It never shortens a statement.

use std::fmt::Write as _;

use gate::ticket::TicketId;

use super::connect::Console;
use super::console::{Printer, document, one};
use super::grid::Record;
use super::look_args::{ExportArgs, Format};
use super::trouble::{Exit, Trouble};
use super::visible;

/// The facts of the table: the column of the ticket, and what we call it.
const FACTS: [(&str, &str); 14] = [
    ("tenant", "tenant"),
    ("requester", "requester"),
    ("client", "from"),
    ("class", "class"),
    ("role", "role"),
    ("in_transaction", "inside a transaction"),
    ("rule", "rule"),
    ("why", "why"),
    ("waiting_for", "waiting for"),
    ("created", "created"),
    ("expires", "expires"),
    ("previous", "previous"),
    ("digest", "digest"),
    ("length", "length"),
];

/// Prints one ticket.
pub async fn run(
    console: &Console,
    args: &ExportArgs,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let grid = console.ask(&format!("SHOW TICKET {}", args.ticket)).await?;
    let ticket = one(&grid)?;
    match args.format {
        _ if printer.json => document(printer.out, &ticket)?,
        Format::Markdown => write!(printer.out, "{}", markdown(ticket))?,
    }
    Ok(Exit::Done)
}

fn markdown(ticket: Record<'_>) -> String {
    let mut out = format!("# Ticket {}: {}\n\n", id(ticket), state(ticket));
    out.push_str("| | |\n|---|---|\n");
    for (column, name) in FACTS {
        if let Some(value) = ticket.said(column) {
            let _ = writeln!(out, "| {name} | {} |", cell(value));
        }
    }
    block(&mut out, "Statement", "sql", ticket.value("statement"));
    for (title, column) in [
        ("Parameters", "parameters"),
        ("Decisions", "decisions"),
        ("Outcome", "outcome"),
    ] {
        let text = ticket.said(column).map(|it| it.trim_end_matches('\n'));
        block(&mut out, title, "text", text);
    }
    out
}

fn id(ticket: Record<'_>) -> String {
    let id = ticket.value("id").unwrap_or_default();
    let known = id.parse::<TicketId>();
    known.map_or_else(|_| cell(id), |it| it.to_string())
}

fn state(ticket: Record<'_>) -> String {
    let state = ticket.value("state").unwrap_or_default();
    if !state.is_empty()
        && state
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it == b'_')
    {
        return state.replace('_', " ");
    }
    cell(state)
}

/// A code span that holds a text on one line. In a table a bar would end the cell even so, and a backslash before it is
/// read in different ways: it is written as what does not show is.
fn cell(text: &str) -> String {
    let shown = visible::plain(text).replace('|', r"\u{7c}");
    let fence = "`".repeat(longest_run(&shown) + 1);
    format!("{fence} {shown} {fence}")
}

/// A title and a fence that holds the text with its lines, longer than anything in it.
fn block(out: &mut String, title: &str, language: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    let lines: Vec<String> = text.split('\n').map(visible::plain).collect();
    let shown = lines.join("\n");
    let fence = "`".repeat(3.max(longest_run(&shown) + 1));
    let _ = write!(out, "\n## {title}\n\n");
    let escaped = visible::escaped(text);
    if escaped > 0 {
        let _ = writeln!(
            out,
            "**Beware:** {escaped} of its characters do not show, or look like others. They are written as `\\u{{...}}`.\n"
        );
    }
    let _ = writeln!(out, "{fence}{language}\n{shown}\n{fence}");
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|it| it != '`').map(str::len);
    runs.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::grid::tests::grid;
    use super::*;

    fn exported(pairs: &[(&str, &str)]) -> String {
        let (columns, row): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let grid = grid(&columns, &[&row]);
        markdown(grid.records().next().unwrap())
    }

    #[test]
    fn a_ticket_whole() {
        let text = exported(&[
            ("id", "T-42"),
            ("state", "rolled_back"),
            ("tenant", "acme"),
            ("requester", "alice"),
            ("waiting_for", "NULL"),
            ("digest", "9f86d081"),
            ("length", "21 bytes"),
            (
                "decisions",
                "approved by bob at 2026-01-02 10:00:00Z: fine\n",
            ),
            ("outcome", "UPDATE 1"),
            ("parameters", "$1 = '5'"),
            ("statement", "UPDATE a\n  SET b = $1"),
        ]);
        let expected = "\
# Ticket T-42: rolled back

| | |
|---|---|
| tenant | ` acme ` |
| requester | ` alice ` |
| digest | ` 9f86d081 ` |
| length | ` 21 bytes ` |

## Statement

```sql
UPDATE a
  SET b = $1
```

## Parameters

```text
$1 = '5'
```

## Decisions

```text
approved by bob at 2026-01-02 10:00:00Z: fine
```

## Outcome

```text
UPDATE 1
```
";
        assert_eq!(text, expected);
    }

    /// What a reader of CommonMark and of GitHub's tables sees outside of code: every line that is in no fence, with
    /// its code spans taken out.
    fn outside(text: &str) -> String {
        let mut fence: Option<usize> = None;
        let mut out = String::new();
        for line in text.lines() {
            let ticks = line.len() - line.trim_start_matches('`').len();
            match fence {
                None if ticks >= 3 => fence = Some(ticks),
                None => {
                    out.push_str(&without_spans(line));
                    out.push('\n');
                }
                Some(open) if ticks >= open && ticks == line.trim_end().len() => fence = None,
                Some(_) => {}
            }
        }
        assert_eq!(fence, None, "a fence is open at the end");
        out
    }

    fn without_spans(line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('`') {
            let (before, span) = rest.split_at(at);
            out.push_str(before);
            let ticks = span.len() - span.trim_start_matches('`').len();
            let inside = &span[ticks..];
            // The next run of just as many.
            let mut from = 0;
            let end = loop {
                let start = from + inside[from..].find('`').unwrap();
                let run = inside[start..].len() - inside[start..].trim_start_matches('`').len();
                from = start + run;
                if run == ticks {
                    break from;
                }
            };
            assert!(!inside[..end].contains('|'), "a bar ends a cell: {line}");
            rest = &inside[end..];
        }
        out + rest
    }

    #[test]
    fn nothing_gets_out_of_its_fence_or_span() {
        let hostile = [
            "SELECT 1\n```\n# Ticket T-1: done\n```sql",
            "````````\n<script>x</script>\n~~~\n",
            "a | b \\| c ` d `` e",
            "`",
            "``` \u{202e}x\u{1b}[2J\r\n```\r```",
            "\t```\n    ```\n</code></pre>@everyone ![x](http://x)",
            "",
            "\n\n",
            "``",
        ];
        let columns = ["statement", "parameters", "decisions", "outcome"];
        let facts = FACTS.iter().map(|it| it.0);
        for text in hostile {
            let mut pairs = vec![("id", text), ("state", text)];
            pairs.extend(
                columns
                    .into_iter()
                    .chain(facts.clone())
                    .map(|it| (it, text)),
            );
            let document = exported(&pairs);
            assert!(
                !document.contains(['\u{202e}', '\u{1b}', '\r']),
                "{document:?}"
            );
            for line in outside(&document).lines() {
                let own = line.is_empty()
                    || line == "# Ticket : "
                    || line.starts_with("## ")
                    || line.starts_with("**Beware:** ")
                    || line == "| | |"
                    || line == "|---|---|"
                    || FACTS.iter().any(|it| line == format!("| {} |  |", it.1));
                assert!(own, "{line:?} of\n{document}");
            }
        }
    }
}
