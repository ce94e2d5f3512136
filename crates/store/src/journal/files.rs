//! The file that the journal is written to: how it is locked, how it is closed for the next, and how it is cut back to what
//! was written whole. It never changes a closed file.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::{JournalError, fails};
use super::sink::Sink;
use crate::chain::Head;
use crate::layout::journal_file;
use crate::shelf;
use crate::verify::Walk;

/// The next file, before it takes the place of the one that is written.
const NEXT: &str = "journal.next";

/// The file that is written.
pub(super) struct Files {
    dir: PathBuf,
    /// The lock on it, and a way to its end that goes around the sink.
    file: File,
    /// How many bytes of it were written whole.
    written: u64,
    /// Its first record.
    first: u64,
    /// When that was written.
    since_ms: Option<i64>,
}

impl Files {
    /// What is known of the file that was locked and walked.
    pub(super) fn new(dir: &Path, file: &File, walk: &Walk) -> io::Result<Self> {
        let current = walk.current();
        Ok(Self {
            dir: dir.to_owned(),
            file: file.try_clone()?,
            written: walk.whole_bytes,
            first: current.map_or(walk.tail.seq.saturating_add(1), |it| it.0),
            since_ms: current.and_then(|it| crate::clock::milliseconds(it.1)),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// So many bytes more were written whole.
    pub(super) fn wrote(&mut self, bytes: usize, now_ms: i64) {
        self.written = self.written.saturating_add(bytes as u64);
        self.since_ms.get_or_insert(now_ms);
    }

    /// How many bytes it has, and since when.
    pub(super) fn size(&self) -> (u64, Option<i64>) {
        (self.written, self.since_ms)
    }

    /// Cuts off what was not written whole.
    pub(super) fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.written)
    }

    /// Closes the file, all of which is on disk up to `tail`, and goes on in another. There is no moment at which the journal
    /// has no file. `false` if that cannot be now, and the file is as it was; an error says that nobody knows.
    pub(super) fn turn(&mut self, tail: Head, sink: &mut dyn Sink) -> io::Result<bool> {
        let closed = shelf::closed_file(&self.dir, self.first, tail.seq);
        let (current, next) = (journal_file(&self.dir), self.dir.join(NEXT));
        let prepared = prepare(&next).and_then(|file| {
            fs::hard_link(&current, &closed)?;
            Ok(file)
        });
        let file = match prepared.and_then(|file| Ok((fs::rename(&next, &current)?, file))) {
            Ok(((), file)) => file,
            Err(error) => {
                tracing::warn!(%error, "the journal goes on in a file that should have been closed");
                remove(&closed)?;
                return Ok(false);
            }
        };
        sync_dir(&self.dir)?;
        self.file = file.try_clone()?;
        sink.go_on_in(file)?;
        (self.written, self.since_ms) = (0, None);
        self.first = tail.seq.saturating_add(1);
        tracing::info!(file = %closed.display(), "closed a file of the journal");
        Ok(true)
    }
}

/// The next file, empty, and already ours.
fn prepare(next: &Path) -> io::Result<File> {
    remove(next)?;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(next)?;
    file.try_lock()?;
    file.sync_all()?;
    Ok(file)
}

/// Opens the file, making it and its directory where they are missing, for this process alone. A turn that a crash cut
/// short is undone.
pub(super) fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = &*journal_file(dir);
    let busy = || JournalError::Busy {
        path: path.to_owned(),
    };
    if !dir.is_dir() {
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(fails(dir, "make the directory"))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent).map_err(fails(parent, "sync the directory"))?;
        }
    }
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(fails(path, "open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy()),
        Err(TryLockError::Error(why)) => return Err(fails(path, "lock")(why)),
    }
    // Whoever closed it between our opening and our lock writes another by now.
    let same = is_same(&file, path).map_err(fails(path, "look at"))?;
    if !same {
        return Err(busy());
    }
    undo_turn(dir, &file).map_err(fails(dir, "clear up in the directory"))?;
    sync_dir(dir).map_err(fails(dir, "sync the directory"))?;
    Ok(file)
}

/// Whether a gate writes the journal in `dir` now.
pub(crate) fn is_written(dir: &Path) -> io::Result<bool> {
    let file = match File::open(journal_file(dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn undo_turn(dir: &Path, file: &File) -> io::Result<()> {
    remove(&dir.join(NEXT))?;
    for closed in shelf::closed(dir)? {
        if is_same(file, &closed.path)? {
            remove(&closed.path)?;
        }
    }
    Ok(())
}

fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (one, other) = (file.metadata()?, fs::metadata(path)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Cuts off what a crash left behind the last whole record; the bytes are kept beside it.
pub(super) fn cut_torn(dir: &Path, file: &mut File, walk: &Walk) -> io::Result<()> {
    if walk.torn_bytes == 0 {
        return Ok(());
    }
    let kept = dir.join(format!("torn-after-{}.bin", walk.tail.seq));
    let mut kept = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(kept)?;
    file.seek(SeekFrom::Start(walk.whole_bytes))?;
    io::copy(file, &mut kept)?;
    kept.sync_all()?;
    sync_dir(dir)?;
    file.set_len(walk.whole_bytes)?;
    file.sync_all()
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
