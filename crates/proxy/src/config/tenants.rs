//! Tenants and the way to their PostgreSQL. It never connects.

use std::path::Path;
use std::time::Duration;

use pool::{ClientTls, Options, Password, Roots, TlsError};
use secrecy::SecretString;

use super::files;
use super::keys;
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::{either, nearest, overlap};

/// The virtual database of the gate itself.
pub(super) const CONSOLE: &str = "portcullis";
/// What stands for the tenant's name in `database`.
const PLACEHOLDER: &str = "{tenant}";
/// PostgreSQL cuts longer names of databases and roles off, so two of them could be one.
const NAME_BYTES_MAX: usize = 63;

/// What clients name as their database, and where that leads.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name; `*` stands for any characters.
    pub name: String,
    /// Where it leads. With a `*` in the name, `{tenant}` in the database stands for what the client named.
    pub upstream: Options,
}

impl Tenant {
    /// Where `name`, which fits this tenant, leads; nowhere if PostgreSQL would cut the name off.
    pub(super) fn options(&self, name: &str) -> Option<Options> {
        let mut options = self.upstream.clone();
        options.database = options.database.replace(PLACEHOLDER, name);
        (options.database.len() <= NAME_BYTES_MAX).then_some(options)
    }
}

/// What there is to say of one tenant that fails to be one is said; the names of all come back.
#[derive(Debug)]
pub(super) struct Routes<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) tenants: Vec<Tenant>,
}

/// Reads `[tenant.NAME]` and the files and variables that it names.
pub(super) fn tenants<'a>(top: &Fields<'a>) -> Routes<'a> {
    top.require(
        "tenant",
        "a table [tenant.NAME] for every database behind the gate",
    );
    let mut routes = Routes {
        names: Vec::new(),
        tenants: Vec::new(),
    };
    let mut known = Vec::new();
    for (name, fields) in top.named("tenant", keys::TENANT) {
        let upstream = upstream(&name, &fields, &mut known);
        routes.names.push(name.text);
        routes.tenants.extend(upstream.map(|upstream| Tenant {
            name: name.text.to_owned(),
            upstream,
        }));
    }
    routes
}

/// A tenant, or a pattern, that no configured tenant fits. Nothing is unknown where `known` is empty.
pub(super) fn check_pattern(top: &Fields<'_>, pattern: &Text<'_>, known: &[&str]) {
    let Text { text, span } = pattern;
    if !known.is_empty() && !known.iter().any(|known| overlap(known, text)) {
        let meant = nearest(text, known.iter().copied());
        top.page.flaw(
            span,
            Flaw::found(format!("unknown tenant \"{text}\"")).meant(meant),
        );
    }
}

fn upstream<'a>(name: &Text<'a>, fields: &Fields<'a>, known: &mut KnownTls) -> Option<Options> {
    if name.text == CONSOLE {
        let found = format!("\"{CONSOLE}\" is the console of the gate and cannot be a tenant");
        fields
            .page
            .flaw(&name.span, Flaw::found(found).expected("another name"));
    }
    if name.text.is_empty() || name.text.contains(char::is_control) {
        fields.page.flaw(
            &name.span,
            Flaw::found(format!("{:?} is no name for a tenant", name.text)),
        );
    }
    fields.require("host", "a host name or an address");
    fields.require("user", "the role that the gate logs in as");
    let host = host(fields);
    let user = role(fields);
    let database = database(name, fields);
    let password = password(fields);
    let tls = tls(fields, known);
    let port = fields.number("port", 1..=u16::MAX);
    let size = fields.number("pool_size", 1..=10_000_u32);
    let second = Duration::from_secs(1);
    let wait = fields.duration("wait", Duration::from_millis(1)..=second * 3600);
    let connect = fields.duration("connect", Duration::from_millis(1)..=second * 3600);
    Some(Options {
        host: host?,
        port: port.unwrap_or(5432),
        database: database?,
        user: user?,
        password: password?,
        tls: tls?,
        size: usize::try_from(size.unwrap_or(10)).ok()?,
        wait: wait.unwrap_or(second * 30),
        connect: connect.unwrap_or(second * 10),
    })
}

fn host(fields: &Fields<'_>) -> Option<String> {
    let expected = "one host name or address";
    let Text { text, span } = fields.text("host", expected)?;
    if text.starts_with('/') || text.contains(|c: char| ", {}\"".contains(c) || c.is_control()) {
        let flaw = Flaw::found(format!("\"host\" is the string {text:?}"));
        fields.page.flaw(&span, flaw.expected(expected));
    }
    Some(text.to_owned())
}

fn role(fields: &Fields<'_>) -> Option<String> {
    let Text { text, span } = fields.text("user", "the role that the gate logs in as")?;
    if text.contains(PLACEHOLDER) {
        let found = format!("\"{PLACEHOLDER}\" stands for nothing in \"user\"");
        fields.page.flaw(&span, Flaw::found(found));
    }
    check_length(fields, text, &span);
    Some(text.to_owned())
}

