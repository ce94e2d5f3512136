//! Everything but holds.

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use serde_json::json;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnection, PgListener, PgPoolCopyExt};
use sqlx::types::time::{Date, OffsetDateTime};
use sqlx::types::{Decimal, Json, Uuid};
use sqlx::{AssertSqlSafe, Column, Connection, Executor, Row, Statement, query, query_as, query_scalar, raw_sql};

use crate::report::{Checked, Report, equal, needs};
use crate::{options, pool};

pub async fn all(report: &mut Report) {
    report.check("tables", create_tables()).await;
    report.check("types in binary", types()).await;
    report.check("nulls and unicode", nulls()).await;
    report.check("more statements than the cache holds", cache()).await;
    report.check("statements that are not kept", not_persistent()).await;
    report.check("several statements in one text", several()).await;
    report.check("pool with many tasks", many_tasks()).await;
    report.check("transactions and savepoints", transactions()).await;
    report.check("a transaction that is dropped", dropped_transaction()).await;
    report.check("an error in a transaction", error_in_transaction()).await;
    report.check("errors", errors()).await;
    report.check("rows one by one", many_rows()).await;
    report.check("a stream that is left early", left_early()).await;
    report.check("COPY both ways", copy()).await;
    report.check("COPY that fails", copy_fails()).await;
    report.check("LISTEN and NOTIFY", notifications()).await;
    report.check("prepare and describe", prepare()).await;
    report.check("migrations under an advisory lock", migrations()).await;
    report.check("statement_timeout", statement_timeout()).await;
    report.check("ping and settings", settings()).await;
    report.check("a prepared statement outlives a change of its table", changed_table()).await;
    report.check("tables go", drop_tables()).await;
}

/// Expects a failure with this SQLSTATE.
#[track_caller]
pub fn fails<T>(seen: Result<T, sqlx::Error>, state: &str) -> Checked {
    match seen {
        Ok(_) => Err(format!("nothing failed, {state} was expected").into()),
        Err(sqlx::Error::Database(why)) if why.code().as_deref() == Some(state) => Ok(()),
        Err(why) => equal(why.to_string(), state),
    }
}

async fn create_tables() -> Checked {
    drop_tables().await?;
    let pool = pool(1).await?;
    pool.execute("create type sqlx_mood as enum ('sad', 'šťastný')").await?;
    pool.execute("create table sqlx_t (id int primary key, note text)").await?;
    Ok(())
}

async fn drop_tables() -> Checked {
    let pool = pool(1).await?;
    pool.execute("drop table if exists sqlx_t, sqlx_migrated, _sqlx_migrations").await?;
    pool.execute("drop type if exists sqlx_mood").await?;
    Ok(())
}

async fn types() -> Checked {
    let pool = pool(1).await?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(1_709_210_096_789_012_000)?;
    let (uuid, document) = (Uuid::from_u128(42), json!({"a": [1, null, "b"]}));
    let (price, day) = (Decimal::new(-123_456_789, 4), Date::from_ordinal_date(1999, 365)?);
    let list = vec![Some(1), None, Some(3)];
    for _ in 0..8 {
        let row = query("select $1::int2, $2::int8, $3::float8, $4::bool, $5::bytea, $6::timestamptz, $7::uuid, $8::jsonb, $9::int4[], $10::numeric, $11::date, $12::text::sqlx_mood::text")
            .bind(-7_i16)
            .bind(i64::MIN)
            .bind(f64::MAX)
            .bind(true)
            .bind(&[0_u8, 39, 92, 255][..])
            .bind(at)
            .bind(uuid)
            .bind(Json(&document))
            .bind(&list)
            .bind(price)
            .bind(day)
            .bind("šťastný")
            .fetch_one(&pool)
            .await?;
        equal((row.get::<i16, _>(0), row.get::<i64, _>(1)), (-7, i64::MIN))?;
        equal((row.get::<f64, _>(2), row.get::<bool, _>(3)), (f64::MAX, true))?;
        equal(row.get::<Vec<u8>, _>(4), [0, 39, 92, 255])?;
        equal((row.get::<OffsetDateTime, _>(5), row.get::<Uuid, _>(6)), (at, uuid))?;
        equal(row.get::<serde_json::Value, _>(7), document.clone())?;
        equal(row.get::<Vec<Option<i32>>, _>(8), list.clone())?;
        equal((row.get::<Decimal, _>(9), row.get::<Date, _>(10)), (price, day))?;
        equal(row.get::<&str, _>(11), "šťastný")?;
    }
    Ok(())
}

async fn nulls() -> Checked {
    let text = "žluťoučký 漢字 😀 \\ ' \u{1}";
    let row: (Option<i32>, Option<String>, String) =
        query_as("select $1::int, null::text, $2").bind(None::<i32>).bind(text).fetch_one(&pool(1).await?).await?;
    equal(row, (None, None, text.to_owned()))
}

