//! The check that nobody touched the journal: every line, its number, its link and its hash, and
//! that the chain reaches and passes through the head in the store. It never writes, and needs no
//! running gate.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind};
use std::path::Path;

use crate::chain::{Broken, Head, Record, Start};
use crate::file::read_heads;
use crate::layout::{journal_dir, journal_file, tickets_file};
use crate::shelf::{Closed, Shelf};
use crate::signatures::{Signatures, Signed};
use crate::signing::PublicKey;
use crate::tampered::Tampered;

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
    /// What is not there any more, by rule.
    pub forgotten: Option<Forgotten>,
    /// How far it is signed, where there was a key to tell by.
    pub signed: Option<Signed>,
    /// So many heads in it are signed with keys that were not at hand.
    pub unchecked: u64,
}

/// A walk through a whole journal.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) node: Option<String>,
    pub(crate) tail: Head,
    /// Of the file that is written.
    pub(crate) whole_bytes: u64,
    pub(crate) torn_bytes: u64,
    /// The first record of the last file that has one.
    opened: Option<(u64, String)>,
    /// The line that is looked at, in its file.
    line: u64,
    /// Where the chain begins, if not with its first record.
    begin: Begin,
    first_at: Option<String>,
    last_at: Option<String>,
    signatures: Signatures,
}

/// Where a chain begins whose first files were removed: nowhere unless it says itself that they were.
#[derive(Default)]
struct Begin {
    before: Head,
    /// What is wrong until the chain has said so.
    fault: Option<Tampered>,
    said: Option<Forgotten>,
}

/// What was removed by rule, all of it at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The number of the last record that was removed.
    pub last: u64,
    /// When it was.
    pub at: String,
}

/// Verifies the journal in `dir`, as it is on disk, up to `head`, the head in the store. Without
/// one, records that were cut off its end are not missed.
pub fn verify(dir: &Path, head: Option<Head>) -> Result<Report, Tampered> {
    verify_signed(dir, head, &[])
}

fn verify_signed(dir: &Path, head: Option<Head>, keys: &[PublicKey]) -> Result<Report, Tampered> {
    let walk = walk(dir, head, Signatures::all(keys), &mut |_| Ok(()))?;
    let head_seq = head.map(|head| head.seq);
    Ok(Report {
        node: walk.node,
        records: walk.tail.seq.saturating_sub(walk.begin.before.seq),
        first_at: walk.first_at,
        last_at: walk.last_at,
        head_seq,
        unanchored: walk.tail.seq.saturating_sub(head_seq.unwrap_or(0)),
        torn_bytes: walk.torn_bytes,
        forgotten: walk.begin.said,
        unchecked: walk.signatures.others(),
        signed: walk.signatures.report(dir, walk.tail.seq)?,
    })
}

/// Verifies the journal of a state directory up to the head in its ticket store, which is only
/// read. The gate may be running.
pub fn verify_state(state: &Path) -> Result<Report, Tampered> {
    verify_state_signed(state, &[])
}

/// The same, and that each head which one of these keys signed is the one that it signed. If there are keys, there has to be
/// such a head.
pub fn verify_state_signed(state: &Path, keys: &[PublicKey]) -> Result<Report, Tampered> {
    let dir = journal_dir(state);
    match verify_signed(&dir, head_of(state)?, keys) {
        // A running gate may have removed files by its rule while they were read.
        Err(Tampered::Missing { .. }) => verify_signed(&dir, head_of(state)?, keys),
        verified => verified,
    }
}

/// The head that the ticket store of a state directory has for its journal.
pub(crate) fn head_of(state: &Path) -> Result<Option<Head>, Tampered> {
    head_in(&tickets_file(state), &journal_dir(state))
}

