//! `$APPROVE` and `$TICKET_STATE` of the suites: the second person, who looks at the console of the
//! gate through the `portcullis` command line and signs.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::DEADLINE;
use crate::cli::portcullis_binary;

/// How often to look for a ticket.
const LOOK: Duration = Duration::from_millis(100);
/// How long a ticket may take to get from one state to the next.
const SETTLES: Duration = Duration::from_secs(10);

/// Waits for a pending ticket with this text in its statement or parameters, approves it, and says
/// which it was.
pub fn approve(text: &str) -> Result<String, String> {
    let ticket = wait(text, &["pending"])?;
    portcullis(&["approve", &ticket])?;
    Ok(ticket)
}

/// Waits for any ticket with this text and says its state; with a state to come, it is given some
/// seconds to be in that.
pub fn state(text: &str, to_come: Option<&str>) -> Result<String, String> {
    let ticket = wait(text, &["pending", "--all"])?;
    let deadline = Instant::now() + SETTLES;
    loop {
        let state = word(&show(&ticket)?, "state");
        if to_come.is_none_or(|it| it == state) || Instant::now() >= deadline {
            return Ok(state);
        }
        thread::sleep(LOOK);
    }
}

/// The newest ticket of this list with this text in it, once there is one.
fn wait(text: &str, list: &[&str]) -> Result<String, String> {
    let deadline = Instant::now() + DEADLINE;
    // A parameter in binary format is shown so.
    let hex = text.bytes().map(|byte| format!("{byte:02x}"));
    let hex = hex.collect::<Vec<_>>().concat();
    loop {
        let tickets = portcullis(list)?;
        let tickets = tickets.as_array().cloned().unwrap_or_default();
        for ticket in tickets.iter().rev() {
            let id = word(ticket, "id");
            let whole = show(&id)?;
            let (statement, parameters) = (word(&whole, "statement"), word(&whole, "parameters"));
            if statement.contains(text) || parameters.contains(text) || parameters.contains(&hex) {
                return Ok(id);
            }
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "no ticket with {text:?} in {DEADLINE:?}: {tickets:#?}"
            ));
        }
        thread::sleep(LOOK);
    }
}

fn show(ticket: &str) -> Result<Value, String> {
    portcullis(&["show", ticket])
}

fn word(record: &Value, name: &str) -> String {
    record[name].as_str().unwrap_or_default().to_owned()
}

/// A command of `portcullis`, which finds the console in `PORTCULLIS_URL`.
fn portcullis(args: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(portcullis_binary());
    let output = command.args(args).args(["--json", "-w"]).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        return Err(format!("{command:?}: {}", said(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{command:?}: {error} in {}", said(&output.stdout)))
}
