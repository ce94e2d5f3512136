//! What real clients send when they connect and look around, recorded in tests/fixtures/introspection (its README.md says
//! how): nothing of it wants a ticket, but for what two tables list. Never a client's name makes a statement pass, only what
//! it holds.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use sql::{Catalog, Class, Major, Mention, Reading, read_for};

/// A text that is held: how it begins with its blanks collapsed, what holds it, and what we think of that.
type Entry = (&'static str, &'static str, &'static str);

/// What rightly waits for a signature.
const WANTS_A_TICKET: [Entry; 2] = [
    (
        "SHOW CHARACTER SET",
        "does not parse",
        "Adminer says it to every server: it is MySQL's, and an error in PostgreSQL",
    ),
    (
        "SET default_transaction_read_only TO DEFAULT",
        "resets default_transaction_read_only",
        "opens what somebody else's default may fence",
    ),
];

/// What is held and should not be. To be emptied.
const HELD: [Entry; 2] = [
    (
        "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings \
         WHERE name = 'restrict_nonsystem_relation_kind'",
        "calls set_config()",
        "pg_dump, since 2024: this one text can only forbid more",
    ),
    (
        "BEGIN;declare \"SQL_CUR0x1\" cursor with hold for select",
        "declares a cursor WITH HOLD",
        "psqlODBC with UseDeclareFetch: every query of it, not only those of the catalog",
    ),
];

/// Who must be among the recorded, whatever the version: a directory that is not there would pass.
const CLIENTS: [&str; 22] = [
    "adminer",
    "asyncpg",
    "datagrip",
    "dbeaver",
    "django",
    "node-postgres",
    "npgsql",
    "pg_dump",
    "pgadmin",
    "pgcli",
    "pgjdbc",
    "postgresjs",
    "prisma",
    "psql",
    "psql-completion",
    "psql18",
    "psqlodbc",
    "psycopg",
    "sequelize",
    "sqlalchemy-psycopg",
    "tokio-postgres",
    "typeorm",
];

/// How many statements there are at least, all together.
const STATEMENTS_MIN: usize = 3000;

struct Fixture {
    name: String,
    client: String,
    statements: Vec<String>,
}

fn fixtures() -> Vec<Fixture> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/introspection");
    let mut paths: Vec<PathBuf> = fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "sql"))
        .collect();
    paths.sort();
    paths.iter().map(|path| fixture(path)).collect()
}

/// A header, then statements, each behind a line `=== NUMBER`, as they were sent.
fn fixture(path: &Path) -> Fixture {
    let text = fs::read_to_string(path).unwrap();
    let mut sections = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line == format!("=== {}\n", sections.len()) {
            sections.push(String::new());
        } else {
            sections.last_mut().unwrap().push_str(line);
        }
    }
    let header = sections.remove(0);
    let client = header
        .lines()
        .find_map(|line| line.strip_prefix("client: "));
    // The line's end behind a statement is the file's.
    let statements = sections.iter().map(|it| it.strip_suffix('\n').unwrap());
    Fixture {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        client: client.unwrap().to_owned(),
        statements: statements.map(str::to_owned).collect(),
    }
}

/// Why a text would be held; none if it passes. `made` is what the PREPAREs in front of it made.
fn held(catalog: &Catalog, text: &str, made: &mut HashMap<String, Reading>) -> Option<String> {
    let reading = read_for(text, catalog).with_inside(|name| made.get(name));
    if let [statement] = reading.statements.as_slice()
        && let Some(Mention::Makes { name, .. }) = &statement.prepared
    {
        made.insert(name.clone(), reading.clone());
    }
    let whys: Vec<String> = reading
        .statements
        .iter()
        .filter(|statement| statement.class > Class::CopyOut)
        .map(|statement| format!("{}: {}", statement.class, statement.why))
        .collect();
    (!whys.is_empty()).then(|| whys.join("; "))
}

/// The entry of a table that says of this text that it is held for this.
fn listed(text: &str, why: &str) -> Option<&'static str> {
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    let fits = |(begin, holds, _): &Entry| text.starts_with(begin) && why.contains(holds);
    let mut entries = WANTS_A_TICKET.iter().chain(&HELD);
    entries.find(|entry| fits(entry)).map(|(begin, ..)| *begin)
}

/// Before a database of which nothing is known but its server's major, and before one of which not even that is.
#[test]
fn what_clients_send_to_look_around_passes() {
    let mut used = BTreeSet::new();
    let mut report = Vec::new();
    let (fixtures, mut count) = (fixtures(), 0);
    for catalog in [
        Catalog::of_rows(Major::new(15), []).unwrap(),
        Catalog::unknown(None),
    ] {
        for fixture in &fixtures {
            let mut made = HashMap::new();
            for (number, text) in fixture.statements.iter().enumerate() {
                count += 1;
                let Some(why) = held(&catalog, text, &mut made) else {
                    continue;
                };
                match listed(text, &why) {
                    Some(entry) => _ = used.insert(entry),
                    None => report.push(format!(
                        "{} {}: {why}\n{:.400}",
                        fixture.name,
                        number + 1,
                        text.trim()
                    )),
                }
            }
        }
    }
    let report = report.join("\n\n");
    assert!(
        report.is_empty(),
        "held, and in no table here:\n\n{report}\n"
    );
    let entries = WANTS_A_TICKET.iter().chain(&HELD);
    let stale: Vec<_> = entries.filter(|entry| !used.contains(entry.0)).collect();
    assert!(stale.is_empty(), "in a table, and not held: {stale:#?}");
    assert!(count >= 2 * STATEMENTS_MIN, "{count} statements");
}

#[test]
fn every_client_is_there() {
    let fixtures = fixtures();
    for client in CLIENTS {
        assert!(fixtures.iter().any(|it| it.client == client), "{client}");
    }
    for fixture in fixtures {
        assert!(!fixture.statements.is_empty(), "{}", fixture.name);
    }
}
