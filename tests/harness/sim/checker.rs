//! What the tickets say at the end against what is in the database, what people were told, and who has signed. It is told all
//! of that, and asks nobody.

use gate::Ticket;
use gate::ticket::{Say, State};

use super::history::{Fault, History, keys_in};
use super::journal::Disk;

/// Adds to the history what is wrong with it. `needs` people must have signed for each ticket.
pub(super) fn check(
    history: &History,
    journal: &Disk,
    tickets: &[Ticket],
    (keys, needs): (&[String], usize),
) {
    for key in keys {
        of_key(history, tickets, key, needs);
    }
    for ticket in tickets {
        of_ticket(history, ticket, journal);
    }
    for id in &*history.approved.borrow() {
        let found = tickets.iter().find(|it| it.id.to_string() == *id);
        let is_kept = |it: &Ticket| !matches!(it.state, State::Pending | State::Void);
        if !found.is_some_and(is_kept) {
            let state = found.map_or("not there".to_owned(), |it| it.state.to_string());
            history.fault(Fault::Lost(format!("{id} was approved, and is {state}")));
        }
    }
}

/// A ticket that is done has exactly one effect, one in doubt at the most one, any other none.
fn of_key(history: &History, tickets: &[Ticket], key: &str, needs: usize) {
    let is_about = |it: &&Ticket| {
        it.asked
            .iter()
            .any(|it| keys_in(&it.text).any(|it| it == key))
    };
    let theirs: Vec<&Ticket> = tickets.iter().filter(is_about).collect();
    // A transaction in one string may have the same effect twice.
    let times = |it: &Ticket| {
        let keys = it.asked.iter().flat_map(|it| keys_in(&it.text));
        keys.filter(|it| it == key).count()
    };
    let sum = |state: State| -> usize {
        let all = theirs.iter().filter(|it| it.state == state);
        all.map(|it| times(it)).sum()
    };
    let (done, doubt) = (sum(State::Done), sum(State::InDoubt));
    let of = |counts: &std::cell::RefCell<std::collections::BTreeMap<String, usize>>| {
        counts.borrow().get(key).copied().unwrap_or(0)
    };
    let (found, told) = (of(&history.effects), of(&history.told_done));
    let says: Vec<String> = theirs
        .iter()
        .map(|it| format!("{} {}", it.id, it.state))
        .collect();
    let says = format!("{found} effects of '{key}', and {}", says.join(", "));
    if found > done + doubt {
        history.fault(Fault::Duplicate(says));
    } else if found < done {
        history.fault(Fault::Lost(says));
    } else if told > done {
        let says = format!("somebody was told {told} times that it is done; {says}");
        history.fault(Fault::Lost(says));
    }
    let ran = theirs
        .iter()
        .filter(|it| matches!(it.state, State::Done | State::InDoubt));
    let (ran, signed) = (ran.count(), history.signed_for(key, needs));
    if of(&history.runs) > 0 && signed == 0 || ran > signed {
        let says = format!("{ran} tickets of '{key}' ran, and people signed for {signed}");
        history.fault(Fault::Unsigned(says));
    }
}

fn of_ticket(history: &History, ticket: &Ticket, journal: &Disk) {
    let id = ticket.id;
    if ticket.state == State::InDoubt && !journal.used.borrow().contains(&id) {
        history.fault(Fault::Groundless(format!("{id} has no intent")));
    }
    if ticket.state == State::Executing {
        history.fault(Fault::LeftOpen(format!("{id}, and all is quiet")));
    }
    let own = ticket
        .decisions
        .iter()
        .find(|it| it.say != Say::Comment && it.by == ticket.requester);
    if let Some(own) = own {
        history.fault(Fault::OwnTicket(format!("{id} of {}", own.by)));
    }
}
