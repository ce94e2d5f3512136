//! The second fence: what passes unsigned and writes all the same is refused by the server, in every place and by every
//! way that a read can take (DESIGN principles 2 and 7, ruling 10; hazards V2, V3, V15, V27). The read that is sent here
//! lies, and the parser believes it: nothing here is ever held but what is meant to write.

use std::process::Command;

use harness::raw::{
    Frame, Raw, bind_values, close, describe, execute, execute_rows, flush, parse, query, sync,
    tags,
};
use harness::stage::{RULES, Setup, Stage, held, held_raw, shared};
use harness::{Gate, Program, database};

use crate::drivers::psycopg;

/// Two rows of the view are what they seem. From the third on, the function behind it, which says that it is stable, takes
/// the fence down if it can, and then calls one that writes with the rights of a superuser: no grant is in its way, only
/// READ ONLY, so that 25006 is the answer in all places, on the read lane, too. Of the other view the planner wants to know
/// how many rows there are, and runs the function for it.
const TABLES: &str = "
    create table t (note text);
    create table sneaked (n int);
    create function writes(n int) returns int language plpgsql security definer as
        $$ begin insert into sneaked values (n); return n; end $$;
    create function lies(n int) returns int language plpgsql stable as $$
    begin
        if n < 3 then
            return n;
        end if;
        begin
            perform set_config('transaction_read_only', 'off', true);
        exception when others then
            null;
        end;
        return writes(n);
    end $$;
    create view v as select lies(n) as n from generate_series(1, 5) n;
    create table many as select generate_series(1, 1000) as n;
    create index on many (n);
    analyze many;
    create view estimated as select n from many where n < lies(3)";

const INSERT: &str = "insert into t values ('signed')";

/// The ways for a read to reach the server that need no transaction of the client's. Below the name of each is what is sent at
/// once, and the tags of all that is answered, with bars between one turn and the next. The first tag is `N` where it is held,
/// and bob signs; each `E` is the server's refusal to write. Messages are `Q SQL`, or have slashes between them; `-` is the
/// unnamed statement or portal, and `run SQL` is its Parse, Bind and Execute.
const WAYS: &str = "
a Query
    Q select n from v => TDDEZ
the last of a Query
    Q select 1; select n from v => TDCTDDEZ
the unnamed statement
    run select n from v / sync => 12DDEZ
a statement that is prepared in one segment and run in others
    close p / parse p select n from v limit $1 / describe p / sync => 31tTZ | bind - p 1 / execute - 0 / sync => 2DCZ
    bind - p 2 / execute - 0 / sync => 2DDCZ | bind - p 5 / execute - 0 / sync => 2DDEZ
COPY
    Q copy (select n from v) to stdout => HddEZ
COPY in a batch
    run copy (select n from v) to stdout / sync => 12HddEZ
the last of a pipeline
    run select 1 / run table sneaked / run select n from v / sync => 12DC12C12DDEZ
the last of a pipeline with Flushes
    run select 1 / flush => 12DC | run table sneaked / flush => 12C | run select n from v / flush => 12DDE | sync => Z
a suspended portal in a batch
    parse - select n from v / bind c - / execute c 1 / execute c 1 / execute c 1 / sync => 12DsDsEZ
a suspended portal in a segment
    parse - select n from v / bind c - / execute c 1 / flush => 12Ds | execute c 1 / flush => Ds
    execute c 1 / sync => EZ
a Bind and no more
    parse - select n from estimated / bind - - / sync => 1EZ
EXPLAIN
    Q explain select n from estimated => TEZ
EXPLAIN ANALYZE
    Q explain analyze select n from v => TEZ
";

/// Those that take a transaction: what it declared or bound before is fetched from, and runs then.
const WAYS_IN_A_TRANSACTION: &str = "
FETCH
    Q declare c cursor for select n from v => CZ | Q fetch c => TDCZ | Q fetch c => TDCZ | Q fetch c => TEZ
FETCH ALL
    Q declare c cursor for select n from v => CZ | Q fetch c => TDCZ | Q fetch all from c => TEZ
