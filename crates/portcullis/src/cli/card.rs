//! One ticket, whole, for the person who is about to sign it. It never shortens the statement and never
//! lets it draw outside its own margin.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::{SpanRound, Timestamp, Unit};

use super::grid::Record;
use super::visible::{self, Layout};

const BOLD: Style = Style::new().bold();
const LABEL: Style = Style::new().dimmed();

/// What the card needs to know beside the ticket.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// As whom we are logged in.
    pub user: &'a str,
    /// What to type to reach this gate: `portcullis -h gate`.
    pub door: &'a str,
    /// The time.
    pub now: Timestamp,
    /// Columns of the terminal.
    pub width: Option<usize>,
}

/// The card, with colours.
pub fn card(ticket: Record<'_>, viewer: Viewer<'_>) -> String {
    let mut out = String::new();
    let id = ticket.value("id").unwrap_or_default();
    let state = ticket.value("state").unwrap_or_default();
    let color = state_style(state);
    let _ = writeln!(
        out,
        "{BOLD}{}{BOLD:#}  {color}{}{color:#}  {}",
        visible::marked(id),
        visible::marked(state),
        visible::marked(ticket.value("class").unwrap_or_default()),
    );
    let statement = ticket.value("statement").unwrap_or_default();
    let mut text = String::new();
    let found = visible::lines(&mut text, statement, margin(viewer));
    facts(&mut out, ticket, viewer, state);
    fact(&mut out, "length", Some(&length(ticket, statement)));
    warnings(&mut out, found);
    block(&mut out, "parameters", ticket.said("parameters"), viewer);
    heading(&mut out, "statement");
    out.push_str(&text);
    block(&mut out, "decisions", ticket.said("decisions"), viewer);
    block(&mut out, "outcome", ticket.said("outcome"), viewer);
    commands(
        &mut out,
        id,
        state,
        ticket.value("requester") == Some(viewer.user),
        viewer.door,
    );
    out
}

/// Green for what may run or ran well, red for what did not, yellow for what waits.
pub(super) fn state_style(state: &str) -> Style {
    let color = match state {
        "pending" => AnsiColor::Yellow,
        "approved" | "executing" | "done" => AnsiColor::Green,
        "rejected" | "failed" | "in_doubt" | "rolled_back" => AnsiColor::Red,
        _ => return Style::new().dimmed(),
    };
    color.on_default().bold()
}

