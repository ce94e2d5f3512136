//! The check that nobody touched the journal: every line, its number, its link and its hash, and
//! that the chain reaches and passes through the head in the store. It never writes, and needs no
//! running gate.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use crate::chain::{Broken, Hash, Head, Record};
use crate::layout::{journal_dir, journal_file, tickets_file};
use crate::sqlite::read_heads;

/// A journal that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The node that wrote it; none if it has no records.
    pub node: Option<String>,
    /// How many records it has.
    pub records: u64,
    /// When the first was written.
    pub first_at: Option<String>,
    /// When the last was written.
    pub last_at: Option<String>,
    /// The number of the record at the head in the store, if it has one.
    pub head_seq: Option<u64>,
    /// How many records are behind the head: a cut among these is not found.
    pub unanchored: u64,
    /// Bytes behind the last whole record: a crash tore them, or the gate is writing right now.
    pub torn_bytes: u64,
}

/// What is wrong with a journal, and where.
#[derive(Debug, thiserror::Error)]
pub enum Tampered {
    /// It cannot be read, or what it is compared with cannot.
    #[error("cannot read {}: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A line is no record.
    #[error("{} line {line}: expected record {seq}, found no record: {why}", file.display())]
    NoRecord {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// The record that should be there.
        seq: u64,
        /// What it is instead.
        why: String,
    },
    /// A record was removed, inserted, or is out of its turn.
    #[error("{} line {line}: expected record {seq}, found record {found}", file.display())]
    Order {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// The record that should be there.
        seq: u64,
        /// The one that is.
        found: u64,
    },
    /// A record does not follow from the one before it: one of the two is another.
    #[error(
        "{} line {line}: record {seq} should follow hash {expected}, but names {found}",
        file.display()
    )]
    Link {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// The record.
        seq: u64,
        /// The hash of the record before it.
        expected: Hash,
        /// What it names.
        found: String,
    },
    /// A record's bytes were changed.
    #[error(
        "{} line {line}: record {seq} was changed: its bytes hash to {expected}, it says {found}",
        file.display()
    )]
    Edited {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// The record.
        seq: u64,
        /// The hash of the bytes that are there.
        expected: Hash,
        /// The hash that the record bears.
        found: Hash,
    },
    /// A record was written in another node's name.
    #[error(
        "{} line {line}: record {seq} should be of node \"{expected}\", but is of \"{found}\"",
        file.display()
    )]
    Node {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// The record.
        seq: u64,
        /// The node of the first record.
        expected: String,
        /// The node that it names.
        found: String,
    },
    /// Records are missing at the end.
    #[error("{} ends after record {seq}, but the store knows of record {head}", file.display())]
    Truncated {
        /// The file.
        file: PathBuf,
        /// The last whole record.
        seq: u64,
        /// The head in the store.
        head: u64,
    },
    /// The chain is whole in itself, but it is not the one that the store knows: its end was
    /// written anew.
    #[error(
        "{} line {line}: record {seq} has hash {found}, but the store knows it as {expected}",
        file.display()
    )]
    Rewritten {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// The record.
        seq: u64,
        /// The hash in the store.
        expected: Hash,
        /// The hash in the file.
        found: Hash,
    },
    /// The store has heads, but none for the node that the journal names.
    #[error("{} is of node \"{node}\", of which the store knows nothing", file.display())]
    UnknownNode {
        /// The file.
        file: PathBuf,
        /// The node that it names.
        node: String,
    },
}

/// A walk through a whole journal.
pub(crate) struct Walk {
    pub(crate) node: Option<String>,
    pub(crate) tail: Head,
    pub(crate) whole_bytes: u64,
    pub(crate) torn_bytes: u64,
    first_at: Option<String>,
    last_at: Option<String>,
}

/// Verifies the journal in `dir`, as it is on disk, up to `head`, the head in the store. Without
/// one, records that were cut off its end are not missed.
pub fn verify(dir: &Path, head: Option<Head>) -> Result<Report, Tampered> {
    let walk = walk(&journal_file(dir), head, &mut |_| Ok(()))?;
    let head_seq = head.map(|head| head.seq);
    Ok(Report {
        node: walk.node,
        records: walk.tail.seq,
        first_at: walk.first_at,
        last_at: walk.last_at,
        head_seq,
        unanchored: walk.tail.seq.saturating_sub(head_seq.unwrap_or(0)),
        torn_bytes: walk.torn_bytes,
    })
}

/// Verifies the journal of a state directory up to the head in its ticket store, which is only
/// read. The gate may be running.
pub fn verify_state(state: &Path) -> Result<Report, Tampered> {
    verify(&journal_dir(state), head_of(state)?)
}

