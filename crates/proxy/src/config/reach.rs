//! Holds that could never be approved. Nobody signs for their own request, so of every hold that a user
//! can run into there must be enough other people in its group (DESIGN ruling 17). It never judges a
//! request; it asks which rules could decide one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use gate::policy::{DEFAULT_RULE, Ruling, Terms, Wanted, Whose, glob};
use gate::ticket::unmet;
use gate::{Group, Need, PrincipalId, Rule};
use sql::Class;

use super::known::Known;
use super::names::Names;
use super::people::{Members, Person, groups_of};
use super::problem::Flaw;
use super::reader::Page;
use super::rules::Rules;
use super::tenants::CONSOLE;
use super::words::{all, count, covers, overlap};

/// Somebody who may ask, and the tenants (or patterns of them) that they may name; none for all.
#[derive(Debug)]
pub(super) struct Asker {
    name: PrincipalId,
    groups: BTreeSet<Group>,
    tenants: Vec<String>,
}

impl Asker {
    /// Somebody who may name any tenant.
    pub(super) fn anywhere(name: &PrincipalId, members: &Members) -> Self {
        Self {
            name: name.clone(),
            groups: groups_of(name, members),
            tenants: Vec::new(),
        }
    }

    /// A user of a configuration.
    pub(super) fn of(person: &Person<'_>, members: &Members) -> Self {
        let name = PrincipalId::from(person.is);
        Self {
            groups: groups_of(&name, members),
            name,
            tenants: person.tenants.iter().map(|it| it.text.to_owned()).collect(),
        }
    }
}

/// Notes every hold that one of `askers` could run into and nobody could approve.
pub(super) fn check(page: &Page<'_>, rules: &Rules, known: Known<'_>, askers: &[Asker]) {
    let members = known.members;
    let mut stuck: Vec<Vec<&PrincipalId>> = vec![Vec::new(); rules.spans.len()];
    let mut land = Land::new(&rules.ordered, known.tenants);
    for asker in askers {
        for at in asker.holds(&mut land) {
            if let Some(stuck) = stuck.get_mut(at)
                && lacking(rules, at, members, &asker.name).is_some()
            {
                stuck.push(&asker.name);
            }
        }
    }
    for (at, (users, span)) in stuck.iter().zip(&rules.spans).enumerate() {
        let lacking = |user| lacking(rules, at, members, user);
        let Some((one, need)) = users.first().and_then(|one| Some((*one, lacking(one)?))) else {
            continue;
        };
        let rule = rules
            .ordered
            .get(at)
            .map_or(DEFAULT_RULE, |rule| &*rule.name);
        let others = others(members, &need.group, one).count();
        let enough = others >= need.approvals as usize;
        let found = format!(
            "rule \"{rule}\" could never be satisfied for {} {}: nobody signs for their own \
             request{}, and group \"{}\" has {}",
            if users.len() == 1 { "user" } else { "users" },
            all(users.iter().map(|it| it.as_str())),
            if enough { " or for two groups" } else { "" },
            need.group,
            count(others, "other member"),
        );
        let flaw = Flaw::found(found);
        let wanted = format!("at least {}", need.approvals);
        page.flaw(span, if enough { flaw } else { flaw.expected(wanted) });
    }
}

/// What one of the holds of the rule with this number asks for and nobody could give to `requester`; behind
/// the last rule comes the default. A group that is too small for everybody was already refused.
fn lacking(rules: &Rules, at: usize, members: &Members, requester: &PrincipalId) -> Option<Need> {
    let default = Terms::from(rules.default.clone());
    let terms = match rules.ordered.get(at).map(|rule| &rule.ruling) {
        Some(Ruling::Hold(terms)) => terms,
        Some(_) => return None,
        None => &default,
    };
    let small =
        |need: &Need| members.get(&need.group).map_or(0, BTreeSet::len) < need.approvals as usize;
    let (named, of_owners) = asked(terms);
    if named.iter().any(small) {
        return None;
    }
    let Some(approvals) = of_owners else {
        return unmet_by_others(&named, members, requester);
    };
    // Any of them may own what is asked for; which own it together, nobody knows.
    let owners = rules
        .owners
        .groups()
        .into_iter()
        .chain([&rules.default.group]);
    owners.into_iter().find_map(|group| {
        let group = group.clone();
        let mut needs = named.clone();
        match needs.iter_mut().find(|need| need.group == group) {
            Some(need) => need.approvals = need.approvals.max(approvals),
            None => needs.push(Need { group, approvals }),
        }
        unmet_by_others(&needs, members, requester)
    })
}

/// The approvals of groups that a hold names, and how many of each owner.
fn asked(terms: &Terms) -> (Vec<Need>, Option<u32>) {
    let (mut named, mut of_owners) = (Vec::new(), None);
    for Wanted { from, approvals } in &terms.needs {
        match from {
            Whose::Group(group) => named.push(Need {
                group: group.clone(),
                approvals: *approvals,
            }),
            Whose::Owners => of_owners = of_owners.max(Some(*approvals)),
        }
    }
    (named, of_owners)
}

