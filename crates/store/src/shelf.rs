//! The journal's files in their order: closed ones, whose names say which records they have, and the one that is written.
//! It never opens one for writing, and never removes one.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::chain::Start;
use crate::layout::journal_file;

const BEFORE: &str = "journal.";
const BEHIND: &str = ".jsonl";

/// A file to which nothing is written any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Its first record, as its name says.
    pub(crate) first: u64,
    /// Its last.
    pub(crate) last: u64,
    pub(crate) path: PathBuf,
}

/// The files of one journal.
pub(crate) struct Shelf {
    /// Those that are closed, the oldest first.
    pub(crate) closed: Vec<Closed>,
    /// The one that is written, and where it is.
    pub(crate) current: Option<(PathBuf, File)>,
}

impl Shelf {
    /// Opens the file that is written and lists the others. The gate may close the one and go on in another meanwhile: that
    /// one is opened first, so each file is there once, and what is written to others is younger than all of it.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = journal_file(dir);
        let current = match File::open(&path) {
            Ok(file) => Some((path, file)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut seen = HashSet::new();
        if let Some((_, file)) = &current {
            let it = file.metadata()?;
            seen.insert((it.dev(), it.ino()));
        }
        let mut closed = closed(dir)?;
        // A file that is about to be closed has two names, and may have had another before a crash: the last one counts.
        closed.reverse();
        closed.retain(|it| match fs::metadata(&it.path) {
            Ok(it) => seen.insert((it.dev(), it.ino())),
            // Removed since.
            Err(error) => error.kind() != ErrorKind::NotFound,
        });
        closed.reverse();
        Ok(Self { closed, current })
    }

    /// How the oldest record of all begins, if it holds in itself.
    pub(crate) fn start(&self) -> io::Result<Option<Start>> {
        for it in &self.closed {
            match start_of(&it.path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                found => return found,
            }
        }
        match &self.current {
            Some((path, _)) => start_of(path),
            None => Ok(None),
        }
    }
}

/// Every closed file of a directory, the oldest first, by their names alone.
pub(crate) fn closed(dir: &Path) -> io::Result<Vec<Closed>> {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut closed = Vec::new();
    for entry in listed {
        let entry = entry?;
        if let Some((first, last)) = entry.file_name().to_str().and_then(numbers) {
            let path = entry.path();
            closed.push(Closed { first, last, path });
        }
    }
    closed.sort_by_key(|it| (it.first, it.last));
    Ok(closed)
}

/// What a file with these records is called once it is closed: names sort as their records do.
pub(crate) fn closed_file(dir: &Path, first: u64, last: u64) -> PathBuf {
    dir.join(format!("{BEFORE}{first:012}-{last:012}{BEHIND}"))
}

fn numbers(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name
        .strip_prefix(BEFORE)?
        .strip_suffix(BEHIND)?
        .split_once('-')?;
    let number = |digits: &str| {
        let is_number = digits.bytes().all(|it| it.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    };
    Some((number(first)?, number(last)?))
}

/// How the first record of a file begins; nothing where there is none that holds in itself.
pub(crate) fn start_of(path: &Path) -> io::Result<Option<Start>> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").and_then(Start::read_sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_records() {
        let dir = Path::new("j");
        let path = closed_file(dir, 7, 1_234_567_890_123);
        assert_eq!(path, dir.join("journal.000000000007-1234567890123.jsonl"));
        let name = path.file_name().and_then(|it| it.to_str()).unwrap();
        assert_eq!(numbers(name), Some((7, 1_234_567_890_123)));
        for other in [
            "journal.jsonl",
            "journal.1.jsonl",
            "journal.-5.jsonl",
            "journal.+1-5.jsonl",
            "journal.1-5.jsonl.gz",
            "torn-after-5.bin",
        ] {
            assert_eq!(numbers(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_of_two_names_is_there_once() {
        let dir = tempfile::tempdir().unwrap();
        let current = journal_file(dir.path());
        fs::write(&current, "").unwrap();
        fs::write(closed_file(dir.path(), 11, 20), "").unwrap();
        fs::write(closed_file(dir.path(), 1, 10), "").unwrap();
        fs::hard_link(&current, closed_file(dir.path(), 21, 30)).unwrap();
        let shelf = Shelf::open(dir.path()).unwrap();
        let listed: Vec<u64> = shelf.closed.iter().map(|it| it.first).collect();
        assert_eq!(listed, [1, 11]);
        assert!(shelf.current.is_some());
        assert_eq!(closed(dir.path()).unwrap().len(), 3);
    }
}
