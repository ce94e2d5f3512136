//! What goes in and comes out: types, parameters, prepared statements, portals, sizes.

use std::time::{Duration, SystemTime};

use futures_util::{TryStreamExt, future::try_join_all, pin_mut};
use serde_json::json;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::report::{Checked, Report, equal};
use crate::server::{Session, fails};

pub async fn checks(report: &mut Report) {
    report.check("types in binary", types()).await;
    report.check("nulls", nulls()).await;
    report.check("types of one's own", own_types()).await;
    report.check("prepared and used again", prepared()).await;
    report.check("prepared, dropped, prepared", dropped()).await;
    report.check("query_typed", typed()).await;
    report.check("many in flight", pipeline()).await;
    report.check("an error among many in flight", broken_pipeline()).await;
    report.check("simple query", simple()).await;
    report.check("stream of many rows", many_rows()).await;
    report.check("portal", portal()).await;
    report.check("large parameter and value", large()).await;
    report.check("unicode", unicode()).await;
}

async fn types() -> Checked {
    let session = Session::open().await?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_709_210_096_789_012);
    let (uuid, document) = (Uuid::from_u128(42), json!({"a": [1, null, "b"]}));
    let bytes: Vec<u8> = (0..=255).collect();
    let list = vec![Some(1), None, Some(3)];
    for _ in 0..8 {
        let row = session
            .query_one(
                "select $1::int2, $2::int4, $3::int8, $4::float4, $5::float8, $6::bool, $7::text, \
                 $8::bytea, $9::timestamptz, $10::uuid, $11::jsonb, $12::int4[], $13::\"char\"",
                &[
                    &-7_i16, &i32::MIN, &i64::MAX, &1.5_f32, &f64::MIN_POSITIVE, &true,
                    &"it's \\ $1", &bytes, &at, &uuid, &document, &list, &65_i8,
                ],
            )
            .await?;
        equal(row.get::<_, i16>(0), -7)?;
        equal(row.get::<_, i32>(1), i32::MIN)?;
        equal(row.get::<_, i64>(2), i64::MAX)?;
        equal(row.get::<_, f32>(3), 1.5)?;
        equal(row.get::<_, f64>(4), f64::MIN_POSITIVE)?;
        equal(row.get::<_, bool>(5), true)?;
        equal(row.get::<_, &str>(6), "it's \\ $1")?;
        equal(row.get::<_, &[u8]>(7), bytes.as_slice())?;
        equal(row.get::<_, SystemTime>(8), at)?;
        equal(row.get::<_, Uuid>(9), uuid)?;
        equal(row.get::<_, serde_json::Value>(10), document.clone())?;
        equal(row.get::<_, Vec<Option<i32>>>(11), list.clone())?;
        equal(row.get::<_, i8>(12), 65)?;
    }
    Ok(())
}

async fn nulls() -> Checked {
    let session = Session::open().await?;
    let row = session
        .query_one("select $1::int, $2::text, $3::bytea, ''", &[&None::<i32>, &None::<&str>, &None::<&[u8]>])
        .await?;
    equal(row.get::<_, Option<i32>>(0), None)?;
    equal(row.get::<_, Option<&str>>(1), None)?;
    equal(row.get::<_, Option<&[u8]>>(2), None)?;
    equal(row.get::<_, &str>(3), "")
}

/// The driver asks the catalog in the middle of a prepare.
async fn own_types() -> Checked {
    let session = Session::open().await?;
    let statement = session.prepare("select $1::tp_mood, $2::tp_positive, row(1, 'x')::tp_pair, '[1,5)'::int4range").await?;
    equal(statement.params()[0].name(), "tp_mood")?;
    equal(statement.columns()[2].type_().name(), "tp_pair")?;
    let mood = session.query_one("select 'šťastný'::text::tp_mood::text", &[]).await?;
    equal(mood.get::<_, &str>(0), "šťastný")?;
    fails(session.query("select 0::tp_positive", &[]).await, &SqlState::CHECK_VIOLATION)
}

async fn prepared() -> Checked {
    let session = Session::open().await?;
    let one = session.prepare("select $1::int + 1").await?;
    let two = session.prepare_typed("select $1 || '!'", &[Type::TEXT]).await?;
    for i in 0..50 {
        equal(session.query_one(&one, &[&i]).await?.get::<_, i32>(0), i + 1)?;
        equal(session.query_one(&two, &[&i.to_string()]).await?.get::<_, String>(0), format!("{i}!"))?;
    }
    Ok(())
}

/// Each drop queues a Close that is glued to what comes next.
async fn dropped() -> Checked {
    let session = Session::open().await?;
    for i in 0..100_i64 {
        let statement = session.prepare(&format!("select {i}::int8 + $1")).await?;
        equal(session.query_one(&statement, &[&1_i64]).await?.get::<_, i64>(0), i + 1)?;
    }
    Ok(())
}

