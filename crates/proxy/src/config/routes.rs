//! Where all tenants lead, kept small: most of thousands lie here and are not asked for. It never reads a file.

use std::collections::HashMap;
use std::sync::Arc;

use gate::policy::glob;
use gate::{Isolation, Walls};
use pool::{ClientTls, LoginSource, Options, Password};
use session::PoolMode;

use super::replicas::Replicas;
use super::tenants::{CONSOLE, Tenant};
use super::walls::usual_schemas;
use super::words::head;

/// Every tenant by its name, and patterns of names.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    exact: HashMap<Box<str>, Packed>,
    /// The longest beginning without a star first.
    patterns: Vec<Tenant>,
}

/// A tenant but for its name, and for what many have alike.
#[derive(Clone, Debug)]
struct Packed {
    common: Arc<Common>,
    /// Where it is not called as the tenant is.
    database: Option<Box<str>>,
    write: Login,
    /// Where reads have one of their own.
    read: Option<Box<Login>>,
    /// Where it has a ledger.
    ledger: Option<Box<Login>>,
    /// Where they are not those that a tenant of its name has.
    schemas: Option<Box<[Box<str>]>>,
}

#[derive(Clone, Debug)]
enum Login {
    /// With a password that is configured, or none.
    Fixed {
        user: Box<str>,
        password: Password,
    },
    Other(Box<Other>),
}

/// A login that somebody gives out, or that shows a certificate of its own.
#[derive(Clone, Debug)]
struct Other {
    user: Box<str>,
    password: Password,
    source: Option<LoginSource>,
    /// Where it is not the one that all logins of the tenant have.
    tls: Option<ClientTls>,
}

/// What tenants of one server mostly have alike.
#[derive(Debug, PartialEq)]
struct Common {
    mode: PoolMode,
    isolation: Option<Isolation>,
    /// Without database, user, password and parameters.
    write: Options,
    replicas: Option<Replicas>,
}

/// Puts tenants together.
#[derive(Debug, Default)]
pub(super) struct Packer {
    tenants: Tenants,
    /// By host and port.
    common: HashMap<(String, u16), Vec<Arc<Common>>>,
}

impl Tenants {
    /// These.
    pub fn of(tenants: impl IntoIterator<Item = Tenant>) -> Self {
        let mut packer = Packer::default();
        for tenant in tenants {
            packer.add(tenant);
        }
        packer.finish()
    }

    /// Where a tenant leads: the one of this name, else the pattern that fits it and has the longest beginning without a
    /// star. What a pattern cannot be filled with fits none.
    pub fn find(&self, name: &str) -> Option<Tenant> {
        if name == CONSOLE {
            return None;
        }
        if let Some(packed) = self.exact.get(name) {
            return Some(packed.unpack(name));
        }
        self.pattern(name)?.named(name)
    }

    /// The pattern that `name` fits, where it is none of the exact ones.
    pub fn pattern(&self, name: &str) -> Option<&Tenant> {
        let mut patterns = self.patterns.iter();
        let fits = |it: &&Tenant| glob(&it.name, name);
        patterns
            .find(fits)
            .filter(|_| !self.exact.contains_key(name))
    }

    /// How many have a name of their own, and how many patterns there are.
    pub fn len(&self) -> (usize, usize) {
        (self.exact.len(), self.patterns.len())
    }

    /// Those that have a name of their own.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(|it| &**it)
    }

    /// The patterns.
    pub fn patterns(&self) -> &[Tenant] {
        &self.patterns
    }

    /// Those, and patterns, that have one login for everything, each with its role; in no order.
    pub fn of_one_login(&self) -> impl Iterator<Item = (&str, &str)> {
        let exact = self.exact.iter().filter(|(_, it)| it.read.is_none());
        let exact = exact.map(|(name, it)| (&**name, it.write.user()));
        let patterns = self.patterns.iter().filter(|it| it.has_one_login());
        exact.chain(patterns.map(|it| (it.name.as_str(), it.read.user.as_str())))
    }

    /// Those, and patterns, that say nothing of how they are kept apart; in no order.
    pub fn unwalled(&self) -> impl Iterator<Item = &str> {
        let exact = self.exact.iter();
        let exact = exact.filter(|(_, it)| it.common.isolation.is_none());
        let patterns = self.patterns.iter().filter(|it| it.walls.is_none());
        let exact = exact.map(|(name, _)| &**name);
        exact.chain(patterns.map(|it| it.name.as_str()))
    }

    /// One with the smallest pool, and that pool's size.
    pub fn smallest(&self) -> Option<(&str, usize)> {
        let exact = self.exact.iter();
        let exact = exact.map(|(name, it)| (&**name, it.common.write.size));
        let patterns = self.patterns.iter();
        let all = exact.chain(patterns.map(|it| (it.name.as_str(), it.write.size)));
        all.min_by_key(|(name, size)| (*size, *name))
    }

    /// Whether a tenant, or a pattern, of this name is the same in both.
    pub fn is_same(&self, other: &Self, name: &str) -> bool {
        match (self.exact.get(name), other.exact.get(name)) {
            (Some(one), Some(other)) => one.is_same(other),
            _ => false,
        }
    }
}

