//! Conversations (`tests/conversations/`), each played straight to PostgreSQL and through an
//! allow-all gate in each pool mode: the replies have to be the same (hazards R125).
//!
//! `CONVERSATION=copy/ cargo test .. conversations` plays only those whose name begins so, and shows
//! what the server said to them. `PORTCULLIS_TESTS_SERVER=18` has PostgreSQL 18 say it (`make versions`).

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use harness::conversation::{Door, Script, Transcript, mismatch, play, scripts};
use harness::raw::Raw;
use harness::{Gate, Login, Server, server};
use postgres_protocol::password::scram_sha_256;

/// The pool modes that a gate can be in.
const MODES: [&str; 2] = ["session", "transaction"];
/// Plays at once.
const PLAYERS: usize = 6;
/// How many different conversations there are at least.
const SCRIPTS_MIN: usize = 150;
/// The rules of sections C to F of the hazards, and the experiments that they cite.
const RULES: std::ops::RangeInclusive<u32> = 22..=54;
const EXPERIMENTS: [u32; 9] = [11, 12, 15, 16, 18, 19, 20, 21, 25];

/// The role of all plays, at the gate's upstream and straight to the server, and its password.
const ROLE: &str = "conversation";
const PASSWORD: &str = "conversation-pw";
/// Several tests may play in one server, at the same time.
const MAKE_ROLE: &str = "
    do $$ begin create role conversation login password 'conversation-pw';
    exception when duplicate_object or unique_violation then null; end $$";
/// Whom the gate knows.
const PERSON: &str = "alice";
/// Takes everything out of a database, and everybody. What a gate keeps open ends too.
const CLEAR: &str = "
    select pg_terminate_backend(pid, 10000) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend'
            and pid <> pg_backend_pid();
    drop owned by conversation cascade";
/// What every play finds in its database.
const FIXTURES: &str = "
    create table t (id int primary key, note text);
    insert into t values (1, 'one'), (2, 'two'), (3, null);
    create table empty (id int);
    create type mood as enum ('sad', 'happy');
    create table parent (id int primary key);
    create table child (id int references parent deferrable initially deferred);
    create function shout(words text) returns text language plpgsql as
        $$ begin raise notice '%', words; return words; end $$;
    create function nap(words text) returns text language plpgsql as
        $$ begin raise notice '%', words; perform pg_sleep(60); return words; end $$;
    create function asleep() returns bool language sql as $$ select count(*) = 1
        from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep' $$;
    create function insert_into_t(id int) returns int language plpgsql as
        $$ begin insert into t values (id, 'by a function'); return id; end $$;
    create procedure commit_between() language plpgsql as
        $$ begin insert into t values (100); commit; insert into t values (101); rollback; end $$;
";

/// The directory of all conversations.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations")
}

#[test]
fn conversations_are_the_same_through_the_gate() {
    let chosen = std::env::var("CONVERSATION").ok();
    let names = chosen.as_deref().unwrap_or("");
    same_in(server(), &[names], chosen.is_some());
}

