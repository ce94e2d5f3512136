//! Tenants and the way to their PostgreSQL. It never connects.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use gate::Walls;
use gate::isolation::test::Question;
use pool::{Options, Station};
use session::PoolMode;
use store::TenantKeys;

use super::files;
use super::keys;
use super::locks::Locks;
use super::logins::{
    Around, Beside, Given, NAME_BYTES_MAX, PLACEHOLDER, WRITE, check_length, given, ledger_login,
    read_login, role,
};
use super::names::Names;
use super::problem::Flaw;
use super::reader::{Fields, Page, Span, Text};
use super::replicas::{Replicas, replicas};
use super::sources::Givers;
use super::trust::shown;
use super::walls::{Neighbours, walls};
use super::words::{either, head, nearest, overlap};

const SEARCH_PATH: &str = "search_path";
/// The virtual database of the gate itself.
pub(super) const CONSOLE: &str = "portcullis";

/// What clients name as their database, and where that leads.
#[derive(Clone, Debug, PartialEq)]
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
    /// Servers that follow it, for reads.
    pub replicas: Option<Replicas>,
    /// What it is said to be kept in, if anything is said.
    pub walls: Option<Walls>,
    /// Files of passwords that each tenant of a pattern has for itself.
    pub(super) secrets: Secrets,
}

/// Files of passwords that are read when a tenant is first asked for, one for each login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Secrets {
    write: Option<PathBuf>,
    read: Option<PathBuf>,
    ledger: Option<PathBuf>,
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
            replicas: None,
            walls: None,
            secrets: Secrets::default(),
        }
    }

    /// With servers that follow it: what they cannot serve now is read where it was written, and nowhere else.
    pub(super) fn with_replicas(mut self, replicas: Option<Replicas>) -> Self {
        if replicas.is_some() {
            self.read.station = Station::Primary;
        }
        self.replicas = replicas;
        self
    }

    /// The same, kept in these: where its names lead the gate says.
    #[must_use]
    pub fn within(mut self, walls: Option<Walls>) -> Self {
        let path = walls.as_ref().and_then(Walls::search_path);
        for options in [&mut self.write, &mut self.read] {
            options.parameters.retain(|(name, _)| name != SEARCH_PATH);
            let path = path.iter().cloned();
            let path = path.map(|it| (SEARCH_PATH.to_owned(), it));
            options.parameters.extend(path);
        }
        self.walls = walls;
        self
    }

    /// Whether reads have no login of their own.
    pub fn has_one_login(&self) -> bool {
        (&self.read.user, &self.read.source) == (&self.write.user, &self.write.source)
    }

    /// What a login of it is tested for; nothing where nothing is said of the tenant.
    pub fn question(&self, login: &Options) -> Option<Question> {
        let all = [&self.write, &self.read].into_iter().chain(&self.ledger);
        let mut logins: Vec<String> = all.map(|it| it.user.clone()).collect();
        logins.dedup();
        Some(Question {
            walls: self.walls.clone()?,
            logins,
            ledger: self.ledger.as_ref() == Some(login),
        })
    }

    /// Whether it stands for every tenant whose name fits.
    pub fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }

    /// What it is for `name`, which fits it; nothing if that is no plain name, or PostgreSQL would cut what comes of it off.
    pub(super) fn named(&self, name: &str) -> Option<Self> {
        let mut tenant = self.clone();
        name.clone_into(&mut tenant.name);
        let mut walls = tenant.walls.take();
        for schema in walls.iter_mut().flat_map(|it| &mut it.schemas) {
            *schema = schema.replace(PLACEHOLDER, name);
            if schema.len() > NAME_BYTES_MAX {
                return None;
            }
        }
        tenant = tenant.within(walls);
        let both = [&mut tenant.write, &mut tenant.read];
        for options in both.into_iter().chain(&mut tenant.ledger) {
            for part in [&mut options.database, &mut options.user] {
                *part = part.replace(PLACEHOLDER, name);
                if part.len() > NAME_BYTES_MAX {
                    return None;
                }
            }
            let source = options.source.as_ref();
            options.source = source.map(|it| it.replaced(PLACEHOLDER, name));
        }
        let Secrets {
            write,
            read,
            ledger,
        } = &mut tenant.secrets;
        for path in [write, read, ledger].into_iter().flatten() {
            *path = PathBuf::from(path.to_string_lossy().replace(PLACEHOLDER, name));
        }
        let apart = |it: &Options| it.user != tenant.write.user;
        let sound = is_plain(name) && tenant.ledger.as_ref().is_none_or(apart);
        sound.then_some(tenant)
    }

    /// The same with the passwords that it has for itself, which are read now.
    pub(super) fn open(mut self) -> Result<Self, String> {
        let Secrets {
            write,
            read,
            ledger,
        } = std::mem::take(&mut self.secrets);
        let read = read.or_else(|| write.clone().filter(|_| self.has_one_login()));
        let both = [(write, &mut self.write), (read, &mut self.read)];
        let fencing = self.ledger.as_mut().map(|it| (ledger, it));
        for (file, options) in both.into_iter().chain(fencing) {
            if let Some(file) = file {
                let password = files::password(&file);
                options.password = Some(password.map_err(|flaw| flaw.to_line())?);
            }
        }
        Ok(self)
    }
}

