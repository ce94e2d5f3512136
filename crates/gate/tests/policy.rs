//! What rules make of requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{Asks, NOW_MS, bind, need, rule};
use gate::policy::{Ruling, glob};
use gate::work::Values;
use gate::{Group, Judgement, Need, Policy, Step, Work};
use proptest::prelude::*;
use sql::Class;

/// The judgement in a few words.
fn judged(policy: &Policy, asks: &Asks) -> String {
    match policy.judge(&asks.request(), NOW_MS) {
        Judgement::Allow(pass) if pass.fenced() => format!("allow {} fenced", pass.rule()),
        Judgement::Allow(pass) => format!("allow {}", pass.rule()),
        Judgement::Deny(denial) => format!("deny {}: {}", denial.rule, denial.message),
        Judgement::Apart(apart) => format!("{apart:?}"),
        Judgement::Hold(hold) => {
            let each = |need: &Need| format!("{}x{}", need.approvals, need.group);
            let needs: Vec<String> = hold.needs.iter().map(each).collect();
            format!("hold {} {} ({})", hold.rule, needs.join("+"), hold.why)
        }
    }
}

fn policy() -> Policy {
    let rules = vec![
        rule("ops write", &[Class::Write], Ruling::Allow).of_group("ops"),
        rule("reads", &[Class::Read], Ruling::Allow),
        rule("no admin", &[Class::Admin], Ruling::Deny("never".into())),
        rule("writes", &[Class::Write], Ruling::hold(need("owners", 2))),
        rule("writes again", &[Class::Write], Ruling::Allow),
    ];
    Policy::new(rules.into_iter().map(|it| it.0).collect(), need("dba", 1))
}

#[test]
fn the_first_rule_that_matches_a_statement_decides_it() {
    let of = |text: &str| judged(&policy(), &Asks::query(text));
    assert_eq!(of("SELECT 1"), "allow reads fenced");
    assert_eq!(
        of("INSERT INTO t VALUES (1)"),
        "hold writes 2xowners (writes t)"
    );
    assert_eq!(of("ALTER SYSTEM SET x = 1"), "deny no admin: never");
    let ops = Asks::query("INSERT INTO t VALUES (1)").in_group("ops");
    assert_eq!(judged(&policy(), &ops), "allow ops write");
}

#[test]
fn where_no_rule_matches_the_default_holds() {
    let of = judged(&policy(), &Asks::query("CREATE TABLE t ()"));
    assert!(of.starts_with("hold default 1xdba"), "{of}");
    let of = judged(
        &Policy::new(Vec::new(), need("dba", 3)),
        &Asks::query("SELECT 1"),
    );
    assert!(of.starts_with("hold default 3xdba"), "{of}");
}

#[test]
fn the_strictest_statement_wins_and_approvals_add_up() {
    let two = Asks::batch(&["INSERT INTO t VALUES (1)", "CREATE TABLE t ()", "SELECT 1"]);
    let of = judged(&policy(), &two);
    let why = "statement 1 of 3: writes t; statement 2 of 3: creates a table: t (rule \"default\")";
    assert_eq!(of, format!("hold writes 1xdba+2xowners ({why})"));
    let denied = Asks::batch(&["INSERT INTO t VALUES (1)", "ALTER SYSTEM SET x = 1"]);
    assert_eq!(judged(&policy(), &denied), "deny no admin: never");
}

#[test]
fn several_statements_in_one_string_are_read_by_people_unless_anything_may_pass() {
    let several = Asks::query("INSERT INTO t VALUES (1); SELECT 1").in_group("ops");
    assert_eq!(
        judged(&policy(), &several),
        "hold default 1xdba (several statements in one query string)"
    );
    assert_eq!(judged(&Policy::allow_all(), &several), "allow allow all");
    assert_eq!(
        judged(&Policy::allow_all(), &Asks::query("SELECT")),
        "allow allow all"
    );
}

/// Reads, and transaction control in front of one statement, lose nothing by being asked for one by
/// one. What ends a transaction, and what would not be in one with its neighbours, stays together.
#[test]
fn what_can_be_taken_apart() {
    for (text, expected) in [
        ("SELECT 1; SELECT 2", "Query(8)"),
        ("BEGIN;SELECT 1", "Query(5)"),
        ("begin ; INSERT INTO t VALUES (1)", "Query(6)"),
        ("SAVEPOINT s;INSERT INTO t VALUES (1)", "Query(11)"),
        ("SELECT 1; COMMIT", "Query(8)"),
    ] {
        assert_eq!(judged(&policy(), &Asks::query(text)), expected, "{text}");
    }
    for text in [
        "BEGIN; INSERT INTO t VALUES (1); COMMIT",
        "INSERT INTO t VALUES (1); SELECT 1",
        "COMMIT; INSERT INTO t VALUES (1)",
        "BEGIN; SELEC",
    ] {
        let judged = judged(&policy(), &Asks::query(text));
        assert!(judged.starts_with("hold"), "{text}: {judged}");
    }
    // What is behind a part is read again with each, so there is an end to it.
    let long = "SELECT 1;".repeat(21);
    assert!(judged(&policy(), &Asks::query(&long)).starts_with("hold"));
    let execute = || Step::Execute {
        portal: "".into(),
        max_rows: 0,
    };
    let savepoint = || bind("", "SAVEPOINT s", &[], Values::default());
    let read = || bind("", "SELECT 1", &[], Values::default());
    let batch = |steps: Vec<Step>| judged(&policy(), &Asks::work(Work::Batch(steps)));
    let in_front = vec![savepoint(), execute(), read(), execute()];
    assert_eq!(batch(in_front), "Batch(2)");
    let behind = vec![read(), execute(), savepoint(), execute()];
    assert!(batch(behind).starts_with("hold"));
}

