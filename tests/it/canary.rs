//! The canary (hazards V2, R70): whatever the shape it is asked for in, nothing of it is in the
//! server before somebody signs. `make canary` prints the same as a table.

use harness::canary::{self, Effects, End, SHAPES};

#[track_caller]
fn all_shapes(end: End) {
    let stage = canary::stage();
    for shape in SHAPES {
        let effects = canary::run(&stage, shape, end);
        assert_eq!(effects, Effects::expected(end), "{}", shape.name);
    }
}

#[test]
fn approved_it_runs_once() {
    all_shapes(End::Approve);
}

#[test]
fn rejected_it_never_runs() {
    all_shapes(End::Reject);
}

#[test]
fn cancelled_it_never_runs() {
    all_shapes(End::Cancel);
}

/// Hazards R57: not even when the ticket that nobody waits for any more is approved.
#[test]
fn of_a_client_that_is_gone_it_never_runs() {
    all_shapes(End::Disconnect);
}
