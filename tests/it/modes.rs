//! How long a session keeps a connection, and what follows it from one to the next: pool modes,
//! settings, prepared statements, lanes (DESIGN rulings 10, 11, 13; hazards R22 to R29, R36).

use harness::Gate;
use harness::raw::{self, Frame, Raw, bind, execute, parse, sync};
use harness::stage::{Setup, Stage, eventually, table};

/// Everything passes: it is the pool that is looked at.
const ALL: &str = "[[rule]]\nname = 'all'\nverdict = 'allow'\n";

/// An update of `t` may leave anything behind: only its trigger knows. What comes into `counted` counts.
const MORE_TABLES: &str = "; \
    create function nothing() returns trigger language plpgsql as $$ begin return new; end $$; \
    create trigger watched before update on t for each row execute function nothing(); \
    create table plain (id int primary key, at timestamptz default now()); \
    create table counted (id serial, n int check (n > 0))";

fn stage(tenant: &str) -> Stage {
    Stage::with(|setup| {
        tenant.clone_into(&mut setup.tenant);
        ALL.clone_into(&mut setup.rules);
        setup.tables.push_str(MORE_TABLES);
    })
}

/// The first value of the first row, or what went wrong.
#[track_caller]
fn value(frames: &[Frame]) -> String {
    match frames.iter().find(|it| it.tag == b'D') {
        Some(row) => row.columns()[0].clone().unwrap_or_default(),
        None => frames[0].describe(),
    }
}

fn ask(client: &mut Raw, sql: &str) -> String {
    value(&client.query(sql))
}

#[track_caller]
fn done(client: &mut Raw, sql: &str) {
    let frames = client.query(sql);
    assert!(
        frames.iter().all(|it| it.tag != b'E'),
        "{sql}: {}",
        value(&frames)
    );
}

/// Which backend does a write of this client. A backend id says more than "it is another": a
/// connection that was reset is the same one.
#[track_caller]
fn writer(client: &mut Raw) -> String {
    ask(
        client,
        "update t set note = note where id = 1 returning pg_backend_pid()",
    )
}

/// The server says what a reset puts back, and that is no reason to throw the connection away.
#[test]
fn a_connection_outlives_the_reset_of_what_is_reported() {
    let stage = stage("pool_size = 1");
    let login = stage.login("alice");
    let mut client = Raw::login_with(&login, &[("application_name", "mine")]);
    done(&mut client, "set timezone = 'Asia/Tokyo'");
    let first = writer(&mut client);
    for _ in 0..3 {
        assert_eq!(writer(&mut client), first);
    }
}

#[test]
fn settings_and_statements_follow_a_session_over_one_connection() {
    let stage = stage("pool_size = 1");
    let mut sessions = [("alice", "Asia/Tokyo"), ("bob", "Europe/Rome")].map(|(who, zone)| {
        let mut client = stage.raw(who);
        done(&mut client, &format!("set timezone = '{zone}'"));
        let text = "select current_setting('timezone')";
        client.send(&[parse("s1", text), sync()].concat());
        client.frames_until(b'Z');
        (client, zone)
    });
    for _ in 0..3 {
        for (client, zone) in &mut sessions {
            assert_eq!(ask(client, "show timezone"), *zone);
            client.send(&[bind("", "s1"), execute(""), sync()].concat());
            assert_eq!(value(&client.frames_until(b'Z')), *zone);
        }
    }
    let (client, _) = &mut sessions[0];
    done(client, "reset timezone");
    assert_ne!(ask(client, "show timezone"), "Asia/Tokyo");
    assert_eq!(ask(&mut sessions[1].0, "show timezone"), "Europe/Rome");
}

/// What is set in a transaction that is rolled back was never set (hazards R25).
#[test]
fn a_setting_goes_with_its_transaction() {
    let stage = stage("pool_size = 1");
    let (mut alice, mut bob) = (stage.raw("alice"), stage.raw("bob"));
    done(&mut alice, "begin; set timezone = 'Asia/Tokyo'; rollback");
    done(&mut bob, "begin; set timezone = 'Europe/Rome'; commit");
    assert_ne!(ask(&mut alice, "show timezone"), "Asia/Tokyo");
    assert_eq!(ask(&mut bob, "show timezone"), "Europe/Rome");
    done(
        &mut alice,
        "begin; set local timezone = 'Asia/Tokyo'; commit",
    );
    assert_ne!(ask(&mut alice, "show timezone"), "Asia/Tokyo");
}

/// A connection has room for so many statements; the one that was not used for longest makes room.
#[test]
fn a_connection_forgets_the_statement_that_was_not_used_for_longest() {
    let stage = stage("pool_size = 1");
    let mut client = stage.raw("alice");
    for number in 0..250 {
        let (name, text) = (format!("s{number}"), format!("select {number}"));
        client.send(&[parse(&name, &text), bind("", &name), execute(""), sync()].concat());
        assert_eq!(value(&client.frames_until(b'Z')), number.to_string());
    }
    let kept = "select count(*) from pg_prepared_statements where name like 'portcullis%'";
    assert_eq!(ask(&mut client, kept), "200");
    for number in [0, 249, 7] {
        let name = format!("s{number}");
        client.send(&[bind("", &name), execute(""), sync()].concat());
        assert_eq!(value(&client.frames_until(b'Z')), number.to_string());
    }
}

/// Hazards R24: reset and verified, it is the same person's; another person gets another one.
#[test]
fn what_was_written_on_goes_back_reset_to_the_same_person() {
    let stage = stage("pool_size = 1");
    let (mut alice, mut bob) = (stage.raw("alice"), stage.raw("bob"));
    let first = writer(&mut alice);
    assert_eq!(writer(&mut alice), first);
    let other = writer(&mut bob);
    assert_ne!(other, first);
    assert_eq!(writer(&mut bob), other);
}

