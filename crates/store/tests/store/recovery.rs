//! What becomes of a ticket that a crash left executing, for everything that the journal can say
//! of it (DESIGN ruling 1). It never runs a statement.

use gate::audit::{End, TransactionEnd};
use gate::ticket::{ClaimId, Say, TimeOuts};
use gate::tickets::{NewTicket, Opened, StoreError, Tickets as _, Use, Word};
use gate::{Entry, Event, Journal as _, State, TicketId};
use store::{Recovered, Sqlite, Unsettled as _, recover, verify_state};

use crate::conformance::{asked_by, once, spent, standing};
use crate::support::{StateDir, ended, intent, outcome};

const TEXT: &str = "delete from t";

pub(crate) async fn claimed(
    store: &Sqlite,
    text: &str,
    in_transaction: bool,
) -> (TicketId, ClaimId) {
    let new = NewTicket {
        in_transaction,
        ..asked_by("alice", text, &[("dba", 1)])
    };
    let (Opened::Pending(ticket) | Opened::Approved(ticket)) = store.open(new).await.unwrap();
    let groups = vec!["dba".into()];
    let word = Word {
        by: "bob".into(),
        groups,
        say: Say::Approve,
        comment: None,
        narrows: TimeOuts::default(),
    };
    store.decide(vec![ticket.id], word).await.unwrap();
    let once = Use {
        in_transaction,
        ..once(text)
    };
    let claimed = store.claim(ticket.id, once, standing()).await;
    (ticket.id, spent(claimed.unwrap()))
}

/// A gate that claims, writes what the `tale` tells, dies, and starts again.
async fn after(
    in_transaction: bool,
    tale: impl FnOnce((TicketId, ClaimId)) -> Vec<Entry>,
) -> State {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    let claim = claimed(&store, TEXT, in_transaction).await;
    for entry in tale(claim) {
        journal.write(entry).await.unwrap();
    }
    drop((journal, store));

    let store = state.store();
    let journal = state.journal(&store).await;
    let recovered = recover(&store, &journal).await.unwrap();
    let [
        Recovered {
            ticket,
            claim: of,
            state: to,
            ..
        },
    ] = recovered[..]
    else {
        panic!("{recovered:?}")
    };
    assert_eq!((ticket, of), claim);
    assert_eq!(store.ticket(ticket).await.unwrap().state, to);
    assert!(store.executing().await.unwrap().is_empty());
    assert!(
        recover(&store, &journal).await.unwrap().is_empty(),
        "it was recovered twice"
    );
    let told = format!(
        r#""entry":{{"kind":"recovered","ticket":{},"claim":{},"state":"{to}"}}"#,
        ticket.0, of.0
    );
    assert!(state.lines().last().unwrap().contains(&told));
    verify_state(state.dir.path()).unwrap();
    to
}

#[tokio::test]
async fn no_intent_was_never_sent() {
    assert_eq!(after(false, |_| vec![]).await, State::Approved);
    assert_eq!(after(true, |_| vec![]).await, State::Approved);
    let other = after(false, |(ticket, claim)| {
        vec![
            intent(1, 1, Some((ticket, ClaimId(claim.0 + 1)))),
            intent(1, 2, None),
        ]
    });
    assert_eq!(other.await, State::Approved, "the intent of another claim");
}

#[tokio::test]
async fn an_intent_without_an_outcome_is_in_doubt() {
    assert_eq!(
        after(false, |it| vec![intent(1, 1, Some(it))]).await,
        State::InDoubt
    );
    let others = after(false, |it| {
        vec![
            intent(1, 1, Some(it)),
            outcome(2, 1, End::Done, &["DELETE 1"]),
            outcome(1, 2, End::Done, &["DELETE 1"]),
        ]
    });
    assert_eq!(
        others.await,
        State::InDoubt,
        "the outcome of another intent"
    );
}

#[tokio::test]
async fn sessions_count_anew_in_each_run() {
    let next_run = after(false, |it| {
        vec![
            intent(1, 1, Some(it)),
            Entry::Started { torn_bytes: 0 },
            outcome(1, 1, End::Done, &["DELETE 1"]),
        ]
    });
    assert_eq!(next_run.await, State::InDoubt);
}