MOVE
    Q declare c cursor for select n from v => CZ | Q move 2 in c => CZ | Q move c => EZ
MOVE ALL
    Q declare c cursor for select n from v => CZ | Q move all in c => EZ
a cursor that scrolls
    Q declare c scroll cursor for select n from v => CZ | Q fetch 2 from c => TDDCZ | Q fetch prior from c => TDCZ
    Q fetch last from c => TEZ
a cursor in batches
    run declare c cursor for select n from v / sync => 12CZ | run fetch 2 from c / sync => 12DDCZ
    run fetch c / sync => 12EZ
a cursor in a Query
    Q declare c cursor for select n from v; fetch 2 from c; fetch c => CTDDCTEZ
a cursor that is executed as a portal
    Q declare c cursor for select n from v => CZ | execute c 2 / sync => DDsZ | execute c 0 / sync => EZ
a cursor from before what was signed
    Q declare c cursor for select n from v => CZ | Q fetch 2 from c => TDDCZ
    Q insert into t values ('signed') => NCZ | Q fetch c => TEZ
a cursor from before a savepoint
    Q declare c cursor for select n from v => CZ | Q savepoint a => CZ | Q fetch c => TDCZ | Q rollback to a => CZ
    Q fetch c => TDCZ | Q release a => CZ | Q fetch c => TEZ
a portal that was suspended before
    parse - select n from v / bind c - / execute c 1 / sync => 12DsZ | execute c 1 / sync => DsZ
    execute c 0 / sync => EZ
the unnamed portal that was suspended before
    parse - select n from v / bind - - / execute - 1 / sync => 12DsZ | execute - 1 / sync => DsZ
    execute - 1 / sync => EZ
a portal from before what was signed
    parse - select n from v / bind c - / execute c 1 / sync => 12DsZ | Q insert into t values ('signed') => NCZ
    execute c 1 / sync => DsZ | execute c 1 / sync => EZ
a portal that SQL fetches from
    parse - select n from v / bind c - / execute c 1 / sync => 12DsZ | Q fetch c => TDCZ | Q fetch c => TEZ
a portal that was only bound before
    parse - select n from v / bind c - / sync => 12Z | execute c 0 / sync => DDEZ
behind what was signed, in its segment
    run insert into t values ('signed') / flush => N12C | run select 1 / flush => 12DC
    run select n from v / sync => 12DDEZ
behind the release of a savepoint with the fence's name
    Q savepoint portcullis_fence => CZ | run select 1 / flush => 12DC | run release portcullis_fence / flush => 12C
    run select n from v / sync => 12DDEZ
behind the way back to a savepoint with the fence's name
    Q savepoint portcullis_fence => CZ | run select 1 / flush => 12DC
    run rollback to portcullis_fence / flush => 12C | run select n from v / sync => 12DDEZ
";

/// Where a read is sent from: the tenant, and what was done there before.
const OUTSIDE_A_TRANSACTION: &str = "
one
two
one, pinned
    Q prepare pinned as select 1 => CZ
two, pinned
    Q prepare pinned as select 1 => CZ
session
statement
";

const IN_A_TRANSACTION: &str = "
one, nothing signed
    Q begin => CZ
two, something signed
    Q begin => CZ | Q insert into t values ('signed') => NCZ
one, behind a savepoint
    Q begin; savepoint a => CCZ | Q insert into t values ('signed') => NCZ
two, behind ROLLBACK TO
    Q begin => CZ | Q insert into t values ('signed') => NCZ | Q savepoint a => CZ
    Q insert into t values ('signed') => NCZ | Q rollback to a => CZ
one, chained
    Q begin => CZ | Q insert into t values ('signed') => NCZ | Q commit and chain => CZ
one, serializable
    Q begin isolation level serializable => CZ | Q insert into t values ('signed') => NCZ
two, repeatable read
    Q begin isolation level repeatable read, read write => CZ | Q insert into t values ('signed') => NCZ
