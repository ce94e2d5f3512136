//! A server of a few lines: transactions, savepoints, READ ONLY, portals, COPY and errors as
//! PostgreSQL has them, over statements that are known by their first word. It notes what was
//! committed, so that tickets can be held against it.

mod blocks;
mod faults;

use std::collections::HashMap;

use bytes::BytesMut;
use wire::backend::{Column, Status, encode};
use wire::fields::{Fields, Severity};
use wire::sqlstate::SqlState;

use self::blocks::Block;
use crate::cargo::Msg;

#[derive(Clone, Debug)]
struct Portal {
    text: String,
    given: usize,
}

#[derive(Default)]
pub struct Server {
    pub committed: Vec<String>,
    pub heard: Vec<String>,
    /// What may have run: texts that were bound, executed or sent as a Query.
    pub started: Vec<String>,
    /// Of these, what has written, kept or not.
    pub executed: Vec<String>,
    /// It closed the connection itself.
    pub hung_up: bool,
    block: Option<Block>,
    skipping: bool,
    pub statements: HashMap<String, String>,
    /// Settings that the session set, as the probe shows them.
    settings: Vec<(String, String)>,
    portals: HashMap<String, Portal>,
    /// The text of a COPY that waits for data, and whether a Query began it.
    copying: Option<(String, Option<Vec<String>>)>,
}

type Said = Result<(), (&'static [u8; 5], &'static str)>;

fn fields(severity: Severity, code: [u8; 5], message: &str) -> Fields {
    Fields::new(severity, SqlState::new(&code), message)
}

fn word(text: &str, at: usize) -> String {
    let words = text.split_whitespace().nth(at).unwrap_or_default();
    words.trim_end_matches(';').to_uppercase()
}

fn statements(text: &str) -> Vec<String> {
    let reading = sql::read(text);
    if reading.why_opaque.is_some() {
        return vec![text.to_owned()];
    }
    let part = |it: &sql::Statement| text[it.range.clone()].trim().to_owned();
    reading.statements.iter().map(part).collect()
}

impl Server {
    /// Takes one message and writes what it answers.
    pub fn take(&mut self, message: Msg, out: &mut BytesMut) {
        if self.hung_up {
            return;
        }
        if self.copying.is_some() {
            return self.copy(&message, out);
        }
        if self.skipping && !matches!(message, Msg::Sync) {
            return;
        }
        let said = match message {
            Msg::Query(text) => return self.query(&text, out),
            Msg::Sync => {
                self.skipping = false;
                if self.block.as_ref().is_some_and(|it| !it.explicit)
                    && let Err((code, message)) = self.commit()
                {
                    error(*code, message, out);
                }
                return self.ready(out);
            }
            Msg::Flush | Msg::CopyData | Msg::CopyDone | Msg::CopyFail => Ok(()),
            Msg::Parse(name, text) => self.parse(name, text, out),
            Msg::Bind(portal, name) => self.bind(portal, &name, out),
            Msg::DescribeStatement(name) => match self.statements.get(&name) {
                Some(text) => {
                    encode::parameter_description(&[], out).unwrap();
                    describe(text, out);
                    Ok(())
                }
                None => Err((b"26000", "no such statement")),
            },
            Msg::CloseStatement(name) => {
                self.statements.remove(&name);
                encode::close_complete(out);
                Ok(())
            }
            Msg::DescribePortal(portal) => match self.portals.get(&portal) {
                Some(portal) => {
                    describe(&portal.text, out);
                    Ok(())
                }
                None => Err((b"34000", "no such portal")),
            },
            Msg::Execute(portal, rows) => self.execute(&portal, rows, out),
            Msg::ClosePortal(portal) => {
                self.portals.remove(&portal);
                encode::close_complete(out);
                Ok(())
            }
        };
        if let Err((code, message)) = said {
            error(*code, message, out);
            self.abort();
            self.skipping = true;
        }
    }