/// The head that these tickets have for the journal in `dir`.
pub(crate) fn head_in(tickets: &Path, dir: &Path) -> Result<Option<Head>, Tampered> {
    // The heads first: what is written meanwhile is then beyond the head, and not short of it.
    let heads = read_heads(tickets).map_err(|error| unreadable(tickets, &error))?;
    let file = journal_file(dir);
    let start = Shelf::open(dir).and_then(|it| it.start());
    let start = start.map_err(|error| unreadable(dir, &error))?;
    Ok(match start.map(|it| it.node) {
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

/// Reads the journal in `dir`, all its files in order, and hands each checked record to `each`. What a
/// crash can leave behind the last whole record is no fault if the head is before
/// it: an unfinished line, or a hole of NUL bytes where the file grew and its data did not come.
pub(crate) fn walk(
    dir: &Path,
    head: Option<Head>,
    signatures: Signatures,
    each: &mut dyn FnMut(&Record<'_>) -> Result<(), Tampered>,
) -> Result<Walk, Tampered> {
    let file = journal_file(dir);
    let shelf = Shelf::open(dir).map_err(|error| unreadable(&file, &error))?;
    let mut walk = Walk {
        signatures,
        ..Walk::default()
    };
    let walked = walk.files(dir, shelf, head, each);
    if let Some(fault) = walk.begin.fault.take() {
        return Err(fault);
    }
    walked?;
    walk.signatures.end()?;
    match head {
        Some(head) if walk.tail.seq < head.seq => Err(Tampered::Truncated {
            file,
            seq: walk.tail.seq,
            head: head.seq,
        }),
        _ => Ok(walk),
    }
}

impl Walk {
    /// The first record of the file that is written, and its time, if it has one.
    pub(crate) fn current(&self) -> Option<(u64, &str)> {
        let (seq, at) = self.opened.as_ref().filter(|_| self.whole_bytes > 0)?;
        Some((*seq, at))
    }

    /// Reads all files in their order.
    fn files(
        &mut self,
        dir: &Path,
        files: Shelf,
        head: Option<Head>,
        each: &mut dyn FnMut(&Record<'_>) -> Result<(), Tampered>,
    ) -> Result<(), Tampered> {
        let missing = |first, last| Tampered::Missing {
            dir: dir.to_owned(),
            first,
            last,
        };
        for Closed { first, last, path } in files.closed {
            let next = self.tail.seq.saturating_add(1);
            if self.node.is_some() && first > next {
                return Err(missing(next, first.saturating_sub(1)));
            }
            let file = match File::open(&path) {
                Ok(file) => file,
                // Removed by its rule since it was listed; if it was not, the next file tells.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&path, &error)),
            };
            self.file(&path, file, head, each)?;
            if self.torn_bytes > 0 || self.tail.seq < last {
                let (line, seq) = (self.line, self.tail.seq.saturating_add(1));
                return Err(Tampered::NoRecord {
                    file: path,
                    line,
                    seq,
                    why: format!("the file ends, though it should go on to record {last}"),
                });
            }
        }
        let Some((path, file)) = files.current else {
            let file = journal_file(dir);
            return match head {
                Some(head) if self.tail.seq < head.seq => Err(Tampered::Truncated {
                    file,
                    seq: self.tail.seq,
                    head: head.seq,
                }),
                _ if self.tail.seq > 0 => Ok(()),
                _ => Err(unreadable(&file, &io::Error::from(ErrorKind::NotFound))),
            };
        };
        let next = self.tail.seq.saturating_add(1);
        match self.file(&path, file, head, each) {
            Err(Tampered::Order { line: 1, found, .. }) if self.node.is_some() && found > next => {
                Err(missing(next, found - 1))
            }
            walked => walked,
        }
    }

    /// Reads one file to its end.
    fn file(
        &mut self,
        file: &Path,
        opened: File,
        head: Option<Head>,
        each: &mut dyn FnMut(&Record<'_>) -> Result<(), Tampered>,
    ) -> Result<(), Tampered> {
        (self.whole_bytes, self.torn_bytes, self.line) = (0, 0, 0);
        let mut reader = BufReader::with_capacity(1 << 16, opened);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(|error| unreadable(file, &error))? as u64;
            self.line += 1;
            let Some(line) = bytes.strip_suffix(b"\n") else {
                self.torn_bytes = read;
                return Ok(());
            };
            match self.step(file, line, head) {
                Ok(record) => each(&record)?,
                Err(Tampered::NoRecord { .. }) if line.contains(&0) => {
                    let size = reader
                        .get_ref()
                        .metadata()
                        .map_err(|error| unreadable(file, &error))?;
                    self.torn_bytes = size.len().saturating_sub(self.whole_bytes);
                    return Ok(());
                }
                Err(found) => return Err(found),
            }
            self.whole_bytes += read;
        }
    }

    /// Where the first line that there is has another number than one, the chain may begin there.
    fn begin(&mut self, file: &Path, line: &[u8]) {
        let start = Start::read(line).filter(|it| it.before.seq > 0);
        let Some(Start { before, .. }) = start else {
            return;
        };
        self.tail = before;
        self.begin.before = before;
        let dir = file.parent().filter(|dir| journal_file(dir) != file);
        self.begin.fault = Some(match dir {
            Some(dir) => Tampered::Missing {
                dir: dir.to_owned(),
                first: 1,
                last: before.seq,
            },
            None => Tampered::Order {
                file: file.to_owned(),
                line: 1,
                seq: 1,
                found: before.seq.saturating_add(1),
            },
        });
    }

    /// Checks the next line.
    fn step<'a>(
        &mut self,
        file: &Path,
        bytes: &'a [u8],
        head: Option<Head>,
    ) -> Result<Record<'a>, Tampered> {
        if self.node.is_none() {
            self.begin(file, bytes);
        }
        let seq = self.tail.seq.saturating_add(1);
        let (line, path, file) = (self.line, file, || file.to_owned());
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
        self.signatures.meet(&record, path, line)?;
        self.note(&record);
        Ok(record)
    }

    /// What is kept of a record that was checked.
    fn note(&mut self, record: &Record<'_>) {
        if let Some(last) = self.begin.fault.as_ref().and_then(|_| record.forgotten())
            && last == self.begin.before
        {
            let (last, at) = (last.seq, record.at.clone().into_owned());
            self.begin.fault = None;
            self.begin.said = Some(Forgotten { last, at });
        }
        if self.line == 1 {
            self.opened = Some((record.seq, record.at.clone().into_owned()));
        }
        if self.first_at.is_none() {
            self.first_at = Some(record.at.clone().into_owned());
        }
        let last = self.last_at.get_or_insert_default();
        last.clear();
        last.push_str(&record.at);
    }
}

fn unreadable(file: &Path, why: &impl ToString) -> Tampered {
    Tampered::Unreadable {
        file: file.to_owned(),
        why: why.to_string(),
    }
}
