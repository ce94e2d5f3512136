//! Tenants and the way to their PostgreSQL. It never connects.

use std::path::Path;
use std::time::Duration;

use pool::{ClientTls, Options, Password, Roots, TlsError};
use secrecy::SecretString;
use session::PoolMode;
use store::{TenantKey, TenantKeys};

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
    /// How long a session of it keeps an upstream connection.
    pub pool_mode: PoolMode,
    /// Where it leads. With a `*` in the name, `{tenant}` in the database stands for what the client named.
    pub write: Options,
    /// The same place for unsigned reads: a login of its own, or the same one on sessions that begin read-only
    /// (DESIGN ruling 10).
    pub read: Options,
    /// The same place for whoever fences rows of its ledger, if there is one.
    pub ledger: Option<Options>,
}

impl Tenant {
    /// A tenant with one login for everything.
    pub fn of_one_login(name: &str, pool_mode: PoolMode, write: Options) -> Self {
        Self {
            name: name.to_owned(),
            pool_mode,
            read: write.clone().read_only(),
            write,
            ledger: None,
        }
    }

    /// Whether reads have no login of their own.
    pub fn has_one_login(&self) -> bool {
        self.read.user == self.write.user
    }

    /// What it is for `name`, which fits it; nothing if PostgreSQL would cut the name off.
    pub(super) fn named(&self, name: &str) -> Option<Self> {
        let mut tenant = self.clone();
        name.clone_into(&mut tenant.name);
        let database = tenant.write.database.replace(PLACEHOLDER, name);
        tenant.write.database.clone_from(&database);
        tenant.read.database.clone_from(&database);
        if let Some(ledger) = &mut tenant.ledger {
            ledger.database.clone_from(&database);
        }
        (database.len() <= NAME_BYTES_MAX).then_some(tenant)
    }
}

/// What there is to say of one tenant that fails to be one is said; the names of all come back.
#[derive(Debug)]
pub(super) struct Routes<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) tenants: Vec<Tenant>,
    /// With what the journal encrypts what they ask.
    pub(super) encryption_keys: TenantKeys,
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
        encryption_keys: TenantKeys::default(),
    };
    let (mut known, mut keys) = (Vec::new(), Vec::new());
    let pool = top.table("pool", keys::POOL);
    let usual = Pooling::read(pool.as_ref(), "mode", Pooling::default());
    for (name, fields) in top.named("tenant", keys::TENANT) {
        let pooling = Pooling::read(Some(&fields), "pool_mode", usual);
        let write = upstream(&name, &fields, pooling, &mut known);
        routes.names.push(name.text);
        keys.push((name.text.to_owned(), encryption_key(&fields)));
        let read = write.as_ref().and_then(|it| read_login(&fields, it));
        let ledger = write.as_ref().and_then(|it| ledger_login(&fields, it));
        if let (Some(write), Some((user, password))) = (write, read) {
            let mut tenant = Tenant::of_one_login(name.text, pooling.mode, write);
            tenant.ledger = ledger.map(|it| tenant.write.clone().fencing(it.0, it.1));
            tenant.read.user = user;
            tenant.read.password = password;
            routes.tenants.push(tenant);
        }
    }
    routes.encryption_keys = TenantKeys::new(keys);
    routes
}

fn encryption_key(fields: &Fields<'_>) -> Option<TenantKey> {
    let Text { text, span } = fields.text("encryption_key", "the path of a file")?;
    let key = files::tenant_key(&fields.page.path(text));
    key.map_err(|flaw| fields.page.flaw(&span, flaw)).ok()
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

fn upstream<'a>(
    name: &Text<'a>,
    fields: &Fields<'a>,
    pooling: Pooling,
    known: &mut KnownTls,
) -> Option<Options> {
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
    let user = role(fields, "user");
    let database = database(name, fields);
    let password = password(fields, ["password_file", "password_env", "password"]);
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
        idle_timeout: pooling.idle_timeout,
        lifetime: pooling.lifetime,
        parameters: Vec::new(),
    })
}

/// What a tenant says of its pool, or `[pool]` for all that say nothing.
#[derive(Clone, Copy, Debug)]
struct Pooling {
    mode: PoolMode,
    idle_timeout: Duration,
    lifetime: Duration,
}

impl Default for Pooling {
    fn default() -> Self {
        Self {
            mode: PoolMode::default(),
            idle_timeout: Options::IDLE_TIMEOUT,
            lifetime: Options::LIFETIME,
        }
    }
}

impl Pooling {
    fn read(fields: Option<&Fields<'_>>, mode_key: &str, usual: Self) -> Self {
        let Some(fields) = fields else { return usual };
        let time = |key, usual| {
            let second = Duration::from_secs(1);
            let given = fields.duration(key, second..=second * 86_400 * 365);
            given.unwrap_or(usual)
        };
        Self {
            mode: pool_mode(fields, mode_key).unwrap_or(usual.mode),
            idle_timeout: time("idle_timeout", usual.idle_timeout),
            lifetime: time("lifetime", usual.lifetime),
        }
    }
}

fn pool_mode(fields: &Fields<'_>, key: &str) -> Option<PoolMode> {
    let names = || PoolMode::ALL.into_iter().map(PoolMode::as_str);
    let expected = either(names());
    let Text { text, span } = fields.text(key, &expected)?;
    let mode = PoolMode::ALL.into_iter().find(|it| it.as_str() == text);
    if mode.is_none() {
        let flaw = Flaw::found(format!("unknown pool mode \"{text}\""));
        let flaw = flaw.expected(expected).meant(nearest(text, names()));
        fields.page.flaw(&span, flaw);
    }
    mode
}

/// The login for reads; that for writes, if there is none of its own.
fn read_login(fields: &Fields<'_>, write: &Options) -> Option<(String, Password)> {
    let sources = ["read_password_file", "read_password_env", "read_password"];
    if !fields.has("read_user") {
        for key in sources {
            fields.refuse(key, "without \"read_user\"");
        }
        return Some((write.user.clone(), write.password.clone()));
    }
    let (user, password) = (role(fields, "read_user"), password(fields, sources));
    Some((user?, password?))
}

/// The login that fences rows of the ledger, if there is a ledger. What is signed must not be able to.
fn ledger_login(fields: &Fields<'_>, write: &Options) -> Option<(String, Password)> {
    let sources = [
        "ledger_password_file",
        "ledger_password_env",
        "ledger_password",
    ];
    if !fields.has("ledger_user") {
        for key in sources {
            fields.refuse(key, "without \"ledger_user\"");
        }
        return None;
    }
    let user = role(fields, "ledger_user")?;
    if user == write.user {
        let flaw = Flaw::found("\"ledger_user\" is the login that signed statements run as");
        let flaw = flaw.expected("a login of its own");
        fields.page.flaw(&fields.span_of("ledger_user"), flaw);
    }
    Some((user, password(fields, sources)?))
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

fn role(fields: &Fields<'_>, key: &str) -> Option<String> {
    let Text { text, span } = fields.text(key, "the role that the gate logs in as")?;
    if text.contains(PLACEHOLDER) {
        let found = format!("\"{PLACEHOLDER}\" stands for nothing in \"{key}\"");
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

/// The password, from at most one of the sources file, variable and text; none where the server trusts.
fn password(fields: &Fields<'_>, sources: [&'static str; 3]) -> Option<Password> {
    let [file, variable, _] = sources;
    let mut given = sources.into_iter().filter(|key| fields.has(key));
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
    let (read, span) = if first == file {
        let Text { text, span } = fields.text(file, "the path of a file")?;
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
