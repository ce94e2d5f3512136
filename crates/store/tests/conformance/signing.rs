//! Who may sign, whose word counts, and for how long. Each case has a store of its own; it never depends on the order of
//! cases.

use gate::ticket::{Say, TimeOuts};
use gate::tickets::{Claimed, Standing, StoreError, Word};
use gate::{State, TicketId, Tickets};
use store::WallClock as _;

use super::bench::{Bench, DECIDE_MS, USE_MS, asked_by, need, once, people, standing};

fn wrong(id: TicketId, state: State) -> StoreError {
    StoreError::WrongState { id, state }
}

pub(super) async fn nobody_signs_for_themselves<T: Tickets>(bench: &Bench<T>) {
    let id = bench.simple("delete from t").await.id;
    for approve in [true, false] {
        let result = bench.say(id, "alice", &["dba", "everybody"], approve).await;
        assert_eq!(result, Err(StoreError::OwnTicket(id)));
    }
    let ticket = bench.store.ticket(id).await.unwrap();
    assert_eq!((ticket.state, ticket.decisions.len()), (State::Pending, 0));
}

pub(super) async fn a_stranger_is_not_asked<T: Tickets>(bench: &Bench<T>) {
    let id = bench.simple("delete from t").await.id;
    for (groups, approve) in [
        (&["owners"][..], true),
        (&[][..], true),
        (&["DBA"][..], false),
    ] {
        let result = bench.say(id, "mallory", groups, approve).await;
        assert_eq!(result, Err(StoreError::NotAsked(id)));
    }
    assert!(bench.store.ticket(id).await.unwrap().decisions.is_empty());
}

pub(super) async fn two_people_are_two_people<T: Tickets>(bench: &Bench<T>) {
    let id = bench
        .pending(asked_by("alice", "drop table t", &[("dba", 2)]))
        .await
        .id;
    for words in 1..=3 {
        let ticket = bench.say(id, "bob", &["dba"], true).await.unwrap();
        assert_eq!(
            (ticket.state, ticket.decisions.len()),
            (State::Pending, words)
        );
        assert_eq!(ticket.missing(), [need("dba", 1)]);
        bench.clock.advance(1);
    }
    let ticket = bench.say(id, "carol", &["dba"], true).await.unwrap();
    assert_eq!((ticket.state, ticket.decisions.len()), (State::Approved, 4));
    let bob = &ticket.decisions[2];
    assert_eq!((bob.by.as_str(), bob.say), ("bob", Say::Approve));
    assert_eq!(bob.comment.as_deref(), Some("bob says so"));
    assert_eq!(bob.at_ms, bench.clock.now_ms() - 1);
}

pub(super) async fn groups_add_up<T: Tickets>(bench: &Bench<T>) {
    let new = asked_by("alice", "drop table t", &[("dba", 1), ("owners", 1)]);
    let id = bench.pending(new).await.id;
    let ticket = bench.say(id, "bob", &["dba"], true).await.unwrap();
    assert_eq!(
        (ticket.state, ticket.missing()),
        (State::Pending, vec![need("owners", 1)])
    );
    let ticket = bench.say(id, "carol", &["dba"], true).await.unwrap();
    assert_eq!(
        ticket.state,
        State::Pending,
        "two of one group are none of the other"
    );
    let ticket = bench.say(id, "dave", &["owners"], true).await.unwrap();
    assert_eq!(ticket.state, State::Approved);
}

pub(super) async fn one_person_counts_for_one_group<T: Tickets>(bench: &Bench<T>) {
    let new = asked_by("alice", "drop table t", &[("dba", 1), ("owners", 1)]);
    let id = bench.pending(new).await.id;
    let both = &["owners", "dba"][..];
    let ticket = bench.say(id, "bob", both, true).await.unwrap();
    assert_eq!(ticket.state, State::Pending);
    // Bob then counts for the group that carol is not in.
    let ticket = bench.say(id, "carol", &["dba"], true).await.unwrap();
    assert_eq!(ticket.state, State::Approved);
}

pub(super) async fn a_rejection_is_final<T: Tickets>(bench: &Bench<T>) {
    let pending = bench.simple("delete from a").await.id;
    let approved = bench.approved("delete from b").await.id;
    for id in [pending, approved] {
        let ticket = bench.say(id, "carol", &["dba"], false).await.unwrap();
        assert_eq!(ticket.state, State::Rejected);
        for approve in [true, false] {
            let again = bench.say(id, "dave", &["dba"], approve).await;
            assert_eq!(again, Err(wrong(id, State::Rejected)));
        }
    }
    let claim = bench.claim(approved, "delete from b").await;
    assert_eq!(claim, Err(wrong(approved, State::Rejected)));
}