/// The head that the ticket store of a state directory has for its journal.
pub(crate) fn head_of(state: &Path) -> Result<Option<Head>, Tampered> {
    let tickets = tickets_file(state);
    // The heads first: what is written meanwhile is then beyond the head, and not short of it.
    let heads = read_heads(&tickets).map_err(|error| Tampered::Unreadable {
        file: tickets,
        why: error.to_string(),
    })?;
    let file = journal_file(&journal_dir(state));
    Ok(match first_node(&file)? {
        None => heads.first().map(|(_, head)| *head),
        Some(node) => {
            let found = heads
                .iter()
                .find(|(name, _)| *name == node)
                .map(|(_, head)| *head);
            if found.is_none() && !heads.is_empty() {
                return Err(Tampered::UnknownNode { file, node });
            }
            found
        }
    })
}

/// The node that the first record names; the record is not checked yet.
fn first_node(file: &Path) -> Result<Option<String>, Tampered> {
    let mut line = Vec::new();
    match File::open(file) {
        Ok(opened) => {
            BufReader::new(opened)
                .read_until(b'\n', &mut line)
                .map_err(|error| unreadable(file, &error))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unreadable(file, &error)),
    }
    let line = line.strip_suffix(b"\n").unwrap_or_default();
    Ok(Head::default()
        .follow(line)
        .ok()
        .map(|record| record.node.into_owned()))
}

/// Reads the journal `file` from its first byte to its last, and hands each checked record to
/// `each`. What a crash can leave behind the last whole record is no fault if the head is before
/// it: an unfinished line, or a hole of NUL bytes where the file grew and its data did not come.
pub(crate) fn walk(
    file: &Path,
    head: Option<Head>,
    each: &mut dyn FnMut(&Record<'_>) -> Result<(), Tampered>,
) -> Result<Walk, Tampered> {
    let mut walk = Walk {
        node: None,
        tail: Head::default(),
        whole_bytes: 0,
        torn_bytes: 0,
        first_at: None,
        last_at: None,
    };
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) => {
            return Err(match head {
                Some(head) if error.kind() == ErrorKind::NotFound => Tampered::Truncated {
                    file: file.to_owned(),
                    seq: 0,
                    head: head.seq,
                },
                _ => unreadable(file, &error),
            });
        }
    };
    let mut reader = BufReader::with_capacity(1 << 16, opened);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader
            .read_until(b'\n', &mut bytes)
            .map_err(|error| unreadable(file, &error))? as u64;
        let Some(line) = bytes.strip_suffix(b"\n") else {
            walk.torn_bytes = read;
            break;
        };
        match walk.step(file, line, head) {
            Ok(record) => each(&record)?,
            Err(Tampered::NoRecord { .. }) if line.contains(&0) => {
                let size = reader
                    .get_ref()
                    .metadata()
                    .map_err(|error| unreadable(file, &error))?;
                walk.torn_bytes = size.len().saturating_sub(walk.whole_bytes);
                break;
            }
            Err(found) => return Err(found),
        }
        walk.whole_bytes += read;
    }
    match head {
        Some(head) if walk.tail.seq < head.seq => Err(Tampered::Truncated {
            file: file.to_owned(),
            seq: walk.tail.seq,
            head: head.seq,
        }),
        _ => Ok(walk),
    }
}

impl Walk {
    /// Checks the next line. Numbers are those of lines, until one is not.
    fn step<'a>(
        &mut self,
        file: &Path,
        bytes: &'a [u8],
        head: Option<Head>,
    ) -> Result<Record<'a>, Tampered> {
        let seq = self.tail.seq.saturating_add(1);
        let (line, file) = (seq, || file.to_owned());
        let record = self.tail.follow(bytes).map_err(|broken| match broken {
            Broken::Shape(why) => Tampered::NoRecord {
                file: file(),
                line,
                seq,
                why,
            },
            Broken::Number {
                expected: seq,
                found,
            } => Tampered::Order {
                file: file(),
                line,
                seq,
                found,
            },
            Broken::Link { expected, found } => Tampered::Link {
                file: file(),
                line,
                seq,
                expected,
                found,
            },
            Broken::Seal { expected, found } => Tampered::Edited {
                file: file(),
                line,
                seq,
                expected,
                found,
            },
        })?;
        if let Some(head) = head.filter(|head| head.seq == seq && head.hash != self.tail.hash) {
            let (expected, found) = (head.hash, self.tail.hash);
            return Err(Tampered::Rewritten {
                file: file(),
                line,
                seq,
                expected,
                found,
            });
        }
        let node = self
            .node
            .get_or_insert_with(|| record.node.clone().into_owned());
        if *node != record.node {
            let (expected, found) = (node.clone(), record.node.into_owned());
            return Err(Tampered::Node {
                file: file(),
                line,
                seq,
                expected,
                found,
            });
        }
        if self.first_at.is_none() {
            self.first_at = Some(record.at.clone().into_owned());
        }
        let last = self.last_at.get_or_insert_default();
        last.clear();
        last.push_str(&record.at);
        Ok(record)
    }
}

fn unreadable(file: &Path, why: &impl ToString) -> Tampered {
    Tampered::Unreadable {
        file: file.to_owned(),
        why: why.to_string(),
    }
}
