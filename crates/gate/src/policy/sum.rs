//! How what the rules say of the statements of a request adds up: of each group the largest number of
//! approvals, the shortest times, and all the reasons, each with the statement that it is about.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::hearing::Reason;
use crate::policy::rule::{Need, Ruling, Terms, Whose};
use crate::principal::Group;
use crate::request::Request;

/// The name under which the default hold is shown.
pub const DEFAULT_RULE: &str = "default";

/// Of how many places of one reason in a request people are told.
const PLACES_MAX: usize = 5;

/// Why and for whom a request waits.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The request.
    pub request: Arc<Request>,
    /// The rule that decided; the first, where several did.
    pub rule: Arc<str>,
    /// All the approvals it needs.
    pub needs: Vec<Need>,
    /// The statements' reasons in words.
    pub why: String,
    /// How long people have to decide, where not as long as usual.
    pub decide_within: Option<Duration>,
    /// How long it may be used once it is approved, where not as long as usual.
    pub use_within: Option<Duration>,
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

/// What would have held a request that passes because the policy only observes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The rule.
    pub rule: Arc<str>,
    /// The approvals it would have needed.
    pub needs: Vec<Need>,
    /// The statements' reasons in words.
    pub why: String,
}

impl From<Hold> for Observed {
    fn from(hold: Hold) -> Self {
        Self {
            rule: hold.rule,
            needs: hold.needs,
            why: hold.why,
        }
    }
}

/// The holds of one request, as they add up.
#[derive(Debug)]
pub(crate) struct Sum {
    statements: usize,
    rule: Option<Arc<str>>,
    needs: BTreeMap<Group, u32>,
    reasons: Vec<Said>,
    decide_within: Option<Duration>,
    use_within: Option<Duration>,
}

/// One reason and where in the request it stands.
#[derive(Debug)]
struct Said {
    rule: Arc<str>,
    why: String,
    /// Runs of statements, counted from one, both ends included.
    at: Vec<(usize, usize)>,
}

/// What the holds of a request came to.
pub(crate) struct Held {
    pub(crate) rule: Arc<str>,
    pub(crate) needs: Vec<Need>,
    pub(crate) why: String,
    decide_within: Option<Duration>,
    use_within: Option<Duration>,
}

impl Sum {
    /// Nothing yet, of a request with so many statements.
    pub(crate) fn new(statements: usize) -> Self {
        Self {
            statements,
            rule: None,
            needs: BTreeMap::new(),
            reasons: Vec::new(),
            decide_within: None,
            use_within: None,
        }
    }

    /// Whether nothing holds it.
    pub(crate) fn is_empty(&self) -> bool {
        self.rule.is_none()
    }

    /// Adds a hold of the statement with this number; `owners` names the groups that own what it names.
    pub(crate) fn add(
        &mut self,
        number: usize,
        reason: Reason<'_>,
        default: &Need,
        owners: impl Fn(&mut dyn FnMut(&Group)),
    ) {
        let (rule, terms) = match reason.rule.map(|it| (&it.name, &it.ruling)) {
            Some((name, Ruling::Hold(terms))) => (Arc::clone(name), Some(terms)),
            Some((name, _)) => (Arc::clone(name), None),
            None => (Arc::from(DEFAULT_RULE), None),
        };
        match terms {
            Some(terms) => self.ask(terms, owners),
            None => self.need(&default.group, default.approvals),
        }
        self.rule.get_or_insert_with(|| Arc::clone(&rule));
        let place = number + 1;
        let same = |it: &&mut Said| it.rule == rule && it.why == reason.why;
        match self.reasons.iter_mut().find(same) {
            Some(said) => said.also_at(place),
            None => self.reasons.push(Said {
                rule,
                why: reason.why,
                at: vec![(place, place)],
            }),
        }
    }

