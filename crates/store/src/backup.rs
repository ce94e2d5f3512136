//! A state directory copied while its gate runs, and put back: tickets by SQLite's own backup, the journal up to the head that
//! those know. It never takes a copy for good that does not verify, never overwrites a state that is there, and never lets
//! anything run on the word of a state that others have outlived.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gate::State;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};

use crate::chain::{Head, Start};
use crate::clock::{SystemClock, WallClock as _};
use crate::file::{BUSY, OpenError, read_only};
use crate::journal::is_written;
use crate::layout::{journal_dir, journal_file, tickets_file};
use crate::shelf::Shelf;
use crate::tampered::Tampered;
use crate::verify::{self, Report};

/// Why a state was not copied, or not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something already.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A gate runs on it.
    #[error("a gate runs on {}: stop it first", path.display())]
    Running {
        /// The state directory.
        path: PathBuf,
    },
    /// It has no tickets.
    #[error(transparent)]
    Tickets(#[from] OpenError),
    /// What was copied, or is to be, does not verify.
    #[error("the journal is not whole: {0}")]
    Tampered(#[from] Tampered),
    /// SQLite said no.
    #[error("cannot copy the tickets: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file system said no.
    #[error("cannot copy {}: {why}", path.display())]
    Cannot {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The journal, as it was checked.
    pub report: Report,
    /// Where the state is that was there before.
    pub aside: Option<PathBuf>,
    /// So many tickets were approved and have to be asked for again.
    pub void: usize,
    /// So many were executing: nobody knows what came of them.
    pub in_doubt: usize,
}

/// Copies a state directory into `into`, which is made, or is empty. The gate may be running.
pub fn backup(state: &Path, into: &Path) -> Result<Report, BackupError> {
    make(into)?;
    if has_any(into)? {
        let path = into.to_owned();
        return Err(BackupError::NotEmpty { path });
    }
    let (from, to) = (journal_dir(state), journal_dir(into));
    make(&to)?;
    // The tickets first: the journal is always on disk as far as their head says.
    copy_tickets(&tickets_file(state), &tickets_file(into))?;
    let head = verify::head_in(&tickets_file(into), &from)?;
    let shelf = Shelf::open(&from).map_err(cannot(&from))?;
    for closed in shelf.closed {
        let is_whole = head.is_some_and(|head| closed.last <= head.seq);
        let name = closed.path.file_name().filter(|_| is_whole);
        let target = name.map_or_else(|| journal_file(&to), |name| to.join(name));
        let file = File::open(&closed.path).map_err(cannot(&closed.path))?;
        copy_records(file, &target, head).map_err(cannot(&target))?;
        if !is_whole {
            return finish(into, &to);
        }
    }
    if let Some((_, file)) = shelf.current {
        let target = journal_file(&to);
        copy_records(file, &target, head).map_err(cannot(&target))?;
    }
    finish(into, &to)
}

fn finish(into: &Path, journal: &Path) -> Result<Report, BackupError> {
    for dir in [journal, into] {
        let synced = File::open(dir).and_then(|it| it.sync_all());
        synced.map_err(cannot(dir))?;
    }
    Ok(verify::verify_state(into)?)
}

/// Puts a copy back as the state directory `state`. A state that is there is moved aside if `force` says so.
///
/// What was approved or was running when the copy was taken may have run since: it is void, or in doubt, and nothing of it runs
/// again before people have said so.
pub fn restore(from: &Path, state: &Path, force: bool) -> Result<Restored, BackupError> {
    verify::verify_state(from)?;
    make(state)?;
    let (tickets, journal) = (tickets_file(state), journal_dir(state));
    if is_written(&journal).map_err(cannot(&journal))? {
        let path = state.to_owned();
        return Err(BackupError::Running { path });
    }
    let now_ms = SystemClock.now_ms();
    let mut aside = None;
    if tickets.exists() || journal.exists() {
        if !force {
            let path = state.to_owned();
            return Err(BackupError::NotEmpty { path });
        }
        let path = state.join(format!("before-restore-{now_ms}"));
        put_aside(state, &path).map_err(cannot(&path))?;
        aside = Some(path);
    }
    let half = state.join("restoring");
    if half.exists() {
        fs::remove_dir_all(&half).map_err(cannot(&half))?;
    }
    let report = backup(from, &half)?;
    let (void, in_doubt) = outlived(&tickets_file(&half), now_ms)?;
    for name in ["journal", "tickets.db"] {
        fs::rename(half.join(name), state.join(name)).map_err(cannot(&half))?;
    }
    fs::remove_dir_all(&half).map_err(cannot(&half))?;
    File::open(state)
        .and_then(|it| it.sync_all())
        .map_err(cannot(state))?;
    Ok(Restored {
        report,
        aside,
        void,
        in_doubt,
    })
}

/// Takes back what may have run since.
fn outlived(tickets: &Path, now_ms: i64) -> Result<(usize, usize), BackupError> {
    let mut db = Connection::open_with_flags(tickets, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let change = db.transaction()?;
    let advance = "UPDATE tickets SET state = ?2 WHERE state = ?1";
    let to = |from: State, to: State| change.execute(advance, [from.as_str(), to.as_str()]);
    let void = to(State::Approved, State::Void)?;
    let in_doubt = to(State::Executing, State::InDoubt)?;
    change.execute(
        "UPDATE claims SET ended = ?1, ended_ms = ?2 WHERE ended IS NULL",
        params![State::InDoubt.as_str(), now_ms],
    )?;
    change.commit()?;
    // One file again: what stands beside it would stay behind.
    db.pragma_update(None, "wal_checkpoint", "truncate")?;
    db.close().map_err(|(_, error)| error)?;
    Ok((void, in_doubt))
}

fn put_aside(state: &Path, aside: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(aside)?;
    for name in ["journal", "tickets.db", "tickets.db-wal", "tickets.db-shm"] {
        let there = state.join(name);
        if there.exists() {
            fs::rename(there, aside.join(name))?;
        }
    }
    Ok(())
}

fn copy_tickets(from: &Path, to: &Path) -> Result<(), BackupError> {
    let source = read_only(from)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(cannot(to))?;
    let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    target.busy_timeout(BUSY)?;
    // All pages in one step: readers and the one writer of a WAL do not wait for one another.
    while Backup::new(&source, &mut target)?.step(-1)? != StepResult::Done {
        std::thread::yield_now();
    }
    target.close().map_err(|(_, error)| error)?;
    let synced = File::open(to).and_then(|it| it.sync_all());
    synced.map_err(cannot(to))
}

/// Copies whole records up to the head, and what is beyond it not.
fn copy_records(from: File, to: &Path, head: Option<Head>) -> io::Result<()> {
    let target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let mut out = BufWriter::with_capacity(1 << 16, target);
    let mut reader = BufReader::with_capacity(1 << 16, from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes)?;
        let Some(line) = bytes.strip_suffix(b"\n") else {
            break;
        };
        let beyond = |start: Start| head.is_none_or(|head| start.before.seq >= head.seq);
        if Start::read(line).is_some_and(beyond) {
            break;
        }
        out.write_all(&bytes)?;
    }
    out.into_inner()?.sync_all()
}

fn has_any(dir: &Path) -> Result<bool, BackupError> {
    let mut entries = fs::read_dir(dir).map_err(cannot(dir))?;
    Ok(entries.next().is_some())
}

fn make(dir: &Path) -> Result<(), BackupError> {
    if dir.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(cannot(dir))
}

fn cannot(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |why| BackupError::Cannot { path, why }
}
