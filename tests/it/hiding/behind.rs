//! What hides behind names that only the tenant's catalog knows, each in a database of its own: what is held, and what passes
//! and leaves nothing all the same. It claims nothing that the server was not seen to do.

use std::io::{self, Write as _};

use harness::raw::{self, Frame, Raw};
use harness::stage::{Setup, Stage, eventually, held_raw, shared, ticket_in};
use harness::{Database, database, postgres};
use toml::{Table, Value};

use super::{BUILT_IN, Heard, before, hear};

const BEHIND: &str = include_str!("../../fixtures/hiding/behind.toml");

/// What hides: it keeps a lock that no fence takes back, and writes a row. And a function that only the catalog knows.
const LEAVE: &str = "
    create table t (id int primary key, note text);
    insert into t values (1, 'one');
    create function known() returns int language sql immutable as 'select 1';
    create function leave() returns bool language plpgsql as $$ begin
        if current_setting('is_superuser') = 'off' then
            perform pg_try_advisory_lock(4711);
            insert into public.t values (100, 'hidden');
        end if;
        return true;
    end $$;";

/// The same, so that nothing fails and all that can stay does: a lock, a setting, a role.
const LEAVE_QUIETLY: &str = "
    create or replace function leave() returns bool language plpgsql as $$ begin
        if current_setting('is_superuser') = 'off' then
            perform pg_try_advisory_lock(4711);
            perform set_config('work_mem', '65kB', false), set_config('role', 'pg_monitor', false);
            raise notice 'left';
        end if;
        return true;
    end $$";

/// A pool of one, so that everybody is somebody's next.
const ONE: &str = "pool_size = 1";

/// What READ ONLY says.
const REFUSED: &str = "25006";

/// A database in which it is, and more.
fn hiding(more: &str) -> Database {
    let database = database();
    let role = &database.write.name;
    // Whatever role it takes, what it is behind can go on.
    database.sql(&format!(
        "{LEAVE} grant pg_monitor to {role}; {more};
         grant select on all tables in schema public to pg_monitor"
    ));
    database
}

/// Somebody in this database, when the gate has read its catalog: a statement waits for that, but not for ever.
#[track_caller]
fn enter(stage: &Stage, database: &Database) -> Raw {
    let mut client = somebody(stage, "alice", database);
    eventually(
        &format!("the catalog of {} is known", database.name),
        || {
            client.send(&raw::query("select known()"));
            let first = client.frame();
            let notice = (first.tag == b'N').then(|| first.field('M')).flatten();
            // Where a cast hides, all that converts is held; but no more for what is unknown.
            let why = notice.as_deref().and_then(ticket_in).map(|ticket| {
                let why = stage.ticket("bob", &ticket, "why");
                stage.reject(&ticket, "no");
                why
            });
            client.frames_until(b'Z');
            why.is_none_or(|it| !it.contains("unknown"))
        },
    );
    client
}

#[track_caller]
fn somebody(stage: &Stage, who: &str, database: &Database) -> Raw {
    Raw::login(&stage.login(who).database(&database.name))
}

/// A row of behind.toml with a database of its own.
struct Behind {
    name: String,
    texts: Vec<String>,
    database: Database,
}

/// All rows of which this is said today, and whose extension the server has; and a gate before them.
fn all_behind(today: &str) -> (Vec<Behind>, Stage) {
    let table: Table = BEHIND.parse().unwrap();
    let rows = table["behind"].as_array().unwrap().iter();
    let rows = rows.map(|row| row.as_table().unwrap());
    let all: Vec<Behind> = rows.filter_map(|row| behind(row, today)).collect();
    let stage = Stage::with(|setup: &mut Setup| {
        BUILT_IN.clone_into(&mut setup.rules);
        for Behind { database, .. } in &all {
            let (name, upstream) = (&database.name, shared(database));
            let tenant = format!("[tenant.{name}]\n{upstream}\n{ONE}\n");
            setup.more.push_str(&tenant);
        }
    });
    (all, stage)
}

fn behind(row: &Table, today: &str) -> Option<Behind> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let (name, says) = (text("name").unwrap(), text("today").unwrap());
    assert!(["held", "passes"].contains(&says.as_str()), "{name}");
    let needs = text("needs");
    if says != today || needs.is_some_and(|extension| !has(&extension)) {
        return None;
    }
    let texts = row["texts"].as_array().unwrap().iter();
    Some(Behind {
        texts: texts.map(|it| it.as_str().unwrap().to_owned()).collect(),
        database: hiding(&text("setup").unwrap()),
        name,
    })
}

