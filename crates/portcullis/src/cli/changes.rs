//! What became of tickets between two looks at the list. It never asks anything and prints nothing.

use std::collections::{BTreeMap, BTreeSet};

use gate::ticket::TicketId;

use super::grid::{Grid, Record};

/// Whether nothing more becomes of a ticket in this state, as far as we know the word.
pub fn has_ended(state: &str) -> bool {
    !matches!(state, "pending" | "approved" | "executing")
}

/// One thing that happened to a ticket.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// `new`, `signed` (it waits for fewer people), or the state that it is in now.
    pub event: &'a str,
    /// The ticket as it is now.
    pub ticket: Record<'a>,
}

impl Change<'_> {
    /// Whether somebody can sign now who could not before, and it is not its requester.
    pub fn asks(&self, user: &str) -> bool {
        self.event == "new"
            && self.ticket.value("state") == Some("pending")
            && self.ticket.value("requester") != Some(user)
    }
}

/// Tickets as they were when we last looked.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, Seen>);

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    state: String,
    waiting_for: Option<String>,
}

impl Known {
    /// What changed, in the order of the tickets; a list has the newest first.
    pub fn take<'a>(&mut self, list: &'a Grid) -> Vec<Change<'a>> {
        let tickets: Vec<Record<'a>> = list.records().collect();
        let mut changes = Vec::new();
        for ticket in tickets.into_iter().rev() {
            let (Some(id), Some(state)) = (ticket.said("id"), ticket.said("state")) else {
                continue;
            };
            let now = Seen {
                state: state.to_owned(),
                waiting_for: ticket.said("waiting_for").map(str::to_owned),
            };
            let signed = |was: &Seen| was.state == "pending" && was.waiting_for != now.waiting_for;
            let events = match self.0.get(id) {
                None if state == "pending" => vec!["new"],
                // It came and went on since we last looked.
                None => vec!["new", state],
                Some(was) if was.state != state => vec![state],
                Some(was) if signed(was) => vec!["signed"],
                Some(_) => continue,
            };
            changes.extend(events.into_iter().map(|event| Change { event, ticket }));
            self.0.insert(id.to_owned(), now);
        }
        changes
    }

    /// Forgets what has ended and is in the whole list no longer, and says what is not in it though it has not ended:
    /// the gate cuts a list that is too long, and that is to be asked for by its name.
    pub fn adrift(&mut self, list: &Grid) -> Vec<TicketId> {
        let listed: BTreeSet<&str> = list.records().filter_map(|it| it.value("id")).collect();
        self.0
            .retain(|id, seen| !has_ended(&seen.state) || listed.contains(id.as_str()));
        let missing = self.0.keys().filter(|id| !listed.contains(id.as_str()));
        missing.filter_map(|id| id.parse().ok()).collect()
    }

    /// Forgets a ticket that we may not see any more.
    pub fn forget(&mut self, ticket: TicketId) {
        self.0.remove(&ticket.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::tests::grid;
    use super::*;

    const COLUMNS: &[&str] = &["id", "state", "requester", "waiting_for"];

    fn changes(known: &mut Known, rows: &[&[&str]]) -> Vec<String> {
        let list = grid(COLUMNS, rows);
        let changes = known.take(&list);
        changes
            .iter()
            .map(|it| format!("{} {}", it.ticket.value("id").unwrap(), it.event))
            .collect()
    }

    #[test]
    fn each_change_is_told_once_and_in_order() {
        let mut known = Known::default();
        let first: &[&str] = &["T-1", "pending", "alice", "1 of dba, 1 of ops"];
        assert_eq!(changes(&mut known, &[first]), ["T-1 new"]);
        assert!(changes(&mut known, &[first]).is_empty());
        let signed: &[&str] = &["T-1", "pending", "alice", "1 of ops"];
        let quick: &[&str] = &["T-2", "done", "alice", "NULL"];
        assert_eq!(
            changes(&mut known, &[quick, signed]),
            ["T-1 signed", "T-2 new", "T-2 done"]
        );
        let gone: &[&str] = &["T-1", "in_doubt", "alice", "NULL"];
        assert_eq!(changes(&mut known, &[gone]), ["T-1 in_doubt"]);
        assert!(changes(&mut known, &[quick, gone]).is_empty());
    }

    #[test]
    fn a_list_that_is_cut_hides_nothing_that_waits() {
        let mut known = Known::default();
        let waits: &[&str] = &["T-1", "approved", "alice", "NULL"];
        let ended: &[&str] = &["T-2", "done", "alice", "NULL"];
        changes(&mut known, &[ended, waits]);
        assert_eq!(known.adrift(&grid(COLUMNS, &[ended, waits])), []);
        let newer: &[&str] = &["T-3", "pending", "alice", "1 of dba"];
        changes(&mut known, &[newer]);
        assert_eq!(known.adrift(&grid(COLUMNS, &[newer])), [TicketId(1)]);
        assert_eq!(known.0.len(), 2, "what has ended is forgotten");
        known.forget(TicketId(1));
        assert_eq!(known.adrift(&grid(COLUMNS, &[newer])), []);
    }

    #[test]
    fn only_what_somebody_else_asks_for_is_asked_of_us() {
        let list = grid(
            COLUMNS,
            &[
                &["T-3", "done", "alice", "NULL"],
                &["T-2", "pending", "bob", "1 of dba"],
                &["T-1", "pending", "alice", "1 of dba"],
            ],
        );
        let mut known = Known::default();
        let asked: Vec<_> = known.take(&list).iter().map(|it| it.asks("bob")).collect();
        assert_eq!(asked, [true, false, false, false]);
    }
}
