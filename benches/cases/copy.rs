//! A COPY FROM STDIN of 100 MB, sent as fast as it is taken; eight one after the other. The gate lets
//! it pass by a rule. It never measures a disk: the table is unlogged and emptied before each turn.

use super::Case;
use super::result::{TIMES, passing};
use crate::Trouble;
use crate::client::{Client, frame};
use crate::ground::Ground;
use crate::measure::Reading;
use crate::peers::Peer;

/// Messages, and rows in each, of 1,000 bytes.
const MESSAGES: usize = 2_000;
const ROWS: usize = 50;

pub(super) struct CopyIn;

impl Case for CopyIn {
    fn name(&self) -> String {
        "copy-in".to_owned()
    }

    fn about(&self) -> String {
        "a COPY of 100 MB from the client".to_owned()
    }

    fn seconds(&self) -> u64 {
        4
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        ground.sql("TRUNCATE sink")?;
        let rows = format!("{}\n", "x".repeat(999)).repeat(ROWS);
        let message = frame(b'd', rows.as_bytes())?;
        let mut client = Client::login(&ground.door(peer, false))?;
        // The first query brings the peer's own program into memory.
        client.query("SELECT 1")?;
        passing(peer, || {
            for _ in 0..TIMES {
                client.ask("COPY sink FROM STDIN")?;
                client.until(b'G')?;
                for _ in 0..MESSAGES {
                    client.send(&message)?;
                }
                client.send(&frame(b'c', &[])?)?;
                client.until(b'Z')?;
            }
            Ok(TIMES * MESSAGES * message.len())
        })
    }
}
