//! Whose word is still missing. Pure counting of people: it never knows what they sign.

use std::collections::BTreeMap;

use crate::policy::Need;
use crate::principal::{Group, People, PrincipalId};
use crate::ticket::{Decision, Say};

/// The word of each person that counts: their latest, remarks aside.
pub fn standing(decisions: &[Decision]) -> BTreeMap<&PrincipalId, &Decision> {
    let words = decisions.iter().filter(|it| it.say != Say::Comment);
    words.map(|it| (&it.by, it)).collect()
}

/// What is still missing: of each need the number of approvals that people have not given yet. A person
/// counts once, by their latest word and for one group of theirs; the requester never counts (R102).
pub fn missing(needs: &[Need], requester: &PrincipalId, decisions: &[Decision]) -> Vec<Need> {
    let standing = standing(decisions);
    let yes = standing
        .into_values()
        .filter(|it| it.say == Say::Approve && it.by != *requester);
    let people: Vec<&[Group]> = yes.map(|it| it.groups.as_slice()).collect();
    unmet(needs, &people)
}

/// The approvals that a ticket needs where the rules ask for `more` by now: of each group the larger number.
pub fn together(needs: &[Need], more: &[Need]) -> Vec<Need> {
    let mut all: BTreeMap<&Group, u32> = BTreeMap::new();
    for need in needs.iter().chain(more) {
        let approvals = all.entry(&need.group).or_default();
        *approvals = need.approvals.max(1).max(*approvals);
    }
    let need = |(group, approvals): (&Group, u32)| Need {
        group: group.clone(),
        approvals,
    };
    all.into_iter().map(need).collect()
}

/// What people said of a ticket, by those of their groups of then that they are still in.
pub fn still(decisions: &[Decision], people: &People) -> Vec<Decision> {
    let word = |it: &Decision| {
        let stays = |group: &&Group| it.groups.contains(group);
        Decision {
            groups: people.groups(&it.by).filter(stays).cloned().collect(),
            ..it.clone()
        }
    };
    decisions.iter().map(word).collect()
}

/// What of `needs` people who are in these groups cannot sign for, all of them together. Nobody signs for
/// two groups: who does so for which is chosen so that the least is left.
pub fn unmet(needs: &[Need], people: &[&[Group]]) -> Vec<Need> {
    let mut table = Table {
        needs,
        people,
        signed: vec![Vec::new(); needs.len()],
    };
    for person in 0..people.len() {
        table.place(person, &mut vec![false; needs.len()]);
    }
    let left = needs.iter().zip(&table.signed).map(|(need, signed)| {
        let signed = u32::try_from(signed.len()).unwrap_or(u32::MAX);
        Need {
            group: need.group.clone(),
            approvals: need.approvals.max(1).saturating_sub(signed),
        }
    });
    left.filter(|need| need.approvals > 0).collect()
}

/// Who signs for which need.
struct Table<'a> {
    needs: &'a [Need],
    people: &'a [&'a [Group]],
    signed: Vec<Vec<usize>>,
}

impl Table<'_> {
    /// Finds a need for somebody, and for whoever must give way another; `asked` are the needs that were
    /// looked at for that. The search ends, since each is looked at once.
    fn place(&mut self, person: usize, asked: &mut [bool]) -> bool {
        for (at, need) in self.needs.iter().enumerate() {
            let theirs = self
                .people
                .get(person)
                .is_some_and(|it| it.contains(&need.group));
            let (Some(asked_here), true) = (asked.get_mut(at), theirs) else {
                continue;
            };
            if std::mem::replace(asked_here, true) {
                continue;
            }
            let signed = self.signed.get(at).cloned().unwrap_or_default();
            let room = u32::try_from(signed.len()).is_ok_and(|it| it < need.approvals.max(1));
            let gives_way = || signed.into_iter().find(|it| self.place(*it, asked));
            let other = if room { None } else { gives_way() };
            if (room || other.is_some())
                && let Some(signed) = self.signed.get_mut(at)
            {
                signed.retain(|it| Some(*it) != other);
                signed.push(person);
                return true;
            }
        }
        false
    }
}
