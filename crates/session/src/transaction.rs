//! The client's explicit transaction. BEGIN is answered by the gate and sent only when the first
//! statement is released, so a hold in a transaction that has done nothing costs nothing (DESIGN
//! ruling 3). What was spent in it stays open until COMMIT or ROLLBACK is confirmed.

use gate::cargo::Begin;
use gate::ticket::{ClaimId, TicketId};
use sql::{Control, Isolation};
use wire::backend::Status;

/// Where the client's transaction stands.
#[derive(Debug, Default)]
pub(crate) enum Transaction {
    /// None is open.
    #[default]
    None,
    /// The client has begun one; upstream nothing was sent.
    Virtual(Begin),
    /// It is open upstream.
    Open(Open),
    /// It failed and is not open upstream any more; the client has yet to end it. A chained one
    /// begins as this one did.
    Aborted(Begin),
}

/// A transaction that is open upstream.
#[derive(Debug, Default)]
pub(crate) struct Open {
    failed: bool,
    begin: Begin,
    savepoints: Vec<(String, usize)>,
    spent: Vec<Spent>,
    /// Something other than transaction control ran in it.
    pub(crate) worked: bool,
}

/// A ticket that was spent in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) ticket: TicketId,
    pub(crate) claim: ClaimId,
    /// Its effects can outlive a rollback, or nobody knows (hazards R86).
    pub(crate) lasting: bool,
    rolled_back: bool,
}

impl Spent {
    pub(crate) fn new(ticket: TicketId, claim: ClaimId, lasting: bool) -> Self {
        Self {
            ticket,
            claim,
            lasting,
            rolled_back: false,
        }
    }
}

/// What became of the tickets of a transaction that ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) kept: Vec<Spent>,
    pub(crate) undone: Vec<Spent>,
}

impl Ended {
    fn of(spent: Vec<Spent>, committed: bool) -> Self {
        let (undone, kept) = spent
            .into_iter()
            .partition(|it| it.rolled_back || !committed);
        Self { kept, undone }
    }

    /// And those.
    pub(crate) fn add(&mut self, more: Self) {
        self.kept.extend(more.kept);
        self.undone.extend(more.undone);
    }
}