two, pinned
    Q prepare pinned as select 1 => CZ | Q begin => CZ | Q insert into t values ('signed') => NCZ
session, something signed
    Q begin => CZ | Q insert into t values ('signed') => NCZ
";

type Turn = (&'static str, &'static str);

const SAVEPOINT: Turn = ("Q savepoint s", "CZ");
const SIGNED: Turn = ("Q insert into t values ('signed')", "NCZ");

/// A heading, and the turns below it.
type Entry = (&'static str, Vec<Turn>);

fn entries(table: &'static str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix(' '), entries.last_mut()) {
            (Some(turns), Some((_, below))) => {
                let turns = turns.split(" | ").map(str::trim);
                below.extend(turns.filter_map(|turn| turn.split_once(" => ")));
            }
            _ => entries.push((line, Vec::new())),
        }
    }
    entries
}

/// The bytes of one message, or of the three of `run`.
fn message(text: &str) -> Vec<u8> {
    let named = |name: &str| {
        if name == "-" {
            String::new()
        } else {
            name.to_owned()
        }
    };
    let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    match what {
        "Q" => query(rest),
        "run" => [parse("", rest), bind_values("", "", &[]), execute("")].concat(),
        "parse" => parse(&named(first), second),
        "bind" => {
            let mut words = second.split(' ');
            let statement = named(words.next().unwrap());
            let values: Vec<_> = words.map(Some).collect();
            bind_values(&named(first), &statement, &values)
        }
        "execute" => execute_rows(&named(first), second.parse().unwrap()),
        "describe" => describe(b'S', &named(first)),
        "close" => close(b'S', &named(first)),
        "flush" => flush(),
        "sync" => sync(),
        _ => panic!("no message: {text}"),
    }
}

/// A gate, its one database, and alice in one of the tenants that lead there.
struct Scene {
    stage: Stage,
    bob: Raw,
    alice: Raw,
    /// Where she is and what she does, for the message of a failing test.
    at: String,
}

impl Scene {
    #[track_caller]
    fn new() -> Self {
        let database = database();
        database.sql(TABLES);
        let (name, upstream, read) = (&database.name, shared(&database), &database.read);
        let two = format!(
            "read_user = '{}'\nread_password = '{}'\n",
            read.name, read.password
        );
        let session = format!("{two}pool_mode = 'session'\n");
        let tenants = [
            ("one", ""),
            ("two", &two),
            ("session", &session),
            ("statement", "pool_mode = 'statement'\n"),
        ];
        let more = tenants.map(|(tenant, keys)| {
            format!("[tenant.{tenant}]\ndatabase = '{name}'\n{upstream}\n{keys}")
        });
        let copies = "[[rule]]\nname = 'copies'\nclass = 'copy_out'\nverdict = 'allow'\n";
        let setup = Setup {
            more: more.concat(),
            rules: format!("{RULES}{copies}"),
            ..Setup::default()
        };
        let gate = Gate::start(&setup.config(&database));
        let stage = Stage { gate, database };
        let (bob, alice) = (Raw::login(&stage.console("bob")), stage.raw("alice"));
        let at = String::new();
        Self {
            stage,
            bob,
            alice,
            at,
        }
    }

    /// alice comes anew, to the tenant that this place begins with.
    #[track_caller]
    fn enter(&mut self, place: &str) {
        let (tenant, _) = place.split_once(',').unwrap_or((place, ""));
        self.alice = Raw::login(&self.stage.login("alice").database(tenant));
    }

    /// Takes these turns, and says the last status.
    #[track_caller]
    fn play(&mut self, turns: &[Turn]) -> char {
        turns.iter().fold(' ', |_, turn| self.turn(turn))
    }

