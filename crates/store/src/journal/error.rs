//! Why a journal was not opened, in words. It never looks at one.

use std::io;
use std::path::{Path, PathBuf};

use gate::tickets::StoreError;

use crate::tampered::Tampered;

/// Why a journal was not opened. It was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process, or another handle of this one, writes it.
    #[error("journal {} is written by another process", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
    },
    /// It belongs to another node.
    #[error(
        "journal {} belongs to node \"{found}\", but this is node \"{expected}\"", path.display()
    )]
    OtherNode {
        /// The journal.
        path: PathBuf,
        /// This node.
        expected: String,
        /// The journal's.
        found: String,
    },
    /// It does not verify.
    #[error("the journal does not verify and was left as it is: {0}")]
    Tampered(#[from] Tampered),
    /// The store did not say how far the journal should reach.
    #[error("cannot read the journal's head in the ticket store: {0}")]
    Store(#[from] StoreError),
    /// The file system said no.
    #[error("cannot open journal {}: {doing}: {why}", path.display())]
    Cannot {
        /// The journal or its directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        why: io::Error,
    },
}

/// What the file system said when that was tried.
pub(super) fn fails(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |why| JournalError::Cannot { path, doing, why }
}
