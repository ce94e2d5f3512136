//! Transactions: the BEGIN that is not sent yet, holds inside, the budget, what comes of a refusal
//! and of the tickets that were spent (DESIGN rulings 3, 4 and 10; hazards R34, R62, R77, V27).

use harness::raw::{self, Frame, Raw, bind, execute, parse, sync};
use harness::stage::{Setup, Stage, held_raw, hold_notice, ticket_in};

const INSERT: &str = "insert into t values (1, 'one')";

/// A table whose key is looked at as late as COMMIT, and a view that would write.
/// A function that says it is stable and calls one that writes, behind a view: the catalog has no word against it.
const TABLES: &str = "
    create table t (id int primary key deferrable initially deferred, note text);
    insert into t values (10, 'ten');
    create function writes() returns int language plpgsql as
        $$ begin insert into t values (99, 'sneaked'); return 1; end $$;
    create function lies() returns int language plpgsql stable as
        $$ begin return writes(); end $$;
    create view harmless as select lies() as n";

/// A stage, and alice's connection to it.
#[track_caller]
fn opened() -> (Stage, Raw) {
    opened_with("")
}

/// The same, with more tables in the gate's configuration.
#[track_caller]
fn opened_with(more: &str) -> (Stage, Raw) {
    let setup = Setup {
        tables: TABLES.to_owned(),
        more: more.to_owned(),
        ..Setup::default()
    };
    let stage = setup.start();
    let client = stage.raw("alice");
    (stage, client)
}

/// The same, in a transaction that has done nothing yet.
#[track_caller]
fn begun() -> (Stage, Raw) {
    let (stage, mut client) = opened();
    assert_eq!(ask(&mut client, "begin"), "BEGIN T");
    (stage, client)
}

/// Sends a statement, has it approved, and returns the end of the answer and the ticket.
#[track_caller]
fn approved(stage: &Stage, client: &mut Raw, sql: &str) -> (Vec<Frame>, String) {
    client.send(&raw::query(sql));
    let ticket = held_raw(client);
    stage.approve(&ticket);
    (without_notices(client.frames_until(b'Z')), ticket)
}

fn without_notices(frames: Vec<Frame>) -> Vec<Frame> {
    frames.into_iter().filter(|it| it.tag != b'N').collect()
}

/// A Query's answer: command tags, rows and errors in words, and the status.
#[track_caller]
fn said(frames: &[Frame]) -> String {
    let words: Vec<String> = frames
        .iter()
        .filter_map(|frame| match frame.tag {
            b'C' => Some(frame.text()),
            b'D' => Some(format!(
                "{:?}",
                frame.columns()[0].as_deref().unwrap_or("NULL")
            )),
            b'E' => Some(frame.sqlstate()),
            b'Z' => Some(char::from(frame.body[0]).to_string()),
            _ => None,
        })
        .collect();
    words.join(" ")
}

#[track_caller]
fn ask(client: &mut Raw, sql: &str) -> String {
    said(&client.query(sql))
}

fn rows(stage: &Stage) -> String {
    let all = "select string_agg(id::text, ' ' order by id) from t";
    stage.database.sql(all)
}

/// DESIGN ruling 3: tag and status are the gate's until something runs.
#[test]
fn begin_is_answered_and_not_sent() {
    let (stage, mut client) = opened();
    let before = stage.upstreams("");
    assert_eq!(ask(&mut client, "begin"), "BEGIN T");
    assert_eq!(stage.upstreams(""), before);
    assert_eq!(stage.active_upstreams(), 0);
    assert_eq!(ask(&mut client, "select 1"), "\"1\" SELECT 1 T");
    assert_eq!(stage.upstreams("and state = 'idle in transaction'"), 1);
    assert_eq!(ask(&mut client, "commit"), "COMMIT I");
    assert_eq!(stage.active_upstreams(), 0);
}

