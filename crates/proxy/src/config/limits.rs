//! `[limits]` and `[hold]`: how much there may be of everything. It never knows what is done about it.

use std::time::Duration;

use pool::ServerLimits;
use session::Limits;

use super::keys;
use super::reader::Fields;

/// Limits of connections, and of what waits in memory for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Sessions at the same time.
    pub sessions_max: usize,
    /// Sessions from one address.
    pub sessions_per_address_max: usize,
    /// Sessions of one tenant.
    pub sessions_per_tenant_max: usize,
    /// Bytes that may wait in one direction of a session; above it the other end is not read.
    pub buffer_bytes_max: usize,
    /// Bytes that may wait in all sessions of a tenant together.
    pub tenant_buffer_bytes_max: usize,
    /// How long a client may take nothing of what waits for it.
    pub slow_reader: Duration,
    /// How long sessions may take to finish when the gate stops.
    pub drain: Duration,
}

impl Edge {
    /// So many sessions, from wherever and of whichever tenant.
    pub fn with_sessions(sessions_max: usize) -> Self {
        Self {
            sessions_max,
            sessions_per_address_max: sessions_max,
            sessions_per_tenant_max: sessions_max,
            buffer_bytes_max: 256 * 1024,
            tenant_buffer_bytes_max: 64 * 1024 * 1024,
            slow_reader: Duration::from_mins(5),
            drain: Duration::from_secs(10),
        }
    }
}

/// Reads both tables.
pub(super) fn limits(top: &Fields<'_>) -> (Limits, Edge, ServerLimits) {
    let mut limits = Limits::default();
    let mut edge = Edge::with_sessions(1000);
    let mut servers = ServerLimits::default();
    let second = Duration::from_secs(1);
    if let Some(table) = top.table("limits", keys::LIMITS) {
        let size = |key, default| table.size(key, 1 << 10..=1 << 30).unwrap_or(default);
        limits.request_bytes_max = size("request_bytes_max", limits.request_bytes_max);
        limits.ahead_bytes_max = size("ahead_bytes_max", limits.ahead_bytes_max);
        limits.pipeline_max = count(&table, "pipeline_max", limits.pipeline_max);
        limits.login = table
            .duration("login", second..=second * 3600)
            .unwrap_or(limits.login);
        let connections = table.number("server_connections_max", 0..=1_000_000_u32);
        let connections = connections.and_then(|it| usize::try_from(it).ok());
        servers.connections_max = connections.unwrap_or(servers.connections_max);
        servers.logins_max = count(&table, "server_logins_max", servers.logins_max);
        edge = read_edge(&table, edge.sessions_max);
    }
    if let Some(table) = top.table("hold", keys::HOLD) {
        let time = |key, default| {
            table
                .duration(key, second..=second * 86_400)
                .unwrap_or(default)
        };
        limits.heartbeat = time("heartbeat", limits.heartbeat);
        limits.budget = time("transaction_budget", limits.budget);
    }
    (limits, edge, servers)
}

fn read_edge(table: &Fields<'_>, sessions_max: usize) -> Edge {
    let second = Duration::from_secs(1);
    let least = 16 << 10;
    let size = |key, most, default| table.size(key, least..=most).unwrap_or(default);
    let sessions_max = count(table, "sessions_max", sessions_max);
    let mut edge = Edge::with_sessions(sessions_max);
    edge.sessions_per_address_max = count(table, "sessions_per_address_max", sessions_max);
    edge.sessions_per_tenant_max = count(table, "sessions_per_tenant_max", sessions_max);
    edge.buffer_bytes_max = size("buffer_bytes_max", 1 << 30, edge.buffer_bytes_max);
    edge.tenant_buffer_bytes_max = size(
        "tenant_buffer_bytes_max",
        1 << 40,
        edge.tenant_buffer_bytes_max,
    );
    edge.slow_reader = table
        .duration("slow_reader", second..=second * 86_400)
        .unwrap_or(edge.slow_reader);
    edge.drain = table
        .duration("drain", Duration::ZERO..=second * 86_400)
        .unwrap_or(edge.drain);
    edge
}

fn count(table: &Fields<'_>, key: &str, default: usize) -> usize {
    let number = table.number(key, 1..=1_000_000_u32);
    number
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}
