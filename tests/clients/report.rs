//! Runs checks and says how each went, in the words of a client suite. It never stops at the first
//! failure.

use std::env;
use std::error::Error;
use std::process::Stdio;

use tokio::process::{Child, Command};

pub type Fault = Box<dyn Error + Send + Sync>;
pub type Checked = Result<(), Fault>;

/// The failure that stands for "this cannot be had here".
#[derive(Debug)]
struct Skip(String);

impl std::fmt::Display for Skip {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl Error for Skip {}

#[derive(Debug, Default)]
pub struct Report {
    failed: bool,
}

impl Report {
    pub async fn check(&mut self, name: &str, body: impl Future<Output = Checked>) {
        match body.await {
            Ok(()) => println!("ok {name}"),
            Err(why) if why.is::<Skip>() => println!("skip {name}: {why}"),
            Err(why) => {
                self.failed = true;
                println!("not ok {name}: {}", chain(why.as_ref()));
            }
        }
    }

    pub fn exit_code(&self) -> i32 {
        i32::from(self.failed)
    }
}

/// For a check whose sessions keep so many connections to the server from each other: by transactions that are
/// open at the same time, or by something that a session has to itself.
pub fn needs(connections: u32) -> Checked {
    // Nothing is said of the pool: it has as many as anybody wants.
    let Some(there) = env::var("POOL").ok().and_then(|text| text.parse().ok()) else {
        return Ok(());
    };
    if connections <= there {
        return Ok(());
    }
    let why = format!("needs {connections} connections to the server at a time, and the gate has {there}");
    Err(Skip(why).into())
}

#[track_caller]
pub fn equal<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(seen: T, expected: U) -> Checked {
    if seen == expected {
        return Ok(());
    }
    let at = std::panic::Location::caller();
    let (seen, expected) = (short(&seen), short(&expected));
    Err(format!("expected {expected}, saw {seen} ({}:{})", at.file(), at.line()).into())
}

/// Somebody else, who waits for a ticket with this text and signs for it.
pub fn approver(text: &str) -> Result<Child, Fault> {
    let mut command = Command::new(env::var("APPROVE")?);
    Ok(command.arg(text).stdout(Stdio::null()).kill_on_drop(true).spawn()?)
}

/// Expects that they did.
pub async fn approved(mut people: Child) -> Checked {
    equal(people.wait().await?.code(), Some(0))
}

/// The state of the ticket with this text, waiting a while for this one.
pub async fn ticket_state(text: &str, to_come: &str) -> Result<String, Fault> {
    let mut command = Command::new(env::var("TICKET_STATE")?);
    let output = command.args([text, to_come]).stderr(Stdio::inherit()).output().await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn short(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take(300).collect()
}

/// A failure with its causes, on one line.
fn chain(why: &dyn Error) -> String {
    let mut text = why.to_string();
    let mut cause = why.source();
    while let Some(why) = cause {
        text = format!("{text}: {why}");
        cause = why.source();
    }
    text.replace('\n', " | ")
}
