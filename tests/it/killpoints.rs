//! A few steps of `make killpoints` (hazards R79, R80): whoever is ended where, nothing runs twice and nothing is lost. The
//! same sweep finds a gate that claims too late, or twice.

use harness::killpoints::{Fault, Kill, SHAPES, Shape, Step, Sweep, Victim};

#[track_caller]
fn shape(name: &str) -> Shape {
    let found = SHAPES.into_iter().find(|it| it.name == name);
    found.expect("a shape of this name")
}

fn gate(turn: usize, step: Step) -> Kill {
    Kill {
        turn,
        step,
        time: 1,
        victim: Victim::Gate,
        then: None,
    }
}

#[test]
fn a_gate_that_is_killed_on_the_way_repeats_nothing_and_loses_nothing() {
    let mut sweep = Sweep::start(false, None);
    for (name, turn, step, doubts) in [
        ("Query", 0, Step::Claimed, 0),
        ("P B E S", 0, Step::IntentWritten, 1),
        ("COPY", 0, Step::Reply, 1),
        ("signed ahead", 0, Step::Forwarded, 1),
        ("two clients", 0, Step::RecordSynced, 0),
        ("two in a transaction", 3, Step::Reply, 2),
    ] {
        let came = sweep.run(shape(name), Some(gate(turn, step)));
        assert!(came.killed, "{name}, {step:?}");
        assert_eq!(came.faults, [], "{name}, {step:?}");
        assert_eq!(came.in_doubt, doubts, "{name}, {step:?}");
    }
    sweep.verify().ok();
}

#[test]
fn a_gate_that_is_killed_while_it_recovers_settles_the_same_later() {
    let mut sweep = Sweep::start(false, None);
    for (step, then, doubts) in [
        (Step::Claimed, Step::SettleMade, 0),
        (Step::IntentSynced, Step::SettleMade, 1),
        (Step::RecordSynced, Step::Settled, 0),
    ] {
        let kill = Kill {
            then: Some(then),
            ..gate(0, step)
        };
        let came = sweep.run(shape("Query"), Some(kill));
        assert!(came.killed_again, "{step:?}, {then:?}");
        assert_eq!(came.faults, [], "{step:?}, {then:?}");
        assert_eq!(came.in_doubt, doubts, "{step:?}, {then:?}");
    }
    sweep.verify().ok();
}

/// Hazards R83: of each doubt the ledger tells, even to a gate that is killed while it asks.
#[test]
fn what_a_kill_leaves_in_doubt_is_resolved_by_the_ledger() {
    let mut sweep = Sweep::start(true, None);
    let again = Some(Step::Fenced);
    for (name, turn, step, then, doubts) in [
        ("Query", 0, Step::IntentSynced, None, 1),
        ("Query", 0, Step::Reply, again, 1),
        ("P B E S", 0, Step::Forwarded, None, 1),
        ("COPY", 0, Step::Reply, again, 1),
        ("two in a transaction", 3, Step::Reply, again, 2),
    ] {
        let kill = Kill {
            then,
            ..gate(turn, step)
        };
        let came = sweep.run(shape(name), Some(kill));
        assert_eq!(came.faults, [], "{name}, {step:?}");
        assert_eq!(came.killed_again, then.is_some(), "{name}, {step:?}");
        assert_eq!(
            (came.in_doubt, came.resolved),
            (doubts, doubts),
            "{name}, {step:?}"
        );
    }
    sweep.verify().ok();
}

#[test]
fn a_claim_that_is_made_after_the_send_is_found() {
    let mut sweep = Sweep::start(false, Some("claim-after-send"));
    let came = sweep.run(shape("Query"), None);
    assert_eq!(came.faults, []);
    let came = sweep.run(shape("Query"), Some(gate(0, Step::Reply)));
    assert!(matches!(came.faults[..], [Fault::Duplicate(_)]), "{came:?}");
}

#[test]
fn a_claim_that_does_not_look_at_the_state_is_found() {
    let mut sweep = Sweep::start(false, Some("double-claim"));
    let came = sweep.run(shape("two clients"), None);
    assert!(matches!(came.faults[..], [Fault::Duplicate(_)]), "{came:?}");
}
