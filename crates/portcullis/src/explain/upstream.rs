//! The catalog of a database, asked for as the gate asks for a tenant's. It never runs anything else there.

use gate::Own;
use sql::{Catalog, Major};

use crate::cli::connect::Console;
use crate::cli::conninfo;
use crate::cli::environment;
use crate::cli::trouble::Trouble;

/// Connects, and reads it.
pub(crate) async fn catalog(connstring: &str) -> Result<Catalog, Trouble> {
    let target = conninfo::upstream(connstring, &environment);
    let target = target.map_err(|error| Trouble::Usage(error.to_string()))?;
    let server = Console::open(&target, true).await?;
    let version = server.ask("SHOW server_version_num").await?;
    let number = version.rows.first().and_then(|row| row.first()?.clone());
    let major = number
        .and_then(|it| it.parse::<u32>().ok())
        .map(|it| it / 10_000);
    let major = major.and_then(|it| Major::new(u16::try_from(it).ok()?));
    let mut rows = Vec::new();
    for sql in Own::Catalog.sql() {
        rows.extend(server.ask(&sql).await?.rows);
    }
    server.close().await;
    let rows = rows.iter().map(|row| {
        let mut facts = row.iter().map(|it| it.as_deref().unwrap_or_default());
        [(); 5].map(|()| facts.next().unwrap_or_default())
    });
    Catalog::of_rows(major, rows).map_err(|error| Trouble::Usage(error.to_string()))
}
