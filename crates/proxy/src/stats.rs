//! What is counted: by each thread for itself, in plain cells, and added up only when somebody looks. It never decides anything,
//! and nothing on the path of a statement waits for it.

mod period;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{AddAssign, Sub};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gate::{Clearance, Request, TenantId};
use session::Verdict;
use sql::Class;

pub(crate) use period::Periods;

/// By what name those go that have no figures of their own. No tenant is called so: a star makes a pattern.
pub(crate) const REST: &str = "*";

const FIGURES: usize = 8;
const CLASSES: usize = Class::ALL.len();
const ANSWERS: usize = Answer::ALL.len();

/// What is counted of a tenant, apart from its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Transactions that a server has ended.
    Transactions,
    /// Microseconds in which a server was in a transaction.
    TransactionTime,
    /// Microseconds in which something ran.
    QueryTime,
    /// Times that a server connection was lent.
    Assignments,
    /// Microseconds for which sessions waited for one.
    WaitTime,
    /// Bytes from clients.
    Received,
    /// Bytes to clients.
    Sent,
    /// Sessions that came in.
    Logins,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It went up, and nobody was asked.
    Passed,
    /// It went up by a ticket.
    Signed,
    /// It waits for people.
    Held,
    /// A rule denies it.
    Denied,
    /// The gate could not take it: it is closed, or too many wait.
    Refused,
}

impl Answer {
    pub(crate) const ALL: [Self; 5] = [
        Self::Passed,
        Self::Signed,
        Self::Held,
        Self::Denied,
        Self::Refused,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Signed => "signed",
            Self::Held => "held",
            Self::Denied => "denied",
            Self::Refused => "refused",
        }
    }

    /// What a verdict is counted as. What goes up by a ticket is counted when that is spent, and what is asked again or in parts
    /// when that is.
    fn of(verdict: &Verdict) -> Option<Self> {
        match verdict {
            Verdict::Clear(Clearance::Pass(_)) => Some(Self::Passed),
            Verdict::Held(_) => Some(Self::Held),
            Verdict::Denied(_) => Some(Self::Denied),
            Verdict::Unavailable(_) => Some(Self::Refused),
            Verdict::Clear(_) | Verdict::Broken(..) | Verdict::Apart(_) | Verdict::Again => None,
        }
    }
}

/// What one thread has counted of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    figures: [Cell<u64>; FIGURES],
    requests: [[Cell<u64>; ANSWERS]; CLASSES],
}

impl Tally {
    /// So much more of it.
    pub(crate) fn add(&self, figure: Figure, more: u64) {
        if let Some(cell) = self.figures.get(figure as usize) {
            cell.set(cell.get().wrapping_add(more));
        }
    }

    /// The same of a time.
    pub(crate) fn add_time(&self, figure: Figure, more: Duration) {
        self.add(figure, u64::try_from(more.as_micros()).unwrap_or(u64::MAX));
    }

    /// One more request; of several classes the strongest counts.
    pub(crate) fn answer(&self, request: &Request, answer: Answer) {
        let class = request.statements().map(|it| it.class).max();
        let class = class.unwrap_or(Class::Read) as usize;
        let cell = self.requests.get(class);
        if let Some(cell) = cell.and_then(|it| it.get(answer as usize)) {
            cell.set(cell.get().wrapping_add(1));
        }
    }

    /// One more request that heard this.
    pub(crate) fn verdict(&self, request: &Request, verdict: &Verdict) {
        if let Some(answer) = Answer::of(verdict) {
            self.answer(request, answer);
        }
    }

    fn totals(&self) -> Totals {
        let count = Cell::get;
        Totals {
            figures: self.figures.each_ref().map(count),
            requests: self.requests.each_ref().map(|it| it.each_ref().map(count)),
        }
    }
}

/// What was counted, by one thread or by all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    figures: [u64; FIGURES],
    requests: [[u64; ANSWERS]; CLASSES],
}

impl Totals {
    pub(crate) fn of(&self, figure: Figure) -> u64 {
        self.figures.get(figure as usize).copied().unwrap_or(0)
    }

    /// Requests of that answer, of every class.
    pub(crate) fn answered(&self, answer: Answer) -> u64 {
        let all = self.requests.iter();
        all.filter_map(|it| it.get(answer as usize)).sum()
    }

    /// Requests that went up.
    pub(crate) fn queries(&self) -> u64 {
        self.answered(Answer::Passed) + self.answered(Answer::Signed)
    }

    /// Requests by class and answer; those of which there were some.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (Class, Answer, u64)> {
        let classes = Class::ALL.into_iter().zip(&self.requests);
        let all = classes.flat_map(|(class, counts)| {
            let answers = Answer::ALL.into_iter().zip(counts);
            answers.map(move |(answer, count)| (class, answer, *count))
        });
        all.filter(|(_, _, count)| *count > 0)
    }
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        let requests = self.requests.iter_mut().flatten();
        let others = other.requests.iter().flatten();
        let requests = requests.zip(others);
        for (sum, more) in self.figures.iter_mut().zip(&other.figures).chain(requests) {
            *sum = sum.wrapping_add(*more);
        }
    }
}

/// How much more this is than that was; what was counted anew since then began at nothing.
impl Sub<&Totals> for Totals {
    type Output = Totals;

