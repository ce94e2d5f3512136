//! The commands that a running gate's console answers. They never touch a store or a policy: who may do
//! what is the gate's to say.

use std::fmt::Write as _;
use std::io::Write;

use gate::ticket::TicketId;
use jiff::Timestamp;
use serde::Serialize;
use serde::ser::SerializeMap;

use super::args::{ConsoleCommand, Options, SayArgs};
use super::card::{Viewer, card};
use super::connect::Console;
use super::grid::{Grid, Record};
use super::trouble::{Exit, Refusal, Trouble};
use super::visible;

/// Where to print, and how.
pub struct Printer<'a> {
    /// Standard output, which takes the colours out where nobody could see them.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// One JSON document.
    pub json: bool,
    /// Columns of the terminal.
    pub width: Option<usize>,
    /// What to type to reach this gate.
    pub door: String,
    /// As whom we are logged in.
    pub user: String,
}

/// Runs one command.
pub async fn run(
    console: &Console,
    command: &ConsoleCommand,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    match command {
        ConsoleCommand::Pending { all: false } => {
            list(console, "SHOW TICKETS", "no ticket is waiting", printer).await
        }
        ConsoleCommand::Pending { all: true } => {
            list(console, "SHOW TICKETS ALL", "there is no ticket", printer).await
        }
        ConsoleCommand::Pools => list(console, "SHOW POOLS", "there is no pool", printer).await,
        ConsoleCommand::Sessions => {
            list(console, "SHOW SESSIONS", "there is no session", printer).await
        }
        ConsoleCommand::Show { ticket } => show(console, *ticket, printer).await,
        ConsoleCommand::Approve {
            tickets,
            comment,
            lock_timeout,
            statement_timeout,
        } => {
            let comment = comment.as_deref().filter(|it| !it.trim().is_empty());
            let part = |keyword, text: Option<&str>| {
                text.map_or_else(String::new, |it| format!("{keyword} {}", quoted(it)))
            };
            let tail = [
                part("", comment),
                part(" LOCK_TIMEOUT", lock_timeout.as_deref()),
                part(" STATEMENT_TIMEOUT", statement_timeout.as_deref()),
            ]
            .concat();
            let commands = tickets
                .iter()
                .map(|it| (*it, format!("APPROVE {it}{tail}")));
            decide(console, commands, false, printer).await
        }
        ConsoleCommand::Withdraw { tickets } => {
            let commands = tickets.iter().map(|it| (*it, format!("WITHDRAW {it}")));
            decide(console, commands, false, printer).await
        }
        ConsoleCommand::Reject(args) => say(console, "REJECT", args, printer).await,
        ConsoleCommand::RequestChanges(args) => {
            say(console, "REQUEST CHANGES", args, printer).await
        }
        ConsoleCommand::Comment(args) => say(console, "COMMENT", args, printer).await,
    }
}

/// What to type to reach the same gate again. A connection string is repeated only if no password is in
/// it: what we print ends up in chats.
pub fn door(options: &Options) -> String {
    let mut door = "portcullis".to_owned();
    let port = options.port.map(|it| it.to_string());
    let url = options.url.as_ref().filter(|url| {
        super::connstring::Layer::parse(url).is_ok_and(|it| it.value("password").is_none())
    });
    for (flag, value) in [
        ("--url", url),
        ("-h", options.host.as_ref()),
        ("-p", port.as_ref()),
        ("-U", options.username.as_ref()),
    ] {
        if let Some(value) = value {
            let _ = write!(door, " {flag} {}", shell_word(value));
        }
    }
    door
}

fn shell_word(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", visible::plain(text).replace('\'', r"'\''"))
}

/// A text as the console's commands take it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn list(
    console: &Console,
    command: &str,
    nothing: &str,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let grid = console.ask(command).await?;
    if printer.json {
        document(printer.out, &grid.records().collect::<Vec<_>>())?;
    } else if grid.rows.is_empty() {
        writeln!(printer.out, "{nothing}")?;
    } else {
        write!(printer.out, "{}", grid.table(printer.width))?;
    }
    Ok(Exit::Done)
}

async fn show(
    console: &Console,
    ticket: TicketId,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let grid = console.ask(&format!("SHOW TICKET {ticket}")).await?;
    let record = one(&grid)?;
    if printer.json {
        document(printer.out, &record)?;
    } else {
        let viewer = Viewer {
            user: &printer.user,
            door: &printer.door,
            now: Timestamp::now(),
            width: printer.width,
        };
        write!(printer.out, "{}", card(record, viewer))?;
    }
    Ok(Exit::Done)
}

/// The one ticket that was asked for.
pub(crate) fn one(grid: &Grid) -> Result<Record<'_>, Trouble> {
    let missing = || {
        Trouble::Unreachable(vec![
            "the server is not a console: it sent no row".to_owned(),
        ])
    };
    grid.records().next().ok_or_else(missing)
}

/// What became of one ticket.
enum Outcome {
    Answered(Grid),
    Refused(TicketId, Refusal),
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Answered(grid) => grid.records().next().serialize(serializer),
            Self::Refused(ticket, refusal) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("id", &ticket.to_string())?;
                map.serialize_entry("error", refusal)?;
                map.end()
            }
        }
    }
}

/// Says something of one ticket.
async fn say(
    console: &Console,
    verb: &str,
    args: &SayArgs,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let command = format!("{verb} {} {}", args.ticket, quoted(args.text()));
    decide(console, [(args.ticket, command)].into_iter(), true, printer).await
}

/// Sends each command; a refusal of one does not keep the others back.
async fn decide(
    console: &Console,
    commands: impl Iterator<Item = (TicketId, String)>,
    single: bool,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let mut worst = Exit::Done;
    let mut outcomes = Vec::new();
    let mut broken = None;
    for (ticket, command) in commands {
        match console.ask(&command).await {
            Ok(grid) => {
                if !printer.json {
                    writeln!(printer.out, "{}", sentence(one(&grid)?))?;
                }
                outcomes.push(Outcome::Answered(grid));
            }
            Err(Trouble::Refused(refusal)) => {
                writeln!(printer.err, "{}", refusal.text())?;
                outcomes.push(Outcome::Refused(ticket, refusal));
                worst = worst.max(Exit::Refused);
            }
            Err(other) => {
                broken = Some(other);
                break;
            }
        }
    }
    match (printer.json, outcomes.as_slice()) {
        (true, [outcome]) if single => document(printer.out, outcome)?,
        (true, _) => document(printer.out, &outcomes)?,
        (false, _) => {}
    }
    broken.map_or(Ok(worst), Err)
}

/// `T-42 approved`, or `T-42 pending, waiting for 1 of dba`.
pub(crate) fn sentence(record: Record<'_>) -> String {
    let word = |name| visible::one_line(record.value(name).unwrap_or_default());
    let (id, state) = (word("id"), word("state"));
    match record.said("waiting_for") {
        Some(_) if state == "pending" => {
            format!("{id} {state}, waiting for {}", word("waiting_for"))
        }
        _ => format!("{id} {state}"),
    }
}

/// One JSON document.
pub(super) fn document(out: &mut dyn Write, value: &impl Serialize) -> Result<(), Trouble> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
    // What takes colours out of the output takes this for one of them.
    let text = text.replace('\u{7f}', "\\u007f");
    Ok(writeln!(out, "{text}")?)
}
