//! What happened in a seed, line by line, and what is wrong with it. It decides nothing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use tokio::time::Instant;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Something ran more often than tickets let it.
    Duplicate(String),
    /// Something that somebody was told of, or that a ticket says is done, is not there.
    Lost(String),
    /// Something ran that nobody had signed for, or not enough people.
    Unsigned(String),
    /// Somebody signed for themselves.
    OwnTicket(String),
    /// Something reached the server and was not written down before.
    Unwritten(String),
    /// Nobody works at it any more, and its ticket does not say what came of it.
    LeftOpen(String),
    /// A person is to find out what became of something that was never sent.
    Groundless(String),
    /// Somebody waits for ever.
    Hang(String),
    /// The gate did not start, or part of it panicked.
    Broke(String),
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, says) = match self {
            Self::Duplicate(says) => ("duplicate", says),
            Self::Lost(says) => ("lost", says),
            Self::Unsigned(says) => ("not signed for", says),
            Self::OwnTicket(says) => ("signed by its own requester", says),
            Self::Unwritten(says) => ("sent before it was written down", says),
            Self::LeftOpen(says) => ("left executing", says),
            Self::Groundless(says) => ("in doubt without a reason", says),
            Self::Hang(says) => ("hangs", says),
            Self::Broke(says) => ("broke", says),
        };
        write!(f, "{name}: {says}")
    }
}

/// The keys that a ticket is about, and who has said yes to it.
type Signed = (BTreeSet<String>, BTreeSet<&'static str>);

/// What happened, and what people outside know of it: nothing here is what the gate says of itself.
#[derive(Debug)]
pub(super) struct History {
    start: Instant,
    lines: RefCell<Vec<String>>,
    pub(super) faults: RefCell<Vec<Fault>>,
    /// Writes that were asked for.
    pub(super) statements: Cell<u64>,
    /// Deaths of the gate.
    pub(super) crashes: Cell<u64>,
    /// Who has sent a yes for which ticket, and for which keys that is.
    signed: RefCell<BTreeMap<String, Signed>>,
    /// Tickets of which somebody was told that they are approved.
    pub(super) approved: RefCell<BTreeSet<String>>,
    /// How often somebody was told that the write of a key is done.
    pub(super) told_done: RefCell<BTreeMap<String, usize>>,
    /// How often the write of a key reached the server.
    pub(super) runs: RefCell<BTreeMap<String, usize>>,
    /// What was committed there.
    pub(super) effects: RefCell<BTreeMap<String, usize>>,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            lines: RefCell::default(),
            faults: RefCell::default(),
            statements: Cell::new(0),
            crashes: Cell::new(0),
            signed: RefCell::default(),
            approved: RefCell::default(),
            told_done: RefCell::default(),
            runs: RefCell::default(),
            effects: RefCell::default(),
        }
    }

    /// One more line.
    pub(super) fn say(&self, line: impl Display) {
        let at = self.start.elapsed();
        let line = format!("{:>10.3} {line}", at.as_secs_f64());
        self.lines.borrow_mut().push(line);
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.say(format_args!("FAULT {fault}"));
        self.faults.borrow_mut().push(fault);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// `person` sends a yes for a ticket that is about this statement.
    pub(super) fn signs(&self, ticket: &str, statement: &str, person: &'static str) {
        let mut signed = self.signed.borrow_mut();
        let (keys, people) = signed.entry(ticket.to_owned()).or_default();
        keys.extend(keys_in(statement));
        people.insert(person);
    }

    /// How many tickets of this key at least `needs` people have said yes to.
    pub(super) fn signed_for(&self, key: &str, needs: usize) -> usize {
        let signed = self.signed.borrow();
        let enough = |it: &&Signed| it.0.contains(key) && it.1.len() >= needs;
        signed.values().filter(enough).count()
    }
}

/// The keys of the effects that a text is to have: what stands in quotes in it.
pub(super) fn keys_in(text: &str) -> impl Iterator<Item = String> {
    let quoted = text.split('\'').skip(1).step_by(2);
    quoted.map(str::to_owned)
}

/// One more of a key.
pub(super) fn count(counts: &RefCell<BTreeMap<String, usize>>, key: &str) -> usize {
    let mut counts = counts.borrow_mut();
    let count = counts.entry(key.to_owned()).or_default();
    *count += 1;
    *count
}