    #[track_caller]
    fn turn(&mut self, (sent, answer): &Turn) -> char {
        let bytes = if sent.starts_with("Q ") {
            message(sent)
        } else {
            sent.split(" / ").flat_map(message).collect()
        };
        self.alice.send(&bytes);
        if answer.starts_with('N') {
            let ticket = held_raw(&mut self.alice);
            self.bob.query(&format!("APPROVE {ticket}"));
        }
        let mut status = ' ';
        for (number, tag) in answer.chars().enumerate() {
            let frame = self.alice.frame();
            let place = format!(
                "{}: {sent}: {number} of {answer}: {}",
                self.at,
                frame.describe()
            );
            assert_eq!(char::from(frame.tag), tag, "{place}");
            match tag {
                'E' => assert_eq!(frame.sqlstate(), "25006", "{place}"),
                'Z' => status = char::from(frame.body[0]),
                _ => {}
            }
        }
        status
    }

    #[track_caller]
    fn count(&self, table: &str) -> String {
        self.stage
            .database
            .sql(&format!("select count(*) from {table}"))
    }

    /// The way fails where a savepoint can still save the transaction, and that is as good as before.
    #[track_caller]
    fn fails_behind_a_savepoint(&mut self, turns: &[Turn]) {
        assert_eq!(self.play(&[SAVEPOINT]), 'T', "{}", self.at);
        assert_eq!(self.play(turns), 'E', "{}", self.at);
        assert_eq!(self.play(&[("Q rollback to s", "CZ")]), 'T', "{}", self.at);
        let read_only = self.alice.query("show transaction_read_only");
        assert_eq!(value(&read_only), "off", "{}", self.at);
    }
}

fn all_ways() -> Vec<Entry> {
    [entries(WAYS), entries(WAYS_IN_A_TRANSACTION)].concat()
}

fn value(frames: &[Frame]) -> String {
    let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
    row.columns()[0].clone().unwrap_or_default()
}

/// What is fenced here does write where nothing stands around it, whoever sends it.
#[test]
fn without_a_fence_the_liar_writes() {
    let scene = Scene::new();
    let database = &scene.stage.database;
    for role in [&database.write, &database.read] {
        let mut past = Raw::login(&database.login(role));
        past.query("begin read write");
        for sql in ["table v", "explain table estimated", "commit"] {
            assert!(!tags(&past.query(sql)).contains('E'), "{sql}");
        }
    }
    assert_eq!(scene.count("sneaked"), "8");
}

/// The lane of unsigned reads has READ ONLY as its default; with two logins its role could not write anyway.
#[test]
fn the_read_lane_cannot_write() {
    let mut scene = Scene::new();
    let default = "select current_user || ' ' || current_setting('default_transaction_read_only')";
    let database = scene.stage.database.clone();
    for (tenant, role) in [("one", &database.write), ("two", &database.read)] {
        scene.enter(tenant);
        assert_eq!(
            value(&scene.alice.query(default)),
            format!("{} on", role.name)
        );
    }
    let mut past = Raw::login(&database.login(&database.read));
    past.query("begin read write");
    assert_eq!(past.query(INSERT)[0].sqlstate(), "42501");
}

#[test]
fn outside_a_transaction_nothing_is_written() {
    let mut scene = Scene::new();
    let places = entries(OUTSIDE_A_TRANSACTION);
    for (place, before) in &places {
        scene.enter(place);
        scene.play(before);
        for (way, turns) in &entries(WAYS) {
            scene.at = format!("{place}, {way}");
            assert_eq!(scene.play(turns), 'I', "{}", scene.at);
            assert_eq!(scene.play(&[("Q select 1", "TDCZ")]), 'I', "{}", scene.at);
        }
        assert_eq!(scene.play(&[SIGNED]), 'I', "{place}");
        assert_eq!(scene.count("sneaked"), "0", "{place}");
    }
    assert_eq!(scene.count("t"), places.len().to_string());
}

