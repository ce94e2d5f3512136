//! `make judge`: what PostgreSQL's own regression SQL does on a real server, against what we class it to be. A superuser in a
//! read-write session runs every statement that the suite's psql sends, one after the other; each that we class `read` is
//! looked at for what it left. It never takes a failed fence (25006) for the only sign of a write.
//! `judge [TEST..]` goes through the set-up and these tests alone.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what it prints is what it is for; a server that does not answer as it must ends it"
)]

#[path = "judge/corpus.rs"]
mod corpus;
#[path = "judge/mutants.rs"]
mod mutants;
#[path = "judge/numbers.rs"]
mod numbers;
#[path = "judge/session.rs"]
mod session;
#[path = "judge/tally.rs"]
mod tally;

use std::collections::{HashMap, HashSet};
use std::env;
use std::process::ExitCode;

use gate::cargo::Own;
use harness::sandbox::Postgres;
use sql::{Catalog, Class, Major, Mention, Reading};

use corpus::{Corpus, Sent};
use numbers::Numbers;
use session::{Answer, Session};
use tally::Tally;

/// How many texts with something spliced in are compared.
const MUTANTS: usize = 4_000;

/// Moves with every function, operator, cast, relation and type.
const STAMP: &str = "\
    SELECT count(*), sum(xmin::text::bigint) FROM pg_proc \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_operator \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_cast \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_rewrite \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_aggregate \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_constraint WHERE contypid <> 0 \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_namespace WHERE nspname NOT LIKE 'pg_temp%' \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', 'p', 'c') \
    UNION ALL SELECT count(*), sum(xmin::text::bigint) FROM pg_type";

