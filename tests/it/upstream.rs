//! The server behind the gate: TLS to it, its absence, its end, and how many connections it gets.

use std::time::{Duration, Instant};

use harness::raw::{self, Frame, Raw};
use harness::sandbox::ca::Certificates;
use harness::sandbox::{Postgres, ServerTls, Shutdown};
use harness::stage::{Setup, Stage, eventually, held_raw, leave_approved, pool_figure};
use harness::{GateDir, options};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// A server of the test's own, with the table, that can be stopped. No TLS.
fn private() -> Postgres {
    let server = Postgres::start(options()).unwrap();
    let table = "create table t (id int primary key, note text); insert into t values (1, 'one')";
    server.sql("postgres", table).unwrap();
    server
}

/// The keys that lead a tenant to it.
fn to(server: &Postgres, tls: &str) -> String {
    format!(
        "host = 'localhost'\nport = {}\ndatabase = 'postgres'\nuser = 'postgres'\npassword = '{}'\n{tls}",
        server.port(),
        server.password()
    )
}

fn before(server: &Postgres, tenant: &str) -> Stage {
    Setup {
        upstream: Some(to(server, "sslmode = 'disable'")),
        tenant: tenant.to_owned(),
        ..Setup::default()
    }
    .start()
}

/// A login that fails for what is behind the gate: the client learns that, and no more.
#[track_caller]
fn turned_away(stage: &mut Stage, secret_words: &[&str], logged: &str) {
    let refused = Raw::try_login(&stage.login("alice"), &[]).unwrap_err();
    assert_eq!(refused.sqlstate(), "57P03", "{}", refused.describe());
    let message = refused.field('M').unwrap();
    let tenant = &stage.database.name;
    assert_eq!(
        message,
        format!("could not connect to the server of database \"{tenant}\"")
    );
    let whole = String::from_utf8_lossy(&refused.body).to_lowercase();
    for word in secret_words {
        assert!(!whole.contains(word), "{word}: {whole}");
    }
    // The operator reads why.
    stage.gate.stderr().wait_for(logged);
}

#[test]
fn a_server_with_another_ca_is_not_trusted() {
    let mut stage = Stage::with(|setup| {
        setup.tenant = String::new();
        setup.upstream = Some(format!(
            "host = 'localhost'\nport = {}\nuser = 'postgres'\npassword = 'x'\n\
             sslrootcert = 'ca.pem'",
            harness::postgres().port()
        ));
    });
    let words = [
        "certificate",
        "issuer",
        "signature",
        "localhost",
        "tls",
        "ssl",
    ];
    turned_away(&mut stage, &words, "invalid peer certificate");
}

#[test]
fn the_name_of_the_server_is_verified_unless_told_otherwise() {
    let certificates = Certificates::make(&["other.example"]).unwrap();
    let tls = ServerTls {
        cert_pem: certificates.cert_pem.clone(),
        key_pem: certificates.key_pem.clone(),
    };
    let server = Postgres::start(harness::sandbox::Options {
        tls: Some(tls),
        ..options()
    })
    .unwrap();
    for (mode, lets_in) in [
        ("", false),
        ("sslmode = 'verify-full'", false),
        ("sslmode = 'verify-ca'", true),
        ("sslmode = 'require'", true),
    ] {
        let directory = GateDir::new();
        let files = certificates
            .write(&directory.path().join("upstream"))
            .unwrap();
        let root = if mode.contains("require") {
            String::new()
        } else {
            format!("\nsslrootcert = '{}'", files.ca.display())
        };
        let setup = Setup {
            upstream: Some(to(&server, &format!("{mode}{root}"))),
            ..Setup::default()
        };
        let mut stage = setup.start_in(directory);
        if lets_in {
            let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
            let said = stage.psql("alice").query(sql).ok();
            assert_eq!(said.stdout, "t", "{mode}");
        } else {
            turned_away(
                &mut stage,
                &["certificate", "example"],
                "not valid for name",
            );
        }
    }
}

#[test]
fn a_server_without_tls_is_refused_unless_told_otherwise() {
    let server = private();
    let mut stage = Setup {
        upstream: Some(to(
            &server,
            &format!(
                "sslrootcert = '{}'",
                harness::upstream_root_cert().display()
            ),
        )),
        ..Setup::default()
    }
    .start();
    turned_away(&mut stage, &["ssl"], "server does not support SSL");
    let stage = before(&server, "");
    assert_eq!(
        stage.psql("alice").query("select id from t").ok().stdout,
        "1"
    );
}