impl Transaction {
    /// What ReadyForQuery says.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::None => Status::Idle,
            Self::Open(open) if open.failed => Status::Failed,
            Self::Virtual(_) | Self::Open(_) => Status::Transaction,
            Self::Aborted(_) => Status::Failed,
        }
    }

    /// Whether the client is in an explicit transaction.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether the transaction lives on an upstream connection.
    pub(crate) fn has_upstream(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Whether it has done work and so holds locks while something in it waits.
    pub(crate) fn has_worked(&self) -> bool {
        matches!(self, Self::Open(open) if open.worked)
    }

    /// Whether savepoints of the client are open in it.
    pub(crate) fn has_savepoints(&self) -> bool {
        matches!(self, Self::Open(open) if !open.savepoints.is_empty())
    }

    /// Whether nothing but its end, or a way back to a savepoint, can run.
    pub(crate) fn has_failed(&self) -> bool {
        self.status() == Status::Failed
    }

    /// The isolation level that the client named.
    pub(crate) fn isolation(&self) -> Option<Isolation> {
        match self {
            Self::Virtual(begin) => begin.isolation,
            Self::Open(open) => open.begin.isolation,
            Self::None | Self::Aborted(_) => None,
        }
    }

    /// How the client's transaction was begun; one that it never began, by default.
    pub(crate) fn begin(&self) -> Begin {
        match self {
            Self::Virtual(begin) | Self::Aborted(begin) => *begin,
            Self::Open(open) => open.begin,
            Self::None => Begin::default(),
        }
    }

    /// It failed, and upstream nothing is left of it.
    pub(crate) fn fail(&mut self) {
        *self = Self::Aborted(self.begin());
    }

    /// The BEGIN that was sent was confirmed.
    pub(crate) fn begun(&mut self) {
        let begin = self.begin();
        *self = Self::Open(Open {
            begin,
            ..Open::default()
        });
    }

    /// A segment ended upstream with `status`: the transaction is what the server says it is.
    /// Returns the tickets whose fate is now known: what no COMMIT was heard of is undone.
    pub(crate) fn settle(&mut self, status: Status) -> Ended {
        match status {
            Status::Idle => {
                let Self::Open(open) = std::mem::take(self) else {
                    return Ended::default();
                };
                Ended::of(open.spent, false)
            }
            Status::Transaction | Status::Failed => {
                if !matches!(self, Self::Open(_)) {
                    self.begun();
                }
                if let Self::Open(open) = self {
                    open.failed = status == Status::Failed;
                }
                Ended::default()
            }
        }
    }

    /// A signed statement ran in it.
    pub(crate) fn spend(&mut self, spent: Spent) {
        if let Self::Open(open) = self {
            open.spent.push(spent);
        }
    }

    /// Something other than transaction control ran in it.
    pub(crate) fn work(&mut self) {
        if let Self::Open(open) = self {
            open.worked = true;
        }
    }

    /// Transaction control ran, and the server answered it with `tag`: a COMMIT of a failed
    /// transaction says ROLLBACK. Returns the tickets whose fate is now known.
    pub(crate) fn control(&mut self, control: &Control, tag: &str) -> Ended {
        let Self::Open(open) = self else {
            return Ended::default();
        };
        let find = |name: &str, all: &[(String, usize)]| all.iter().rposition(|it| it.0 == name);
        match control {
            Control::Savepoint(name) => open.savepoints.push((name.clone(), open.spent.len())),
            Control::Release(name) => {
                if let Some(at) = find(name, &open.savepoints) {
                    open.savepoints.truncate(at);
                }
            }
            Control::RollbackTo(name) => {
                if let Some(at) = find(name, &open.savepoints) {
                    let since = open.savepoints.get(at).map_or(0, |it| it.1);
                    // Spent all the same: "rolled back" (hazards R90).
                    open.spent
                        .iter_mut()
                        .skip(since)
                        .for_each(|it| it.rolled_back = true);
                    open.savepoints.truncate(at + 1);
                }
            }
            // What goes on behind it, a chained transaction or the next one of the same text, is
            // another transaction.
            Control::Commit { .. } | Control::Rollback { .. } => {
                open.savepoints.clear();
                return Ended::of(std::mem::take(&mut open.spent), tag == "COMMIT");
            }
            Control::Begin { .. } => {}
        }
        Ended::default()
    }

    /// The connection is gone, or the gate rolled back: what had been spent.
    pub(crate) fn abort(&mut self, into: Self) -> Vec<Spent> {
        match std::mem::replace(self, into) {
            Self::Open(open) => open.spent,
            Self::None | Self::Virtual(_) | Self::Aborted(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(number: i64) -> Spent {
        Spent::new(TicketId(number), ClaimId(number), false)
    }

    /// Hazards V10, R90: ROLLBACK TO takes the work back and leaves the ticket spent.
    #[test]
    fn rollback_to_undoes_what_came_after_the_savepoint() {
        let mut transaction = Transaction::Virtual(Begin::default());
        transaction.begun();
        transaction.spend(spent(1));
        transaction.control(&Control::Savepoint("s".into()), "SAVEPOINT");
        transaction.spend(spent(2));
        transaction.control(&Control::RollbackTo("s".into()), "ROLLBACK");
        transaction.spend(spent(3));
        let mut ended = transaction.control(&Control::Commit { chain: false }, "COMMIT");
        ended.add(transaction.settle(Status::Idle));
        let tickets = |list: &[Spent]| list.iter().map(|it| it.ticket.0).collect::<Vec<_>>();
        assert_eq!(
            (tickets(&ended.kept), tickets(&ended.undone)),
            (vec![1, 3], vec![2])
        );
        assert!(!transaction.is_open());
    }

    #[test]
    fn a_rollback_undoes_all() {
        let mut transaction = Transaction::None;
        assert_eq!(transaction.settle(Status::Transaction), Ended::default());
        transaction.spend(spent(1));
        assert_eq!(transaction.settle(Status::Idle).undone.len(), 1);
    }

    #[test]
    fn the_server_says_what_the_status_is() {
        let mut transaction = Transaction::Virtual(Begin::default());
        assert_eq!(transaction.status(), Status::Transaction);
        transaction.begun();
        transaction.settle(Status::Failed);
        assert_eq!(transaction.status(), Status::Failed);
        transaction.settle(Status::Transaction);
        assert_eq!(transaction.status(), Status::Transaction);
    }
}
