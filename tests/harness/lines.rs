//! A stream read line by line on a thread of its own, so that a test can wait for a line.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::DEADLINE;

/// More lines than this unread, and the writer waits, as it would on any full pipe.
const LINES_UNREAD_MAX: usize = 100_000;

/// The lines of one stream: those seen so far, and those to come.
#[derive(Debug)]
pub struct Lines {
    name: String,
    seen: Vec<String>,
    next: usize,
    coming: Receiver<String>,
}

impl Lines {
    pub fn read(name: &str, stream: impl Read + Send + 'static) -> Self {
        let (give, coming) = sync_channel(LINES_UNREAD_MAX);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if give.send(text).is_err() {
                    break;
                }
            }
        });
        Self {
            name: name.to_owned(),
            seen: Vec::new(),
            next: 0,
            coming,
        }
    }

    /// The next line that contains `text`; lines before it count as read.
    ///
    /// Panics with everything seen when the stream ends without one, or at the deadline.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        match self.wait_within(text, DEADLINE) {
            Ok(line) => line,
            Err(why) => panic!(
                "{why} while waiting for {text:?}; it had said:\n{}",
                self.text()
            ),
        }
    }

    /// As `wait_for`, with a limit of one's own and an answer instead of a panic.
    pub fn wait_within(&mut self, text: &str, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(line) = self.seen.get(self.next) {
                self.next += 1;
                if line.contains(text) {
                    return Ok(line.clone());
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.coming.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("{} was silent for {limit:?}", self.name));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(format!("{} ended", self.name)),
            }
        }
    }

    /// Everything until the stream ends, from its first line on.
    #[track_caller]
    pub fn to_end(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.coming.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.seen.join("\n"),
                Err(RecvTimeoutError::Timeout) => {
                    let text = self.text();
                    panic!("{} did not end; it had said:\n{text}", self.name)
                }
            }
        }
    }

    /// What has come so far, read or not.
    pub fn text(&mut self) -> String {
        self.seen.extend(self.coming.try_iter());
        self.seen.join("\n")
    }
}
