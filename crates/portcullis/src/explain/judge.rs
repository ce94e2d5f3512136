//! The policy as `explain` and `policy test` ask it: a question in, an answer as plain data out. It asks the
//! same rules as a gate, and needs neither a gate nor a server.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use gate::policy::{Opinion, Verdict};
use gate::{Context, Group, Judgement, Policy, Principal, Request, Settings, Work};
use proxy::config::Config;
use serde::Serialize;
use sql::{Catalog, Reader, Reading, Statement};

use crate::serve;

/// Who signs for what the built-in policy holds: it knows nobody.
const REVIEWERS: &str = "reviewers";

/// A policy, and the people and tenants that its configuration knows.
pub(crate) struct Judge {
    policy: Policy,
    config: Option<Config>,
    reader: Reader,
    catalog: Arc<Catalog>,
}

/// What is asked, and where and when. What nobody says is nobody, nowhere, and a client without address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    /// Who asks.
    pub(crate) user: Option<String>,
    /// Where.
    pub(crate) tenant: Option<String>,
    /// From where.
    pub(crate) address: Option<String>,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// What.
    pub(crate) sql: String,
}

/// What the policy says of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    /// How many statements it has, where that can be known.
    pub(crate) statements: Option<usize>,
    /// The strictest verdict of them.
    pub(crate) verdict: &'static str,
    /// What it says of each.
    pub(crate) each: Vec<Each>,
    /// What a gate would say of all of them in one query string, where none of them is held.
    #[serde(skip)]
    pub(crate) together: Option<String>,
}

/// What the policy says of one statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Each {
    /// Its class.
    pub(crate) class: &'static str,
    /// The relations that it reads.
    pub(crate) relations_read: Vec<String>,
    /// The relations that it changes, makes, locks or drops.
    pub(crate) relations_written: Vec<String>,
    /// The functions that it calls.
    pub(crate) functions: Vec<String>,
    /// Whether it can sit in a transaction block.
    pub(crate) in_transaction: bool,
    /// The verdict.
    pub(crate) verdict: &'static str,
    /// The rule that decided.
    pub(crate) rule: String,
    /// Why, in words.
    pub(crate) why: String,
    /// Who must sign: how many of which group.
    #[serde(skip)]
    pub(crate) needs: Vec<(u32, String)>,
    /// What a denial tells the requester.
    #[serde(skip)]
    pub(crate) message: Option<String>,
    /// Its own text.
    #[serde(skip)]
    pub(crate) text: String,
}

impl Judge {
    /// With the policy of a configuration file, or the built-in one; for a database of this catalog.
    pub(crate) fn new(config: Option<&Path>, catalog: Catalog) -> Result<Self, String> {
        let config = config.map(serve::load).transpose()?;
        let built_in = || Policy::built_in(Group::from(REVIEWERS));
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            policy: config
                .as_ref()
                .map_or_else(built_in, |it| it.policy.clone()),
            config,
            reader: Reader::start(threads).map_err(|error| format!("could not start: {error}"))?,
            catalog: Arc::new(catalog),
        })
    }

    /// Reads a text on one of the reader's threads.
    pub(crate) fn read(&self, text: &str) -> impl Future<Output = Arc<Reading>> + Send + 'static {
        let (reader, catalog) = (self.reader.clone(), Arc::clone(&self.catalog));
        let text = text.into();
        async move { reader.read(text, catalog).await }
    }

    /// Whether what is held passes all the same.
    pub(crate) fn observes(&self) -> bool {
        self.policy.observes()
    }

    /// What the policy says of a text that was read.
    pub(crate) fn answer(
        &self,
        question: Question,
        reading: &Arc<Reading>,
    ) -> Result<Answer, String> {
        let at_ms = question.at_ms;
        let request = Arc::new(self.request(question, Arc::clone(reading))?);
        let opinions = self.policy.explain(&request, at_ms);
        let verdict = opinions.iter().map(|it| it.verdict).max();
        let verdict = verdict.unwrap_or(Verdict::Allow);
        let together = match self.policy.judge(&request, at_ms) {
            Judgement::Hold(hold) if verdict == Verdict::Allow => Some(hold.why),
            _ => None,
        };
        let text: &str = match &request.work {
            Work::Query(text) => text,
            Work::Batch(_) => "",
        };
        let each = |(statement, opinion): (&Statement, Opinion)| {
            let own = text.get(statement.range.clone()).unwrap_or_default();
            each(statement, opinion, own)
        };
        Ok(Answer {
            statements: reading
                .why_opaque
                .is_none()
                .then_some(reading.statements.len()),
            verdict: verdict.name(),
            each: reading.statements.iter().zip(opinions).map(each).collect(),
            together,
        })
    }

    fn request(&self, question: Question, reading: Arc<Reading>) -> Result<Request, String> {
        let Question { user, tenant, .. } = &question;
        let user = user.as_deref().unwrap_or_default();
        let tenant = tenant.as_deref().unwrap_or_default();
        let (mut groups, mut role) = (BTreeSet::new(), Arc::from(""));
        let mut settings = Arc::new(Settings::new());
        if let Some(config) = &self.config {
            if !user.is_empty() {
                let known = config.user(user);
                let known = known.ok_or_else(|| format!("there is no user \"{user}\""))?;
                groups.clone_from(&known.groups);
            }
            if !tenant.is_empty() {
                let known = config.tenants.find(tenant);
                let known = known.ok_or_else(|| format!("there is no tenant \"{tenant}\""))?;
                role = Arc::from(&*known.write.user);
                let path = known.walls.as_ref().and_then(gate::Walls::search_path);
                settings = gate::context::beginning_with(&settings, path.as_deref());
            }
        }
        let principal = Principal {
            id: user.into(),
            groups,
        };
        Ok(Request {
            context: Context {
                tenant: tenant.into(),
                system_identifier: Arc::from(""),
                principal: principal.id.clone(),
                role,
                settings,
                state: None,
                isolation: None,
                in_transaction: false,
            },
            principal: Arc::new(principal),
            work: Work::Query(question.sql.into()),
            named: Vec::new(),
            readings: vec![reading],
            client: question.address.unwrap_or_default().into(),
            wish: Arc::default(),
        })
    }
}

fn each(statement: &Statement, opinion: Opinion, text: &str) -> Each {
    let names = |list: &[sql::Relation]| list.iter().map(ToString::to_string).collect();
    let needs = opinion.needs.into_iter();
    Each {
        class: statement.class.name(),
        relations_read: names(&statement.reads),
        relations_written: names(&statement.writes),
        functions: statement
            .functions
            .iter()
            .map(ToString::to_string)
            .collect(),
        in_transaction: !statement.outside_transaction,
        verdict: opinion.verdict.name(),
        rule: opinion.rule.to_string(),
        why: opinion.why,
        needs: needs
            .map(|it| (it.approvals, it.group.to_string()))
            .collect(),
        message: opinion.message,
        text: text.trim().to_owned(),
    }
}
