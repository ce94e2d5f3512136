//! Holds that could never be approved. Nobody signs for their own request, so of every hold that a user
//! can run into there must be enough other people in its group (DESIGN ruling 17). It never judges a
//! request; it asks which rules could decide one.

use std::collections::{BTreeMap, BTreeSet};

use gate::policy::{DEFAULT_RULE, Ruling, glob};
use gate::{Group, Need, PrincipalId, Rule};
use sql::Class;

use super::people::{Members, Person, groups_of};
use super::problem::Flaw;
use super::reader::Page;
use super::rules::Rules;
use super::tenants::CONSOLE;
use super::words::{all, count, covers, overlap};

/// Somebody who may ask, and the tenants (or patterns of them) where they may.
#[derive(Debug)]
pub(super) struct Asker {
    name: PrincipalId,
    groups: BTreeSet<Group>,
    scopes: BTreeSet<String>,
}

impl Asker {
    /// Somebody who may name any tenant.
    pub(super) fn anywhere(name: &PrincipalId, members: &Members) -> Self {
        let scopes = BTreeSet::from(["*".to_owned()]);
        Self {
            name: name.clone(),
            groups: groups_of(name, members),
            scopes,
        }
    }

    /// A user of a configuration with these tenants.
    pub(super) fn of(person: &Person<'_>, tenants: &[&str], members: &Members) -> Self {
        let mut scopes = BTreeSet::new();
        for tenant in tenants {
            if person.tenants.is_empty() {
                scopes.insert((*tenant).to_owned());
            }
            for allowed in person.tenants.iter().map(|it| it.text) {
                if overlap(tenant, allowed) {
                    let narrow = if covers(tenant, allowed) {
                        allowed
                    } else {
                        tenant
                    };
                    scopes.insert(narrow.to_owned());
                }
            }
        }
        scopes.remove(CONSOLE);
        let name = PrincipalId::from(person.name);
        Self {
            groups: groups_of(&name, members),
            name,
            scopes,
        }
    }
}

/// Notes every hold that one of `askers` could run into and nobody could approve.
pub(super) fn check(page: &Page<'_>, rules: &Rules, members: &Members, askers: &[Asker]) {
    let mut stuck: Vec<Vec<&str>> = vec![Vec::new(); rules.spans.len()];
    let mut scopes = BTreeMap::new();
    for asker in askers {
        for at in asker.holds(&rules.ordered, &mut scopes) {
            if let (Some(need), Some(stuck)) = (need(rules, at), stuck.get_mut(at))
                && others(need, members, &asker.name) < need.approvals as usize
            {
                stuck.push(asker.name.as_str());
            }
        }
    }
    for (at, (users, span)) in stuck.iter().zip(&rules.spans).enumerate() {
        let (Some(need), Some(one)) = (need(rules, at), users.first()) else {
            continue;
        };
        // A group that is too small for everybody was already refused.
        let size = members.get(&need.group).map_or(0, BTreeSet::len);
        if size < need.approvals as usize {
            continue;
        }
        let rule = rules
            .ordered
            .get(at)
            .map_or(DEFAULT_RULE, |rule| &*rule.name);
        let others = others(need, members, &PrincipalId::from(*one));
        let found = format!(
            "rule \"{rule}\" could never be satisfied for {} {}: nobody signs for their own \
             request, and group \"{}\" has {}",
            if users.len() == 1 { "user" } else { "users" },
            all(users.iter().copied()),
            need.group,
            count(others, "other member"),
        );
        page.flaw(
            span,
            Flaw::found(found).expected(format!("at least {}", need.approvals)),
        );
    }
}

/// The need of the rule with this number; behind the last comes the default.
fn need(rules: &Rules, at: usize) -> Option<&Need> {
    match rules.ordered.get(at) {
        Some(Rule {
            ruling: Ruling::Hold(need),
            ..
        }) => Some(need),
        Some(_) => None,
        None => Some(&rules.default),
    }
}

fn others(need: &Need, members: &Members, requester: &PrincipalId) -> usize {
    let members = members.get(&need.group);
    members.map_or(0, |it| {
        it.iter().filter(|member| *member != requester).count()
    })
}

/// How the tenants of a rule relate to a scope: they may be asked for in it; it lies in them.
type Reach = Vec<(bool, bool)>;

impl Asker {
    /// Numbers of the holds that this person can run into.
    fn holds(&self, rules: &[Rule], scopes: &mut BTreeMap<String, Reach>) -> BTreeSet<usize> {
        let mine: Vec<bool> = rules.iter().map(|rule| self.fits(rule)).collect();
        let mut seen: BTreeSet<&Reach> = BTreeSet::new();
        let mut holds = BTreeSet::new();
        for scope in &self.scopes {
            if !scopes.contains_key(scope) {
                scopes.insert(scope.clone(), reach(rules, scope));
            }
        }
        for reach in self.scopes.iter().filter_map(|scope| scopes.get(scope)) {
            if seen.insert(reach) {
                walk(rules, &mine, reach, &mut holds);
            }
        }
        holds
    }

    fn fits(&self, rule: &Rule) -> bool {
        let name = self.name.as_str();
        (rule.users.is_empty() || rule.users.iter().any(|user| glob(user, name)))
            && (rule.groups.is_empty() || rule.groups.iter().any(|it| self.groups.contains(it)))
    }
}

fn reach(rules: &[Rule], scope: &str) -> Reach {
    let tenants = rules.iter().map(|rule| &rule.tenants);
    tenants
        .map(|tenants| {
            let any = |said: fn(&str, &str) -> bool| {
                tenants.is_empty() || tenants.iter().any(|tenant| said(tenant, scope))
            };
            (any(overlap), any(covers))
        })
        .collect()
}

/// Adds the holds that a statement of some class can run into.
fn walk(rules: &[Rule], mine: &[bool], reach: &Reach, holds: &mut BTreeSet<usize>) {
    let (mut some_allowed, mut all_allowed) = (false, false);
    // Transaction control passes, whatever the rules say.
    for class in Class::ALL
        .into_iter()
        .filter(|it| *it != Class::Transaction)
    {
        let mut surely = None;
        let mut allowed = true;
        for (at, ((rule, mine), (may, must))) in rules.iter().zip(mine).zip(reach).enumerate() {
            if !mine || !may || !(rule.classes.is_empty() || rule.classes.contains(&class)) {
                continue;
            }
            match &rule.ruling {
                Ruling::Allow => some_allowed = true,
                Ruling::Hold(_) => {
                    holds.insert(at);
                    allowed = false;
                }
                Ruling::Deny(_) => allowed = false,
            }
            if *must {
                surely = Some(at);
                break;
            }
        }
        if surely.is_none() {
            holds.insert(rules.len());
        }
        if class == Class::Opaque {
            all_allowed = allowed && surely.is_some();
        }
    }
    // Several statements in one query string, each of them allowed, wait for the default.
    if some_allowed && !all_allowed {
        holds.insert(rules.len());
    }
}
