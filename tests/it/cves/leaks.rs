//! State of one session that the next borrower of its connection saw.

use harness::raw::{self, Frame, Raw};
use harness::sandbox::Postgres;
use harness::stage::{Setup, Stage, eventually};
use harness::{Role, options};

use super::{ALL, open, row_of, said, value};

/// Everything of a session that another one could notice. No pid, no time, no name of the client.
const LOOK: &str = "
    select concat_ws(' ; ',
        (select string_agg(name || '=' || setting, ',' order by name) from pg_settings
            where source = 'session' and name not in ('application_name')),
        (select 'prepared ' || count(*) from pg_prepared_statements where not statement like '%concat_ws%'),
        (select 'cursors ' || count(*) from pg_cursors where is_holdable),
        (select 'listens ' || count(*) from pg_listening_channels()),
        (select 'locks ' || count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
        (select 'temporary ' || count(*) from pg_class where relnamespace = pg_my_temp_schema()),
        current_user, session_user,
        'path ' || current_setting('search_path'),
        'app ' || coalesce(nullif(current_setting('app.tenant', true), ''), '-'),
        'read only ' || current_setting('transaction_read_only'),
        'isolation ' || current_setting('default_transaction_isolation'),
        'rows ' || (select count(*) from pg_catalog.pg_class where relname = 'leaked' and relpersistence = 'p')
    )";

/// Kinds of state, and how a client leaves them behind.
const KINDS: [(&str, &str); 31] = [
    ("SET", "set work_mem = '77MB'"),
    (
        "a comment before SET (pgdog#1059)",
        "/* x */ set -- y\n work_mem = '78MB'",
    ),
    (
        "SET among others (pgdog#669)",
        "select 1; set work_mem = '79MB'; select 2",
    ),
    ("SET SESSION", "set session statement_timeout = '77s'"),
    ("SET TIME ZONE", "set time zone 'Asia/Tokyo'"),
    ("SET NAMES", "set names 'UTF8'"),
    (
        "set_config (pgbouncer#396)",
        "select pg_catalog.set_config('search_path', '', false)",
    ),
    (
        "set_config in a CTE",
        "with x as (select set_config('app.tenant', 'b', false)) select * from x",
    ),
    (
        "UPDATE pg_settings (V12)",
        "update pg_settings set setting = 'pg_temp' where name = 'search_path'",
    ),
    ("a dotted setting", "set app.tenant = 'b'"),
    (
        "a setting by DO",
        "do $$ begin set work_mem = '80MB'; end $$",
    ),
    ("SET ROLE", "set role pg_monitor"),
    (
        "SET SESSION AUTHORIZATION",
        "set session authorization default",
    ),
    (
        "SET SESSION CHARACTERISTICS",
        "set session characteristics as transaction isolation level serializable",
    ),
    (
        "default_transaction_read_only",
        "set default_transaction_read_only = on",
    ),
    ("row_security", "set row_security = off"),
    ("PREPARE", "prepare leaked as select 1"),
    ("WITH HOLD", "declare leaked cursor with hold for select 1"),
    ("LISTEN", "listen leaked"),
    ("an advisory lock", "select pg_advisory_lock(4711)"),
    (
        "an advisory lock that is hidden",
        "select count(pg_advisory_lock(n)) from generate_series(1, 3) n",
    ),
    ("a temporary table", "create temp table leaked (id int)"),
    (
        "a temporary table by INTO",
        "select 1 as id into temp leaked",
    ),
    ("a temporary sequence", "create temp sequence leaked"),
    (
        "a temporary view over a table",
        "create temp table leaked as select * from t; create temp view v as table leaked",
    ),
    (
        "SET LOCAL out of a transaction",
        "set local work_mem = '81MB'",
    ),
    (
        "SET in a transaction that commits",
        "begin; set work_mem = '82MB'; commit",
    ),
    (
        "SET in a transaction that is left open",
        "begin; set work_mem = '83MB'; create table leaked (id int)",
    ),
    (
        "a transaction that failed",
        "begin; set work_mem = '84MB'; select 1/0",
    ),
    (
        "PREPARE by DO",
        "do $$ begin execute 'prepare leaked as select 1'; end $$",
    ),
    ("LOAD", "load 'plpgsql'; set plpgsql.extra_warnings = 'all'"),
];

/// How the first client leaves; the state must not outlive it.
fn leave(mut client: Raw, how: usize) {
    match how % 3 {
        0 => {
            client.send(&raw::terminate());
            client.frames_until_closed();
        }
        1 => {
            client.half_close();
            client.frames_until_closed();
        }
        _ => drop(client),
    }
}

/// R22 to R25: pgcat#152, #163, #186, #549 and neon#10864 had four wrong rules for when to reset. Whatever
/// alice leaves behind, bob finds a connection as it was when nobody had used it.
#[test]
fn what_a_session_leaves_behind_is_gone_for_the_next() {
    let stage = open(1);
    let fresh = value(&mut stage.raw("bob"), LOOK);
    let mut leaked = Vec::new();
    let mut seen = 0;
    for (number, (kind, sql)) in KINDS.iter().enumerate() {
        let mut alice = stage.raw("alice");
        alice.send(&raw::query(sql));
        alice.frames_until(b'Z');
        let own = row_of(&alice.query(LOOK));
        seen += usize::from(own.is_some_and(|own| own != fresh));
        leave(alice, number);
        let found = value(&mut stage.raw("bob"), LOOK);
        if found != fresh {
            leaked.push(format!("{kind}: {found}"));
        }
    }
    assert!(leaked.is_empty(), "fresh: {fresh}\n{leaked:#?}");
    assert!(
        seen >= 20,
        "only {seen} kinds left anything that alice saw herself"
    );
}

/// The same while alice stays: her state may keep a connection, but never show on bob's.
#[test]
fn what_a_session_has_is_not_seen_by_its_neighbour() {
    let mut leaked = Vec::new();
    let stage = open(2);
    let fresh = value(&mut stage.raw("bob"), LOOK);
    for (kind, sql) in KINDS {
        let mut alice = stage.raw("alice");
        alice.send(&raw::query(sql));
        alice.frames_until(b'Z');
        let mut bob = stage.raw("bob");
        let found = value(&mut bob, LOOK);
        if found != fresh {
            leaked.push(format!("{kind}: {found}"));
        }
        alice.query("rollback");
        leave(alice, 0);
    }
    assert!(leaked.is_empty(), "fresh: {fresh}\n{leaked:#?}");
}

/// The same of what a login carries: the settings of a startup packet are of one session.
#[test]
fn the_settings_of_a_login_end_with_it() {
    let stage = open(1);
    let fresh = value(&mut stage.raw("bob"), LOOK);
    for (name, text) in [
        ("TimeZone", "Asia/Tokyo"),
        ("search_path", "pg_catalog"),
        ("options", "-c work_mem=77MB -c statement_timeout=9s"),
        ("DateStyle", "SQL, DMY"),
        ("extra_float_digits", "3"),
    ] {
        let Ok(mut alice) = Raw::try_login(&stage.login("alice"), &[(name, text)]) else {
            continue;
        };
        value(&mut alice, "select 1");
        let beside = value(&mut stage.raw("bob"), LOOK);
        assert_eq!(beside, fresh, "{name} beside");
        drop(alice);
        assert_eq!(value(&mut stage.raw("bob"), LOOK), fresh, "{name} behind");
    }
}

/// V29, CVE-2016-2193's kin: what a sequence or a seed told the one is not for the other.
#[test]
fn sequences_and_seeds_are_of_one_session() {
    let stage = open(1);
    stage
        .database
        .sql("create table s (id serial primary key, note text)");
    for sql in [
        "insert into s (note) values ('a')",
        "select nextval('s_id_seq')",
        "select setseed(0.25)",
    ] {
        let mut alice = stage.raw("alice");
        let answer = alice.query(sql);
        assert!(
            answer.iter().all(|it| it.tag != b'E'),
            "{sql}: {}",
            said(&answer)
        );
        drop(alice);
        let answer = stage.raw("bob").query("select lastval()");
        let refused = answer.iter().find(|it| it.tag == b'E').map(Frame::sqlstate);
        assert_eq!(
            refused.as_deref(),
            Some("55000"),
            "behind {sql}: {}",
            said(&answer)
        );
    }
    let seeded = "select random()";
    let direct = stage.database.sql("select setseed(0.25); select random()");
    let found = value(&mut stage.raw("bob"), seeded);
    assert_ne!(Some(found.as_str()), direct.lines().last());
}

/// R22, CVE-2024-45624 (pgpool's cache showed rows across users), pgdog#1285: two tenants in one database,
/// by two roles. Nobody ever runs as the other.
#[test]
fn cve_2024_45624_tenants_never_share_a_connection_or_a_result() {
    let database = harness::stage::table();
    let upstream = |role: &Role| {
        format!(
            "host = 'localhost'\nport = {}\ndatabase = '{}'\nuser = '{}'\npassword = '{}'\nsslrootcert = '{}'\n",
            harness::postgres().port(),
            database.name,
            role.name,
            role.password,
            harness::upstream_root_cert().display()
        )
    };
    let setup = Setup {
        rules: ALL.to_owned(),
        more: format!(
            "[tenant.other]\n{}pool_size = 1\n",
            upstream(&database.read)
        ),
        tenant: "pool_size = 1\n".to_owned(),
        ..Setup::default()
    };
    let gate = harness::Gate::start(&setup.config(&database));
    database.sql("revoke select on t from public");
    database.sql(&format!("revoke all on t from {}", database.read.name));
    let stage = Stage { gate, database };
    let mut one = stage.raw("alice");
    let mut other = Raw::login(&stage.login("bob").database("other"));
    for round in 0..60 {
        assert_eq!(
            value(&mut one, "select current_user::text"),
            stage.database.write.name
        );
        assert_eq!(value(&mut one, "select count(*)::text from t"), "3");
        assert_eq!(
            value(&mut other, "select current_user::text"),
            stage.database.read.name
        );
        let answer = other.query("select count(*)::text from t");
        let refused = answer.iter().find(|it| it.tag == b'E');
        assert_eq!(
            refused.map(Frame::sqlstate).as_deref(),
            Some("42501"),
            "round {round}: {}",
            said(&answer)
        );
    }
}

/// R118: no result outlives the right to see it.
#[test]
fn a_result_is_not_kept() {
    let stage = open(1);
    let mut alice = stage.raw("alice");
    let sql = "select count(*) from t where note = 'one'";
    assert_eq!(value(&mut alice, sql), "1");
    stage
        .database
        .sql("update t set note = 'gone' where id = 1");
    assert_eq!(value(&mut alice, sql), "0");
    let role = stage.database.write.name.clone();
    stage.database.sql(&format!("revoke all on t from {role}"));
    let answer = alice.query(sql);
    assert!(answer.iter().any(|it| it.tag == b'E'), "{}", said(&answer));
}

/// R47: pgdog#1285, a channel of one database was heard in another.
#[test]
fn a_channel_is_of_one_database() {
    let stage = open(2);
    let twin = open(2);
    let (mut here, mut there) = (stage.raw("alice"), twin.raw("alice"));
    for client in [&mut here, &mut there] {
        let answer = client.query("listen news");
        assert_eq!(raw::tags(&answer).chars().last(), Some('Z'));
        assert!(answer.iter().all(|it| it.tag != b'E'), "{}", said(&answer));
    }
    stage.database.sql("notify news, 'here'");
    assert_eq!(here.frame().tag, b'A');
    there.is_silent_for(super::SILENCE);
    // Nor by whoever comes next.
    drop(here);
    let mut next = stage.raw("bob");
    stage.database.sql("notify news, 'again'");
    value(&mut next, "select 1");
    next.is_silent_for(super::SILENCE);
}

/// R24, V16: a named dblink connection survives DISCARD ALL; it may not survive its session.
#[test]
fn a_dblink_is_of_one_session() {
    let stage = open(1);
    let server = Postgres::start(options()).unwrap();
    let there = "select count(*) from pg_available_extensions where name = 'dblink'";
    if stage.database.sql(there) == "0" {
        eprintln!("dblink is not installed here: nothing to see");
        return;
    }
    stage.database.sql("create extension dblink");
    let role = &stage.database.write.name;
    stage.database.sql(&format!(
        "grant execute on function dblink_connect_u(text, text) to {role}"
    ));
    let mut alice = stage.raw("alice");
    let connect = format!(
        "select dblink_connect_u('leaked', 'host=localhost port={} user=postgres password={} dbname=postgres')",
        server.port(),
        server.password()
    );
    assert_eq!(value(&mut alice, &connect), "OK");
    drop(alice);
    let names = "select coalesce(array_length(dblink_get_connections(), 1), 0)::text";
    assert_eq!(value(&mut stage.raw("bob"), names), "0");
    eventually("the connection is gone", || {
        let count = "select count(*) from pg_stat_activity where client_port > 0 and pid <> pg_backend_pid() and backend_type = 'client backend'";
        server.sql("postgres", count).unwrap() == "0"
    });
}
