//! The ledger: a row in the database of the tenant for each signed write, in its own transaction, and what is in doubt resolved
//! by it (DESIGN ruling 26; hazards R81 to R83, V8, V9, V28).

use harness::raw::{self, Frame, Raw, bind, error, execute, flush, parse, sync};
use harness::stage::{Setup, Stage, eventually, held_raw, leave_approved};
use harness::{Role, server_of};

/// A key that is looked at as late as COMMIT, as a row that a COPY breaks.
const TABLES: &str = "create table t (id int primary key deferrable initially deferred, note text not null); \
     create procedure commits() language plpgsql as \
     $$ begin insert into t values (90, 'before'); commit; insert into t values (91, 'behind'); end $$;";

/// DDL waits, as everything does.
pub(crate) fn setup(ledger: bool) -> Setup {
    Setup {
        tables: TABLES.to_owned(),
        ledger,
        rules: "[[rule]]\nname = 'reads'\nclass = ['read', 'session']\nverdict = 'allow'\n"
            .to_owned(),
        ..Setup::default()
    }
}

pub(crate) fn stage() -> Stage {
    setup(true).start()
}

/// Keys of the rows, each the ticket that it is of and what became of it, oldest first.
pub(crate) fn rows(stage: &Stage) -> String {
    let all =
        "select string_agg(ticket || ' ' || fate, ', ' order by at, ticket) from portcullis.ledger";
    stage.database.sql(all)
}

fn count_rows(stage: &Stage) -> u32 {
    let count = stage.database.sql("select count(*) from portcullis.ledger");
    count.parse().unwrap()
}

/// Sends it, has bob sign whatever is held, sends data where the server wants some, and says what came up to ReadyForQuery.
#[track_caller]
fn play(stage: &Stage, client: &mut Raw, bytes: &[u8]) -> (Vec<Frame>, Option<String>) {
    client.send(bytes);
    let (mut frames, mut ticket) = (Vec::new(), None);
    loop {
        let frame = client.frame();
        match frame.tag {
            b'N' => {
                let said = frame.field('M').unwrap_or_default();
                if let Some(held) = harness::stage::ticket_in(&said) {
                    stage.approve(&held);
                    ticket = Some(held);
                }
            }
            b'G' => {
                frames.push(frame);
                client.send(&[raw::frame(b'd', b"70\tcopied\n"), raw::frame(b'c', b"")].concat());
                // While it copies the server swallows the Sync that came with the batch (hazards V21).
                if bytes.starts_with(b"P") {
                    client.send(&sync());
                }
            }
            b'Z' => {
                frames.push(frame);
                return (frames, ticket);
            }
            _ => frames.push(frame),
        }
    }
}

/// What a client hears, to the byte but for what differs from ticket to ticket.
fn heard(frames: &[Frame]) -> Vec<String> {
    let say = |it: &Frame| match it.tag {
        b'E' => format!("E {} {:?}", it.sqlstate(), it.field('M')),
        // It names the table by a number.
        b'T' => format!("T {}", it.body.len()),
        _ => format!("{} {:?}", char::from(it.tag), it.body),
    };
    frames.iter().map(say).collect()
}

fn batch(sql: &str) -> Vec<u8> {
    [
        parse("", sql),
        bind("", ""),
        raw::describe(b'P', ""),
        execute(""),
        sync(),
    ]
    .concat()
}

