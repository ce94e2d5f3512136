//! `explain --batch`: one JSON object a line in, one a line out, in the same order. A text that cannot be
//! read is a row like any other; a line that asks nothing is reported, and the others are answered.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sql::Reading;
use tokio::task::JoinHandle;

use crate::explain::judge::{Answer, Judge, Question};

/// How many texts are read at the same time: less than wait at the reader.
const AT_ONCE: usize = 64;

/// One line of the file. What else stands in it is the script's own business.
#[derive(Debug, Deserialize)]
struct Row {
    id: Value,
    sql: String,
    user: Option<String>,
    tenant: Option<String>,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Answered<'a> {
    id: &'a Value,
    #[serde(flatten)]
    answer: Answer,
}

/// A line whose text is being read.
struct Waiting {
    line: usize,
    id: Value,
    question: Question,
    reading: JoinHandle<Arc<Reading>>,
}

/// What does not depend on the line: who asks unless it says so, from where, and when.
pub(crate) async fn run(
    judge: &Judge,
    usual: &Question,
    rows: impl BufRead,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<bool> {
    let mut waiting = VecDeque::with_capacity(AT_ONCE);
    let mut whole = true;
    for (number, line) in rows.split(b'\n').enumerate() {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match row(&line) {
            Ok(row) => waiting.push_back(ask(judge, usual, number + 1, row)),
            Err(why) => {
                whole = false;
                writeln!(err, "portcullis: error: line {}: {why}", number + 1)?;
            }
        }
        if waiting.len() >= AT_ONCE
            && let Some(next) = waiting.pop_front()
        {
            whole &= answer(judge, next, out, err).await?;
        }
    }
    for next in waiting {
        whole &= answer(judge, next, out, err).await?;
    }
    out.flush()?;
    Ok(whole)
}

/// The question of a line, or why it is none.
fn row(line: &[u8]) -> Result<Row, String> {
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err("expected a JSON object with \"id\" and \"sql\"".to_owned());
    }
    serde_json::from_slice(line).map_err(|error| {
        // It counts lines within the line.
        let why = error.to_string();
        why.split(" at line ").next().unwrap_or_default().to_owned()
    })
}

fn ask(judge: &Judge, usual: &Question, line: usize, row: Row) -> Waiting {
    let reading = tokio::spawn(judge.read(&row.sql));
    Waiting {
        line,
        id: row.id,
        question: Question {
            user: row.user.or_else(|| usual.user.clone()),
            tenant: row.tenant.or_else(|| usual.tenant.clone()),
            sql: row.sql,
            ..usual.clone()
        },
        reading,
    }
}

async fn answer(
    judge: &Judge,
    waiting: Waiting,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<bool> {
    let Waiting {
        line,
        id,
        question,
        reading,
    } = waiting;
    let reading = reading.await.map_err(io::Error::other)?;
    match judge.answer(question, &reading) {
        Ok(answer) => {
            serde_json::to_writer(&mut *out, &Answered { id: &id, answer })?;
            out.write_all(b"\n")?;
            Ok(true)
        }
        Err(why) => {
            writeln!(err, "portcullis: error: line {line}: {why}")?;
            Ok(false)
        }
    }
}