/// DESIGN ruling 12: a connection goes back as it is if the catalog shows that nothing can be left on it, without what it
/// knows of sequences if only they counted, and reset if anything else stands behind what was written.
#[test]
fn what_provably_left_nothing_is_not_reset() {
    let stage = stage("pool_size = 1");
    let (mut alice, mut bob) = (stage.raw("alice"), stage.raw("bob"));
    let backend = ask(
        &mut alice,
        "insert into plain values (1) returning pg_backend_pid()",
    );
    let last = || {
        let asked = "select query from pg_stat_activity where state = 'idle' and pid = ";
        stage.database.sql(&format!("{asked} {backend}"))
    };
    for sql in [
        "insert into plain values (2) returning pg_backend_pid()",
        "update plain set at = now() where id = 1 returning pg_backend_pid()",
        "delete from plain where id = 2 returning pg_backend_pid()",
    ] {
        assert_eq!(ask(&mut bob, sql), backend, "{sql}");
        eventually(sql, || last() == sql);
    }
    let sql = "insert into counted (n) values (1) returning pg_backend_pid()";
    assert_eq!(ask(&mut bob, sql), backend);
    eventually(sql, || last() == "DISCARD SEQUENCES");
    let unknown = alice.query("select lastval()");
    let refused = unknown.iter().find(|it| it.tag == b'E').unwrap();
    assert_eq!(refused.sqlstate(), "55000");
    assert_eq!(writer(&mut alice), backend);
    eventually("it is verified", || {
        last().contains("pg_prepared_statements")
    });
}

#[test]
fn in_session_mode_a_connection_is_kept_to_the_end() {
    let stage = stage("pool_mode = 'session'\npool_size = 1\nwait = '200 ms'");
    let mut alice = stage.raw("alice");
    done(&mut alice, "create temp table own (id int)");
    done(&mut alice, "prepare p as select 'prepared'");
    assert_eq!(ask(&mut alice, "execute p"), "prepared");
    assert_eq!(ask(&mut alice, "select count(*) from own"), "0");
    let backend = ask(&mut alice, "select pg_backend_pid()");
    let mut bob = stage.raw("bob");
    assert_eq!(bob.query("select 1")[0].sqlstate(), "53300");
    alice.send(&raw::terminate());
    alice.frames_until_closed();
    // As clean as new, and the same one.
    let mut alice = stage.raw("alice");
    eventually("it is free", || {
        ask(&mut alice, "select pg_backend_pid()") == backend
    });
    assert_eq!(ask(&mut alice, "select to_regclass('own') is null"), "t");
}

/// RESET goes back to what the client brought along.
#[test]
fn in_session_mode_a_connection_logs_in_with_the_clients_settings() {
    let stage = stage("pool_mode = 'session'\npool_size = 1");
    let login = stage
        .gate
        .login("alice", "alice-secret", &stage.database.name);
    let zone = |zone: &str| Raw::login_with(&login, &[("TimeZone", zone)]);
    let mut client = zone("Asia/Tokyo");
    done(&mut client, "set timezone = 'UTC'");
    done(&mut client, "reset timezone");
    assert_eq!(ask(&mut client, "show timezone"), "Asia/Tokyo");
    done(&mut client, "discard all");
    assert_eq!(ask(&mut client, "show timezone"), "Asia/Tokyo");
    drop(client);
    assert_eq!(
        ask(&mut zone("Europe/Rome"), "show timezone"),
        "Europe/Rome"
    );
    let refused = Raw::try_login(&login, &[("TimeZone", "Nowhere")]).unwrap_err();
    assert_eq!(refused.sqlstate(), "22023");
}

#[test]
fn in_statement_mode_each_statement_is_its_own_transaction() {
    let stage = stage("pool_mode = 'statement'\npool_size = 1");
    let (mut alice, mut bob) = (stage.raw("alice"), stage.raw("bob"));
    for begin in ["begin", "start transaction read only", "begin; select 1"] {
        let answer = alice.query(begin);
        assert_eq!(answer[0].sqlstate(), "0A000", "{begin}");
        assert_eq!(raw::tags(&answer), "EZ");
        assert_eq!(answer[1].body[0], b'I');
    }
    done(&mut alice, "set timezone = 'Asia/Tokyo'");
    done(&mut alice, "create temp table own (id int)");
    assert_eq!(ask(&mut bob, "select to_regclass('own') is null"), "t");
    assert_eq!(ask(&mut alice, "select to_regclass('own') is null"), "t");
    assert_eq!(ask(&mut alice, "show timezone"), "Asia/Tokyo");
}

/// Unsigned reads log in as the role that cannot write; a transaction lives where it may.
#[test]
fn reads_have_a_lane_of_their_own() {
    let database = table();
    let read = &database.read;
    let tenant = format!(
        "read_user = '{}'\nread_password = '{}'",
        read.name, read.password
    );
    let setup = Setup {
        tenant,
        ..Setup::default()
    };
    let gate = Gate::start(&setup.config(&database));
    let stage = Stage { gate, database };
    let mut client = stage.raw("alice");
    let (read, write) = (&stage.database.read.name, &stage.database.write.name);
    assert_eq!(ask(&mut client, "select current_user"), *read);
    let fenced = "select current_setting('default_transaction_read_only')";
    assert_eq!(ask(&mut client, fenced), "on");
    done(&mut client, "begin");
    assert_eq!(ask(&mut client, "select current_user"), *write);
    done(&mut client, "commit");
    // SHOW is of the session, and describes the lane that writes.
    assert_eq!(
        ask(&mut client, "show default_transaction_read_only"),
        "off"
    );
}
