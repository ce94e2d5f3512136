//! PostgreSQL's own regression suite, straight to a server and through a gate: what differs, and why.
//!
//! The straight run is the truth, not the suite's expected files: same machine, same server, same
//! programs, so that whatever differs is the gate's doing. Nothing is normalised.

mod comparison;
mod reasons;
mod run;
mod suite;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

pub use comparison::Comparison;
pub use reasons::Reasons;
pub use run::Run;
pub use suite::Suite;

/// How long the gate keeps a client on one upstream connection (`pool_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Session,
    Transaction,
}

impl Mode {
    pub const ALL: [Self; 2] = [Self::Session, Self::Transaction];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where sources are cached and results are left: `target/regress` of the workspace.
pub fn directory() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().unwrap_or(&tests);
    root.join("target").join("regress")
}

/// Makes a directory new and empty.
fn emptied(directory: &Path) -> Result<(), String> {
    let doing = |error| format!("could not empty {}: {error}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(doing)?;
    }
    fs::create_dir_all(directory).map_err(doing)
}
