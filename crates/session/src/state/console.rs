//! Console: the virtual database `portcullis`. Commands are read here; what they may do is for the
//! gate's one authorisation function. It never touches an upstream.

use gate::TicketId;
use wire::backend::{Column, Status, encode};
use wire::frame::Frame;
use wire::frontend::Frontend;

use crate::effect::{ConsoleCommand, Effect};
use crate::fault::Fault;
use crate::input::{Input, TableReply};
use crate::talk::Io;

/// The commands, for hints and for `SHOW HELP`.
pub const COMMANDS: [&str; 9] = [
    "SHOW TICKETS",
    "SHOW TICKETS ALL",
    "SHOW TICKET id",
    "APPROVE id ['comment']",
    "REJECT id 'reason'",
    "WITHDRAW id",
    "SHOW POOLS",
    "SHOW SESSIONS",
    "SHOW VERSION",
];

/// A console session.
#[derive(Debug, Default)]
pub(crate) struct Console {
    /// A command is being carried out.
    busy: bool,
    /// An error in an extended batch: skipped up to its Sync.
    skipping: bool,
}

/// Where the console leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Console),
    Close,
}

impl Console {
    /// Whether the client's next message is awaited.
    pub(crate) fn takes_frames(&self) -> bool {
        !self.busy
    }

    pub(crate) fn handle(mut self, input: Input<'_>, io: &mut Io) -> Next {
        match input {
            Input::Frame(frame) => self.frame(frame, io),
            Input::Console(reply) => {
                match reply {
                    Ok(table) => answer(&table, io),
                    Err(fault) => io.error(&fault),
                }
                io.ready(Status::Idle);
                self.busy = false;
                Next::Stay(self)
            }
            Input::ClientGone => Next::Close,
            Input::Drain if !self.busy => {
                io.error(&Fault::shutdown(None));
                Next::Close
            }
            _ => Next::Stay(self),
        }
    }

    fn frame(mut self, frame: Frame, io: &mut Io) -> Next {
        let message = match Frontend::decode(frame) {
            Ok(message) => message,
            Err(error) => {
                io.error(&Fault::malformed(&error));
                return Next::Close;
            }
        };
        match message {
            Frontend::Terminate => return Next::Close,
            Frontend::Sync => {
                self.skipping = false;
                io.ready(Status::Idle);
            }
            Frontend::Query(text) if !self.skipping => match parse(&text) {
                Ok(Some(command)) => {
                    io.effect(Effect::Console(command));
                    self.busy = true;
                }
                Ok(None) => {
                    encode::empty_query(&mut io.out);
                    io.ready(Status::Idle);
                }
                Err(fault) => {
                    io.error(&fault);
                    io.ready(Status::Idle);
                }
            },
            Frontend::FunctionCall if !self.skipping => {
                io.error(&Fault::function_call());
                io.ready(Status::Idle);
            }
            _ if self.skipping => {}
            Frontend::Flush => {}
            _ => {
                io.error(&Fault::console_extended());
                self.skipping = true;
            }
        }
        Next::Stay(self)
    }
}

fn answer(table: &TableReply, io: &mut Io) {
    if !table.columns.is_empty() {
        let columns: Vec<Column> = table
            .columns
            .iter()
            .map(|name| Column::text(*name))
            .collect();
        // The console's own tables are far below the protocol's limits.
        let _fits = encode::row_description(&columns, &mut io.out);
        for row in &table.rows {
            let values: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
            if encode::data_row(&values, &mut io.out).is_err() {
                io.error(&Fault::protocol("a row of the answer is too long"));
                return;
            }
        }
    }
    encode::command_complete(&table.tag, &mut io.out);
}

/// Reads one command; `None` for an empty one.
fn parse(text: &str) -> Result<Option<ConsoleCommand>, Fault> {
    let words = words(text)?;
    let upper: Vec<String> = words
        .iter()
        .map(|word| word.text.to_ascii_uppercase())
        .collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let literal = |at: usize| words.get(at).map(|word| word.text.clone());
    let command = match upper.as_slice() {
        [] => return Ok(None),
        ["SHOW", "TICKETS"] => ConsoleCommand::ShowTickets { all: false },
        ["SHOW", "TICKETS", "ALL"] => ConsoleCommand::ShowTickets { all: true },
        ["SHOW", "TICKET", id] => ConsoleCommand::ShowTicket(ticket(id)?),
        ["APPROVE", id] => ConsoleCommand::Approve(ticket(id)?, None),
        ["APPROVE", id, _] => ConsoleCommand::Approve(ticket(id)?, literal(2)),
        ["REJECT", id, _] => ConsoleCommand::Reject(ticket(id)?, literal(2).unwrap_or_default()),
        ["REJECT", _] => {
            return Err(Fault::console_syntax(
                "REJECT needs a reason: REJECT id 'reason'.",
            ));
        }
        ["WITHDRAW", id] => ConsoleCommand::Withdraw(ticket(id)?),
        ["SHOW", "POOLS"] => ConsoleCommand::ShowPools,
        ["SHOW", "SESSIONS"] => ConsoleCommand::ShowSessions,
        ["SHOW", "VERSION"] => ConsoleCommand::ShowVersion,
        ["SHOW" | "HELP"] | ["SHOW", "HELP"] => ConsoleCommand::Help,
        _ => {
            return Err(Fault::console_syntax(format!(
                "Commands: {}.",
                COMMANDS.join(", ")
            )));
        }
    };
    Ok(Some(command))
}

fn ticket(word: &str) -> Result<TicketId, Fault> {
    word.parse()
        .map_err(|error: gate::ticket::NotATicket| Fault::console_syntax(error.to_string()))
}

#[derive(Debug, PartialEq)]
struct Word {
    text: String,
}

/// Splits at blanks, takes 'quoted words' whole ('' is a quote), and drops one trailing semicolon.
fn words(text: &str) -> Result<Vec<Word>, Fault> {
    let text = text.trim().trim_end_matches(';');
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if character == '\'' {
            loop {
                match characters.next() {
                    Some('\'') if characters.peek() == Some(&'\'') => {
                        word.extend(characters.next());
                    }
                    Some('\'') => break,
                    Some(other) => word.push(other),
                    None => return Err(Fault::console_syntax("A quoted string is not closed.")),
                }
            }
        } else {
            word.push(character);
            while let Some(next) = characters.next_if(|it| !it.is_whitespace() && *it != '\'') {
                word.push(next);
            }
        }
        words.push(Word { text: word });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_psql_sends_them() {
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(
            parse("show tickets;").unwrap(),
            Some(ConsoleCommand::ShowTickets { all: false })
        );
        let reject = ConsoleCommand::Reject(TicketId(7), "it's wrong".into());
        assert_eq!(parse("REJECT T-7 'it''s wrong';").unwrap(), Some(reject));
        let approve = ConsoleCommand::Approve(TicketId(12), Some("ok".into()));
        assert_eq!(parse("approve 12 'ok'").unwrap(), Some(approve));
        for bad in [
            "REJECT 7",
            "APPROVE",
            "APPROVE x",
            "SHOW TICKET -1",
            "DROP TABLE t",
            "REJECT 7 'x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
