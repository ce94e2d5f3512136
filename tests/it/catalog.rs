//! What the tenant's own catalog decides: the user's functions, operators, types, casts and views, read from the server and
//! read again when they change (parser.md, rules of use 3 and 4).

use harness::raw::{self, Raw};
use harness::stage::{Setup, Stage, eventually, ticket_in};

const OBJECTS: &str = "
    grant create on schema public to public;
    create table t (id int primary key, note text);
    insert into t values (1, 'one');
    create type mood as enum ('sad', 'ok');
    create domain positive as int check (value > 0);
    create sequence counter;
    create domain counted as int check (nextval('counter') > 0);
    create function double(int) returns int language sql immutable as 'select $1 * 2';
    create function latest() returns int language plpgsql stable as $$ begin return (select max(id) from t); end $$;
    create function anyhow(variadic int[] default '{}') returns int language sql stable as 'select 3';
    create function run() returns int language sql as 'select 1';
    create function owned() returns int language sql stable security definer as 'select 1';
    create function lower(varchar) returns text language sql volatile as $$ select 'mine' $$;
    create aggregate total(int) (sfunc = int4pl, stype = int);
    create function pick(int, int) returns bool language sql volatile as 'select true';
    create operator === (function = pick, leftarg = int, rightarg = int);
    create type rank as enum ('low', 'high');
    create function counting(rank) returns json language plpgsql volatile as
        $$ begin perform nextval('counter'); return '1'; end $$;
    create cast (rank as json) with function counting(rank);
    create type pair as (a counted);
    create view harmless as select double(id) as two, note from t;
    create view busy as select nextval('counter') as n;
    create view busier as select * from busy";

fn stage() -> Stage {
    Stage::with(|setup: &mut Setup| {
        OBJECTS.clone_into(&mut setup.tables);
        let more = "[[rule]]\nname = 'functions'\nuser = 'bob'\nverdict = 'allow'\n";
        setup.rules.insert_str(0, more);
    })
}

/// What a held statement says of itself; nothing of one that passes.
#[track_caller]
fn why(stage: &Stage, client: &mut Raw, sql: &str) -> Option<String> {
    client.send(&raw::query(sql));
    let first = client.frame();
    if first.tag != b'N' {
        let rest = client.frames_until(b'Z');
        let failed = first.tag == b'E' || rest.iter().any(|it| it.tag == b'E');
        assert!(!failed, "{sql}: {}", first.describe());
        return None;
    }
    let ticket = ticket_in(&first.field('M').unwrap_or_default()).unwrap();
    let why = stage.ticket("bob", &ticket, "why");
    stage.reject(&ticket, "no");
    client.frames_until(b'Z');
    Some(why)
}

#[test]
fn the_catalog_says_what_a_users_name_does() {
    let stage = stage();
    let mut alice = stage.raw("alice");
    for sql in [
        "select double(2), latest(), total(id) from t",
        "select anyhow(), anyhow(1, 2)",
        "select 'ok'::mood, array['sad']::mood[], 1::positive",
        "select pg_catalog.lower(note) from t",
        "select * from harmless",
        "select count(*) over (order by double(id)) from t",
    ] {
        assert_eq!(why(&stage, &mut alice, sql), None, "{sql}");
    }
    for (sql, part) in [
        ("select run()", "may call public.run(), which is volatile"),
        (
            "select public.run()",
            "calls public.run(), which is volatile",
        ),
        ("select owned()", "its owner's rights"),
        (
            "select lower(note) from t",
            "may call public.lower(), which is volatile",
        ),
        ("select 1 === 1", "may use operator public.==="),
        ("select 1::counted", "whose check is not harmless"),
        ("select * from busy", "reads busy, which calls nextval()"),
        (
            "select * from busier",
            "reads busier, which reads public.busy, which calls nextval()",
        ),
        ("select nobodys()", "unknown function nobodys()"),
        (
            "select to_json('low'::rank)",
            "may convert by public.counting()",
        ),
        (
            "select json_agg(id) from t",
            "may convert by public.counting()",
        ),
        (
            "select id || note from t",
            "may convert by public.counting()",
        ),
        ("select '(1)'::pair", "whose check is not harmless"),
        (
            "select * from json_populate_record(null::pair, '{\"a\": 1}')",
            "whose check is not harmless",
        ),
    ] {
        let why = why(&stage, &mut alice, sql).unwrap_or_else(|| panic!("{sql} passed"));
        assert!(why.contains(part), "{sql}: {why}");
    }
    let counter = stage.database.sql("select is_called from counter");
    assert_eq!(counter, "f", "somebody counted");
    // As nobody's text says, it would have.
    stage.database.sql("select to_json('low'::rank)");
    let counter = stage.database.sql("select is_called from counter");
    assert_eq!(counter, "t", "to_json no longer looks for a cast");
}

/// What was made through the gate is known to whoever asks next, and what it has become since soon after: until then the
/// server's fence stands alone.
#[test]
fn what_goes_up_is_read_over() {
    let stage = stage();
    let (mut alice, mut bob) = (stage.raw("alice"), stage.raw("bob"));
    assert_eq!(why(&stage, &mut alice, "select double(1)"), None);
    for (ddl, sql, passes) in [
        (
            "create function new() returns int language sql stable as 'select 1'",
            "select new()",
            true,
        ),
        ("alter function new() volatile", "select new()", false),
        (
            "create view mine as select new() as n",
            "select * from mine",
            false,
        ),
        (
            "create or replace view mine as select double(1) as n",
            "select * from mine",
            true,
        ),
    ] {
        let done = raw::tags(&bob.query(ddl));
        assert_eq!(done, "CZ", "{ddl}");
        let seen = |stage: &Stage, alice: &mut Raw| why(stage, alice, sql).is_none();
        if passes {
            assert!(seen(&stage, &mut alice), "after {ddl}");
        } else {
            eventually(ddl, || !seen(&stage, &mut alice));
        }
    }
    bob.query("begin");
    bob.query("create function later() returns int language sql stable as 'select 1'");
    assert!(
        why(&stage, &mut alice, "select later()").is_some(),
        "not committed yet"
    );
    bob.query("commit");
    assert_eq!(why(&stage, &mut alice, "select later()"), None);
}

/// A catalog that cannot be read holds what it would know, and nothing else; it is tried again.
#[test]
fn without_its_catalog_a_tenant_goes_on() {
    let stage = stage();
    let locked = "revoke execute on function pg_catalog.pg_get_viewdef(oid) from public";
    stage.database.sql(locked);
    let mut alice = stage.raw("alice");
    assert_eq!(why(&stage, &mut alice, "select note from t"), None);
    let held = why(&stage, &mut alice, "select double(1)").unwrap();
    assert!(held.contains("unknown function double()"), "{held}");
    stage
        .database
        .sql("grant execute on function pg_catalog.pg_get_viewdef(oid) to public");
    eventually("it is known", || {
        why(&stage, &mut alice, "select double(1)").is_none()
    });
}