/// Who takes a yes back does so for good until they say it again; a remark changes nothing.
pub(super) async fn the_latest_word_counts<T: Tickets>(bench: &Bench<T>) {
    let id = bench.approved("delete from t").await.id;
    let remark = bench.word(id, "bob", &[], Say::Comment).await.unwrap();
    assert_eq!(remark.state, State::Approved);
    let other = bench.word(id, "carol", &["dba"], Say::Changes).await;
    assert_eq!(other.unwrap().state, State::Approved, "bob's word stands");
    let back = bench.word(id, "bob", &["dba"], Say::Changes).await.unwrap();
    assert_eq!(
        (back.state, back.missing()),
        (State::Pending, vec![need("dba", 1)])
    );
    assert_eq!(back.expires_ms, bench.clock.now_ms() + DECIDE_MS);
    let claim = bench.claim(id, "delete from t").await;
    assert_eq!(claim, Err(wrong(id, State::Pending)));
    let own = bench.word(id, "alice", &["dba"], Say::Changes).await;
    assert_eq!(own, Err(StoreError::OwnTicket(id)));
    assert_eq!(
        bench.say(id, "bob", &["dba"], true).await.unwrap().state,
        State::Approved
    );
    bench.claim(id, "delete from t").await.unwrap();
    let late = bench.word(id, "bob", &["dba"], Say::Changes).await;
    assert_eq!(late, Err(wrong(id, State::Executing)));
    let remark = bench.word(id, "alice", &[], Say::Comment).await.unwrap();
    assert_eq!(remark.decisions.last().unwrap().say, Say::Comment);
}

/// What was signed is spent only if it still counts: by the groups that people are in now, and by what the rules ask for now.
pub(super) async fn an_approval_is_checked_again_when_it_is_spent<T: Tickets>(bench: &Bench<T>) {
    let claim = async |id, needs: &[(&str, u32)], people| {
        let standing = Standing {
            needs: needs.iter().map(|it| need(it.0, it.1)).collect(),
            people,
            breaks_glass: false,
        };
        let claimed = bench.store.claim(id, once("delete from t"), standing).await;
        match claimed.unwrap() {
            Claimed::Reopened(ticket) => *ticket,
            Claimed::Spent(claim, _) => panic!("spent as {claim:?}"),
        }
    };
    // Bob has left the group; his word in it is none.
    let id = bench.approved("delete from t").await.id;
    bench.clock.advance(USE_MS - 1);
    let ticket = claim(id, &[], people(&[("bob", &["owners"])])).await;
    assert_eq!((ticket.state, ticket.id), (State::Pending, id));
    assert_eq!(ticket.missing(), [need("dba", 1)]);
    assert_eq!(ticket.expires_ms, bench.clock.now_ms() + DECIDE_MS);
    let ticket = bench.say(id, "carol", &["dba"], true).await.unwrap();
    assert_eq!(ticket.state, State::Approved);
    // The rules ask for more by now, and that stays with the ticket.
    let ticket = claim(id, &[("dba", 1), ("owners", 1)], standing().people).await;
    assert_eq!(ticket.needs, [need("dba", 1), need("owners", 1)]);
    assert_eq!(ticket.state, State::Pending);
    let ticket = bench.say(id, "dave", &["owners"], true).await.unwrap();
    assert_eq!(ticket.state, State::Approved);
    bench.claim(id, "delete from t").await.unwrap();
}

pub(super) async fn several_are_decided_together_or_none<T: Tickets>(bench: &Bench<T>) {
    let (one, two) = (bench.simple("a").await.id, bench.simple("b").await.id);
    let spent = bench.claimed("c").await.0;
    let word = |say| Word {
        by: "bob".into(),
        groups: vec!["dba".into()],
        say,
        comment: None,
        narrows: TimeOuts::default(),
    };
    let mixed = bench
        .store
        .decide(vec![one, spent], word(Say::Approve))
        .await;
    assert_eq!(mixed, Err(wrong(spent, State::Executing)));
    assert_eq!(bench.state(one).await, State::Pending);
    let both = bench
        .store
        .decide(vec![one, two], word(Say::Approve))
        .await
        .unwrap();
    assert_eq!(
        both.iter().map(|it| (it.id, it.state)).collect::<Vec<_>>(),
        [(one, State::Approved), (two, State::Approved)]
    );
    let mixed = bench.store.withdraw(vec![one, spent]).await;
    assert_eq!(mixed, Err(wrong(spent, State::Executing)));
    assert_eq!(bench.state(one).await, State::Approved);
    bench.store.withdraw(vec![one, two]).await.unwrap();
    assert_eq!(bench.state(two).await, State::Withdrawn);
}