    fn sub(mut self, before: &Totals) -> Totals {
        let requests = self.requests.iter_mut().flatten();
        let others = before.requests.iter().flatten();
        let requests = requests.zip(others);
        for (sum, less) in self.figures.iter_mut().zip(&before.figures).chain(requests) {
            *sum = sum.saturating_sub(*less);
        }
        self
    }
}

/// Which tenants have figures of their own: the first that somebody came for, so that a figure never changes its name. All others
/// are counted together, however many there are.
#[derive(Debug)]
pub(crate) struct Roster {
    tenants_max: usize,
    names: Mutex<HashSet<Box<str>>>,
}

impl Roster {
    /// With room for so many.
    pub(crate) fn new(tenants_max: usize) -> Self {
        Self {
            tenants_max,
            names: Mutex::default(),
        }
    }

    /// Whether it has figures of its own; it has from now on, if there is room.
    fn enter(&self, tenant: &TenantId) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < self.tenants_max {
            names.insert(Box::from(tenant.as_str()));
        }
        names.contains(tenant.as_str())
    }

    fn leave(&self, tenant: &TenantId) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(tenant.as_str());
    }

    /// The name that its figures go by.
    pub(crate) fn name<'a>(&self, tenant: &'a str) -> &'a str {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(tenant) { tenant } else { REST }
    }
}

/// The tallies of one thread.
#[derive(Debug)]
pub(crate) struct Tallies {
    roster: Arc<Roster>,
    own: RefCell<HashMap<TenantId, Rc<Tally>>>,
    rest: Rc<Tally>,
    /// Of tenants that are gone.
    gone: RefCell<Totals>,
}

impl Tallies {
    pub(crate) fn new(roster: Arc<Roster>) -> Self {
        Self {
            roster,
            own: RefCell::default(),
            rest: Rc::default(),
            gone: RefCell::default(),
        }
    }

    /// Where what is done for this tenant is counted.
    pub(crate) fn of(&self, tenant: &TenantId) -> Rc<Tally> {
        let mut own = self.own.borrow_mut();
        if let Some(tally) = own.get(tenant) {
            return Rc::clone(tally);
        }
        if !self.roster.enter(tenant) {
            return Rc::clone(&self.rest);
        }
        Rc::clone(own.entry(tenant.clone()).or_default())
    }

    /// Those that are no tenants any more are counted with the rest, and make room for others.
    pub(crate) fn keep(&self, is_there: impl Fn(&TenantId) -> bool) {
        self.own.borrow_mut().retain(|tenant, tally| {
            let stays = is_there(tenant);
            if !stays {
                *self.gone.borrow_mut() += &tally.totals();
                self.roster.leave(tenant);
            }
            stays
        });
    }

    /// All that this thread has counted, by the names that it goes by.
    pub(crate) fn totals(&self) -> Sums {
        let own = self.own.borrow();
        let own = own
            .iter()
            .map(|(tenant, tally)| (tenant.to_string(), tally.totals()));
        let mut sums: Sums = own.collect();
        let mut rest = self.rest.totals();
        rest += &self.gone.borrow();
        if rest != Totals::default() {
            sums.insert(REST.to_owned(), rest);
        }
        sums
    }
}

/// What was counted, by tenant.
pub(crate) type Sums = BTreeMap<String, Totals>;

/// What several threads have counted.
pub(crate) fn together(threads: impl IntoIterator<Item = Sums>) -> Sums {
    let mut all = Sums::new();
    for (name, totals) in threads.into_iter().flatten() {
        *all.entry(name).or_default() += &totals;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies(tenants_max: usize) -> Tallies {
        Tallies::new(Arc::new(Roster::new(tenants_max)))
    }

    #[test]
    fn those_that_come_first_have_figures_of_their_own() {
        let roster = Arc::new(Roster::new(2));
        let threads = [(); 2].map(|()| Tallies::new(Arc::clone(&roster)));
        for (number, name) in ["b", "a", "c", "d", "a"].into_iter().enumerate() {
            let tally = threads[number % 2].of(&TenantId::from(name));
            tally.add(Figure::Received, 10);
        }
        let sums = together(threads.iter().map(Tallies::totals));
        let received: Vec<_> = sums
            .iter()
            .map(|(name, it)| (name.as_str(), it.of(Figure::Received)))
            .collect();
        assert_eq!(received, [("*", 20), ("a", 20), ("b", 10)]);
        assert_eq!((roster.name("a"), roster.name("c")), ("a", "*"));
    }

    #[test]
    fn who_is_gone_makes_room_and_nothing_is_uncounted() {
        let tallies = tallies(1);
        let (one, other) = (TenantId::from("one"), TenantId::from("other"));
        tallies.of(&one).add(Figure::Logins, 1);
        tallies.keep(|it| *it != one);
        tallies.of(&other).add(Figure::Logins, 2);
        let sums = tallies.totals();
        let logins = |name: &str| sums.get(name).map(|it| it.of(Figure::Logins));
        assert_eq!(
            [logins("*"), logins("one"), logins("other")],
            [Some(1), None, Some(2)]
        );
    }

    #[test]
    fn every_class_has_its_place() {
        let classes: Vec<usize> = Class::ALL.into_iter().map(|it| it as usize).collect();
        assert!(classes.into_iter().eq(0..CLASSES));
        let answers: Vec<usize> = Answer::ALL.into_iter().map(|it| it as usize).collect();
        assert!(answers.into_iter().eq(0..ANSWERS));
        assert_eq!(Figure::Logins as usize, FIGURES - 1);
    }
}