#[test]
fn an_empty_transaction_ends_as_it_should() {
    let (stage, mut client) = opened();
    for (end, tag) in [
        ("commit", "COMMIT I"),
        ("end", "COMMIT I"),
        ("rollback", "ROLLBACK I"),
    ] {
        assert_eq!(ask(&mut client, "start transaction"), "START TRANSACTION T");
        assert_eq!(ask(&mut client, end), tag);
    }
    assert_eq!(stage.active_upstreams(), 0);
}

/// Outside a transaction the server warns, so it is asked.
#[test]
fn an_end_without_a_beginning_warns() {
    let (_stage, mut client) = opened();
    for (sql, tag) in [("commit", "COMMIT"), ("rollback", "ROLLBACK")] {
        let answer = client.query(sql);
        assert_eq!(raw::tags(&answer), "NCZ");
        assert_eq!(answer[0].sqlstate(), "25P01");
        assert_eq!(answer[1].text(), tag);
    }
}

/// Hazards R77: a BEGIN that was put off keeps its options.
#[test]
fn options_of_begin_take_effect() {
    let (stage, mut client) = opened();
    for (begin, level, read_only) in [
        (
            "begin isolation level repeatable read",
            "repeatable read",
            "off",
        ),
        (
            "start transaction isolation level serializable, read only, deferrable",
            "serializable",
            "on",
        ),
        ("begin read only", "read committed", "on"),
        ("begin read write", "read committed", "off"),
        ("begin", "read committed", "off"),
    ] {
        let tag = if begin.starts_with("start") {
            "START TRANSACTION T"
        } else {
            "BEGIN T"
        };
        assert_eq!(ask(&mut client, begin), tag);
        let shown = ask(&mut client, "show transaction_isolation");
        assert_eq!(shown, format!("{level:?} SHOW T"), "{begin}");
        let shown = ask(&mut client, "show transaction_read_only");
        assert_eq!(shown, format!("{read_only:?} SHOW T"), "{begin}");
        assert_eq!(ask(&mut client, "rollback"), "ROLLBACK I");
    }
    ask(&mut client, "begin read only");
    let (refused, _) = approved(&stage, &mut client, INSERT);
    assert_eq!(said(&refused), "25006 E");
}

#[test]
fn a_hold_in_a_transaction_that_did_nothing_costs_nothing() {
    let (stage, mut client) = begun();
    client.send(&raw::query(INSERT));
    let notice = hold_notice(&mut client);
    assert!(
        !notice.field('D').unwrap().contains("rolled back"),
        "{notice:?}"
    );
    assert_eq!(stage.active_upstreams(), 0);
    let held = ticket_in(&notice.field('M').unwrap()).unwrap();
    stage.approve(&held);
    assert_eq!(said(&client.frames_until(b'Z')), "INSERT 0 1 T");
    assert_eq!(rows(&stage), "10");
    assert_eq!(stage.state(&held), "executing");
    assert_eq!(ask(&mut client, "commit"), "COMMIT I");
    assert_eq!(rows(&stage), "1 10");
    assert_eq!(stage.state(&held), "done");
}

#[test]
fn a_rollback_rolls_the_ticket_back() {
    let (stage, mut client) = begun();
    let (answer, spent) = approved(&stage, &mut client, INSERT);
    assert_eq!(said(&answer), "INSERT 0 1 T");
    assert_eq!(ask(&mut client, "rollback"), "ROLLBACK I");
    assert_eq!(stage.state(&spent), "rolled_back");
    assert_eq!(rows(&stage), "10");
}

