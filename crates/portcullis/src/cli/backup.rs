//! `portcullis store`: a copy of a gate's state, the copy put back, and whether a state is sound. It needs no running gate, and
//! changes nothing of a state but where it puts one back.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use store::{BackupError, Checked, Restored};

use super::audit::folder_of;
use super::look_args::VerifyArgs;
use super::trouble::{Exit, Trouble};
use super::visible;

/// Commands about the state of a gate.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy tickets and journal into an empty folder; the gate may be running
    Backup(BackupArgs),
    /// Put a copy back: what was approved in it is void, and what ran is in doubt, as it may have run since
    Restore(RestoreArgs),
    /// Check the file of the tickets, the journal, and whether tickets and their uses agree
    Check(VerifyArgs),
}

/// What to copy, and where to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder of the copy; made if it is missing
    #[arg(value_name = "DIR")]
    pub into: PathBuf,
    /// Which state.
    #[command(flatten)]
    pub state: VerifyArgs,
}

/// What to put back, and where.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The folder of the copy
    #[arg(value_name = "DIR")]
    pub from: PathBuf,
    /// Where there is a state already: move it aside
    #[arg(long)]
    pub force: bool,
    /// Which state.
    #[command(flatten)]
    pub state: VerifyArgs,
}

/// Does what is asked; `of_config` finds the state folder in a configuration file.
pub fn run(
    command: &StoreCommand,
    json: bool,
    of_config: impl FnOnce(&Path) -> Result<PathBuf, String>,
) -> ExitCode {
    let state = match command {
        StoreCommand::Backup(args) => &args.state,
        StoreCommand::Restore(args) => &args.state,
        StoreCommand::Check(args) => args,
    };
    let done = folder_of(state, of_config)
        .map_err(Trouble::Usage)
        .and_then(|state| act(command, &state, json));
    match done {
        Ok(exit) => exit.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

fn act(command: &StoreCommand, state: &Path, json: bool) -> Result<Exit, Trouble> {
    let (exit, text, document) = match command {
        StoreCommand::Backup(args) => {
            let report = store::backup(state, &args.into).map_err(|it| local(&it))?;
            let text = format!(
                "copied to {}: {} records of the journal",
                args.into.display(),
                report.records
            );
            (Exit::Done, text, json!({ "records": report.records }))
        }
        StoreCommand::Restore(args) => {
            let done = store::restore(&args.from, state, args.force).map_err(|it| local(&it))?;
            let aside = done.aside.as_ref().map(|it| it.display().to_string());
            let document = json!({
                "records": done.report.records,
                "void": done.void,
                "in_doubt": done.in_doubt,
                "aside": aside,
            });
            (Exit::Done, restored(&done, state), document)
        }
        StoreCommand::Check(_) => {
            let found = store::check(state).map_err(|it| local(&it))?;
            let exit = if found.faults.is_empty() {
                Exit::Done
            } else {
                Exit::Refused
            };
            let document = json!({
                "sound": found.faults.is_empty(),
                "schema": found.schema,
                "tickets": found.tickets,
                "records": found.journal.records,
                "faults": found.faults,
            });
            (exit, checked(&found), document)
        }
    };
    let mut out = anstream::stdout();
    if json {
        writeln!(out, "{document:#}")?;
    } else {
        for line in text.lines() {
            writeln!(out, "{}", visible::plain(line))?;
        }
    }
    Ok(exit)
}

fn restored(done: &Restored, state: &Path) -> String {
    let mut text = format!(
        "put back to {}: {} records of the journal\n\
         {} approved tickets are void, and {} are in doubt: they may have run since the copy was taken",
        state.display(),
        done.report.records,
        done.void,
        done.in_doubt
    );
    if let Some(aside) = &done.aside {
        let _ = write!(text, "\nwhat was there is in {}", aside.display());
    }
    text
}

fn checked(found: &Checked) -> String {
    let mut lines = vec![format!(
        "{}: schema {}, {} tickets, {} records of the journal, which is whole",
        if found.faults.is_empty() {
            "the state is sound"
        } else {
            "the state is not sound"
        },
        found.schema,
        found.tickets,
        found.journal.records
    )];
    lines.extend(found.faults.iter().cloned());
    lines.join("\n")
}

fn local(error: &BackupError) -> Trouble {
    Trouble::Local(visible::plain(&error.to_string()))
}
