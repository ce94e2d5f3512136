//! Policy: which rule decides what, and that the server refuses what the parser could not see.

use harness::raw::{self, Frame, Raw};
use harness::stage::{Stage, held_raw};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// What became of a statement.
#[derive(Debug, PartialEq)]
enum Verdict {
    Passed,
    /// By the rule that the ticket names.
    Held(String),
    /// With the message.
    Denied(String),
}

use Verdict::{Denied, Held, Passed};

/// Sends one Query and says what the gate made of it; a hold is cancelled by leaving.
#[track_caller]
fn ask(stage: &Stage, mut client: Raw, sql: &str) -> Verdict {
    client.send(&raw::query(sql));
    let first = client.frame();
    match first.tag {
        b'N' if first.sqlstate() == "ZG000" => {
            let message = first.field('M').unwrap();
            let ticket = message.split([' ', ':']).nth(3).unwrap();
            Held(stage.ticket("carol", ticket, "rule"))
        }
        b'E' if first.sqlstate() == "ZG001" => Denied(first.field('M').unwrap()),
        b'E' => panic!("{sql}: {}", first.describe()),
        _ => Passed,
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rule = |name: &str, rest: &str| format!("[[rule]]\nname = '{name}'\n{rest}\n");
    let rules = [
        rule(
            "bob may not",
            "user = 'bob'\nclass = 'write'\nverdict = 'deny'\nmessage = 'not bob'",
        ),
        rule(
            "twin",
            "tenant = 'tw*'\nclass = 'write'\nverdict = 'deny'\nmessage = 'frozen'",
        ),
        rule(
            "dba",
            "group = 'dba'\nclass = ['write', 'maintenance']\nverdict = 'allow'",
        ),
        rule(
            "writes wait",
            "class = 'write'\nverdict = 'hold'\nfrom = 'dba'",
        ),
        rule("reads", "class = ['read', 'session']\nverdict = 'allow'"),
        rule(
            "too late",
            "class = 'read'\nverdict = 'deny'\nmessage = 'never said'",
        ),
    ];
    let stage = Stage::with_twin(|setup| setup.rules = rules.concat());
    let name = stage.database.name.clone();
    let denied = |message: &str| Denied(message.to_owned());
    let held = |rule: &str| Held(rule.to_owned());
    for (who, tenant, sql, expected) in [
        ("alice", &*name, "select * from t", Passed),
        ("alice", &name, "show work_mem", Passed),
        ("alice", &name, UPDATE, held("writes wait")),
        ("alice", "twin", UPDATE, denied("frozen")),
        ("bob", &name, UPDATE, denied("not bob")),
        ("bob", "twin", UPDATE, denied("not bob")),
        ("carol", &name, "insert into t values (9, 'x')", Passed),
        ("carol", "twin", UPDATE, denied("frozen")),
        ("carol", &name, "analyze t", Passed),
        ("alice", &name, "analyze t", held("default")),
        ("alice", &name, "create table x ()", held("default")),
        ("alice", &name, "create role x", held("default")),
        ("alice", &name, "do $$ begin end $$", held("default")),
        ("alice", &name, "begin", Passed),
    ] {
        let client = Raw::login(&stage.login(who).database(tenant));
        let verdict = ask(&stage, client, sql);
        assert_eq!(verdict, expected, "{who} on {tenant}: {sql}");
    }
    assert_eq!(stage.count("id = 9"), "1");
    assert_eq!(stage.count("note = 'new'"), "0");
}

#[test]
fn a_denial_names_its_rule_and_asks_nobody() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let answer = client.query("drop table t");
    assert_eq!(raw::tags(&answer), "EZ");
    let field = |name| answer[0].field(name).unwrap_or_default();
    assert_eq!(field('S'), "ERROR");
    assert_eq!(field('C'), "ZG001");
    assert_eq!(field('M'), "schema changes go through migrations");
    assert!(
        field('D').contains("\"no schema changes\""),
        "{}",
        field('D')
    );
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");

    // In the extended protocol, too: silence up to the Sync, and then the session goes on.
    client.send(
        &[
            raw::parse("", "drop table t"),
            raw::bind("", ""),
            raw::execute(""),
            raw::sync(),
        ]
        .concat(),
    );
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "EZ");
    assert_eq!(answer[0].sqlstate(), "ZG001");
    assert_eq!(stage.count("true"), "3");
    let tickets = stage.psql_console("bob").query("SHOW TICKETS ALL").ok();
    assert_eq!(tickets.stdout, "");
}

