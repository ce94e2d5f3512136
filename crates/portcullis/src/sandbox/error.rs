//! What can go wrong in the sandbox, in words for the person at the terminal.

use std::path::PathBuf;

/// Why something could not be started, stopped or written.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// No server binaries, or only ones that are too old.
    #[error(
        "no PostgreSQL {least} or newer was found (looked in {}); `make setup` installs it, \
         PORTCULLIS_PG_BIN names a directory of server binaries",
        looked.join(", ")
    )]
    NoPostgres {
        /// The oldest major that will do.
        least: u32,
        /// Where it was looked for.
        looked: Vec<String>,
    },

    /// Running as root on a machine without a user to become.
    #[error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")]
    NoAccount,

    /// A directory the server's user could not enter.
    #[error("no directory for a private server: {}", tried.join("; "))]
    NoRoom {
        /// Each directory that was tried, and what was wrong with it.
        tried: Vec<String>,
    },

    /// A program that was run to its end and failed.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },

    /// The server ended while it was starting.
    #[error("PostgreSQL did not start ({status}); the end of its log:\n{log}")]
    NotStarted {
        /// How it ended, or how long it was waited for.
        status: String,
        /// The last lines of its log.
        log: String,
    },

    /// The system refused something.
    #[error("could not {doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// The system's word.
        source: std::io::Error,
    },

    /// A certificate could not be made.
    #[error("could not make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Names what was being done when the system refused.
pub(super) trait Doing<T> {
    /// Wraps an I/O error with the sentence it belongs to.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError> {
        self.map_err(|source| SandboxError::System {
            doing: what(),
            source,
        })
    }
}

/// `write PATH`, the commonest sentence.
pub(super) fn write_to(path: &std::path::Path, text: &str) -> Result<PathBuf, SandboxError> {
    std::fs::write(path, text).doing(|| format!("write {}", path.display()))?;
    Ok(path.to_path_buf())
}
