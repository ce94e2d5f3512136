//! What the tickets say against what is in the database. It never asks anybody: it is told both.

use std::collections::BTreeMap;

/// A ticket, as the console lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub state: String,
    pub statement: String,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There are more effects than tickets that may have had one.
    Duplicate(String),
    /// A ticket says that it is done and has no effect, or what somebody signed is not there any more.
    Lost(String),
}

/// Holds the tickets of a case against its effects: a ticket that is done has exactly one, one in doubt at the most one,
/// any other none. `signed` names each key that was asked for, and its ticket once somebody has signed that.
pub(super) fn faults(
    tickets: &[Listed],
    effects: &BTreeMap<String, usize>,
    signed: &BTreeMap<String, String>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (key, first) in signed {
        let quoted = format!("'{key}'");
        let theirs = tickets.iter().filter(|it| it.statement.contains(&quoted));
        let theirs: Vec<&Listed> = theirs.collect();
        let count = |state: &str| theirs.iter().filter(|it| it.state == state).count();
        let (done, doubt) = (count("done"), count("in_doubt"));
        let found = effects.get(key).copied().unwrap_or(0);
        let says: Vec<String> = theirs
            .iter()
            .map(|it| format!("{} {}", it.id, it.state))
            .collect();
        let says = format!("{found} effects of '{key}', and {}", says.join(", "));
        let stands = theirs.iter().find(|it| it.id == *first);
        if found > done + doubt {
            faults.push(Fault::Duplicate(says));
        } else if found < done || !stands.is_some_and(|it| is_kept(&it.state)) {
            faults.push(Fault::Lost(says));
        }
    }
    for key in effects.keys().filter(|it| !signed.contains_key(*it)) {
        faults.push(Fault::Duplicate(format!("nobody signed for '{key}'")));
    }
    faults
}

/// Where a ticket may stand that somebody signed, once all is quiet.
fn is_kept(state: &str) -> bool {
    let kept = [
        "approved",
        "done",
        "failed",
        "rolled_back",
        "in_doubt",
        "fenced",
    ];
    kept.contains(&state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(states: &[&str], effects: usize) -> Vec<Fault> {
        let tickets: Vec<Listed> = (1..)
            .zip(states)
            .map(|(number, state)| Listed {
                id: format!("T-{number}"),
                state: (*state).to_owned(),
                statement: "insert into effects values ('a')".to_owned(),
            })
            .collect();
        let effects = (effects > 0).then(|| ("a".to_owned(), effects));
        let signed = [("a".to_owned(), "T-1".to_owned())];
        faults(&tickets, &effects.into_iter().collect(), &signed.into())
    }

    #[test]
    fn each_state_has_its_number_of_effects() {
        for (states, least, most) in [
            (&["done"][..], 1, 1),
            (&["in_doubt"], 0, 1),
            (&["in_doubt", "rejected"], 0, 1),
            (&["approved"], 0, 0),
            (&["failed"], 0, 0),
            (&["fenced"], 0, 0),
            (&["rolled_back"], 0, 0),
            (&["done", "rejected"], 1, 1),
        ] {
            for effects in 0..3 {
                let right = (least..=most).contains(&effects);
                let faults = found(states, effects);
                assert_eq!(
                    faults.is_empty(),
                    right,
                    "{states:?}, {effects}: {faults:?}"
                );
            }
        }
    }

    #[test]
    fn what_somebody_signed_stays() {
        for states in [&[][..], &["pending"], &["executing"], &["expired"]] {
            assert!(
                matches!(found(states, 0)[..], [Fault::Lost(_)]),
                "{states:?}"
            );
        }
    }
}