#[test]
fn an_empty_query_passes() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    for sql in ["", " ", ";", "-- nothing", "/* nothing */ ;"] {
        assert_eq!(raw::tags(&client.query(sql)), "IZ", "{sql:?}");
    }
    client.send(
        &[
            raw::parse("", ""),
            raw::bind("", ""),
            raw::execute(""),
            raw::sync(),
        ]
        .concat(),
    );
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "12IZ");
}

/// DESIGN principle 1: what is not understood is held; the server has the last word on its syntax.
#[test]
fn what_does_not_parse_is_held_as_opaque() {
    let stage = Stage::new();
    for sql in ["selec 1", "select 1 from", "\\d t", "select 'open"] {
        let mut client = stage.raw("alice");
        client.send(&raw::query(sql));
        let ticket = held_raw(&mut client);
        assert_eq!(stage.ticket("bob", &ticket, "class"), "opaque", "{sql}");
        stage.approve(&ticket);
        let answer = client.frames_until(b'Z');
        assert_eq!(answer[answer.len() - 2].sqlstate(), "42601", "{sql}");
    }
}

#[test]
fn several_statements_in_one_query_are_held_as_one() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    let sql = "select 1; update t set note = 'new' where id = 1; select 2";
    client.send(&raw::query(sql));
    let ticket = held_raw(&mut client);
    assert_eq!(stage.ticket("bob", &ticket, "statement"), sql);
    assert_eq!(stage.count("note = 'new'"), "0");
    stage.approve(&ticket);
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "NTDCCTDCZ");
    assert_eq!(stage.count("note = 'new'"), "1");
    // Nothing but reads: each passes by itself.
    let answer = client.query("select 1; select 2");
    assert_eq!(raw::tags(&answer), "TDCTDCZ");
    // A denial in it is one of the whole.
    let answer = client.query("select 1; drop table t");
    assert_eq!(answer[0].sqlstate(), "ZG001");
}

#[test]
fn functions_that_are_not_known_are_held() {
    let stage = Stage::new();
    stage
        .database
        .sql("create function own() returns int language sql volatile as 'select 1'");
    for sql in [
        "select own()",
        "select pg_sleep(0)",
        "select nextval('s')",
        "select set_config('role', 'x', false)",
        "select pg_read_file('/etc/passwd')",
        "select query_to_xml('delete from t', true, true, '')",
        "select * from t where id = own()",
        "select lower(note) from t order by own()",
    ] {
        let verdict = ask(&stage, stage.raw("alice"), sql);
        assert_eq!(verdict, Held("default".to_owned()), "{sql}");
    }
    for sql in [
        "select lower(note), count(*) from t group by 1",
        "select now()",
        "show search_path",
    ] {
        assert_eq!(ask(&stage, stage.raw("alice"), sql), Passed, "{sql}");
    }
}

/// A read that is none: the view looks like a relation, and the function behind it, which is said to be stable, calls one that
/// writes.
fn lying(stage: &Stage) {
    stage.database.sql(
        "create function really() returns int language plpgsql volatile as \
         $$ begin insert into t values (100, 'sneaked'); return 1; end $$; \
         create function sneaky() returns int language plpgsql stable as \
         $$ begin return really(); end $$; \
         create view v as select sneaky() as x; \
         create function peek(int, int) returns bool language sql volatile as \
         $$ insert into t values (101, 'sneaked') returning true $$; \
         create operator === (function = peek, leftarg = int, rightarg = int); \
         create function cast_it(int) returns point language sql volatile as \
         $$ insert into t values (102, 'sneaked') returning point(1, 1) $$; \
         create cast (int as point) with function cast_it(int)",
    );
}

