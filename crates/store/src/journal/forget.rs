//! What the journal need not keep any longer, by the rule that it was given: closed files, the oldest first. It never removes
//! one before the chain says so on disk, and never one that tells of a use of a ticket whose end nobody knows.

use std::io;
use std::path::PathBuf;

use gate::Entry;

use super::files::{remove, sync_dir};
use super::inbox::Said;
use super::writer::Writer;
use crate::clock::milliseconds;
use crate::layout::journal_file;
use crate::shelf;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// How often it is looked for such files, where there is something to write.
const EVERY_MS: i64 = HOUR_MS;
/// A file is closed at the latest so long after its first record, where files are not kept for ever: one that is written is
/// never removed.
const TURN_MS: i64 = 24 * HOUR_MS;
/// How far a clock may have been put back since a ticket was claimed.
const CLOCK_MS: i64 = HOUR_MS;

impl Writer {
    /// Closes the file if it is time for that, and removes those that are too old.
    pub(super) fn tidy(&mut self) -> io::Result<()> {
        let now_ms = self.clock.now_ms();
        let turned = if self.is_long(now_ms) {
            self.sign()?;
            self.put(true)?;
            // Where that cannot be now it is tried again as late as for what has been written since.
            self.turn_at = self
                .files
                .size()
                .0
                .saturating_add(self.keeping.rotate_bytes);
            let turned = self.files.turn(self.tail, &mut *self.sink)?;
            if turned {
                self.turn_at = self.keeping.rotate_bytes;
            }
            turned
        } else {
            false
        };
        if let Some(keep_ms) = self.keeping.keep_ms
            && (turned || now_ms.saturating_sub(self.forgot_ms) >= EVERY_MS)
        {
            self.forgot_ms = now_ms;
            self.forget(now_ms.saturating_sub(keep_ms))?;
        }
        Ok(())
    }

    fn is_long(&self, now_ms: i64) -> bool {
        let (bytes, since_ms) = self.files.size();
        let old = |since: i64| now_ms.saturating_sub(since) >= TURN_MS;
        let due = self.keeping.keep_ms.is_some() && since_ms.is_some_and(old);
        bytes >= self.turn_at || (due && self.turn_at <= self.keeping.rotate_bytes)
    }

    /// Removes the closed files whose last record is older than this.
    fn forget(&mut self, before_ms: i64) -> io::Result<()> {
        let before_ms = match self.anchor.store().oldest_unsettled() {
            Ok(None) => before_ms,
            Ok(Some(claimed_ms)) => before_ms.min(claimed_ms.saturating_sub(CLOCK_MS)),
            Err(error) => {
                tracing::warn!(%error, "no file of the journal is removed: nobody knows what is still needed");
                return Ok(());
            }
        };
        let old = self.older_than(before_ms)?;
        if old.is_empty() {
            return Ok(());
        }
        for (_, forgotten) in &old {
            let forgotten = serde_json::to_vec(forgotten)?;
            self.seal(Said::One(&forgotten));
        }
        self.put(true)?;
        for (path, _) in &old {
            remove(path)?;
            tracing::info!(file = %path.display(), "removed a file of the journal by its rule");
        }
        sync_dir(self.files.dir())
    }

    /// Those files, with what the chain is to say of each. Of a file's last record the first of the next knows the hash, and
    /// it is not older.
    fn older_than(&self, before_ms: i64) -> io::Result<Vec<(PathBuf, Entry)>> {
        let closed = shelf::closed(self.files.dir())?;
        let mut old = Vec::new();
        let current = journal_file(self.files.dir());
        for (at, file) in closed.iter().enumerate() {
            let next = closed.get(at + 1).map_or(&current, |it| &it.path);
            let Some(next) = shelf::start_of(next)? else {
                break;
            };
            let follows = next.before.seq == file.last;
            let is_old = milliseconds(&next.at).is_some_and(|it| it < before_ms);
            if !(follows && is_old) {
                break;
            }
            let forgotten = Entry::Forgotten {
                first: file.first,
                last: file.last,
                last_hash: next.before.hash.to_string(),
            };
            old.push((file.path.clone(), forgotten));
        }
        Ok(old)
    }
}