/// Each turn, and how many rows of the ledger it leaves.
fn alone() -> Vec<(Vec<u8>, u32)> {
    let query = raw::query;
    vec![
        (query("insert into t values (1, 'one')"), 1),
        (
            query("insert into t values (2, 'two') returning id, note"),
            1,
        ),
        (
            query("insert into t values (3, 'three'); update t set note = 'drei' where id = 3"),
            1,
        ),
        (
            query("insert into t values (4, 'four'); select note from t where id = 4"),
            1,
        ),
        (query("begin; insert into t values (5, 'five'); commit"), 1),
        // The modes of a transaction come before all that runs in it.
        (
            query("begin isolation level serializable; insert into t values (6, 'six'); commit"),
            0,
        ),
        (batch("insert into t values (7, 'seven') returning note"), 1),
        (query("copy t from stdin"), 1),
        (query("delete from t where id = 70"), 1),
        (
            [
                parse("", "copy t from stdin"),
                bind("", ""),
                execute(""),
                sync(),
            ]
            .concat(),
            1,
        ),
        // A duplicate is found as late as the commit: what was said before that was not so (hazards R82).
        (query("insert into t values (1, 'again')"), 0),
        (batch("insert into t values (1, 'again')"), 0),
        (query("insert into t values (8, null)"), 0),
        (
            query("insert into t values (8, 'eight'); insert into t values (9, null)"),
            0,
        ),
        (query("update nowhere set a = 1"), 0),
        // A row that COPY cannot read: the rest of its data is nobody's.
        (query("copy t (note) from stdin"), 0),
        (query("create table u (id int)"), 1),
        (query("create index concurrently on t (note)"), 0),
        (query("vacuum t"), 0),
        (query("call commits()"), 0),
        (
            query("do $$ begin insert into t values (92, 'do'); commit; end $$"),
            0,
        ),
        (query("select 1"), 0),
    ]
}

/// Those of transactions, in order.
fn in_transactions() -> Vec<(Vec<u8>, u32)> {
    let query = raw::query;
    vec![
        (query("begin"), 0),
        (query("insert into t values (10, 'ten')"), 0),
        (
            query("insert into t values (11, 'eleven'); insert into t values (12, 'twelve')"),
            0,
        ),
        (batch("insert into t values (13, 'thirteen')"), 0),
        (query("commit"), 3),
        (query("begin"), 0),
        (query("insert into t values (14, 'fourteen')"), 0),
        (query("savepoint s"), 0),
        (query("insert into t values (15, 'fifteen')"), 0),
        (query("rollback to s"), 0),
        (query("commit"), 1),
        (query("begin"), 0),
        (query("insert into t values (16, 'sixteen')"), 0),
        (query("rollback"), 0),
        // What ends its transaction and goes on cannot be told by one row.
        (query("rollback; insert into t values (17, 'seventeen')"), 0),
        (query("begin"), 0),
        (query("savepoint s"), 0),
        (query("insert into t values (18, 'eighteen')"), 0),
        (
            query("rollback to s; insert into t values (19, 'nineteen')"),
            0,
        ),
        (query("commit; insert into t values (20, 'twenty')"), 1),
    ]
}

/// Every shape runs as it does without a ledger, and leaves its row where it may.
#[track_caller]
fn same_in_every_shape(ledger: &Stage, plain: &Stage) {
    let (mut one, mut other) = (ledger.raw("alice"), plain.raw("alice"));
    for (bytes, more) in alone().into_iter().chain(in_transactions()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let before = count_rows(ledger);
        let (with, ticket) = play(ledger, &mut one, &bytes);
        let (without, _) = play(plain, &mut other, &bytes);
        assert_eq!(heard(&with), heard(&without), "{text:?}");
        assert_eq!(
            count_rows(ledger) - before,
            more,
            "{text:?}: {}",
            rows(ledger)
        );
        // In a transaction it may be the row of an earlier ticket.
        if let (1, Some(ticket), false) = (more, ticket, text.contains("commit")) {
            let last = format!("{ticket} ran");
            assert!(rows(ledger).ends_with(&last), "{text:?}: {}", rows(ledger));
        }
    }
    let all = "select string_agg(id || note, ' ' order by id) from t";
    assert_eq!(ledger.database.sql(all), plain.database.sql(all));
}

#[test]
fn what_is_signed_takes_its_row_with_it_in_every_shape() {
    same_in_every_shape(&stage(), &setup(false).start());
}

#[test]
fn it_does_so_in_session_mode() {
    let of = |ledger| Setup {
        tenant: "pool_mode = 'session'\n".to_owned(),
        ..setup(ledger)
    };
    same_in_every_shape(&of(true).start(), &of(false).start());
}