/// Whether a name that a client made up may stand in the name of a database, a role or a file: letters, digits, `_`, `-`, `.`
/// and `$`, of which it begins with none of the last three.
fn is_plain(name: &str) -> bool {
    let begins = |it: char| it.is_alphanumeric() || it == '_';
    name.starts_with(begins) && name.chars().all(|it| begins(it) || "-.$".contains(it))
}

/// Beside `[tenant.NAME]` of the configuration and of the files that it includes, and the files and variables that these name. What
/// there is to say of one that fails to be one is said; the names of all come back, and with what their journal is encrypted.
/// Of a gate that runs, that must be as in `standing`.
pub(super) fn tenants<'a>(
    top: &Fields<'a>,
    included: &[Fields<'a>],
    standing: Option<&TenantKeys>,
    mut keep: impl FnMut(Tenant),
) -> (Names<'a>, TenantKeys) {
    if !top.has("include") {
        let expected = "a table [tenant.NAME] for every database behind the gate";
        top.require("tenant", expected);
    }
    let mut names = Names::default();
    let mut around = Around {
        givers: Givers::read(top),
        ..Around::default()
    };
    let mut seen = Seen::default();
    let mut locks = Locks::default();
    let mut neighbours = Neighbours::default();
    let pool = top.table("pool", keys::POOL);
    let usual = Pooling::read(pool.as_ref(), "mode", Pooling::default());
    for page in std::iter::once(top).chain(included) {
        for (name, fields) in page.named("tenant", keys::TENANT) {
            check_twice(&name, &fields, &mut seen);
            names.add(name.text);
            locks.add(&name, &fields);
            if let Some(tenant) = tenant(&name, &fields, usual, &mut around) {
                let isolation = tenant.walls.as_ref().map(|it| it.isolation);
                let logins = [&tenant.write, &tenant.read];
                let logins: Vec<_> = logins.into_iter().chain(&tenant.ledger).collect();
                neighbours.add(&name, &fields, isolation, &logins);
                keep(tenant);
            }
        }
    }
    let keys = locks.finish(standing);
    (names, keys)
}

/// Where the names before this one stand. Which line that is takes a look at the whole file, and is asked for seldom.
#[derive(Default)]
struct Seen<'a> {
    all: HashMap<&'a str, (&'a Page<'a>, Span)>,
    patterns: Vec<&'a str>,
}

/// Each name leads to one place: none may stand twice, and no two patterns may be as good for one name.
fn check_twice<'a>(name: &Text<'a>, fields: &Fields<'a>, seen: &mut Seen<'a>) {
    let (page, text) = (fields.page, name.text);
    let place = |(first, span): &(&Page<'_>, Span)| {
        let line = first.line(span);
        if first.origin() == page.origin() {
            format!("on line {line}")
        } else {
            format!("in {}:{line}", first.origin().display())
        }
    };
    if let Some(first) = seen.all.get(text) {
        let found = format!("tenant \"{text}\" is already {}", place(first));
        let flaw = Flaw::found(found).expected("another name");
        return page.flaw(&name.span, flaw);
    }
    if text.contains('*') {
        let rival = |it: &&&str| head(it) == head(text) && overlap(it, text);
        let rival = seen.patterns.iter().find(rival);
        if let Some((other, first)) = rival.and_then(|it| seen.all.get_key_value(it)) {
            let first = place(first);
            let found = format!("\"{text}\" and \"{other}\" {first} fit the same names");
            let expected = "one that begins with more of the name";
            page.flaw(&name.span, Flaw::found(found).expected(expected));
        }
        seen.patterns.push(text);
    }
    seen.all.insert(text, (page, name.span.clone()));
}