/// A transaction takes all ways, one behind the other, and can write between them and in the end: no fence is left behind.
#[test]
fn in_a_transaction_nothing_is_written_and_it_goes_on() {
    let mut scene = Scene::new();
    for (place, before) in &entries(IN_A_TRANSACTION) {
        scene.enter(place);
        scene.play(before);
        for (number, (way, turns)) in all_ways().iter().enumerate() {
            scene.at = format!("{place}, {way}");
            scene.fails_behind_a_savepoint(turns);
            // Each time would take long, and has nothing more to say.
            if number % 5 == 0 {
                assert_eq!(scene.play(&[SIGNED]), 'T', "{}", scene.at);
            }
        }
        assert_eq!(scene.play(&[SIGNED, ("Q commit", "CZ")]), 'I', "{place}");
        assert_eq!(scene.count("sneaked"), "0", "{place}");
        assert_ne!(scene.count("t"), "0", "{place}");
        scene.stage.database.sql("truncate t");
    }
}

/// Without a savepoint all is lost, and the client hears that.
#[test]
fn a_transaction_that_nothing_saves_is_rolled_back() {
    let mut scene = Scene::new();
    for (place, before) in &entries(IN_A_TRANSACTION)[..2] {
        scene.enter(place);
        for (way, turns) in &all_ways() {
            scene.at = format!("{place}, {way}");
            scene.play(before);
            assert_eq!(scene.play(turns), 'E', "{}", scene.at);
            let end = scene.alice.query("commit");
            assert_eq!(end[0].text(), "ROLLBACK", "{}", scene.at);
        }
    }
    assert_eq!(scene.count("sneaked"), "0");
    assert_eq!(scene.count("t"), "0");
}

/// What psql does for `FETCH_COUNT`: a cursor in a transaction of its own, or in the one that is open.
#[test]
fn psql_fetches_behind_the_fence() {
    let scene = Scene::new();
    let psql = || scene.stage.psql("alice").arg("-v").arg("FETCH_COUNT=1");
    let refused = psql().query("select n from v").failed(1);
    assert_eq!(refused.stdout, "1\n2");
    assert!(refused.stderr.contains("25006"), "{}", refused.stderr);

    let mut run = psql().arg("-v").arg("ON_ERROR_STOP=0").spawn(&[]);
    let insert = &format!("{INSERT};");
    for line in [
        "begin;",
        insert,
        "savepoint s;",
        "select n from v;",
        "rollback to s;",
        insert,
        "commit;",
    ] {
        run.type_line(line);
        if line == insert {
            scene.stage.approve(&held(&mut run));
        }
    }
    let ended = run.finish();
    let said = ended.stdout.replace('\n', "");
    let saved = "12ROLLBACKINSERT 0 1COMMIT";
    assert!(said.ends_with(saved), "{said}\n{}", ended.stderr);
    assert!(ended.stderr.contains("25006"), "{}", ended.stderr);
    assert_eq!(scene.count("sneaked"), "0");
    assert_eq!(scene.count("t"), "2");
}

/// psycopg's cursors that have a name are DECLAREd, and a row is fetched at a time.
const NAMED_CURSOR: &str = "
import sys
import psycopg

connection = psycopg.connect('')
connection.add_notice_handler(lambda it: print(it.message_primary, file=sys.stderr, flush=True))
for signed in (False, True):
    if signed:
        connection.execute(sys.argv[1])
    try:
        with connection.transaction(), connection.cursor('named') as cursor:
            cursor.itersize = 1
            for row in cursor.execute('select n from v'):
                print(row[0])
    except psycopg.errors.ReadOnlySqlTransaction as refused:
        print(refused.sqlstate, connection.info.transaction_status.name)
    if signed:
        connection.execute(sys.argv[1])
connection.commit()
";

#[test]
fn psycopg_fetches_behind_the_fence() {
    let Some(python) = psycopg() else { return };
    let scene = Scene::new();
    let mut command = Command::new(python);
    scene.stage.login("alice").into_environment(&mut command);
    let mut run = Program::new(command).spawn(&["-c", NAMED_CURSOR, INSERT]);
    for _ in 0..2 {
        scene.stage.approve(&held(&mut run));
    }
    let ended = run.finish().ok();
    assert_eq!(ended.stdout, "1\n2\n25006 IDLE\n1\n2\n25006 INTRANS");
    assert_eq!(scene.count("sneaked"), "0");
    assert_eq!(scene.count("t"), "2");
}