/// Hazards V28: what 15 takes, 18 may lose.
#[test]
fn it_does_so_before_every_major() {
    for major in [14, 16, 17, 18] {
        let Some(server) = server_of(major) else {
            continue;
        };
        let of = |ledger| Setup {
            server,
            ..setup(ledger)
        };
        same_in_every_shape(&of(true).start(), &of(false).start());
    }
}

#[test]
fn a_batch_that_a_flush_leaves_open_has_its_row_too() {
    let stage = stage();
    let mut alice = stage.raw("alice");
    let open = [
        parse("", "insert into t values (1, 'one')"),
        bind("", ""),
        execute(""),
        flush(),
    ]
    .concat();
    alice.send(&open);
    let first = held_raw(&mut alice);
    stage.approve(&first);
    alice.frames_until(b'C');
    alice.send(
        &[
            parse("", "insert into t values (2, 'two')"),
            bind("", ""),
            execute(""),
            sync(),
        ]
        .concat(),
    );
    let second = held_raw(&mut alice);
    stage.approve(&second);
    assert!(raw::tags(&alice.frames_until(b'Z')).ends_with("12CZ"));
    assert_eq!(rows(&stage), format!("{first} ran, {second} ran"));
}

#[test]
fn each_use_of_a_grant_and_each_step_of_a_script_has_its_own() {
    let stage = stage();
    let tenant = stage.database.name.clone();
    let request = |args: &[&str]| {
        let args = [&["request", "--tenant", &tenant], args].concat();
        let said = stage.cli("alice").run(&args).ok().stdout;
        said.split(' ').next().unwrap().to_owned()
    };
    let grant = request(&[
        "--grant", "write", "--for", "1h", "--uses", "2", "-m", "fair",
    ]);
    stage.approve(&grant);
    let mut alice = stage.raw("alice");
    alice.query("insert into t values (1, 'one')");
    alice.query("insert into t values (2, 'two')");
    assert_eq!(rows(&stage), format!("{grant} ran, {grant} ran"));
    let text = "insert into t values (3, 'three'); insert into t values (4, 'four'); vacuum t;";
    let file = stage.gate.directory().write("change.sql", text);
    let script = request(&["-f", &file.to_string_lossy()]);
    stage.approve(&script);
    alice.query(&format!("set portcullis.script = '{script}'"));
    for sql in [
        "insert into t values (3, 'three')",
        "insert into t values (4, 'four')",
        "vacuum t",
    ] {
        assert!(raw::tags(&alice.query(sql)).ends_with("CZ"), "{sql}");
    }
    assert_eq!(stage.state(&script), "done");
    assert_eq!(
        rows(&stage),
        format!("{grant} ran, {grant} ran, {script} ran, {script} ran")
    );
}

/// Hazards R86.
#[test]
fn a_ticket_says_that_no_row_can_go_with_it() {
    let stage = stage();
    let vacuum = leave_approved(&stage, "vacuum t");
    let said = stage.ticket("bob", &vacuum, "beware");
    assert!(said.contains("cannot sit in a transaction"), "{said}");
    assert!(
        said.contains("no row of the ledger can go with it"),
        "{said}"
    );
    let call = leave_approved(&stage, "call commits()");
    let said = stage.ticket("bob", &call, "beware");
    assert!(
        said.contains("no row of the ledger can go with it"),
        "{said}"
    );
    let insert = leave_approved(&stage, "insert into t values (1, 'one')");
    assert_eq!(stage.ticket("bob", &insert, "beware"), "");
}

