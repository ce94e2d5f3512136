//! What a hold is to a program that uses sqlx: a line in its log, then the result, or its own
//! time-out, which drops the socket.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::{PgPool, query, query_scalar};
use tokio::time::timeout;

use crate::pool;
use crate::report::{Checked, Report, approved, approver, equal, needs, ticket_state};

pub async fn all(report: &mut Report) {
    report.check("hold: approved", signed()).await;
    report.check("hold: in a transaction", in_transaction()).await;
    report.check("hold: own time-out", own_timeout()).await;
}

async fn notes(pool: &PgPool, id: i32) -> Result<Vec<String>, sqlx::Error> {
    query_scalar("select note from held where id = $1").bind(id).fetch_all(pool).await
}

/// sqlx shows a notice in the log only, as `INFO sqlx::postgres::notice`.
async fn signed() -> Checked {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time().init();
    let pool = pool(1).await?;
    let people = approver("sqlx approved")?;
    let insert = "insert into held values ($1, $2) returning note /* sqlx approved */";
    let note: String = query_scalar(insert).bind(501).bind("sqlx 漢").fetch_one(&pool).await?;
    approved(people).await?;
    equal(note, "sqlx 漢")?;
    let line = log.line("held as ticket").ok_or("nothing of it is in the log")?;
    println!("sees: nothing, unless the program has a log at info: {line}");
    equal(notes(&pool, 501).await?, ["sqlx 漢"])
}

async fn in_transaction() -> Checked {
    let pool = pool(2).await?;
    let mut transaction = pool.begin().await?;
    let people = approver("sqlx tx")?;
    query("insert into held values ($1, 'sqlx tx')").bind(502).execute(&mut *transaction).await?;
    approved(people).await?;
    if needs(2).is_ok() {
        equal(notes(&pool, 502).await?, Vec::<String>::new())?;
    }
    transaction.commit().await?;
    equal(notes(&pool, 502).await?, ["sqlx tx"])
}

async fn own_timeout() -> Checked {
    let pool = pool(1).await?;
    let insert = query("insert into held values ($1, 'sqlx too late')").bind(503).execute(&pool);
    let mut insert = Box::pin(insert);
    tokio::select! {
        answer = &mut insert => equal(answer?.rows_affected(), 0)?,
        state = ticket_state("sqlx too late", "pending") => equal(state?, "pending")?,
    }
    equal(timeout(Duration::from_secs(1), insert).await.is_err(), true)?;
    // The pool waits for the answer before it lends this connection again, so it is given up.
    let other = crate::pool(1).await?;
    equal(notes(&other, 503).await?, Vec::<String>::new())?;
    equal(ticket_state("sqlx too late", "pending").await?, "pending")
}

/// A log that can be read again.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn line(&self, part: &str) -> Option<String> {
        let bytes = self.0.lock().ok()?;
        let text = String::from_utf8_lossy(&bytes);
        text.lines().find(|line| line.contains(part)).map(str::to_owned)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(mut all) = self.0.lock() {
            all.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
