//! Signals, through the shell: its own `kill` is everywhere, and no `unsafe` is needed.

use std::process::{Command, Stdio};

/// Sends a signal, named without `SIG`. A process that has gone is no error.
pub(super) fn send(name: &str, process: u32) {
    let _gone_is_fine = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name])
        .arg(process.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
