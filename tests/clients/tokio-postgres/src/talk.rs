//! Transactions, COPY, errors, notices, notifications, cancels, settings.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt, pin_mut, stream};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, IsolationLevel};

use crate::report::{Checked, Report, equal, needs};
use crate::server::{Session, fails};

/// Only a failing check meets it.
const DEADLINE: Duration = Duration::from_secs(30);

pub async fn checks(report: &mut Report) {
    report.check("commit, rollback, drop", transactions()).await;
    report.check("isolation and read only", isolation()).await;
    report.check("savepoints", savepoints()).await;
    report.check("an error in a transaction", error_in_transaction()).await;
    report.check("COPY both ways", copy()).await;
    report.check("COPY binary", copy_binary()).await;
    report.check("COPY that fails", copy_fails()).await;
    report.check("COPY that the client breaks off", copy_dropped()).await;
    report.check("errors", errors()).await;
    report.check("notices", notices()).await;
    report.check("LISTEN and NOTIFY", notifications()).await;
    report.check("cancel", cancel()).await;
    report.check("a future that is dropped", abandoned()).await;
    report.check("settings", settings()).await;
    report.check("a prepared statement outlives a change of its table", changed_table()).await;
}

async fn transactions() -> Checked {
    needs(2)?;
    let (mut session, other) = (Session::open().await?, Session::open().await?);
    let count = "select count(*) from tp_t";
    let transaction = session.client.transaction().await?;
    transaction.execute("insert into tp_t values ($1, $2)", &[&1, &"kept"]).await?;
    equal(other.number(count).await?, 0)?;
    transaction.commit().await?;
    equal(other.number(count).await?, 1)?;
    let transaction = session.client.transaction().await?;
    transaction.execute("delete from tp_t", &[]).await?;
    transaction.rollback().await?;
    let transaction = session.client.transaction().await?;
    transaction.execute("delete from tp_t", &[]).await?;
    drop(transaction);
    equal(session.number(count).await?, 1)?;
    equal(session.execute("delete from tp_t", &[]).await?, 1_u64)
}

async fn isolation() -> Checked {
    let mut session = Session::open().await?;
    let builder = session.client.build_transaction();
    let builder = builder.isolation_level(IsolationLevel::Serializable).read_only(true).deferrable(true);
    let transaction = builder.start().await?;
    let row = transaction.query_one("show transaction_isolation", &[]).await?;
    equal(row.get::<_, &str>(0), "serializable")?;
    fails(transaction.execute("delete from tp_t", &[]).await, &SqlState::READ_ONLY_SQL_TRANSACTION)?;
    transaction.rollback().await?;
    equal(session.number("select 1::int8").await?, 1)
}

async fn savepoints() -> Checked {
    let mut session = Session::open().await?;
    let mut transaction = session.client.transaction().await?;
    transaction.execute("insert into tp_t values (1, 'outer')", &[]).await?;
    let inner = transaction.savepoint("inner_one").await?;
    inner.execute("insert into tp_t values (2, 'inner')", &[]).await?;
    fails(inner.query("select 1 / 0", &[]).await, &SqlState::DIVISION_BY_ZERO)?;
    inner.rollback().await?;
    let inner = transaction.transaction().await?;
    inner.execute("insert into tp_t values (3, 'second')", &[]).await?;
    inner.commit().await?;
    transaction.commit().await?;
    equal(session.number("select sum(id) from tp_t").await?, 4)?;
    equal(session.execute("delete from tp_t", &[]).await?, 2_u64)
}

async fn error_in_transaction() -> Checked {
    let mut session = Session::open().await?;
    let transaction = session.client.transaction().await?;
    transaction.execute("insert into tp_t values (1, 'lost')", &[]).await?;
    fails(transaction.query("select * from tp_nowhere", &[]).await, &SqlState::UNDEFINED_TABLE)?;
    fails(transaction.query("select 1", &[]).await, &SqlState::IN_FAILED_SQL_TRANSACTION)?;
    transaction.commit().await?;
    equal(session.number("select count(*) from tp_t").await?, 0)
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{i}\ta note with an \\\\ and 漢字 for line {i}\n")).collect()
}

async fn copy() -> Checked {
    let session = Session::open().await?;
    let lines = lines(250_000);
    let text = lines.concat();
    equal(text.len() > 10_000_000, true)?;
    let sink = session.copy_in::<_, Bytes>("copy tp_t from stdin").await?;
    pin_mut!(sink);
    let chunks: Vec<_> = text.as_bytes().chunks(60_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    sink.send_all(&mut stream::iter(chunks)).await?;
    equal(sink.finish().await?, 250_000_u64)?;
    let out = session.copy_out("copy (select * from tp_t order by id) to stdout").await?;
    let back = out.try_fold(Vec::new(), |mut all, chunk| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    equal(back.await? == text.as_bytes(), true)?;
    equal(session.execute("truncate tp_t", &[]).await?, 0_u64)
}

async fn copy_binary() -> Checked {
    let session = Session::open().await?;
    let sink = session.copy_in("copy tp_t from stdin (format binary)").await?;
    let writer = tokio_postgres::binary_copy::BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]);
    pin_mut!(writer);
    for i in 0..5000 {
        writer.as_mut().write(&[&i, &(i % 3 == 0).then(|| format!("n{i}"))]).await?;
    }
    equal(writer.finish().await?, 5000_u64)?;
    let out = session.copy_out("copy (select * from tp_t order by id) to stdout (format binary)").await?;
    let rows = tokio_postgres::binary_copy::BinaryCopyOutStream::new(out, &[Type::INT4, Type::TEXT]);
    let rows: Vec<(i32, Option<String>)> = rows.map_ok(|row| (row.get(0), row.get(1))).try_collect().await?;
    equal(rows.len(), 5000)?;
    equal(rows[3].clone(), (3, Some("n3".to_owned())))?;
    equal(session.execute("truncate tp_t", &[]).await?, 0_u64)
}

