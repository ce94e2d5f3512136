//! Tenants as the console shows them. It never reads a password, and never shows one.

use std::collections::{BTreeMap, HashMap};

use gate::policy::glob;
use session::TableReply;

use crate::config::{Config, Tenant, Tenants};
use crate::gatekeeper::Gatekeeper;
use crate::world::World;

/// Tenants that one list shows at the most. There may be tens of thousands: who wants more asks for those behind the last.
const LIST_MAX: usize = 1000;

/// pgbouncer's columns of `SHOW DATABASES` that mean the same here, then ours. `force_user` is who writes; a pool of that size there
/// is in each lane.
const COLUMNS: [&str; 15] = [
    "name",
    "host",
    "port",
    "database",
    "force_user",
    "pool_size",
    "server_lifetime",
    "pool_mode",
    "current_connections",
    "max_client_connections",
    "current_client_connections",
    "read_user",
    "ledger_user",
    "sslmode",
    "pattern",
];

pub(super) async fn show_tenants<W: World>(
    keeper: &Gatekeeper<W>,
    which: (Option<&str>, Option<&str>),
) -> TableReply {
    let (connections, sessions) = (connections(keeper).await, sessions(keeper));
    let version = keeper.version();
    let config = &version.config;
    let found = listed(&config.tenants, which);
    let count = |counts: &HashMap<String, usize>, name: &str| counts.get(name).copied();
    let row = |tenant: &Tenant| {
        let is_pattern = tenant.is_pattern();
        // What is connected goes by names of its own.
        let now = |counts| (!is_pattern).then(|| count(counts, &tenant.name).unwrap_or(0));
        row(config, tenant, [now(&connections), now(&sessions)])
    };
    TableReply {
        columns: COLUMNS.to_vec(),
        rows: found.iter().map(row).collect(),
        tag: "SHOW".to_owned(),
    }
}

fn row(config: &Config, tenant: &Tenant, now: [Option<usize>; 2]) -> Vec<Option<String>> {
    let Tenant {
        name,
        write,
        read,
        ledger,
        pool_mode,
        ..
    } = tenant;
    let [connections, sessions] = now;
    vec![
        Some(name.clone()),
        Some(write.host.clone()),
        Some(write.port.to_string()),
        Some(write.database.clone()),
        Some(write.user.clone()),
        Some(write.size.to_string()),
        Some(write.lifetime.as_secs().to_string()),
        Some(pool_mode.as_str().to_owned()),
        connections.map(|it| it.to_string()),
        Some(config.edge.sessions_per_tenant_max.to_string()),
        sessions.map(|it| it.to_string()),
        Some(read.user.clone()),
        ledger.as_ref().map(|it| it.user.clone()),
        Some(write.tls.mode().to_owned()),
        Some(if tenant.is_pattern() { "yes" } else { "no" }.to_owned()),
    ]
}

/// Those that fit, in the order of their names, behind one of them.
fn listed(tenants: &Tenants, (like, after): (Option<&str>, Option<&str>)) -> Vec<Tenant> {
    let fits = |name: &str| like.is_none_or(|it| it == name || glob(it, name));
    let wanted = |name: &str| fits(name) && after.is_none_or(|it| name > it);
    let patterns: BTreeMap<&str, &Tenant> = tenants
        .patterns()
        .iter()
        .map(|it| (it.name.as_str(), it))
        .collect();
    let names = tenants.names().chain(patterns.keys().copied());
    let mut names: Vec<&str> = names.filter(|it| wanted(it)).collect();
    if names.len() > LIST_MAX {
        names.select_nth_unstable(LIST_MAX);
        names.truncate(LIST_MAX);
    }
    names.sort_unstable();
    let tenant = |name: &str| match patterns.get(name) {
        Some(pattern) => Some((*pattern).clone()),
        None => tenants.find(name),
    };
    names.into_iter().filter_map(tenant).collect()
}

/// Connections of each tenant that has some, in all its lanes.
async fn connections<W: World>(keeper: &Gatekeeper<W>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for pool in keeper.crew.pools().await {
        let figures = pool.figures;
        let open = figures.active + figures.idle + figures.resetting + figures.logging_in;
        *counts.entry(pool.tenant.to_string()).or_default() += open;
    }
    counts
}

/// Sessions of each tenant that has some.
fn sessions<W: World>(keeper: &Gatekeeper<W>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    keeper.registry.census(|tenant, state| {
        if state != "login" {
            match counts.get_mut(tenant) {
                Some(count) => *count += 1,
                None => drop(counts.insert(tenant.to_owned(), 1)),
            }
        }
    });
    counts
}
