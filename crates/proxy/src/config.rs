//! The configuration: one TOML file, read whole, checked whole, refused with everything that is wrong with
//! it. It never connects, never listens, and never guesses what a key may have meant.

mod files;
mod glass;
mod holds;
mod journal;
mod keys;
mod known;
mod limits;
mod listen;
mod matchers;
mod no_wait;
mod owners;
mod people;
mod problem;
mod quantity;
mod reach;
mod reader;
mod release;
mod rules;
mod tenants;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gate::policy::glob;
use gate::{Group, Policy, PrincipalId};
use pool::ServerLimits;
use session::Limits;
use toml::de::DeTable;

pub use limits::Edge;
pub use listen::ServerTls;
pub use no_wait::NoWait;
pub use people::User;
pub use problem::{ConfigError, Place, Problem};
pub use release::Release;
pub use tenants::Tenant;

use known::Known;
use people::Members;
use problem::Flaw;
use reach::Asker;
use reader::{Fields, Page};

/// Threads beyond that would only wait for one another.
const WORKERS_MAX: u32 = 256;

/// What a gate is told to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; at least one address.
    pub listen: Vec<SocketAddr>,
    /// TLS towards the clients.
    pub tls: ServerTls,
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
    /// Where tenants lead, in the order of the file.
    pub tenants: Vec<Tenant>,
    /// Who may run what.
    pub policy: Policy,
}

impl Config {
    /// Reads a file, and the certificates, keys and passwords that it names.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read(path).map_err(|error| {
            let why = files::reason(&error);
            let file = path.display();
            let flaw = Flaw::found(format!(
                "could not read configuration file \"{file}\": {why}"
            ));
            ConfigError::of_file(path, flaw)
        })?;
        match str::from_utf8(&text) {
            Ok(text) => Self::parse(text, path),
            Err(error) => {
                let good = text.get(..error.valid_up_to()).unwrap_or_default();
                let good = String::from_utf8_lossy(good);
                let page = Page::new(&good, path);
                page.flaw(&(good.len()..good.len()), Flaw::found("invalid UTF-8"));
                page.finish(None)
            }
        }
    }

    /// Reads a configuration that stands in `origin`; the files that it names are read, too, and
    /// relative paths start at the directory of `origin`.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let page = Page::new(text, origin);
        let (root, errors) = DeTable::parse_recoverable(text);
        page.syntax(&errors);
        let config = if errors.is_empty() {
            read(&page, root.get_ref())
        } else {
            None
        };
        page.finish(config)
    }

    /// Where a tenant leads: the one of this name, else the first pattern that fits it.
    pub fn tenant(&self, name: &str) -> Option<Tenant> {
        if name == tenants::CONSOLE {
            return None;
        }
        let exact = self.tenants.iter().find(|tenant| tenant.name == name);
        let fits = || self.tenants.iter().find(|tenant| glob(&tenant.name, name));
        exact.or_else(fits)?.named(name)
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
    let known = Known {
        users: &users,
        members: &members,
        tenants: &[],
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

fn read<'a>(page: &'a Page<'a>, root: &'a DeTable<'a>) -> Option<Config> {
    let top = Fields::root(page, root, keys::TOP);
    let listen = listen::addresses(&top);
    let tls = listen::tls(&top, &listen);
    top.require("state", "a directory for tickets and journal");
    let state = state(&top);
    let before = page.problems();
    let mut members = Members::new();
    let people = people::users(&top, &mut members);
    let logins: Vec<(&str, &str)> = people.iter().map(|it| (it.name, it.is)).collect();
    people::groups(&top, &logins, &mut members);
    let users: Vec<&str> = people.iter().map(|it| it.is).collect();
    let sound = page.problems() == before;
    let routes = tenants::tenants(&top);
    check_tenants_of(&top, &people, &routes.names);
    let known = Known {
        users: &users,
        members: &members,
        tenants: &routes.names,
        owners: None,
    };
    let asker = |person| Asker::of(person, &routes.names, &members);
    let askers = || {
        if sound {
            people.iter().map(asker).collect()
        } else {
            Vec::new()
        }
    };
    let policy = policy(page, &top, known, askers);
    let (limits, edge, servers) = limits::limits(&top);
    let no_wait = NoWait::read(&top, known);
    Some(Config {
        listen,
        tls: tls?,
        state: state?,
        node: node(&top),
        workers: workers(&top, &routes.tenants, servers),
        limits,
        edge,
        servers,
        tickets: tickets(&top),
        journal: journal::custody(&top, routes.encryption_keys),
        release: Release::read(&top),
        no_wait,
        users: people::finish(people, &members),
        tenants: routes.tenants,
        policy: policy?,
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
        reach::check(page, &rules, known.members, &askers());
    }
    let policy = Policy::new(rules.ordered, rules.default).with_owners(rules.owners);
    let policy = policy.with_break_glass(glass::rules(top, known));
    Some(policy.observing(rules.observes))
}

/// A user may name the console; that, alone, is what somebody has who only approves.
fn check_tenants_of(top: &Fields<'_>, people: &[people::Person<'_>], tenants: &[&str]) {
    let mut known = tenants.to_vec();
    if !known.is_empty() {
        known.push(tenants::CONSOLE);
    }
    for tenant in people.iter().flat_map(|person| &person.tenants) {
        tenants::check_pattern(top, tenant, &known);
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
fn workers(top: &Fields<'_>, tenants: &[Tenant], servers: ServerLimits) -> usize {
    let workers = top.number("workers", 1..=WORKERS_MAX);
    let workers = workers.and_then(|it| usize::try_from(it).ok()).unwrap_or(1);
    let small = tenants.iter().find(|it| it.write.size < workers);
    let found = match (small, servers.connections_max) {
        (Some(tenant), _) => {
            let (name, size) = (&tenant.name, tenant.write.size);
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
