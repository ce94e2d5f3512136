//! The policy of a large house: 1,000 rules and 10,000 owned relations, and that of a small one, asked anew for every statement. It never caches a
//! verdict, as the gate does not.

use std::sync::{Arc, LazyLock};

use divan::Bencher;
use gate::policy::{Access, Glob, Owned, Owners, Ruling, Terms, Wanted, Whose};
use gate::{Group, Judgement, Need, Policy, Request, Rule};
use sql::Class;

use crate::asks;

const RULES: usize = 1_000;
const OWNED: usize = 10_000;
/// Monday, 5 January 2026, noon UTC.
const NOW_MS: i64 = 1_767_614_400_000;

fn need() -> Need {
    Need {
        group: Group::from("dba"),
        approvals: 1,
    }
}

/// A rule as such a file has them: most name a table, some a schema, a function, a person, a pattern.
fn rule(number: usize) -> Rule {
    let hold = Ruling::hold(need());
    let mut rule = Rule::new(&format!("rule {number}"), hold);
    let relation = |pattern: String| vec![pattern.parse().unwrap()];
    match number % 20 {
        0..=7 => rule.relations = relation(format!("s{}.t{number}", number % 100)),
        8..=10 => rule.relations = relation(format!("t{number}")),
        11 => rule.relations = relation(format!("s{number}.*")),
        12 => rule.relations = relation(format!("*.secret_{number}_*")),
        13 => rule.relations = relation(format!("s1.t{number}.c{number}")),
        14 | 15 => rule.functions = vec![format!("s{number}.f{number}").parse().unwrap()],
        16 => rule.functions = vec![format!("f{number}_*").parse().unwrap()],
        17 => rule.users = vec![Glob::from(&*format!("user{number}"))],
        18 => rule.groups = vec![Group::from(format!("group{number}"))],
        _ => rule.tenants = vec![Glob::from(&*format!("tenant{number}_*"))],
    }
    rule
}

fn rules() -> Vec<Rule> {
    let owners = Terms {
        needs: vec![Wanted {
            from: Whose::Owners,
            approvals: 1,
        }],
        ..Terms::default()
    };
    let mut owned = Rule::new("owners sign", Ruling::Hold(owners));
    owned.relations = vec!["app.*".parse().unwrap()];
    owned.access = Some(Access::Write);
    let last = [
        owned,
        Rule::new("writes pass", Ruling::Allow).of_classes(&[Class::Write]),
        Rule::new("reads pass", Ruling::Allow).of_classes(&[Class::Read]),
        Rule::new("settings pass", Ruling::Allow).of_classes(&[Class::Session]),
    ];
    let first = (0..RULES - last.len()).map(rule);
    first.chain(last).collect()
}

fn owned() -> Vec<Owned> {
    let line = |number: usize| Owned {
        pattern: match number {
            0 => "*".parse().unwrap(),
            1 => "app.accounts".parse().unwrap(),
            _ => format!("s{}.t{number}", number % 100).parse().unwrap(),
        },
        groups: vec![Group::from(format!("team{}", number % 50))],
    };
    (0..OWNED).map(line).collect()
}

fn built(rules: Vec<Rule>, owned: Vec<Owned>) -> Policy {
    Policy::new(rules, need()).with_owners(Owners::new(owned))
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| built(rules(), owned()));

/// A small house, as `make bench` sets it up: some write, a hundred schemas are signed for, reads pass.
static SMALL: LazyLock<Policy> = LazyLock::new(|| {
    let hold = || Ruling::hold(need());
    let mut writes = Rule::new("the app writes", Ruling::Allow).of_classes(&[Class::Write]);
    writes.users = vec![Glob::from("app")];
    writes.tenants = vec![Glob::from("acme"), Glob::from("acme_test")];
    let mut ledger = Rule::new("the ledger is signed for", hold());
    ledger.relations = vec!["public.ledger".parse().unwrap()];
    ledger.access = Some(Access::Write);
    let archive = |number: u32| {
        let mut rule = Rule::new(&format!("archive {number} is signed for"), hold());
        rule.relations = vec![format!("archive_{number}.*").parse().unwrap()];
        rule
    };
    let first = [ledger, writes].into_iter().chain((0..100).map(archive));
    let last = Rule::new("reads pass", Ruling::Allow).of_classes(&[Class::Read, Class::Session]);
    Policy::new(first.chain([last]).collect(), need())
});

/// Judges `text` over and over; `says` is the rule that decides it.
fn judge(bencher: Bencher<'_, '_>, text: &str, says: &str) {
    judge_by(&POLICY, bencher, text, says);
}

fn judge_by(policy: &Policy, bencher: Bencher<'_, '_>, text: &str, says: &str) {
    let request: Arc<Request> = asks::query(text);
    let rule = match policy.judge(&request, NOW_MS) {
        Judgement::Allow(pass) => pass.rule().to_string(),
        Judgement::Hold(hold) => hold.rule.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(rule, says);
    bencher.bench(|| policy.judge(&request, NOW_MS));
}

#[divan::bench]
fn judge_a_join(bencher: Bencher<'_, '_>) {
    let text = "SELECT o.id, lower(c.name) FROM sales.orders o JOIN sales.customers c \
                ON o.customer = c.id WHERE o.id = 17";
    judge(bencher, text, "reads pass");
}

/// Its tables may lie in each schema of the path.
#[divan::bench]
fn judge_a_join_by_the_search_path(bencher: Bencher<'_, '_>) {
    let text = "SELECT o.id, lower(c.name) FROM orders o JOIN customers c \
                ON o.customer = c.id WHERE o.id = 17";
    judge(bencher, text, "reads pass");
}

#[divan::bench]
fn judge_an_owned_update(bencher: Bencher<'_, '_>) {
    let text = "UPDATE app.accounts SET balance = balance - 1 WHERE id = 17";
    judge(bencher, text, "owners sign");
}

/// No rule says anything.
#[divan::bench]
fn judge_a_miss(bencher: Bencher<'_, '_>) {
    judge(bencher, "CREATE TABLE elsewhere.thing (id int)", "default");
}

#[divan::bench]
fn judge_what_pgbench_sends(bencher: Bencher<'_, '_>) {
    judge(bencher, &crate::texts::account(17), "reads pass");
}

#[divan::bench]
fn judge_what_pgbench_sends_in_a_small_house(bencher: Bencher<'_, '_>) {
    judge_by(&SMALL, bencher, &crate::texts::account(17), "reads pass");
}

#[divan::bench]
fn file_1_000_rules_and_10_000_owned(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| (rules(), owned()))
        .bench_local_values(|(rules, owned)| built(rules, owned));
}
