//! The configuration: one TOML file and those that it includes, read whole, checked whole, refused with everything that is
//! wrong with them. It never connects, never listens, and never guesses what a key may have meant.

mod admin;
mod files;
mod glass;
mod holds;
mod hosts;
mod include;
mod journal;
mod keys;
mod known;
mod limits;
mod listen;
mod locks;
mod logins;
mod matchers;
mod names;
mod no_wait;
mod owners;
mod people;
mod problem;
mod quantity;
mod reach;
mod reader;
mod release;
mod replicas;
mod routes;
mod rules;
mod sources;
mod tenants;
#[cfg(test)]
mod tests;
mod trust;
mod walls;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gate::{Group, Policy, PrincipalId};
use pool::ServerLimits;
use session::Limits;
use store::TenantKeys;
use toml::de::DeTable;

pub use admin::Admin;
pub use hosts::Hosts;
pub use include::Source;
pub use limits::Edge;
pub use listen::ServerTls;
pub use no_wait::NoWait;
pub use people::User;
pub use problem::{ConfigError, Place, Problem};
pub(crate) use quantity::{show_duration, show_size};
pub use release::Release;
pub use replicas::Replicas;
pub use routes::Tenants;
pub use tenants::Tenant;

use include::{Look, Sheet};
use known::Known;
use names::Names;
use people::Members;
use problem::Flaw;
use reach::Asker;
use reader::{Fields, Page};
use routes::Packer;

/// Threads beyond that would only wait for one another.
const WORKERS_MAX: u32 = 256;

/// What a gate is told to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; at least one address.
    pub listen: Vec<SocketAddr>,
    /// TLS towards the clients.
    pub tls: ServerTls,
    /// Hosts that name a tenant.
    pub hosts: Hosts,
    /// The directory of tickets and journal.
    pub state: PathBuf,
    /// The name of this gate in the journal.
    pub node: String,
    /// Threads that drive sessions; at least one.
    pub workers: usize,
    /// Limits and intervals of a session.
    pub limits: Limits,
    /// Limits of connections, and of what waits in memory for them.
    pub edge: Edge,
    /// Limits of each server behind the gate.
    pub servers: ServerLimits,
    /// How long tickets live, and how many may wait.
    pub tickets: store::Options,
    /// How the files of the journal are kept, and with which keys it is signed and encrypted.
    pub journal: store::Custody,
    /// How long what is released may wait for a lock, and run.
    pub release: Release,
    /// Who gets a ticket at once, and does not wait on the wire.
    pub no_wait: NoWait,
    /// Who may log in.
    pub users: Vec<User>,
    /// Where tenants lead.
    pub tenants: Tenants,
    /// Who may run what.
    pub policy: Policy,
    /// How often files are looked at for a change, where they are.
    pub watch: Option<Duration>,
    /// Where it is told how the gate is.
    pub admin: Admin,
    /// The files that it was read from, if it was.
    pub source: Option<Source>,
}

impl Config {
    /// Reads a file, and the certificates, keys and passwords that it names.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_beside(path, None)
    }

    /// The same for a gate that runs, and has `standing` as the keys of its tenants: others are refused.
    pub fn load_again(path: &Path, standing: &TenantKeys) -> Result<Self, ConfigError> {
        Self::load_beside(path, Some(standing))
    }

    fn load_beside(path: &Path, standing: Option<&TenantKeys>) -> Result<Self, ConfigError> {
        // Looked at first: what changes behind that is seen to have changed.
        let look = Look::at(path);
        let text = files::text(path);
        let text = text.map_err(|(place, flaw)| ConfigError::of(path, place, flaw))?;
        Self::read(&text, (path, &look), standing)
    }

    /// Reads a configuration that stands in `origin`; the files that it names are read, too, and
    /// relative paths start at the directory of `origin`.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        Self::read(text, (origin, &Look::at(origin)), None)
    }

    fn read(
        text: &str,
        (origin, look): (&Path, &Look),
        standing: Option<&TenantKeys>,
    ) -> Result<Self, ConfigError> {
        let page = Page::new(text, origin);
        let (root, errors) = DeTable::parse_recoverable(text);
        page.syntax(&errors);
        if !errors.is_empty() {
            return page.finish(None);
        }
        let top = Fields::root(&page, root.get_ref(), keys::TOP);
        let before = page.problems();
        let included = include::included(&top, look);
        let all_there = page.problems() == before;
        let sheets = &included.sheets;
        let config = read_with(&top, (sheets, all_there), standing);
        let source = Source::of(text, origin, included);
        page.finish(config.map(|config| Self {
            source: Some(source),
            ..config
        }))
    }

    /// Where a tenant leads: the one of this name, else the pattern that fits it and begins with more of it than others. A
    /// password that it has for itself is read now, and what is wrong with that is said.
    pub fn tenant(&self, name: &str) -> Option<Result<Tenant, String>> {
        self.tenants.find(name).map(Tenant::open)
    }

    /// Who logs in under this name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}

