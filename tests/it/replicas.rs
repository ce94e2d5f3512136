//! Reads on replicas that really follow, over streaming replication, and what becomes of writes when one of them is promoted.

use std::thread;
use std::time::{Duration, Instant};

use harness::options;
use harness::psql;
use harness::raw::{self, Frame, Raw};
use harness::sandbox::{Postgres, Shutdown};
use harness::stage::{Setup, Stage, eventually, held_raw, leave_approved, pool_figure};
use harness::switch::Switch;

const UPDATE: &str = "update t set note = 'new' where id = 1";
/// Everybody may read and write; what asks for what a rule does not name is held.
const WRITES: &str = r#"
[[rule]]
name = "writes"
class = ["read", "write", "session"]
verdict = "allow"
"#;

fn primary() -> Postgres {
    let server = Postgres::start(options()).unwrap();
    let tables = "create table t (id int primary key, note text); insert into t values (1, 'one'); \
                  create unlogged table u (id int); insert into u values (1); \
                  create view shows_u as select id from u; create sequence s; \
                  create table n (i int); insert into n values (0)";
    server.sql("postgres", tables).unwrap();
    server
}

fn follow(primary: &Postgres) -> Postgres {
    Postgres::follow(primary, options()).unwrap()
}

/// A gate whose tenant leads to `port`, with these keys.
fn gate(port: u16, password: &str, tenant: &str, rules: &str) -> Stage {
    let upstream = format!(
        "host = 'localhost'\nport = {port}\ndatabase = 'postgres'\nuser = 'postgres'\n\
         password = '{password}'\nsslmode = 'disable'"
    );
    Setup {
        top: "workers = 2".to_owned(),
        upstream: Some(upstream),
        tenant: tenant.to_owned(),
        rules: rules.to_owned(),
        ..Setup::default()
    }
    .start()
}

fn before(primary: &Postgres, replicas: &[&Postgres], tenant: &str) -> Stage {
    let tenant = format!("{}\n{tenant}", places(replicas));
    gate(primary.port(), primary.password(), &tenant, WRITES)
}

fn places(replicas: &[&Postgres]) -> String {
    let place = |it: &&Postgres| format!("'localhost:{}'", it.port());
    let places: Vec<_> = replicas.iter().map(place).collect();
    format!("replicas = [{}]", places.join(", "))
}

/// Whether a server was asked for this.
fn ran_on(server: &Postgres, sql: &str) -> bool {
    std::fs::read_to_string(server.log_path())
        .unwrap()
        .contains(sql)
}

/// The first value of an answer that has one.
#[track_caller]
fn value(answer: &[Frame]) -> String {
    let said: Vec<_> = answer.iter().map(Frame::describe).collect();
    let row = answer.iter().find(|it| it.tag == b'D');
    let row = row.unwrap_or_else(|| panic!("no row: {said:?}"));
    row.columns()[0].clone().unwrap()
}

/// Reads until a replica has served it.
#[track_caller]
fn wait_for_a_replica(client: &mut Raw, replica: &Postgres, mark: &str) {
    let mut turn = 0;
    eventually("a replica is read from", || {
        turn += 1;
        let sql = format!("select i, '{mark} {turn}' from n");
        assert_eq!(raw::tags(&client.query(&sql)), "TDCZ");
        ran_on(replica, &sql)
    });
}

/// One column of a replica, as the console shows it.
fn shown(stage: &Stage, column: &str) -> String {
    let replicas = psql(&stage.console("carol"))
        .arg("-x")
        .query("SHOW REPLICAS")
        .ok();
    let value = replicas
        .stdout
        .lines()
        .find_map(|it| it.strip_prefix(&format!("{column}|")).map(str::to_owned));
    value.unwrap_or_default()
}

