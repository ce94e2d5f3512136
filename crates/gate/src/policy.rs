//! Rules and what they make of a request. The first rule that matches a facet of a statement decides it, no
//! rule is a hold, the strictest facet decides the request, and approvals add up (DESIGN ruling 17). It never
//! asks what a statement does: `sql` has read that.

mod by_name;
mod filed;
mod glass;
mod hearing;
mod index;
mod names;
mod owners;
mod pattern;
mod rule;
mod sum;
mod window;

use std::sync::Arc;

use sql::{Class, Relation, Statement};

use crate::apart::{Apart, apart};
use crate::principal::{Group, Principal, TenantId};
use crate::request::Request;
use crate::ticket::{Facts, Touched, together};
use filed::Filed;
use hearing::{Heard, Hearing};
use sum::Sum;

pub use glass::BreakGlass;
pub(crate) use names::schemas;
pub use owners::{Owned, Owners};
pub use pattern::{FunctionPattern, Glob, NotAPattern, RelationPattern, glob};
pub use rule::{Access, Need, Rule, Ruling, Terms, Wanted, Whose};
pub use sum::{DEFAULT_RULE, Denial, Hold, Observed};
pub use window::{NotAWindow, Window};

/// The name under which transaction control passes (hazards R78).
const CONTROL_RULE: &str = "transaction control";
/// The name under which a policy that only observes lets pass what it would have held.
const OBSERVE_RULE: &str = "observe";

/// The ordered rules and what holds where none matches.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Filed,
    default: Need,
    owners: Owners,
    glass: Vec<BreakGlass>,
    observes: bool,
}

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
    observed: Option<Observed>,
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

    /// What would have held it, did the policy not only observe.
    pub fn observed(&self) -> Option<&Observed> {
        self.observed.as_ref()
    }
}

/// A verdict, strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It waits for people.
    Hold,
    /// It never runs.
    Deny,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Hold, Self::Deny];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

/// What the policy says of one statement, for people who ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// The verdict, as if the policy did not only observe.
    pub verdict: Verdict,
    /// The rule that decided.
    pub rule: Arc<str>,
    /// Why, in words.
    pub why: String,
    /// The approvals that it needs.
    pub needs: Vec<Need>,
    /// What a denial tells the requester.
    pub message: Option<String>,
}

impl Policy {
    /// Rules in order, and the hold where none of them matches.
    pub fn new(rules: Vec<Rule>, default: Need) -> Self {
        Self {
            rules: Filed::new(rules),
            default,
            owners: Owners::default(),
            glass: Vec::new(),
            observes: false,
        }
    }

    /// The same, where relations have owners.
    #[must_use]
    pub fn with_owners(mut self, owners: Owners) -> Self {
        self.owners = owners;
        self
    }

    /// The same, where people may run something before anybody signs.
    #[must_use]
    pub fn with_break_glass(mut self, rules: Vec<BreakGlass>) -> Self {
        self.glass = rules;
        self
    }

    /// The rule by which the requester may run `request` before anybody signs.
    pub fn break_glass(&self, request: &Request) -> Option<&BreakGlass> {
        self.glass.iter().find(|it| it.fits(request))
    }

    /// Who signs where no rule says otherwise.
    pub fn default(&self) -> &Need {
        &self.default
    }

    /// The same, but what it would hold passes, and says so. Denials stay denials.
    #[must_use]
    pub fn observing(mut self, observes: bool) -> Self {
        self.observes = observes;
        self
    }

    /// A policy that lets everything pass; for a gate that is to be measured or tried out.
    pub fn allow_all() -> Self {
        let nobody = Need {
            group: Group::from("nobody"),
            approvals: 1,
        };
        Self::new(vec![Rule::new("allow all", Ruling::Allow)], nobody)
    }

    /// The policy of a gate that nobody gave one: reads pass, of tables and of the catalog, and so do harmless
    /// settings and transaction control; everything else waits for one of `approvers`.
    pub fn built_in(approvers: Group) -> Self {
        let passes = |name, class| Rule::new(name, Ruling::Allow).of_classes(&[class]);
        let rules = vec![
            passes("reads pass", Class::Read),
            passes("harmless settings pass", Class::Session),
        ];
        let one = Need {
            group: approvers,
            approvals: 1,
        };
        Self::new(rules, one)
    }

