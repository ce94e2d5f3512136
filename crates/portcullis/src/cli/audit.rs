//! `portcullis audit verify`: whether the journal of a gate is as it was written. It never writes, and
//! needs no running gate.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use store::{Forgotten, Report, Tampered};

use super::look_args::VerifyArgs;
use super::trouble::{Exit, Trouble};
use super::visible;

/// Verifies the journal that `args` name; `of_config` finds the state folder in a configuration file.
pub fn verify(
    args: &VerifyArgs,
    json: bool,
    of_config: impl FnOnce(&Path) -> Result<PathBuf, String>,
) -> ExitCode {
    match folder_of(args, of_config) {
        Ok(state) => run(&state, json),
        Err(why) => Trouble::Usage(why).tell().into(),
    }
}

/// The state folder that `args` name.
pub(super) fn folder_of(
    args: &VerifyArgs,
    of_config: impl FnOnce(&Path) -> Result<PathBuf, String>,
) -> Result<PathBuf, String> {
    match (&args.state, &args.config) {
        (Some(state), _) => Ok(state.clone()),
        (None, Some(config)) => of_config(config),
        (None, None) => state_folder(&|name| std::env::var(name).ok())
            .ok_or_else(|| "there is no home folder: use --state or --config".to_owned()),
    }
}

/// Verifies the journal in the state folder `state`.
pub fn run(state: &Path, json: bool) -> ExitCode {
    if !state.is_dir() {
        let why = format!("there is no state folder \"{}\"", state.display());
        return Trouble::Usage(why).tell().into();
    }
    let verified = store::verify_state(state);
    let text = if json {
        document(&verified)
    } else {
        sentence(&verified)
    };
    let whole = verified.is_ok();
    let written = if whole || json {
        writeln!(anstream::stdout(), "{text}").map_err(Trouble::from)
    } else {
        Err(Trouble::Local(text))
    };
    match written {
        Ok(()) if whole => Exit::Done.into(),
        Ok(()) => Exit::Refused.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

/// Where `portcullis try` keeps tickets and journal unless it is told otherwise.
pub fn state_folder(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let said = |name: &str| {
        environment(name)
            .filter(|it| it.starts_with('/'))
            .map(PathBuf::from)
    };
    let states = said("XDG_STATE_HOME").or_else(|| Some(said("HOME")?.join(".local/state")))?;
    Some(states.join("portcullis"))
}

fn sentence(verified: &Result<Report, Tampered>) -> String {
    let report = match verified {
        Ok(report) => report,
        Err(tampered) => {
            return format!(
                "the journal is not whole: {}",
                visible::plain(&tampered.to_string())
            );
        }
    };
    let mut text = format!(
        "the journal is whole: {}",
        counted(report.records, "record")
    );
    if let (Some(first), Some(last)) = (&report.first_at, &report.last_at) {
        let _ = write!(text, ", {first} to {last}");
    }
    if let Some(Forgotten { last, at }) = &report.forgotten {
        let _ = write!(
            text,
            "\nrecords 1 to {last} were removed by rule on {at}: what is there begins behind them"
        );
    }
    if report.unanchored > 0 {
        let _ = write!(
            text,
            "\n{} at the end {} not in the store's head yet: a cut there would not be found",
            counted(report.unanchored, "record"),
            if report.unanchored == 1 { "is" } else { "are" }
        );
    }
    if report.torn_bytes > 0 {
        let _ = write!(
            text,
            "\n{} after the last record: a crash tore it, or the gate is writing now",
            counted(report.torn_bytes, "byte")
        );
    }
    visible_lines(&text)
}

fn visible_lines(text: &str) -> String {
    text.lines()
        .map(visible::plain)
        .collect::<Vec<_>>()
        .join("\n")
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn document(verified: &Result<Report, Tampered>) -> String {
    let value = match verified {
        Ok(report) => json!({
            "whole": true,
            "node": report.node,
            "records": report.records,
            "first_at": report.first_at,
            "last_at": report.last_at,
            "head_seq": report.head_seq,
            "unanchored": report.unanchored,
            "torn_bytes": report.torn_bytes,
            "forgotten_to": report.forgotten.as_ref().map(|it| it.last),
            "forgotten_at": report.forgotten.as_ref().map(|it| &it.at),
        }),
        Err(tampered) => json!({ "whole": false, "error": tampered.to_string() }),
    };
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_where_the_desktop_says() {
        let folder = |variables: &[(&str, &str)]| {
            state_folder(&|name| {
                variables
                    .iter()
                    .find(|it| it.0 == name)
                    .map(|it| it.1.to_owned())
            })
        };
        assert_eq!(
            folder(&[("HOME", "/h")]),
            Some("/h/.local/state/portcullis".into())
        );
        assert_eq!(
            folder(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]),
            Some("/s/portcullis".into())
        );
        assert_eq!(folder(&[("XDG_STATE_HOME", "relative")]), None);
    }

    #[test]
    fn a_report_in_words() {
        let mut report = Report {
            node: Some("n".into()),
            records: 1,
            first_at: Some("then".into()),
            last_at: Some("now".into()),
            head_seq: Some(1),
            unanchored: 0,
            torn_bytes: 0,
            forgotten: None,
        };
        assert_eq!(
            sentence(&Ok(report.clone())),
            "the journal is whole: 1 record, then to now"
        );
        assert!(document(&Ok(report.clone())).contains("\"whole\": true"));
        report.unanchored = 2;
        report.torn_bytes = 7;
        let (last, at) = (41, "long ago".to_owned());
        report.forgotten = Some(Forgotten { last, at });
        let lines = sentence(&Ok(report));
        assert_eq!(lines.lines().count(), 4, "{lines}");
        assert!(
            lines.contains("\nrecords 1 to 41 were removed by rule on long ago"),
            "{lines}"
        );
        let file = PathBuf::from("j");
        let text = sentence(&Err(Tampered::Truncated {
            file,
            seq: 3,
            head: 5,
        }));
        assert!(
            text.starts_with("the journal is not whole: j ends after record 3"),
            "{text}"
        );
    }
}
