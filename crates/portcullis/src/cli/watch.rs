//! `portcullis watch`: what waits, then a line for each change, until somebody ends it. It never decides about a
//! ticket, and a gate that goes away does not end it.

use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use anstyle::Style;
use gate::ticket::TicketId;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::sleep;

use super::card::state_style;
use super::changes::{Change, Known};
use super::connect::Console;
use super::conninfo::Target;
use super::console::Printer;
use super::grid::{self, Grid, Record};
use super::trouble::{Exit, Trouble};
use super::visible;

/// An answer, or a connection, that takes longer does not come.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Between the first tries to come back; each wait is twice the one before.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// The longest of them.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// As much of a statement is made visible for one line.
const BEGINNING: usize = 1200;
/// Columns of a line where no terminal says how many there are.
const COLUMNS: usize = 300;
/// What is said of a ticket is not cut below this.
const NARROWEST: usize = 20;

const DIM: Style = Style::new().dimmed();
const NEW: Style = Style::new().bold();

/// Watches until it is ended, which is how it ends well.
pub async fn run(
    console: Console,
    target: &Target,
    every: Duration,
    bell: bool,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let mut target = target.clone();
    // What was typed once is not asked for each time that the gate comes back.
    target.password = console.asked().cloned().or(target.password);
    let mut watch = Watch {
        console,
        target,
        known: Known::default(),
        bell,
        printer,
    };
    let ended = tokio::select! {
        ended = watch.go_on(every) => ended.map(|never| match never {}),
        stopped = tokio::signal::ctrl_c() => stopped.map(|()| Exit::Done).map_err(Trouble::from),
    };
    within(GOODBYE, watch.console.close()).await;
    ended
}

/// The answer, if it comes in time.
async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        answer = answer => Some(answer),
        () = sleep(limit) => None,
    }
}

struct Watch<'a, 'p> {
    console: Console,
    target: Target,
    known: Known,
    bell: bool,
    printer: &'a mut Printer<'p>,
}

impl Watch<'_, '_> {
    async fn go_on(&mut self, every: Duration) -> Result<Infallible, Trouble> {
        self.begin().await?;
        loop {
            sleep(every).await;
            match self.look().await {
                Ok(()) => {}
                // It answered before, so that it is a console; that it cannot now may pass.
                Err(Trouble::Refused(refusal)) => self.come_back(&refusal.text()).await?,
                Err(Trouble::Unreachable(why)) => self.come_back(&why.join("; ")).await?,
                Err(other) => return Err(other),
            }
        }
    }

    /// What waits. The whole list is looked at first: what comes between the two is in the table, and what ends
    /// between them is the first change.
    async fn begin(&mut self) -> Result<(), Trouble> {
        self.known.take(&self.ask("SHOW TICKETS ALL").await?);
        let waiting = self.ask("SHOW TICKETS").await?;
        self.known.take(&waiting);
        let out = &mut self.printer.out;
        if self.printer.json {
            for ticket in waiting.records() {
                told(out, "waiting", ticket, None)?;
            }
        } else if waiting.rows.is_empty() {
            writeln!(out, "no ticket is waiting")?;
        } else {
            write!(out, "{}", waiting.table(self.printer.width))?;
        }
        Ok(out.flush()?)
    }