/// Plays the conversations whose name begins so at this server; fails with all that is not the same.
#[track_caller]
pub(crate) fn same_in(server: &'static Server, chosen: &[&str], show: bool) {
    static RUN: AtomicUsize = AtomicUsize::new(0);
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    done(&mut Raw::login(&server.superuser("postgres")), MAKE_ROLE);
    let mut all = scripts(&directory());
    all.retain(|it| chosen.iter().any(|name| it.name.starts_with(name)));
    assert!(!all.is_empty(), "no conversation is named {chosen:?}");
    let gates = MODES.map(|mode| (mode, gate(server, mode)));
    let doors = gates
        .each_ref()
        .map(|(mode, gate)| (*mode, gate.login(PERSON, PASSWORD, "")));
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for player in 0..PLAYERS {
            let (all, doors, next, found) = (&all, &doors, &next, &found);
            scope.spawn(move || {
                let mut room = Room::new(server, format!("c{run}_{player}"));
                while let Some(script) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let differences = room.compare(script, doors, show);
                    found.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort();
    let (played, major) = (all.len(), server.postgres().major());
    assert!(
        found.is_empty(),
        "{} differences in {played} conversations with PostgreSQL {major}:\n\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn conversations_show_every_rule() {
    let all = scripts(&directory());
    assert!(all.len() >= SCRIPTS_MIN, "only {} conversations", all.len());
    let about: Vec<&str> = all.iter().map(|it| it.about.as_str()).collect();
    let words: BTreeSet<&str> = about
        .iter()
        .flat_map(|it| it.split(|c: char| !c.is_alphanumeric()))
        .collect();
    let rules = RULES.map(|number| format!("R{number}"));
    let experiments = EXPERIMENTS.map(|number| format!("V{number}"));
    let missing: Vec<String> = rules
        .chain(experiments)
        .filter(|rule| !words.contains(&**rule))
        .collect();
    assert!(missing.is_empty(), "no conversation shows {missing:?}");
    let different: BTreeSet<&str> = about.iter().copied().collect();
    assert_eq!(different.len(), all.len(), "two show the same");
    for script in &all {
        let unknown = script.modes.iter().find(|it| !MODES.contains(&&***it));
        assert_eq!(unknown, None, "{}", script.name);
    }
}

/// A player's database, where each play begins with the same things in it.
struct Room {
    server: &'static Server,
    database: String,
    /// In the database, as the superuser.
    keeper: Raw,
}

impl Room {
    fn new(server: &'static Server, database: String) -> Self {
        let create = format!("create database {database} owner {ROLE}");
        done(&mut Raw::login(&server.superuser("postgres")), &create);
        let keeper = Raw::login(&server.superuser(&database));
        Self {
            server,
            database,
            keeper,
        }
    }

    /// Plays a script at every door; where the gates differ from the server.
    fn compare(&mut self, script: &Script, doors: &[(&str, Login)], show: bool) -> Vec<String> {
        let straight = self.server.login(ROLE, PASSWORD, "");
        let server = self.play(&straight, script);
        if show {
            tell(&script.name, "straight", &server);
        }
        let mut differences = Vec::new();
        for (mode, door) in doors {
            if !script.modes.is_empty() && !script.modes.iter().any(|it| it == mode) {
                continue;
            }
            let heard = self.play(door, script);
            if show {
                tell(&script.name, mode, &heard);
            }
            let difference = mismatch(script, &server, &heard);
            differences.extend(difference.map(|it| format!("[{mode}] {it}")));
        }
        differences
    }

    fn play(&mut self, door: &Login, script: &Script) -> Transcript {
        let furnish = format!("set role {ROLE}; {FIXTURES} reset role");
        for sql in [CLEAR, &furnish] {
            done(&mut self.keeper, sql);
        }
        let door = Door {
            login: door.database(&self.database),
            server: self.server.superuser(&self.database),
        };
        play(script, &door)
    }
}

fn tell(name: &str, door: &str, transcript: &Transcript) {
    let text = format!("{name}, {door}:\n{}\n", transcript.text());
    io::stderr().write_all(text.as_bytes()).unwrap();
}

fn gate(server: &Server, mode: &str) -> Gate {
    let verifier = scram_sha_256(PASSWORD.as_bytes());
    let upstream = server.upstream(ROLE, PASSWORD);
    Gate::start(&format!(
        "listen = '127.0.0.1:0'\n\
         state = 'state'\n\
         [tls]\n\
         certificate = 'server.pem'\n\
         key = 'server.key'\n\
         [user.{PERSON}]\n\
         verifier = '{verifier}'\n\
         [user.nobody]\n\
         verifier = '{verifier}'\n\
         [group.people]\n\
         members = ['{PERSON}', 'nobody']\n\
         [tenant.'c*']\n\
         pool_mode = '{mode}'\n\
         {upstream}\
         database = '{{tenant}}'\n\
         [policy]\n\
         default = {{ approvals = 1, from = 'people' }}\n\
         [[rule]]\n\
         name = 'all'\n\
         verdict = 'allow'\n"
    ))
}

/// Runs SQL that has to succeed.
#[track_caller]
fn done(admin: &mut Raw, sql: &str) {
    let answer = admin.query(sql);
    if let Some(error) = answer.iter().find(|frame| frame.tag == b'E') {
        panic!("{sql}: {}", error.describe());
    }
}