    fn parse(&mut self, name: String, text: String, out: &mut BytesMut) -> Said {
        self.heard.push(text.clone());
        let statements = statements(&text);
        if statements.len() > 1 {
            return Err((b"42601", "cannot insert multiple commands"));
        }
        if text.contains("nosuch") {
            return Err((b"42P01", "relation does not exist"));
        }
        self.may(statements.first().map_or("", String::as_str))?;
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err((b"42P05", "prepared statement already exists"));
        }
        self.statements.insert(name, text);
        self.block.get_or_insert_default();
        encode::parse_complete(out);
        Ok(())
    }

    fn bind(&mut self, portal: String, name: &str, out: &mut BytesMut) -> Said {
        let Some(text) = self.statements.get(name).cloned() else {
            return Err((b"26000", "no such statement"));
        };
        if !portal.is_empty() && self.portals.contains_key(&portal) {
            return Err((b"42P03", "portal already exists"));
        }
        self.started.push(text.clone());
        self.may(&text)?;
        self.block.get_or_insert_default();
        self.portals.insert(portal, Portal { text, given: 0 });
        encode::bind_complete(out);
        Ok(())
    }

    /// In a failed transaction only its end is heard.
    fn may(&self, text: &str) -> Said {
        let ends = matches!(word(text, 0).as_str(), "ROLLBACK" | "COMMIT" | "");
        if self.block.as_ref().is_some_and(|it| it.failed) && !ends {
            return Err((b"25P02", "current transaction is aborted"));
        }
        Ok(())
    }

    fn execute(&mut self, name: &str, rows: i32, out: &mut BytesMut) -> Said {
        let Some(portal) = self.portals.get(name).cloned() else {
            return Err((b"34000", "no such portal"));
        };
        self.started.push(portal.text.clone());
        self.may(&portal.text)?;
        self.block.get_or_insert_default();
        if word(&portal.text, 0) == "SELECT" && rows > 0 {
            let all = rows_of(&portal.text);
            let until = all.min(portal.given + usize::try_from(rows).unwrap());
            for row in portal.given..until {
                encode::data_row(&[Some(&row.to_string())], out).unwrap();
            }
            self.portals.get_mut(name).unwrap().given = until;
            if until - portal.given == usize::try_from(rows).unwrap() {
                encode::portal_suspended(out);
            } else {
                encode::command_complete(&format!("SELECT {}", until - portal.given), out);
            }
            return Ok(());
        }
        if portal.given > 0 {
            return Err((b"55000", "portal cannot be run anymore"));
        }
        if let Some(portal) = self.portals.get_mut(name) {
            portal.given = usize::from(word(&portal.text, 0) != "SELECT");
        }
        self.run(&portal.text, None, out)
    }

    fn query(&mut self, text: &str, out: &mut BytesMut) {
        self.heard.push(text.to_owned());
        self.started.push(text.to_owned());
        let all = statements(text);
        if all.is_empty() {
            encode::empty_query(out);
        }
        self.go_on(all, out);
    }

    /// The statements of a Query, up to its end or a COPY FROM STDIN.
    fn go_on(&mut self, mut all: Vec<String>, out: &mut BytesMut) {
        // What the last statement says waits for the commit.
        let mut last = BytesMut::new();
        while !all.is_empty() {
            let text = all.remove(0);
            self.block.get_or_insert_default();
            out.unsplit(last.split());
            let said = self.may(&text).and_then(|()| {
                if rows_of(&text) > 0 && word(&text, 0) == "SELECT" {
                    describe(&text, out);
                }
                self.run(&text, Some(all.clone()), &mut last)
            });
            if let Err((code, message)) = said {
                out.unsplit(last);
                error(*code, message, out);
                self.abort();
                return self.ready(out);
            }
            if self.copying.is_some() {
                out.unsplit(last);
                return;
            }
        }
        if self.block.as_ref().is_some_and(|it| !it.explicit)
            && let Err((code, message)) = self.commit()
        {
            last.clear();
            error(*code, message, out);
        }
        out.unsplit(last);
        self.ready(out);
    }

    fn copy(&mut self, message: &Msg, out: &mut BytesMut) {
        let end = match message {
            Msg::CopyDone => Ok(()),
            Msg::CopyFail => Err((b"57014", "COPY from stdin failed")),
            // V21: these two are swallowed.
            Msg::CopyData | Msg::Sync | Msg::Flush => return,
            _ => return self.hang_up(out),
        };
        let (text, rest) = self.copying.take().unwrap();
        let end = end.and_then(|()| {
            self.write(&text)?;
            encode::command_complete("COPY 2", out);
            Ok(())
        });
        match (end, rest) {
            (Ok(()), None) => {}
            (Ok(()), Some(rest)) => self.go_on(rest, out),
            (Err((code, message)), rest) => {
                error(*code, message, out);
                self.abort();
                self.skipping = rest.is_none();
                if rest.is_some() {
                    self.ready(out);
                }
            }
        }
    }

    fn write(&mut self, text: &str) -> Said {
        if self.block().read_only {
            return Err((b"25006", "cannot execute in a read-only transaction"));
        }
        self.block().deferred |= text.contains("deferred");
        self.block().effects.push(text.to_owned());
        self.executed.push(text.to_owned());
        Ok(())
    }

    fn run(&mut self, text: &str, rest: Option<Vec<String>>, out: &mut BytesMut) -> Said {
        if text.contains("boom") || text.contains("OPERATOR(pg_catalog./) 0") {
            return Err((b"22012", "division by zero"));
        }
        if text.contains("notice") {
            encode::notice_response(&fields(Severity::Notice, *b"00000", "hello"), out);
        }
        let tag = match word(text, 0).as_str() {
            "" => {
                encode::empty_query(out);
                return Ok(());
            }
            "SELECT" if text.contains("pg_settings") => {
                for (name, value) in &self.settings {
                    encode::data_row(&[Some(name), Some(value)], out).unwrap();
                }
                "SELECT".into()
            }
            "SELECT" => {
                let rows = rows_of(text);
                for row in 0..rows {
                    let value = if text.contains("big") {
                        "x".repeat(100_000)
                    } else {
                        row.to_string()
                    };
                    encode::data_row(&[Some(&value)], out).unwrap();
                }
                if text.contains("sneaky") {
                    self.write(text)?;
                }
                format!("SELECT {rows}")
            }
            "COPY" if text.to_uppercase().contains("FROM STDIN") => {
                out.extend_from_slice(b"G\0\0\0\x07\0\0\0");
                self.copying = Some((text.to_owned(), rest));
                return Ok(());
            }
            "COPY" => {
                out.extend_from_slice(b"H\0\0\0\x07\0\0\0d\0\0\0\x06a\nd\0\0\0\x06b\nc\0\0\0\x04");
                "COPY 2".into()
            }
            "INSERT" => {
                self.write(text)?;
                "INSERT 0 1".into()
            }
            "UPDATE" | "DELETE" => {
                self.write(text)?;
                format!("{} 1", word(text, 0))
            }
            _ => self.control(text)?,
        };
        encode::command_complete(&tag, out);
        Ok(())
    }

    fn ready(&self, out: &mut BytesMut) {
        let status = match &self.block {
            None => Status::Idle,
            Some(block) if block.failed => Status::Failed,
            Some(_) => Status::Transaction,
        };
        encode::ready_for_query(status, out);
    }
}

fn rows_of(text: &str) -> usize {
    match text {
        _ if text.contains("many") => 5,
        _ => 1,
    }
}

fn describe(text: &str, out: &mut BytesMut) {
    if word(text, 0) == "SELECT" {
        encode::row_description(&[Column::text("n")], out).unwrap();
    } else {
        encode::no_data(out);
    }
}

fn error(code: [u8; 5], message: &str, out: &mut BytesMut) {
    encode::error_response(&fields(Severity::Error, code, message), out);
}

impl Server {
    /// The connection goes to the next session after a reset, or it is a new one.
    pub fn renew(&mut self) {
        *self = Self {
            committed: std::mem::take(&mut self.committed),
            heard: std::mem::take(&mut self.heard),
            started: std::mem::take(&mut self.started),
            executed: std::mem::take(&mut self.executed),
            ..Self::default()
        };
    }

    /// Whether nothing is open.
    pub fn is_idle(&self) -> bool {
        self.block.is_none() && !self.skipping && self.copying.is_none()
    }
}