    /// What passes unsigned must be one statement for sure, or reads that one fence can go around;
    /// any other shape is read by people.
    pub(crate) fn shape(&mut self, why: &str, default: &Need) {
        let rule: Arc<str> = Arc::from(DEFAULT_RULE);
        self.rule = Some(Arc::clone(&rule));
        self.need(&default.group, default.approvals);
        self.reasons.push(Said {
            rule,
            why: why.to_owned(),
            at: Vec::new(),
        });
    }

    /// The denial of the statement with this number.
    pub(crate) fn denial(&self, number: usize, reason: Reason<'_>) -> Denial {
        let message = match reason.rule.map(|it| &it.ruling) {
            Some(Ruling::Deny(message)) => message.clone(),
            _ => String::new(),
        };
        let rule = reason.rule.map(|it| Arc::clone(&it.name));
        let rule = rule.unwrap_or_else(|| Arc::from(DEFAULT_RULE));
        let said = Said {
            rule: Arc::clone(&rule),
            why: reason.why,
            at: vec![(number + 1, number + 1)],
        };
        let why = said.words(self.statements, &rule);
        Denial { rule, message, why }
    }

    /// The hold that it came to, if it is one.
    pub(crate) fn hold(self, request: &Arc<Request>) -> Option<Hold> {
        let held = self.finish()?;
        Some(Hold {
            request: Arc::clone(request),
            rule: held.rule,
            needs: held.needs,
            why: held.why,
            decide_within: held.decide_within,
            use_within: held.use_within,
        })
    }

    /// The same without its request.
    pub(crate) fn finish(self) -> Option<Held> {
        let rule = self.rule?;
        let words = |said: &Said| said.words(self.statements, &rule);
        let why: Vec<String> = self.reasons.iter().map(words).collect();
        let needs = self.needs.into_iter();
        Some(Held {
            needs: needs
                .map(|(group, approvals)| Need { group, approvals })
                .collect(),
            why: why.join("; "),
            rule,
            decide_within: self.decide_within,
            use_within: self.use_within,
        })
    }

    fn ask(&mut self, terms: &Terms, owners: impl Fn(&mut dyn FnMut(&Group))) {
        for wanted in &terms.needs {
            match &wanted.from {
                Whose::Group(group) => self.need(group, wanted.approvals),
                Whose::Owners => owners(&mut |group| self.need(group, wanted.approvals)),
            }
        }
        let shorter = |one: Option<Duration>, other| one.into_iter().chain(other).min();
        self.decide_within = shorter(self.decide_within, terms.decide_within);
        self.use_within = shorter(self.use_within, terms.use_within);
    }

    fn need(&mut self, group: &Group, wanted: u32) {
        match self.needs.get_mut(group) {
            Some(approvals) => *approvals = wanted.max(*approvals),
            None => {
                self.needs.insert(group.clone(), wanted);
            }
        }
    }
}

impl Said {
    fn also_at(&mut self, place: usize) {
        match self.at.last_mut() {
            Some((_, last)) if *last + 1 >= place => *last = place.max(*last),
            _ => self.at.push((place, place)),
        }
    }

    /// The reason, with the statements that it is about where there are others, and with its rule where that
    /// is not the one that stands for all.
    fn words(&self, statements: usize, first: &Arc<str>) -> String {
        let mut words = String::new();
        if statements > 1 && !self.at.is_empty() {
            let one = matches!(self.at.as_slice(), [(from, to)] if from == to);
            words.push_str(if one { "statement " } else { "statements " });
            for (number, (from, to)) in self.at.iter().take(PLACES_MAX).enumerate() {
                let comma = if number == 0 { "" } else { ", " };
                let _ = write!(words, "{comma}{from}");
                if from < to {
                    let _ = write!(words, "-{to}");
                }
            }
            let more = if self.at.len() > PLACES_MAX {
                ", ..."
            } else {
                ""
            };
            let _ = write!(words, "{more} of {statements}: ");
        }
        words.push_str(&self.why);
        if self.rule != *first {
            let _ = write!(words, " (rule \"{}\")", self.rule);
        }
        words
    }
}
