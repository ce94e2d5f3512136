//! The transition table of `gate::Event`, tried whole: every event in every state, the possible
//! ones and the impossible ones. It never repeats the table.

use gate::ticket::ClaimId;
use gate::tickets::{Claimed, Standing, StoreError};
use gate::{Event, State, TicketId, Tickets};

use super::bench::{Bench, DECIDE_MS, once, people};

pub(super) async fn every_event_in_every_state<T: Tickets>(bench: &Bench<T>) {
    for state in State::ALL.iter().copied() {
        for event in Event::ALL.iter().copied() {
            let text = format!("{event:?} in {state}");
            let (id, claim) = bring(bench, state, &text).await;
            assert_eq!(bench.state(id).await, state, "{text}");
            let result = happen(bench, event, id, claim, &text).await;
            let other = matches!(event, Event::Exhaust | Event::Close);
            if let Some(to) = event.apply(state).filter(|_| !other) {
                assert_eq!(result, Ok(()), "{text}");
                assert_eq!(bench.state(id).await, to, "{text}");
            } else {
                assert_eq!(result, Err(StoreError::WrongState { id, state }), "{text}");
                assert_eq!(bench.state(id).await, state, "{text}");
            }
        }
    }
}

/// Makes a ticket that stands in `state`, with its claim or one that never was.
async fn bring<T: Tickets>(bench: &Bench<T>, state: State, text: &str) -> (TicketId, ClaimId) {
    let none = ClaimId(i64::MAX);
    match state {
        State::Pending => (bench.simple(text).await.id, none),
        State::Approved => (bench.approved(text).await.id, none),
        State::Executing => bench.claimed(text).await,
        State::Done => settled(bench, Event::Succeed, text).await,
        State::Failed => settled(bench, Event::Fail, text).await,
        State::RolledBack => settled(bench, Event::RollBack, text).await,
        State::InDoubt => settled(bench, Event::Doubt, text).await,
        State::Rejected => {
            let id = bench.simple(text).await.id;
            bench.say(id, "bob", &["dba"], false).await.unwrap();
            (id, none)
        }
        State::Withdrawn => {
            let id = bench.simple(text).await.id;
            bench.store.withdraw(vec![id]).await.unwrap();
            (id, none)
        }
        State::Expired => {
            let id = bench.simple(text).await.id;
            bench.clock.advance(DECIDE_MS);
            bench.store.expire().await.unwrap();
            (id, none)
        }
        State::Void => concluded(bench, bench.simple(text).await.id, Event::Void).await,
        State::Fenced => {
            let (id, _) = settled(bench, Event::Doubt, text).await;
            concluded(bench, id, Event::Fence).await
        }
    }
}

async fn concluded<T: Tickets>(
    bench: &Bench<T>,
    id: TicketId,
    event: Event,
) -> (TicketId, ClaimId) {
    bench.store.conclude(id, event, None).await.unwrap();
    (id, ClaimId(i64::MAX))
}

async fn settled<T: Tickets>(bench: &Bench<T>, event: Event, text: &str) -> (TicketId, ClaimId) {
    let claim = bench.claimed(text).await;
    bench.store.settle(vec![claim], event, None).await.unwrap();
    claim
}

async fn happen<T: Tickets>(
    bench: &Bench<T>,
    event: Event,
    id: TicketId,
    claim: ClaimId,
    text: &str,
) -> Result<(), StoreError> {
    match event {
        Event::Approve => bench.say(id, "carol", &["dba"], true).await.map(|_| ()),
        Event::Reject => bench.say(id, "carol", &["dba"], false).await.map(|_| ()),
        Event::Withdraw => bench.store.withdraw(vec![id]).await.map(|_| ()),
        Event::Claim => bench.claim(id, text).await.map(|_| ()),
        Event::Reopen => {
            // Nobody is in any group any more.
            let nobody = Standing {
                needs: Vec::new(),
                people: people(&[]),
                breaks_glass: false,
            };
            match bench.store.claim(id, once(text), nobody).await? {
                Claimed::Reopened(_) => Ok(()),
                Claimed::Spent(..) => panic!("spent by nobody's word"),
            }
        }
        Event::Expire => {
            let state = bench.state(id).await;
            bench.clock.advance(DECIDE_MS);
            let swept = bench.store.expire().await?;
            let due = swept.iter().any(|ticket| ticket.id == id);
            if due {
                Ok(())
            } else {
                Err(StoreError::WrongState { id, state })
            }
        }
        Event::Unclaim | Event::Succeed | Event::Fail | Event::RollBack | Event::Doubt => {
            bench.store.settle(vec![(id, claim)], event, None).await
        }
        // No ticket of one request.
        Event::Exhaust | Event::Close => Err(StoreError::WrongState {
            id,
            state: bench.state(id).await,
        }),
        Event::Void | Event::Confirm | Event::Fence => {
            bench.store.conclude(id, event, None).await.map(|_| ())
        }
    }
}