fn tenant(
    name: &Text<'_>,
    fields: &Fields<'_>,
    usual: Pooling,
    around: &mut Around,
) -> Option<Tenant> {
    let pooling = Pooling::read(Some(fields), "pool_mode", usual);
    let walls = walls(name, fields);
    let (write, secret) = upstream((name, walls.as_ref()), fields, pooling, around)?;
    let reads = read_login(name, fields, around)?;
    let fences = ledger_login(name, fields, &write, around)?;
    let replicas = replicas(fields, &write).ok()?;
    let mut tenant = Tenant::of_one_login(name.text, pooling.mode, write).with_replicas(replicas);
    tenant.secrets.write = secret;
    if let Beside::By(user, given) = reads {
        let read = &mut tenant.read;
        (read.user, read.password, read.source) = (user, given.now, given.source);
        read.tls = given.tls.unwrap_or_else(|| read.tls.clone());
        tenant.secrets.read = given.later;
    }
    if let Beside::By(user, given) = fences {
        let mut ledger = tenant.write.clone().fencing(user, given.now);
        ledger.source = given.source;
        ledger.tls = given.tls.unwrap_or(ledger.tls);
        tenant.ledger = Some(ledger);
        tenant.secrets.ledger = given.later;
    }
    Some(tenant.within(walls))
}

fn upstream(
    (name, walls): (&Text<'_>, Option<&Walls>),
    fields: &Fields<'_>,
    pooling: Pooling,
    around: &mut Around,
) -> Option<(Options, Option<PathBuf>)> {
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
    let user = role(name, fields, "user");
    let shares = walls.is_some_and(|it| it.isolation.has_schemas());
    let database = database(name, fields, shares);
    let given = given(name, fields, &WRITE, &around.givers);
    let tls = shown(fields, WRITE.certificate, &mut around.tls);
    let port = fields.number("port", 1..=u16::MAX);
    let size = fields.number("pool_size", 1..=10_000_u32);
    let second = Duration::from_secs(1);
    let wait = fields.duration("wait", Duration::from_millis(1)..=second * 3600);
    let connect = fields.duration("connect", Duration::from_millis(1)..=second * 3600);
    let Given {
        now, later, source, ..
    } = given?;
    let options = Options {
        host: host?,
        port: port.unwrap_or(5432),
        database: database?,
        user: user?,
        password: now,
        source,
        tls: tls?,
        size: usize::try_from(size.unwrap_or(10)).ok()?,
        wait: wait.unwrap_or(second * 30),
        connect: connect.unwrap_or(second * 10),
        idle_timeout: pooling.idle_timeout,
        lifetime: pooling.lifetime,
        parameters: Vec::new(),
        station: Station::Primary,
    };
    Some((options, later))
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

fn host(fields: &Fields<'_>) -> Option<String> {
    let expected = "one host name or address";
    let Text { text, span } = fields.text("host", expected)?;
    if text.starts_with('/') || text.contains(|c: char| ", {}\"".contains(c) || c.is_control()) {
        let flaw = Flaw::found(format!("\"host\" is the string {text:?}"));
        fields.page.flaw(&span, flaw.expected(expected));
    }
    Some(text.to_owned())
}

/// Tenants of a pattern have a database each, unless they share one by what they say.
fn database(name: &Text<'_>, fields: &Fields<'_>, shares: bool) -> Option<String> {
    let pattern = name.text.contains('*');
    if !fields.has("database") {
        let own = if pattern { PLACEHOLDER } else { name.text };
        check_length(fields, own, &name.span);
        return Some(own.to_owned());
    }
    let Text { text, span } = fields.text("database", "the name of a database")?;
    let placed = text.contains(PLACEHOLDER);
    if pattern && !placed && !shares {
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
