//! The configuration is read again while the gate serves: who is not concerned notices nothing, who is hears why, and a
//! configuration that is wrong changes nothing.

mod ledgers;
mod moved;
mod people;

use std::time::{Duration, Instant};

use harness::raw::{self, Frame, Raw};
use harness::sandbox::ca::{Certificates, LOCAL_NAMES};
use harness::stage::{
    RULES, Setup, Stage, eventually, held, password, shared, table, ticket_in, user,
};
use harness::{Database, GateDir, cli, psql};

/// How soon somebody must hear that they are not welcome any more.
const SOON: Duration = Duration::from_secs(1);

/// A stage whose configuration changes.
struct Changing {
    setup: Setup,
    stage: Stage,
}

impl Changing {
    #[track_caller]
    fn new(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let stage = setup.start();
        Self { setup, stage }
    }

    /// Writes the configuration anew, and leaves the gate alone.
    fn write(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
        self.write_text(|text| text);
    }

    fn write_text(&self, change: impl FnOnce(String) -> String) {
        let text = change(self.setup.config(&self.stage.database));
        self.stage.gate.directory().write_config(&text);
    }

    /// Has it read again: what the console answers, by column.
    #[track_caller]
    fn reload(&self) -> Vec<(String, String)> {
        let answer = Raw::login(&self.stage.console("carol")).query("RELOAD");
        assert_eq!(raw::tags(&answer), "TDCZ", "{}", answer[0].describe());
        let names = [
            "version",
            "tenants_added",
            "tenants_changed",
            "tenants_removed",
            "sessions_ended",
            "tickets_void",
            "needs_restart",
        ];
        let values = answer[1].columns().into_iter().map(Option::unwrap);
        names.map(str::to_owned).into_iter().zip(values).collect()
    }

    #[track_caller]
    fn change(&mut self, change: impl FnOnce(&mut Setup)) -> Vec<(String, String)> {
        self.write(change);
        self.reload()
    }

    /// A line of SHOW CONFIG.
    fn config(&self, key: &str) -> String {
        let shown = psql(&self.stage.console("carol")).query("SHOW CONFIG").ok();
        let line = shown
            .stdout
            .lines()
            .find_map(|it| it.strip_prefix(&format!("{key}|")));
        let line = line.unwrap_or_else(|| panic!("no {key} in\n{}", shown.stdout));
        // Behind the value are its default and whether it can be changed; a fact has neither.
        let whole = line.strip_suffix("||").unwrap_or(line);
        whole.split_once('|').map_or(whole, |it| it.0).to_owned()
    }
}

#[track_caller]
fn said(report: &[(String, String)], column: &str) -> String {
    let found = report.iter().find(|(name, _)| name == column);
    found
        .unwrap_or_else(|| panic!("no {column} in {report:?}"))
        .1
        .clone()
}

/// The server's process ids of the gate's connections to a database.
fn pids(database: &Database) -> String {
    database.sql(&format!(
        "select string_agg(pid::text, ' ' order by pid) from pg_stat_activity where datname = '{}' and usename = '{}'",
        database.name, database.write.name
    ))
}

/// `[tenant.NAME]` that leads to this database.
fn leads(name: &str, database: &Database) -> String {
    let upstream = shared(database);
    format!(
        "[tenant.{name}]\ndatabase = '{}'\n{upstream}\n",
        database.name
    )
}

/// The first value of the answer to a query.
#[track_caller]
fn value(client: &mut Raw, sql: &str) -> String {
    let answer = client.query(sql);
    let row = answer.iter().find(|it| it.tag == b'D');
    let row = row.unwrap_or_else(|| panic!("{sql}: {}", answer[0].describe()));
    row.columns()[0].clone().unwrap()
}

