//! Where things are in a state directory. It never looks whether they are there.

use std::path::{Path, PathBuf};

/// Where the tickets are in a state directory.
pub fn tickets_file(state: &Path) -> PathBuf {
    state.join("tickets.db")
}

/// Where the journal is in a state directory.
pub fn journal_dir(state: &Path) -> PathBuf {
    state.join("journal")
}

/// The journal in its directory.
pub fn journal_file(dir: &Path) -> PathBuf {
    dir.join("journal.jsonl")
}
