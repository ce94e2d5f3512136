//! Facet by facet: what rules that name relations, functions, hours and places make of statements.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Asks, NOW_MS, Ruled, need, rule};
use gate::policy::{Access, Owned, Owners, Ruling, Terms, Verdict, Wanted, Whose};
use gate::{Group, Judgement, Policy};
use sql::Class;

const READ: &[Class] = &[Class::Read];
const HOUR_MS: i64 = 3_600_000;

fn policy(rules: Vec<Ruled>) -> Policy {
    let rules = rules.into_iter().map(|it| it.0).collect();
    Policy::new(rules, need("dba", 1))
}

fn allow(name: &str, classes: &[Class]) -> Ruled {
    rule(name, classes, Ruling::Allow)
}

fn hold(name: &str, group: &str) -> Ruled {
    rule(name, &[], Ruling::hold(need(group, 1)))
}

fn deny(name: &str) -> Ruled {
    rule(name, &[], Ruling::Deny("no".into()))
}

/// The judgement in a few words.
fn judged(policy: &Policy, asks: &Asks) -> String {
    judged_at(policy, asks, NOW_MS)
}

fn judged_at(policy: &Policy, asks: &Asks, now_ms: i64) -> String {
    match policy.judge(&asks.request(), now_ms) {
        Judgement::Allow(pass) => format!("allow {}", pass.rule()),
        Judgement::Deny(denial) => format!("deny {} ({})", denial.rule, denial.why),
        Judgement::Apart(apart) => format!("{apart:?}"),
        Judgement::Hold(hold) => {
            let needs = hold.needs.iter();
            let needs: Vec<_> = needs
                .map(|it| format!("{}x{}", it.approvals, it.group))
                .collect();
            format!("hold {} {} ({})", hold.rule, needs.join("+"), hold.why)
        }
    }
}

fn of(policy: &Policy, text: &str) -> String {
    judged(policy, &Asks::query(text))
}

#[test]
fn a_rule_that_names_relations_decides_only_those() {
    let policy = policy(vec![
        hold("salaries", "hr")
            .of_relation("hr.people")
            .with(Access::Read),
        deny("ledger").of_relation("ledger").with(Access::Write),
        allow("reads", READ),
        allow("writes", &[Class::Write]),
    ]);
    assert_eq!(of(&policy, "SELECT 1 FROM public.t"), "allow reads");
    assert_eq!(
        of(&policy, "SELECT * FROM hr.people"),
        "hold salaries 1xhr (reads hr.people)"
    );
    assert_eq!(
        of(&policy, "UPDATE ledger SET a = 1"),
        "deny ledger (writes ledger)"
    );
    assert_eq!(of(&policy, "SELECT * FROM ledger"), "allow reads");
    // Writing the one and reading the other: each is decided by itself.
    assert_eq!(
        of(&policy, "INSERT INTO t SELECT * FROM hr.people"),
        "hold salaries 1xhr (reads hr.people)"
    );
    // The class is still the default's, whatever is allowed of the relations.
    let narrow = self::policy(vec![allow("t", &[]).of_relation("t")]);
    assert_eq!(
        of(&narrow, "SELECT 1 FROM t"),
        "hold default 1xdba (reads t)"
    );
}

#[test]
fn the_strictest_relation_wins_and_the_approvals_are_their_union() {
    let policy = policy(vec![
        hold("money", "finance").of_relation("public.accounts"),
        hold("people", "hr").of_relation("hr.*"),
        deny("keys").of_relation("*.keys"),
        allow("reads", READ),
    ]);
    let both = "SELECT 1 FROM accounts JOIN hr.people USING (id)";
    assert_eq!(
        of(&policy, both),
        "hold money 1xfinance+1xhr (reads public.accounts; reads hr.people (rule \"people\"))"
    );
    let denied = "SELECT 1 FROM accounts, hr.people, vault.keys";
    assert_eq!(of(&policy, denied), "deny keys (reads vault.keys)");
}

#[test]
fn a_column_counts_with_its_relation() {
    let policy = policy(vec![
        hold("personal", "privacy").of_relation("hr.people.salary"),
        allow("reads", READ),
    ]);
    assert_eq!(
        of(&policy, "SELECT salary FROM hr.people"),
        "hold personal 1xprivacy (reads hr.people.salary)"
    );
    assert!(of(&policy, "SELECT * FROM hr.people").starts_with("hold personal"));
    assert_eq!(of(&policy, "SELECT salary FROM hr.jobs"), "allow reads");
    // That a statement touches nothing else is never known.
    let allows = self::policy(vec![
        allow("names", &[]).of_relation("hr.people.name"),
        hold("people", "hr").of_relation("hr.people"),
        allow("reads", READ),
    ]);
    assert!(of(&allows, "SELECT name FROM hr.people").starts_with("hold people"));
}