fn main() -> ExitCode {
    let only: Vec<String> = env::args().skip(1).collect();
    match judge(&only) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("judge: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no read wrote or left anything.
fn judge(only: &[String]) -> Result<bool, String> {
    let corpus = Corpus::record(only)?;
    let server = corpus::server()?;
    println!("{} texts were sent by the suite", corpus.sent.len());
    let mut judge = Judge::new(&server);
    let mut now = None;
    for (done, sent) in corpus.sent.iter().enumerate() {
        if now != Some(&sent.session) {
            judge.session = Session::login(&server, &sent.user, &sent.database);
            now = Some(&sent.session);
        }
        judge.follow(sent);
        if done % 5_000 == 0 {
            println!("{done:>6} {}", sent.test);
        }
    }
    judge.refresh();
    let catalog = &judge.catalog;
    let texts: Vec<&str> = judge.texts.iter().map(String::as_str).collect();
    mutants::compare(&server, &texts, catalog, MUTANTS, &mut judge.tally);
    judge.numbers.print();
    judge.tally.print();
    Ok(judge.tally.is_clean() && judge.numbers.is_clean())
}

/// A run of the corpus, so far.
struct Judge<'a> {
    server: &'a Postgres,
    session: Session,
    /// Whoever counts and reads the catalog.
    aside: Session,
    catalog: Catalog,
    /// The catalog may have changed.
    stale: bool,
    /// What it was read at.
    stamp: Vec<Vec<String>>,
    seen: HashSet<String>,
    /// What people would have had to sign for opened a cursor in this session: FETCH goes on with what was signed.
    signed_cursors: bool,
    /// Each that parses and is not too long, once: what mutants are made of.
    texts: Vec<String>,
    tally: Tally,
    numbers: Numbers,
}

impl<'a> Judge<'a> {
    fn new(server: &'a Postgres) -> Self {
        let mut aside = Session::login(server, corpus::USER, corpus::DATABASE);
        aside.say("SET lock_timeout = '200ms'");
        Judge {
            server,
            session: Session::login(server, corpus::USER, corpus::DATABASE),
            aside,
            catalog: Catalog::unknown(major(server)),
            stale: true,
            stamp: Vec::new(),
            seen: HashSet::new(),
            signed_cursors: false,
            texts: Vec::new(),
            tally: Tally::default(),
            numbers: Numbers::new(Catalog::of_rows(major(server), []).unwrap()),
        }
    }

    /// Runs what was sent, and looks at what it left.
    fn follow(&mut self, sent: &Sent) {
        let mut reading = self.read(&sent.text);
        // Inside a transaction it is too late: somebody else does not see what that has made.
        let matters = matches!(
            reading.class(),
            Some(Class::Read | Class::Opaque | Class::Transaction)
        );
        if matters && self.stale && !self.session.in_transaction() {
            self.refresh();
            reading = self.read(&sent.text);
        }
        if self.seen.insert(sent.text.clone()) {
            self.count(&sent.text, &reading);
        }
        let class = reading.class();
        if self.session.is_lost() {
            self.session = Session::login(self.server, &sent.user, &sent.database);
        }
        self.signed_cursors &= self.session.in_transaction();
        let looked = match class {
            Some(Class::Read) if self.signed_cursors && fetches(&sent.text) => false,
            Some(Class::Read) => self.measure(sent, &reading),
            Some(Class::Opaque | Class::Write) if self.can_be_wrapped(&reading) => {
                self.measure(sent, &reading)
            }
            _ => false,
        };
        if !looked {
            self.session.say(&sent.text);
            self.signed_cursors |= class > Some(Class::CopyOut);
        }
        let changes = [Class::Ddl, Class::Admin, Class::Opaque];
        self.stale |= class.is_some_and(|class| changes.contains(&class));
    }

    /// Reads a text, and what stands behind the name that it EXECUTEs, as a gate does.
    fn read(&mut self, text: &str) -> Reading {
        let reading = sql::read_for(text, &self.catalog);
        let mut insides = HashMap::new();
        if let [statement] = reading.statements.as_slice()
            && let Some(Mention::Runs { name, plain: true }) = &statement.prepared
            && let Some(text) = self.session.prepared(name)
        {
            insides.insert(name.clone(), sql::read_for(&text, &self.catalog));
        }
        reading.with_inside(|name| insides.get(name))
    }

    fn can_be_wrapped(&self, reading: &Reading) -> bool {
        let outside = reading.statements.iter().any(|it| it.outside_transaction);
        reading.single() && !outside && !self.session.in_transaction()
    }

    /// Runs it between two looks at the session; false if it was not run to its end and must be run as it is.
    fn measure(&mut self, sent: &Sent, reading: &Reading) -> bool {
        let wraps = !self.session.in_transaction();
        let is_read = reading.class() == Some(Class::Read);
        if self.session.has_failed() || (!wraps && !is_read) {
            return false;
        }
        let before = self.session.state();
        if wraps {
            self.session.say("BEGIN");
        }
        let ran = self.session.say(&sent.text);
        let after = self.session.state();
        if wraps {
            self.session
                .say(if ran.failed() { "ROLLBACK" } else { "COMMIT" });
        }
        let (Some(before), Some(after), false) = (before, after, ran.failed()) else {
            return is_read && !self.session.is_lost();
        };
        let mut left = before.left_by(&after);
        if left.is_none()
            && is_read
            && before.wal != after.wal
            && self.writes_wal_again(sent, wraps)
        {
            left = Some("WAL".to_owned());
        }
        if is_read {
            self.tally.read(sent, left);
        } else if left.is_none() && self.runs_read_only(sent) {
            self.tally.held_read(sent, reading);
        }
        true
    }

    /// Pruning and hint bits move the WAL once; what writes moves it every time.
    fn writes_wal_again(&mut self, sent: &Sent, wraps: bool) -> bool {
        let mut moves = || {
            let before = self.session.state().map(|it| it.wal);
            self.session
                .say(if wraps { "BEGIN" } else { "SAVEPOINT judge" });
            let failed = self.session.say(&sent.text).failed();
            let after = self.session.state().map(|it| it.wal);
            self.session.say(if wraps {
                "ROLLBACK"
            } else {
                "ROLLBACK TO judge"
            });
            !failed && before != after
        };
        moves() && moves() && moves()
    }

    fn runs_read_only(&mut self, sent: &Sent) -> bool {
        self.session.say("BEGIN READ ONLY");
        let ran = self.session.say(&sent.text);
        self.session.say("ROLLBACK");
        !ran.failed()
    }

    /// Compares the count with the server's, which refuses to prepare more than one.
    fn count(&mut self, text: &str, reading: &Reading) {
        let said = self.aside.parse(text);
        let ours = reading
            .why_opaque
            .is_none()
            .then_some(reading.statements.len());
        self.tally.count(text, ours, &said);
        self.tally.second(text, reading);
        self.numbers.compare(text, &self.catalog);
        if ours == Some(1) && text.len() <= 2_000 && matches!(said, Answer::Done) {
            self.texts.push(text.to_owned());
        }
    }

    /// Reads the database's catalog as a gate does, where anything in it has changed that decides a class: most of what the
    /// suite makes are tables.
    fn refresh(&mut self) {
        let stamp = self.aside.rows(STAMP);
        if stamp == self.stamp {
            self.stale = false;
            return;
        }
        let mut rows = Vec::new();
        for sql in Own::Catalog.sql() {
            rows.extend(self.aside.rows(&sql));
        }
        let row = |row: &'_ [String]| -> Option<[String; 5]> { row.to_vec().try_into().ok() };
        let rows: Vec<[String; 5]> = rows.iter().filter_map(|it| row(it)).collect();
        let rows = rows.iter().map(|row| row.each_ref().map(String::as_str));
        // A lock of the session that is being watched may be in the way: then later.
        if rows.len() == 0 {
            return;
        }
        match Catalog::of_rows(major(self.server), rows) {
            Ok(catalog) => (self.catalog, self.stale, self.stamp) = (catalog, false, stamp),
            Err(error) => self.tally.strange(&error.to_string()),
        }
    }
}

fn fetches(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["fetch", "move"].contains(&first.to_lowercase().as_str())
}

fn major(server: &Postgres) -> Option<Major> {
    server.major().to_string().parse().ok()
}