async fn cache() -> Checked {
    let mut connection = PgConnection::connect_with(&options().statement_cache_capacity(5)).await?;
    for turn in 0..3 {
        for number in 0..20 {
            let text = AssertSqlSafe(format!("select $1::int + {number}"));
            let sum: i32 = query_scalar(text).bind(turn).fetch_one(&mut connection).await?;
            equal(sum, number + turn)?;
        }
    }
    Ok(connection.close().await?)
}

async fn not_persistent() -> Checked {
    let pool = pool(1).await?;
    for number in 0..10 {
        let seen: i32 = query_scalar("select $1::int").bind(number).persistent(false).fetch_one(&pool).await?;
        equal(seen, number)?;
    }
    Ok(())
}

async fn several() -> Checked {
    let pool = pool(1).await?;
    let done = raw_sql("insert into sqlx_t values (1, 'a'); update sqlx_t set note = 'b'; select * from sqlx_t").fetch_all(&pool).await?;
    equal(done[0].get::<String, _>(1), "b")?;
    fails(pool.execute("delete from sqlx_t; select 1 / 0").await, "22012")?;
    equal(pool.execute("delete from sqlx_t").await?.rows_affected(), 1)
}

async fn many_tasks() -> Checked {
    let pool = pool(4).await?;
    let numbers = try_join_all((0..60_i64).map(|number| {
        let pool = pool.clone();
        async move { query_scalar::<_, i64>("select $1::int8 * 2").bind(number).fetch_one(&pool).await }
    }));
    equal(numbers.await?, (0..60).map(|number| number * 2).collect::<Vec<i64>>())
}

async fn count(pool: &sqlx::PgPool) -> Result<i64, sqlx::Error> {
    query_scalar("select count(*) from sqlx_t").fetch_one(pool).await
}

async fn transactions() -> Checked {
    needs(2)?;
    let pool = pool(2).await?;
    let mut outer = pool.begin().await?;
    query("insert into sqlx_t values ($1, 'outer')").bind(1).execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    query("insert into sqlx_t values ($1, 'inner')").bind(2).execute(&mut *inner).await?;
    fails(query("select 1 / $1").bind(0).execute(&mut *inner).await, "22012")?;
    inner.rollback().await?;
    equal(count(&pool).await?, 0)?;
    outer.commit().await?;
    equal(count(&pool).await?, 1)?;
    let mut read_only = pool.begin_with("begin isolation level serializable read only").await?;
    fails(read_only.execute("delete from sqlx_t").await, "25006")?;
    read_only.rollback().await?;
    equal(pool.execute("delete from sqlx_t").await?.rows_affected(), 1)
}

async fn dropped_transaction() -> Checked {
    let pool = pool(1).await?;
    let mut transaction = pool.begin().await?;
    transaction.execute("insert into sqlx_t values (1)").await?;
    drop(transaction);
    equal(count(&pool).await?, 0)
}

async fn error_in_transaction() -> Checked {
    let pool = pool(1).await?;
    let mut transaction = pool.begin().await?;
    transaction.execute("insert into sqlx_t values (1)").await?;
    fails(transaction.execute("select * from sqlx_nowhere").await, "42P01")?;
    fails(transaction.execute("select 1").await, "25P02")?;
    transaction.commit().await?;
    equal(count(&pool).await?, 0)
}

async fn errors() -> Checked {
    let pool = pool(1).await?;
    query("insert into sqlx_t values (1)").execute(&pool).await?;
    match query("insert into sqlx_t values ($1)").bind(1).execute(&pool).await {
        Err(sqlx::Error::Database(why)) => {
            equal((why.is_unique_violation(), why.constraint()), (true, Some("sqlx_t_pkey")))?;
        }
        other => return Err(format!("the same key twice: {other:?}").into()),
    }
    fails(query("selec 1").execute(&pool).await, "42601")?;
    fails(query("select $1::text::int").bind("x").fetch_one(&pool).await, "22P02")?;
    fails(PgConnection::connect_with(&options().password("wrong")).await, "28P01")?;
    equal(pool.execute("delete from sqlx_t").await?.rows_affected(), 1)
}

async fn many_rows() -> Checked {
    let pool = pool(1).await?;
    let mut rows = query("select i, repeat('x', 100) from generate_series(1, $1::int8) i").bind(200_000_i64).fetch(&pool);
    let mut sum = 0_i64;
    while let Some(row) = rows.try_next().await? {
        sum += row.get::<i64, _>(0);
    }
    drop(rows);
    equal(sum, 20_000_100_000)?;
    let text: String = query_scalar("select repeat($1, 3000000)").bind("0123456789").fetch_one(&pool).await?;
    equal(text.len(), 30_000_000)
}

