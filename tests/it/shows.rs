//! What operators read on the console: figures, tenants and keys, in pgbouncer's columns where they mean the same.

use std::collections::BTreeMap;

use harness::raw::{self, Raw};
use harness::stage::{Stage, eventually, held_raw};

type Row = BTreeMap<String, Option<String>>;

/// The answer of the console, by column.
#[track_caller]
fn show(stage: &Stage, command: &str) -> Vec<Row> {
    let answer = Raw::login(&stage.console("carol")).query(command);
    let columns = answer[0].text();
    assert_eq!(answer[0].tag, b'T', "{command}: {}", answer[0].describe());
    let names: Vec<String> = names(&answer[0].body);
    assert!(!columns.is_empty() || !names.is_empty());
    let rows = answer.iter().filter(|it| it.tag == b'D');
    rows.map(|row| names.iter().cloned().zip(row.columns()).collect())
        .collect()
}

/// The names in a RowDescription.
fn names(mut body: &[u8]) -> Vec<String> {
    body = &body[2..];
    let mut names = Vec::new();
    while !body.is_empty() {
        let end = body.iter().position(|it| *it == 0).unwrap();
        names.push(String::from_utf8_lossy(&body[..end]).into_owned());
        body = &body[end + 1 + 18..];
    }
    names
}

#[track_caller]
fn number(row: &Row, column: &str) -> u64 {
    let value = row.get(column).unwrap_or_else(|| panic!("no {column}"));
    value.as_ref().unwrap().parse().unwrap()
}

#[track_caller]
fn stats(stage: &Stage) -> Row {
    let mut rows = show(stage, "SHOW STATS");
    rows.retain(|row| row["database"].as_deref() == Some(stage.database.name.as_str()));
    rows.pop().expect("no figures of the tenant")
}

#[test]
fn what_goes_up_is_counted_as_pgbouncer_does() {
    let stage = Stage::with(|setup| {
        setup.more = "[admin]\nstats_period = '1 s'\n".to_owned();
    });
    let mut alice = stage.raw("alice");
    let sent: usize = (0..3)
        .map(|_| {
            alice.query("select note from t");
            raw::query("select note from t").len()
        })
        .sum();
    let it = stats(&stage);
    assert_eq!(number(&it, "total_xact_count"), 3);
    assert_eq!(number(&it, "total_query_count"), 3);
    assert_eq!(number(&it, "total_server_assignment_count"), 3);
    assert_eq!(number(&it, "total_received"), sent as u64);
    assert_eq!(number(&it, "total_client_login_count"), 1);
    // One transaction, of as many requests as go up in it.
    let slow = "select count(*) from generate_series(1, 2000000)";
    for sql in ["begin", "select 1", slow] {
        alice.query(sql);
    }
    assert_eq!(number(&stats(&stage), "total_xact_count"), 3, "it goes on");
    alice.query("commit");
    let it = stats(&stage);
    assert_eq!(number(&it, "total_xact_count"), 4);
    assert_eq!(number(&it, "total_server_assignment_count"), 4);
    let (queries, transactions) = (
        number(&it, "total_query_time"),
        number(&it, "total_xact_time"),
    );
    assert!(queries >= 20_000, "{queries}");
    assert!(transactions >= queries, "{transactions} < {queries}");
    assert!(transactions < 60_000_000, "{transactions}");
    // What does not go up is no query.
    let before = number(&it, "total_query_count");
    alice.query("create table u ()");
    let mut waiting = stage.raw("alice");
    waiting.send(&raw::query("delete from t where id = 1"));
    let ticket = held_raw(&mut waiting);
    let it = stats(&stage);
    assert_eq!(number(&it, "total_query_count"), before);
    assert_eq!(
        (number(&it, "total_denied"), number(&it, "total_held")),
        (1, 1)
    );
    stage.approve(&ticket);
    waiting.frames_until(b'Z');
    let it = stats(&stage);
    assert_eq!(number(&it, "total_signed"), 1);
    assert_eq!(number(&it, "total_query_count"), before + 1);
    // Averages are of whole periods: a second here, in which something came.
    eventually("there is an average", || {
        alice.query("select repeat('x', 100000)");
        let it = stats(&stage);
        number(&it, "avg_sent") > 1000 && number(&it, "avg_query_time") > 0
    });
}

/// What waits for a connection is what pgbouncer counts as waiting.
#[test]
fn a_wait_for_a_connection_is_counted() {
    let stage = Stage::with(|setup| {
        setup.tenant = "pool_size = 1\n".to_owned();
        setup.rules = "[[rule]]\nname = 'all'\nverdict = 'allow'\n".to_owned();
    });
    let mut first = stage.raw("alice");
    first.query("begin");
    first.query("update t set note = 'x' where id = 1");
    let before = number(&stats(&stage), "total_wait_time");
    let mut second = stage.raw("alice");
    second.send(&raw::query("update t set note = 'y' where id = 2"));
    eventually("it waits", || {
        let sessions = show(&stage, "SHOW SESSIONS");
        let waits = |it: &Row| it["state"].as_deref() == Some("waiting");
        sessions.iter().any(waits)
    });
    first.query("select pg_sleep(0.1)");
    first.query("commit");
    second.frames_until(b'Z');
    let waited = number(&stats(&stage), "total_wait_time") - before;
    assert!((100_000..60_000_000).contains(&waited), "{waited}");
}

