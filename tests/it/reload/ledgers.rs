//! A ledger over a reload: it goes where its tenant goes, and no other tenant's reload touches it. With it, keys of tenants, which
//! no reload changes.

use harness::raw::{self, Raw};
use harness::stage::{eventually, held_raw, portcullis, shared, table};
use harness::{Database, Role};

use super::{Changing, leads, said, value};

/// A tenant with a ledger, whose `t` waits for people.
fn with_ledger(more: String) -> Changing {
    Changing::new(|setup| {
        setup.ledger = true;
        setup.more = more;
    })
}

fn rows(database: &Database) -> String {
    database.sql("select coalesce(string_agg(ticket || ' ' || fate, ', ' order by at, ticket), '') from portcullis.ledger")
}

impl Changing {
    /// Something that is signed, and runs.
    #[track_caller]
    fn sign(&self, client: &mut Raw, sql: &str) -> String {
        client.send(&raw::query(sql));
        let ticket = held_raw(client);
        self.stage.approve(&ticket);
        let answer = client.frames_until(b'Z');
        assert!(
            raw::tags(&answer).ends_with("CZ"),
            "{}",
            answer[0].describe()
        );
        ticket
    }

    /// Something that is signed, and of which the server says no more: it ends the connection.
    #[track_caller]
    fn leave_in_doubt(&self, there: &Database, sql: &str) -> String {
        let mut other = Raw::login(&there.login(&there.write));
        other.query("begin; lock table t in access exclusive mode");
        let mut alice = self.stage.raw("alice");
        alice.send(&raw::query(sql));
        let ticket = held_raw(&mut alice);
        self.stage.approve(&ticket);
        let waits =
            "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        eventually("it waits for the lock", || {
            there.sql(&format!("select count(*) {waits}")) == "1"
        });
        there.sql(&format!("select pg_terminate_backend(pid) {waits}"));
        other.query("rollback");
        alice.frames_until_closed();
        ticket
    }
}

/// The server's process ids of whoever fences.
fn fencing(it: &Changing) -> String {
    let Role { name, .. } = &it.stage.database.ledger;
    it.stage.database.sql(&format!(
        "select string_agg(pid::text, ' ') from pg_stat_activity where usename = '{name}'"
    ))
}

#[test]
fn a_ledger_stays_where_another_tenant_changes() {
    let other = table();
    let mut it = with_ledger(leads("other", &other));
    let database = it.stage.database.clone();
    let mut alice = it.stage.raw("alice");
    let first = it.sign(&mut alice, "delete from t where id = 1");
    let second = it.leave_in_doubt(&database, "delete from t where id = 2");
    it.stage.wait_state(&second, "fenced");
    let before = fencing(&it);
    assert_ne!(before, "");

    let report = it.change(|setup| setup.more = leads("other", &other) + "pool_size = 2\n");
    assert_eq!(said(&report, "tenants_changed"), "1");
    assert_eq!(fencing(&it), before, "its connection is that of before");
    let third = it.sign(&mut alice, "delete from t where id = 1");
    let fourth = it.leave_in_doubt(&database, "delete from t where id = 2");
    it.stage.wait_state(&fourth, "fenced");
    assert_eq!(fencing(&it), before);
    let all = [
        (first, "ran"),
        (second, "fenced"),
        (third, "ran"),
        (fourth, "fenced"),
    ];
    let all = all.map(|(ticket, fate)| format!("{ticket} {fate}"));
    assert_eq!(rows(&database), all.join(", "));
}

