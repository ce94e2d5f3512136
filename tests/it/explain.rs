//! `portcullis explain` and `policy test`: what a policy says without a gate and without a server.

use std::fs;
use std::process::Command;

use harness::{Finished, GateDir, Program};
use serde_json::{Value, json};

/// The program; it needs nobody to log in as.
fn portcullis() -> Program {
    Program::new(Command::new(harness::portcullis_binary())).env("NO_COLOR", "1")
}

fn answers(finished: &Finished) -> Vec<Value> {
    let lines = finished.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_line_is_answered_in_its_turn() {
    let directory = GateDir::new();
    let rows = [
        r#"{"id": "read", "sql": "select a.id from public.accounts a join pg_catalog.pg_class on true"}"#,
        r#"{"id": "write", "sql": "update accounts set n = lower('X')"}"#,
        r#"{"id": "both", "sql": "select 1; drop table t", "user": "alice", "tenant": "acme"}"#,
        r#"{"id": "broken", "sql": "selec 1"}"#,
        r#"{"id": "empty", "sql": "-- nothing"}"#,
        r#"{"id": "alone", "sql": "vacuum t"}"#,
        r#"{"id": "called", "sql": "select billing.run()"}"#,
    ];
    let file = directory.write("rows", &(rows.join("\n") + "\n"));
    let file = file.to_str().unwrap();
    let said = portcullis()
        .run(&["explain", "--json", "--batch", file])
        .ok();
    let said = answers(&said);
    let ids: Vec<_> = said.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "read", "write", "both", "broken", "empty", "alone", "called"
        ]
    );
    assert_eq!(
        said[0],
        json!({
            "id": "read", "statements": 1, "verdict": "allow",
            "each": [{
                "class": "read", "relations_read": ["public.accounts", "pg_catalog.pg_class"],
                "relations_written": [], "functions": [], "in_transaction": true,
                "verdict": "allow", "rule": "reads pass",
                "why": said[0]["each"][0]["why"],
            }],
        })
    );
    assert_eq!(
        said[1]["each"][0],
        json!({
            "class": "write", "relations_read": [], "relations_written": ["accounts"],
            "functions": ["lower"], "in_transaction": true,
            "verdict": "hold", "rule": "default", "why": "writes accounts",
        })
    );
    assert_eq!(
        (&said[2]["statements"], &said[2]["verdict"]),
        (&json!(2), &json!("hold"))
    );
    assert_eq!(said[2]["each"][0]["verdict"], "allow");
    assert_eq!(said[2]["each"][1]["class"], "ddl");
    assert_eq!(
        (&said[3]["statements"], &said[3]["verdict"]),
        (&Value::Null, &json!("hold"))
    );
    assert_eq!(said[3]["each"][0]["class"], "opaque");
    assert_eq!(
        (&said[4]["statements"], &said[4]["each"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(said[5]["each"][0]["in_transaction"], false);
    let why = said[6]["each"][0]["why"].as_str().unwrap();
    assert!(why.contains("billing.run()"), "{why}");
}

/// What one major has and an older one has not is unknown there.
#[test]
fn a_text_is_judged_for_the_major_that_is_named() {
    let sql = "select array_sort(array[2, 1])";
    for (major, verdict) in [("15", "hold"), ("18", "allow")] {
        let words = ["explain", "--json", "--server-version", major, sql];
        let said = portcullis().run(&words).ok();
        assert_eq!(answers(&said)[0]["verdict"], verdict, "{major}");
    }
    let said = portcullis().run(&["explain", "--json", sql]).ok();
    assert_eq!(answers(&said)[0]["verdict"], "allow");
    portcullis()
        .run(&["explain", "--server-version", "12", sql])
        .failed(2);
}

#[test]
fn a_line_that_asks_nothing_is_named_and_the_others_are_answered() {
    let directory = GateDir::new();
    let rows = "{\"id\": \"a\", \"sql\": \"select 1\"}\n[1]\n\n{\"id\": \"b\"}\nnonsense\n\
                {\"id\": \"c\", \"sql\": \"select 2\"}";
    let file = directory.write("rows", rows);
    let said = portcullis().run(&["explain", "--batch", file.to_str().unwrap()]);
    let said = said.failed(2);
    let ids: Vec<_> = answers(&said).iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [json!("a"), json!("c")]);
    for line in ["line 2: ", "line 4: missing field `sql`", "line 5: "] {
        assert!(said.stderr.contains(line), "{said:?}");
    }
}

#[test]
fn ten_thousand_lines_come_in_order() {
    let directory = GateDir::new();
    let row = |n: usize| format!("{{\"id\": \"{n}\", \"sql\": \"select {n} from t{n}\"}}\n");
    let rows: String = (0..10_000).map(row).collect();
    let file = directory.write("rows", &rows);
    let said = portcullis()
        .run(&["explain", "--batch", file.to_str().unwrap()])
        .ok();
    let said = answers(&said);
    assert_eq!(said.len(), 10_000);
    for (n, answer) in said.iter().enumerate() {
        assert_eq!(answer["id"], n.to_string());
        assert_eq!(answer["verdict"], "allow", "{answer}");
    }
}

#[test]
fn a_person_reads_which_rule_and_why() {
    let said = portcullis()
        .run(&["explain", "select 1; update public.accounts set n = 1"])
        .ok();
    for words in [
        "allow  statement 1 of 2: select 1",
        "hold   statement 2 of 2: update public.accounts set n = 1",
        "class  write",
        "writes public.accounts",
        "rule   default",
        "why    writes public.accounts",
        "needs  1 of reviewers",
        "hold   all of it",
    ] {
        assert!(said.stdout.contains(words), "{words}\n{}", said.stdout);
    }
    let said = portcullis().run(&["explain", "--json", "select 1"]).ok();
    assert_eq!(answers(&said)[0]["verdict"], "allow");
}

/// A configuration of its own, with alice asking in a tenant that has owners.
fn configured(directory: &GateDir) -> String {
    directory.write("OWNERS", "* dba\nhr.* privacy\n");
    let policy = "[policy]\ndefault = { from = 'dba' }\nowners = 'OWNERS'\n\
                  [[rule]]\nname = 'salaries'\nrelation = 'hr.people.salary'\nverdict = 'hold'\nfrom = 'owners'\n\
                  [[rule]]\nname = 'night'\nclass = 'write'\nduring = 'daily 22:00-06:00 UTC'\nverdict = 'allow'\n\
                  [[rule]]\nname = 'reads'\nclass = 'read'\nverdict = 'allow'\n\
                  [[rule]]\nname = 'no ddl'\nuser = 'alice'\nclass = 'ddl'\nverdict = 'deny'\nmessage = 'migrate'\n";
    let users = ["alice", "bob", "carol"].map(harness::stage::user).concat();
    let config = format!(
        "listen = '127.0.0.1:0'\nstate = 'state'\n[tls]\nplaintext = true\n{users}\
         [group.dba]\nmembers = ['bob', 'carol']\n[group.privacy]\nmembers = ['bob', 'carol']\n\
         [tenant.acme]\nhost = '127.0.0.1'\nuser = 'app'\nsslmode = 'disable'\n{policy}"
    );
    let file = directory.write("gate.toml", &config);
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_configuration_says_who_signs() {
    let directory = GateDir::new();
    let config = configured(&directory);
    let alice = [
        "explain", "--config", &config, "--user", "alice", "--tenant", "acme",
    ];
    let ask = |sql: &str| portcullis().run(&[&alice[..], &[sql]].concat()).ok().stdout;
    let said = ask("select salary from hr.people");
    for words in [
        "hold",
        "rule   salaries",
        "why    reads hr.people.salary",
        "1 of privacy",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let said = ask("create table t ()");
    assert!(
        said.contains("deny") && said.contains("says   migrate"),
        "{said}"
    );
    let night = portcullis().run(
        &[
            &alice[..],
            &["--at", "2026-01-31T23:00:00Z", "delete from t"],
        ]
        .concat(),
    );
    assert!(night.ok().stdout.starts_with("allow"));
    let stranger = [
        "explain", "--config", &config, "--user", "mallory", "select 1",
    ];
    let said = portcullis().run(&stranger).failed(2);
    assert!(
        said.stderr.contains("there is no user \"mallory\""),
        "{said:?}"
    );
}

#[test]
fn expectations_are_tried_in_ci() {
    let directory = GateDir::new();
    let config = configured(&directory);
    let good = "[[case]]\nuser = 'alice'\ntenant = 'acme'\nsql = 'select 1 from t'\nexpect = 'allow'\n\
                [[case]]\nuser = 'alice'\nsql = 'select * from hr.people'\nexpect = 'hold'\nrule = 'salaries'\n\
                from = 'privacy'\n\
                [[case]]\nuser = 'alice'\nsql = 'drop table t'\nexpect = 'deny'\nrule = 'no ddl'\n\
                [[case]]\nsql = 'delete from t'\nat = '2026-01-31T12:00:00Z'\nexpect = 'hold'\n";
    let table = directory.write("good.toml", good);
    let run = |table: &str| portcullis().run(&["policy", "test", table, "--config", &config]);
    let said = run(table.to_str().unwrap()).ok();
    assert!(said.stdout.ends_with("good.toml: 4 cases"), "{said:?}");

    let bad = good.replace("rule = 'no ddl'", "rule = 'reads'") + "name = 'late'\n";
    let bad = bad.replace("12:00:00Z'\nexpect", "23:00:00Z'\nexpect");
    let table = directory.write("bad.toml", &bad);
    let said = run(table.to_str().unwrap()).failed(1);
    for words in [
        "deny by \"reads\"",
        "deny by \"no ddl\"",
        "late",
        "(2 rows)",
        "bad.toml: 2 of 4 cases failed",
    ] {
        assert!(said.stdout.contains(words), "{words}\n{}", said.stdout);
    }
    fs::write(directory.file("bad.toml"), "[[case]]\nsql = 1\n").unwrap();
    let said = run(table.to_str().unwrap()).failed(2);
    assert!(said.stderr.contains("bad.toml"), "{said:?}");
}
