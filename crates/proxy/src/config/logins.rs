//! The logins of a tenant: roles and passwords, or where each tenant of a pattern has its own. It never shows a password.

use std::path::PathBuf;

use pool::{Options, Password};
use secrecy::SecretString;

use super::files;
use super::problem::Flaw;
use super::reader::{Fields, Span, Text};

/// What stands for the tenant's name.
pub(super) const PLACEHOLDER: &str = "{tenant}";
/// PostgreSQL cuts longer names of databases and roles off, so two of them could be one.
pub(super) const NAME_BYTES_MAX: usize = 63;

/// A login beside the one for everything.
pub(super) enum Beside {
    Nobody,
    By(String, Given),
}

/// The login for reads, if they have one of their own.
pub(super) fn read_login(name: &Text<'_>, fields: &Fields<'_>) -> Option<Beside> {
    let sources = ["read_password_file", "read_password_env", "read_password"];
    if !fields.has("read_user") {
        for key in sources {
            fields.refuse(key, "without \"read_user\"");
        }
        return Some(Beside::Nobody);
    }
    let user = role(name, fields, "read_user");
    let password = password(name, fields, sources);
    Some(Beside::By(user?, password?))
}

/// The login that fences rows of the ledger, if there is a ledger. What is signed must not be able to.
pub(super) fn ledger_login(
    name: &Text<'_>,
    fields: &Fields<'_>,
    write: &Options,
) -> Option<Beside> {
    let sources = [
        "ledger_password_file",
        "ledger_password_env",
        "ledger_password",
    ];
    if !fields.has("ledger_user") {
        for key in sources {
            fields.refuse(key, "without \"ledger_user\"");
        }
        return Some(Beside::Nobody);
    }
    let user = role(name, fields, "ledger_user")?;
    if user == write.user {
        let flaw = Flaw::found("\"ledger_user\" is the login that signed statements run as");
        let flaw = flaw.expected("a login of its own");
        fields.page.flaw(&fields.span_of("ledger_user"), flaw);
    }
    Some(Beside::By(user, password(name, fields, sources)?))
}

pub(super) fn role(name: &Text<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let Text { text, span } = fields.text(key, "the role that the gate logs in as")?;
    if text.contains(PLACEHOLDER) && !name.text.contains('*') {
        let found = format!("\"{PLACEHOLDER}\" stands for nothing in \"{key}\"");
        fields.page.flaw(&span, Flaw::found(found));
    }
    check_length(fields, text, &span);
    Some(text.to_owned())
}

pub(super) fn check_length(fields: &Fields<'_>, name: &str, span: &Span) {
    if name.len() > NAME_BYTES_MAX {
        let found = format!("\"{name}\" has {} bytes", name.len());
        let expected = format!("at most {NAME_BYTES_MAX}, since PostgreSQL cuts the rest off");
        fields
            .page
            .flaw(span, Flaw::found(found).expected(expected));
    }
}

/// A password, or the file that has it for each tenant of a pattern.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) now: Password,
    pub(super) later: Option<PathBuf>,
}

/// The password, from at most one of the sources file, variable and text; none where the server trusts.
pub(super) fn password(
    name: &Text<'_>,
    fields: &Fields<'_>,
    sources: [&'static str; 3],
) -> Option<Given> {
    let [file, variable, _] = sources;
    let mut given = sources.into_iter().filter(|key| fields.has(key));
    let Some(first) = given.next() else {
        return Some(Given::default());
    };
    if let Some(second) = given.next() {
        let flaw = Flaw::found(format!("both \"{first}\" and \"{second}\" are given"));
        fields
            .page
            .flaw(&fields.span_of(second), flaw.expected("one of them"));
        return None;
    }
    let (read, span) = if first == file {
        let Text { text, span } = fields.text(file, "the path of a file")?;
        if text.contains(PLACEHOLDER) {
            return own_file(name, fields, &Text { text, span });
        }
        (files::password(&fields.page.path(text)), span)
    } else if first == variable {
        let expected = "the name of an environment variable";
        let Text { text, span } = fields.text(variable, expected)?;
        (files::variable(text), span)
    } else {
        let Text { text, span } = fields.secret(first)?;
        (Ok(SecretString::from(text)), span)
    };
    match read {
        Ok(password) => Some(Given {
            now: Some(password),
            later: None,
        }),
        Err(flaw) => {
            fields.page.flaw(&span, flaw);
            None
        }
    }
}

/// A file that each tenant of a pattern has for itself: there must be a directory for them.
fn own_file(name: &Text<'_>, fields: &Fields<'_>, file: &Text<'_>) -> Option<Given> {
    let path = fields.page.path(file.text);
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let shown = directory.map(|it| it.display().to_string());
    let missing = directory.is_some_and(|it| !it.is_dir());
    let flaw = match shown {
        _ if !name.text.contains('*') => {
            let found = format!("\"{PLACEHOLDER}\" stands for nothing here");
            Flaw::found(found).expected("it only in a tenant with \"*\" in its name")
        }
        Some(shown) if missing && !shown.contains(PLACEHOLDER) => {
            Flaw::found(format!("there is no directory \"{shown}\""))
        }
        _ => {
            return Some(Given {
                now: None,
                later: Some(path),
            });
        }
    };
    fields.page.flaw(&file.span, flaw);
    None
}
