//! Rules and what they make of a request. The first rule that matches a statement decides it, no
//! rule is a hold, the strictest statement decides the request, and approvals add up (DESIGN
//! ruling 17). It never asks what a statement does: `sql` has read that.

use std::collections::BTreeMap;
use std::sync::Arc;

use sql::{Class, Statement};

use crate::apart::{Apart, apart};
use crate::principal::{Group, Principal, TenantId};
use crate::request::Request;

/// Approvals that a hold needs: so many distinct people of a group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Need {
    /// The group.
    pub group: Group,
    /// How many of them, at least one.
    pub approvals: u32,
}

/// What a rule says of the statements that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// They pass.
    Allow,
    /// They wait for these people.
    Hold(Need),
    /// They never run; the sentence tells the requester why.
    Deny(String),
}

/// One rule. An empty list matches everything.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, shown to whoever it stops.
    pub name: Arc<str>,
    /// Tenants; `*` in a name stands for any characters.
    pub tenants: Vec<String>,
    /// Principals by id.
    pub users: Vec<String>,
    /// Groups of which the requester is in one.
    pub groups: Vec<Group>,
    /// Statement classes.
    pub classes: Vec<Class>,
    /// What it says.
    pub ruling: Ruling,
}

impl Rule {
    fn matches(&self, who: &Principal, tenant: &TenantId, class: Class) -> bool {
        let any = |list: &[String], name: &str| {
            list.is_empty() || list.iter().any(|pattern| glob(pattern, name))
        };
        any(&self.tenants, tenant.as_str())
            && any(&self.users, who.id.as_str())
            && (self.groups.is_empty() || self.groups.iter().any(|group| who.in_group(group)))
            && (self.classes.is_empty() || self.classes.contains(&class))
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters.
pub fn glob(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(head) else {
        return false;
    };
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| rest.get(at..).is_some_and(|from| glob(tail, from)))
}

/// The ordered rules and what holds where none matches.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    default: Need,
}

/// The name under which the default hold is shown.
pub const DEFAULT_RULE: &str = "default";

/// What the policy says of a request.
#[derive(Debug)]
pub enum Judgement {
    /// It may go, unsigned.
    Allow(Pass),
    /// It waits for people.
    Hold(Hold),
    /// Its first part is to be asked for by itself, and then the rest.
    Apart(Apart),
    /// It never runs.
    Deny(Denial),
}

/// Leave to run a request unsigned. Only [`Policy::judge`] makes one; `claim` spends it.
#[derive(Debug)]
pub struct Pass {
    pub(crate) request: Arc<Request>,
    pub(crate) rule: Arc<str>,
    fenced: bool,
}

impl Pass {
    /// Whether the server must refuse writes while this runs: so for every unsigned read, unless
    /// the policy lets this person run anything at all (DESIGN principle 2).
    pub fn fenced(&self) -> bool {
        self.fenced
    }

    /// The rule that let it pass.
    pub fn rule(&self) -> &Arc<str> {
        &self.rule
    }
}

/// Why and for whom a request waits.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The request.
    pub request: Arc<Request>,
    /// The rule that decided.
    pub rule: Arc<str>,
    /// All the approvals it needs.
    pub needs: Vec<Need>,
    /// The statement's reason in words.
    pub why: String,
}

/// Why a request never runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule that decided.
    pub rule: Arc<str>,
    /// What the rule tells the requester.
    pub message: String,
    /// The statement's reason in words.
    pub why: String,
}

impl Policy {
    /// Rules in order, and the hold where none of them matches.
    pub fn new(rules: Vec<Rule>, default: Need) -> Self {
        Self { rules, default }
    }

    /// A policy that lets everything pass; for a gate that is to be measured or tried out.
    pub fn allow_all() -> Self {
        let rule = Rule {
            name: Arc::from("allow all"),
            tenants: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            classes: Vec::new(),
            ruling: Ruling::Allow,
        };
        Self::new(
            vec![rule],
            Need {
                group: Group::from("nobody"),
                approvals: 1,
            },
        )
    }

    /// Every need that some rule or the default can put on a ticket.
    pub fn needs(&self) -> impl Iterator<Item = (&str, &Need)> {
        self.rules
            .iter()
            .filter_map(|rule| match &rule.ruling {
                Ruling::Hold(need) => Some((&*rule.name, need)),
                _ => None,
            })
            .chain([(DEFAULT_RULE, &self.default)])
    }