/// Hazards R62: a hold keeps locks, so it has a budget; what it cost is given back (ruling 3).
#[test]
fn the_budget_rolls_back_and_gives_back() {
    let (stage, mut client) = opened_with("[hold]\ntransaction_budget = '2 s'\n");
    client.query("begin");
    let update = "update t set note = 'TEN' where id = 10";
    let (_, spent) = approved(&stage, &mut client, update);
    client.send(&raw::query(INSERT));
    let notice = hold_notice(&mut client);
    let detail = notice.field('D').unwrap();
    assert!(
        detail.contains("rolled back if nobody decides within 2 s"),
        "{detail}"
    );
    let answer = client.frames_until(b'Z');
    assert_eq!(said(&answer), "ZG005 E");
    assert_eq!(stage.active_upstreams(), 0, "its locks must be gone");
    assert_eq!(
        stage.database.sql("select note from t where id = 10"),
        "ten"
    );
    assert_eq!(ask(&mut client, "select 1"), "25P02 E");
    assert_eq!(stage.state(&spent), "approved");
    assert_eq!(ask(&mut client, "rollback"), "ROLLBACK I");

    // The second run claims what was given back, and does not wait for it.
    client.query("begin");
    assert_eq!(ask(&mut client, update), "UPDATE 1 T");
    assert_eq!(ask(&mut client, "commit"), "COMMIT I");
    assert_eq!(stage.state(&spent), "done");
    assert_eq!(
        stage.database.sql("select note from t where id = 10"),
        "TEN"
    );
}

/// Hazards R34, ruling 4: after a denial nothing of the transaction can be kept.
#[test]
fn a_denial_rolls_back_at_once() {
    let (stage, mut client) = begun();
    let (_, spent) = approved(&stage, &mut client, INSERT);
    assert_eq!(ask(&mut client, "drop table t"), "ZG001 E");
    assert_eq!(stage.active_upstreams(), 0);
    assert_eq!(stage.state(&spent), "rolled_back");
    assert_eq!(ask(&mut client, "select 1"), "25P02 E");
    assert_eq!(ask(&mut client, INSERT), "25P02 E");
    assert_eq!(ask(&mut client, "commit"), "ROLLBACK I");
    assert_eq!(rows(&stage), "10");
}

/// Ruling 4: a client that set a savepoint can go back to it, as the server would let it.
#[test]
fn a_denial_behind_a_savepoint_leaves_the_way_back() {
    let (stage, mut client) = begun();
    let (_, kept) = approved(&stage, &mut client, INSERT);
    assert_eq!(ask(&mut client, "savepoint s"), "SAVEPOINT T");
    let (_, undone) = approved(&stage, &mut client, "insert into t values (2, 'two')");
    assert_eq!(ask(&mut client, "drop table t"), "ZG001 E");
    assert_eq!(ask(&mut client, "select 1"), "25P02 E");
    assert_eq!(ask(&mut client, "rollback to s"), "ROLLBACK T");
    assert_eq!(ask(&mut client, "commit"), "COMMIT I");
    assert_eq!(rows(&stage), "1 10");
    assert_eq!(stage.state(&kept), "done");
    assert_eq!(stage.state(&undone), "rolled_back");
}

/// Hazards V27: what passes unsigned cannot write, whatever it calls, and the transaction can still
/// be saved by a savepoint, or goes on read-write when nothing was wrong.
#[test]
fn an_unsigned_read_is_fenced_in_a_transaction() {
    let (stage, mut client) = begun();
    assert_eq!(ask(&mut client, "select n from harmless"), "25006 E");
    assert_eq!(ask(&mut client, "commit"), "ROLLBACK I");

    client.query("begin");
    assert_eq!(
        ask(&mut client, "select count(*) from t"),
        "\"1\" SELECT 1 T"
    );
    let (answer, _) = approved(&stage, &mut client, INSERT);
    assert_eq!(said(&answer), "INSERT 0 1 T");
    assert_eq!(ask(&mut client, "savepoint s"), "SAVEPOINT T");
    assert_eq!(ask(&mut client, "select n from harmless"), "25006 E");
    assert_eq!(ask(&mut client, "rollback to s"), "ROLLBACK T");
    assert_eq!(
        ask(&mut client, "select count(*) from t"),
        "\"2\" SELECT 1 T"
    );
    let (answer, _) = approved(&stage, &mut client, "insert into t values (2, 'two')");
    assert_eq!(said(&answer), "INSERT 0 1 T");
    assert_eq!(ask(&mut client, "commit"), "COMMIT I");
    assert_eq!(rows(&stage), "1 2 10");
}

