//! What is known of replicas by what they and the primary say.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn at(lsn: u64) -> Progress {
    Progress {
        lsn,
        timeline: 1,
        cluster: "7001".into(),
        in_recovery: true,
        serializable: false,
    }
}

fn following() -> (Following, Instant) {
    let now = tokio::time::Instant::now().into_std();
    let config = Replicas {
        places: vec![("one".to_owned(), 5432), ("two".to_owned(), 5432)],
        lag_max: 1000 * MS,
        wait: 100 * MS,
    };
    (Following::new(config, now), now + MS)
}

#[test]
fn a_replica_shows_all_of_the_last_moment_whose_end_it_has_replayed() {
    let (following, now) = following();
    let alice = PrincipalId::from("alice");
    following.note(0, Ok(&at(500)));
    assert!(!following.shows(0, now), "the primary is not known");
    for (moment, end) in [(0, 100), (200, 300), (400, 500)] {
        following.sample(now + moment * MS, &at(end));
    }
    following.note(0, Ok(&at(499)));
    assert!(following.shows(0, now + 200 * MS));
    assert!(!following.shows(0, now + 400 * MS));
    assert!(!following.shows(1, now), "the other said nothing");
    let later = now + 900 * MS;
    assert!(following.shows(0, following.due(&alice, later).shows));
    following.wrote(&alice, now + 300 * MS);
    let due = following.due(&alice, later);
    assert!(!following.shows(0, due.shows) && following.shows(0, due.lag));
    let bob = following.due(&PrincipalId::from("bob"), later);
    assert!(following.shows(0, bob.shows), "only who wrote must see it");
    following.note(0, Ok(&at(500)));
    assert!(following.shows(0, due.shows));
    let late = following.due(&alice, now + 1500 * MS);
    assert!(!following.shows(0, late.lag), "nobody has looked since");
}

/// An idle primary: its last transaction is old, and nothing is missing.
#[test]
fn where_nobody_writes_nothing_is_missing() {
    let (following, now) = following();
    for moment in 0..100 {
        following.sample(now + moment * 600 * MS, &at(100));
    }
    following.note(0, Ok(&at(100)));
    assert!(following.shows(0, now + 99 * 600 * MS));
}

#[test]
fn whoever_does_not_follow_the_primary_serves_nobody() {
    let (following, now) = following();
    following.sample(now, &at(100));
    let other = |change: fn(&mut Progress)| {
        let mut found = at(200);
        change(&mut found);
        Ok(found)
    };
    for (found, state) in [
        (Err(State::Unreachable), State::Unreachable),
        (other(|it| it.in_recovery = false), State::Promoted),
        (
            other(|it| it.cluster = "7002".into()),
            State::AnotherCluster,
        ),
        (other(|it| it.timeline = 2), State::AnotherTimeline),
        (other(|it| it.serializable = true), State::Serializable),
    ] {
        following.note(0, Ok(&at(200)));
        assert!(following.shows(0, now));
        following.note(0, found.as_ref().map_err(|why| *why));
        assert!(!following.shows(0, now), "{state:?}");
        assert_eq!(following.views(now)[0].1.state, state);
    }
    following.note(0, Ok(&at(200)));
    let promoted = Progress {
        timeline: 2,
        ..at(150)
    };
    following.sample(now + MS, &promoted);
    assert!(!following.shows(0, now), "that was another history");
}

#[test]
fn one_thread_takes_samples_for_as_long_as_somebody_reads() {
    let (following, now) = following();
    assert!(following.use_now(now));
    assert!(!following.use_now(now));
    assert!(following.is_used(now + LINGER / 2) && !following.is_used(now + LINGER * 2));
    following.leave();
    assert!(following.use_now(now));
}
