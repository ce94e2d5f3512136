//! What goes up with no fence around it runs nothing that writes: a look inside of something that is open, a statement that
//! is parsed again on another connection, and a SELECT that counts as a setting (DESIGN principles 2 and 7). And what a fence
//! lets go leaves nothing behind that changes what is signed later (principle 4). Nothing is signed here but honest writes.

use harness::raw::{Raw, bind, describe, execute, flush, parse, query, sync, tags};
use harness::stage::{Stage, held_raw};

/// What an array or a row holds is checked when the literal is read, and that is as early as Parse. What `honest` calls is
/// volatile and says so; what `lying` calls says that it is stable; and what `hidden` calls does it only where it can.
const TABLES: &str = "
    create table sneaked (n int);
    create function writes(n int) returns int language plpgsql as
        $$ begin insert into sneaked values (n); return n; end $$;
    create function lies(n int) returns int language plpgsql stable as
        $$ begin return writes(n); end $$;
    create function sly(n int) returns int language plpgsql stable as $$
    begin
        if current_setting('transaction_read_only') = 'on' then
            return n;
        end if;
        return writes(n);
    end $$;
    create domain honest as int check (writes(value) > 0);
    create domain lying as int check (lies(value) > 0);
    create domain hidden as int check (sly(value) > 0);
    create type pair as (n honest)";

const UPDATE: &str = "update t set note = 'new' where id = 1";

#[track_caller]
fn stage() -> Stage {
    let stage = Stage::new();
    stage.database.sql(TABLES);
    stage
}

#[track_caller]
fn signed(stage: &Stage, client: &mut Raw, sent: &[u8], last: u8) {
    client.send(sent);
    stage.approve(&held_raw(client));
    client.frames_until(last);
}

/// Whatever became of it, nothing was written, now or at the end of the transaction.
#[track_caller]
fn wrote_nothing(stage: &Stage, mut client: Raw, what: &str) {
    client.query("commit");
    let count = stage.database.sql("select count(*) from sneaked");
    assert_eq!(count, "0", "{what}");
}

/// Nobody is asked about a Parse, so it must not matter where it comes.
#[test]
fn a_look_in_a_transaction_writes_nothing() {
    let stage = stage();
    for sql in ["select '{5}'::honest[]", "select '(5)'::pair"] {
        for before in [&["begin", "select 1"][..], &["begin", UPDATE]] {
            let mut client = stage.raw("alice");
            for text in before {
                if *text == UPDATE {
                    signed(&stage, &mut client, &query(text), b'Z');
                } else {
                    client.query(text);
                }
            }
            client.send(&[parse("", sql), describe(b'S', ""), sync()].concat());
            client.frames_until(b'Z');
            wrote_nothing(&stage, client, &format!("{before:?}, {sql}"));
        }
    }
}

/// The same in the implicit transaction of a segment that something signed has opened.
#[test]
fn a_look_in_a_segment_writes_nothing() {
    let stage = stage();
    let mut client = stage.raw("alice");
    let update = [parse("", UPDATE), bind("", ""), execute(""), flush()];
    signed(&stage, &mut client, &update.concat(), b'C');
    client.send(&[parse("", "select '{5}'::honest[]"), sync()].concat());
    client.frames_until(b'Z');
    wrote_nothing(&stage, client, "a Parse in a segment");
}

/// A statement that is used on a connection which does not have it is parsed there first.
#[test]
fn what_is_parsed_again_elsewhere_writes_nothing() {
    let stage = stage();
    let uses = [
        ("", describe(b'S', "p")),
        ("begin", [bind("", "p"), execute("")].concat()),
    ];
    for (begin, used) in uses {
        let (mut client, mut other) = (stage.raw("alice"), stage.raw("bob"));
        client.send(&[parse("p", "select '{5}'::hidden[]"), sync()].concat());
        assert_eq!(tags(&client.frames_until(b'Z')), "1Z");
        // It takes the connection that has it.
        other.query("begin");
        other.query("select 1");
        client.query(begin);
        client.send(&[used, sync()].concat());
        client.frames_until(b'Z');
        wrote_nothing(&stage, client, &format!("{begin}, then the statement"));
    }
}

/// A SELECT that sets, or frees locks, stands in no fence: so it must do nothing else.
#[test]
fn what_sets_or_frees_writes_nothing_beside_it() {
    let stage = stage();
    let set = |rest| format!("select set_config('application_name', 'x', false){rest}");
    let wrote = |sql: &String| {
        let mut client = stage.raw("alice");
        client.send(&query(sql));
        let mut frame = client.frame();
        let held = frame.tag == b'N' && frame.sqlstate() == "ZG000";
        while !held && frame.tag != b'Z' {
            frame = client.frame();
        }
        let written = "with gone as (delete from sneaked returning n) select count(*) from gone";
        stage.database.sql(written) != "0"
    };
    let all = [
        set(", lies(5)"),
        set(", 5::lying"),
        set(", '{5}'::lying[]"),
        set(", '(5)'::pair"),
        set(" from lies(5)"),
        set(" where lies(5) > 0"),
        set(" order by lies(5)"),
        set(" limit lies(5)"),
        format!("explain analyze {}", set(", lies(5)")),
        "select pg_advisory_unlock(5::lying)".to_owned(),
        "select pg_advisory_unlock(1), '(5)'::pair".to_owned(),
    ];
    let writing: Vec<_> = all.iter().filter(|sql| wrote(sql)).collect();
    assert!(writing.is_empty(), "{writing:#?}");
}

/// What the next text means is what people were shown, whatever a read called before it.
#[test]
fn a_read_in_a_transaction_leaves_no_setting_behind() {
    let stage = stage();
    stage.database.sql(
        "create schema aside; create table aside.t as table t; grant usage on schema aside to public;
         grant all on aside.t to public;
         create function turns() returns int language plpgsql stable as
            $$ begin perform set_config('search_path', 'aside', false); return 1; end $$;
         create view v as select turns()",
    );
    let mut client = stage.raw("alice");
    client.query("begin");
    client.query("table v");
    signed(&stage, &mut client, &query(UPDATE), b'Z');
    client.query("commit");
    let changed = "select count(*) from aside.t where note = 'new'";
    assert_eq!(
        (stage.database.sql(changed), stage.count("note = 'new'")),
        ("0".into(), "1".into())
    );

    // A session that keeps its connection would keep it for good.
    client.query("prepare pinned as select 1");
    for sql in ["begin", "table v", "commit"] {
        client.query(sql);
    }
    let path = client.query("show search_path");
    assert_eq!(path[1].columns()[0].as_deref(), Some("\"$user\", public"));
}

/// The read lane's default is a setting like others: where a session has its own, the fence is a transaction again.
#[test]
fn a_session_that_sets_the_lanes_default_is_fenced_all_the_same() {
    let stage = stage();
    let mut client = stage.raw("alice");
    let set = "set default_transaction_read_only = off";
    signed(&stage, &mut client, &query(set), b'Z');
    let read = client.query("select current_setting('transaction_read_only')");
    assert_eq!(read[1].columns()[0].as_deref(), Some("on"));
}
