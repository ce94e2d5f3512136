//! The extended protocol for reads that pass: the same bytes get the same answers from the gate as
//! from PostgreSQL itself, message by message (hazards R38, R70; `ecosystem.md` 0.1 to 0.4).

use harness::raw::{
    self, Frame, Raw, bind, bind_values, close, describe, execute, execute_rows, flush, frame,
    parse, query, sync,
};
use harness::stage::Stage;

/// One turn: what is sent at once, and the tag that the answer ends with.
type Turn = (Vec<u8>, u8);

/// A whole batch.
fn batch(messages: &[Vec<u8>]) -> Turn {
    (messages.concat(), b'Z')
}

/// What the client waits for `last` of, after a Flush.
fn flushed(messages: &[Vec<u8>], last: u8) -> Turn {
    (messages.concat(), last)
}

/// Plays the turns to the gate and past it, and compares what comes back.
#[track_caller]
fn same(turns: &[Turn]) -> Vec<Vec<Frame>> {
    let stage = Stage::new();
    stage
        .database
        .sql("create table n (i int, t text); insert into n select g, 'n' || g from generate_series(1, 9) g");
    let mut gate = stage.raw("alice");
    let mut server = Raw::login(&stage.database.login(&stage.database.write));
    let mut answers = Vec::new();
    for (number, (bytes, last)) in turns.iter().enumerate() {
        gate.send(bytes);
        server.send(bytes);
        let answer = gate.frames_until(*last);
        assert_eq!(
            seen(&answer),
            seen(&server.frames_until(*last)),
            "turn {number}"
        );
        answers.push(answer);
    }
    answers
}

/// What must agree of an answer: every byte, but of errors the SQLSTATE and the message.
fn seen(frames: &[Frame]) -> Vec<String> {
    frames
        .iter()
        .map(|frame| match frame.tag {
            b'E' => format!("E {} {:?}", frame.sqlstate(), frame.field('M')),
            // Table and type numbers are the same; it is one database.
            tag => format!("{} {:?}", char::from(tag), frame.body),
        })
        .collect()
}

#[test]
fn one_statement_in_one_batch() {
    let answers = same(&[batch(&[
        parse("", "select i, t from n where i < $1 order by i"),
        bind_values("", "", &[Some("3")]),
        describe(b'P', ""),
        execute(""),
        sync(),
    ])]);
    assert_eq!(raw::tags(&answers[0]), "12TDDCZ");
}

#[test]
fn several_executions_in_one_batch() {
    same(&[batch(&[
        parse("a", "select t from n where i = $1"),
        parse("", "select count(*) from n"),
        bind_values("", "a", &[Some("1")]),
        execute(""),
        bind("", ""),
        describe(b'P', ""),
        execute(""),
        bind_values("", "a", &[Some("2")]),
        describe(b'P', ""),
        execute(""),
        sync(),
    ])]);
}

/// psql's `\gdesc`, tokio-postgres, pgx: the row shape first, then the values.
#[test]
fn describe_first() {
    same(&[
        batch(&[
            parse("s", "select t, i from n where i = $1"),
            describe(b'S', "s"),
            sync(),
        ]),
        batch(&[bind_values("", "s", &[Some("4")]), execute(""), sync()]),
        batch(&[
            bind_values("", "s", &[None]),
            describe(b'P', ""),
            execute(""),
            sync(),
        ]),
        batch(&[close(b'S', "s"), sync()]),
        batch(&[bind_values("", "s", &[Some("4")]), execute(""), sync()]),
    ]);
}

/// asyncpg: `P DS H |`, then `B E S`; pg8000 sends `H S` after every step.
#[test]
fn flush_is_a_turn() {
    same(&[
        flushed(
            &[
                parse("f", "select i from n where t = $1"),
                describe(b'S', "f"),
                flush(),
            ],
            b'T',
        ),
        batch(&[bind_values("", "f", &[Some("n5")]), execute(""), sync()]),
        batch(&[parse("", "select max(i) from n"), flush(), sync()]),
        batch(&[describe(b'S', ""), flush(), sync()]),
        flushed(&[bind("", ""), flush()], b'2'),
        batch(&[execute(""), flush(), sync()]),
        flushed(&[parse("", "select 1"), flush()], b'1'),
        flushed(&[bind("p", ""), describe(b'P', "p"), flush()], b'T'),
        flushed(&[execute("p"), flush()], b'C'),
        batch(&[sync()]),
    ]);
}

/// A cursor by portal and row limit (pgjdbc's fetch size, pg-cursor).
#[test]
fn portals_with_row_limits() {
    let answers = same(&[
        flushed(
            &[
                parse("", "select i from n order by i"),
                bind("c", ""),
                describe(b'P', "c"),
                execute_rows("c", 4),
                flush(),
            ],
            b's',
        ),
        flushed(&[execute_rows("c", 4), flush()], b's'),
        flushed(&[execute_rows("c", 4), flush()], b'C'),
        flushed(&[close(b'P', "c"), flush()], b'3'),
        batch(&[sync()]),
        batch(&[execute_rows("c", 1), sync()]),
    ]);
    assert_eq!(raw::tags(&answers[0]), "12TDDDDs");
}

