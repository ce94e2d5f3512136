//! Startup parameters: which a client may set, `options` read as PostgreSQL reads it, and the rest
//! refused by name (hazards R17, CVE-2025-12819). It never guesses: what is not listed is refused.

use gate::Settings;
use wire::startup::Startup;

use crate::fault::Fault;
use crate::ours::PREFIX;

/// Settings that would reach around the gate: another identity, another set of rows, another
/// protocol.
const FORBIDDEN: [&str; 4] = [
    "role",
    "session_authorization",
    "row_security",
    "replication",
];

/// A startup packet that is refused, and why.
pub type Refused = Fault;

/// What a startup packet sets.
#[derive(Debug, Default, PartialEq)]
pub struct LoginSettings {
    /// Settings of the server, by lower-case name.
    pub settings: Settings,
    /// Settings of the gate's own, in order, without what their names begin with.
    pub ours: Vec<(String, String)>,
}

/// The settings of a startup packet, `options` included.
pub fn login_settings(startup: &Startup) -> Result<LoginSettings, Refused> {
    let mut settings = LoginSettings::default();
    for (name, value) in &startup.parameters {
        match &**name {
            "user" | "database" => {}
            "options" => {
                for (name, value) in options(value)? {
                    set(&mut settings, &name, &value)?;
                }
            }
            protocol if protocol.starts_with("_pq_.") => {}
            name => set(&mut settings, name, value)?,
        }
    }
    Ok(settings)
}

fn set(login: &mut LoginSettings, name: &str, value: &str) -> Result<(), Refused> {
    let name = name.to_ascii_lowercase();
    if let Some(ours) = name.strip_prefix(PREFIX) {
        login.ours.push((ours.to_owned(), value.to_owned()));
        return Ok(());
    }
    if name == "replication" {
        return if truthy(value) {
            Err(Fault::replication())
        } else {
            Ok(())
        };
    }
    if name == "client_encoding" {
        return if is_utf8(value) {
            Ok(())
        } else {
            Err(Fault::encoding(value))
        };
    }
    if name == "standard_conforming_strings" {
        return if value.eq_ignore_ascii_case("on") {
            Ok(())
        } else {
            Err(Fault::forbidden_parameter(&name))
        };
    }
    // Whether a server would know it is not the gate's to say.
    if FORBIDDEN.contains(&name.as_str()) || !sql::is_tracked(&name) {
        return Err(Fault::forbidden_parameter(&name));
    }
    login.settings.insert(name, value.to_owned());
    Ok(())
}

/// `replication` is a truth value or the word `database`; anything but a clear no is a yes.
fn truthy(value: &str) -> bool {
    !matches!(
        value.to_ascii_lowercase().as_str(),
        "false" | "off" | "no" | "0" | "f" | "n" | "of"
    )
}

/// Clients spell UTF-8 in many ways, asyncpg with quotes around it. PostgreSQL compares encoding
/// names by letters and digits alone; so do we.
fn is_utf8(value: &str) -> bool {
    let letters: String = value
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    matches!(letters.as_str(), "utf8" | "unicode" | "auto" | "sqlascii")
}

/// `-c name=value`, `-cname=value` and `--name=value`; a backslash takes the next character as it
/// is (PostgreSQL's `pg_split_opts`), and dashes in a long name are underscores.
fn options(text: &str) -> Result<Vec<(String, String)>, Refused> {
    let mut words = split(text).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next()
        } else if let Some(rest) = word.strip_prefix("--") {
            Some(rest.to_owned())
        } else {
            word.strip_prefix("-c").map(str::to_owned)
        };
        let Some((name, value)) = assignment.as_deref().and_then(|it| it.split_once('=')) else {
            return Err(Fault::forbidden_parameter(&format!("options={word}")));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            blank if blank.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Result<Settings, String> {
        let parameters = pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let startup = Startup {
            major: 3,
            minor: 0,
            parameters: parameters.collect(),
        };
        let login = login_settings(&startup).map_err(|fault| fault.fields.message)?;
        assert_eq!(login.ours, []);
        Ok(login.settings)
    }

    #[test]
    fn what_drivers_send_is_carried() {
        let pgjdbc = of(&[
            ("user", "alice"),
            ("database", "acme"),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("TimeZone", "Europe/Vienna"),
            ("extra_float_digits", "2"),
        ])
        .unwrap();
        assert_eq!(pgjdbc.get("datestyle").map(String::as_str), Some("ISO"));
        assert_eq!(pgjdbc.len(), 3);
        assert_eq!(of(&[("client_encoding", "'utf-8'")]), Ok(Settings::new()));
    }

    /// Hazards R17: every spelling of a setting that reaches around the gate is refused.
    #[test]
    fn what_reaches_around_the_gate_is_refused() {
        for options in [
            "-c role=b",
            "-crole=b",
            "--role=b",
            "-c\trole=b",
            "-c app.tenant=b",
            "--app.tenant=b",
            "-c ro\\le=b",
            "-c session_authorization=b",
            "--session-authorization=b",
            "-c row_security=off",
            "-c ROLE=b",
            "-c replication=true",
            "-c",
            "-c role",
            "-e",
            "-c standard_conforming_strings=off",
            "-c client_encoding=SJIS",
        ] {
            assert!(of(&[("options", options)]).is_err(), "{options}");
        }
        for (name, value) in [
            ("role", "b"),
            ("replication", "database"),
            ("replication", "1"),
            ("app.tenant", "b"),
            ("client_encoding", "GBK"),
            ("foo", "bar"),
        ] {
            assert!(of(&[(name, value)]).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn options_are_read_as_postgres_reads_them() {
        let settings = of(&[(
            "options",
            "-c statement_timeout=5s --timezone=UTC -cgeqo=a\\ b",
        )]);
        let expected = [
            ("geqo", "a b"),
            ("statement_timeout", "5s"),
            ("timezone", "UTC"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings, Ok(Settings::from(expected)));
    }
}
