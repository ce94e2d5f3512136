//! tokio-postgres before the gate: every way it talks, or with HOLD=1 what a program that uses it
//! sees of a hold.

mod holds;
#[path = "../../report.rs"]
mod report;
mod server;
mod talk;
mod values;

use report::{Checked, Report};
use server::Session;

/// What Cargo.lock pins.
const LOCK: &str = include_str!("../Cargo.lock");

#[tokio::main]
async fn main() {
    let mut pinned = LOCK.lines().skip_while(|line| *line != "name = \"tokio-postgres\"");
    let version = pinned.nth(1).unwrap_or_default().trim_start_matches("version = ");
    println!("version {}", version.trim_matches('"'));
    let mut report = Report::default();
    if std::env::var_os("HOLD").is_some() {
        holds::checks(&mut report).await;
    } else {
        report.check("tables", create_tables()).await;
        values::checks(&mut report).await;
        talk::checks(&mut report).await;
        report.check("tables go", drop_tables()).await;
    }
    std::process::exit(report.exit_code());
}

async fn create_tables() -> Checked {
    drop_tables().await?;
    let session = Session::open().await?;
    session.batch_execute("create type tp_mood as enum ('sad', 'šťastný')").await?;
    session.batch_execute("create domain tp_positive as int check (value > 0)").await?;
    session.batch_execute("create type tp_pair as (a int, b text)").await?;
    Ok(session.batch_execute("create table tp_t (id int primary key, note text)").await?)
}

async fn drop_tables() -> Checked {
    let session = Session::open().await?;
    session.batch_execute("drop table if exists tp_t").await?;
    session.batch_execute("drop type if exists tp_mood, tp_pair").await?;
    Ok(session.batch_execute("drop domain if exists tp_positive").await?)
}