/// DESIGN principle 2, hazards V15: the server refuses what passed unsigned and wants to write.
#[test]
fn a_read_that_writes_fails_at_the_server() {
    let stage = Stage::new();
    lying(&stage);
    let refused = |frames: &[Frame]| {
        let error = frames.iter().find(|frame| frame.tag == b'E');
        error.map_or_else(|| raw::tags(frames), Frame::sqlstate)
    };
    let batch = [
        raw::parse("", "select x from v"),
        raw::bind("", ""),
        raw::execute(""),
        raw::sync(),
    ]
    .concat();
    for transaction in [
        None,
        Some("begin"),
        Some("begin isolation level serializable"),
        Some("start transaction read write"),
    ] {
        for extended in [false, true] {
            let mut client = stage.raw("alice");
            if let Some(begin) = transaction {
                assert_eq!(raw::tags(&client.query(begin)), "CZ");
                assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
            }
            let answer = if extended {
                client.send(&batch);
                client.frames_until(b'Z')
            } else {
                client.query("select x from v")
            };
            assert_eq!(refused(&answer), "25006", "{transaction:?} {extended}");
            let status = answer.last().unwrap().body.clone();
            let expected: &[u8] = if transaction.is_some() { b"E" } else { b"I" };
            assert_eq!(status, expected, "{transaction:?} {extended}");
            client.query("commit");
            assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
        }
    }
    assert_eq!(stage.count("note = 'sneaked'"), "0");
}

/// The same by operators and casts, which the syntax tree does not resolve: held or refused.
#[test]
fn operators_and_casts_that_write_do_not_pass() {
    let stage = Stage::new();
    lying(&stage);
    for sql in [
        "select 1 === 2",
        "select 1 operator(public.===) 2",
        "select 1::point",
        "select cast(id as point) from t",
        "select x from v for update",
        "table v",
        "values ((select x from v))",
        "with w as (select x from v) select * from w",
        "explain select x from v",
        "explain analyze select x from v",
        "select exists (select x from v)",
        "declare c cursor with hold for select x from v",
        "copy v to stdout",
        "copy (select x from v) to stdout",
        "prepare p as select x from v",
    ] {
        let mut client = stage.raw("alice");
        client.send(&raw::query(sql));
        let mut first = client.frame();
        while matches!(first.tag, b'T' | b'H') {
            first = client.frame();
        }
        match first.tag {
            b'N' => assert_eq!(first.sqlstate(), "ZG000", "{sql}"),
            b'E' => assert_ne!(first.sqlstate(), "ZG001", "{sql}"),
            // Passed: then it did nothing, which is counted below.
            _ => {}
        }
        drop(client);
        assert_eq!(stage.count("note = 'sneaked'"), "0", "{sql}");
    }
}

/// Nobody takes the fence down from inside.
#[test]
fn settings_do_not_open_the_fence() {
    let stage = Stage::new();
    lying(&stage);
    for sql in [
        "set default_transaction_read_only = off",
        "set session characteristics as transaction read write",
        "set transaction read write",
        "set transaction_read_only = off",
        "set local transaction_read_only = off",
        "reset all",
    ] {
        for begin in ["", "begin", "begin read only"] {
            let mut client = stage.raw("alice");
            client.query(begin);
            client.send(&raw::query(sql));
            let held = client.frame().tag == b'N';
            if held {
                continue;
            }
            client.frames_until(b'Z');
            let answer = client.query("select x from v");
            assert!(
                answer.iter().any(|frame| frame.tag == b'E'),
                "{begin} {sql}"
            );
            client.query("commit");
            assert_eq!(stage.count("note = 'sneaked'"), "0", "{begin} {sql}");
        }
    }
}

