//! What can be typed after the commands that only look: `watch`, `history`, `export`, `audit`, `completions`. It
//! never connects, reads a file or looks at the environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use gate::ticket::{State, TicketId};

use super::changes;

/// How often `watch` may look: a gate has more to do, and who looks once a day wants `history`.
const EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_hours(1);

/// Commands that show what the console says in another form.
#[derive(Debug, Subcommand)]
pub enum LookCommand {
    /// List what waits, then print a line (--json: an object) for each change
    Watch(WatchArgs),
    /// List the tickets that have ended, the newest first
    History(HistoryArgs),
    /// Print one ticket as a document, for a pull request
    Export(ExportArgs),
}

/// How to watch.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// How often to look, such as 500ms, 5s or 1m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = every)]
    pub every: Duration,
    /// Ring the terminal's bell for a new ticket that you can sign
    #[arg(long)]
    pub bell: bool,
}

fn every(text: &str) -> Result<Duration, String> {
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    let span = span.and_then(|it| Duration::try_from(it).ok());
    span.filter(|it| EVERY.contains(it))
        .ok_or_else(|| "expected 100ms to 1h, such as 500ms, 5s or 1m".to_owned())
}

/// Which tickets that have ended.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only those of this tenant
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Only those that this person asked for
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only those that ended so, such as done, failed or rejected; can be given several times
    #[arg(long = "state", value_name = "STATE", value_parser = ended)]
    pub states: Vec<State>,
    /// How many; a gate lists its thousand newest tickets, and these are of them
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
}

fn ended(text: &str) -> Result<State, String> {
    let is_end = |state: &State| changes::has_ended(state.as_str());
    match text.parse::<State>() {
        Ok(state) if is_end(&state) => Ok(state),
        _ => {
            let ends = State::ALL.iter().filter(|it| is_end(it));
            let ends: Vec<&str> = ends.map(|it| it.as_str()).collect();
            Err(format!("expected one of {}", ends.join(", ")))
        }
    }
}

/// Which ticket, and how.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The ticket, such as T-42
    pub ticket: TicketId,
    /// As what
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    pub format: Format,
}

/// As what a ticket is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As GitHub and GitLab read it.
    Markdown,
}

/// Which journal.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The state folder of the gate [that of `portcullis try`]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub state: Option<PathBuf>,
    /// The configuration file that names the state folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which journal, and who should have signed it.
#[derive(Debug, Args)]
pub struct AuditVerifyArgs {
    /// Which journal.
    #[command(flatten)]
    pub journal: VerifyArgs,
    /// A public key that signs the journal's heads: check each signature, and say up to where there is one; can be given
    /// several times
    #[arg(long = "public-key", value_name = "FILE")]
    pub public_keys: Vec<PathBuf>,
}

/// Which key, and where to put it.
#[derive(Debug, Args)]
pub struct AuditKeyArgs {
    /// The file of the key, which must not be there; the public one goes beside it, to FILE.pub
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A key that encrypts what one tenant asks ("encryption_key"), and no signing key ("signing_key")
    #[arg(long)]
    pub tenant: bool,
}

/// Which records of which journal.
#[derive(Debug, Args)]
pub struct AuditExportArgs {
    /// Which journal.
    #[command(flatten)]
    pub journal: VerifyArgs,
    /// From when on, such as 2026-01-31T12:00:00Z; what is before it is checked, too
    #[arg(long, value_name = "TIME")]
    pub since: Option<jiff::Timestamp>,
    /// Until when, which is no longer printed
    #[arg(long, value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
    /// A tenant's key: print what was encrypted with it as it was before; can be given several times
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
}

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_bounds() {
        for (text, ms) in [
            ("100ms", 100),
            ("1s", 1000),
            ("1m 30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(every(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "0s", "-1s", "99ms", "2h", "soon"] {
            assert!(every(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_an_end_is_history() {
        assert_eq!(ended("rolled_back"), Ok(State::RolledBack));
        for text in ["pending", "approved", "executing", "finished"] {
            let why = ended(text).unwrap_err();
            assert!(why.starts_with("expected one of done, failed, "), "{why}");
        }
    }
}
