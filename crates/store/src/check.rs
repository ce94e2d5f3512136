//! Whether a state directory is sound: the file, its schema, the journal, and whether tickets and their uses agree. It never
//! writes, and needs no running gate.

use std::path::Path;

use gate::TicketId;
use rusqlite::Connection;

use crate::backup::BackupError;
use crate::file::{read_only, schema_version};
use crate::layout::tickets_file;
use crate::verify::{self, Report};

/// What a state directory was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The version of its schema.
    pub schema: i64,
    /// How many tickets it has.
    pub tickets: i64,
    /// Its journal.
    pub journal: Report,
    /// What is wrong with the tickets, a sentence each; nothing is, where there is none.
    pub faults: Vec<String>,
}

/// What must not be, as a query for the tickets where it is, and as a sentence about them.
const RULES: [(&str, &str); 4] = [
    (
        "SELECT id FROM tickets WHERE state = 'executing' AND NOT EXISTS
         (SELECT 1 FROM claims WHERE ticket = tickets.id AND ended IS NULL)",
        "is executing, but no use of it is open",
    ),
    (
        "SELECT DISTINCT ticket FROM claims JOIN tickets ON tickets.id = claims.ticket
         WHERE ended IS NULL AND NOT shared AND state <> 'executing'",
        "has an open use, but is not executing",
    ),
    (
        "SELECT id FROM tickets WHERE state IN ('failed', 'rolled_back', 'in_doubt', 'fenced')
         AND NOT EXISTS (SELECT 1 FROM claims WHERE ticket = tickets.id AND ended IS NOT NULL)",
        "has ended, but was never used",
    ),
    (
        "SELECT ticket FROM claims WHERE (ended IS NULL) <> (ended_ms IS NULL)",
        "has a use of which nobody knows whether it has ended",
    ),
];

/// Checks a state directory. The gate may be running.
pub fn check(state: &Path) -> Result<Checked, BackupError> {
    let path = tickets_file(state);
    let db = read_only(&path)?;
    // One view of it, whatever the gate does meanwhile.
    let db = db.unchecked_transaction()?;
    let mut faults = integrity(&db)?;
    for (query, what) in RULES {
        let mut statement = db.prepare(query)?;
        let found = statement.query_map([], |row| row.get(0).map(TicketId))?;
        for id in found {
            faults.push(format!("ticket {} {what}", id?));
        }
    }
    Ok(Checked {
        schema: schema_version(&db)?.unwrap_or_default(),
        tickets: db.query_row("SELECT count(*) FROM tickets", [], |row| row.get(0))?,
        journal: verify::verify_state(state)?,
        faults,
    })
}

/// What SQLite itself finds, and rows that point nowhere.
fn integrity(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare("PRAGMA integrity_check")?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut faults = said.collect::<Result<Vec<_>, _>>()?;
    faults.retain(|it| it != "ok");
    let lost = "SELECT count(*) FROM pragma_foreign_key_check";
    let lost: i64 = db.query_row(lost, [], |row| row.get(0))?;
    if lost > 0 {
        faults.push(format!("{lost} rows belong to a ticket that is not there"));
    }
    Ok(faults)
}