/// DESIGN principle 7, hazards V1, V2: Parse and Describe are looks, and no look runs anything.
#[test]
fn looking_runs_nothing() {
    let stage = Stage::new();
    lying(&stage);
    stage
        .database
        .sql("create function folded() returns int language sql immutable security definer as 'select x from v'");
    let mut client = stage.raw("alice");
    let look = [
        raw::parse("p", "select folded() from t where id = $1"),
        raw::describe(b'S', "p"),
        raw::sync(),
    ];
    client.send(&look.concat());
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "1tTZ");
    let use_it = [
        raw::bind_values("", "p", &[Some("1")]),
        raw::execute(""),
        raw::sync(),
    ];
    client.send(&use_it.concat());
    let ticket = held_raw(&mut client);
    assert_eq!(stage.count("note = 'sneaked'"), "0");
    stage.approve(&ticket);
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "N2DCZ");
    assert_eq!(stage.count("note = 'sneaked'"), "1");
}

const PERSONAL: &str = "[[rule]]\nname = 'salaries'\nrelation = '*.people.salary'\naccess = 'read'\n\
                        verdict = 'hold'\nfrom = 'dba'\nuse_within = '10 min'\n";

/// A stage with salaries, and this in front of the usual rules.
fn with_salaries(rules: &str) -> Stage {
    let stage = Stage::with(|setup| setup.rules.insert_str(0, rules));
    stage.database.sql(
        "create table people (id int, salary int); insert into people values (1, 100), (2, 200)",
    );
    stage
}

/// Reading a column of personal data is a ticket like any other, and what else reads passes.
#[test]
fn a_read_of_personal_data_waits_and_then_gives_its_rows() {
    let stage = with_salaries(PERSONAL);
    let mut client = stage.raw("alice");
    client.send(&raw::query("select sum(salary) from people"));
    let ticket = held_raw(&mut client);
    assert_eq!(stage.ticket("bob", &ticket, "rule"), "salaries");
    assert_eq!(stage.ticket("bob", &ticket, "class"), "read");
    let why = stage.ticket("bob", &ticket, "why");
    assert!(why.starts_with("reads people.salary"), "{why}");
    stage.approve(&ticket);
    let answer = client.frames_until(b'Z');
    let row = answer.iter().find(|frame| frame.tag == b'D').unwrap();
    assert_eq!(row.columns(), [Some("300".to_owned())]);

    assert_eq!(raw::tags(&client.query("select * from t")), "TDDDCZ");
    // Within a batch the statement is named that waits.
    client.send(&raw::query(
        "update t set note = 'new' where id = 1; table people",
    ));
    let ticket = held_raw(&mut client);
    let why = stage.ticket("bob", &ticket, "why");
    let both =
        "statement 1 of 2: writes t; statement 2 of 2: reads people.salary (rule \"salaries\")";
    assert!(why.starts_with(both), "{why}");
}

/// What only observes is held by nobody, and the journal says what would have been.
#[test]
fn a_policy_that_observes_writes_down_what_it_would_have_held() {
    let rules = format!("mode = 'observe'\n{PERSONAL}");
    let mut stage = with_salaries(&rules);
    let mut client = stage.raw("alice");
    assert_eq!(raw::tags(&client.query("select * from t")), "TDDDCZ");
    assert_eq!(
        raw::tags(&client.query("select salary from people")),
        "TDDCZ"
    );
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
    assert_eq!(stage.count("note = 'new'"), "1");
    // Denials stay denials.
    let denied = client.query("drop table t");
    assert_eq!(denied[0].sqlstate(), "ZG001");
    drop(client);
    let tickets = stage.psql_console("bob").query("SHOW TICKETS ALL").ok();
    assert_eq!(tickets.stdout, "");
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);

    let observed = crate::tickets::entries(&stage, "observed");
    assert_eq!(observed.len(), 2, "{observed:#?}");
    for (entry, words) in observed.iter().zip([
        [
            "\"rule\":\"salaries\"",
            "reads people.salary",
            "select salary from people",
        ],
        ["\"rule\":\"default\"", "writes t", UPDATE],
    ]) {
        let needs = "\"needs\":[{\"group\":\"dba\",\"approvals\":1}]";
        for word in words.iter().chain([&needs]) {
            assert!(entry.contains(word), "{word}: {entry}");
        }
    }
}
