//! A few hundred seeds of `make sim` (hazards R79, R80): whatever dies or comes late, nothing runs twice and nothing is lost; a
//! seed is the same each time; and a store that spends a ticket twice is found.

use std::process::Command;

use harness::Program;
use harness::sim;

#[test]
fn whatever_dies_or_comes_late_nothing_runs_twice_and_nothing_is_lost() {
    let (mut crashes, mut in_doubt) = (0, 0);
    for seed in 1..=300 {
        let came = sim::run(seed);
        let history = || came.history.join("\n");
        assert_eq!(came.faults, [], "make sim SEED={seed}\n{}", history());
        crashes += came.crashes;
        in_doubt += came.in_doubt;
    }
    // Otherwise nothing was tried.
    assert!(crashes > 100 && in_doubt > 20, "{crashes}, {in_doubt}");
}

#[test]
fn a_seed_is_the_same_history_each_time() {
    let mut lines = 0;
    for seed in 1..=20 {
        let (one, other) = (sim::run(seed), sim::run(seed));
        lines += one.history.len();
        let differ = one
            .history
            .iter()
            .zip(&other.history)
            .find(|it| it.0 != it.1);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
    }
    assert!(lines > 2000, "{lines}");
}

#[test]
fn a_store_that_spends_a_ticket_twice_is_found() {
    let sim = || Program::new(Command::new(harness::sim_binary()));
    let found = sim().env("PORTCULLIS_BREAK", "double-claim").run(&[]);
    assert_eq!(found.code, 1, "{}", found.stdout);
    let named = |it: &&str| it.starts_with("FAULT in seed") && it.contains("duplicate: ");
    assert!(
        found.stdout.lines().any(|it| named(&it)),
        "{}",
        found.stdout
    );
    let line = found
        .stdout
        .lines()
        .find_map(|it| it.strip_prefix("to see it again: make sim SEED="));
    let seed = line.unwrap().trim_end_matches(" BREAK=double-claim");
    let again = sim()
        .env("PORTCULLIS_BREAK", "double-claim")
        .env("SEED", seed)
        .run(&[]);
    let history = |text: &str| {
        text.lines()
            .filter(|it| !it.contains("seeds, "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(history(&again.stdout), history(&found.stdout));
    let sound = sim().env("SEED", seed).run(&[]);
    assert_eq!(sound.code, 0, "{}", sound.stdout);
}
