//! What can be wrong with a journal, in words that say where. It never looks at one.

use std::path::PathBuf;

use crate::chain::Hash;

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
    /// A whole file of it is missing.
    #[error("records {first} to {last} are missing: {} has no file with them", dir.display())]
    Missing {
        /// The journal's directory.
        dir: PathBuf,
        /// The first record that is not there.
        first: u64,
        /// The last.
        last: u64,
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
    /// A head that does not bear the signature it should: the chain before it was written anew by somebody who lacks the key.
    #[error(
        "{} line {line}: record {seq} bears no signature of key {key} for the records before it: they are not those that were \
         signed",
        file.display()
    )]
    Signature {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// The record that should sign.
        seq: u64,
        /// The key's id.
        key: String,
    },
    /// No head of the journal is signed with a key that it should be signed with.
    #[error("{} has no record that is signed with key {keys}", dir.display())]
    Unsigned {
        /// The journal's directory.
        dir: PathBuf,
        /// The ids of the keys.
        keys: String,
    },
    /// What is encrypted in a record is not what was encrypted for it.
    #[error(
        "record {seq} has something encrypted in it that key {key} did not encrypt for that place"
    )]
    Displaced {
        /// The record.
        seq: u64,
        /// The key's id.
        key: String,
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
