//! Many sessions at once. It opens them from several threads, since one would wait for each, and it
//! never lets any of them read what it was not asked to.

use std::thread;

use crate::Trouble;
use crate::client::{Client, Door};

/// Threads that log in.
const THREADS: usize = 4;

/// Logs so many in through the same door.
pub(crate) fn gather(door: &Door<'_>, sessions: usize) -> Result<Vec<Client>, Trouble> {
    let part = sessions.div_ceil(THREADS);
    let log_in = |count: usize| -> Result<Vec<Client>, String> {
        let one = |_| Client::login(door).map_err(|why| why.to_string());
        (0..count).map(one).collect()
    };
    let gathered: Vec<_> = thread::scope(|scope| {
        let start = |place| {
            let count = part.min(sessions.saturating_sub(place * part));
            scope.spawn(move || log_in(count))
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    let mut crowd = Vec::new();
    for part in gathered {
        let part = part.map_err(|_| "a thread that logged in broke off")?;
        crowd.extend(part?);
    }
    Ok(crowd)
}