#[test]
fn a_ledger_goes_where_its_tenant_goes() {
    let b = table();
    let mut it = with_ledger(String::new());
    let a = it.stage.database.clone();
    let mut alice = it.stage.raw("alice");
    let first = it.sign(&mut alice, "delete from t where id = 1");
    let second = it.leave_in_doubt(&a, "delete from t where id = 2");
    it.stage.wait_state(&second, "fenced");
    assert_ne!(fencing(&it), "");

    it.write(|setup| {
        setup.upstream = Some(shared(&b));
        setup.tenant = format!("database = '{}'\n", b.name);
    });
    it.stage.install(&["--apply", "--as", "postgres"]).ok();
    let report = it.reload();
    assert_eq!(said(&report, "tenants_changed"), "1");
    eventually("nobody fences there any more", || fencing(&it).is_empty());
    // Who comes now and who was there before both leave their rows there.
    assert_eq!(value(&mut alice, "select 1"), "1");
    let third = it.sign(&mut alice, "delete from t where id = 1");
    let fourth = it.leave_in_doubt(&b, "delete from t where id = 2");
    it.stage.wait_state(&fourth, "fenced");
    assert_eq!(rows(&a), format!("{first} ran, {second} fenced"));
    assert_eq!(rows(&b), format!("{third} ran, {fourth} fenced"));

    // One that is taken away is used no more.
    let report = it.change(|setup| setup.ledger = false);
    assert_eq!(said(&report, "tenants_changed"), "1");
    eventually("its connection is closed", || fencing(&it).is_empty());
    let fifth = it.sign(&mut alice, "delete from t where id = 3");
    assert!(!rows(&b).contains(&fifth), "{}", rows(&b));
}

/// What ran in a transaction that began elsewhere is not looked up in a ledger that knows nothing of it: that would say that it has
/// not run.
#[test]
fn what_is_in_doubt_elsewhere_is_not_asked_of_another_ledger() {
    let b = table();
    let mut it = with_ledger(String::new());
    let a = it.stage.database.clone();
    let mut alice = it.stage.raw("alice");
    alice.query("begin");
    it.sign(&mut alice, "delete from t where id = 1");
    let tenant = it.setup.clone();
    it.write(|setup| {
        setup.upstream = Some(shared(&b));
        setup.tenant = format!("database = '{}'\n", b.name);
    });
    it.stage.install(&["--apply", "--as", "postgres"]).ok();
    it.reload();
    let mut other = Raw::login(&a.login(&a.write));
    other.query("begin; update t set note = note where id = 2");
    alice.send(&raw::query("delete from t where id = 2"));
    let second = held_raw(&mut alice);
    it.stage.approve(&second);
    let waits = "from pg_stat_activity where wait_event_type = 'Lock' and usename <> 'postgres' and datname = current_database()";
    eventually("it waits for the lock", || {
        a.sql(&format!("select count(*) {waits}")) == "1"
    });
    a.sql(&format!("select pg_terminate_backend(pid) {waits}"));
    other.query("rollback");
    alice.frames_until_closed();
    it.stage
        .gate
        .stderr()
        .wait_for("the tenant leads elsewhere by now");
    it.stage.wait_state(&second, "in_doubt");
    assert_eq!((&*rows(&a), &*rows(&b)), ("", ""));
    // Where it leads back it is found out.
    it.change(|setup| *setup = tenant);
    it.stage.wait_state(&second, "fenced");
    assert!(rows(&a).contains(&format!("{second} fenced")));
    assert_eq!(rows(&b), "");
}

/// The keys are those of the start: nothing of a tenant that has one is ever written in clear text.
#[test]
fn no_reload_changes_a_key() {
    let other = table();
    let mut it = Changing::new(|setup| setup.more = leads("other", &other));
    let directory = it.stage.gate.directory().path().to_owned();
    let key = directory.join("other.key");
    portcullis(&["audit", "key", "--tenant", &key.to_string_lossy()]).ok();
    it.write(|setup| setup.more = leads("other", &other) + "encryption_key = 'other.key'\n");
    let text = std::fs::read_to_string(directory.join("portcullis.toml")).unwrap();
    let line = 1 + text
        .lines()
        .position(|it| it.contains("other.key"))
        .unwrap();
    let mut console = Raw::login(&it.stage.console("carol"));
    let refused = console.query("RELOAD");
    let error = raw::error(&refused);
    let message = error.field('M').unwrap();
    let why = format!(
        "portcullis.toml:{line}:18: tenant \"other\" had no \"encryption_key\" when this gate was started, expected a restart"
    );
    assert!(message.contains(&why), "{message}");
    assert_eq!(it.config("version"), "1");
    // With the configuration that it had it goes on.
    let report = it.change(|setup| setup.more = leads("other", &other));
    assert_eq!(said(&report, "version"), "2");
}
