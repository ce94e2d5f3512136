//! What the demo says to whoever watches. It never waits for them.

use std::io::Write;

/// One line for whoever watches.
pub(super) fn say(line: &str) {
    let mut out = anstream::stdout();
    // Whoever started it may not watch; the story goes on.
    let _told = writeln!(out, "{line}").and_then(|()| out.flush());
}
