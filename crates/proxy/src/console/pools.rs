//! Pools and sessions as the console shows them. It never changes one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gate::TenantId;
use session::TableReply;

use super::card::time;
use crate::gatekeeper::Gatekeeper;
use crate::lanes::PoolView;
use crate::registry::View;
use crate::world::World;

/// pgbouncer's columns that mean the same here, then `pool_size`, the lane, `paused` as in pgbouncer's `SHOW DATABASES`, and the
/// timeline that the server was last met on: a cancel takes no place in a pool, so there are no
/// `cl_active_cancel_req` and the like, and a tenant has one primary. What is being reset is `sv_tested`; nothing needs
/// a check before it is used, so `sv_used` is 0. Sessions count as active in the write lane, which each has.
const POOL_COLUMNS: [&str; 16] = [
    "database",
    "user",
    "cl_active",
    "cl_waiting",
    "sv_active",
    "sv_idle",
    "sv_used",
    "sv_tested",
    "sv_login",
    "maxwait",
    "maxwait_us",
    "pool_mode",
    "pool_size",
    "lane",
    "paused",
    "timeline",
];

pub(super) async fn show_pools<W: World>(keeper: &Gatekeeper<W>) -> TableReply {
    let sessions = keeper.registry.views();
    let pools = together(keeper.crew.pools().await);
    let waiting = |tenant: &TenantId| -> usize {
        let its = pools.values().filter(|it| it.tenant == *tenant);
        its.map(|it| it.figures.waiting).sum()
    };
    let row = |it: &PoolView| {
        let own = sessions
            .iter()
            .filter(|(_, view)| view.tenant == it.tenant.as_str());
        let active = match it.lane {
            "write" => own.count().saturating_sub(waiting(&it.tenant)),
            _ => 0,
        };
        let figures = it.figures;
        let (wait, wait_us) = (figures.max_wait.as_secs(), figures.max_wait.subsec_micros());
        let row = [
            it.tenant.to_string(),
            it.user.clone(),
            active.to_string(),
            figures.waiting.to_string(),
            figures.active.to_string(),
            figures.idle.to_string(),
            "0".to_owned(),
            figures.resetting.to_string(),
            figures.logging_in.to_string(),
            wait.to_string(),
            wait_us.to_string(),
            it.mode.as_str().to_owned(),
            it.size.to_string(),
            it.lane.to_owned(),
            u8::from(it.paused).to_string(),
        ];
        let timeline = it.timeline.map(|it| it.to_string());
        row.map(Some).into_iter().chain([timeline]).collect()
    };
    TableReply {
        columns: POOL_COLUMNS.to_vec(),
        rows: pools.values().map(row).collect(),
        tag: "SHOW".to_owned(),
    }
}

/// The pools of all threads by tenant, and each tenant's write lane first.
fn together(views: Vec<PoolView>) -> BTreeMap<(TenantId, Reverse<&'static str>), PoolView> {
    let mut pools: BTreeMap<_, PoolView> = BTreeMap::new();
    for view in views {
        match pools.entry((view.tenant.clone(), Reverse(view.lane))) {
            Entry::Vacant(vacant) => {
                vacant.insert(view);
            }
            Entry::Occupied(mut known) => known.get_mut().figures += view.figures,
        }
    }
    pools
}

/// pgbouncer's columns of `SHOW CLIENTS` that mean the same here, then ours.
const SESSION_COLUMNS: [&str; 12] = [
    "user",
    "database",
    "state",
    "addr",
    "port",
    "connect_time",
    "tls",
    "application_name",
    "pid",
    "ticket",
    "person",
    "server_pid",
];

pub(super) fn show_sessions<W: World>(keeper: &Gatekeeper<W>) -> TableReply {
    let row = |(pid, view): (u32, View)| {
        let (address, port) = match view.client.rsplit_once(':') {
            Some((address, port)) => (address.to_owned(), Some(port.to_owned())),
            None => (view.client.to_string(), None),
        };
        vec![
            Some(view.user),
            Some(view.tenant),
            Some(view.state.to_owned()),
            Some(address),
            port,
            Some(time(view.since_ms)),
            Some(if view.tls { "yes" } else { "no" }.to_owned()),
            Some(view.application),
            Some(pid.to_string()),
            view.ticket.map(|it| it.to_string()),
            view.person.map(|it| it.to_string()),
            view.server.map(|it| it.to_string()),
        ]
    };
    let rows = keeper.registry.views().into_iter().map(row).collect();
    TableReply {
        columns: SESSION_COLUMNS.to_vec(),
        rows,
        tag: "SHOW".to_owned(),
    }
}