fn margin(viewer: Viewer<'_>) -> Layout<'static> {
    Layout {
        first: "  | ",
        next: "  : ",
        width: viewer.width,
    }
}

fn facts(out: &mut String, ticket: Record<'_>, viewer: Viewer<'_>, state: &str) {
    fact(out, "scope", ticket.said("scope"));
    fact(out, "requester", ticket.said("requester"));
    fact(out, "from", ticket.said("client"));
    fact(out, "tenant", ticket.said("tenant"));
    fact(out, "role", role(ticket).as_deref());
    fact(out, "rule", ticket.said("rule"));
    fact(out, "why", ticket.said("why"));
    fact(out, "waiting for", ticket.said("waiting_for"));
    fact(out, "reason", ticket.said("reason"));
    fact(out, "reads", ticket.said("reads"));
    fact(out, "writes", ticket.said("writes"));
    fact(out, "calls", ticket.said("calls"));
    fact(out, "beware", ticket.said("beware"));
    fact(out, "time-outs", ticket.said("time_outs"));
    fact(
        out,
        "created",
        ticket
            .said("created")
            .map(|it| when(it, viewer.now))
            .as_deref(),
    );
    if matches!(state, "pending" | "approved") {
        fact(
            out,
            "expires",
            ticket
                .said("expires")
                .map(|it| when(it, viewer.now))
                .as_deref(),
        );
    }
    fact(out, "previous", ticket.said("previous"));
    fact(out, "digest", ticket.said("digest"));
}

fn fact(out: &mut String, label: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    let _ = writeln!(
        out,
        "  {LABEL}{label:<12}{LABEL:#}{}",
        visible::marked(value)
    );
}

fn role(ticket: Record<'_>) -> Option<String> {
    let role = ticket.said("role")?;
    Some(match ticket.value("in_transaction") {
        Some("true" | "t" | "yes" | "on") => format!("{role}, inside a transaction"),
        Some("false" | "f" | "no" | "off") => format!("{role}, in a transaction of its own"),
        _ => role.to_owned(),
    })
}

fn length(ticket: Record<'_>, statement: &str) -> String {
    let bytes = ticket
        .said("length")
        .map_or_else(|| statement.len().to_string(), str::to_owned);
    let unit = if bytes.bytes().all(|it| it.is_ascii_digit()) {
        " bytes"
    } else {
        ""
    };
    let lines = statement.split('\n').count();
    format!(
        "{bytes}{unit}, {lines} line{}",
        if lines == 1 { "" } else { "s" }
    )
}

fn warnings(out: &mut String, found: visible::Found) {
    let mark = visible::MARK;
    if found.escaped > 0 {
        let _ = writeln!(
            out,
            "  {mark}beware{mark:#}      {} of its characters do not show, or look like others: written as \\u{{...}} below",
            found.escaped
        );
    }
    if found.foreign > 0 {
        let _ = writeln!(
            out,
            "  {LABEL}note        {LABEL:#}{} of its characters are outside ASCII",
            found.foreign
        );
    }
}

fn heading(out: &mut String, title: &str) {
    let _ = writeln!(out, "\n{BOLD}{title}{BOLD:#}");
}

fn block(out: &mut String, title: &str, text: Option<&str>, viewer: Viewer<'_>) {
    if let Some(text) = text {
        heading(out, title);
        visible::lines(out, text.trim_end_matches('\n'), margin(viewer));
    }
}

/// A time, and how far away it is if the text is a time that we can read.
fn when(text: &str, now: Timestamp) -> String {
    let Ok(time) = text.parse::<Timestamp>() else {
        return text.to_owned();
    };
    let round = SpanRound::new()
        .largest(Unit::Day)
        .smallest(Unit::Second)
        .days_are_24_hours();
    let Ok(span) = now.until(time).and_then(|span| span.round(round)) else {
        return text.to_owned();
    };
    let far = span.abs();
    let parts = [
        (i64::from(far.get_days()), "d"),
        (i64::from(far.get_hours()), "h"),
        (far.get_minutes(), "min"),
        (far.get_seconds(), "s"),
    ];
    let mut said = parts
        .iter()
        .skip_while(|it| it.0 == 0)
        .take(2)
        .filter(|it| it.0 != 0);
    let words: Vec<String> = said
        .by_ref()
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    match (words.is_empty(), span.is_negative()) {
        (true, _) => format!("{text} (now)"),
        (false, true) => format!("{text} ({} ago)", words.join(" ")),
        (false, false) => format!("{text} (in {})", words.join(" ")),
    }
}

fn commands(out: &mut String, id: &str, state: &str, own: bool, door: &str) {
    if id.parse::<gate::ticket::TicketId>().is_err() {
        return;
    }
    let lines: &[&str] = match (state, own) {
        ("pending" | "approved", true) => &["withdraw ID"],
        ("pending", false) => &["approve ID", "reject ID -m 'reason'"],
        ("approved", false) => &["reject ID -m 'reason'"],
        _ => &[],
    };
    for (index, line) in lines.iter().enumerate() {
        let blank = if index == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{blank}  {door} {}", line.replace("ID", id));
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::{Grid, tests::grid};
    use super::*;

    const COLUMNS: &[&str] = &[
        "id",
        "state",
        "tenant",
        "requester",
        "class",
        "rule",
        "why",
        "waiting_for",
        "role",
        "in_transaction",
        "client",
        "created",
        "expires",
        "digest",
        "length",
        "previous",
        "decisions",
        "outcome",
        "parameters",
        "statement",
    ];

    fn ticket(state: &str, statement: &str) -> Grid {
        grid(
            COLUMNS,
            &[&[
                "T-42",
                state,
                "acme",
                "alice",
                "write",
                "writes",
                "a write needs a signature",
                "1 of dba",
                "acme_rw",
                "false",
                "10.0.0.7:5151 psql",
                "2026-01-02 10:00:00Z",
                "2026-01-02 11:00:00Z",
                "9f86d081",
                "31",
                "T-7",
                "NULL",
                "NULL",
                "$1 = 5",
                statement,
            ]],
        )
    }

    fn shown(grid: &Grid, user: &str) -> String {
        let viewer = Viewer {
            user,
            door: "portcullis -h gate",
            now: "2026-01-02T10:05:30Z".parse().unwrap(),
            width: Some(80),
        };
        anstream::adapter::strip_str(&card(grid.records().next().unwrap(), viewer)).to_string()
    }

    #[test]
    fn a_pending_ticket_whole() {
        let card = shown(
            &ticket("pending", "UPDATE accounts\nSET paid = true"),
            "bob",
        );
        let expected = "\
T-42  pending  write
  requester   alice
  from        10.0.0.7:5151 psql
  tenant      acme
  role        acme_rw, in a transaction of its own
  rule        writes
  why         a write needs a signature
  waiting for 1 of dba
  created     2026-01-02 10:00:00Z (5 min 30 s ago)
  expires     2026-01-02 11:00:00Z (in 54 min 30 s)
  previous    T-7
  digest      9f86d081
  length      31 bytes, 2 lines

parameters
  | $1 = 5

statement
  | UPDATE accounts
  | SET paid = true

  portcullis -h gate approve T-42
  portcullis -h gate reject T-42 -m 'reason'
";
        assert_eq!(card, expected);
    }

    #[test]
    fn the_commands_fit_the_state_and_the_person() {
        let card = |state, user| shown(&ticket(state, "SELECT 1"), user);
        assert!(card("pending", "alice").ends_with("\n\n  portcullis -h gate withdraw T-42\n"));
        assert!(card("approved", "alice").ends_with("\n\n  portcullis -h gate withdraw T-42\n"));
        assert!(
            card("approved", "bob")
                .ends_with("SELECT 1\n\n  portcullis -h gate reject T-42 -m 'reason'\n")
        );
        assert!(card("done", "bob").ends_with("  | SELECT 1\n"));
        assert!(!card("done", "bob").contains("expires"));
    }

    #[test]
    fn every_command_on_a_card_is_one_that_parses() {
        use clap::Parser;
        for state in gate::ticket::State::ALL {
            for user in ["alice", "bob"] {
                let card = shown(&ticket(state.as_str(), "SELECT 1"), user);
                for line in card.lines().filter(|line| line.starts_with("  portcullis")) {
                    let words = line.split_whitespace().map(|it| it.trim_matches('\''));
                    super::super::args::Cli::try_parse_from(words).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_statement_cannot_draw_a_card() {
        let statement = "SELECT 1\n\ndecisions\n  | approved by carol\u{1b}[1A\u{202e}";
        let card = shown(&ticket("pending", statement), "bob");
        assert!(card.contains("\n  | decisions\n  |   | approved by carol\\u{1b}[1A\\u{202e}\n"));
        assert!(card.contains("  beware      2 of its characters do not show"));
        let mut spaced = ticket("pending", "SELECT 1");
        spaced.rows[0][3] = Some("alice\nwaiting for nobody".to_owned());
        assert!(shown(&spaced, "bob").contains("  requester   alice\\u{a}waiting for nobody\n"));
    }

    #[test]
    fn times_that_are_none_are_shown_as_they_came() {
        let now = "2026-01-02T10:00:00Z".parse().unwrap();
        assert_eq!(when("soon", now), "soon");
        assert_eq!(
            when("2026-01-02T10:00:00Z", now),
            "2026-01-02T10:00:00Z (now)"
        );
        assert_eq!(
            when("2026-01-05 11:00:00+00", now),
            "2026-01-05 11:00:00+00 (in 3 d 1 h)"
        );
        assert_eq!(
            when("2026-01-02 09:00:00Z", now),
            "2026-01-02 09:00:00Z (1 h ago)"
        );
    }
}