#[test]
fn reads_of_tables_run_on_a_replica_and_nothing_else_does() {
    let primary = primary();
    let replica = follow(&primary);
    let stage = before(&primary, &[&replica], "");
    let mut client = stage.raw("alice");
    wait_for_a_replica(&mut client, &replica, "first");
    assert_eq!(shown(&stage, "state"), "follows");
    let mut other = stage.raw("bob");
    for sql in [
        "select pg_is_in_recovery(), 'recovery' from n",
        "select inet_server_port(), 'port' from n",
        "select pg_current_wal_lsn(), 'lsn' from n",
        "select count(*), 'activity' from pg_stat_activity",
        "select last_value, 'sequence' from s",
        "select id, 'unlogged' from u",
        "select id, 'shows unlogged' from shows_u",
        "select i, 'share' from n for share",
        "select nextval('s'), 'nextval' from n",
        "select txid_current(), 'txid' from n",
        // From here on the session keeps its connection.
        "select pg_try_advisory_lock(1), 'lock' from n",
        "select i, 'pinned' from n",
    ] {
        let answer = other.query(sql);
        let said: Vec<_> = answer.iter().map(Frame::describe).collect();
        assert_eq!(raw::tags(&answer), "TDCZ", "{sql}: {said:?}");
        assert!(!ran_on(&replica, sql), "{sql}");
        assert!(ran_on(&primary, sql), "{sql}");
    }
    assert_eq!(value(&client.query("select pg_is_in_recovery()")), "f");
    client.query("begin");
    let inside = "select i, 'inside' from n";
    assert_eq!(raw::tags(&client.query(inside)), "TDCZ");
    client.query("commit");
    client.query("set default_transaction_isolation = serializable");
    let strict = "select i, 'strict' from n";
    assert_eq!(raw::tags(&client.query(strict)), "TDCZ");
    client.query("reset default_transaction_isolation");
    assert!(!ran_on(&replica, inside) && !ran_on(&replica, strict));
    // A new unlogged table is known as soon as the gate has seen it made.
    let mut owner = stage.raw("carol");
    owner.send(&raw::query("create unlogged table fresh (id int)"));
    stage.approve(&held_raw(&mut owner));
    let made = owner.frames_until(b'Z');
    assert!(raw::tags(&made).ends_with("CZ"), "{made:?}");
    for _ in 0..20 {
        assert_eq!(raw::tags(&client.query("select id from fresh")), "TCZ");
    }
    wait_for_a_replica(&mut client, &replica, "last");
    let prepared = "select i, 'prepared' from n";
    client.send(&[raw::parse("p", prepared), raw::sync()].concat());
    client.frames_until(b'Z');
    eventually("a prepared read runs there", || {
        let bound = [raw::bind("", "p"), raw::execute(""), raw::sync()].concat();
        client.send(&bound);
        assert_eq!(raw::tags(&client.frames_until(b'Z')), "2DCZ");
        ran_on(&replica, prepared)
    });
}

/// Hazards R120: whatever the replica lacks, whoever wrote it sees it, over whichever of their connections.
#[test]
fn nobody_misses_what_they_wrote_themselves() {
    let primary = primary();
    let replica = follow(&primary);
    let keys = "replica_lag_max = '1 min'\nreplica_wait = '2 s'";
    let stage = before(&primary, &[&replica], keys);
    let (mut alice, mut again) = (stage.raw("alice"), stage.raw("alice"));
    wait_for_a_replica(&mut alice, &replica, "alice");
    let mut wrote = 0;
    for delay_ms in [0, 40, 400] {
        let delay = format!("alter system set recovery_min_apply_delay = '{delay_ms} ms'");
        replica.sql("postgres", &delay).unwrap();
        replica.sql("postgres", "select pg_reload_conf()").unwrap();
        let mut there = 0;
        for turn in 0..if delay_ms < 100 { 40 } else { 4 } {
            wrote += 1;
            let update = format!("update n set i = {wrote}");
            assert_eq!(raw::tags(&alice.query(&update)), "CZ");
            let sql = format!("select i, 'own {delay_ms} {turn}' from n");
            let client = [&mut alice, &mut again].into_iter().nth(turn % 2).unwrap();
            assert_eq!(value(&client.query(&sql)), wrote.to_string(), "{sql}");
            there += usize::from(ran_on(&replica, &sql));
        }
        assert!(
            there > 0,
            "with a delay of {delay_ms} ms all went to the primary"
        );
    }
}