    async fn look(&mut self) -> Result<(), Trouble> {
        let list = self.ask("SHOW TICKETS ALL").await?;
        self.tell(&list).await?;
        for ticket in self.known.adrift(&list) {
            match self.ask(&format!("SHOW TICKET {ticket}")).await {
                Ok(alone) => self.tell(&alone).await?,
                Err(Trouble::Refused(_)) => self.known.forget(ticket),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Prints what changed. What was taken is told, also where the gate goes away before it says more of it.
    async fn tell(&mut self, list: &Grid) -> Result<(), Trouble> {
        let mut broken = None;
        for change in self.known.take(list) {
            let detail = match broken {
                None => self.detail(&change).await.unwrap_or_else(|trouble| {
                    broken = Some(trouble);
                    None
                }),
                Some(_) => None,
            };
            self.print(&change, detail.as_deref())?;
        }
        broken.map_or(Ok(()), Err)
    }

    fn print(&mut self, change: &Change<'_>, detail: Option<&str>) -> Result<(), Trouble> {
        let out = &mut self.printer.out;
        if self.printer.json {
            told(out, change.event, change.ticket, detail)?;
        } else {
            let width = self.printer.width.unwrap_or(COLUMNS);
            writeln!(out, "{}", line(change, detail, Timestamp::now(), width))?;
        }
        out.flush()?;
        if self.bell && !self.printer.json && change.asks(&self.printer.user) {
            // Beside `out`, which takes what is no text away where it takes colours away.
            let mut bell = std::io::stdout();
            bell.write_all(b"\x07").and_then(|()| bell.flush())?;
        }
        Ok(())
    }

    /// Who said it, or what came of it: a list does not have that.
    async fn detail(&self, change: &Change<'_>) -> Result<Option<String>, Trouble> {
        let (column, word) = match change.event {
            "signed" | "approved" => ("decisions", "approved by "),
            "rejected" => ("decisions", "rejected by "),
            "done" | "failed" | "rolled_back" | "in_doubt" => ("outcome", ""),
            _ => return Ok(None),
        };
        let id = change.ticket.value("id").unwrap_or_default();
        let Ok(id) = id.parse::<TicketId>() else {
            return Ok(None);
        };
        match self.ask(&format!("SHOW TICKET {id}")).await {
            Ok(card) => {
                let said = card.records().next().and_then(|it| it.said(column));
                let mut lines = said.unwrap_or_default().lines();
                let last = lines.rfind(|line| line.starts_with(word));
                Ok(last.map(str::to_owned))
            }
            Err(Trouble::Refused(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn ask(&self, command: &str) -> Result<Grid, Trouble> {
        let silent = || {
            let seconds = ANSWER.as_secs();
            Trouble::Unreachable(vec![format!("the gate did not answer in {seconds} s")])
        };
        let answer = within(ANSWER, self.console.ask(command)).await;
        answer.unwrap_or_else(|| Err(silent()))
    }

    /// Says once that the gate is gone, and knocks until it answers, or does not want us any more.
    async fn come_back(&mut self, why: &str) -> Result<(), Trouble> {
        self.note("lost", &format!("lost the gate, trying again: {why}"))?;
        let mut wait = BACKOFF_MIN;
        loop {
            sleep(wait).await;
            match within(ANSWER, Console::try_open(&self.target, false)).await {
                Some(Ok(console)) => {
                    self.console = console;
                    // One that lets us in and has no list yet is not back.
                    if self.ask("SHOW TICKETS ALL").await.is_ok() {
                        return self.note("back", "the gate is back");
                    }
                }
                Some(Err(shut)) if shut.login_refused => return Err(shut.into()),
                Some(Err(_)) | None => {}
            }
            wait = (wait * 2).min(BACKOFF_MAX);
        }
    }

    /// Something about the connection.
    fn note(&mut self, event: &str, words: &str) -> Result<(), Trouble> {
        if self.printer.json {
            let note = serde_json::json!({ "time": time(), "event": event, "detail": words });
            writeln!(self.printer.out, "{note}")?;
            self.printer.out.flush()?;
        } else {
            let words = visible::one_line(words);
            writeln!(self.printer.err, "portcullis: note: {words}")?;
        }
        Ok(())
    }
}

/// One line of `--json`.
#[derive(Serialize)]
struct Told<'a> {
    time: String,
    event: &'a str,
    detail: Option<&'a str>,
    #[serde(flatten)]
    ticket: Record<'a>,
}

fn told(
    out: &mut dyn Write,
    event: &str,
    ticket: Record<'_>,
    detail: Option<&str>,
) -> Result<(), Trouble> {
    let told = Told {
        time: time(),
        event,
        detail,
        ticket,
    };
    let text = serde_json::to_string(&told).map_err(std::io::Error::from)?;
    // What takes colours out of the output takes a DEL out, too: it is written so that it stays.
    let text = text.replace('\u{7f}', r"\u007f");
    Ok(writeln!(out, "{text}")?)
}

/// Now, as the journal writes it.
fn time() -> String {
    let format = "%Y-%m-%dT%H:%M:%S%.3fZ";
    Timestamp::now().strftime(format).to_string()
}

/// One line for a person, cut to `width` columns.
fn line(change: &Change<'_>, detail: Option<&str>, now: Timestamp, width: usize) -> String {
    let ticket = change.ticket;
    let word = |name| visible::one_line(ticket.value(name).unwrap_or_default());
    let time = now.strftime("%H:%M:%SZ").to_string();
    let event = visible::one_line(&change.event.replace('_', " "));
    let head = format!("{:<6} {event:<11} ", word("id"));
    let mut tail = format!("{} at {}: ", word("requester"), word("tenant"));
    match (detail, ticket.said("waiting_for")) {
        (Some(detail), _) => tail.push_str(&visible::one_line(detail)),
        (None, Some(_)) => tail.extend(["waits for ", &word("waiting_for"), ": "]),
        (None, None) => {}
    }
    if detail.is_none() {
        let statement = ticket.value("statement").unwrap_or_default();
        tail.push_str(&visible::one_line(grid::beginning(statement, BEGINNING)));
    } else if change.event == "signed" {
        tail.extend(["; waits for ", &word("waiting_for")]);
    }
    let room = width.saturating_sub(visible::columns(&time) + 1 + visible::columns(&head));
    let room = room.max(NARROWEST);
    let style = match change.event {
        "new" => NEW,
        event => state_style(event),
    };
    format!(
        "{DIM}{time}{DIM:#} {style}{head}{style:#}{}",
        visible::cut(&tail, room)
    )
}

#[cfg(test)]
mod tests {
    use super::super::grid::tests::grid;
    use super::*;

    const COLUMNS: &[&str] = &[
        "id",
        "state",
        "tenant",
        "requester",
        "waiting_for",
        "statement",
    ];

    fn shown(event: &str, row: &[&str], detail: Option<&str>, width: usize) -> String {
        let list = grid(COLUMNS, &[row]);
        let change = Change {
            event,
            ticket: list.records().next().unwrap(),
        };
        let now = "2026-01-02T10:05:30Z".parse().unwrap();
        let line = line(&change, detail, now, width);
        anstream::adapter::strip_str(&line).to_string()
    }

    #[test]
    fn a_line_for_each_change() {
        let waits = [
            "T-42",
            "pending",
            "acme",
            "alice",
            "1 of ops",
            "UPDATE a\nSET b = 1",
        ];
        let ended = [
            "T-42",
            "in_doubt",
            "acme",
            "alice",
            "NULL",
            "UPDATE a\nSET b = 1",
        ];
        for (event, row, detail, line) in [
            (
                "new",
                &waits,
                None,
                "10:05:30Z T-42   new         alice at acme: waits for 1 of ops: UPDATE a SET b = 1",
            ),
            (
                "signed",
                &waits,
                Some("approved by bob: fine"),
                "10:05:30Z T-42   signed      alice at acme: approved by bob: fine; waits for 1 of ops",
            ),
            (
                "done",
                &ended,
                Some("UPDATE 1"),
                "10:05:30Z T-42   done        alice at acme: UPDATE 1",
            ),
            (
                "in_doubt",
                &ended,
                None,
                "10:05:30Z T-42   in doubt    alice at acme: UPDATE a SET b = 1",
            ),
        ] {
            assert_eq!(shown(event, row, detail, 300), line);
        }
    }

    #[test]
    fn what_people_wrote_stays_in_its_line() {
        let hostile = "x\n10:00:00Z T-9 approved\u{1b}[2J\u{202e}\u{7}";
        let row = ["T-1", "rejected", hostile, hostile, "NULL", hostile];
        for detail in [None, Some(hostile)] {
            let line = shown("rejected", &row, detail, 400);
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{line:?}");
            assert!(line.contains(r"approved\u{1b}[2J\u{202e}\u{7}"), "{line}");
            let cut = shown("rejected", &row, detail, 60);
            assert_eq!(visible::columns(&cut), 60, "{cut}");
        }
    }
}
