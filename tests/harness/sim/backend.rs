//! What a server makes of the texts that come on one connection: transactions, settings, and one kind of effect, which counts
//! once it is committed. What it does not know it does and says so, as of a SELECT with one row.

use std::collections::BTreeMap;
use std::rc::Rc;

use wire::backend::{Column, Status};
use wire::frontend::Target;

use super::dice::Dice;
use super::history::{Fault, History, count, keys_in};
use super::journal::Disk;

/// Why something was not done.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: [u8; 5],
    pub(super) message: String,
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;

/// What something is answered with.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) tag: String,
}

/// What one connection has on the server.
pub(super) struct Backend {
    history: Rc<History>,
    journal: Rc<Disk>,
    dice: Dice,
    statements: BTreeMap<String, String>,
    portals: BTreeMap<String, String>,
    /// A transaction that was begun by name; whether it has failed.
    block: Option<bool>,
    /// Effects that are not committed.
    doing: Vec<String>,
    savepoints: Vec<(String, usize)>,
    /// Nothing is done up to the end of the segment.
    failed: bool,
}

impl Refusal {
    pub(super) fn new(code: [u8; 5], message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
        }
    }
}

impl Backend {
    pub(super) fn new(history: &Rc<History>, journal: &Rc<Disk>, dice: &Dice) -> Self {
        Self {
            history: Rc::clone(history),
            journal: Rc::clone(journal),
            dice: dice.own(),
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            block: None,
            doing: Vec::new(),
            savepoints: Vec::new(),
            failed: false,
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.block {
            None => Status::Idle,
            Some(false) => Status::Transaction,
            Some(true) => Status::Failed,
        }
    }

    pub(super) fn skips(&self) -> bool {
        self.failed
    }

    /// Something went wrong.
    pub(super) fn fail(&mut self) {
        self.failed = true;
        match &mut self.block {
            Some(failed) => *failed = true,
            None => self.doing.clear(),
        }
    }

    /// A Query or a segment is over: what it did by itself is committed.
    pub(super) fn end_segment(&mut self) {
        if self.block.is_none() {
            self.commit();
        }
        self.failed = false;
    }

    pub(super) fn parse(&mut self, name: &str, text: &str) {
        self.statements.insert(name.to_owned(), text.to_owned());
    }

    pub(super) fn bind(&mut self, portal: &str, statement: &str) -> Result<()> {
        let text = self.statements.get(statement).cloned();
        let text = text.ok_or_else(|| Refusal::new(*b"26000", "no such statement"))?;
        self.portals.insert(portal.to_owned(), text);
        Ok(())
    }

    pub(super) fn portal(&self, name: &str) -> Result<String> {
        let text = self.portals.get(name).cloned();
        text.ok_or_else(|| Refusal::new(*b"34000", "no such portal"))
    }

    pub(super) fn close(&mut self, target: &Target) {
        match target {
            Target::Statement(name) => self.statements.remove(&**name),
            Target::Portal(name) => self.portals.remove(&**name),
        };
    }

    pub(super) fn columns(&self, target: &Target) -> Result<Vec<Column>> {
        let text = match target {
            Target::Statement(name) => self.statements.get(&**name).cloned(),
            Target::Portal(name) => self.portals.get(&**name).cloned(),
        };
        let text = text.ok_or_else(|| Refusal::new(*b"26000", "no such statement"))?;
        Ok(answer(&text).map_or_else(Vec::new, |it| it.columns))
    }

    /// Does what one statement says.
    pub(super) fn run(&mut self, text: &str) -> Result<Said> {
        let text = text.trim();
        let words: Vec<String> = text
            .split_whitespace()
            .take(3)
            .map(str::to_ascii_uppercase)
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ends = matches!(words[..], ["COMMIT" | "END" | "ROLLBACK" | "ABORT", ..]);
        if self.block == Some(true) && !ends {
            return Err(Refusal::new(*b"25P02", "current transaction is aborted"));
        }
        let tag = match words[..] {
            ["BEGIN" | "START", ..] => {
                self.block.get_or_insert(false);
                "BEGIN"
            }
            ["COMMIT" | "END", ..] => {
                let failed = self.block.take() == Some(true);
                if failed {
                    self.doing.clear();
                } else {
                    self.commit();
                }
                self.savepoints.clear();
                if failed { "ROLLBACK" } else { "COMMIT" }
            }
            ["ROLLBACK", "TO", ..] => {
                let kept = self.savepoint(text)?;
                self.doing.truncate(kept);
                self.block = Some(false);
                "ROLLBACK"
            }
            ["ROLLBACK" | "ABORT", ..] => {
                self.block = None;
                self.doing.clear();
                self.savepoints.clear();
                "ROLLBACK"
            }
            ["SAVEPOINT", ..] => {
                let name = last_word(text);
                self.savepoints.push((name, self.doing.len()));
                "SAVEPOINT"
            }
            ["RELEASE", ..] => {
                self.savepoint(text)?;
                "RELEASE"
            }
            ["INSERT", ..] => return self.insert(text),
            ["DISCARD", "ALL", ..] => {
                self.statements.clear();
                self.portals.clear();
                "DISCARD ALL"
            }
            ["DISCARD", "SEQUENCES", ..] => "DISCARD SEQUENCES",
            ["SET", ..] => "SET",
            ["RESET", ..] => "RESET",
            _ => return selected(text),
        };
        Ok(Said {
            tag: tag.to_owned(),
            ..Said::default()
        })
    }

    /// How many effects there were when it was made.
    fn savepoint(&self, text: &str) -> Result<usize> {
        let name = last_word(text);
        let known = self.savepoints.iter().rev().find(|it| it.0 == name);
        let (_, kept) = known.ok_or_else(|| Refusal::new(*b"3B001", "no such savepoint"))?;
        Ok(*kept)
    }

    /// The one statement with an effect. What comes here must have been written down before.
    fn insert(&mut self, text: &str) -> Result<Said> {
        for key in keys_in(text) {
            let runs = count(&self.history.runs, &key);
            let intents = self.journal.intents.borrow().get(&key).copied();
            let intents = intents.unwrap_or(0);
            self.history.say(format_args!("server: runs '{key}'"));
            if runs > intents {
                let says =
                    format!("'{key}' ran {runs} times, and {intents} intents of it are on disk");
                self.history.fault(Fault::Unwritten(says));
            }
            self.doing.push(key);
        }
        if self.dice.chance(25) {
            return Err(Refusal::new(*b"40P01", "deadlock detected"));
        }
        Ok(Said {
            tag: "INSERT 0 1".to_owned(),
            ..Said::default()
        })
    }

    fn commit(&mut self) {
        for key in self.doing.drain(..) {
            self.history
                .say(format_args!("server: has committed '{key}'"));
            count(&self.history.effects, &key);
        }
    }
}

fn last_word(text: &str) -> String {
    let last = text.split_whitespace().last().unwrap_or_default();
    last.to_ascii_lowercase()
}

fn selected(text: &str) -> Result<Said> {
    if text.contains("portcullis_denied") {
        return Err(Refusal::new(*b"22012", "division by zero"));
    }
    answer(text).ok_or_else(|| Refusal::new(*b"42601", "syntax error"))
}

/// The rows of what reads.
fn answer(text: &str) -> Option<Said> {
    let text = text.trim();
    let starts = |word: &str| {
        text.get(..word.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(word))
    };
    let (columns, rows) = if starts("WITH own AS") {
        let effects = ["relation", "public", "effects", "", ""];
        (5, vec![effects.map(str::to_owned).to_vec()])
    } else if text.contains("pg_listening_channels") {
        (7, vec![vec!["0".to_owned(); 7]])
    } else if text.contains("pg_control_system") {
        (1, vec![vec!["7000000000000000001".to_owned()]])
    } else if text.contains("'session'::pg_catalog.text") {
        (2, Vec::new())
    } else if starts("SELECT") {
        (1, vec![vec![String::new()]])
    } else {
        return None;
    };
    Some(Said {
        tag: format!("SELECT {}", rows.len()),
        columns: (1..=columns)
            .map(|it| Column::text(format!("c{it}")))
            .collect(),
        rows,
    })
}
