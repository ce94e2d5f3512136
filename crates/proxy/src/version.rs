//! The configuration that the gate goes by, and what is made of it once for all who ask. It never changes: a reload makes
//! another one, which takes its place. Each thread has its own hold on it, so nobody waits for anybody to look at it.

use std::collections::HashMap;
use std::sync::Arc;

use gate::policy::glob;
use gate::{People, Principal, PrincipalId};
use session::Limits;
use wire::scram::Verifier;

use crate::config::{Config, User};
use crate::negotiate::Encryption;

/// One reading of the configuration.
#[derive(Clone)]
pub(crate) struct Version {
    /// The first is that of the start; each reload has the next.
    pub(crate) number: u64,
    /// When it was read, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// Who asked for it on the console.
    pub(crate) by: Option<PrincipalId>,
    pub(crate) config: Arc<Config>,
    /// Limits of the sessions that begin under it.
    pub(crate) limits: Arc<Limits>,
    /// How clients may come.
    pub(crate) encryption: Encryption,
    /// Who is in which group.
    pub(crate) people: Arc<People>,
    /// Who logs in under which name.
    accounts: Arc<HashMap<String, Account>>,
}

struct Account {
    user: User,
    principal: Arc<Principal>,
}

impl Version {
    /// The one with this number.
    pub(crate) fn new(
        number: u64,
        (at_ms, by): (i64, Option<PrincipalId>),
        config: Config,
    ) -> Result<Self, rustls::Error> {
        let accounts = config.users.iter().map(|user| {
            let principal = Principal {
                id: user.person.clone(),
                groups: user.groups.clone(),
            };
            let account = Account {
                user: user.clone(),
                principal: Arc::new(principal),
            };
            (user.name.clone(), account)
        });
        let people = config.users.iter();
        let people = people.map(|user| (user.person.clone(), user.groups.clone()));
        Ok(Self {
            number,
            at_ms,
            by,
            limits: Arc::new(config.limits.clone()),
            encryption: Encryption::of(&config.tls)?,
            people: Arc::new(people.collect()),
            accounts: Arc::new(accounts.collect()),
            config: Arc::new(config),
        })
    }

    /// Who logs in under this name, with the groups that count for them now.
    pub(crate) fn principal(&self, user: &str) -> Option<&Arc<Principal>> {
        self.accounts.get(user).map(|it| &it.principal)
    }

    /// What their password is checked against.
    pub(crate) fn verifier(&self, user: &str) -> Option<&Verifier> {
        self.accounts.get(user).map(|it| &it.user.verifier)
    }

    /// Whether whoever logs in as `user` may name this tenant.
    pub(crate) fn may_name(&self, user: &str, tenant: &str) -> bool {
        let account = self.accounts.get(user);
        account.is_some_and(|it| allows(&it.user, tenant))
    }

    /// Whether this person may name it by any of their logins.
    pub(crate) fn may_go(&self, person: &PrincipalId, tenant: &str) -> bool {
        let mut logins = self.config.users.iter().filter(|it| it.person == *person);
        logins.any(|it| allows(it, tenant))
    }
}

fn allows(user: &User, tenant: &str) -> bool {
    user.tenants.is_empty() || user.tenants.iter().any(|it| glob(it, tenant))
}
