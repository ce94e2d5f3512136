//! Where the journal's bytes go. It never retries: an error of a disk is the end of the journal
//! (after a failed fsync nobody knows what is on it).

use std::fs::File;
use std::io::{self, Write as _};

/// A file, or what a test puts in its place to fail at will.
pub trait Sink: Send + 'static {
    /// Appends all of `bytes`.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self).write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