#[test]
fn an_unqualified_name_may_lie_in_any_schema_of_the_path() {
    let policy = policy(vec![
        deny("secret").of_relation("secret.*"),
        allow("app", &[]).of_relation("app.*"),
        allow("system", &[]).of_relation("pg_catalog.pg_class"),
        hold("others", "dba").of_relation("*"),
        allow("reads", READ),
    ]);
    let path =
        |path: &str, text: &str| judged(&policy, &Asks::query(text).set("search_path", path));
    assert_eq!(path("app", "SELECT 1 FROM t"), "allow reads");
    assert!(path("app, public", "SELECT 1 FROM t").starts_with("hold others"));
    assert_eq!(
        path("app, \"secret\"", "SELECT 1 FROM t"),
        "deny secret (reads secret.t)"
    );
    assert_eq!(path("app, secret", "SELECT 1 FROM app.t"), "allow reads");
    // `$user` is the upstream role; a path that cannot be read may lead anywhere.
    assert!(path("\"$user\"", "SELECT 1 FROM t").starts_with("hold others"));
    assert_eq!(path("app,", "SELECT 1 FROM t"), "deny secret (reads t)");
    // The catalog comes first, for what may be in it.
    assert!(path("app", "SELECT 1 FROM pg_class").starts_with("hold others"));
    assert_eq!(path("", "SELECT 1 FROM pg_class"), "allow reads");
    assert!(path("", "SELECT 1 FROM t").starts_with("hold others"));
    // What a session did that only its server knows may have changed it, and so may a batch.
    let mut asks = Asks::query("SELECT 1 FROM t").set("search_path", "app");
    asks.context.state = Some(gate::Digest::of(b"something"));
    assert_eq!(judged(&policy, &asks), "deny secret (reads t)");
    let batch = Asks::batch(&["SET search_path = x", "SELECT 1 FROM t"]);
    let said = judged(&policy, &batch.set("search_path", "app"));
    assert_eq!(said, "deny secret (statement 2 of 2: reads t)");
}

#[test]
fn functions_are_facets_too() {
    let policy = policy(vec![
        deny("no clocks").of_function("pg_catalog.now"),
        hold("billing", "finance").of_function("billing.*"),
        allow("reads", READ),
        allow("calls", &[Class::Opaque]),
    ]);
    assert_eq!(of(&policy, "SELECT now()"), "deny no clocks (calls now())");
    assert_eq!(of(&policy, "SELECT lower('X')"), "allow reads");
    assert_eq!(
        of(&policy, "SELECT billing.run()"),
        "hold billing 1xfinance (calls billing.run())"
    );
    // Who may run anything may still not call what a rule before it denies.
    assert_eq!(of(&policy, "SELECT other.run()"), "allow calls");
}

#[test]
fn hours_addresses_and_sizes() {
    let mut hours = allow("office", &[Class::Write]);
    hours
        .0
        .during
        .push("mon-fri 08:00-18:00 UTC".parse().unwrap());
    let mut inside = allow("inside", READ);
    inside.0.addresses.push("10.0.0.0/8".parse().unwrap());
    let mut large = deny("large");
    large.0.larger_than = Some(100);
    let policy = policy(vec![large, hours, inside]);
    let write = Asks::query("INSERT INTO t VALUES (1)");
    assert_eq!(judged(&policy, &write), "allow office");
    assert!(judged_at(&policy, &write, NOW_MS + 6 * HOUR_MS).starts_with("hold default"));
    let read = || Asks::query("SELECT 1");
    for (client, said) in [
        ("10.1.2.3:5000", "allow inside"),
        ("10.1.2.3", "allow inside"),
        ("[::ffff:10.1.2.3]:5000", "allow inside"),
        ("11.1.2.3:5000", "hold default"),
        ("[::1]:5000", "hold default"),
        // Nobody knows from where: that allows nothing.
        ("somewhere", "hold default"),
    ] {
        let found = judged(&policy, &read().from(client));
        assert!(found.starts_with(said), "{client}: {found}");
    }
    let long = format!("SELECT '{}'", "x".repeat(100));
    assert!(of(&policy, &long).starts_with("deny large"));
    let mut outside = deny("outside");
    outside.0.addresses.push("0.0.0.0/0".parse().unwrap());
    let denies = self::policy(vec![outside, allow("reads", READ)]);
    assert!(judged(&denies, &read().from("somewhere")).starts_with("deny outside"));
    assert_eq!(
        judged(&denies, &read().from("[2001:db8::1]:9")),
        "allow reads"
    );
}

