//! How far a primary has written its log and a replica has replayed it, as they say when the gate asks. It never says whether that
//! is enough.

use gate::{Disposition, Own};
use wire::backend::tag;

use crate::ask::{AskError, in_time};
use crate::connect::timeline_of;
use crate::dial::Dial;
use crate::lease::Lease;

/// The header of a page of the log; that of the first one of a file.
const PAGE_HEADER_MAX: u64 = 40;

/// Where a server stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// All that was written before is before this; or all before this is replayed.
    pub lsn: u64,
    /// The timeline that it writes, or follows.
    pub timeline: u32,
    /// Which cluster it is.
    pub cluster: Box<str>,
    /// Whether it follows another server.
    pub in_recovery: bool,
    /// Whether its transactions begin as SERIALIZABLE, which no replica can do.
    pub serializable: bool,
}

impl<D: Dial> Lease<D> {
    /// How far the primary has written. Dropping the future closes the connection.
    pub async fn written(mut self) -> Result<Progress, AskError> {
        let rows = in_time(self.upstream(), Own::Written).await?;
        self.checkin(Disposition::Clean);
        let row = rows.first().and_then(|row| {
            let (lsn, page) = (number(text(row, 0)?)?, number(text(row, 1)?)?);
            Some(Progress {
                lsn: without_header(lsn, page),
                timeline: timeline_of(text(row, 2)?)?,
                cluster: text(row, 3)?.into(),
                in_recovery: false,
                serializable: false,
            })
        });
        row.ok_or(AskError::Unexpected(tag::DATA_ROW))
    }

    /// How far a replica has replayed. Dropping the future closes the connection.
    pub async fn replayed(mut self) -> Result<Progress, AskError> {
        let rows = in_time(self.upstream(), Own::Replayed).await?;
        self.checkin(Disposition::Clean);
        let row = rows.first().and_then(|row| {
            Some(Progress {
                // One that was never in recovery has replayed nothing.
                lsn: text(row, 0).map_or(Some(0), number)?,
                timeline: text(row, 1)?.parse().ok()?,
                cluster: text(row, 3)?.into(),
                in_recovery: text(row, 2)? == "true",
                serializable: text(row, 4)? == "serializable",
            })
        });
        row.ok_or(AskError::Unexpected(tag::DATA_ROW))
    }

    /// The names of relations that are otherwise on a replica, or not at all. Dropping the future closes the connection.
    pub async fn local(mut self) -> Result<Vec<Box<str>>, AskError> {
        let rows = in_time(self.upstream(), Own::Local).await?;
        self.checkin(Disposition::Clean);
        let names = rows.iter().map(|row| text(row, 0).map(Box::from));
        let names: Option<Vec<Box<str>>> = names.collect();
        names.ok_or(AskError::Unexpected(tag::DATA_ROW))
    }
}

fn text(row: &[Option<bytes::Bytes>], at: usize) -> Option<&str> {
    std::str::from_utf8(row.get(at)?.as_deref()?).ok()
}

fn number(digits: &str) -> Option<u64> {
    digits.parse().ok()
}

/// Where nothing is written on a page yet, the server counts its header; whoever replays what was before does not.
fn without_header(lsn: u64, page: u64) -> u64 {
    let within = lsn.checked_rem(page).unwrap_or(0);
    if within <= PAGE_HEADER_MAX {
        lsn - within
    } else {
        lsn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_page_is_nothing_to_replay() {
        for (lsn, counts) in [
            (0x0500_0028, 0x0500_0000),
            (0x0500_2018, 0x0500_2000),
            (0x0500_2000, 0x0500_2000),
            (0x0500_2030, 0x0500_2030),
        ] {
            assert_eq!(without_header(lsn, 8192), counts);
        }
        assert_eq!(without_header(7, 0), 7);
    }
}
