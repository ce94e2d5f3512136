//! What must outlive the process: tickets in SQLite, the hash-chained journal in a file, the check
//! that nobody touched it, and what a crash left behind.
//!
//! This crate never judges a request, never opens a socket, and never overwrites evidence: a
//! journal that does not verify is left as it is.
//!
//! State directory: `tickets.db` (see [`tickets_file`]) and `journal/journal.jsonl` (see
//! [`journal_dir`]), beside which are the files of the journal that are closed, such as
//! `journal.000000000001-000000012345.jsonl`: the chain goes on from one to the next.

mod backup;
#[cfg(feature = "broken")]
mod broken;
pub mod chain;
mod check;
mod cipher;
mod claims;
pub mod clock;
mod db;
mod file;
pub mod journal;
pub mod killpoint;
mod layout;
mod ledger;
mod opening;
pub mod options;
mod private;
pub mod read;
pub mod recover;
mod rows;
mod scripts;
mod shelf;
mod signatures;
mod signing;
pub mod sqlite;
mod tampered;
mod tenant_keys;
mod transitions;
mod unsettled;
pub mod verify;
mod words;

pub use backup::{BackupError, Restored, backup, restore};
pub use chain::{Hash, Head};
pub use check::{Checked, check};
pub use clock::{SystemClock, WallClock};
pub use file::OpenError;
pub use journal::{Backlog, JournalError, JournalFile};
pub use layout::{journal_dir, journal_file, tickets_file};
pub use options::{Custody, Keeping, Keys, Options, Signing};
pub use read::{ReadError, Seen, read_state, read_state_opened};
pub use recover::{RecoverError, Recovered, recover};
pub use signatures::Signed;
pub use signing::{KeyError, PublicKey, SigningKey};
pub use sqlite::Sqlite;
pub use tampered::Tampered;
pub use tenant_keys::{TenantKey, TenantKeys};
pub use unsettled::{Past, Unsettled};
pub use verify::{Forgotten, Report, verify, verify_state, verify_state_signed};
