//! What a hold is to a program that uses tokio-postgres: an `AsyncMessage::Notice`, then the result,
//! or its own time-out.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::AsyncMessage;
use tokio_postgres::error::SqlState;

use crate::report::{Checked, Report, approved, approver, equal, needs, ticket_state};
use crate::server::{Session, fails};

pub async fn checks(report: &mut Report) {
    report.check("hold: approved", signed()).await;
    report.check("hold: in a transaction", in_transaction()).await;
    report.check("hold: one of many in flight", in_flight()).await;
    report.check("hold: own time-out", own_timeout()).await;
    report.check("hold: the client leaves", leaves()).await;
}

async fn notes(session: &Session, from: i32) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = session.query("select note from held where id between $1 and $1 + 9 order by id", &[&from]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn signed() -> Checked {
    let mut session = Session::open().await?;
    let people = approver("tp approved")?;
    let insert = "insert into held values ($1, $2) returning note /* tp approved */";
    let row = session.query_one(insert, &[&200, &"tp 漢"]).await?;
    approved(people).await?;
    equal(row.get::<_, &str>(0), "tp 漢")?;
    let Some(AsyncMessage::Notice(notice)) = session.said.recv().await else {
        return Err("no notice".into());
    };
    equal(notice.message().starts_with("held as ticket"), true)?;
    let text = notice.to_string().replace('\n', " / ");
    println!("sees: nothing, unless the program reads the connection's messages or logs at info: {text}");
    equal(notes(&session, 200).await?, ["tp 漢"])
}

async fn in_transaction() -> Checked {
    let (mut session, other) = (Session::open().await?, Session::open().await?);
    let transaction = session.client.transaction().await?;
    let people = approver("tp in a transaction")?;
    transaction.execute("insert into held values (210, 'tp in a transaction')", &[]).await?;
    approved(people).await?;
    if needs(2).is_ok() {
        equal(notes(&other, 210).await?, Vec::<String>::new())?;
    }
    transaction.commit().await?;
    equal(notes(&other, 210).await?, ["tp in a transaction"])
}

/// Those before it are answered; those behind it wait their turn.
async fn in_flight() -> Checked {
    let session = Session::open().await?;
    let count = session.prepare("select count(*) from held where id = 220").await?;
    let insert = session.prepare("insert into held values (220, 'tp in flight')").await?;
    let people = approver("tp in flight")?;
    let (before, held, after) = tokio::join!(
        session.query_one(&count, &[]),
        session.execute(&insert, &[]),
        session.query_one(&count, &[]),
    );
    approved(people).await?;
    let counts = (before?.get::<_, i64>(0), after?.get::<_, i64>(0));
    equal((counts, held?), ((0, 1), 1))
}

async fn own_timeout() -> Checked {
    let session = Session::open().await?;
    let insert = session.execute("insert into held values (230, 'tp too late')", &[]);
    let mut insert = Box::pin(insert);
    let state = tokio::select! {
        answer = &mut insert => return fails(answer, &SqlState::QUERY_CANCELED),
        state = ticket_state("tp too late", "pending") => state?,
    };
    equal(state, "pending")?;
    equal(timeout(Duration::from_secs(1), &mut insert).await.is_err(), true)?;
    session.cancel().await?;
    fails(insert.await, &SqlState::QUERY_CANCELED)?;
    equal(ticket_state("tp too late", "withdrawn").await?, "withdrawn")?;
    equal(notes(&session, 230).await?, Vec::<String>::new())
}

/// A connection that is dropped without a cancel takes nothing back, and runs nothing.
async fn leaves() -> Checked {
    let session = Session::open().await?;
    let insert = "insert into held values (240, 'tp leaves')";
    tokio::select! {
        answer = session.execute(insert, &[]) => equal(answer?, 0_u64)?,
        state = ticket_state("tp leaves", "pending") => equal(state?, "pending")?,
    }
    session.leave();
    let other = Session::open().await?;
    equal(ticket_state("tp leaves", "pending").await?, "pending")?;
    equal(notes(&other, 240).await?, Vec::<String>::new())
}