impl Packer {
    pub(super) fn add(&mut self, tenant: Tenant) {
        if tenant.is_pattern() {
            self.tenants.patterns.push(tenant);
            return;
        }
        let one_login = tenant.has_one_login();
        let Tenant {
            name,
            pool_mode,
            write,
            read,
            ledger,
            replicas,
            walls,
            secrets: _,
        } = tenant;
        let isolation = walls.as_ref().map(|it| it.isolation);
        let schemas = walls.map(|it| it.schemas);
        let usual = isolation.map(|it| usual_schemas(it, &name));
        let schemas = schemas.filter(|it| usual.as_ref() != Some(it));
        let schemas = schemas.map(|it| it.into_iter().map(String::into_boxed_str).collect());
        let bare = Options {
            database: String::new(),
            user: String::new(),
            password: None,
            source: None,
            parameters: Vec::new(),
            ..write
        };
        let database = (write.database != name).then(|| write.database.into_boxed_str());
        let login = |it: Options| Login::of(it, &bare.tls);
        let (write, read, ledger) = (
            Login::of_parts(write.user, write.password, write.source, None),
            (!one_login).then(|| Box::new(login(read))),
            ledger.map(|it| Box::new(login(it))),
        );
        let packed = Packed {
            common: self.common(Common {
                mode: pool_mode,
                isolation,
                write: bare,
                replicas,
            }),
            database,
            write,
            read,
            ledger,
            schemas,
        };
        self.tenants.exact.insert(name.into_boxed_str(), packed);
    }

    fn common(&mut self, common: Common) -> Arc<Common> {
        let place = (common.write.host.clone(), common.write.port);
        let known = self.common.entry(place).or_default();
        if let Some(known) = known.iter().find(|it| ***it == common) {
            return Arc::clone(known);
        }
        let common = Arc::new(common);
        known.push(Arc::clone(&common));
        common
    }

    pub(super) fn finish(self) -> Tenants {
        let mut tenants = self.tenants;
        tenants.exact.shrink_to_fit();
        let patterns = &mut tenants.patterns;
        patterns.sort_by_key(|it| std::cmp::Reverse(head(&it.name).len()));
        tenants
    }
}

impl Login {
    /// Of these; `usual` is what the tenant's first login has.
    fn of(options: Options, usual: &ClientTls) -> Self {
        let tls = (options.tls != *usual).then_some(options.tls);
        Self::of_parts(options.user, options.password, options.source, tls)
    }

    fn of_parts(
        user: String,
        password: Password,
        source: Option<LoginSource>,
        tls: Option<ClientTls>,
    ) -> Self {
        let user = user.into_boxed_str();
        if source.is_none() && tls.is_none() {
            return Self::Fixed { user, password };
        }
        Self::Other(Box::new(Other {
            user,
            password,
            source,
            tls,
        }))
    }

    fn user(&self) -> &str {
        match self {
            Self::Fixed { user, .. } => user,
            Self::Other(other) => &other.user,
        }
    }

    fn put_into(&self, options: &mut Options) {
        self.user().clone_into(&mut options.user);
        match self {
            Self::Fixed { password, .. } => {
                options.password.clone_from(password);
                options.source = None;
            }
            Self::Other(other) => {
                options.password.clone_from(&other.password);
                options.source.clone_from(&other.source);
                if let Some(tls) = &other.tls {
                    options.tls.clone_from(tls);
                }
            }
        }
    }
}

impl Packed {
    fn unpack(&self, name: &str) -> Tenant {
        let Common {
            mode,
            isolation,
            write,
            replicas,
        } = &*self.common;
        let mut write = Options {
            database: self.database.as_deref().unwrap_or(name).to_owned(),
            ..write.clone()
        };
        self.write.put_into(&mut write);
        let mut tenant = Tenant::of_one_login(name, *mode, write).with_replicas(replicas.clone());
        if let Some(read) = &self.read {
            read.put_into(&mut tenant.read);
        }
        if let Some(ledger) = &self.ledger {
            let mut fencing = tenant.write.clone().fencing(String::new(), None);
            ledger.put_into(&mut fencing);
            tenant.ledger = Some(fencing);
        }
        tenant.within(isolation.map(|it| self.walls(it, name)))
    }

    fn walls(&self, isolation: Isolation, name: &str) -> Walls {
        let given = self.schemas.as_ref();
        let given = given.map(|it| it.iter().map(|it| String::from(&**it)).collect());
        Walls {
            isolation,
            schemas: given.unwrap_or_else(|| usual_schemas(isolation, name)),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let name = "";
        self.unpack(name) == other.unpack(name)
    }
}
