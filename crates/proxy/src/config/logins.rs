//! The logins of a tenant: roles and passwords, or where each tenant of a pattern has its own, or who gives them out. It never
//! shows a password.

use std::path::PathBuf;

use pool::{ClientTls, LoginSource, Options, Password};
use secrecy::SecretString;

use super::files;
use super::problem::Flaw;
use super::reader::{Fields, Span, Text};
use super::sources::{Givers, SourceKeys};
use super::trust::{KnownTls, shown};

/// What stands for the tenant's name.
pub(super) const PLACEHOLDER: &str = "{tenant}";
/// PostgreSQL cuts longer names of databases and roles off, so two of them could be one.
pub(super) const NAME_BYTES_MAX: usize = 63;

/// The keys of one login.
pub(super) struct LoginKeys {
    user: &'static str,
    file: &'static str,
    variable: &'static str,
    text: &'static str,
    source: SourceKeys,
    /// The certificate that the gate shows, and its key.
    pub(super) certificate: [&'static str; 2],
}

/// Those of the login for everything.
pub(super) const WRITE: LoginKeys = LoginKeys {
    user: "user",
    file: "password_file",
    variable: "password_env",
    text: "password",
    source: SourceKeys {
        command: "password_command",
        vault: "vault",
        aws: "aws_iam",
    },
    certificate: ["sslcert", "sslkey"],
};

const READ: LoginKeys = LoginKeys {
    user: "read_user",
    file: "read_password_file",
    variable: "read_password_env",
    text: "read_password",
    source: SourceKeys {
        command: "read_password_command",
        vault: "read_vault",
        aws: "read_aws_iam",
    },
    certificate: ["read_sslcert", "read_sslkey"],
};

const LEDGER: LoginKeys = LoginKeys {
    user: "ledger_user",
    file: "ledger_password_file",
    variable: "ledger_password_env",
    text: "ledger_password",
    source: SourceKeys {
        command: "ledger_password_command",
        vault: "ledger_vault",
        aws: "ledger_aws_iam",
    },
    certificate: ["ledger_sslcert", "ledger_sslkey"],
};

impl LoginKeys {
    /// The sources of what it is proven by; at most one is given.
    fn sources(&self) -> impl Iterator<Item = &'static str> {
        let fixed = [self.file, self.variable, self.text];
        fixed.into_iter().chain(self.source.all())
    }
}

/// A login beside the one for everything.
pub(super) enum Beside {
    Nobody,
    By(String, Given),
}

/// What logins of all tenants are read beside.
#[derive(Default)]
pub(super) struct Around {
    pub(super) givers: Givers,
    pub(super) tls: KnownTls,
}

/// The login for reads, if they have one of their own.
pub(super) fn read_login(
    name: &Text<'_>,
    fields: &Fields<'_>,
    around: &mut Around,
) -> Option<Beside> {
    beside(name, fields, &READ, around)
}

/// The login that fences rows of the ledger, if there is a ledger. What is signed must not be able to.
pub(super) fn ledger_login(
    name: &Text<'_>,
    fields: &Fields<'_>,
    write: &Options,
    around: &mut Around,
) -> Option<Beside> {
    let beside = beside(name, fields, &LEDGER, around)?;
    if let Beside::By(user, _) = &beside
        && *user == write.user
    {
        let flaw = Flaw::found("\"ledger_user\" is the login that signed statements run as");
        let flaw = flaw.expected("a login of its own");
        fields.page.flaw(&fields.span_of("ledger_user"), flaw);
    }
    Some(beside)
}

fn beside(
    name: &Text<'_>,
    fields: &Fields<'_>,
    keys: &LoginKeys,
    around: &mut Around,
) -> Option<Beside> {
    if !fields.has(keys.user) {
        for key in keys.sources().chain(keys.certificate) {
            fields.refuse(key, format!("without \"{}\"", keys.user));
        }
        return Some(Beside::Nobody);
    }
    let user = role(name, fields, keys.user);
    let mut given = given(name, fields, keys, &around.givers);
    if keys.certificate.iter().any(|it| fields.has(it)) {
        let tls = shown(fields, keys.certificate, &mut around.tls)?;
        given = given.map(|it| Given {
            tls: Some(tls),
            ..it
        });
    }
    Some(Beside::By(user?, given?))
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

/// What a login is proven by: a password, or the file that has it for each tenant of a pattern, or who gives it out.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) now: Password,
    pub(super) later: Option<PathBuf>,
    pub(super) source: Option<LoginSource>,
    /// TLS with a certificate of its own, where it shows another one than the tenant's first login.
    pub(super) tls: Option<ClientTls>,
}

/// What it is proven by, from at most one of its sources; nothing where the server trusts, or looks at the certificate alone.
pub(super) fn given(
    name: &Text<'_>,
    fields: &Fields<'_>,
    keys: &LoginKeys,
    givers: &Givers,
) -> Option<Given> {
    let mut given = keys.sources().filter(|key| fields.has(key));
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
    let (read, span) = if first == keys.file {
        let Text { text, span } = fields.text(first, "the path of a file")?;
        if text.contains(PLACEHOLDER) {
            return own_file(name, fields, &Text { text, span });
        }
        (files::password(&fields.page.path(text)), span)
    } else if first == keys.variable {
        let expected = "the name of an environment variable";
        let Text { text, span } = fields.text(first, expected)?;
        (files::variable(text), span)
    } else if first == keys.text {
        let Text { text, span } = fields.secret(first)?;
        (Ok(SecretString::from(text)), span)
    } else {
        let source = givers.source(fields, keys.source, first)?;
        check_placeholder(name, fields, &source, first);
        return Some(Given {
            source: Some(source),
            ..Given::default()
        });
    };
    match read {
        Ok(password) => Some(Given {
            now: Some(password),
            ..Given::default()
        }),
        Err(flaw) => {
            fields.page.flaw(&span, flaw);
            None
        }
    }
}

fn check_placeholder(name: &Text<'_>, fields: &Fields<'_>, source: &LoginSource, key: &str) {
    let stands = source.replaced(PLACEHOLDER, "") != *source;
    if stands && !name.text.contains('*') {
        let found = format!("\"{PLACEHOLDER}\" stands for nothing here");
        let flaw = Flaw::found(found).expected("it only in a tenant with \"*\" in its name");
        fields.page.flaw(&fields.span_of(key), flaw);
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
                later: Some(path),
                ..Given::default()
            });
        }
    };
    fields.page.flaw(&file.span, flaw);
    None
}