#[test]
fn a_wait_for_ones_own_writes_ends_at_the_primary() {
    let primary = primary();
    let replica = follow(&primary);
    let keys = "replica_lag_max = '10 min'\nreplica_wait = '300 ms'";
    let stage = before(&primary, &[&replica], keys);
    let (mut alice, mut bob) = (stage.raw("alice"), stage.raw("bob"));
    wait_for_a_replica(&mut bob, &replica, "bob");
    replica
        .sql("postgres", "select pg_wal_replay_pause()")
        .unwrap();
    assert_eq!(raw::tags(&alice.query("update n set i = 7")), "CZ");
    let since = Instant::now();
    let own = "select i, 'own' from n";
    assert_eq!(value(&alice.query(own)), "7");
    assert!(since.elapsed() >= Duration::from_millis(300));
    assert!(!ran_on(&replica, own));
    // Who wrote nothing may see what was.
    let others = "select i, 'others' from n";
    assert_eq!(value(&bob.query(others)), "0");
    assert!(ran_on(&replica, others));
    replica
        .sql("postgres", "select pg_wal_replay_resume()")
        .unwrap();
    wait_for_a_replica(&mut alice, &replica, "again");
    assert_eq!(value(&alice.query("select i from n")), "7");
}

#[test]
fn a_replica_that_is_too_far_behind_serves_nobody_and_an_idle_one_is_not_behind() {
    let primary = primary();
    let replica = follow(&primary);
    let stage = before(&primary, &[&replica], "replica_lag_max = '400 ms'");
    let mut bob = stage.raw("bob");
    wait_for_a_replica(&mut bob, &replica, "bob");
    // Nobody writes for longer than that.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) {
        let sql = format!("select i, 'idle {:?}' from n", since.elapsed());
        bob.query(&sql);
        thread::yield_now();
    }
    wait_for_a_replica(&mut bob, &replica, "idle");
    replica
        .sql("postgres", "select pg_wal_replay_pause()")
        .unwrap();
    primary.sql("postgres", "update n set i = 7").unwrap();
    let written = Instant::now();
    let mut missed = 0;
    while written.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        let seen = value(&bob.query("select i from n"));
        if seen != "7" {
            missed += 1;
            // What it shows is of a moment after the sample before the write, and before it was asked.
            assert!(
                asked - written <= Duration::from_millis(400),
                "{:?}",
                asked - written
            );
        }
    }
    assert!(missed > 0, "it was read from at first");
    assert_eq!(shown(&stage, "state"), "follows");
    let lag: u128 = shown(&stage, "lag_ms").parse().unwrap();
    assert!(lag > 400, "{lag}");
    replica
        .sql("postgres", "select pg_wal_replay_resume()")
        .unwrap();
    wait_for_a_replica(&mut bob, &replica, "caught up");
}

#[test]
fn reads_go_to_the_primary_while_replicas_are_down_or_of_another_cluster() {
    let primary = primary();
    let mut replica = follow(&primary);
    let other = Postgres::start(options()).unwrap();
    other
        .sql(
            "postgres",
            "create table n (i int); insert into n values (666)",
        )
        .unwrap();
    let stranger = follow(&other);
    let password = format!("alter role postgres password '{}'", primary.password());
    other.sql("postgres", &password).unwrap();
    let stage = before(&primary, &[&stranger, &replica], "replica_wait = '5 s'");
    let mut client = stage.raw("alice");
    wait_for_a_replica(&mut client, &replica, "first");
    eventually("the other cluster is known", || {
        client.query("select i from n");
        shown(&stage, "state") == "of another cluster"
    });
    replica.halt(Shutdown::Immediate);
    let since = Instant::now();
    let mut turn = 0;
    // Up to one error in the answer that was on its way: here, none was.
    while since.elapsed() < Duration::from_secs(2) {
        turn += 1;
        let sql = format!("select i, 'without {turn}' from n");
        assert_eq!(value(&client.query(&sql)), "0");
        assert!(!ran_on(&stranger, &sql));
    }
    assert!(turn > 20, "nobody waits for what is down: {turn}");
    replica.resume().unwrap();
    wait_for_a_replica(&mut client, &replica, "back");
}