#[test]
fn what_the_server_says_to_the_gates_login_is_for_the_log() {
    let shared = |user: &str, password: &str, database: &str| {
        format!(
            "host = 'localhost'\nport = {}\nuser = '{user}'\npassword = '{password}'\n\
             database = '{database}'\nsslrootcert = '{}'",
            harness::postgres().port(),
            harness::upstream_root_cert().display()
        )
    };
    let right = harness::postgres().password();
    for (upstream, words, logged) in [
        (
            shared("postgres", "wrong", "postgres"),
            ["password", "role"],
            "28P01",
        ),
        (
            shared("norole", "wrong", "postgres"),
            ["password", "norole"],
            "28P01",
        ),
        (
            shared("postgres", right, "nodatabase"),
            ["nodatabase", "3d000"],
            "3D000",
        ),
    ] {
        let mut stage = Stage::with(|setup| setup.upstream = Some(upstream.clone()));
        turned_away(&mut stage, &words, logged);
        let log = stage.gate.stderr().text();
        assert!(!log.contains(right), "{log}");
        // The gate itself is well: its console answers.
        stage.cli("bob").run(&["pending"]).ok();
    }
}

/// DESIGN ruling 1: nothing is spent before there is a connection to send it on.
#[test]
fn while_the_server_is_down_the_ticket_stays_approved() {
    let mut server = private();
    let stage = before(&server, "wait = '3 s'");
    let ticket = leave_approved(&stage, UPDATE);
    let mut client = stage.raw("alice");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    server.halt(Shutdown::Fast);
    for sql in [UPDATE, "select 1"] {
        let since = Instant::now();
        let answer = client.query(sql);
        assert_eq!(raw::tags(&answer), "EZ");
        assert_eq!(answer[0].sqlstate(), "57P03");
        let message = answer[0].field('M').unwrap();
        assert!(
            message.starts_with("could not connect to the server of database"),
            "{message}"
        );
        assert!(since.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(stage.state(&ticket), "approved");
    server.resume().unwrap();
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
    assert_eq!(stage.state(&ticket), "done");
    let count = "select count(*) from t where note = 'new'";
    assert_eq!(server.sql("postgres", count).unwrap(), "1");
}

#[test]
fn a_restart_of_the_server_within_the_wait_limit_is_no_error() {
    let mut server = private();
    let mut stage = before(&server, "wait = '60 s'");
    leave_approved(&stage, UPDATE);
    server.halt(Shutdown::Fast);
    // Its login needs no connection: what the server is like is known.
    let alice = stage.psql("alice").start(UPDATE);
    stage.gate.stderr().wait_for("could not log in upstream");
    server.resume().unwrap();
    assert_eq!(alice.finish().ok().stdout, "UPDATE 1");
}

/// Waits for the figures of the pool: waiting, active, idle, size.
#[track_caller]
fn wait_pool(stage: &Stage, figures: &str) {
    eventually(figures, || {
        let of = |name| pool_figure(stage, &stage.database.name, name);
        let now = ["cl_waiting", "sv_active", "sv_idle", "pool_size"].map(of);
        now.join("|") == figures
    });
}

#[test]
fn a_pool_of_one_is_shared_by_waiting() {
    let stage = Stage::with(|setup| setup.tenant = "pool_size = 1".to_owned());
    let mut first = stage.raw("alice");
    let mut second = stage.raw("bob");
    wait_pool(&stage, "0|0|1|2");
    first.query("begin");
    assert_eq!(raw::tags(&first.query("select 1")), "TDCZ");
    wait_pool(&stage, "0|1|0|2");
    second.query("begin");
    second.send(&raw::query("select 2"));
    wait_pool(&stage, "1|1|0|2");
    // A hold in the queue costs nothing: it does not even wait for a place.
    let mut third = stage.raw("carol");
    third.send(&raw::query(UPDATE));
    held_raw(&mut third);
    wait_pool(&stage, "1|1|0|2");
    first.query("commit");
    assert_eq!(raw::tags(&second.frames_until(b'Z')), "TDCZ");
    second.query("commit");
    wait_pool(&stage, "0|0|1|2");
    let backends =
        "select count(*) from pg_stat_activity where usename = current_setting('my.role')";
    let sql = format!("set my.role = '{}'; {backends}", stage.database.write.name);
    assert_eq!(stage.database.sql(&sql).lines().last(), Some("1"));
}

#[test]
fn a_wait_for_a_place_has_a_limit() {
    let stage = Stage::with(|setup| setup.tenant = "pool_size = 1\nwait = '200 ms'".to_owned());
    let ticket = leave_approved(&stage, UPDATE);
    let mut first = stage.raw("alice");
    first.query("begin");
    first.query("select 1");
    let mut second = stage.raw("alice");
    for sql in ["show work_mem", UPDATE] {
        let answer = second.query(sql);
        assert_eq!(raw::tags(&answer), "EZ", "{sql}");
        assert_eq!(answer[0].sqlstate(), "53300", "{sql}");
    }
    // What only reads has a lane of its own.
    assert_eq!(raw::tags(&second.query("select 2")), "TDCZ");
    assert_eq!(stage.state(&ticket), "approved");
    first.query("rollback");
    assert_eq!(raw::tags(&second.query(UPDATE)), "CZ");
    assert_eq!(raw::tags(&second.query("select 2")), "TDCZ");
}

/// Hazards R50: who waits for a place can stop waiting at once, and so can who left.
#[test]
fn a_wait_for_a_place_can_be_cancelled() {
    let stage = Stage::with(|setup| setup.tenant = "pool_size = 1\nwait = '60 s'".to_owned());
    let ticket = leave_approved(&stage, UPDATE);
    let mut first = stage.raw("alice");
    first.query("begin");
    first.query("select 1");
    for sql in ["show work_mem", UPDATE] {
        let mut psql = stage.psql("alice").start(sql);
        wait_pool(&stage, "1|1|0|2");
        psql.signal("INT");
        let ended = psql.finish().failed(1);
        assert!(ended.stderr.contains("57014"), "{ended:?}");
        wait_pool(&stage, "0|1|0|2");
        let mut psql = stage.psql("alice").start(sql);
        wait_pool(&stage, "1|1|0|2");
        psql.kill9();
        wait_pool(&stage, "0|1|0|2");
    }
    assert_eq!(stage.state(&ticket), "approved");
    first.query("commit");
    assert_eq!(stage.psql("alice").query(UPDATE).ok().stdout, "UPDATE 1");
}

/// The backend that serves this statement.
#[track_caller]
fn backend(stage: &Stage, sql: &str) -> String {
    let find =
        format!("select pid from pg_stat_activity where query = $q${sql}$q$ and state = 'active'");
    eventually("it runs", || !stage.database.sql(&find).is_empty());
    stage.database.sql(&find)
}

fn is_end(frame: &Frame) -> bool {
    frame.tag == b'E' && frame.field('S').as_deref() == Some("FATAL")
}

/// Hazards R80: sent and not answered is in doubt, whatever the reason.
#[test]
fn an_upstream_that_dies_under_a_signed_statement_leaves_it_in_doubt() {
    let stage = Stage::new();
    let sql = "update t set note = 'new' from pg_sleep(600) where id = 1";
    let mut client = stage.raw("alice");
    client.send(&raw::query(sql));
    let ticket = held_raw(&mut client);
    stage.approve(&ticket);
    let pid = backend(&stage, sql);
    stage
        .database
        .sql(&format!("select pg_terminate_backend({pid})"));
    let told = client.frames_until_closed();
    assert!(told.iter().any(is_end), "{told:?}");
    stage.wait_state(&ticket, "in_doubt");
    assert_eq!(stage.count("note = 'new'"), "0");
    assert_eq!(stage.psql("alice").query("select 1").ok().stdout, "1");
}

/// Hazards R30: a connection that died in the pool is nobody's trouble.
#[test]
fn an_idle_connection_that_died_is_replaced() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    let role = &stage.database.write.name;
    for _ in 0..3 {
        let them = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = '{role}'"
        );
        assert_ne!(stage.database.sql(&them), "0");
        let gone = format!("select count(*) from pg_stat_activity where usename = '{role}'");
        eventually("it is gone", || stage.database.sql(&gone) == "0");
        assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    }
}