/// The same outside a transaction block, by a READ ONLY transaction of the gate's.
#[test]
fn an_unsigned_read_is_fenced_by_itself() {
    let (_stage, mut client) = opened();
    assert_eq!(ask(&mut client, "select n from harmless"), "25006 I");
    assert_eq!(
        ask(&mut client, "select count(*) from t"),
        "\"1\" SELECT 1 I"
    );
}

/// pgjdbc without autocommit: BEGIN is in the same Sync segment (`ecosystem.md` 0.3).
#[test]
fn begin_in_front_of_a_batch() {
    let (stage, mut client) = opened();
    let begin = [parse("", "BEGIN"), bind("", ""), execute("")].concat();
    let run = |sql| [parse("", sql), bind("", ""), execute(""), sync()].concat();
    client.send(&[begin.clone(), run("select id from t")].concat());
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "12C12DCZ");
    assert_eq!(said(&answer), "BEGIN \"10\" SELECT 1 T");
    client.send(&run("COMMIT"));
    assert_eq!(said(&client.frames_until(b'Z')), "COMMIT I");

    client.send(&[begin, run(INSERT)].concat());
    let first = client.frames_until(b'N');
    assert_eq!(raw::tags(&first), "12CN");
    let held = ticket_in(&first[3].field('M').unwrap()).unwrap();
    assert_eq!(stage.active_upstreams(), 0);
    stage.approve(&held);
    let answer = without_notices(client.frames_until(b'Z'));
    assert_eq!(said(&answer), "INSERT 0 1 T");
    client.send(&run("COMMIT"));
    assert_eq!(said(&client.frames_until(b'Z')), "COMMIT I");
    assert_eq!(stage.state(&held), "done");
}

/// Hazards V10, R90: ROLLBACK TO takes the work back and leaves the ticket spent.
#[test]
fn savepoints_pass_and_count() {
    let (stage, mut client) = begun();
    assert_eq!(ask(&mut client, "savepoint a"), "SAVEPOINT T");
    let (_, undone) = approved(&stage, &mut client, INSERT);
    assert_eq!(ask(&mut client, "rollback to savepoint a"), "ROLLBACK T");
    let (_, kept) = approved(&stage, &mut client, "insert into t values (2, 'two')");
    assert_eq!(ask(&mut client, "release a"), "RELEASE T");
    assert_eq!(ask(&mut client, "commit"), "COMMIT I");
    assert_eq!(rows(&stage), "2 10");
    assert_eq!(stage.state(&undone), "rolled_back");
    assert_eq!(stage.state(&kept), "done");
}

#[test]
fn a_commit_that_fails_rolls_the_ticket_back() {
    let (stage, mut client) = begun();
    let (answer, spent) = approved(&stage, &mut client, "insert into t values (10, 'again')");
    assert_eq!(said(&answer), "INSERT 0 1 T");
    assert_eq!(ask(&mut client, "commit"), "23505 I");
    assert_eq!(stage.state(&spent), "rolled_back");
    assert_eq!(rows(&stage), "10");
}

/// A statement that fails by itself: its ticket failed, those before it are rolled back.
#[test]
fn an_error_of_the_server_fails_the_transaction() {
    let (stage, mut client) = begun();
    let (_, before) = approved(&stage, &mut client, INSERT);
    let (answer, failed) = approved(&stage, &mut client, "update t set id = id / 0");
    assert_eq!(said(&answer), "22012 E");
    assert_eq!(stage.state(&failed), "failed");
    assert_eq!(ask(&mut client, "commit"), "ROLLBACK I");
    assert_eq!(stage.state(&before), "rolled_back");
    assert_eq!(rows(&stage), "10");
}

#[test]
fn a_client_that_goes_rolls_back() {
    let (stage, mut client) = begun();
    let (_, spent) = approved(&stage, &mut client, INSERT);
    drop(client);
    stage.wait_for_nobody("alice");
    assert_eq!(stage.state(&spent), "rolled_back");
    assert_eq!(rows(&stage), "10");
}