/// Hazards R78: transaction control passes, and never in a fence, which it would end.
#[test]
fn transaction_control_passes_unfenced() {
    for text in [
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "ROLLBACK TO a",
        "RELEASE a",
    ] {
        assert_eq!(
            judged(&policy(), &Asks::query(text)),
            "allow transaction control",
            "{text}"
        );
    }
    // A fence cannot go around both a read and the COMMIT behind it.
    assert_eq!(
        judged(&policy(), &Asks::batch(&["SELECT 1", "COMMIT"])),
        "hold default 1xdba (a read beside what no fence can go around)"
    );
    // What is allowed to write needs no fence.
    let ops = Asks::batch(&["INSERT INTO t VALUES (1)", "COMMIT"]).in_group("ops");
    assert_eq!(judged(&policy(), &ops), "allow ops write");
    // Two-phase commit is no transaction control.
    let two_phase = Asks::query("PREPARE TRANSACTION 'x'");
    assert_eq!(judged(&policy(), &two_phase), "deny no admin: never");
}

#[test]
fn an_empty_text_passes() {
    let of = judged(&policy(), &Asks::query("-- ping"));
    assert!(of.starts_with("allow"), "{of}");
}

/// Principle 2: whatever reads unsigned stands in a fence, also as a COPY, and what cannot stand in
/// one with it makes the whole batch wait.
#[test]
fn no_read_is_without_its_fence() {
    let harmless = [Class::Read, Class::Session, Class::CopyOut];
    let rules = vec![
        rule("harmless", &harmless, Ruling::Allow).0,
        rule("writes", &[Class::Write], Ruling::Allow).0,
    ];
    let policy = Policy::new(rules, need("dba", 1));
    let of = |texts: &[&str]| judged(&policy, &Asks::batch(texts));
    assert_eq!(of(&["COPY t TO STDOUT"]), "allow harmless fenced");
    assert_eq!(of(&["SET TimeZone = 'UTC'"]), "allow harmless");
    let waits = "hold default 1xdba (a read beside what no fence can go around)";
    assert_eq!(of(&["INSERT INTO t VALUES (1)", "SELECT 1"]), waits);
    assert_eq!(of(&["SET TimeZone = 'UTC'", "SELECT 1"]), waits);
}

#[test]
fn a_rule_says_for_whom_and_where_it_is() {
    let rules = vec![
        rule("theirs", &[], Ruling::Allow).of_user("bob").0,
        rule("there", &[], Ruling::Allow).of_tenant("test_*").0,
    ];
    let policy = Policy::new(rules, need("dba", 1));
    let asks = || Asks::query("INSERT INTO t VALUES (1)");
    assert!(judged(&policy, &asks()).starts_with("hold default"));
    assert_eq!(judged(&policy, &asks().by("bob")), "allow theirs");
    assert_eq!(judged(&policy, &asks().at("test_7")), "allow there");
}

proptest! {
    #[test]
    fn a_pattern_made_from_a_name_fits_it(name in "[a-zä]{0,12}", from in 0..12usize, to in 0..12usize) {
        let cut = |at: usize| name.char_indices().nth(at).map_or(name.len(), |it| it.0);
        let (from, to) = (cut(from.min(to)), cut(from.max(to)));
        let pattern = format!("{}*{}", &name[..from], &name[to..]);
        prop_assert!(glob(&pattern, &name));
    }

    /// Adding a rule behind changes nothing for what an earlier rule decides; and no order of two
    /// holds and a denial lets anything pass.
    #[test]
    fn a_denied_statement_denies_the_batch(at in 0..3usize) {
        let mut texts = vec!["SELECT 1", "INSERT INTO t VALUES (1)"];
        texts.insert(at.min(2), "ALTER SYSTEM SET x = 1");
        let judgement = policy().judge(&Asks::batch(&texts).request(), NOW_MS);
        prop_assert!(matches!(judgement, Judgement::Deny(_)));
    }
}

#[test]
fn a_hold_names_its_request() {
    let request = Asks::query("INSERT INTO t VALUES (1)").request();
    let Judgement::Hold(hold) = policy().judge(&request, NOW_MS) else {
        panic!("it waits");
    };
    assert!(Arc::ptr_eq(&hold.request, &request));
    assert_eq!(hold.needs, [need("owners", 2)]);
    assert_eq!(Group::from("owners"), hold.needs[0].group);
}
