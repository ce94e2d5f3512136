//! Why a command did not do what it was asked: what a person reads on stderr and what a script gets as
//! exit code. It never decides what to do about it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use tokio_postgres::error::DbError;

use super::visible;

/// What a script sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done.
    #[default]
    Done = 0,
    /// The gate refused, or a check found something.
    Refused = 1,
    /// Wrong usage.
    Usage = 2,
    /// No connection, or no login.
    Unreachable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a server said instead of doing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    severity: String,
    code: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl From<&DbError> for Refusal {
    fn from(error: &DbError) -> Self {
        Self {
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl Refusal {
    /// Whether the server ended the connection with it.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Its SQLSTATE.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// As psql writes it.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}:  {}",
            visible::plain(&self.severity),
            several(&self.message)
        );
        for (title, more) in [("DETAIL", &self.detail), ("HINT", &self.hint)] {
            if let Some(more) = more {
                let _ = write!(text, "\n{title}:  {}", several(more));
            }
        }
        text
    }
}

fn several(text: &str) -> String {
    text.lines()
        .map(visible::plain)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Why a command ended early.
#[derive(Debug)]
pub enum Trouble {
    /// The gate understood and refused.
    Refused(Refusal),
    /// What was typed, or found in the environment, makes no sense.
    Usage(String),
    /// No connection, or no login, or it ended in the middle: one text for each address.
    Unreachable(Vec<String>),
    /// A local file or check failed.
    Local(String),
    /// Nobody reads what we print.
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Trouble {
    /// What a script sees. A reader that went away, as `head` does, is no trouble.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Refused(_) | Self::Local(_) | Self::Output(_) => Exit::Refused,
            Self::Usage(_) => Exit::Usage,
            Self::Unreachable(_) => Exit::Unreachable,
        }
    }

    /// Tells a person what went wrong, and gives what to tell a script.
    pub fn tell(&self) -> Exit {
        let text = self.text();
        if !text.is_empty() {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
        self.exit()
    }

    /// What a person reads; empty if there is nothing to say.
    pub fn text(&self) -> String {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => String::new(),
            Self::Output(error) => format!("portcullis: error: could not write: {error}"),
            Self::Refused(refusal) => refusal.text(),
            Self::Usage(text) | Self::Local(text) => format!("portcullis: error: {text}"),
            Self::Unreachable(texts) => {
                let each = texts
                    .iter()
                    .map(|text| format!("portcullis: error: {text}"));
                each.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(severity: &str) -> Refusal {
        Refusal {
            severity: severity.to_owned(),
            code: "42501".to_owned(),
            message: "ticket T-1 cannot be approved\u{1b}".to_owned(),
            detail: None,
            hint: Some("Ask.\nAgain.".to_owned()),
        }
    }

    #[test]
    fn refusals_read_as_in_psql() {
        assert_eq!(
            refusal("ERROR").text(),
            "ERROR:  ticket T-1 cannot be approved\\u{1b}\nHINT:  Ask.\nAgain."
        );
        assert!(refusal("FATAL").is_fatal() && !refusal("ERROR").is_fatal());
    }

    #[test]
    fn exit_codes() {
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        for (trouble, exit) in [
            (Trouble::Refused(refusal("ERROR")), Exit::Refused),
            (Trouble::Usage("x".into()), Exit::Usage),
            (Trouble::Unreachable(vec!["x".into()]), Exit::Unreachable),
            (Trouble::Local("x".into()), Exit::Refused),
            (Trouble::Output(full), Exit::Refused),
            (Trouble::Output(pipe), Exit::Done),
        ] {
            assert_eq!(trouble.exit(), exit);
            assert_eq!(trouble.text().is_empty(), exit == Exit::Done);
        }
        assert!(Exit::Done < Exit::Refused && Exit::Refused < Exit::Unreachable);
        assert_eq!(Exit::Unreachable as u8, 3);
    }

    #[test]
    fn several_failures_are_several_lines() {
        let text = Trouble::Unreachable(vec!["a".into(), "b".into()]).text();
        assert_eq!(text, "portcullis: error: a\nportcullis: error: b");
    }
}
