//! State directories that go away, and entries to write. It never asserts anything.

use std::path::PathBuf;
use std::sync::Arc;

use gate::audit::{End, TransactionEnd};
use gate::ticket::ClaimId;
use gate::{Entry, TicketId};
use serde_json::value::RawValue;
use store::journal::Sink;
use store::{Custody, JournalFile, Sqlite, journal_dir, journal_file, tickets_file};
use tempfile::TempDir;

use crate::conformance::{Manual, OPTIONS};

pub(crate) const NODE: &str = "gate-1";

pub(crate) struct StateDir {
    pub(crate) dir: TempDir,
    pub(crate) clock: Manual,
}

impl StateDir {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Manual::default(),
        }
    }

    pub(crate) fn store(&self) -> Sqlite {
        Sqlite::open(&tickets_file(self.dir.path()), self.clock.clone(), OPTIONS).unwrap()
    }

    pub(crate) fn journal_dir(&self) -> PathBuf {
        journal_dir(self.dir.path())
    }

    pub(crate) fn journal_file(&self) -> PathBuf {
        journal_file(&self.journal_dir())
    }

    pub(crate) async fn journal(&self, store: &Sqlite) -> JournalFile {
        JournalFile::open(&self.journal_dir(), NODE, store, self.clock.clone())
            .await
            .unwrap()
    }

    /// The same with files that are kept so, and with these keys.
    pub(crate) async fn journal_kept(
        &self,
        store: &Sqlite,
        custody: impl Into<Custody>,
    ) -> JournalFile {
        let (dir, clock) = (self.journal_dir(), self.clock.clone());
        let sink = |file| -> Box<dyn Sink> { Box::new(file) };
        JournalFile::open_with(&dir, NODE, store, clock, custody, sink)
            .await
            .unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.journal_file()).unwrap()
    }

    /// The journal's lines, each with its line feed.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.bytes()).unwrap();
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    /// What its records say, in order: each entry as it stands there.
    pub(crate) fn entries(&self) -> Vec<String> {
        let entries = |line: &String| -> Vec<Box<RawValue>> {
            let line: Line<'_> = serde_json::from_str(line).unwrap();
            match serde_json::from_str(line.entry.get()) {
                Ok(list) => list,
                Err(_) => vec![line.entry.to_owned()],
            }
        };
        let lines = self.lines();
        let entries = lines.iter().flat_map(entries);
        entries.map(|it| it.get().to_owned()).collect()
    }

    pub(crate) fn put(&self, lines: &[String]) {
        std::fs::write(self.journal_file(), lines.concat()).unwrap();
    }
}

/// Of a line what it is about.
#[derive(serde::Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    entry: &'a RawValue,
}

pub(crate) fn login(session: u64) -> Entry {
    let client = "192.0.2.7:50000".into();
    Entry::Login {
        session,
        principal: "alice".into(),
        tenant: "acme".into(),
        client,
    }
}

pub(crate) fn intent(session: u64, number: u64, signed: Option<(TicketId, ClaimId)>) -> Entry {
    Entry::Intent {
        session,
        number,
        principal: "alice".into(),
        tenant: "acme".into(),
        rule: None,
        ticket: signed.map(|it| it.0),
        claim: signed.map(|it| it.1),
        asked: vec![gate::ticket::Asked {
            text: "delete from \"t\" -- \u{2028} \u{0} ,\"hash\":\"".into(),
            parameters: vec![],
        }],
    }
}

pub(crate) fn outcome(session: u64, number: u64, end: End, tags: &[&str]) -> Entry {
    let tags = tags.iter().map(|tag| Arc::from(*tag)).collect();
    Entry::Outcome {
        session,
        number,
        end,
        tags,
        error: None,
    }
}

pub(crate) fn ended(session: u64, ticket: TicketId, end: TransactionEnd) -> Entry {
    Entry::TransactionEnd {
        session,
        tickets: vec![ticket],
        end,
    }
}