/// Reads a policy of its own: `[policy]`, `[[rule]]` and `[group.NAME]`, and nothing else. Its groups are of
/// these people; what comes back says for each of them in which they are.
pub fn policy_file(
    text: &str,
    origin: &Path,
    people: &[PrincipalId],
) -> Result<(Policy, BTreeMap<PrincipalId, BTreeSet<Group>>), ConfigError> {
    let page = Page::new(text, origin);
    let (root, errors) = DeTable::parse_recoverable(text);
    page.syntax(&errors);
    if !errors.is_empty() {
        return page.finish(None);
    }
    let top = Fields::root(&page, root.get_ref(), keys::POLICY_FILE);
    let users: Vec<&str> = people.iter().map(PrincipalId::as_str).collect();
    let logins: Vec<(&str, &str)> = users.iter().map(|it| (*it, *it)).collect();
    let mut members = Members::new();
    people::groups(&top, &logins, &mut members);
    let tenants = Names::default();
    let known = Known {
        users: &users,
        members: &members,
        tenants: &tenants,
        owners: None,
    };
    let asker = |name| Asker::anywhere(name, &members);
    let sound = page.problems() == 0;
    let askers = || {
        if sound {
            people.iter().map(asker).collect()
        } else {
            Vec::new()
        }
    };
    let policy = policy(&page, &top, known, askers);
    let groups = people
        .iter()
        .map(|name| (name.clone(), people::groups_of(name, &members)));
    let good = policy.map(|policy| (policy, groups.collect()));
    page.finish(good)
}

/// The configuration with the files that it includes. What is wrong with those is a problem of the whole.
fn read_with(
    top: &Fields<'_>,
    (sheets, all_there): (&[Sheet], bool),
    standing: Option<&TenantKeys>,
) -> Option<Config> {
    let pages = sheets.iter().map(|it| Page::new(&it.text, &it.origin));
    let pages: Vec<Page<'_>> = pages.collect();
    let tables = pages.iter().zip(sheets).map(|(page, sheet)| {
        let (table, errors) = DeTable::parse_recoverable(&sheet.text);
        page.syntax(&errors);
        table
    });
    let tables: Vec<_> = tables.collect();
    // What is missing in a file that cannot be read is not said to be unknown elsewhere.
    let sound = all_there && pages.iter().all(|it| it.problems() == 0);
    let config = if sound {
        let included = pages.iter().zip(&tables);
        let included = included.map(|(page, it)| Fields::root(page, it.get_ref(), keys::INCLUDED));
        let included: Vec<Fields<'_>> = included.collect();
        read(top, &included, standing)
    } else {
        None
    };
    for page in &pages {
        top.page.absorb(page);
    }
    config
}

fn read<'a>(
    top: &Fields<'a>,
    included: &[Fields<'a>],
    standing: Option<&TenantKeys>,
) -> Option<Config> {
    let page = top.page;
    let listen = listen::addresses(top);
    let (tls, hosts) = listen::tls(top, &listen);
    top.require("state", "a directory for tickets and journal");
    let state = state(top);
    let before = page.problems();
    let mut members = Members::new();
    let people = people::users(top, &mut members);
    let logins: Vec<(&str, &str)> = people.iter().map(|it| (it.name, it.is)).collect();
    people::groups(top, &logins, &mut members);
    let users: Vec<&str> = people.iter().map(|it| it.is).collect();
    let sound = page.problems() == before;
    let mut packer = Packer::default();
    let (names, keys) = tenants::tenants(top, included, standing, |it| packer.add(it));
    let tenants = packer.finish();
    check_tenants_of(top, &people, &names);
    let known = Known {
        users: &users,
        members: &members,
        tenants: &names,
        owners: None,
    };
    let asker = |person| Asker::of(person, &members);
    let askers = || {
        if sound {
            people.iter().map(asker).collect()
        } else {
            Vec::new()
        }
    };
    let policy = policy(page, top, known, askers);
    let (limits, edge, servers) = limits::limits(top);
    let no_wait = NoWait::read(top, known);
    Some(Config {
        listen,
        tls: tls?,
        hosts,
        state: state?,
        node: node(top),
        workers: workers(top, &tenants, servers),
        limits,
        edge,
        servers,
        tickets: tickets(top),
        journal: journal::custody(top, keys),
        release: Release::read(top),
        no_wait,
        users: people::finish(people, &members),
        tenants,
        policy: policy?,
        watch: watch(top),
        admin: Admin::read(top),
        source: None,
    })
}

