//! Where and as whom something would run. A ticket is bound to it: the same bytes elsewhere are
//! another request (DESIGN ruling 16, hazards R92).

use std::collections::BTreeMap;
use std::sync::Arc;

use sql::Isolation;

use crate::digest::Gather;
use crate::principal::{PrincipalId, TenantId};

/// Settings of a session by lower-case name.
pub type Settings = BTreeMap<String, String>;

const SEARCH_PATH: &str = "search_path";

/// Settings that change how things look or how long they take, and not what a statement means.
const NOT_MEANING: [&str; 21] = [
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "constraint_exclusion",
    "cursor_tuple_fraction",
    "effective_cache_size",
    "extra_float_digits",
    "from_collapse_limit",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "jit",
    "join_collapse_limit",
    "lock_timeout",
    "plan_cache_mode",
    "random_page_cost",
    "seq_page_cost",
    "statement_timeout",
    "synchronize_seqscans",
    "transaction_timeout",
];

/// Those of `settings` that can change what a text means.
pub(crate) fn meaningful(settings: &Settings) -> impl Iterator<Item = (&String, &String)> {
    settings
        .iter()
        .filter(|(name, _)| !NOT_MEANING.contains(&name.as_str()) && !name.starts_with("enable_"))
}

/// Those of a session whose connections begin with this search_path.
pub fn beginning_with(settings: &Arc<Settings>, search_path: Option<&str>) -> Arc<Settings> {
    match search_path {
        Some(path) if !settings.contains_key(SEARCH_PATH) => {
            let mut settings = (**settings).clone();
            settings.insert(SEARCH_PATH.to_owned(), path.to_owned());
            Arc::new(settings)
        }
        _ => Arc::clone(settings),
    }
}

/// All that decides what a text means, besides the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The tenant.
    pub tenant: TenantId,
    /// The upstream cluster's own identifier: another cluster at the same address is another place.
    pub system_identifier: Arc<str>,
    /// Who asks.
    pub principal: PrincipalId,
    /// The upstream role as configured.
    pub role: Arc<str>,
    /// What the session set, in the startup packet.
    pub settings: Arc<Settings>,
    /// Digest of what the session ran that may have changed its state, in order; empty for a session
    /// that ran nothing of the kind.
    pub state: Option<crate::Digest>,
    /// The isolation level of an explicit transaction, where it was named.
    pub isolation: Option<Isolation>,
    /// In an explicit transaction, or by itself.
    pub in_transaction: bool,
}

impl Context {
    /// The settings that can change what a text means, such as search_path.
    pub fn meaningful_settings(&self) -> impl Iterator<Item = (&String, &String)> {
        meaningful(&self.settings)
    }

    pub(crate) fn gather(&self, into: &mut Gather) {
        for field in [
            self.tenant.as_str(),
            &self.system_identifier,
            self.principal.as_str(),
            &self.role,
        ] {
            into.field(field.as_bytes());
        }
        into.number(self.meaningful_settings().count() as u64);
        for (name, value) in self.meaningful_settings() {
            into.field(name.as_bytes());
            into.field(value.as_bytes());
        }
        into.optional(
            self.state
                .as_ref()
                .map(|digest| digest.as_bytes().as_slice()),
        );
        into.optional(self.isolation.map(isolation_name).map(str::as_bytes));
        into.number(u64::from(self.in_transaction));
    }
}

/// The level's name as SQL spells it.
pub fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "read uncommitted",
        Isolation::ReadCommitted => "read committed",
        Isolation::RepeatableRead => "repeatable read",
        Isolation::Serializable => "serializable",
    }
}