fn by_owners(approvals: u32, also: Option<(&str, u32)>) -> Ruling {
    let mut needs = vec![Wanted {
        from: Whose::Owners,
        approvals,
    }];
    needs.extend(also.map(|(group, approvals)| Wanted {
        from: Whose::Group(Group::from(group)),
        approvals,
    }));
    Ruling::Hold(Terms {
        needs,
        ..Terms::default()
    })
}

fn owners(lines: &[(&str, &[&str])]) -> Owners {
    let line = |(pattern, groups): &(&str, &[&str])| Owned {
        pattern: pattern.parse().unwrap(),
        groups: groups.iter().map(|it| Group::from(*it)).collect(),
    };
    Owners::new(lines.iter().map(line).collect())
}

#[test]
fn the_owners_of_every_relation_sign() {
    let owners = owners(&[
        ("*", &["dba"]),
        ("public.*", &["platform"]),
        ("public.accounts", &["finance", "security"]),
        ("hr.*", &["hr"]),
        ("hr.public_*", &[]),
        ("*.keys", &["security"]),
    ]);
    let rules = vec![
        rule("writes", &[Class::Write], by_owners(1, None)),
        rule("exports", &[Class::CopyOut], by_owners(2, Some(("dba", 3)))),
    ];
    let policy = policy(rules).with_owners(owners);
    let needs = |text: &str| {
        let said = of(&policy, text);
        said.split(' ').nth(2).unwrap_or_default().to_owned()
    };
    // The last line that fits counts, whole.
    assert_eq!(needs("UPDATE public.t SET a = 1"), "1xplatform");
    assert_eq!(
        needs("UPDATE public.accounts SET a = 1"),
        "1xfinance+1xsecurity"
    );
    assert_eq!(needs("UPDATE public.keys SET a = 1"), "1xsecurity");
    assert_eq!(needs("UPDATE other.t SET a = 1"), "1xdba");
    // A line without a group takes back; what nobody owns is the default's.
    assert_eq!(needs("UPDATE hr.public_jobs SET a = 1"), "1xdba");
    // Every relation of the statement, read or written.
    assert_eq!(
        needs("UPDATE hr.people SET a = 1 FROM public.accounts"),
        "1xfinance+1xhr+1xsecurity"
    );
    // Several groups, and of each the largest number.
    assert_eq!(needs("COPY hr.people TO STDOUT"), "3xdba+2xhr");
    assert_eq!(needs("COPY other.t TO STDOUT"), "3xdba");
    // A name without a schema is everybody's whose it may be.
    assert_eq!(
        needs("UPDATE accounts SET a = 1"),
        "1xdba+1xfinance+1xsecurity"
    );
}

#[test]
fn each_statement_says_why_it_waits() {
    let policy = policy(vec![
        hold("money", "finance").of_relation("public.accounts"),
        allow("all", &[Class::Read, Class::Write]),
    ]);
    let batch = [
        "UPDATE public.accounts SET a = 1",
        "UPDATE t SET a = 1",
        "UPDATE public.accounts SET a = 2",
        "UPDATE public.accounts SET a = 3",
        "CREATE TABLE x ()",
    ];
    let said = judged(&policy, &Asks::batch(&batch));
    let why = "statements 1, 3-4 of 5: writes public.accounts; statement 5 of 5: ";
    assert!(
        said.starts_with(&format!("hold money 1xdba+1xfinance ({why}")),
        "{said}"
    );
    assert!(said.ends_with("(rule \"default\"))"), "{said}");
    let each = policy.explain(&Asks::batch(&batch).request(), NOW_MS);
    let verdicts: Vec<_> = each
        .iter()
        .map(|it| (it.verdict, &*it.rule, &*it.why))
        .collect();
    assert_eq!(
        verdicts[0],
        (Verdict::Hold, "money", "writes public.accounts")
    );
    assert_eq!(verdicts[1], (Verdict::Allow, "all", "writes t"));
    assert_eq!(verdicts[4].1, "default");
}

