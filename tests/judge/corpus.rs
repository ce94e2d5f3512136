//! What the suite sends: psql runs its files in the schedule's order, and the server's log says what came, statement by
//! statement, with psql's variables replaced. It never splits a file itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::regress::{Suite, directory};
use harness::sandbox::{Options, Postgres};

pub(crate) const USER: &str = "postgres";
pub(crate) const DATABASE: &str = "regression";

/// Begins each entry of the log; the lines that go on in an entry begin with a tab.
const MARK: &str = "~@~";

/// Tests that others stand on.
const SET_UP: [&str; 2] = ["test_setup", "create_index"];

/// One text that psql sent.
pub(crate) struct Sent {
    pub(crate) session: String,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) test: String,
    pub(crate) text: String,
}

/// All of them, and the server whose files they name.
pub(crate) struct Corpus {
    pub(crate) sent: Vec<Sent>,
    _recorded_on: Postgres,
}

/// A server as `pg_regress` would start it, with an empty database; nothing but its clients writes in it.
pub(crate) fn server() -> Result<Postgres, String> {
    let options = Options {
        fsync: false,
        hba: Some("host all all 127.0.0.1/32 trust\n".to_owned()),
        ..Options::default()
    };
    let settings = [
        ("max_prepared_transactions", "2"),
        ("autovacuum", "off"),
        ("log_statement", "all"),
        ("log_line_prefix", "~@~%c|%u|%d|%a~@~"),
        ("checkpoint_timeout", "1d"),
        ("max_wal_size", "16GB"),
        ("bgwriter_lru_maxpages", "0"),
    ];
    let options = settings
        .iter()
        .fold(options, |options, (name, value)| options.set(name, value));
    let server = Postgres::start(options).map_err(|error| error.to_string())?;
    let create = "create database regression template template0 encoding 'UTF8' locale 'C'";
    server
        .sql("postgres", create)
        .map_err(|error| error.to_string())?;
    Ok(server)
}

impl Corpus {
    /// Runs the suite's files, or the set-up and these, and reads what the server logged.
    pub(crate) fn record(only: &[String]) -> Result<Self, String> {
        Suite::get()?;
        let server = server()?;
        let room = server.directory().join("regress");
        copy(&suite(&server)?, &room)?;
        let schedule = fs::read_to_string(room.join("suite/parallel_schedule"))
            .map_err(|error| format!("could not read the schedule: {error}"))?;
        let tests = schedule
            .lines()
            .filter_map(|line| line.strip_prefix("test:"))
            .flat_map(str::split_whitespace);
        let wanted = |test: &&str| {
            only.is_empty() || SET_UP.contains(test) || only.iter().any(|it| it == test)
        };
        for test in tests.filter(wanted) {
            run(&server, &room, test)?;
        }
        let log = fs::read(server.log_path()).map_err(|error| format!("no log: {error}"))?;
        let sent = sent(&String::from_utf8_lossy(&log));
        Ok(Corpus {
            sent,
            _recorded_on: server,
        })
    }
}

/// Where the suite of this server's version is cached.
fn suite(server: &Postgres) -> Result<PathBuf, String> {
    let said = server.sql("postgres", "show server_version");
    let said = said.map_err(|error| error.to_string())?;
    let version = said.trim_end().trim_end_matches(')');
    let version = version.rsplit(' ').next().unwrap_or(version);
    let name = format!("postgresql-{}-{version}", server.major());
    Ok(directory().join(name))
}

fn copy(suite: &Path, room: &Path) -> Result<(), String> {
    const COPY: &str = r#"mkdir "$2" && cp -R "$1/suite" "$1/lib" "$2" && mkdir "$2/results" &&
        chmod -R a+rX "$2" && chmod 777 "$2/results""#;
    let status = Command::new("sh")
        .args(["-c", COPY, "sh"])
        .args([suite, room])
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("could not copy the suite to {}", room.display())),
    }
}

/// As `pg_regress` runs a test.
fn run(server: &Postgres, room: &Path, test: &str) -> Result<(), String> {
    let file = fs::File::open(room.join(format!("suite/sql/{test}.sql")))
        .map_err(|error| format!("could not open {test}: {error}"))?;
    let status = server
        .psql(DATABASE)
        // The suite's own errors are part of it.
        .args(["-v", "ON_ERROR_STOP=0"])
        .args(["-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"])
        .env("PGAPPNAME", test)
        .env("PG_ABS_SRCDIR", room.join("suite"))
        .env("PG_ABS_BUILDDIR", room)
        .env("PG_LIBDIR", room.join("lib"))
        .env("PG_DLSUFFIX", ".so")
        .env("PGTZ", "America/Los_Angeles")
        .env("PGDATESTYLE", "Postgres, MDY")
        .current_dir(room)
        .stdin(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status
        .map(drop)
        .map_err(|error| format!("could not run psql: {error}"))
}

fn sent(log: &str) -> Vec<Sent> {
    let mut entries: Vec<String> = Vec::new();
    for line in log.split('\n') {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => {
                entry.push('\n');
                entry.push_str(more);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries.iter().filter_map(|entry| one(entry)).collect()
}

fn one(entry: &str) -> Option<Sent> {
    let (who, said) = entry.strip_prefix(MARK)?.split_once(MARK)?;
    let text = said.trim_start().strip_prefix("LOG:  statement: ")?;
    let mut who = who.splitn(4, '|').map(str::to_owned);
    let (session, user, database, name) = (who.next()?, who.next()?, who.next()?, who.next()?);
    // The database is made by whoever starts the server, and what is not the suite's has no name of a test.
    (database != "postgres").then(|| Sent {
        session,
        user,
        database,
        test: name,
        text: text.to_owned(),
    })
}