fn database(name: &Text<'_>, fields: &Fields<'_>) -> Option<String> {
    let pattern = name.text.contains('*');
    if !fields.has("database") {
        let own = if pattern { PLACEHOLDER } else { name.text };
        check_length(fields, own, &name.span);
        return Some(own.to_owned());
    }
    let Text { text, span } = fields.text("database", "the name of a database")?;
    let placed = text.contains(PLACEHOLDER);
    if pattern && !placed {
        let found = format!(
            "every tenant that fits \"{}\" would be one database",
            name.text
        );
        let expected = format!("\"{PLACEHOLDER}\" in \"database\"");
        fields
            .page
            .flaw(&span, Flaw::found(found).expected(expected));
    }
    if placed && !pattern {
        let found = format!("\"{PLACEHOLDER}\" stands for nothing here");
        let expected = "it only in a tenant with \"*\" in its name";
        fields
            .page
            .flaw(&span, Flaw::found(found).expected(expected));
    }
    check_length(fields, text, &span);
    Some(text.to_owned())
}

fn check_length(fields: &Fields<'_>, name: &str, span: &super::reader::Span) {
    if name.len() > NAME_BYTES_MAX {
        let found = format!("\"{name}\" has {} bytes", name.len());
        let expected = format!("at most {NAME_BYTES_MAX}, since PostgreSQL cuts the rest off");
        fields
            .page
            .flaw(span, Flaw::found(found).expected(expected));
    }
}

/// The password, from at most one source; none where the server trusts.
fn password(fields: &Fields<'_>) -> Option<Password> {
    const SOURCES: [&str; 3] = ["password_file", "password_env", "password"];
    let mut given = SOURCES.into_iter().filter(|key| fields.has(key));
    let Some(first) = given.next() else {
        return Some(None);
    };
    if let Some(second) = given.next() {
        let flaw = Flaw::found(format!("both \"{first}\" and \"{second}\" are given"));
        fields
            .page
            .flaw(&fields.span_of(second), flaw.expected("one of them"));
        return None;
    }
    let (read, span) = match first {
        "password" => {
            let Text { text, span } = fields.secret("password")?;
            (Ok(SecretString::from(text)), span)
        }
        "password_file" => {
            let Text { text, span } = fields.text("password_file", "the path of a file")?;
            (files::password(&fields.page.path(text)), span)
        }
        _ => {
            let expected = "the name of an environment variable";
            let Text { text, span } = fields.text("password_env", expected)?;
            (files::variable(text), span)
        }
    };
    match read {
        Ok(password) => Some(Some(password)),
        Err(flaw) => {
            fields.page.flaw(&span, flaw);
            None
        }
    }
}

/// TLS settings that were set up already: the system's roots are many.
type KnownTls = Vec<(Mode, Roots, ClientTls)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    Require,
    VerifyCa,
    VerifyFull,
}

const MODES: [(&str, Mode); 4] = [
    ("disable", Mode::Disable),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

fn tls(fields: &Fields<'_>, known: &mut KnownTls) -> Option<ClientTls> {
    let mode = mode(fields)?;
    if matches!(mode, Mode::Disable | Mode::Require) {
        fields.refuse("sslrootcert", "where the certificate is not verified");
    }
    let roots = match fields.text("sslrootcert", "\"system\" or a PEM file") {
        Some(Text { text, .. }) if text != "system" => Roots::File(fields.page.path(text)),
        _ => Roots::System,
    };
    let same = |known: &&(Mode, Roots, ClientTls)| known.0 == mode && known.1 == roots;
    if let Some((_, _, tls)) = known.iter().find(same) {
        return Some(tls.clone());
    }
    let tls = match mode {
        Mode::Disable => Ok(ClientTls::disable()),
        Mode::Require => ClientTls::require(),
        Mode::VerifyCa => ClientTls::verify_ca(&roots),
        Mode::VerifyFull => ClientTls::verify_full(&roots),
    };
    match tls {
        Ok(tls) => {
            known.push((mode, roots, tls.clone()));
            Some(tls)
        }
        Err(error) => {
            fields
                .page
                .flaw(&fields.span_of("sslrootcert"), untrusted(&error, &roots));
            None
        }
    }
}

fn mode(fields: &Fields<'_>) -> Option<Mode> {
    let expected = either(MODES.iter().map(|(name, _)| *name));
    if !fields.has("sslmode") {
        return Some(Mode::VerifyFull);
    }
    let Text { text, span } = fields.text("sslmode", &expected)?;
    let mode = MODES.iter().find(|(name, _)| *name == text);
    if mode.is_none() {
        let flaw = if ["allow", "prefer"].contains(&text) {
            let why = "it goes on in clear text where TLS fails";
            Flaw::found(format!("sslmode \"{text}\" is refused: {why}")).expected(expected)
        } else {
            Flaw::found(format!("unknown sslmode \"{text}\""))
                .expected(expected)
                .meant(nearest(text, MODES.iter().map(|(name, _)| *name)))
        };
        fields.page.flaw(&span, flaw);
    }
    mode.map(|(_, mode)| *mode)
}

fn untrusted(error: &TlsError, roots: &Roots) -> Flaw {
    let file = |path: &Path| format!("root certificate file \"{}\"", path.display());
    match (error, roots) {
        (TlsError::NoRoots, Roots::System) => Flaw::found("this system has no root certificates")
            .expected("\"sslrootcert\" with a PEM file"),
        (TlsError::NoRoots, Roots::File(path)) => {
            Flaw::found(format!("{} holds no PEM certificate", file(path)))
        }
        (TlsError::Roots { path, why }, _) => match why.split_once(" (os error") {
            Some((why, _)) => {
                let why = why.rsplit(": ").next().unwrap_or(why);
                Flaw::found(format!("could not read {}: {why}", file(path)))
            }
            None => Flaw::found(format!("{} cannot be used", file(path)))
                .expected("certificates in PEM"),
        },
        (error, _) => Flaw::found(error.to_string()),
    }
}