/// The connection ends with this: the last thing that comes, soon.
#[track_caller]
fn farewell(client: &mut Raw) -> Frame {
    let since = Instant::now();
    let frames = client.frames_until_closed();
    assert!(since.elapsed() < SOON, "that took {:?}", since.elapsed());
    let last = frames.last().expect("closed without a word").clone();
    assert_eq!(
        (last.tag, &*last.sqlstate()),
        (b'E', "57P01"),
        "{}",
        last.describe()
    );
    assert_eq!(last.field('S').as_deref(), Some("FATAL"));
    last
}

#[test]
fn who_is_not_concerned_notices_nothing() {
    let other = table();
    let mut it = Changing::new(|setup| setup.more = leads("other", &other));
    let database = it.stage.database.clone();
    let mut terminal = it.stage.psql("alice").spawn(&[]);
    terminal.type_line("begin; select count(*) from t; set local search_path = public;");
    terminal.stdout().wait_for("3");
    let mut driver = it.stage.raw("alice");
    driver.send(
        &[
            raw::parse("s", "select note from t where id = $1"),
            raw::sync(),
        ]
        .concat(),
    );
    driver.frames_until(b'Z');
    let one = |client: &mut Raw| {
        let values = raw::bind_values("", "s", &[Some("2")]);
        client.send(&[values, raw::execute(""), raw::sync()].concat());
        let answer = client.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "2DCZ");
    };
    one(&mut driver);
    let before = pids(&database);

    // Another tenant goes, a third comes, the rules and somebody else change.
    let report = it.change(|setup| {
        setup.more = leads("third", &other) + &user("dave");
        setup.rules = RULES.replace("go through migrations", "are for others");
    });
    for (column, is) in [
        ("version", "2"),
        ("tenants_added", "1"),
        ("tenants_changed", "0"),
        ("tenants_removed", "1"),
        ("sessions_ended", "0"),
        ("tickets_void", "0"),
        ("needs_restart", ""),
    ] {
        assert_eq!(said(&report, column), is, "{column}");
    }
    one(&mut driver);
    terminal.type_line("select 6 * 7; show search_path; commit;");
    terminal.stdout().wait_for("42");
    terminal.stdout().wait_for("public");
    terminal.stdout().wait_for("COMMIT");
    let ended = terminal.finish().ok();
    assert_eq!(ended.stderr, "");
    assert_eq!(
        pids(&database),
        before,
        "its connections are those of before"
    );
    // Each new request is judged by the new rules.
    let answer = driver.query("create table x ()");
    let denied = raw::error(&answer).field('M').unwrap();
    assert!(denied.contains("are for others"), "{denied}");
    let login = it.stage.gate.login("dave", &password("dave"), "third");
    assert_eq!(
        psql(&login).query("select count(*) from t").ok().stdout,
        "3"
    );
    assert_eq!(it.config("version"), "2");
    assert_eq!(it.config("loaded_by"), "carol");
    assert_eq!(it.config("tenants"), "2");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_changes_nothing() {
    let mut it = Changing::new(|_| {});
    let database = it.stage.database.clone();
    let mut alice = it.stage.raw("alice");
    alice.query("begin");
    assert_eq!(value(&mut alice, "select count(*) from t"), "3");
    let before = pids(&database);
    it.write_text(|text| {
        text.replace("[policy]", "[policy]\nmood = 1\n")
            .replace("verdict = \"deny\"", "verdict = \"maybe\"")
    });
    let text = std::fs::read_to_string(it.stage.gate.directory().file("portcullis.toml")).unwrap();
    let line = |what: &str| 1 + text.lines().position(|it| it.contains(what)).unwrap();
    let first = format!("portcullis.toml:{}:1: unknown key \"mood\"", line("mood"));
    let second = format!("portcullis.toml:{}:11: ", line("maybe"));

    let mut console = Raw::login(&it.stage.console("carol"));
    let answer = console.query("RELOAD");
    let error = raw::error(&answer);
    assert_eq!(error.sqlstate(), "F0000", "{}", error.describe());
    let message = error.field('M').unwrap();
    assert!(message.contains(&first), "{first} is not in {message}");
    let detail = error.field('D').unwrap();
    assert!(detail.contains(&second), "{second} is not in {detail}");
    it.stage.gate.stderr().wait_for(&first);
    it.stage.gate.stderr().wait_for(&second);
    it.stage.gate.signal("HUP");
    it.stage.gate.stderr().wait_for(&second);
    assert_eq!(it.config("version"), "1");
    assert!(it.config("reload_problems").contains(&first));
    assert_ne!(it.config("reload_failed"), "");

    assert_eq!(value(&mut alice, "select count(*) from t"), "3");
    alice.query("commit");
    assert_eq!(pids(&database), before);
    it.write(|_| {});
    it.stage.gate.signal("HUP");
    it.stage.gate.stderr().wait_for("configuration reloaded");
    assert_eq!(it.config("version"), "2");
    assert_eq!(it.config("loaded_by"), "", "a signal has no name");
    assert_eq!(it.config("reload_problems"), "");
    // Who is no operator neither reloads nor looks.
    for command in ["RELOAD", "SHOW CONFIG"] {
        let answer = Raw::login(&it.stage.console("bob")).query(command);
        assert_eq!(raw::error(&answer).sqlstate(), "42501", "{command}");
    }
}