/// asyncpg and pgjdbc in a transaction: a named portal outlives its Sync (`ecosystem.md` 0.4).
#[test]
fn a_portal_outlives_its_sync_in_a_transaction() {
    same(&[
        batch(&[query("begin")]),
        batch(&[
            parse("", "select i from n order by i"),
            bind("c", ""),
            execute_rows("c", 4),
            sync(),
        ]),
        batch(&[execute_rows("c", 4), sync()]),
        batch(&[describe(b'P', "c"), execute_rows("c", 4), sync()]),
        batch(&[close(b'P', "c"), sync()]),
        batch(&[query("commit")]),
        batch(&[execute("c"), sync()]),
    ]);
}

/// The rest of a batch behind an error is skipped up to its Sync, and what is behind that is not.
#[test]
fn an_error_skips_to_the_sync() {
    let answers = same(&[
        batch(&[
            parse("", "select 1 / $1::int"),
            bind_values("", "", &[Some("1")]),
            execute(""),
            // Planned with its value, it fails at Bind (hazards V2).
            bind_values("", "", &[Some("0")]),
            execute(""),
            bind_values("", "", &[Some("1")]),
            execute(""),
            sync(),
        ]),
        batch(&[parse("", "select 2"), bind("", ""), execute(""), sync()]),
        flushed(&[parse("", "select nothing from n"), flush()], b'E'),
        batch(&[bind("", ""), execute(""), query("select 1"), sync()]),
        batch(&[query("select 1")]),
    ]);
    assert_eq!(raw::tags(&answers[0]), "12DCEZ");
    assert_eq!(raw::tags(&answers[3]), "Z");
}

/// Hazards V18: a Query between an error and its Sync is skipped, too.
#[test]
fn mistakes_are_answered_as_the_server_does() {
    same(&[
        batch(&[parse("", "selec 1"), sync()]),
        flushed(&[parse("", "selec 1"), flush()], b'E'),
        batch(&[query("select 1"), sync()]),
        batch(&[parse("", "select 1; select 2"), sync()]),
        batch(&[
            parse("", "select nothing"),
            bind("", ""),
            execute(""),
            sync(),
        ]),
        batch(&[bind("", "nobody"), execute(""), sync()]),
        batch(&[describe(b'S', "nobody"), sync()]),
        batch(&[describe(b'P', "nowhere"), sync()]),
        batch(&[execute("nowhere"), sync()]),
        batch(&[close(b'S', "nobody"), close(b'P', "nowhere"), sync()]),
        batch(&[parse("twice", "select 1"), sync()]),
        batch(&[parse("twice", "select 2"), sync()]),
        batch(&[
            parse("", "select $1::int"),
            bind("", ""),
            execute(""),
            sync(),
        ]),
        batch(&[parse("", "select 1"), sync()]),
        batch(&[bind_values("", "", &[Some("1")]), execute(""), sync()]),
    ]);
}

#[test]
fn nothing_is_answered_as_the_server_does() {
    let answers = same(&[
        batch(&[sync()]),
        batch(&[sync()]),
        batch(&[query("")]),
        batch(&[query("-- ping")]),
        batch(&[
            parse("", ""),
            bind("", ""),
            describe(b'P', ""),
            execute(""),
            sync(),
        ]),
        batch(&[parse("", ";"), describe(b'S', ""), sync()]),
        batch(&[bind("", ""), execute(""), sync()]),
        batch(&[flush(), sync()]),
    ]);
    assert_eq!(raw::tags(&answers[2]), "IZ");
    assert_eq!(raw::tags(&answers[4]), "12nIZ");
}

/// Parse with types and Bind with binary formats, values and NULL go up as they are (ruling 5).
#[test]
fn binary_values_and_null() {
    let typed = [
        b"b\0select $1::int4 + 1, $2::text, $3::bytea\0".as_slice(),
        &3_u16.to_be_bytes(),
        &23_u32.to_be_bytes(),
        &25_u32.to_be_bytes(),
        &17_u32.to_be_bytes(),
    ];
    let bound = [
        b"\0b\0".as_slice(),
        &[0, 3, 0, 1, 0, 0, 0, 1],
        &3_u16.to_be_bytes(),
        &4_u32.to_be_bytes(),
        &41_u32.to_be_bytes(),
        &(-1_i32).to_be_bytes(),
        &3_u32.to_be_bytes(),
        &[0, 255, 0],
        &[0, 1, 0, 1],
    ];
    let answers = same(&[batch(&[
        frame(b'P', &typed.concat()),
        describe(b'S', "b"),
        frame(b'B', &bound.concat()),
        describe(b'P', ""),
        execute(""),
        sync(),
    ])]);
    assert_eq!(raw::tags(&answers[0]), "1tT2TDCZ");
    let row = answers[0].iter().find(|frame| frame.tag == b'D').unwrap();
    assert_eq!(row.body[..10], [0, 3, 0, 0, 0, 4, 0, 0, 0, 42]);
}

/// Several batches at once, as libpq's pipeline mode and tokio-postgres send them.
#[test]
fn batches_are_pipelined() {
    let one = |value: &'static str| {
        [
            parse("", "select $1::int"),
            bind_values("", "", &[Some(value)]),
            execute(""),
            sync(),
        ]
        .concat()
    };
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    client.send(&[one("1"), one("x"), one("3")].concat());
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "12DCZ");
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "1EZ");
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "12DCZ");
}