async fn copy_fails() -> Checked {
    let session = Session::open().await?;
    let sink = session.copy_in::<_, Bytes>("copy tp_t from stdin").await?;
    pin_mut!(sink);
    sink.send(Bytes::from_static(b"1\tx\ny\tz\n3\tx\n")).await?;
    fails(sink.finish().await, &SqlState::INVALID_TEXT_REPRESENTATION)?;
    equal(session.number("select count(*) from tp_t").await?, 0)
}

async fn copy_dropped() -> Checked {
    let session = Session::open().await?;
    let mut sink = Box::pin(session.copy_in::<_, Bytes>("copy tp_t from stdin").await?);
    sink.send(Bytes::from_static(b"1\tx\n")).await?;
    drop(sink);
    equal(session.number("select count(*) from tp_t").await?, 0)
}

async fn errors() -> Checked {
    let session = Session::open().await?;
    session.execute("insert into tp_t values (1)", &[]).await?;
    let Err(twice) = session.execute("insert into tp_t values ($1)", &[&1]).await else {
        return Err("the same key twice".into());
    };
    let said = twice.as_db_error().ok_or("no answer of the server")?;
    equal(said.code(), &SqlState::UNIQUE_VIOLATION)?;
    equal((said.constraint(), said.table()), (Some("tp_t_pkey"), Some("tp_t")))?;
    equal(said.detail(), Some("Key (id)=(1) already exists."))?;
    fails(session.prepare("select from where").await, &SqlState::SYNTAX_ERROR)?;
    fails(session.query("select $1::text::int", &[&"x"]).await, &SqlState::INVALID_TEXT_REPRESENTATION)?;
    equal(session.execute("delete from tp_t", &[]).await?, 1_u64)?;
    let wrong = Session::open_as(|config| {
        config.password("wrong");
    })
    .await;
    let why = wrong.err().ok_or("a wrong password logs in")?;
    let why = why.downcast_ref::<tokio_postgres::Error>().and_then(|why| why.code());
    equal(why, Some(&SqlState::INVALID_PASSWORD))
}

async fn notices() -> Checked {
    let mut session = Session::open().await?;
    session.batch_execute("do $$ begin raise notice 'first'; raise warning 'second 漢'; end $$").await?;
    for expected in ["NOTICE first", "WARNING second 漢"] {
        match timeout(DEADLINE, session.said.recv()).await? {
            Some(AsyncMessage::Notice(it)) => equal(format!("{} {}", it.severity(), it.message()), expected)?,
            other => return Err(format!("no notice: {other:?}").into()),
        }
    }
    Ok(())
}

async fn notifications() -> Checked {
    needs(2)?;
    let (mut session, other) = (Session::open().await?, Session::open().await?);
    session.batch_execute("listen tp_channel").await?;
    other.execute("select pg_notify('tp_channel', $1)", &[&"with a payload 漢"]).await?;
    match timeout(DEADLINE, session.said.recv()).await? {
        Some(AsyncMessage::Notification(it)) => equal(it.payload(), "with a payload 漢"),
        other => Err(format!("no notification: {other:?}").into()),
    }
}

async fn cancel() -> Checked {
    let session = Session::open().await?;
    let sleep = session.query("select pg_sleep(60)", &[]);
    pin_mut!(sleep);
    // Again and again: a cancel before the statement has begun is lost, with every server.
    let answer = loop {
        match timeout(Duration::from_millis(200), &mut sleep).await {
            Ok(answer) => break answer,
            Err(_) => session.cancel().await?,
        }
    };
    fails(answer, &SqlState::QUERY_CANCELED)?;
    equal(session.number("select 1::int8").await?, 1)
}

/// The statement runs on, and its answer is not taken for the next one's.
async fn abandoned() -> Checked {
    let session = Session::open().await?;
    let sleep = timeout(Duration::from_millis(50), session.query("select pg_sleep(0.5), 'late'", &[])).await;
    equal(sleep.is_err(), true)?;
    equal(session.number("select 7::int8").await?, 7)
}

async fn settings() -> Checked {
    let session = Session::open_as(|config| {
        config.application_name("named 漢").options("-c statement_timeout=300 -c search_path=pg_catalog,public");
    })
    .await?;
    let row = session.query_one("select current_setting('application_name'), current_setting('search_path')", &[]).await?;
    equal(row.get::<_, &str>(1), "pg_catalog,public")?;
    fails(session.query("select pg_sleep(60)", &[]).await, &SqlState::QUERY_CANCELED)?;
    session.batch_execute("set statement_timeout = 0; set time zone 'Asia/Tokyo'").await?;
    let row = session.query_one("select ('2024-01-01 00:00Z'::timestamptz)::text", &[]).await?;
    equal(row.get::<_, &str>(0), "2024-01-01 09:00:00+09")
}

/// The server refuses the old shape; the next prepare gets the new one.
async fn changed_table() -> Checked {
    let session = Session::open().await?;
    let all = session.prepare("select * from tp_t").await?;
    equal(session.query(&all, &[]).await?.len(), 0)?;
    session.batch_execute("alter table tp_t add column more int").await?;
    fails(session.query(&all, &[]).await, &SqlState::FEATURE_NOT_SUPPORTED)?;
    equal(session.prepare("select * from tp_t").await?.columns().len(), 3)
}
