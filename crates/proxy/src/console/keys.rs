//! What the keys of the configuration say, for the console. It never shows a secret: files of keys and passwords are not among them.

use std::time::Duration;

use crate::config::{Admin, Config, Edge, ServerTls, show_duration as time, show_size};

/// A key, what it says, what it would say if nobody said anything, and whether a reload takes it up.
pub(super) struct Key {
    name: &'static str,
    value: String,
    default: Option<String>,
    changeable: bool,
}

impl Key {
    pub(super) fn row(self) -> Vec<Option<String>> {
        let changeable = if self.changeable { "yes" } else { "no" };
        vec![
            Some(self.name.to_owned()),
            Some(self.value),
            self.default,
            Some(changeable.to_owned()),
        ]
    }
}

/// Those of one number or word each, in the order of `config/portcullis.toml`. Users, tenants and rules are shown by others.
pub(super) fn keys(config: &Config) -> impl Iterator<Item = Key> {
    let all = [
        place(config),
        clients(config),
        limits(config),
        waits(config),
    ];
    all.into_iter().flatten()
}

/// Only a start takes these up, but for `reload.watch` and `admin.stats_period`.
fn place(config: &Config) -> Vec<Key> {
    let usual = Admin::default();
    let addresses: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let address = config.admin.listen.map(|it| it.to_string());
    let watch = config.watch.map(time);
    vec![
        fixed("listen", addresses.join(", "), None),
        fixed("state", config.state.display().to_string(), None),
        fixed("node", config.node.clone(), None),
        fixed("workers", config.workers.to_string(), Some("1".to_owned())),
        key("reload.watch", watch.unwrap_or_default(), String::new()),
        fixed(
            "admin.listen",
            address.unwrap_or_default(),
            Some(String::new()),
        ),
        fixed(
            "admin.tenants_max",
            config.admin.tenants_max.to_string(),
            Some(usual.tenants_max.to_string()),
        ),
        key(
            "admin.stats_period",
            time(config.admin.stats_period),
            time(usual.stats_period),
        ),
    ]
}

fn clients(config: &Config) -> Vec<Key> {
    let (certificate, plaintext) = match &config.tls {
        ServerTls::Off => (false, true),
        ServerTls::On { plaintext, .. } => (true, *plaintext),
    };
    vec![
        key("tls", word(certificate), word(true)),
        key("tls.plaintext", word(plaintext), word(false)),
    ]
}

fn limits(config: &Config) -> Vec<Key> {
    let (limits, edge, servers) = (&config.limits, &config.edge, &config.servers);
    let usual = session::Limits::default();
    let doors = Edge::with_sessions(1000);
    let queues = pool::ServerLimits::default();
    let sessions = edge.sessions_max;
    let number =
        |name, value: usize, default: usize| key(name, value.to_string(), default.to_string());
    let size = |name, value, default| key(name, size(value), size(default));
    let span = |name, value, default| key(name, time(value), time(default));
    vec![
        size(
            "limits.request_bytes_max",
            limits.request_bytes_max,
            usual.request_bytes_max,
        ),
        number(
            "limits.pipeline_max",
            limits.pipeline_max,
            usual.pipeline_max,
        ),
        size(
            "limits.ahead_bytes_max",
            limits.ahead_bytes_max,
            usual.ahead_bytes_max,
        ),
        size(
            "limits.buffer_bytes_max",
            edge.buffer_bytes_max,
            doors.buffer_bytes_max,
        ),
        size(
            "limits.tenant_buffer_bytes_max",
            edge.tenant_buffer_bytes_max,
            doors.tenant_buffer_bytes_max,
        ),
        number("limits.sessions_max", sessions, doors.sessions_max),
        number(
            "limits.sessions_per_address_max",
            edge.sessions_per_address_max,
            sessions,
        ),
        number(
            "limits.sessions_per_tenant_max",
            edge.sessions_per_tenant_max,
            sessions,
        ),
        span("limits.login", limits.login, usual.login),
        span("limits.slow_reader", edge.slow_reader, doors.slow_reader),
        span("limits.drain", edge.drain, doors.drain),
        fixed(
            "limits.server_connections_max",
            servers.connections_max.to_string(),
            Some(queues.connections_max.to_string()),
        ),
        fixed(
            "limits.server_logins_max",
            servers.logins_max.to_string(),
            Some(queues.logins_max.to_string()),
        ),
        span("hold.heartbeat", limits.heartbeat, usual.heartbeat),
        span("hold.transaction_budget", limits.budget, usual.budget),
    ]
}

/// How long tickets live, and how the journal is kept: only a start takes these up.
fn waits(config: &Config) -> Vec<Key> {
    let (tickets, usual) = (config.tickets, store::Options::default());
    let (keeping, kept) = (config.journal.keeping, store::Keeping::default());
    let span = |name, ms: i64, default: i64| fixed(name, millis(ms), Some(millis(default)));
    let number =
        |name, value: u64, default: u64| fixed(name, value.to_string(), Some(default.to_string()));
    let signed = config.journal.keys.signing.is_some();
    let keep = keeping.keep_ms.map(millis);
    vec![
        span(
            "tickets.decide_within",
            tickets.decide_within_ms,
            usual.decide_within_ms,
        ),
        span(
            "tickets.use_within",
            tickets.use_within_ms,
            usual.use_within_ms,
        ),
        number(
            "tickets.pending_per_user_max",
            tickets.pending_per_user_max.into(),
            usual.pending_per_user_max.into(),
        ),
        number(
            "tickets.pending_per_tenant_max",
            tickets.pending_per_tenant_max.into(),
            usual.pending_per_tenant_max.into(),
        ),
        fixed(
            "journal.rotate_bytes",
            show_size(keeping.rotate_bytes),
            Some(show_size(kept.rotate_bytes)),
        ),
        fixed(
            "journal.keep",
            keep.unwrap_or_default(),
            Some(String::new()),
        ),
        fixed("journal.signed", word(signed), Some(word(false))),
    ]
}

fn key(name: &'static str, value: String, default: String) -> Key {
    Key {
        name,
        value,
        default: Some(default),
        changeable: true,
    }
}

/// One that only a start takes up.
fn fixed(name: &'static str, value: String, default: Option<String>) -> Key {
    Key {
        name,
        value,
        default,
        changeable: false,
    }
}

fn word(is: bool) -> String {
    if is { "true" } else { "false" }.to_owned()
}

fn millis(ms: i64) -> String {
    time(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

fn size(bytes: usize) -> String {
    show_size(u64::try_from(bytes).unwrap_or(u64::MAX))
}
