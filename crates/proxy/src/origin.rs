//! Where the configuration of a running gate comes from, what of it only a start takes up, and how the last reload went. It
//! never reads a file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pool::ServerLimits;
use store::TenantKeys;

use crate::config::Config;

/// Where a configuration comes from.
pub(crate) struct Origin {
    path: Option<PathBuf>,
    fixed: Fixed,
    last: Mutex<Last>,
    reloads: AtomicU64,
    failures: AtomicU64,
    /// One reload at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

/// How the last reload went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Last {
    /// What is otherwise in the files, and waits for a restart.
    pub(crate) waits: Vec<&'static str>,
    /// Where it failed: when, in milliseconds since 1970, and what is wrong.
    pub(crate) failed: Option<(i64, Vec<String>)>,
}

/// What only a start takes up.
struct Fixed {
    listen: Vec<SocketAddr>,
    state: PathBuf,
    node: String,
    workers: usize,
    admin: (Option<SocketAddr>, usize),
    servers: ServerLimits,
    tickets: store::Options,
    journal: Journal,
    tenant_keys: TenantKeys,
}

/// What `[journal]` says. The key is compared by what it is known by.
#[derive(PartialEq)]
struct Journal {
    keeping: store::Keeping,
    signing: Option<(String, Duration, u64)>,
}

impl Journal {
    fn of(custody: &store::Custody) -> Self {
        let signing = custody.keys.signing.as_ref();
        Self {
            keeping: custody.keeping,
            signing: signing.map(|it| (it.key.public().id().to_owned(), it.within, it.records)),
        }
    }
}

impl Origin {
    /// That of the configuration that the gate starts with.
    pub(crate) fn of(config: &Config) -> Self {
        let files = config.source.as_ref().map(|it| it.files.as_slice());
        Self {
            path: files.and_then(<[_]>::first).cloned(),
            fixed: Fixed {
                listen: config.listen.clone(),
                state: config.state.clone(),
                node: config.node.clone(),
                workers: config.workers,
                admin: (config.admin.listen, config.admin.tenants_max),
                servers: config.servers,
                tickets: config.tickets,
                journal: Journal::of(&config.journal),
                tenant_keys: config.journal.keys.tenants.clone(),
            },
            last: Mutex::default(),
            reloads: AtomicU64::default(),
            failures: AtomicU64::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// How many threads there are, whatever a file says by now.
    pub(crate) fn workers(&self) -> usize {
        self.fixed.workers
    }

    /// With what the journal encrypts what each tenant asks, whatever a file says by now.
    pub(crate) fn tenant_keys(&self) -> &TenantKeys {
        &self.fixed.tenant_keys
    }

    /// What is otherwise in `config` and only a start takes up, as the file names it.
    pub(crate) fn waits(&self, config: &Config) -> Vec<&'static str> {
        let Fixed {
            listen,
            state,
            node,
            workers,
            admin,
            servers,
            tickets,
            journal,
            // Where these are otherwise, nothing is taken up.
            tenant_keys: _,
        } = &self.fixed;
        let all = [
            ("listen", *listen == config.listen),
            ("state", *state == config.state),
            ("node", *node == config.node),
            ("workers", *workers == config.workers),
            (
                "[admin]",
                *admin == (config.admin.listen, config.admin.tenants_max),
            ),
            (
                "server_connections_max",
                servers.connections_max == config.servers.connections_max,
            ),
            (
                "server_logins_max",
                servers.logins_max == config.servers.logins_max,
            ),
            ("[tickets]", *tickets == config.tickets),
            ("[journal]", *journal == Journal::of(&config.journal)),
        ];
        let waits = all.into_iter().filter(|(_, same)| !same);
        waits.map(|(key, _)| key).collect()
    }

    /// How the last reload went.
    pub(crate) fn last(&self) -> Last {
        self.lock().clone()
    }

    /// How many reloads were taken up, and how many were not.
    pub(crate) fn reloads(&self) -> (u64, u64) {
        let count = |it: &AtomicU64| it.load(Ordering::Relaxed);
        (count(&self.reloads), count(&self.failures))
    }

    /// It went so.
    pub(crate) fn note(&self, last: Last) {
        let failed = last.failed.is_some();
        let count = if failed {
            &self.failures
        } else {
            &self.reloads
        };
        count.fetch_add(1, Ordering::Relaxed);
        *self.lock() = last;
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
