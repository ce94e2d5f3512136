//! Grants drift, and configurations change, under sessions that are there already (hazards R116).

use harness::raw;

use super::{Room, shared};

const FROM_NOW_ON: (&str, &str, &str) = (
    "alter role {team} bypassrls",
    "alter role {team} nobypassrls",
    "not isolated: role {team}: has BYPASSRLS",
);

/// A session of before is told at its next request, and goes on with it once the grants are mended.
#[test]
fn a_tenant_that_fails_later_serves_no_new_request() {
    let (misgrant, mend, found) = FROM_NOW_ON;
    let mut room = Room::new(shared::TABLES).start(shared::KEYS);
    let (mut idle, mut busy) = (room.raw(), room.raw());
    assert_eq!(raw::tags(&idle.query("select 1")), "TDCZ");
    busy.query("begin");
    busy.query("update items set note = 'changed'");
    room.sql(misgrant);
    room.reload();
    // The first login finds it.
    room.ask("select 1").failed(2);
    let found = room.fill(found);
    room.gate.as_mut().unwrap().stderr().wait_for(&found);
    assert_eq!(raw::error(&idle.query("select 1")).sqlstate(), "ZG013");
    assert_eq!(
        raw::error(&busy.query("update items set note = 'more'")).sqlstate(),
        "ZG013"
    );
    room.sql(mend);
    room.reload();
    assert_eq!(raw::tags(&idle.query("select 1")), "TDCZ");
    busy.query("rollback");
    assert_eq!(raw::tags(&busy.query("select 1")), "TDCZ");
    assert_eq!(room.sql("select note from items where id = 1"), "ours");
}

/// A test that is due is made at the next request, and nobody has to log in for it.
#[test]
fn a_session_alone_finds_out() {
    let (misgrant, mend, found) = FROM_NOW_ON;
    let mut room = Room::new(shared::TABLES).start(shared::KEYS);
    let mut idle = room.raw();
    room.sql(misgrant);
    room.reload();
    // It goes by what was known, and has it tested.
    idle.query("select 1");
    let found = room.fill(found);
    room.gate.as_mut().unwrap().stderr().wait_for(&found);
    harness::stage::eventually("the session is refused", || {
        idle.query("select 1")[0].tag == b'E'
    });
    room.sql(mend);
    room.reload();
    assert_eq!(raw::tags(&idle.query("select 1")), "TDCZ");
}

#[test]
fn a_reload_adds_isolation_to_a_misgranted_tenant() {
    let (misgrant, mend, _) = FROM_NOW_ON;
    let mut room = Room::new(shared::TABLES).start("");
    room.sql(misgrant);
    let mut before = room.raw();
    assert_eq!(
        raw::tags(&before.query("select 1")),
        "TDCZ",
        "nothing is said of it"
    );
    room.change(shared::KEYS);
    assert_eq!(raw::error(&before.query("select 1")).sqlstate(), "ZG013");
    room.refuses("role {team}: has BYPASSRLS");
    room.sql(mend);
    room.reload();
    room.serves();
    let tags = raw::tags(&before.query("select 1"));
    assert!(tags.ends_with("TDCZ"), "{tags}");
}

/// What somebody has asked for on the console is asked for in the tenant: it leads out of it no more than that.
#[test]
fn a_request_on_the_console_stays_within_as_well() {
    let room = Room::new(shared::TABLES).start(shared::KEYS);
    let login = room
        .gate()
        .login("alice", &harness::stage::password("alice"), "portcullis");
    let ask = room.fill("REQUEST ON {team} 'set app.tenant = 1'");
    let answer = raw::Raw::login(&login).query(&ask);
    assert_eq!(raw::error(&answer).sqlstate(), "ZG001");
}
