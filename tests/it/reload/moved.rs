//! Tenants that lead elsewhere behind a reload, or nowhere: new work goes there, and what began elsewhere ends there.

use harness::raw::{self, Raw};
use harness::stage::{eventually, held_raw, pool_figure, table};
use harness::{Database, psql};

use super::{Changing, farewell, leads, pids, said, value};

/// A tenant `shop` that leads to one of two databases, whose row 1 says which it is.
fn two() -> (Changing, [Database; 2]) {
    let databases = ["A", "B"].map(|name| {
        let database = table();
        database.sql(&format!("update t set note = '{name}' where id = 1"));
        database
    });
    let more = leads("shop", &databases[0]);
    let it = Changing::new(|setup| setup.more = more);
    (it, databases)
}

const WHERE: &str = "select note from t where id = 1";

impl Changing {
    fn shop(&self) -> Raw {
        Raw::login(&self.stage.login("alice").database("shop"))
    }

    #[track_caller]
    fn lead(&mut self, to: &Database) {
        let report = self.change(|setup| setup.more = leads("shop", to));
        assert_eq!(said(&report, "tenants_changed"), "1");
        assert_eq!(said(&report, "sessions_ended"), "0");
    }
}

#[test]
fn new_work_goes_where_the_tenant_leads_now() {
    let (mut it, [a, b]) = two();
    let (mut idle, mut pinned, mut driver) = (it.shop(), it.shop(), it.shop());
    assert_eq!(value(&mut idle, WHERE), "A");
    pinned.query("begin");
    assert_eq!(value(&mut pinned, WHERE), "A");
    let prepare = [
        raw::parse("s", WHERE),
        raw::describe(b'S', "s"),
        raw::sync(),
    ]
    .concat();
    driver.send(&prepare);
    driver.frames_until(b'Z');
    idle.query("set timezone = 'Asia/Tokyo'");

    it.lead(&b);
    assert_eq!(value(&mut idle, WHERE), "B");
    assert_eq!(
        value(&mut idle, "show timezone"),
        "Asia/Tokyo",
        "what is the session's own follows"
    );
    // A transaction ends where it began.
    assert_eq!(value(&mut pinned, WHERE), "A");
    assert_eq!(
        pids(&a).split(' ').count(),
        1,
        "what lay unused there is closed"
    );
    pinned.query("commit");
    assert_eq!(value(&mut pinned, WHERE), "B");
    eventually("the last connection of before is closed", || {
        pids(&a).is_empty()
    });
    // A statement that was prepared there, and one that is only looked at.
    driver.send(&[raw::bind("", "s"), raw::execute(""), raw::sync()].concat());
    let answer = driver.frames_until(b'Z');
    let row = answer.iter().find(|it| it.tag == b'D').unwrap();
    assert_eq!(row.columns()[0].as_deref(), Some("B"));
    it.lead(&a);
    driver.send(
        &[
            raw::parse("u", WHERE),
            raw::describe(b'S', "u"),
            raw::sync(),
        ]
        .concat(),
    );
    assert_eq!(raw::tags(&driver.frames_until(b'Z')), "S1tTZ");
    assert_eq!(value(&mut driver, WHERE), "A");
}

/// What people signed for is good where they signed for it; a reload flips no ticket (hazards R68).
#[test]
fn what_waits_does_not_run_elsewhere_and_is_good_again_where_it_was_asked_for() {
    let (mut it, [a, b]) = two();
    let sql = "update t set note = 'signed' where id = 2";
    let count = |database: &Database| database.sql("select count(*) from t where note = 'signed'");
    let mut alice = it.shop();
    alice.send(&raw::query(sql));
    let ticket = held_raw(&mut alice);

    it.lead(&b);
    let answer = alice.frames_until(b'Z');
    let error = raw::error(&answer);
    assert_eq!(error.sqlstate(), "ZG012", "{}", error.describe());
    assert!(error.field('D').unwrap().contains(&ticket));
    assert_eq!(it.stage.state(&ticket), "pending");
    it.stage.approve(&ticket);
    // The same bytes ask for a ticket of their own there.
    alice.send(&raw::query(sql));
    // First it hears what is otherwise there: who it is, by the server's word.
    let told = alice.frame();
    assert_eq!(
        told.describe(),
        format!("'S' session_authorization·{}·", b.write.name)
    );
    let there = held_raw(&mut alice);
    assert_ne!(there, ticket);
    assert_eq!((&*count(&a), &*count(&b)), ("0", "0"));
    it.lead(&a);
    assert_eq!(raw::error(&alice.frames_until(b'Z')).sqlstate(), "ZG012");
    let answer = alice.query(sql);
    assert_eq!(raw::tags(&answer), "SCZ", "{}", answer[0].describe());
    assert_eq!((&*count(&a), &*count(&b)), ("1", "0"));
    assert_eq!(it.stage.state(&ticket), "done");
    assert_eq!(it.stage.state(&there), "pending");
}