#[test]
fn the_shortest_times_count() {
    let within = |name: &str, relation: &str, decide: u64, used: u64| {
        let terms = Terms {
            decide_within: Some(std::time::Duration::from_secs(decide)),
            use_within: Some(std::time::Duration::from_secs(used)),
            ..need("dba", 1).into()
        };
        rule(name, &[], Ruling::Hold(terms)).of_relation(relation)
    };
    let policy = policy(vec![
        within("a", "a", 10, 200),
        within("b", "b", 20, 100),
        allow("reads", READ),
    ]);
    let Judgement::Hold(hold) = policy.judge(&Asks::query("SELECT 1 FROM a, b").request(), NOW_MS)
    else {
        panic!("it waits");
    };
    let seconds = |it: Option<std::time::Duration>| it.unwrap().as_secs();
    assert_eq!(
        (seconds(hold.decide_within), seconds(hold.use_within)),
        (10, 100)
    );
}

#[test]
fn what_only_observes_says_so_and_passes() {
    let rules = || {
        vec![
            hold("people", "hr").of_relation("hr.people"),
            deny("ledger").of_relation("ledger"),
            allow("reads", READ),
        ]
    };
    let policy = policy(rules()).observing(true);
    let pass = |text: &str| match policy.judge(&Asks::query(text).request(), NOW_MS) {
        Judgement::Allow(pass) => pass,
        other => panic!("{text}: {other:?}"),
    };
    // A read stands in its fence, held or not; a write cannot.
    let read = pass("SELECT * FROM hr.people");
    assert!(read.fenced());
    assert_eq!(&**read.rule(), "observe");
    let observed = read.observed().unwrap();
    assert_eq!(
        (&*observed.rule, &*observed.why),
        ("people", "reads hr.people")
    );
    assert_eq!(observed.needs, [need("hr", 1)]);
    let write = pass("UPDATE t SET a = 1");
    assert!(!write.fenced() && write.observed().is_some());
    let several = pass("UPDATE t SET a = 1; SELECT 1");
    assert!(!several.fenced() && several.observed().is_some());
    let free = pass("SELECT 1");
    assert!(free.fenced() && free.observed().is_none());
    assert_eq!(&**free.rule(), "reads");
    // Denials stay, and so does what is better asked one by one.
    assert!(of(&policy, "UPDATE ledger SET a = 1").starts_with("deny ledger"));
    assert_eq!(of(&policy, "SELECT 1; SELECT * FROM hr.people"), "Query(8)");
}

#[test]
fn the_built_in_policy_lets_reads_and_settings_pass() {
    let policy = Policy::built_in(Group::from("reviewers"));
    for (text, said) in [
        ("SELECT 1 FROM t", "allow reads pass"),
        (
            "SELECT relname FROM pg_catalog.pg_class",
            "allow reads pass",
        ),
        ("SET TimeZone = 'UTC'", "allow harmless settings pass"),
        ("BEGIN", "allow transaction control"),
        ("COPY t TO STDOUT", "hold default 1xreviewers"),
        ("UPDATE t SET a = 1", "hold default 1xreviewers"),
        ("SELEC", "hold default 1xreviewers"),
        ("DROP TABLE t", "hold default 1xreviewers"),
    ] {
        let found = of(&policy, text);
        assert!(found.starts_with(said), "{text}: {found}");
    }
}

/// The filing is only a shortcut: the first rule in the order of the file decides, however it is filed.
#[test]
fn the_order_of_rules_is_the_order_of_the_file() {
    let names = ["people", "hr.people", "*.people", "hr.*", "*"];
    for first in names {
        for second in names {
            let policy = policy(vec![
                hold("first", "one").of_relation(first),
                hold("second", "two").of_relation(second),
                allow("reads", READ),
            ]);
            let said = of(&policy, "SELECT 1 FROM hr.people");
            assert_eq!(
                said, "hold first 1xone (reads hr.people)",
                "{first} {second}"
            );
        }
    }
    let broad: [fn(Ruled) -> Ruled; 4] = [
        |it| it,
        |it| it.of_tenant("acme"),
        |it| it.of_user("alice"),
        |it| it.of_group("devs"),
    ];
    for first in broad {
        for second in broad {
            let policy = policy(vec![
                first(allow("first", READ)),
                second(allow("second", READ)),
                hold("late", "one").of_relation("t"),
            ]);
            assert_eq!(of(&policy, "SELECT 1 FROM t"), "allow first");
        }
    }
}