/// Who died before anybody could wait for the outcome left it among others.
#[tokio::test]
async fn what_shares_a_record_counts_as_well() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    let claim = claimed(&store, TEXT, false).await;
    for entry in [
        intent(2, 1, None),
        intent(1, 1, Some(claim)),
        outcome(2, 1, End::Failed, &[]),
        outcome(1, 1, End::Done, &["DELETE 1"]),
    ] {
        journal.note(&entry).unwrap();
    }
    drop((journal, store));
    assert!(state.lines()[1].contains("\"entry\":["));

    let store = state.store();
    let journal = state.journal(&store).await;
    let recovered = recover(&store, &journal).await.unwrap();
    let states: Vec<State> = recovered.iter().map(|it| it.state).collect();
    assert_eq!(states, [State::Done]);
}

#[tokio::test]
async fn what_the_server_said_counts() {
    let said = async |end, tags: &[&str]| {
        after(false, |it| {
            vec![intent(1, 1, Some(it)), outcome(1, 1, end, tags)]
        })
        .await
    };
    assert_eq!(said(End::Done, &["DELETE 1"]).await, State::Done);
    assert_eq!(said(End::Failed, &[]).await, State::Failed);
    assert_eq!(said(End::InDoubt, &[]).await, State::InDoubt);
    assert_eq!(said(End::NotSent, &[]).await, State::Approved);
    assert_eq!(
        said(End::Done, &["BEGIN", "DELETE 1"]).await,
        State::InDoubt
    );
    assert_eq!(
        said(End::Done, &["BEGIN", "DELETE 1", "COMMIT"]).await,
        State::Done
    );
}

#[tokio::test]
async fn in_a_transaction_its_end_counts() {
    let said = async |end: Option<TransactionEnd>| {
        after(true, |it| {
            let mut story = vec![
                intent(1, 1, Some(it)),
                outcome(1, 1, End::Done, &["DELETE 1"]),
            ];
            story.extend(end.map(|end| ended(1, it.0, end)));
            story
        })
        .await
    };
    assert_eq!(said(None).await, State::InDoubt);
    assert_eq!(said(Some(TransactionEnd::Commit)).await, State::Done);
    assert_eq!(
        said(Some(TransactionEnd::Rollback)).await,
        State::RolledBack
    );
    assert_eq!(said(Some(TransactionEnd::InDoubt)).await, State::InDoubt);
    let early = after(true, |it| {
        vec![
            ended(1, it.0, TransactionEnd::Commit),
            intent(1, 1, Some(it)),
            outcome(1, 1, End::Done, &["DELETE 1"]),
            ended(2, it.0, TransactionEnd::Commit),
            ended(1, TicketId(it.0.0 + 1), TransactionEnd::Commit),
        ]
    });
    assert_eq!(
        early.await,
        State::InDoubt,
        "the ends of other transactions"
    );
}

#[tokio::test]
async fn two_intents_of_one_claim_are_in_doubt() {
    let twice = after(false, |it| {
        vec![
            intent(1, 1, Some(it)),
            outcome(1, 1, End::NotSent, &[]),
            intent(1, 2, Some(it)),
            outcome(1, 2, End::NotSent, &[]),
        ]
    });
    assert_eq!(twice.await, State::InDoubt);
}

#[tokio::test]
async fn what_was_put_back_can_be_claimed_again() {
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal(&store).await;
    let (ticket, first) = claimed(&store, TEXT, false).await;
    recover(&store, &journal).await.unwrap();
    let second = store.claim(ticket, once(TEXT), standing()).await;
    let second = spent(second.unwrap());
    assert_ne!(first, second);
    let late = store
        .settle(vec![(ticket, first)], Event::Succeed, None)
        .await;
    assert_eq!(
        late,
        Err(StoreError::WrongState {
            id: ticket,
            state: State::Executing
        })
    );
}
