//! The story: what alice and bob type, what they see, and that it is what it should be. A step that
//! did not happen as said ends the demo with an error.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::stage::Stage;
use super::voice::say;

/// How long any one step may take.
const STEP: Duration = Duration::from_mins(1);

const HEAD: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();

const UPDATE: &str = "UPDATE accounts SET plan = 'team' WHERE id = 3";
const DELETE: &str = "DELETE FROM orders";

/// Plays it.
pub(super) fn play(stage: &mut Stage) -> Result<(), String> {
    head("alice reads: it passes at once");
    let read = "SELECT id, name, plan FROM accounts ORDER BY id";
    run(
        stage.psql(&stage.alice, read),
        &shown_psql(read),
        0,
        &["Katherine Johnson", "(4 rows)"],
    )?;

    head("alice writes: it waits on the wire");
    let waiting = Waiting::start(stage.psql(&stage.alice, UPDATE), &shown_psql(UPDATE))?;
    let ticket = waiting.ticket.clone();

    head("bob looks, and signs");
    cli(stage, &["pending"], 0, &[&ticket, "alice", UPDATE])?;
    cli(stage, &["show", &ticket], 0, &[&ticket, UPDATE, "dba"])?;
    cli(
        stage,
        &["approve", &ticket, "-m", "checked with billing"],
        0,
        &[&ticket, "approved"],
    )?;

    head("alice's psql goes on by itself");
    waiting.end(0, &["UPDATE 1"])?;

    head("the same again needs a new ticket: a signature is good once");
    let again = Waiting::start(stage.psql(&stage.alice, UPDATE), &shown_psql(UPDATE))?;
    if again.ticket == ticket {
        return Err(format!("{ticket} was used twice"));
    }
    let second = again.ticket.clone();
    cli(
        stage,
        &["reject", &second, "-m", "it is done already"],
        0,
        &[&second, "rejected"],
    )?;
    again.end(1, &["was rejected by \"bob\"", "it is done already"])?;

    head("a rule denies: nobody is asked");
    let drop = "DROP TABLE orders";
    run(
        stage.psql(&stage.alice, drop),
        &shown_psql(drop),
        1,
        &["schema changes go through migrations"],
    )?;

    head("nobody signs for themselves");
    let own = Waiting::start(stage.psql(&stage.bob, DELETE), &shown_psql(DELETE))?;
    let third = own.ticket.clone();
    cli(
        stage,
        &["approve", &third],
        1,
        &["cannot be approved by its own requester"],
    )?;
    cli(stage, &["withdraw", &third], 0, &[&third, "withdrawn"])?;
    own.end(1, &["was withdrawn"])?;

    head("the journal has it all, and nobody changed it");
    run(stage.audit()?, "portcullis audit verify", 0, &[])?;
    Ok(())
}

fn head(text: &str) {
    say("");
    say(&format!("{HEAD}--- {text}{HEAD:#}"));
}

fn shown_psql(sql: &str) -> String {
    format!("psql acme -c \"{sql}\"")
}

fn shown_cli(words: &[&str]) -> String {
    let quoted = words.iter().map(|word| {
        if word.contains(' ') {
            format!("'{word}'")
        } else {
            (*word).to_owned()
        }
    });
    format!("portcullis {}", quoted.collect::<Vec<_>>().join(" "))
}

/// One command of bob's.
fn cli(stage: &Stage, words: &[&str], code: i32, expected: &[&str]) -> Result<(), String> {
    run(
        stage.cli(&stage.bob, words)?,
        &shown_cli(words),
        code,
        expected,
    )
}

/// Runs a command, shows what it prints, and checks it.
fn run(command: Command, shown: &str, code: i32, expected: &[&str]) -> Result<(), String> {
    say(&format!("{COMMAND}$ {shown}{COMMAND:#}"));
    Play::start(command)?.end(shown, code, expected, &[])
}

/// A command whose output is shown as it comes.
struct Play {
    child: Child,
    lines: Receiver<String>,
}

impl Play {
    fn start(mut command: Command) -> Result<Self, String> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            format!("could not run {}: {error}", command.get_program().display())
        })?;
        let (sender, lines) = channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|it| Box::new(it) as _),
            child.stderr.take().map(|it| Box::new(it) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // The story has ended early; nobody reads on.
                    let _heard = sender.send(line);
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// The next line, shown; `None` at the end.
    fn line(&self) -> Option<String> {
        let line = self.lines.recv_timeout(STEP).ok()?;
        say(&format!("  {line}"));
        Some(line)
    }

    fn end(
        mut self,
        shown: &str,
        code: i32,
        expected: &[&str],
        before: &[String],
    ) -> Result<(), String> {
        let mut printed = before.to_vec();
        while let Some(line) = self.line() {
            printed.push(line);
        }
        let status: ExitStatus = self
            .child
            .wait()
            .map_err(|error| format!("{shown}: {error}"))?;
        let printed = printed.join("\n");
        if let Some(missing) = expected.iter().find(|it| !printed.contains(**it)) {
            return Err(format!("`{shown}` did not print \"{missing}\""));
        }
        if status.code() != Some(code) {
            return Err(format!(
                "`{shown}` ended with {status}, expected exit code {code}"
            ));
        }
        Ok(())
    }
}

/// A psql whose statement is held.
struct Waiting {
    play: Play,
    printed: Vec<String>,
    shown: String,
    ticket: String,
}

impl Waiting {
    /// Starts it and waits for the notice with the ticket.
    fn start(command: Command, shown: &str) -> Result<Self, String> {
        say(&format!("{COMMAND}$ {shown}{COMMAND:#}"));
        let play = Play::start(command)?;
        let (mut printed, mut ticket) = (Vec::new(), None);
        while let Some(line) = play.line() {
            let held = line
                .split_once("held as ticket ")
                .and_then(|it| it.1.split_once(':'));
            ticket = held.map(|(ticket, _)| ticket.to_owned()).or(ticket);
            let whole = line.starts_with("HINT:");
            printed.push(line);
            if whole && let Some(ticket) = ticket {
                let shown = shown.to_owned();
                return Ok(Self {
                    play,
                    printed,
                    shown,
                    ticket,
                });
            }
        }
        Err(format!("`{shown}` was not held"))
    }

    /// It goes on: what is left of its output, and its exit code.
    fn end(self, code: i32, expected: &[&str]) -> Result<(), String> {
        let Self {
            play,
            printed,
            shown,
            ..
        } = self;
        say(&format!("{COMMAND}  ({shown}){COMMAND:#}"));
        play.end(&shown, code, expected, &printed)
    }
}
