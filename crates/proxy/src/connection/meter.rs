//! What is counted of one session, for its tenant. It reads no clock of its own, and never changes what a session does.

use std::rc::Rc;
use std::time::Instant;

use gate::{Request, TenantId};
use session::{Session, Verdict};

use crate::stats::{Figure, Tallies, Tally};

/// Counts a session. Before somebody has proven who they are, nothing is counted.
#[derive(Debug, Default)]
pub(super) struct Meter {
    tally: Option<Rc<Tally>>,
    /// Since when it waits for a connection.
    waiting: Option<Instant>,
    /// Since when something runs.
    running: Option<Instant>,
    /// Since when a server is in a transaction for it.
    in_transaction: Option<Instant>,
}

impl Meter {
    /// Somebody came in.
    pub(super) fn begin(&mut self, tenant: Option<&TenantId>, tallies: &Tallies) {
        let tally = tenant.map(|it| tallies.of(it));
        if let Some(tally) = &tally {
            tally.add(Figure::Logins, 1);
        }
        self.tally = tally;
    }

    pub(super) fn received(&self, bytes: usize) {
        self.add(Figure::Received, bytes);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.add(Figure::Sent, bytes);
    }

    /// It waits for a connection.
    pub(super) fn waits(&mut self, now: Instant) {
        self.waiting = Some(now);
    }

    /// It was lent one.
    pub(super) fn lent(&mut self, now: Instant) {
        self.add(Figure::Assignments, 1);
        let since = self.waiting.take();
        if let (Some(tally), Some(since)) = (&self.tally, since) {
            tally.add_time(Figure::WaitTime, now.saturating_duration_since(since));
        }
    }

    pub(super) fn verdict(&self, request: &Request, verdict: &Verdict) {
        if let Some(tally) = &self.tally {
            tally.verdict(request, verdict);
        }
    }

    /// Where that is counted which takes its time.
    pub(super) fn tally(&self) -> Option<Rc<Tally>> {
        self.tally.clone()
    }

    /// Looks at what the session does, at the end of each step: what began and ended within one took no time.
    pub(super) fn look(&mut self, now: Instant, session: &mut Session) {
        let Some(tally) = &self.tally else { return };
        let ended = session.take_ended();
        if ended > 0 {
            tally.add(Figure::Transactions, u64::from(ended));
        }
        let spans = [
            (&mut self.running, session.is_running(), Figure::QueryTime),
            (
                &mut self.in_transaction,
                session.is_in_transaction(),
                Figure::TransactionTime,
            ),
        ];
        for (since, goes_on, figure) in spans {
            match (*since, goes_on) {
                (None, true) => *since = Some(now),
                (Some(began), false) => {
                    tally.add_time(figure, now.saturating_duration_since(began));
                    *since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
    }

    fn add(&self, figure: Figure, more: usize) {
        if let Some(tally) = &self.tally {
            tally.add(figure, u64::try_from(more).unwrap_or(u64::MAX));
        }
    }
}
