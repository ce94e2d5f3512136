//! Where the journal's bytes go. It never retries, and never says that something is on disk of which nobody knows: what the
//! journal does about an error is [`super::outage`]'s.

use std::fs::File;
use std::io::{self, Write as _};

/// A file, or what a test puts in its place to fail at will.
pub trait Sink: Send + 'static {
    /// Appends all of `bytes`.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is on disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Goes on in this file, which takes the place of the one that it has.
    fn go_on_in(&mut self, file: File) -> io::Result<()>;
}

impl Sink for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self).write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn go_on_in(&mut self, file: File) -> io::Result<()> {
        *self = file;
        Ok(())
    }
}