fn promote(server: &Postgres) {
    assert_eq!(server.sql("postgres", "select pg_promote()").unwrap(), "t");
}

#[test]
fn a_promotion_behind_the_address_is_followed_and_the_old_primary_is_refused() {
    let mut old = primary();
    let new = follow(&old);
    let switch = Switch::to(old.port());
    let keys = format!("{}\nwait = '60 s'", places(&[&new]));
    let mut stage = gate(switch.port(), old.password(), &keys, harness::stage::RULES);
    let name = stage.database.name.clone();
    let mut reader = stage.raw("bob");
    wait_for_a_replica(&mut reader, &new, "before");
    let approved = leave_approved(&stage, UPDATE);
    let timeline = |stage: &Stage| pool_figure(stage, &name, "timeline");
    // The pools for reads and writes, and that of the replica.
    assert_eq!(timeline(&stage), "3");

    old.halt(Shutdown::Immediate);
    let mut writer = stage.raw("alice");
    writer.send(&raw::query(UPDATE));
    stage.gate.stderr().wait_for("could not log in upstream");
    // The address leads to it before it is promoted: it is waited for.
    switch.lead_to(new.port(), true);
    stage
        .gate
        .stderr()
        .wait_for("server is in recovery, it takes no writes");
    assert_eq!(stage.state(&approved), "approved");
    promote(&new);
    assert_eq!(raw::tags(&writer.frames_until(b'Z')), "CZ");
    assert_eq!(stage.state(&approved), "done");
    let note = "select note from t where id = 1";
    assert_eq!(new.sql("postgres", note).unwrap(), "new");
    assert_eq!(value(&reader.query(note)), "new");
    eventually("the failover is shown", || timeline(&stage) == "6");
    eventually("it is no replica any more", || {
        reader.query(note);
        shown(&stage, "state") == "not in recovery"
    });

    old.resume().unwrap();
    switch.lead_to(old.port(), true);
    let second = leave_approved(&stage, "update t set note = 'newer' where id = 1");
    let mut writer = stage.raw("alice");
    writer.send(&raw::query("update t set note = 'newer' where id = 1"));
    stage
        .gate
        .stderr()
        .wait_for("server is on timeline 1, and timeline 2 has been met");
    assert_eq!(stage.state(&second), "approved");
    switch.lead_to(new.port(), true);
    assert_eq!(raw::tags(&writer.frames_until(b'Z')), "CZ");
    assert_eq!(new.sql("postgres", note).unwrap(), "newer");
    assert_eq!(old.sql("postgres", note).unwrap(), "one");
}

#[test]
fn a_write_to_a_standby_waits_and_then_says_why() {
    let primary = primary();
    let standby = follow(&primary);
    let switch = Switch::to(standby.port());
    let mut stage = gate(
        switch.port(),
        primary.password(),
        "wait = '2 s'",
        harness::stage::RULES,
    );
    let mut client = stage.raw("alice");
    assert_eq!(value(&client.query("select note from t")), "one");
    let ticket = leave_approved(&stage, UPDATE);
    let answer = client.query(UPDATE);
    let error = raw::error(&answer);
    assert_eq!(error.sqlstate(), "57P03", "{}", error.describe());
    let name = &stage.database.name;
    assert_eq!(
        error.field('M').unwrap(),
        format!("the server of database \"{name}\" takes no writes now")
    );
    assert_eq!(stage.state(&ticket), "approved");
    switch.lead_to(primary.port(), false);
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
    assert_eq!(
        primary.sql("postgres", "select note from t").unwrap(),
        "new"
    );
    stage
        .gate
        .stderr()
        .wait_for("server is in recovery, it takes no writes");
}
