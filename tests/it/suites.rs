//! The suites of `tests/clients/` whose clients are on the machine, or are there in seconds: through a
//! gate that lets everything pass, and held. `make clients` runs all the others, too, and straight.

use std::env;
use std::io::Write;
use std::path::Path;

use harness::clients::{self, Options, Pooling, Suite, Way};

/// Runs a suite these ways. A client that cannot be had is told on stderr, and is no failure.
#[track_caller]
fn passes(name: &str, ways: &[Way]) {
    // target/debug/deps/it-0123
    let test = env::current_exe().unwrap();
    let cache = test.ancestors().nth(3).unwrap().join("clients");
    let logs = tempfile::tempdir().unwrap();
    let options = Options {
        cache,
        logs: logs.path().to_path_buf(),
        program: Path::new(env!("CARGO_BIN_EXE_clients")).to_path_buf(),
    };
    let suite = Suite::named(&[name]).remove(0);
    let settings: Vec<_> = ways
        .iter()
        .map(|way| way.with(&Pooling::default()))
        .collect();
    let report = clients::run(&suite, &settings, &options, &|_| {});
    if let Some(why) = &report.skipped {
        // Not by println, which is silent in a test that passes.
        let said = format!("skipped: {name}: {why}\n");
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        return;
    }
    let failures = report.failures();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn psql_works() {
    passes("psql", &[Way::Through, Way::Held]);
}

/// Held only: its thousands of transactions take more seconds than all else here.
#[test]
fn pgbench_works() {
    passes("pgbench", &[Way::Held]);
}

#[test]
fn psycopg_works() {
    passes("psycopg3", &[Way::Through, Way::Held]);
}
