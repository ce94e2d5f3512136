//! What the journal does when the disk takes nothing: it is closed at once, everybody who waits hears why, and where it was room
//! that was missing it opens again once there is enough of it. It never loses an entry that it took, and never opens again
//! after a sync that failed: nobody knows then what is on the disk, and only a start reads all of it again.

use std::io::{self, ErrorKind};
use std::time::Duration;

use gate::{Entry, JournalDown};

use super::inbox::{Inbox, Said};
use super::writer::Writer;

/// How often it is tried whether there is room.
const AGAIN: Duration = Duration::from_secs(1);
/// So much room there must be, so that the gate does not close again with the next statement.
const ROOM_BYTES: usize = 1 << 20;

impl Writer {
    /// Closes the journal for `error`, and waits until it can be written again. `false` if it cannot be without a start.
    pub(super) fn outlast(&mut self, error: &io::Error, inbox: &Inbox) -> bool {
        let why = why(error);
        // What is sealed is not in the file, or only in part: it is all still here.
        let can_mend = self.batch.is_left() && needs_room(why);
        inbox.shut(why, &mut self.taken);
        self.batch.dismiss();
        self.seal_taken();
        self.taken.waiting.clear();
        let seq = self.tail.seq;
        if !can_mend {
            tracing::error!(%error, seq, "{why}: the gate is closed until it is started again");
            return false;
        }
        tracing::error!(%error, seq, "{why}: the gate is closed until there is room");
        loop {
            let last = inbox.rest(AGAIN);
            match self.mend(why) {
                Ok(()) => break,
                Err(error) if !self.batch.is_left() => {
                    tracing::error!(%error, "the journal was not synced: the gate is closed until it is started again");
                    return false;
                }
                Err(_) if last => return false,
                Err(_) => {}
            }
        }
        inbox.open();
        tracing::warn!("the journal is written again: the gate is open");
        true
    }

    /// Cuts off what was written in part and, if there is room, writes it whole, and behind it that there was none.
    fn mend(&mut self, why: JournalDown) -> io::Result<()> {
        self.files.cut()?;
        let room = self.sink.write_all(&vec![0; ROOM_BYTES]);
        self.files.cut()?;
        room?;
        self.put(true)?;
        let reopened = serde_json::to_vec(&Entry::Reopened {
            why: why.to_string(),
        })?;
        self.seal(Said::One(&reopened));
        self.put(true)
    }
}

fn why(error: &io::Error) -> JournalDown {
    match error.kind() {
        ErrorKind::StorageFull => JournalDown::NoSpace,
        ErrorKind::QuotaExceeded => JournalDown::Quota,
        ErrorKind::FileTooLarge => JournalDown::TooLarge,
        ErrorKind::ReadOnlyFilesystem => JournalDown::ReadOnly,
        _ => JournalDown::Disk,
    }
}

fn needs_room(why: JournalDown) -> bool {
    matches!(
        why,
        JournalDown::NoSpace | JournalDown::Quota | JournalDown::TooLarge
    )
}