async fn typed() -> Checked {
    let session = Session::open().await?;
    for i in 0..10_i32 {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&i, Type::INT4), (&"x", Type::TEXT)];
        let rows = session.query_typed("select $1 + 1, $2", &parameters).await?;
        equal(rows[0].get::<_, i32>(0), i + 1)?;
    }
    Ok(())
}

async fn pipeline() -> Checked {
    let session = Session::open().await?;
    let statement = session.prepare("select $1::int8").await?;
    let numbers: Vec<i64> = (0..300).collect();
    let answers = try_join_all(numbers.iter().map(|number| async {
        let row = session.query_one(&statement, &[number]).await?;
        let fresh = session.query_one("select $1::int8 * 2", &[number]).await?;
        Ok::<_, tokio_postgres::Error>((row.get::<_, i64>(0), fresh.get::<_, i64>(0)))
    }))
    .await?;
    equal(answers, numbers.iter().map(|n| (*n, n * 2)).collect::<Vec<_>>())
}

async fn broken_pipeline() -> Checked {
    let session = Session::open().await?;
    let divide = session.prepare("select 10 / $1::int").await?;
    let insert = session.prepare("insert into tp_t values ($1, 'piped')").await?;
    let (one, two, five) = (1, 2, 5);
    let (a, b, c, d, e) = tokio::join!(
        async { session.execute(&insert, &[&one]).await },
        async { session.query_one(&divide, &[&0]).await },
        async { session.execute(&insert, &[&one]).await },
        async { session.execute(&insert, &[&two]).await },
        async { session.query_one(&divide, &[&five]).await },
    );
    equal(a?, 1_u64)?;
    fails(b, &SqlState::DIVISION_BY_ZERO)?;
    fails(c, &SqlState::UNIQUE_VIOLATION)?;
    equal(d?, 1_u64)?;
    equal(e?.get::<_, i32>(0), 2)?;
    equal(session.execute("delete from tp_t", &[]).await?, 2_u64)
}

async fn simple() -> Checked {
    let session = Session::open().await?;
    let answers = session.simple_query("select 1 as a, null; insert into tp_t values (1, 'x'); select 'two'").await?;
    let mut seen = Vec::new();
    for answer in &answers {
        match answer {
            SimpleQueryMessage::Row(row) => seen.push(row.get(0).unwrap_or("null").to_owned()),
            SimpleQueryMessage::CommandComplete(count) => seen.push(format!("done {count}")),
            _ => {}
        }
    }
    equal(seen, ["1", "done 1", "done 1", "two", "done 1"])?;
    fails(session.simple_query("delete from tp_t; select 1/0").await, &SqlState::DIVISION_BY_ZERO)?;
    equal(session.number("select count(*) from tp_t").await?, 1)?;
    for empty in ["", ";", "-- ping"] {
        session.batch_execute(empty).await?;
    }
    equal(session.execute("delete from tp_t", &[]).await?, 1_u64)
}

async fn many_rows() -> Checked {
    let session = Session::open().await?;
    let rows = session.query_raw("select i, repeat('x', 100) from generate_series(1, $1::int8) i", [200_000_i64]).await?;
    pin_mut!(rows);
    let (mut sum, mut count) = (0_i64, 0_i64);
    while let Some(row) = rows.try_next().await? {
        sum += row.get::<_, i64>(0);
        count += 1;
    }
    equal((count, sum), (200_000, 20_000_100_000))
}

/// Execute with a row limit, again and again, two portals at once.
async fn portal() -> Checked {
    let mut session = Session::open().await?;
    let transaction = session.client.transaction().await?;
    let up = transaction.bind("select generate_series(1, $1::int)", &[&1000]).await?;
    let down = transaction.bind("select generate_series(1000, 1, -1)", &[]).await?;
    let mut seen = 0;
    loop {
        let rows = transaction.query_portal(&up, 70).await?;
        let other = transaction.query_portal(&down, 70).await?;
        for (row, other) in rows.iter().zip(&other) {
            seen += 1;
            equal((row.get::<_, i32>(0), other.get::<_, i32>(0)), (seen, 1001 - seen))?;
        }
        equal(transaction.query_one("select 'between'", &[]).await?.get::<_, &str>(0), "between")?;
        if rows.len() < 70 {
            break;
        }
    }
    transaction.commit().await?;
    equal(seen, 1000)
}

async fn large() -> Checked {
    let session = Session::open().await?;
    let bytes: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
    let row = session.query_one("select $1::bytea", &[&bytes]).await?;
    equal(row.get::<_, &[u8]>(0) == bytes, true)?;
    let row = session.query_one("select repeat('0123456789', 3000000)", &[]).await?;
    equal(row.get::<_, &str>(0).len(), 30_000_000)
}

async fn unicode() -> Checked {
    let session = Session::open().await?;
    let text = "žluťoučký 漢字 😀 \u{200f}\u{1} e\u{301}";
    let row = session.query_one(&format!("select $1::text as \"漢 😀\", '{text}'"), &[&text]).await?;
    equal(row.columns()[0].name(), "漢 😀")?;
    equal(row.get::<_, &str>(0), text)?;
    equal(row.get::<_, &str>(1), text)
}