#[test]
fn every_thread_goes_by_it_when_the_console_has_answered() {
    let mut it = Changing::new(|setup| setup.top = "workers = 3\n".to_owned());
    let mut clients: Vec<Raw> = (0..6).map(|_| it.stage.raw("alice")).collect();
    let denied = "[[rule]]\nname = 'none'\nclass = 'read'\nverdict = 'deny'\nmessage = 'no'\n";
    for round in 0..3 {
        for client in &mut clients {
            assert_eq!(value(client, "select 1"), "1");
        }
        it.change(|setup| setup.rules = denied.to_owned());
        for client in &mut clients {
            let answer = client.query("select 1");
            assert_eq!(raw::error(&answer).sqlstate(), "ZG001", "round {round}");
        }
        it.change(|setup| setup.rules = RULES.to_owned());
    }
    assert_eq!(it.config("version"), "7");
}

#[test]
fn what_only_a_start_takes_up_is_told() {
    let mut it = Changing::new(|_| {});
    let report = it.change(|setup| {
        setup.top = "workers = 2\nnode = 'another'\n".to_owned();
        setup.more = "[limits]\nserver_logins_max = 3\nsessions_per_tenant_max = 1\n[tickets]\nuse_within = '1 min'\n".to_owned();
    });
    let waits = "node, workers, server_logins_max, [tickets]";
    assert_eq!(said(&report, "needs_restart"), waits);
    it.stage
        .gate
        .stderr()
        .wait_for(&format!("a restart is needed for what changed in: {waits}"));
    assert_eq!(it.config("needs_restart"), waits);
    // Other limits count for whoever comes.
    let _first = it.stage.raw("alice");
    let full = Raw::try_login(&it.stage.login("alice"), &[]).err().unwrap();
    assert_eq!(full.sqlstate(), "53300");
}

/// A certificate is renewed without anybody noticing.
#[test]
fn another_certificate_is_for_those_who_come() {
    let it = Changing::new(|_| {});
    let mut before = it.stage.raw("alice");
    let directory = it.stage.gate.directory().path().to_owned();
    let made = Certificates::make(&LOCAL_NAMES).unwrap();
    let files = made.write(&directory.join("new")).unwrap();
    let moved = ["server.pem", "server.key"].map(|name| {
        std::fs::rename(directory.join("new").join(name), directory.join(name)).unwrap();
        name
    });
    assert_eq!(moved.len(), 2);
    let answer = before.query("select 1");
    assert_eq!(raw::tags(&answer), "TDCZ");
    let mut console = Raw::login(&it.stage.console("carol"));
    assert_eq!(raw::tags(&console.query("RELOAD")), "TDCZ");
    let mut login = it.stage.login("alice");
    let refused = psql(&login).query("select 1").failed(2);
    assert!(
        refused.stderr.contains("certificate verify failed"),
        "{refused:?}"
    );
    login.root_cert = Some(files.ca);
    assert_eq!(psql(&login).query("select 1").ok().stdout, "1");
    assert_eq!(raw::tags(&before.query("select 1")), "TDCZ");
}