/// The policy, if what it says of people can be true; that is asked only where all of it could be read.
fn policy(
    page: &Page<'_>,
    top: &Fields<'_>,
    known: Known<'_>,
    askers: impl FnOnce() -> Vec<Asker>,
) -> Option<Policy> {
    let before = page.problems();
    let rules = rules::rules(top, known)?;
    if page.problems() == before {
        reach::check(page, &rules, known, &askers());
    }
    let policy = Policy::new(rules.ordered, rules.default).with_owners(rules.owners);
    let policy = policy.with_break_glass(glass::rules(top, known));
    Some(policy.observing(rules.observes))
}

/// A user may name the console; that, alone, is what somebody has who only approves.
fn check_tenants_of(top: &Fields<'_>, people: &[people::Person<'_>], tenants: &Names<'_>) {
    for tenant in people.iter().flat_map(|person| &person.tenants) {
        tenants.check(top, tenant, Some(tenants::CONSOLE));
    }
}

fn state(top: &Fields<'_>) -> Option<PathBuf> {
    let state = top.text("state", "a directory for tickets and journal")?;
    let path = top.page.path(state.text);
    if path.exists() && !path.is_dir() {
        let found = format!("\"{}\" is not a directory", path.display());
        top.page.flaw(&state.span, Flaw::found(found));
    }
    Some(path)
}

fn node(top: &Fields<'_>) -> String {
    if let Some(node) = top.text("node", "a name") {
        return node.text.to_owned();
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if host.is_empty() {
        "gate".to_owned()
    } else {
        host.to_owned()
    }
}

/// Each worker has connections of its own: there must be one for each, wherever they lead.
fn workers(top: &Fields<'_>, tenants: &Tenants, servers: ServerLimits) -> usize {
    let workers = top.number("workers", 1..=WORKERS_MAX);
    let workers = workers.and_then(|it| usize::try_from(it).ok()).unwrap_or(1);
    let small = tenants.smallest().filter(|it| it.1 < workers);
    let found = match (small, servers.connections_max) {
        (Some((name, size)), _) => {
            format!("\"workers\" is {workers}, but \"pool_size\" of tenant \"{name}\" is {size}")
        }
        (None, max @ 1..) if max < workers => {
            format!("\"workers\" is {workers}, but \"server_connections_max\" is {max}")
        }
        (None, _) => return workers,
    };
    let flaw = Flaw::found(found).expected("a connection for each worker");
    top.page.flaw(&top.span_of("workers"), flaw);
    workers
}

/// How often files are looked at.
fn watch(top: &Fields<'_>) -> Option<Duration> {
    let second = Duration::from_secs(1);
    let table = top.table("reload", keys::RELOAD)?;
    table.duration("watch", second..=second * 86_400)
}

fn tickets(top: &Fields<'_>) -> store::Options {
    let table = top.table("tickets", keys::TICKETS);
    let time = |key, default| {
        let hour = Duration::from_hours(1);
        let within = Duration::from_secs(1)..=hour * 24 * 365;
        let given = table.as_ref().and_then(|table| table.duration(key, within));
        let given = given.and_then(|it| i64::try_from(it.as_millis()).ok());
        given.unwrap_or(default)
    };
    let count = |key, default| {
        let given = table.as_ref().and_then(|it| it.number(key, 1..=1_000_000));
        given.unwrap_or(default)
    };
    let usual = store::Options::default();
    store::Options {
        decide_within_ms: time("decide_within", usual.decide_within_ms),
        use_within_ms: time("use_within", usual.use_within_ms),
        pending_per_user_max: count("pending_per_user_max", usual.pending_per_user_max),
        pending_per_tenant_max: count("pending_per_tenant_max", usual.pending_per_tenant_max),
    }
}