#[test]
fn tenants_are_listed_by_pages_with_what_is_connected() {
    let stage = Stage::with(|setup| {
        let upstream = setup.upstream.clone();
        assert!(upstream.is_none());
        for name in ["shop_*", "branch-1", "branch-2"] {
            let lines = format!(
                "[tenant.'{name}']\nhost = '127.0.0.1'\nuser = 'nobody'\npassword = 'not-shown'\nsslmode = 'disable'\nread_user = 'reader'\nread_password = 'not-shown'\n"
            );
            setup.more.push_str(&lines);
        }
    });
    let mut alice = stage.raw("alice");
    alice.query("select 1");
    let all = show(&stage, "SHOW TENANTS");
    let name = |row: &Row| row["name"].clone().unwrap();
    let names: Vec<String> = all.iter().map(name).collect();
    let mut expected = vec![
        "branch-1",
        "branch-2",
        "shop_*",
        stage.database.name.as_str(),
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    let find = |wanted: &str| all.iter().find(|it| name(it) == wanted).unwrap();
    let own = find(&stage.database.name);
    assert_eq!(
        own["force_user"].as_deref(),
        Some(stage.database.write.name.as_str())
    );
    assert_eq!(number(own, "current_client_connections"), 1);
    assert!(number(own, "current_connections") >= 1);
    assert_eq!(number(own, "pool_size"), 10);
    let shop = find("shop_*");
    assert_eq!(shop["pattern"].as_deref(), Some("yes"));
    assert_eq!(
        shop["current_client_connections"], None,
        "those go by their names"
    );
    assert_eq!(find("branch-1")["read_user"].as_deref(), Some("reader"));
    let shown = format!("{all:?}");
    assert!(!shown.contains("not-shown"), "{shown}");
    let listed = |command: &str| show(&stage, command).iter().map(name).collect::<Vec<_>>();
    assert_eq!(listed("SHOW TENANTS 'branch*'"), ["branch-1", "branch-2"]);
    assert_eq!(
        listed("SHOW TENANTS 'branch*' AFTER 'branch-1'"),
        ["branch-2"]
    );
    assert_eq!(listed("SHOW TENANTS 'shop_*'"), ["shop_*"]);
}

/// Tens of thousands do not come at once.
#[test]
fn a_long_list_of_tenants_has_pages() {
    let stage = Stage::with(|setup| {
        for number in 0..2500 {
            let lines = format!(
                "[tenant.x{number:05}]\nhost = '127.0.0.1'\nuser = 'u'\nsslmode = 'disable'\n"
            );
            setup.more.push_str(&lines);
        }
    });
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = show(&stage, &format!("SHOW TENANTS 'x*' AFTER '{after}'"));
        assert!(page.len() <= 1000);
        let Some(last) = page.last() else { break };
        after = last["name"].clone().unwrap();
        seen.extend(page.iter().map(|it| it["name"].clone().unwrap()));
    }
    let expected: Vec<String> = (0..2500).map(|it| format!("x{it:05}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn keys_are_shown_with_their_defaults_and_no_secret() {
    let stage = Stage::with(|setup| {
        setup.more =
            "[limits]\nsessions_max = 77\ndrain = '3 s'\n[hold]\nheartbeat = '2 min'\n".to_owned();
    });
    let rows = show(&stage, "SHOW CONFIG");
    let row = |key: &str| {
        let found = rows.iter().find(|it| it["key"].as_deref() == Some(key));
        let row = found.unwrap_or_else(|| panic!("no {key}"));
        ["value", "default", "changeable"].map(|it| row[it].clone().unwrap_or_default())
    };
    for (key, expected) in [
        ("limits.sessions_max", ["77", "1000", "yes"]),
        ("limits.drain", ["3 s", "10 s", "yes"]),
        ("limits.login", ["15 s", "15 s", "yes"]),
        ("limits.request_bytes_max", ["16 MiB", "16 MiB", "yes"]),
        ("hold.heartbeat", ["2 min", "15 s", "yes"]),
        ("workers", ["1", "1", "no"]),
        ("tickets.decide_within", ["8 h", "8 h", "no"]),
        ("version", ["1", "", ""]),
        ("tenants", ["1", "", ""]),
    ] {
        assert_eq!(row(key), expected, "{key}");
    }
    let shown = format!("{rows:?}");
    for secret in [&stage.database.write.password, "SCRAM-SHA-256"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
