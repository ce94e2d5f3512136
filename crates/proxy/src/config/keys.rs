//! Every key of the configuration, table by table. It never reads a value.

/// Keys outside of any table, and the tables.
pub(super) const TOP: &[&str] = &[
    "listen",
    "state",
    "node",
    "workers",
    "include",
    "reload",
    "admin",
    "tls",
    "limits",
    "hold",
    "tickets",
    "journal",
    "user",
    "group",
    "pool",
    "tenant",
    "policy",
    "rule",
    "break_glass",
    "release",
    "vault",
];
/// What a file that is included may have of these.
pub(super) const INCLUDED: &[&str] = &["tenant"];
/// What a policy file may have of these.
pub(super) const POLICY_FILE: &[&str] = &["policy", "rule", "break_glass", "group"];
/// `[tls]`
pub(super) const TLS: &[&str] = &[
    "certificate",
    "key",
    "plaintext",
    "insecure_plaintext",
    "hosts",
];
/// `[reload]`
pub(super) const RELOAD: &[&str] = &["watch"];
/// `[admin]`
pub(super) const ADMIN: &[&str] = &["listen", "tenants_max", "stats_period"];
/// `[limits]`
pub(super) const LIMITS: &[&str] = &[
    "request_bytes_max",
    "pipeline_max",
    "ahead_bytes_max",
    "buffer_bytes_max",
    "tenant_buffer_bytes_max",
    "sessions_max",
    "sessions_per_address_max",
    "sessions_per_tenant_max",
    "login",
    "slow_reader",
    "drain",
    "server_connections_max",
    "server_logins_max",
];
/// `[hold]`
pub(super) const HOLD: &[&str] = &[
    "heartbeat",
    "transaction_budget",
    "no_wait_users",
    "no_wait_groups",
    "no_wait_applications",
];
/// `[tickets]`
pub(super) const TICKETS: &[&str] = &[
    "decide_within",
    "use_within",
    "pending_per_user_max",
    "pending_per_tenant_max",
];
/// `[journal]`
pub(super) const JOURNAL: &[&str] = &["rotate_bytes", "keep", "signing_key", "sign_within"];
/// `[user.NAME]`
pub(super) const USER: &[&str] = &["verifier", "person", "groups", "tenants"];
/// `[group.NAME]`
pub(super) const GROUP: &[&str] = &["members"];
/// `[pool]`
pub(super) const POOL: &[&str] = &["mode", "idle_timeout", "lifetime"];
/// `[tenant.NAME]`
pub(super) const TENANT: &[&str] = &[
    "host",
    "port",
    "database",
    "user",
    "password",
    "password_file",
    "password_env",
    "read_user",
    "read_password",
    "read_password_file",
    "read_password_env",
    "ledger_user",
    "ledger_password",
    "ledger_password_file",
    "ledger_password_env",
    "sslmode",
    "sslrootcert",
    "pool_size",
    "wait",
    "connect",
    "pool_mode",
    "idle_timeout",
    "lifetime",
    "encryption_key",
    "password_command",
    "vault",
    "aws_iam",
    "sslcert",
    "sslkey",
    "read_password_command",
    "read_vault",
    "read_aws_iam",
    "read_sslcert",
    "read_sslkey",
    "ledger_password_command",
    "ledger_vault",
    "ledger_aws_iam",
    "ledger_sslcert",
    "ledger_sslkey",
    "replicas",
    "replica_lag_max",
    "replica_wait",
    "isolation",
    "schemas",
];
/// `[vault]`
pub(super) const VAULT: &[&str] = &[
    "address",
    "ca",
    "namespace",
    "token_file",
    "role_id",
    "secret_id_file",
    "kubernetes_role",
    "jwt_file",
    "mount",
];
/// `[policy]`
pub(super) const POLICY: &[&str] = &["default", "mode", "owners"];
/// `default` of `[policy]`, and each of `needs` of `[[rule]]`
pub(super) const NEED: &[&str] = &["approvals", "from"];
/// `[[rule]]`
pub(super) const RULE: &[&str] = &[
    "name",
    "tenant",
    "user",
    "group",
    "class",
    "relation",
    "access",
    "function",
    "during",
    "address",
    "larger_than",
    "verdict",
    "approvals",
    "from",
    "needs",
    "decide_within",
    "use_within",
    "message",
];

/// `[[release]]`
pub(super) const RELEASE: &[&str] = &["class", "lock_timeout", "statement_timeout"];
/// `[[break_glass]]`
pub(super) const BREAK_GLASS: &[&str] = &["name", "tenant", "user", "group", "class", "review"];

/// The tables with their keys, as messages name them.
pub(super) const TABLES: [(&str, &[&str]); 18] = [
    ("at the top level", TOP),
    ("in [tls]", TLS),
    ("in [reload]", RELOAD),
    ("in [admin]", ADMIN),
    ("in [limits]", LIMITS),
    ("in [hold]", HOLD),
    ("in [tickets]", TICKETS),
    ("in [journal]", JOURNAL),
    ("in [user.NAME]", USER),
    ("in [group.NAME]", GROUP),
    ("in [pool]", POOL),
    ("in [tenant.NAME]", TENANT),
    ("in [vault]", VAULT),
    ("in [policy]", POLICY),
    ("in \"default\" of [policy]", NEED),
    ("in [[rule]]", RULE),
    ("in [[break_glass]]", BREAK_GLASS),
    ("in [[release]]", RELEASE),
];

/// The one table that has this key, if it is one.
pub(super) fn home(key: &str) -> Option<&'static str> {
    let mut tables = TABLES.iter().filter(|(_, keys)| keys.contains(&key));
    match (tables.next(), tables.next()) {
        (Some((table, _)), None) => Some(table),
        _ => None,
    }
}