/// Nothing runs without the row that was promised, and the ticket is good as before.
#[test]
fn without_its_ledger_nothing_that_is_signed_runs() {
    let stage = stage();
    stage.database.sql("alter schema portcullis rename to gone");
    let mut alice = stage.raw("alice");
    for (bytes, tags) in [
        (raw::query("insert into t values (1, 'one')"), "EZ"),
        (
            raw::query("insert into t values (1, 'one'); insert into t values (2, 'two')"),
            "EZ",
        ),
        (batch("insert into t values (1, 'one')"), "EZ"),
        (raw::query("copy t from stdin"), "EZ"),
    ] {
        let (frames, ticket) = play(&stage, &mut alice, &bytes);
        assert_eq!(raw::tags(&frames), tags);
        let fault = error(&frames);
        assert_eq!(fault.sqlstate(), "ZG011");
        let hint = fault.field('H').unwrap();
        assert!(hint.contains("portcullis tenant install"), "{hint}");
        assert_eq!(stage.state(&ticket.unwrap()), "approved");
    }
    assert_eq!(stage.count("true"), "0");
    // In a transaction it is the transaction that has failed.
    alice.query("begin");
    let (frames, ticket) = play(
        &stage,
        &mut alice,
        &raw::query("insert into t values (3, 'three')"),
    );
    assert_eq!(frames.last().unwrap().body, b"E");
    assert_eq!(stage.state(&ticket.unwrap()), "approved");
    alice.query("rollback");
    stage.database.sql("alter schema gone rename to portcullis");
    // The same bytes claim what was signed.
    assert_eq!(
        raw::tags(&alice.query("insert into t values (1, 'one')")),
        "CZ"
    );
    assert_eq!(count_rows(&stage), 1);
    stage.install(&["--apply", "--as", "postgres"]).ok();
    assert_eq!(count_rows(&stage), 1);
}

/// What is there already was spent before, by whatever store (hazards R88).
#[test]
fn what_is_in_the_ledger_does_not_run_again() {
    let stage = stage();
    stage.database.sql(
        "create or replace function portcullis.claim(nonce bytea, ticket text) returns void language sql security definer as \
         $$ insert into portcullis.ledger (key, fate, ticket) values (sha256(nonce), 'ran', ticket), (sha256(nonce), 'ran', ticket) $$",
    );
    let mut alice = stage.raw("alice");
    let (frames, ticket) = play(
        &stage,
        &mut alice,
        &raw::query("insert into t values (1, 'one')"),
    );
    assert_eq!(error(&frames).sqlstate(), "ZG006");
    let ticket = ticket.unwrap();
    // What it was is found out: nothing.
    stage.wait_state(&ticket, "fenced");
    assert_eq!(rows(&stage), format!("{ticket} fenced"));
    assert_eq!(stage.count("true"), "0");
}

/// The server ends the connection in the middle of what was signed.
#[test]
fn what_is_in_doubt_is_fenced_by_itself() {
    let stage = stage();
    let insert = "insert into t values (1, 'one')";
    for sql in [insert.to_owned(), format!("{insert}; select 1")] {
        let mut owner = session(&stage, &stage.database.write);
        owner.query("begin; lock table t in access exclusive mode");
        let mut alice = stage.raw("alice");
        alice.send(&raw::query(&sql));
        let ticket = held_raw(&mut alice);
        stage.approve(&ticket);
        let waits = "and wait_event_type = 'Lock'";
        eventually("it waits for the lock", || stage.upstreams(waits) == 1);
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and query like 'insert%'";
        stage.database.sql(end);
        owner.query("rollback");
        alice.frames_until_closed();
        stage.wait_state(&ticket, "fenced");
        let said = stage.ticket("bob", &ticket, "outcome");
        assert_eq!(said, "the ledger says that it has not run, and never will");
        // The same bytes are another request, and show what became of the first.
        let again = leave_approved(&stage, &sql);
        let earlier = stage.ticket("bob", &again, "previous");
        assert!(earlier.contains(&format!("{ticket} fenced")), "{earlier}");
    }
    assert_eq!(stage.count("true"), "0");
    stage
        .cli("carol")
        .run(&["audit", "verify", "--state", &state(&stage)])
        .ok();
}

fn state(stage: &Stage) -> String {
    stage
        .gate
        .directory()
        .file("state")
        .to_string_lossy()
        .into_owned()
}

/// A session past the gate, as one of the database's roles.
#[track_caller]
pub(crate) fn session(stage: &Stage, role: &Role) -> Raw {
    Raw::login(&stage.database.login(role))
}
