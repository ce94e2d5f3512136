//! The file of the tickets: made for its owner alone, known by its schema, brought up to date. It never looks at a ticket.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use refinery::{Migration, Runner};
use rusqlite::{Connection, OpenFlags};

use crate::chain::Head;
use crate::ledger;
use crate::rows::Stop;
use crate::transitions;

/// How long another process may hold the file's write lock.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// Every step of the schema, in order. A step that was published is never edited.
const MIGRATIONS: &[(&str, &str)] =
    &[("V1__tickets", include_str!("../migrations/V1__tickets.sql"))];

/// Why a store was not opened. Nothing was changed, but where a migration failed half-way.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nowhere to put it.
    #[error("cannot open ticket store {}: its directory does not exist", path.display())]
    NoDirectory {
        /// The store.
        path: PathBuf,
    },
    /// A newer program made it.
    #[error(
        "ticket store {} has schema version {found}, but this program knows versions up to {known}",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// It is a SQLite database of something else.
    #[error("{} is a SQLite database, but not a ticket store of portcullis", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// SQLite or the file system said no.
    #[error("cannot open ticket store {}: {why}", path.display())]
    Cannot {
        /// The store.
        path: PathBuf,
        /// What they said.
        why: String,
    },
}

/// The heads in the store at `path`, which is not changed.
pub(crate) fn read_heads(path: &Path) -> Result<Vec<(String, Head)>, OpenError> {
    let db = read_only(path)?;
    transitions::heads(&db).map_err(|error| cannot(path, &error))
}

/// The store at `path`, to be looked at.
pub(crate) fn read_only(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| cannot(path, &error))?;
    db.busy_timeout(BUSY)
        .map_err(|error| cannot(path, &error))?;
    refuse_strangers(&db, path)?;
    Ok(db)
}

/// The store at `path`, made if it is not there, and brought up to date.
pub(crate) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if !parent.unwrap_or(Path::new(".")).is_dir() {
        return Err(OpenError::NoDirectory {
            path: path.to_owned(),
        });
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| cannot(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(|error| cannot(path, &error))?;
    refuse_strangers(&db, path)?;
    prepare(&db).map_err(|error| cannot(path, &error))?;
    migrate(&mut db, path)?;
    Ok(db)
}

/// An empty store without a file, which goes with its connection.
pub(crate) fn in_memory() -> Result<Connection, OpenError> {
    let nowhere = Path::new(":memory:");
    let made = Connection::open_in_memory().map_err(Stop::from);
    let made = made.and_then(|db| settings(&db).map(|()| db));
    let mut db = made.map_err(|error| cannot(nowhere, &error))?;
    migrate(&mut db, nowhere)?;
    Ok(db)
}

fn migrate(db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let steps = migrations();
    let done = steps.and_then(|steps| Runner::new(&steps).set_abort_divergent(true).run(db));
    done.map_err(|error| cannot(path, &error))?;
    ledger::prepare(db).map_err(|error| cannot(path, &error))
}

/// What only a file has, and the rest.
fn prepare(db: &Connection) -> Result<(), Stop> {
    db.busy_timeout(BUSY)?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Stop::Value(format!(
            "expected journal mode \"wal\", found \"{mode}\""
        )));
    }
    db.pragma_update(None, "synchronous", "full")?;
    settings(db)
}

fn settings(db: &Connection) -> Result<(), Stop> {
    db.set_prepared_statement_cache_capacity(64);
    db.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

fn migrations() -> Result<Vec<Migration>, refinery::Error> {
    MIGRATIONS
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql))
        .collect()
}

/// Refuses what a newer program or something else made, before anything is written to it.
fn refuse_strangers(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match schema_version(db).map_err(|error| cannot(path, &error))? {
        None => Err(OpenError::Foreign {
            path: path.to_owned(),
        }),
        Some(found) if found > known => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        }),
        Some(_) => Ok(()),
    }
}

/// The schema's version, 0 for an empty file, nothing for a database of something else.
pub(crate) fn schema_version(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(Some(0));
    }
    let history = "SELECT count(*) FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if count(history)? == 0 {
        return Ok(None);
    }
    let version = count("SELECT coalesce(max(version), 0) FROM refinery_schema_history")?;
    let ours = "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'";
    if version > 0 && count(ours)? == 0 {
        return Ok(None);
    }
    Ok(Some(version))
}

/// SQLite or the file system said no.
pub(crate) fn cannot(path: &Path, why: &impl ToString) -> OpenError {
    OpenError::Cannot {
        path: path.to_owned(),
        why: why.to_string(),
    }
}