    /// What the rules say of `request`. Transaction control passes and is recorded (hazards R78);
    /// an empty text passes: it is how drivers ping.
    pub fn judge(&self, request: &Arc<Request>) -> Judgement {
        let who = &request.principal;
        let tenant = &request.context.tenant;
        let anything = matches!(self.decide(who, tenant, Class::Opaque), (_, Decided::Allow));
        let mut rule: Arc<str> = Arc::from("transaction control");
        let mut hold = Gathered::default();
        let mut kinds = Kinds::default();
        for statement in request.statements() {
            kinds.add(statement.class);
            if statement.class == Class::Transaction {
                continue;
            }
            match self.decide(who, tenant, statement.class) {
                (name, Decided::Allow) => rule = name,
                (name, Decided::Hold(need)) => hold.add(name, need, statement),
                (name, Decided::Deny(message)) => {
                    let (message, why) = (message.to_owned(), statement.why.clone());
                    return Judgement::Deny(Denial {
                        rule: name,
                        message,
                        why,
                    });
                }
            }
        }
        if !anything {
            let strings = !request.single();
            let mixed = kinds.reads && kinds.unfenceable;
            if (strings || mixed || hold.rule.is_some())
                && let Some(apart) = apart(request, hold.rule.is_none())
            {
                return Judgement::Apart(apart);
            }
            if hold.rule.is_none() && strings {
                hold.shape("several statements in one query string", &self.default);
            } else if hold.rule.is_none() && mixed {
                hold.shape("a read beside what no fence can go around", &self.default);
            }
        }
        match hold.rule {
            Some(rule) => Judgement::Hold(Hold {
                request: Arc::clone(request),
                rule,
                needs: hold
                    .needs
                    .into_iter()
                    .map(|(group, approvals)| Need { group, approvals })
                    .collect(),
                why: hold.why.join("; "),
            }),
            None => Judgement::Allow(Pass {
                request: Arc::clone(request),
                rule,
                fenced: kinds.reads && !anything,
            }),
        }
    }

    fn decide(&self, who: &Principal, tenant: &TenantId, class: Class) -> (Arc<str>, Decided<'_>) {
        match self
            .rules
            .iter()
            .find(|rule| rule.matches(who, tenant, class))
        {
            Some(rule) => {
                let decided = match &rule.ruling {
                    Ruling::Allow => Decided::Allow,
                    Ruling::Hold(need) => Decided::Hold(need),
                    Ruling::Deny(message) => Decided::Deny(message),
                };
                (Arc::clone(&rule.name), decided)
            }
            None => (Arc::from(DEFAULT_RULE), Decided::Hold(&self.default)),
        }
    }
}

/// What a fence has to do with: whether something must stand in one, and whether something cannot.
#[derive(Default)]
struct Kinds {
    reads: bool,
    unfenceable: bool,
}

impl Kinds {
    fn add(&mut self, class: Class) {
        match class {
            // What is read may hide a write behind it: a view, an operator (hazards V15).
            Class::Read | Class::CopyOut => self.reads = true,
            // The fence is rolled back: a setting would go with it, a COMMIT would end the fence that
            // it stands in, and a write could not run there.
            _ => self.unfenceable = true,
        }
    }
}

enum Decided<'a> {
    Allow,
    Hold(&'a Need),
    Deny(&'a str),
}

/// The holds of one request, as they add up: of each group the largest number.
#[derive(Default)]
struct Gathered {
    rule: Option<Arc<str>>,
    needs: BTreeMap<Group, u32>,
    why: Vec<String>,
}

impl Gathered {
    fn add(&mut self, rule: Arc<str>, need: &Need, statement: &Statement) {
        self.rule.get_or_insert(rule);
        let approvals = self.needs.entry(need.group.clone()).or_default();
        *approvals = need.approvals.max(*approvals);
        if !self.why.contains(&statement.why) {
            self.why.push(statement.why.clone());
        }
    }

    /// What passes unsigned must be one statement for sure, or reads that one fence can go around;
    /// any other shape is read by people.
    fn shape(&mut self, why: &str, default: &Need) {
        self.rule = Some(Arc::from(DEFAULT_RULE));
        self.needs.insert(default.group.clone(), default.approvals);
        self.why.push(why.to_owned());
    }
}
