//! The console's commands, and how they are typed. It never says who may give one.

use gate::TicketId;
use gate::ticket::{NotATicket, Say};

use crate::fault::Fault;

/// The commands, for hints and for `SHOW HELP`.
pub const COMMANDS: [&str; 11] = [
    "SHOW TICKETS",
    "SHOW TICKETS ALL",
    "SHOW TICKET id",
    "APPROVE id [, ...] ['comment']",
    "REJECT id [, ...] 'reason'",
    "REQUEST CHANGES id [, ...] 'what'",
    "COMMENT id [, ...] 'text'",
    "WITHDRAW id [, ...]",
    "SHOW POOLS",
    "SHOW SESSIONS",
    "SHOW VERSION",
];

/// A command of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleCommand {
    /// `SHOW TICKETS` and `SHOW TICKETS ALL`.
    ShowTickets {
        /// Also those that have ended.
        all: bool,
    },
    /// `SHOW TICKET id`.
    ShowTicket(TicketId),
    /// A word on tickets: `APPROVE`, `REJECT`, `REQUEST CHANGES`, `COMMENT`. It is said of all of them, or of none.
    Say {
        /// Of which.
        ids: Vec<TicketId>,
        /// What.
        say: Say,
        /// In their own words; only a yes needs none.
        comment: Option<String>,
    },
    /// `WITHDRAW id [, ...]`: all of them, or none.
    Withdraw(Vec<TicketId>),
    /// `SHOW POOLS`.
    ShowPools,
    /// `SHOW SESSIONS`.
    ShowSessions,
    /// `SHOW VERSION`.
    ShowVersion,
    /// `SHOW HELP`.
    Help,
}

/// Reads one command; `None` for an empty one.
pub(crate) fn parse(text: &str) -> Result<Option<ConsoleCommand>, Fault> {
    let words = words(text)?;
    let upper: Vec<String> = words.iter().map(Word::keyword).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let behind = |at: usize| words.get(at..).unwrap_or_default();
    let command = match upper.as_slice() {
        [] => return Ok(None),
        ["SHOW", "TICKETS"] => ConsoleCommand::ShowTickets { all: false },
        ["SHOW", "TICKETS", "ALL"] => ConsoleCommand::ShowTickets { all: true },
        ["SHOW", "TICKET", id] => ConsoleCommand::ShowTicket(ticket(id)?),
        ["APPROVE", ..] => say(Say::Approve, behind(1))?,
        ["REJECT", ..] => say(Say::Reject, behind(1))?,
        ["REQUEST", "CHANGES", ..] => say(Say::Changes, behind(2))?,
        ["COMMENT", ..] => say(Say::Comment, behind(1))?,
        ["WITHDRAW", ..] => match tickets(behind(1))? {
            (ids, []) => ConsoleCommand::Withdraw(ids),
            _ => return Err(usage("WITHDRAW id [, ...]")),
        },
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

/// A word on the tickets that these words name.
fn say(say: Say, words: &[Word]) -> Result<ConsoleCommand, Fault> {
    let shape = match say {
        Say::Approve => "APPROVE id [, ...] ['comment']",
        Say::Reject => "REJECT id [, ...] 'reason'",
        Say::Changes => "REQUEST CHANGES id [, ...] 'what'",
        Say::Comment => "COMMENT id [, ...] 'text'",
    };
    let (ids, rest) = tickets(words).map_err(|_| usage(shape))?;
    let comment = match rest {
        [] if say == Say::Approve => None,
        [comment] if say == Say::Approve || !comment.text.trim().is_empty() => {
            Some(comment.text.clone())
        }
        _ => return Err(usage(shape)),
    };
    Ok(ConsoleCommand::Say { ids, say, comment })
}

fn usage(shape: &str) -> Fault {
    Fault::console_syntax(format!("Expected: {shape}."))
}

/// The tickets that stand in front, at least one, each once; and the words behind them.
fn tickets(words: &[Word]) -> Result<(Vec<TicketId>, &[Word]), Fault> {
    let named = words.iter().take_while(|it| !it.quoted).count();
    let (named, rest) = words.split_at(named);
    let mut ids = Vec::with_capacity(named.len());
    for word in named {
        let id = ticket(&word.text)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() {
        return Err(Fault::console_syntax("Expected a ticket, such as T-42."));
    }
    Ok((ids, rest))
}

fn ticket(word: &str) -> Result<TicketId, Fault> {
    word.parse()
        .map_err(|error: NotATicket| Fault::console_syntax(error.to_string()))
}

#[derive(Debug, PartialEq)]
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    /// As a word of a command; what is quoted is none.
    fn keyword(&self) -> String {
        if self.quoted {
            String::from("'")
        } else {
            self.text.to_ascii_uppercase()
        }
    }
}

/// Splits at blanks and commas, takes 'quoted words' whole ('' is a quote), and drops one trailing semicolon.
fn words(text: &str) -> Result<Vec<Word>, Fault> {
    let text = text.trim().trim_end_matches(';');
    let between = |it: char| it.is_whitespace() || it == ',';
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if between(character) {
            continue;
        }
        let mut word = String::new();
        let quoted = character == '\'';
        if quoted {
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
            while let Some(next) = characters.next_if(|it| !between(*it) && *it != '\'') {
                word.push(next);
            }
        }
        words.push(Word { text: word, quoted });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ids: &[i64], say: Say, comment: Option<&str>) -> ConsoleCommand {
        ConsoleCommand::Say {
            ids: ids.iter().map(|id| TicketId(*id)).collect(),
            say,
            comment: comment.map(str::to_owned),
        }
    }

    #[test]
    fn commands_are_read_as_psql_sends_them() {
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(
            parse("show tickets;").unwrap(),
            Some(ConsoleCommand::ShowTickets { all: false })
        );
        for (text, expected) in [
            (
                "REJECT T-7 'it''s wrong';",
                said(&[7], Say::Reject, Some("it's wrong")),
            ),
            ("approve 12 'ok'", said(&[12], Say::Approve, Some("ok"))),
            (
                "approve 12, T-13 14",
                said(&[12, 13, 14], Say::Approve, None),
            ),
            ("approve 12,12", said(&[12], Say::Approve, None)),
            (
                "request changes 3 'a WHERE'",
                said(&[3], Say::Changes, Some("a WHERE")),
            ),
            (
                "comment t-3, 4 'hm'",
                said(&[3, 4], Say::Comment, Some("hm")),
            ),
        ] {
            assert_eq!(parse(text).unwrap(), Some(expected), "{text}");
        }
        assert_eq!(
            parse("withdraw 1, 2").unwrap(),
            Some(ConsoleCommand::Withdraw(vec![TicketId(1), TicketId(2)]))
        );
        for bad in [
            "REJECT 7",
            "REJECT 7 ''",
            "APPROVE",
            "APPROVE x",
            "APPROVE '7'",
            "APPROVE 7 'a' 'b'",
            "COMMENT 7",
            "REQUEST 7 'x'",
            "WITHDRAW 7 'x'",
            "WITHDRAW",
            "'SHOW' TICKETS",
            "SHOW TICKET -1",
            "DROP TABLE t",
            "REJECT 7 'x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