#[test]
fn a_hold_in_a_transaction_stays_with_it() {
    let (mut it, [a, b]) = two();
    let mut alice = it.shop();
    alice.query("begin");
    assert_eq!(value(&mut alice, WHERE), "A");
    alice.send(&raw::query("update t set note = 'signed' where id = 2"));
    let ticket = held_raw(&mut alice);
    it.lead(&b);
    it.stage.approve(&ticket);
    assert_eq!(raw::tags(&alice.frames_until(b'Z')), "NCZ");
    alice.query("commit");
    assert_eq!(a.sql("select note from t where id = 2"), "signed");
    assert_eq!(value(&mut alice, WHERE), "B");
}

/// What was judged where the tenant led is not sent where it leads now.
#[test]
fn who_waits_for_a_connection_there_is_told() {
    let (mut it, [a, b]) = two();
    it.change(|setup| setup.more = leads("shop", &a) + "pool_size = 1\n");
    let (mut first, mut second) = (it.shop(), it.shop());
    first.query("begin");
    assert_eq!(value(&mut first, WHERE), "A");
    second.query("begin");
    second.send(&raw::query(WHERE));
    eventually("the second waits for a connection", || {
        pool_figure(&it.stage, "shop", "cl_waiting") == "1"
    });
    it.lead(&b);
    let answer = second.frames_until(b'Z');
    assert_eq!(
        raw::error(&answer).sqlstate(),
        "ZG012",
        "{}",
        raw::error(&answer).describe()
    );
    second.query("rollback");
    assert_eq!(value(&mut second, WHERE), "B");
    first.query("commit");
}

#[test]
fn another_password_or_size_is_taken_up_and_who_waits_goes_on() {
    let (mut it, [a, _]) = two();
    let small = leads("shop", &a) + "pool_size = 1\n";
    it.change(|setup| setup.more = small.clone());
    let (mut first, mut second) = (it.shop(), it.shop());
    first.query("begin");
    assert_eq!(value(&mut first, WHERE), "A");
    second.query("begin");
    second.send(&raw::query(WHERE));
    eventually("the second waits for a connection", || {
        pool_figure(&it.stage, "shop", "cl_waiting") == "1"
    });
    let report = it.change(|setup| setup.more = small.replace("= 1", "= 2"));
    assert_eq!(said(&report, "tenants_changed"), "1");
    let answer = second.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "TDCZ", "{}", answer[0].describe());
    for client in [&mut first, &mut second] {
        client.query("commit");
    }

    let secret = "another password";
    a.sql(&format!("alter role {} password '{secret}'", a.write.name));
    let mut renewed = a.clone();
    renewed.write.password = secret.to_owned();
    it.lead(&renewed);
    eventually("the connections of before are closed", || {
        pids(&a).is_empty()
    });
    assert_eq!(value(&mut first, WHERE), "A");
}

#[test]
fn a_tenant_that_is_removed_ends_its_sessions() {
    let (mut it, [a, _]) = two();
    let (mut idle, mut works) = (it.shop(), it.shop());
    works.query("begin");
    assert_eq!(value(&mut works, WHERE), "A");
    let mut waits = it.stage.raw("alice");
    let report = it.change(|setup| setup.more.clear());
    assert_eq!(said(&report, "tenants_removed"), "1");
    for client in [&mut idle, &mut works] {
        let why = farewell(client).field('M').unwrap();
        assert!(why.contains("database \"shop\" was removed"), "{why}");
    }
    assert_eq!(value(&mut waits, "select 1"), "1");
    eventually("its connections are closed", || pids(&a).is_empty());
    let refused = psql(&it.stage.login("alice").database("shop"))
        .query("select 1")
        .failed(2);
    assert!(refused.stderr.contains("does not exist"), "{refused:?}");
}