    /// Whether what it holds passes all the same.
    pub fn observes(&self) -> bool {
        self.observes
    }

    /// Its rules, in order.
    pub fn rules(&self) -> &[Rule] {
        self.rules.rules()
    }

    /// What the rules say of `request` at `now_ms`, in milliseconds since 1970. Transaction control passes
    /// and is recorded (hazards R78); an empty text passes: it is how drivers ping.
    pub fn judge(&self, request: &Arc<Request>, now_ms: i64) -> Judgement {
        self.weigh(request, now_ms, apart)
    }

    /// The same of something that somebody wants signed as a whole: it is not taken apart.
    pub fn judge_whole(&self, request: &Arc<Request>, now_ms: i64) -> Judgement {
        self.weigh(request, now_ms, |_, _| None)
    }

    fn weigh(
        &self,
        request: &Arc<Request>,
        now_ms: i64,
        apart: impl Fn(&Request, bool) -> Option<Apart>,
    ) -> Judgement {
        let mut hearing = Hearing::new(&self.rules, request, now_ms);
        let anything = hearing.passes(Class::Opaque);
        let mut rule = None;
        let mut sum = Sum::new(request.statements().count());
        let mut kinds = Kinds::default();
        for (number, statement) in request.statements().enumerate() {
            kinds.add(statement);
            if statement.class == Class::Transaction {
                continue;
            }
            let denied = hearing.hear(statement, |hearing, heard| {
                rule = heard.allowed.or(rule);
                self.add(&mut sum, (number, statement), hearing, heard)
            });
            if let Some(denial) = denied {
                return Judgement::Deny(denial);
            }
        }
        let several = !request.single();
        let mixed = kinds.reads && kinds.unfenceable;
        if !anything && (several || mixed || !sum.is_empty()) {
            let passes = sum.is_empty() || self.observes;
            if let Some(apart) = apart(request, passes) {
                return Judgement::Apart(apart);
            }
            if sum.is_empty() && several {
                sum.shape("several statements in one query string", &self.default);
            } else if sum.is_empty() && mixed {
                sum.shape("a read beside what no fence can go around", &self.default);
            }
        }
        let allowed = rule.map_or_else(|| Arc::from(CONTROL_RULE), |it| Arc::clone(&it.name));
        match sum.hold(request) {
            Some(hold) if !self.observes => Judgement::Hold(hold),
            held => Judgement::Allow(Pass {
                request: Arc::clone(request),
                rule: held.as_ref().map_or(allowed, |_| Arc::from(OBSERVE_RULE)),
                // What only observes lets pass what no fence can go around.
                fenced: kinds.reads && !anything && !(mixed || several),
                observed: held.map(Observed::from),
            }),
        }
    }

    /// The approvals that `request` needs at `now_ms`; none where it may pass.
    pub fn needs(&self, request: &Arc<Request>, now_ms: i64) -> Result<Vec<Need>, Denial> {
        match self.judge(request, now_ms) {
            Judgement::Hold(hold) => Ok(hold.needs),
            Judgement::Allow(_) | Judgement::Apart(_) => Ok(Vec::new()),
            Judgement::Deny(denial) => Err(denial),
        }
    }

    /// What the rules say of each statement of `request`, whatever stands beside it, and what they would say
    /// did the policy not only observe.
    pub fn explain(&self, request: &Request, now_ms: i64) -> Vec<Opinion> {
        let mut hearing = Hearing::new(&self.rules, request, now_ms);
        let explain = |statement: &Statement| {
            if statement.class == Class::Transaction {
                return Opinion::allow(Arc::from(CONTROL_RULE), statement);
            }
            hearing.hear(statement, |hearing, heard| {
                let mut sum = Sum::new(1);
                let allowed = heard.allowed;
                if let Some(denial) = self.add(&mut sum, (0, statement), hearing, heard) {
                    return Opinion {
                        verdict: Verdict::Deny,
                        rule: denial.rule,
                        why: denial.why,
                        needs: Vec::new(),
                        message: Some(denial.message),
                    };
                }
                let name =
                    allowed.map_or_else(|| Arc::from(DEFAULT_RULE), |it| Arc::clone(&it.name));
                match sum.finish() {
                    None => Opinion::allow(name, statement),
                    Some(held) => Opinion {
                        verdict: Verdict::Hold,
                        rule: held.rule,
                        why: held.why,
                        needs: held.needs,
                        message: None,
                    },
                }
            })
        };
        request.statements().map(explain).collect()
    }

