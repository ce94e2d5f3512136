//! `portcullis audit export`: the journal as JSON Lines, for whatever collects logs. Each record is checked before it is
//! printed; it never writes, changes no text of a record but to decrypt it with a key that it is given, and needs no running gate.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use store::{ReadError, Seen};

use super::audit::folder_of;
use super::audit_key::tenant_key;
use super::look_args::AuditExportArgs;
use super::trouble::{Exit, Trouble};
use super::visible;

/// Prints the journal that `args` name; `of_config` finds the state folder in a configuration file.
pub fn export(
    args: &AuditExportArgs,
    of_config: impl FnOnce(&Path) -> Result<PathBuf, String>,
) -> ExitCode {
    let done = folder_of(&args.journal, of_config)
        .map_err(Trouble::Usage)
        .and_then(|state| print(&state, args));
    match done {
        Ok(()) => Exit::Done.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

fn print(state: &Path, args: &AuditExportArgs) -> Result<(), Trouble> {
    if !state.is_dir() {
        let why = format!("there is no state folder \"{}\"", state.display());
        return Err(Trouble::Usage(why));
    }
    // Not through what takes colours out: that takes a DEL out of a text, too.
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let keys: Vec<_> = args
        .keys
        .iter()
        .map(|it| tenant_key(it))
        .collect::<Result<_, _>>()?;
    let read = store::read_state_opened(state, &keys, &mut |record| {
        if is_between(record.at, args.since, args.until) {
            line(&mut out, &record)?;
        }
        Ok(())
    });
    // What goes before a fault goes out, too: how we end says what it is worth.
    let flushed = out.flush();
    match read {
        Ok(()) => Ok(flushed?),
        Err(ReadError::Taker(error)) => Err(error.into()),
        Err(ReadError::Tampered(tampered)) => {
            let why = visible::plain(&tampered.to_string());
            Err(Trouble::Local(format!("the journal is not whole: {why}")))
        }
    }
}

/// A time that cannot be read is between any two: nothing is kept back that may be wanted.
fn is_between(at: &str, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    if since.is_none() && until.is_none() {
        return true;
    }
    at.parse::<Timestamp>().map_or(true, |at| {
        since.is_none_or(|since| since <= at) && until.is_none_or(|until| at < until)
    })
}

/// One flat object an entry: what the chain knows of the record, and the members of its entry behind that as they are in the file.
/// No entry has one that is named like ours.
fn line(out: &mut dyn Write, record: &Seen<'_>) -> io::Result<()> {
    let (time, node) = (
        serde_json::to_string(record.at)?,
        serde_json::to_string(record.node)?,
    );
    let (seq, part, hash) = (record.seq, record.part, record.hash);
    write!(
        out,
        r#"{{"time":{time},"node":{node},"seq":{seq},"part":{part},"hash":"{hash}","#
    )?;
    match record.entry.strip_prefix('{') {
        Some(members) => writeln!(out, "{members}"),
        None => writeln!(out, r#""kind":{}}}"#, record.entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(entry: &str) -> String {
        let record = Seen {
            seq: 7,
            part: 2,
            at: "2026-01-31T12:00:00.000Z",
            node: "no\"de",
            hash: "00ff",
            entry,
        };
        let mut out = Vec::new();
        line(&mut out, &record).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_is_one_flat_object() {
        let entry = r#"{"kind":"held","session":3,"ticket":1,"digest":"9f"}"#;
        assert_eq!(
            printed(entry),
            "{\"time\":\"2026-01-31T12:00:00.000Z\",\"node\":\"no\\\"de\",\"seq\":7,\"part\":2,\"hash\":\"00ff\",\
             \"kind\":\"held\",\"session\":3,\"ticket\":1,\"digest\":\"9f\"}\n"
        );
        let odd: serde_json::Value = serde_json::from_str(&printed("\"odd\"")).unwrap();
        assert_eq!(odd["kind"], "odd");
    }

    /// Two members of one name are none.
    #[test]
    fn no_entry_has_a_member_that_is_named_like_one_of_ours() {
        let entries = include_str!("../../../gate/src/audit.rs");
        let (_, entries) = entries.split_once("pub enum Entry {").unwrap();
        let (entries, _) = entries.split_once("\n}\n").unwrap();
        assert!(entries.contains("        session: u64,"));
        for name in ["time", "node", "seq", "part", "hash"] {
            assert!(!entries.contains(&format!("        {name}: ")), "{name}");
        }
    }

    #[test]
    fn from_a_time_until_before_another() {
        let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let (noon, one) = (time("2026-01-31T12:00:00Z"), time("2026-01-31T13:00:00Z"));
        for (at, since, until, between) in [
            ("2026-01-31T12:00:00.000Z", noon, one, true),
            ("2026-01-31T13:00:00.000Z", noon, one, false),
            ("2026-01-31T11:59:59.999Z", noon, None, false),
            ("2026-01-31T11:59:59.999Z", None, one, true),
            ("then", noon, one, true),
            ("then", None, None, true),
        ] {
            assert_eq!(is_between(at, since, until), between, "{at}");
        }
    }
}
