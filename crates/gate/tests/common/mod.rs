//! Requests and rules with everything that a test does not care about filled in.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part of it"
)]

use std::sync::Arc;

use gate::policy::{Access, Glob, Ruling};
use gate::work::Values;
use gate::{Context, Group, Need, Prepared, Principal, Request, Rule, Settings, Step, Work};
use sql::Class;

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct Asks {
    pub who: Principal,
    pub context: Context,
    pub work: Work,
    pub client: Arc<str>,
}

/// Monday, 5 January 2026, noon UTC.
pub const NOW_MS: i64 = 1_767_614_400_000;

/// A statement as Parse gives it in a session without settings.
pub fn prepared(name: &str, text: &str, types: &[u32]) -> Arc<Prepared> {
    let settings = Settings::new();
    Arc::new(Prepared::new(
        name.into(),
        text.into(),
        types.to_vec(),
        &settings,
    ))
}

pub fn bind(portal: &str, text: &str, types: &[u32], values: Values) -> Step {
    Step::Bind {
        portal: portal.into(),
        statement: prepared("", text, types),
        values,
    }
}

impl Asks {
    pub fn work(work: Work) -> Self {
        let who = Principal {
            id: "alice".into(),
            groups: [Group::from("devs")].into(),
        };
        let context = Context {
            tenant: "acme".into(),
            system_identifier: Arc::from("7001"),
            principal: who.id.clone(),
            role: Arc::from("acme_rw"),
            settings: Arc::new(Settings::new()),
            state: None,
            isolation: None,
            in_transaction: false,
        };
        let client = Arc::from("192.0.2.7:50000");
        Self {
            who,
            context,
            work,
            client,
        }
    }

    pub fn query(text: &str) -> Self {
        Self::work(Work::Query(text.into()))
    }

    pub fn batch(texts: &[&str]) -> Self {
        let binds = texts
            .iter()
            .map(|text| bind("", text, &[], Values::default()));
        Self::work(Work::Batch(binds.collect()))
    }

    pub fn in_group(mut self, group: &str) -> Self {
        self.who.groups.insert(Group::from(group));
        self
    }

    pub fn by(mut self, who: &str) -> Self {
        self.who.id = who.into();
        self.context.principal = who.into();
        self
    }

    pub fn at(mut self, tenant: &str) -> Self {
        self.context.tenant = tenant.into();
        self
    }

    pub fn from(mut self, client: &str) -> Self {
        self.client = Arc::from(client);
        self
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        Arc::make_mut(&mut self.context.settings).insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn request(&self) -> Arc<Request> {
        let readings = self
            .work
            .texts()
            .iter()
            .map(|text| Arc::new(sql::read(text)))
            .collect();
        Arc::new(Request {
            principal: Arc::new(self.who.clone()),
            context: self.context.clone(),
            work: self.work.clone(),
            named: Vec::new(),
            readings,
            client: Arc::clone(&self.client),
            wish: Arc::default(),
        })
    }
}

pub fn need(group: &str, approvals: u32) -> Need {
    Need {
        group: Group::from(group),
        approvals,
    }
}

pub struct Ruled(pub Rule);

pub fn rule(name: &str, classes: &[Class], ruling: Ruling) -> Ruled {
    Ruled(Rule::new(name, ruling).of_classes(classes))
}

impl Ruled {
    pub fn of_group(mut self, group: &str) -> Self {
        self.0.groups.push(Group::from(group));
        self
    }
    pub fn of_relation(mut self, pattern: &str) -> Self {
        self.0.relations.push(pattern.parse().unwrap());
        self
    }
    pub fn with(mut self, access: Access) -> Self {
        self.0.access = Some(access);
        self
    }
    pub fn of_function(mut self, pattern: &str) -> Self {
        self.0.functions.push(pattern.parse().unwrap());
        self
    }
    pub fn of_user(mut self, user: &str) -> Self {
        self.0.users.push(Glob::from(user));
        self
    }
    pub fn of_tenant(mut self, tenant: &str) -> Self {
        self.0.tenants.push(Glob::from(tenant));
        self
    }
}
