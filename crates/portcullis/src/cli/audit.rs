//! `portcullis audit verify`: whether the journal of a gate is as it was written. It never writes, and
//! needs no running gate.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use store::{Forgotten, PublicKey, Report, Signed, Tampered};

use super::audit_key::public_key;
use super::look_args::{AuditVerifyArgs, VerifyArgs};
use super::trouble::{Exit, Trouble};
use super::visible;

/// Verifies the journal that `args` name; `of_config` finds the state folder in a configuration file.
pub fn verify(
    args: &AuditVerifyArgs,
    json: bool,
    of_config: impl FnOnce(&Path) -> Result<PathBuf, String>,
) -> ExitCode {
    let keys = args.public_keys.iter().map(|it| public_key(it));
    let keys: Result<Vec<_>, _> = keys.collect();
    let asked = keys.and_then(|keys| {
        let state = folder_of(&args.journal, of_config).map_err(Trouble::Usage)?;
        Ok((state, keys))
    });
    match asked {
        Ok((state, keys)) => run(&state, &keys, json),
        Err(trouble) => trouble.tell().into(),
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

/// Verifies the journal in the state folder `state`, and what these keys signed of it.
pub fn run(state: &Path, keys: &[PublicKey], json: bool) -> ExitCode {
    if !state.is_dir() {
        let why = format!("there is no state folder \"{}\"", state.display());
        return Trouble::Usage(why).tell().into();
    }
    let verified = store::verify_state_signed(state, keys);
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
    if let Some(signed) = &report.signed {
        signatures(&mut text, signed);
    } else if report.unchecked > 0 {
        let _ = write!(
            text,
            "\n{} in it {} signed: with --public-key FILE they are checked",
            counted(report.unchecked, "head"),
            if report.unchecked == 1 { "is" } else { "are" }
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

fn signatures(text: &mut String, signed: &Signed) {
    let Signed {
        heads,
        to,
        at,
        behind,
        others,
    } = signed;
    let _ = write!(
        text,
        "\nsigned up to record {to}, on {at}: {}, and each signature fits",
        counted(*heads, "signed head")
    );
    if *behind > 0 {
        let _ = write!(
            text,
            "\n{} behind that {} not signed: nobody but the store's head speaks for them",
            counted(*behind, "record"),
            if *behind == 1 { "is" } else { "are" }
        );
    }
    if *others > 0 {
        let _ = write!(
            text,
            "\n{} signed with other keys, and not checked",
            counted(*others, "head")
        );
    }
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
            "signed_to": report.signed.as_ref().map(|it| it.to),
            "signed_at": report.signed.as_ref().map(|it| &it.at),
            "signed_heads": report.signed.as_ref().map(|it| it.heads),
            "unsigned": report.signed.as_ref().map(|it| it.behind),
            "unchecked_heads": report.unchecked,
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
            signed: None,
            unchecked: 0,
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
        report.unchecked = 1;
        let lines = sentence(&Ok(report.clone()));
        assert_eq!(lines.lines().count(), 5, "{lines}");
        assert!(
            lines.contains("\n1 head in it is signed: with --public-key"),
            "{lines}"
        );
        report.signed = Some(Signed {
            heads: 3,
            to: 40,
            at: "yesterday".to_owned(),
            behind: 1,
            others: 1,
        });
        let lines = sentence(&Ok(report));
        assert_eq!(lines.lines().count(), 7, "{lines}");
        let signed =
            "\nsigned up to record 40, on yesterday: 3 signed heads, and each signature fits";
        assert!(lines.contains(signed), "{lines}");
        assert!(
            lines.contains("\n1 record behind that is not signed: "),
            "{lines}"
        );
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