/// Whether the server can have the extension; a line on stderr if not.
fn has(extension: &str) -> bool {
    let there = format!("select count(*) from pg_available_extensions where name = '{extension}'");
    let has = postgres().sql("postgres", &there).unwrap() != "0";
    if !has {
        // Not by eprintln, which is silent in a test that passes.
        let line = format!("SKIPPED a hiding place: the server has no {extension}\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    has
}

#[test]
fn what_hides_behind_a_name_is_held() {
    let (all, stage) = all_behind("held");
    let mut wrong = Vec::new();
    for it in &all {
        let mut client = enter(&stage, &it.database);
        for text in &it.texts {
            let heard = hear(&stage, &mut client, text);
            if heard != Heard::Held {
                wrong.push(format!("{}: {text}: {heard:?}", it.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What there is on a connection, of locks in the database, and of rows in the table.
const THERE: &str = "select concat_ws(' ', current_user, current_setting('work_mem'), \
    (select count(*) from pg_locks where locktype = 'advisory' \
        and database = (select oid from pg_database where datname = current_database())), \
    (select count(*) from t where note = 'hidden'))";

/// The same, without what a transaction may keep to its end.
const SET: &str = "select concat_ws(' ', current_user, current_setting('work_mem'))";

/// It writes, and is refused. Then it does all that no fence keeps it from, and of that nothing is there any more, even for
/// whoever did it: the connection, which is the only one, is theirs again.
#[test]
fn what_passes_all_the_same_leaves_nothing() {
    let (all, stage) = all_behind("passes");
    let mut wrong = Vec::new();
    for it in &all {
        let mut client = enter(&stage, &it.database);
        let set = format!("{} 4MB", it.database.write.name);
        let mut check = |client: &mut Raw, text: &str, place: &str, sql: &str, expected: &str| {
            let there = value(client, sql);
            if there != expected {
                wrong.push(format!("{}: {text} {place}: {there}", it.name));
            }
        };
        let nothing = format!("{set} 0 0");
        for text in &it.texts {
            let heard = hear(&stage, &mut client, text);
            let refused = Heard::Passed(Some(REFUSED.to_owned()));
            assert_eq!(heard, refused, "{}: {text}", it.name);
            check(&mut client, text, "writes", THERE, &nothing);
        }
        it.database.sql(LEAVE_QUIETLY);
        for text in &it.texts {
            assert!(has_left(&mut client, text), "{}: {text}", it.name);
            check(&mut client, text, "keeps", THERE, &nothing);
            passes(&stage, &mut client, "begin");
            assert!(has_left(&mut client, text), "{}: {text}", it.name);
            check(&mut client, text, "in a transaction", SET, &set);
            passes(&stage, &mut client, "commit");
            // Over the connection that transactions have.
            passes(&stage, &mut client, "begin");
            check(&mut client, text, "behind a transaction", THERE, &nothing);
            passes(&stage, &mut client, "commit");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Sends what passes, and says whether the quiet one ran behind it.
#[track_caller]
fn has_left(client: &mut Raw, sql: &str) -> bool {
    let answer = client.query(sql);
    let mut notices = answer.iter().filter(|it| it.tag == b'N');
    notices.any(|it| it.field('M').as_deref() == Some("left"))
}

/// What answers a query, as text.
#[track_caller]
fn value(client: &mut Raw, sql: &str) -> String {
    let answer = client.query(sql);
    let row = answer.iter().find(|frame| frame.tag == b'D');
    let row = row.unwrap_or_else(|| {
        let said: Vec<String> = answer.iter().map(Frame::describe).collect();
        panic!("{sql}: {said:?}")
    });
    row.columns()[0].clone().unwrap_or_default()
}

#[track_caller]
fn passes(stage: &Stage, client: &mut Raw, sql: &str) {
    assert_eq!(hear(stage, client, sql), Heard::Passed(None), "{sql}");
}

/// A table on another server, where a function of these statements stands behind it. The other server is this one.
fn far(statements: &str) -> Database {
    let database = hiding("");
    database.sql(&format!(
        "create function sneaks() returns int language sql as '{statements}';
         create view remote as select public.sneaks() as id;
         create extension postgres_fdw;
         create server here foreign data wrapper postgres_fdw
             options (host 'localhost', port '{}', dbname '{}');
         create user mapping for public server here options (user '{}', password '{}');
         create foreign table far (id int) server here options (schema_name 'public', table_name 'remote');
         create view behind_far as select id from far;
         create table parent (id int);
         alter foreign table far inherit parent",
        postgres().port(),
        database.name,
        database.write.name,
        database.write.password
    ));
    database
}

/// The transaction on the other server is not READ ONLY, and ends as the client's does: so each read of it is rolled back.
#[test]
fn a_foreign_table_writes_nothing() {
    let database = far("insert into public.t values (100, ''hidden'') returning id");
    let stage = before(database, "");
    let hidden = || stage.count("note = 'hidden'");
    let mut alice = enter(&stage, &stage.database);
    for read in ["select id from far", "table behind_far", "table parent"] {
        passes(&stage, &mut alice, read);
        assert_eq!(hidden(), "0", "{read}");
        for sql in ["begin", read, "commit"] {
            passes(&stage, &mut alice, sql);
        }
        assert_eq!(hidden(), "0", "{read} in a transaction");
    }
    passes(&stage, &mut alice, "begin");
    let cursor = hear(&stage, &mut alice, "declare c cursor for table far");
    assert_eq!(cursor, Heard::Held);
    // Past the gate, it does.
    stage.database.sql("select id from far");
    assert_eq!(hidden(), "1");
}

/// Somebody who has a domain with a CHECK that leaves something, the only connection, and the domain's number.
#[track_caller]
fn guarded() -> (Stage, Raw, u32) {
    let database = hiding(
        "create function checked(int) returns bool language plpgsql as 'begin return leave(); end';
         create domain guarded as int check (checked(value))",
    );
    let number = database.sql("select 'guarded'::regtype::oid");
    let stage = before(database, ONE);
    let client = stage.raw("alice");
    (stage, client, number.parse().unwrap())
}

/// The batch runs the CHECK, which writes and is refused; and then sets what it can, of which nothing stays.
#[track_caller]
fn sets_nothing(stage: &Stage, client: &mut Raw, batch: &[u8]) {
    let set = format!("{} 4MB", stage.database.write.name);
    let frames = |client: &mut Raw, tag| {
        client.send(batch);
        let mut frames = client.frames_until(b'Z');
        frames.retain(|it| it.tag == tag);
        frames
    };
    let refused = frames(client, b'E');
    assert_eq!(refused[0].sqlstate(), REFUSED);
    assert_eq!(stage.count("note = 'hidden'"), "0");
    stage.database.sql(LEAVE_QUIETLY);
    for around in [
        &[""; 3],
        &["begin", "", "commit"],
        &["begin", "select 1", "commit"],
    ] {
        client.query(around[0]);
        client.query(around[1]);
        assert_eq!(frames(client, b'N').len(), 1, "{around:?}");
        assert_eq!(value(client, SET), set, "{around:?}");
        client.query(around[2]);
        assert_eq!(value(client, SET), set, "{around:?}");
    }
}

/// Parse reads the literals, and an array's is read by its element: no Bind is there, and the text would be held.
fn look() -> Vec<u8> {
    let describe = raw::describe(b'S', "");
    [
        raw::parse("", "select '{1}'::guarded[]"),
        describe,
        raw::sync(),
    ]
    .concat()
}

#[test]
fn a_look_writes_and_sets_nothing() {
    let (stage, mut alice, _) = guarded();
    sets_nothing(&stage, &mut alice, &look());
}

/// Parse may say the type of a parameter by its number, which no text does; Bind reads its value.
#[test]
fn a_parameter_leaves_nothing() {
    let (stage, mut alice, number) = guarded();
    let mut parse = b"\0select $1 is null\0\0\x01".to_vec();
    parse.extend(number.to_be_bytes());
    let bound = [
        raw::frame(b'P', &parse),
        raw::bind_values("", "", &[Some("1")]),
        raw::execute(""),
        raw::sync(),
    ];
    sets_nothing(&stage, &mut alice, &bound.concat());
    // Over the connection that transactions have.
    passes(&stage, &mut alice, "begin");
    let nothing = format!("{} 4MB 0 0", stage.database.write.name);
    assert_eq!(value(&mut alice, THERE), nothing);
}

/// isn_weak() is immutable, said its extension before 18: then everybody's wrong numbers are right.
#[test]
fn isn_weak_is_nobody_elses() {
    if !has("isn") || postgres().major() >= 18 {
        return;
    }
    let stage = before(hiding("create extension isn"), ONE);
    let mut alice = enter(&stage, &stage.database);
    let mut bob = stage.raw("bob");
    for [before, behind] in [["", ""], ["begin", "commit"]] {
        for (client, sql, answer) in [
            (&mut alice, "select isn_weak(true)", "t"),
            (&mut bob, "select isn_weak()", "f"),
        ] {
            client.query(before);
            assert_eq!(value(client, sql), answer, "{before}");
            client.query(behind);
        }
    }
}

/// current_schema() makes the temporary schema that comes first in the path, in READ ONLY as well.
#[test]
fn a_path_to_the_temporary_schema_alone_is_held() {
    let stage = before(hiding(""), "");
    let mut alice = enter(&stage, &stage.database);
    for sql in [
        "set search_path = pg_temp",
        "set local search_path to 'pg_temp', public",
        "select set_config('search_path', 'pg_temp', false)",
        "set search_path = pg_temp, pg_catalog",
    ] {
        assert_eq!(hear(&stage, &mut alice, sql), Heard::Held, "{sql}");
    }
}

/// A temporary type stands before PostgreSQL's own of its name, and a domain's CHECK runs.
#[test]
fn a_temporary_type_before_a_built_in_one_is_held() {
    let stage = before(hiding(""), "");
    let mut alice = enter(&stage, &stage.database);
    passes(&stage, &mut alice, "select 'x'::text");
    alice.send(&raw::query(
        "create domain pg_temp.text as pg_catalog.text check (leave())",
    ));
    let ticket = held_raw(&mut alice);
    stage.approve(&ticket);
    alice.frames_until(b'Z');
    passes(&stage, &mut alice, "select 'x'::pg_catalog.text");
    let refused = Heard::Passed(Some(REFUSED.to_owned()));
    eventually("the type is known", || {
        let heard = hear(&stage, &mut alice, "select 'x'::text");
        assert!(heard == refused || heard == Heard::Held, "{heard:?}");
        heard == Heard::Held
    });
    for text in ["select '{x}'::text[]", "select cast('x' as text)"] {
        assert_eq!(hear(&stage, &mut alice, text), Heard::Held, "{text}");
    }
    assert_eq!(stage.count("note = 'hidden'"), "0");
}

/// A look is rolled back, and its connection goes to whoever is next without the locks that a check has taken.
#[test]
fn a_look_keeps_no_lock() {
    let (stage, mut alice, _) = guarded();
    let mut bob = stage.raw("bob");
    alice.send(&look());
    alice.frames_until(b'Z');
    bob.query("begin");
    let pid = value(&mut bob, "select pg_backend_pid()");
    let holder = "select pid from pg_locks where locktype = 'advisory' and objid = 4711 \
                  and database = (select oid from pg_database where datname = current_database())";
    assert_ne!(stage.database.sql(holder), pid);
    assert_eq!(stage.database.sql(holder), "");
}

/// Schemas that are not there are not in the path: only behind pg_catalog the temporary one never comes first.
#[test]
fn current_schema_does_not_write_the_catalog() {
    let stage = before(hiding(""), "");
    let made = "select count(*) from pg_namespace where nspname like 'pg\\_temp\\_%'";
    assert_eq!(stage.database.sql(made), "0");
    let mut alice = enter(&stage, &stage.database);
    for sql in [
        "set search_path = nowhere, pg_temp",
        "set search_path = pg_temp",
    ] {
        assert_eq!(hear(&stage, &mut alice, sql), Heard::Held, "{sql}");
    }
    for sql in [
        "set search_path = pg_catalog, nowhere, pg_temp",
        "begin",
        "select current_schema()",
        "commit",
    ] {
        passes(&stage, &mut alice, sql);
    }
    assert_eq!(stage.database.sql(made), "0");
}

/// On the other server nobody resets anything, and the wrapper keeps its connection to it: so it goes with the one here.
#[test]
fn a_foreign_table_keeps_no_lock_there() {
    let stage = before(far("select public.leave()::int"), ONE);
    stage.database.sql(LEAVE_QUIETLY);
    let mut alice = enter(&stage, &stage.database);
    passes(&stage, &mut alice, "select id from far");
    let kept = format!("{} 4MB 0 0", stage.database.write.name);
    assert_eq!(value(&mut alice, THERE), kept);
}