/// A key that is not the certificate's changes nothing, and is told with its place.
#[test]
fn a_certificate_without_its_key_is_not_taken_up() {
    let mut it = Changing::new(|_| {});
    let mut before = it.stage.raw("alice");
    let directory = it.stage.gate.directory().path().to_owned();
    let made = Certificates::make(&LOCAL_NAMES).unwrap();
    made.write(&directory.join("new")).unwrap();
    std::fs::rename(
        directory.join("new/server.key"),
        directory.join("server.key"),
    )
    .unwrap();
    let text = std::fs::read_to_string(directory.join("portcullis.toml")).unwrap();
    let line = 1 + text.lines().position(|it| it.starts_with("key =")).unwrap();
    let wrong = format!("portcullis.toml:{line}:7: the private key does not belong");
    let answer = Raw::login(&it.stage.console("carol")).query("RELOAD");
    let error = raw::error(&answer);
    assert_eq!(error.sqlstate(), "F0000", "{}", error.describe());
    let message = error.field('M').unwrap();
    assert!(message.contains(&wrong), "{wrong} is not in {message}");
    it.stage.gate.signal("HUP");
    it.stage.gate.stderr().wait_for(&wrong);
    // The old one serves on, for those who are here and those who come.
    assert_eq!(raw::tags(&before.query("select 1")), "TDCZ");
    let come = psql(&it.stage.login("alice")).query("select 1").ok();
    assert_eq!(come.stdout, "1");
    assert_eq!(it.config("version"), "1");
}

#[test]
fn files_that_change_are_read_again_where_that_is_asked_for() {
    let other = table();
    let directory = GateDir::new();
    std::fs::create_dir(directory.file("tenants.d")).unwrap();
    let setup = Setup {
        top: "include = 'tenants.d/*.toml'\n".to_owned(),
        more: "[reload]\nwatch = '1 s'\n".to_owned(),
        ..Setup::default()
    };
    let stage = setup.start_in(directory);
    let mut it = Changing { setup, stage };
    let file = it.stage.gate.directory().file("tenants.d/other.toml");
    let login = it.stage.login("alice").database("other");
    // As an editor does it: half a file is no file.
    let half = it
        .stage
        .gate
        .directory()
        .write("half", &leads("other", &other));
    std::fs::rename(half, &file).unwrap();
    eventually("it is read", || it.config("version") == "2");
    let rows = psql(&login).query("select count(*) from t").ok().stdout;
    assert_eq!(rows, "3");
    std::fs::write(&file, "[tenant.other\n").unwrap();
    it.stage
        .gate
        .stderr()
        .wait_for("tenants.d/other.toml:1:14: unclosed table");
    assert_eq!(
        psql(&login).query("select count(*) from t").ok().stdout,
        "3"
    );
    std::fs::remove_file(&file).unwrap();
    eventually("it is gone", || it.config("tenants") == "1");
}

#[test]
fn the_command_line_reloads() {
    let mut it = Changing::new(|_| {});
    let done = it.stage.cli("carol").run(&["reload"]).ok();
    assert!(done.stdout.contains("version 2"), "{done:?}");
    it.write_text(|text| format!("frobnicate = 1\n{text}"));
    let refused = cli(&it.stage.console("carol")).run(&["reload"]).failed(1);
    assert!(
        refused.stderr.contains("portcullis.toml:1:1: unknown key"),
        "{refused:?}"
    );
    let mut alice = it.stage.psql("alice").start("delete from t");
    let ticket = held(&mut alice);
    assert_eq!(
        ticket_in(&format!("held as ticket {ticket}:")),
        Some(ticket)
    );
    it.write(|_| {});
    it.stage.gate.signal("TERM");
    assert_eq!(it.stage.gate.wait(), 0);
}