/// The first of `needs` that everybody but the requester together cannot sign for.
fn unmet_by_others(needs: &[Need], members: &Members, requester: &PrincipalId) -> Option<Need> {
    let few =
        |need: &&Need| others(members, &need.group, requester).count() < need.approvals as usize;
    if let Some(need) = needs.iter().find(few) {
        return Some(need.clone());
    }
    let [_, _, ..] = needs else {
        return None;
    };
    let mut people: BTreeMap<&PrincipalId, Vec<Group>> = BTreeMap::new();
    for need in needs {
        for other in others(members, &need.group, requester) {
            people.entry(other).or_default().push(need.group.clone());
        }
    }
    let people: Vec<&[Group]> = people.values().map(Vec::as_slice).collect();
    let left = unmet(needs, &people).into_iter().next()?;
    needs.iter().find(|it| it.group == left.group).cloned()
}

fn others<'a>(
    members: &'a Members,
    group: &Group,
    requester: &'a PrincipalId,
) -> impl Iterator<Item = &'a PrincipalId> {
    let members = members.get(group).into_iter().flatten();
    members.filter(move |member| *member != requester)
}

/// How the tenants of each rule relate to a scope: they may be asked for in it; it lies in them.
type Reach = Vec<(bool, bool)>;

/// The tenants, as the rules tell them apart. There may be many thousands, of which most are alike to all rules, and many
/// people who may name the same.
struct Land<'a> {
    rules: &'a [Rule],
    /// Those that each rule names.
    tenants: Vec<Vec<String>>,
    names: &'a Names<'a>,
    known: BTreeMap<String, Rc<BTreeSet<Reach>>>,
}

impl<'a> Land<'a> {
    fn new(rules: &'a [Rule], names: &'a Names<'a>) -> Self {
        let tenants = |rule: &Rule| rule.tenants.iter().map(ToString::to_string).collect();
        Self {
            rules,
            tenants: rules.iter().map(tenants).collect(),
            names,
            known: BTreeMap::new(),
        }
    }

    /// How the rules relate to what somebody can mean who may name this.
    fn reaches(&mut self, wanted: &str) -> Rc<BTreeSet<Reach>> {
        if let Some(known) = self.known.get(wanted) {
            return Rc::clone(known);
        }
        let mut reaches = BTreeSet::new();
        for name in self.names.within(wanted) {
            reaches.insert(self.reach(|tenant| (glob(tenant, name), glob(tenant, name))));
            if self.tenants.iter().all(Vec::is_empty) {
                break;
            }
        }
        let patterns = self.names.patterns().filter(|it| overlap(it, wanted));
        let any = self.names.is_empty().then_some("*");
        for pattern in patterns.chain(any) {
            let scope = if covers(pattern, wanted) {
                wanted
            } else {
                pattern
            };
            if scope != CONSOLE {
                reaches
                    .insert(self.reach(|tenant| (overlap(tenant, scope), covers(tenant, scope))));
            }
        }
        let reaches = Rc::new(reaches);
        self.known.insert(wanted.to_owned(), Rc::clone(&reaches));
        reaches
    }

    fn reach(&self, is: impl Fn(&str) -> (bool, bool)) -> Reach {
        let rule = |tenants: &Vec<String>| {
            let all = tenants.iter().map(|it| is(it));
            all.fold((tenants.is_empty(), tenants.is_empty()), |one, other| {
                (one.0 || other.0, one.1 || other.1)
            })
        };
        self.tenants.iter().map(rule).collect()
    }
}

impl Asker {
    /// Numbers of the holds that this person can run into.
    fn holds(&self, land: &mut Land<'_>) -> BTreeSet<usize> {
        let mine: Vec<bool> = land.rules.iter().map(|rule| self.fits(rule)).collect();
        let (mut seen, mut holds) = (BTreeSet::new(), BTreeSet::new());
        let any = self.tenants.is_empty().then_some("*");
        for wanted in self.tenants.iter().map(String::as_str).chain(any) {
            for reach in &*land.reaches(wanted) {
                if seen.insert(reach.clone()) {
                    walk(land.rules, &mine, reach, &mut holds);
                }
            }
        }
        holds
    }

    fn fits(&self, rule: &Rule) -> bool {
        let name = self.name.as_str();
        (rule.users.is_empty() || rule.users.iter().any(|user| user.fits(name)))
            && (rule.groups.is_empty() || rule.groups.iter().any(|it| self.groups.contains(it)))
    }
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
            if !mine || !may || !rule.is_about(class) {
                continue;
            }
            match &rule.ruling {
                Ruling::Allow => some_allowed = true,
                Ruling::Hold(_) => {
                    holds.insert(at);
                    allowed &= rule.is_narrow();
                }
                Ruling::Deny(_) => allowed &= rule.is_narrow(),
            }
            // One that names relations leaves the class to others, one that has hours the rest of the day.
            if *must && rule.is_unconditional() {
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
