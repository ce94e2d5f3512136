//! The rules in their order, filed by what they name: of a thousand rules few are looked at. It never
//! decides, and the filing never changes which rule is the first that matches.

use sql::{Class, Function, Relation};

use crate::policy::by_name::ByName;
use crate::policy::index::Index;
use crate::policy::names::Schemas;
use crate::policy::pattern::{FunctionPattern, Glob, RelationPattern};
use crate::policy::rule::{Rule, Ruling};
use crate::request::Request;

/// Rules, and where to look for which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filed {
    rules: Vec<Rule>,
    broad: Broad,
    /// For each pattern of a relation the rule that names it, and as which of its patterns.
    relations: Vec<(usize, usize)>,
    relation_index: Index,
    /// Likewise of functions.
    functions: Vec<(usize, usize)>,
    functions_by_name: ByName<Vec<usize>>,
    functions_by_star: Vec<usize>,
    /// Whether a rule lets statements of a class pass that names no relation and no function. As they are numbered.
    passes: [bool; Class::ALL.len()],
}

/// The rules that name no relation and no function: each under the first of these that it names, at last its
/// classes.
#[derive(Clone, Debug, Default)]
struct Broad {
    tenants: ByName<Vec<usize>>,
    users: ByName<Vec<usize>>,
    groups: ByName<Vec<usize>>,
    /// As they are numbered.
    classes: [Vec<usize>; Class::ALL.len()],
}

impl Filed {
    /// Files them.
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let mut filed = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            if !rule.is_narrow() {
                filed.broad.file(number, rule);
                let classes = Class::ALL.iter().zip(&mut filed.passes);
                for (class, passes) in classes {
                    *passes |= rule.ruling == Ruling::Allow && rule.is_about(*class);
                }
            }
            for (at, pattern) in rule.relations.iter().enumerate() {
                filed.relation_index.file(filed.relations.len(), pattern);
                filed.relations.push((number, at));
            }
            for (at, pattern) in rule.functions.iter().enumerate() {
                let place = filed.functions.len();
                filed.functions.push((number, at));
                match pattern.name.only() {
                    Some(name) => filed
                        .functions_by_name
                        .entry(name.into())
                        .or_default()
                        .push(place),
                    None => filed.functions_by_star.push(place),
                }
            }
        }
        filed.rules = rules;
        filed
    }

    /// All of them, in order.
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this number.
    pub(crate) fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    /// Whether a statement of `class` that names nothing passes for somebody at some time. Where it does not, nobody need
    /// look for the rule.
    pub(crate) fn may_pass(&self, class: Class) -> bool {
        // The classes are numbered as they stand in `Class::ALL`.
        self.passes.get(class as usize).is_none_or(|it| *it)
    }

    /// The first rule about all of a statement of `class` that `applies`.
    pub(crate) fn broad(
        &self,
        request: &Request,
        class: Class,
        applies: impl Fn(&Rule) -> bool,
    ) -> Option<usize> {
        let about = |rule: &Rule| rule.is_about(class) && applies(rule);
        let fits = |number: usize| self.rule(number).is_some_and(&about);
        first(
            self.broad.lists(request, class),
            None,
            |number| number,
            fits,
        )
    }

    /// The first rule before `broad` that `fits` one of its patterns to a relation; else `broad`.
    pub(crate) fn relation(
        &self,
        (schemas, relation): (&Schemas<'_>, &Relation),
        broad: Option<usize>,
        fits: impl Fn(&Rule, &RelationPattern) -> bool,
    ) -> Option<usize> {
        let place = |filed: usize| self.relations.get(filed).copied().unwrap_or_default();
        let fits = |filed: usize| {
            let (rule, at) = place(filed);
            let rule = self.rule(rule);
            rule.is_some_and(|it| it.relations.get(at).is_some_and(|one| fits(it, one)))
        };
        let lists = self.relation_index.lists(schemas, &relation.name);
        first(lists, broad, |filed| place(filed).0, fits)
    }

    /// Likewise of a function.
    pub(crate) fn function(
        &self,
        function: &Function,
        broad: Option<usize>,
        fits: impl Fn(&Rule, &FunctionPattern) -> bool,
    ) -> Option<usize> {
        let place = |filed: usize| self.functions.get(filed).copied().unwrap_or_default();
        let fits = |filed: usize| {
            let (rule, at) = place(filed);
            let rule = self.rule(rule);
            rule.is_some_and(|it| it.functions.get(at).is_some_and(|one| fits(it, one)))
        };
        let named = self.functions_by_name.get(&*function.name);
        let lists = named.into_iter().chain([&self.functions_by_star]);
        first(
            lists.map(Vec::as_slice),
            broad,
            |filed| place(filed).0,
            fits,
        )
    }

    /// Whether any rule asks for relations or functions.
    pub(crate) fn has_narrow(&self) -> bool {
        !(self.relations.is_empty() && self.functions.is_empty())
    }
}

impl Broad {
    fn file(&mut self, number: usize, rule: &Rule) {
        let exact = |globs: &[Glob]| -> Option<Vec<Box<str>>> {
            let names = globs.iter().map(|it| it.only().map(Box::from));
            names
                .collect::<Option<Vec<_>>>()
                .filter(|it| !it.is_empty())
        };
        let groups = || rule.groups.iter().map(|it| it.as_str().into()).collect();
        let (map, names) = if let Some(tenants) = exact(&rule.tenants) {
            (&mut self.tenants, tenants)
        } else if let Some(users) = exact(&rule.users) {
            (&mut self.users, users)
        } else if !rule.groups.is_empty() {
            (&mut self.groups, groups())
        } else {
            let classes = Class::ALL.iter().zip(&mut self.classes);
            for (_, list) in classes.filter(|(class, _)| rule.is_about(**class)) {
                list.push(number);
            }
            return;
        };
        for name in names {
            map.entry(name).or_default().push(number);
        }
    }

    fn lists(&self, request: &Request, class: Class) -> impl Iterator<Item = &[usize]> {
        let who = &request.principal;
        let tenant = self.tenants.get(request.context.tenant.as_str());
        let user = self.users.get(who.id.as_str());
        let groups = who
            .groups
            .iter()
            .filter_map(|group| self.groups.get(group.as_str()));
        tenant
            .into_iter()
            .chain(user)
            .chain(groups)
            // The classes are numbered as they stand in `Class::ALL`.
            .chain(self.classes.get(class as usize))
            .map(Vec::as_slice)
    }
}

/// The lowest number of a rule that fits, and is lower than `best`; else `best`. `rule_of` says to which
/// rule something filed belongs; in each list the rules are in order.
fn first<'a>(
    lists: impl Iterator<Item = &'a [usize]>,
    mut best: Option<usize>,
    rule_of: impl Fn(usize) -> usize,
    fits: impl Fn(usize) -> bool,
) -> Option<usize> {
    for list in lists {
        let earlier = |filed: &&usize| best.is_none_or(|best| rule_of(**filed) < best);
        let found = list.iter().take_while(earlier).find(|filed| fits(**filed));
        best = found.map(|filed| rule_of(*filed)).or(best);
    }
    best
}
