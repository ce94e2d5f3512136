//! The bench on which stores are tried: a clock that is moved by hand and short ways to say common
//! things. It never asserts anything about a transition.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gate::policy::Need;
use gate::ticket::{Asked, ClaimId, Facts, Parameter, Say, Scope, TimeOuts, Touched};
use gate::tickets::{Claimed, NewTicket, Opened, Standing, StoreError, Use, Word};
use gate::{Class, Digest, Group, People, PrincipalId, State, Ticket, TicketId, Tickets};
use store::{Options, WallClock};

pub(crate) const DECIDE_MS: i64 = 10_000;
pub(crate) const USE_MS: i64 = 3_000;
/// More than any other case needs.
pub(crate) const PENDING_MAX: u32 = 300;
pub(crate) const OPTIONS: Options = Options {
    decide_within_ms: DECIDE_MS,
    use_within_ms: USE_MS,
    pending_per_user_max: PENDING_MAX,
    pending_per_tenant_max: PENDING_MAX + 1,
};

/// A clock that stands still until somebody moves it.
#[derive(Clone)]
pub(crate) struct Manual(Arc<AtomicI64>);

impl Default for Manual {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(1_769_860_800_000)))
    }
}

impl Manual {
    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl WallClock for Manual {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct Bench<T> {
    pub(crate) store: T,
    pub(crate) clock: Manual,
}

/// `alice` asks for `text`.
pub(crate) fn asked_by(requester: &str, text: &str, needs: &[(&str, u32)]) -> NewTicket {
    NewTicket {
        scope: Scope::Once,
        must_exist: false,
        classes: vec![Class::Write],
        digest: Digest::of(text.as_bytes()),
        tenant: "acme".into(),
        requester: requester.into(),
        class: "write".to_owned(),
        rule: "writes".to_owned(),
        why: "a write needs a signature".to_owned(),
        needs: needs
            .iter()
            .map(|(group, approvals)| need(group, *approvals))
            .collect(),
        asked: vec![Asked {
            text: text.into(),
            parameters: vec![
                Parameter {
                    type_oid: 23,
                    value: Some("7".into()),
                },
                Parameter {
                    type_oid: 0,
                    value: None,
                },
            ],
        }],
        role: "acme_write".to_owned(),
        in_transaction: false,
        client: "192.0.2.7:50000 \"psql\"".to_owned(),
        reason: Some("it is old".to_owned()),
        time_outs: TimeOuts {
            lock_ms: Some(2000),
            statement_ms: None,
        },
        facts: Facts {
            writes: vec![Touched {
                relation: "t".to_owned(),
                owners: vec!["owners".into()],
            }],
            ..Facts::default()
        },
        decide_within_ms: None,
        use_within_ms: None,
    }
}

pub(crate) fn need(group: &str, approvals: u32) -> Need {
    Need {
        group: group.into(),
        approvals,
    }
}

/// The use of a ticket of alice for `text`.
pub(crate) fn once(text: &str) -> Use {
    Use {
        digest: Digest::of(text.as_bytes()),
        tenant: "acme".into(),
        principal: "alice".into(),
        classes: vec![Class::Write],
        in_transaction: false,
        step: None,
        ledger: None,
    }
}

/// Who is in which group, for all who sign here.
pub(crate) fn people(groups: &[(&str, &[&str])]) -> Arc<People> {
    let person = |(name, groups): &(&str, &[&str])| {
        let groups = groups.iter().map(|it| Group::from(*it)).collect();
        (PrincipalId::from(*name), groups)
    };
    Arc::new(groups.iter().map(person).collect())
}

/// What stands where nothing has changed since people signed.
pub(crate) fn standing() -> Standing {
    let people = people(&[
        ("bob", &["dba", "owners"]),
        ("carol", &["dba"]),
        ("dave", &["dba", "owners"]),
        ("alice", &["dba"]),
    ]);
    Standing {
        needs: Vec::new(),
        people,
        breaks_glass: false,
    }
}

/// The claim of a ticket that still counts.
pub(crate) fn spent(claimed: Claimed) -> ClaimId {
    match claimed {
        Claimed::Spent(claim, _) => claim,
        Claimed::Reopened(ticket) => panic!("{} waits again", ticket.id),
    }
}

impl<T: Tickets> Bench<T> {
    /// A ticket of `alice` that one of the `dba` must sign.
    pub(crate) async fn simple(&self, text: &str) -> Ticket {
        self.pending(asked_by("alice", text, &[("dba", 1)])).await
    }

    pub(crate) async fn pending(&self, new: NewTicket) -> Ticket {
        match self.store.open(new).await.unwrap() {
            Opened::Pending(ticket) => ticket,
            Opened::Approved(ticket) => panic!("{} is approved", ticket.id),
        }
    }

    pub(crate) async fn say(
        &self,
        id: TicketId,
        by: &str,
        groups: &[&str],
        approve: bool,
    ) -> Result<Ticket, StoreError> {
        let say = if approve { Say::Approve } else { Say::Reject };
        self.word(id, by, groups, say).await
    }

    pub(crate) async fn word(
        &self,
        id: TicketId,
        by: &str,
        groups: &[&str],
        say: Say,
    ) -> Result<Ticket, StoreError> {
        let word = Word {
            by: by.into(),
            groups: groups.iter().map(|group| Group::from(*group)).collect(),
            say,
            comment: Some(format!("{by} says so")),
            narrows: TimeOuts::default(),
        };
        let decided = self.store.decide(vec![id], word).await?;
        Ok(decided.into_iter().next().unwrap())
    }

    pub(crate) async fn claim(&self, id: TicketId, text: &str) -> Result<ClaimId, StoreError> {
        self.store
            .claim(id, once(text), standing())
            .await
            .map(spent)
    }

    pub(crate) async fn approved(&self, text: &str) -> Ticket {
        let ticket = self.simple(text).await;
        self.say(ticket.id, "bob", &["dba"], true).await.unwrap()
    }

    pub(crate) async fn claimed(&self, text: &str) -> (TicketId, ClaimId) {
        let ticket = self.approved(text).await;
        (ticket.id, self.claim(ticket.id, text).await.unwrap())
    }

    pub(crate) async fn state(&self, id: TicketId) -> State {
        self.store.ticket(id).await.unwrap().state
    }
}
