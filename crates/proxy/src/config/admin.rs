//! `[admin]`: where the gate tells machines how it is, and how much of that there is. It never opens a socket.

use std::net::SocketAddr;
use std::time::Duration;

use super::keys;
use super::problem::Flaw;
use super::reader::Fields;

const ADDRESS: &str = "an address with a port such as \"127.0.0.1:9187\"";

/// What is told of the gate, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where metrics and health are told; nowhere, without it.
    pub listen: Option<SocketAddr>,
    /// So many tenants have figures of their own; those of all others are added up.
    pub tenants_max: usize,
    /// The averages of `SHOW STATS` are over so much time; `stats_period` of pgbouncer.
    pub stats_period: Duration,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: None,
            tenants_max: 1000,
            stats_period: Duration::from_mins(1),
        }
    }
}

impl Admin {
    pub(super) fn read(top: &Fields<'_>) -> Self {
        let usual = Self::default();
        let Some(table) = top.table("admin", keys::ADMIN) else {
            return usual;
        };
        let second = Duration::from_secs(1);
        let tenants_max = table.number("tenants_max", 0..=1_000_000_u32);
        let tenants_max = tenants_max.and_then(|it| usize::try_from(it).ok());
        let stats_period = table.duration("stats_period", second..=second * 86_400);
        Self {
            listen: address(&table),
            tenants_max: tenants_max.unwrap_or(usual.tenants_max),
            stats_period: stats_period.unwrap_or(usual.stats_period),
        }
    }
}

fn address(table: &Fields<'_>) -> Option<SocketAddr> {
    let listen = table.text("listen", ADDRESS)?;
    let address = listen.text.parse();
    if address.is_err() {
        let found = format!("\"listen\" is the string \"{}\"", listen.text);
        let flaw = Flaw::found(found).expected(ADDRESS);
        table.page.flaw(&listen.span, flaw);
    }
    address.ok()
}