/// The rest of the rows is thrown away before the next statement.
async fn left_early() -> Checked {
    let mut connection = PgConnection::connect_with(&options()).await?;
    let mut rows = query("select generate_series(1, 50000)").fetch(&mut connection);
    equal(rows.try_next().await?.map(|row| row.get::<i32, _>(0)), Some(1))?;
    drop(rows);
    equal(query_scalar::<_, i32>("select 7").fetch_one(&mut connection).await?, 7)
}

async fn copy() -> Checked {
    let pool = pool(1).await?;
    let text: String = (0..250_000).map(|i| format!("{i}\ta note with 漢字 and an \\\\ for line {i}\n")).collect();
    equal(text.len() > 10_000_000, true)?;
    let mut sink = pool.copy_in_raw("copy sqlx_t from stdin").await?;
    for chunk in text.as_bytes().chunks(100_000) {
        sink.send(chunk).await?;
    }
    equal(sink.finish().await?, 250_000)?;
    let mut out = pool.copy_out_raw("copy (select * from sqlx_t order by id) to stdout").await?;
    let mut back = Vec::new();
    while let Some(chunk) = out.try_next().await? {
        back.extend_from_slice(&chunk);
    }
    drop(out);
    equal(back == text.as_bytes(), true)?;
    pool.execute("truncate sqlx_t").await?;
    Ok(())
}

async fn copy_fails() -> Checked {
    let pool = pool(1).await?;
    let mut sink = pool.copy_in_raw("copy sqlx_t from stdin").await?;
    sink.send(&b"1\tx\ny\tz\n"[..]).await?;
    fails(sink.finish().await, "22P02")?;
    let mut sink = pool.copy_in_raw("copy sqlx_t from stdin").await?;
    sink.send(&b"1\tx\n"[..]).await?;
    sink.abort("changed my mind").await?;
    equal(count(&pool).await?, 0)
}

async fn notifications() -> Checked {
    needs(2)?;
    let mut listener = PgListener::connect_with(&pool(2).await?).await?;
    listener.listen("sqlx channel").await?;
    query("select pg_notify('sqlx channel', $1)").bind("payload 漢").execute(&pool(1).await?).await?;
    equal(listener.recv().await?.payload(), "payload 漢")
}

/// What is known of a statement before it runs.
async fn prepare() -> Checked {
    let mut connection = PgConnection::connect_with(&options()).await?;
    let text = sqlx::SqlStr::from_static("select id, note || $1 as more from sqlx_t");
    let statement = (&mut connection).prepare(text).await?;
    equal(statement.columns().iter().map(|column| column.name()).collect::<Vec<_>>(), ["id", "more"])
}

/// The lock is the session's, and so the connection to the server: the next session takes another.
async fn migrations() -> Checked {
    needs(2)?;
    let steps = ["create table sqlx_migrated (id int)", "alter table sqlx_migrated add column note text; create index on sqlx_migrated (note)"];
    let steps = steps.iter().enumerate().map(|(at, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(at as i64 + 1, "a step".into(), MigrationType::Simple, sql, false)
    });
    let migrator = Migrator::with_migrations(steps.collect());
    let pool = pool(2).await?;
    migrator.run(&pool).await?;
    migrator.run(&pool).await?;
    let done: i64 = query_scalar("select count(*) from _sqlx_migrations where success").fetch_one(&pool).await?;
    equal(done, 2)
}

async fn statement_timeout() -> Checked {
    let mut connection = PgConnection::connect_with(&options().options([("statement_timeout", "200")])).await?;
    fails(connection.execute("select pg_sleep(60)").await, "57014")?;
    Ok(connection.ping().await?)
}

async fn settings() -> Checked {
    let mut connection = PgConnection::connect_with(&options().application_name("named by sqlx")).await?;
    for _ in 0..5 {
        connection.ping().await?;
    }
    let name: String = query_scalar("select current_setting('application_name')").fetch_one(&mut connection).await?;
    equal(name, "named by sqlx")?;
    connection.execute("set search_path = pg_catalog").await?;
    let path: String = query_scalar("show search_path").fetch_one(&mut connection).await?;
    equal(path, "pg_catalog")
}

/// The server refuses the old shape of a statement in the cache.
async fn changed_table() -> Checked {
    let mut connection = PgConnection::connect_with(&options()).await?;
    query("select * from sqlx_t").fetch_all(&mut connection).await?;
    connection.execute("alter table sqlx_t add column more int").await?;
    fails(query("select * from sqlx_t").fetch_all(&mut connection).await, "0A000")
}