    /// Who must sign for a grant of these classes to this person at this tenant: whoever would have to for the statements that
    /// it may be used for, as far as rules say so without having seen them.
    pub fn grant_needs(&self, who: &Principal, tenant: &TenantId, classes: &[Class]) -> Vec<Need> {
        let any =
            |globs: &[Glob], name: &str| globs.is_empty() || globs.iter().any(|it| it.fits(name));
        let about = |rule: &&Rule| {
            any(&rule.tenants, tenant.as_str())
                && any(&rule.users, who.id.as_str())
                && (rule.groups.is_empty() || rule.groups.iter().any(|it| who.in_group(it)))
                && classes.iter().any(|it| rule.is_about(*it))
        };
        let mut needs = vec![self.default.clone()];
        for rule in self.rules.rules().iter().filter(about) {
            let Ruling::Hold(terms) = &rule.ruling else {
                continue;
            };
            for wanted in &terms.needs {
                let of = |group: &Group| Need {
                    group: group.clone(),
                    approvals: wanted.approvals,
                };
                match &wanted.from {
                    Whose::Group(group) => needs.push(of(group)),
                    Whose::Owners => needs.extend(self.owners.groups().into_iter().map(of)),
                }
            }
        }
        together(&needs, &[])
    }

    /// What `request` does, for those who sign.
    pub fn facts(&self, request: &Request) -> Facts {
        let hearing = Hearing::new(&self.rules, request, 0);
        let mut facts = Facts::default();
        let touch = |relation: &Relation| Touched {
            relation: relation.to_string(),
            owners: self
                .owners
                .of(relation, hearing.path())
                .into_iter()
                .cloned()
                .collect(),
        };
        let add = |all: &mut Vec<Touched>, relation: &Relation| {
            let touched = touch(relation);
            if !all.contains(&touched) {
                all.push(touched);
            }
        };
        for statement in request.statements() {
            for relation in statement.reads.iter().chain(&statement.behind) {
                add(&mut facts.reads, relation);
            }
            for relation in &statement.writes {
                add(&mut facts.writes, relation);
            }
            for function in &statement.functions {
                let function = function.to_string();
                if !facts.functions.contains(&function) {
                    facts.functions.push(function);
                }
            }
            facts.outside_transaction |= statement.outside_transaction;
            facts.data_unseen |= statement.copies_in;
        }
        facts
    }

    /// Adds what was said of a statement to the sum, or says that it is denied.
    fn add(
        &self,
        sum: &mut Sum,
        (number, statement): (usize, &Statement),
        hearing: &Hearing<'_>,
        heard: Heard<'_>,
    ) -> Option<Denial> {
        if let Some(reason) = heard.denial {
            return Some(sum.denial(number, reason));
        }
        for reason in heard.holds {
            let owners = |group: &mut dyn FnMut(&Group)| self.owners(statement, hearing, group);
            sum.add(number, reason, &self.default, owners);
        }
        None
    }

    /// The groups that own what a statement names.
    fn owners(&self, statement: &Statement, hearing: &Hearing<'_>, group: &mut dyn FnMut(&Group)) {
        let relations = || statement.reads.iter().chain(&statement.writes);
        for relation in relations() {
            let owners = self.owners.of(relation, hearing.path());
            if owners.is_empty() {
                group(&self.default.group);
            }
            owners.into_iter().for_each(&mut *group);
        }
        if relations().next().is_none() {
            group(&self.default.group);
        }
    }
}

impl Opinion {
    fn allow(rule: Arc<str>, statement: &Statement) -> Self {
        Self {
            verdict: Verdict::Allow,
            rule,
            why: statement.why.clone(),
            needs: Vec::new(),
            message: None,
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
    fn add(&mut self, statement: &Statement) {
        if statement.wants_fence() {
            self.reads = true;
        } else {
            // The fence is rolled back: a setting would go with it, a COMMIT would end the fence that
            // it stands in, and a write could not run there.
            self.unfenceable = true;
        }
    }
}
