//! sqlx before the gate: its pool, its prepared statements, its transactions, or with HOLD=1 what a
//! program that uses it sees of a hold.

mod checks;
mod holds;
#[path = "../../report.rs"]
mod report;

use std::env;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

use report::{Fault, Report};

/// What Cargo.lock pins.
const LOCK: &str = include_str!("../Cargo.lock");

#[tokio::main]
async fn main() {
    let mut pinned = LOCK.lines().skip_while(|line| *line != "name = \"sqlx\"");
    let version = pinned.nth(1).unwrap_or_default().trim_start_matches("version = ");
    println!("version {}", version.trim_matches('"'));
    let mut report = Report::default();
    if env::var_os("HOLD").is_some() {
        holds::all(&mut report).await;
    } else {
        checks::all(&mut report).await;
    }
    std::process::exit(report.exit_code());
}

/// A pool of so many connections at the most.
async fn pool(size: u32) -> Result<PgPool, Fault> {
    Ok(PgPoolOptions::new().max_connections(size).connect_with(options()).await?)
}

/// The way to the server that libpq's variables name; sqlx reads most of them by itself.
fn options() -> PgConnectOptions {
    let mut options = PgConnectOptions::new();
    if env::var("PGSSLMODE").as_deref() == Ok("verify-full") {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if let Ok(file) = env::var("PGSSLROOTCERT") {
        options = options.ssl_root_cert(file);
    }
    options
}
