//! The real psql and the real pgbench before the gate (`ecosystem.md` B).

use harness::stage::{Setup, Stage, held};
use harness::{Process, Program, database, portcullis_binary, postgres, psql, sandbox};
use std::fs;
use std::process::Command;

#[track_caller]
fn stage() -> Stage {
    let setup = Setup {
        tables: "create table t (id int primary key, note text); \
            insert into t values (1, 'one'), (2, 'two')"
            .to_owned(),
        ..Setup::default()
    };
    setup.start()
}

/// Waits for the notice that psql shows, and has its ticket approved.
#[track_caller]
fn approve(stage: &Stage, psql: &mut Process) {
    stage.approve(&held(psql));
}

/// psql's own commands read catalogs, and nothing of that waits (DESIGN section 4).
#[test]
fn psql_describes() {
    let stage = stage();
    stage.database.sql(
        "create index on t (note); create view v as select * from t; create sequence s; \
         comment on table t is 'what is here'",
    );
    for (command, shows) in [
        (r"\d", "public|t|table|postgres"),
        (r"\d t", "id|integer||not null|"),
        (r"\d+ t", "note|text||||extended"),
        (r"\d v", "note|text"),
        (r"\dt", "public|t|table"),
        (r"\dt+", "what is here"),
        (r"\dv", "public|v|view"),
        (r"\di", "t_pkey"),
        (r"\ds", "public|s|sequence"),
        (r"\dn", "public|"),
        (r"\df", ""),
        (r"\du", "postgres|Superuser"),
        (r"\l", "postgres|UTF8"),
        (r"\dp t", "public|t|table"),
        (r"\dT", ""),
        (r"\conninfo", "as user \"alice\""),
    ] {
        let shown = psql(&stage.login("alice")).run(&["-c", command]).ok();
        assert!(shown.stdout.contains(shows), "{command}: {shown:?}");
        assert!(!shown.stderr.contains("ticket"), "{command}: {shown:?}");
    }
}

/// `\gdesc` prepares and describes, and then asks for the names of the types.
#[test]
fn psql_describes_a_result_that_nobody_approved() {
    let stage = stage();
    let update = r"update t set note = 'x' returning id, note \gdesc";
    let mut run = psql(&stage.login("alice")).spawn(&[]);
    run.type_line(update);
    let shown = run.finish().ok();
    assert_eq!(shown.stdout, "id|integer\nnote|text");
    assert!(!shown.stderr.contains("ticket"), "{shown:?}");
    assert_eq!(stage.database.sql("select note from t where id = 1"), "one");
}

#[test]
fn psql_copies_out_and_in() {
    let stage = stage();
    let file = stage.gate.directory().file("t.csv");
    let file = file.to_str().unwrap();
    let mut out = psql(&stage.login("alice")).spawn(&["-c", &format!(r"\copy t to '{file}' csv")]);
    approve(&stage, &mut out);
    assert_eq!(out.finish().ok().stdout, "COPY 2");
    assert_eq!(fs::read_to_string(file).unwrap(), "1,one\n2,two\n");

    fs::write(file, "3,three\n4,four\n5,five\n").unwrap();
    let mut into =
        psql(&stage.login("alice")).spawn(&["-c", &format!(r"\copy t from '{file}' csv")]);
    approve(&stage, &mut into);
    assert_eq!(into.finish().ok().stdout, "COPY 3");
    assert_eq!(stage.database.sql("select count(*) from t"), "5");
}

#[test]
fn psql_without_autocommit() {
    let stage = stage();
    let mut run = psql(&stage.login("alice")).spawn(&["-v", "AUTOCOMMIT=off"]);
    run.type_line("select note from t where id = 1;");
    run.stdout().wait_for("one");
    run.type_line("update t set note = 'ONE' where id = 1;");
    approve(&stage, &mut run);
    run.stdout().wait_for("UPDATE 1");
    assert_eq!(stage.database.sql("select note from t where id = 1"), "one");
    run.type_line("commit;");
    run.stdout().wait_for("COMMIT");
    assert_eq!(stage.database.sql("select note from t where id = 1"), "ONE");
    run.type_line("delete from t;");
    approve(&stage, &mut run);
    run.stdout().wait_for("DELETE 2");
    run.finish().ok();
    assert_eq!(stage.database.sql("select count(*) from t"), "2");
}

/// A savepoint around each statement: an error, of the server's or of the gate's, undoes that alone.
#[test]
fn psql_goes_back_after_an_error() {
    let stage = stage();
    let mut run = psql(&stage.login("alice"))
        .arg("-v")
        .arg("ON_ERROR_ROLLBACK=on")
        .spawn(&["-v", "ON_ERROR_STOP=0"]);
    run.type_line("begin;");
    run.type_line("update t set note = 'ONE' where id = 1;");
    approve(&stage, &mut run);
    run.stdout().wait_for("UPDATE 1");
    run.type_line("select nothing;");
    run.stderr().wait_for("column \"nothing\" does not exist");
    run.type_line("drop table t;");
    run.stderr()
        .wait_for("schema changes go through migrations");
    run.type_line("select 'still ' || note from t where id = 1;");
    run.stdout().wait_for("still ONE");
    run.type_line("commit;");
    run.stdout().wait_for("COMMIT");
    run.finish().ok();
    assert_eq!(stage.database.sql("select note from t where id = 1"), "ONE");
}

/// `portcullis try --allow-all --plain` lets everything pass, by each protocol of pgbench.
#[test]
fn pgbench_runs_through_try() {
    let database = database();
    let pgbench = sandbox::psql().unwrap().with_file_name("pgbench");
    let mut init = Command::new(&pgbench);
    database.login(&database.owner).into_environment(&mut init);
    Program::new(init).run(&["-i", "-q", "-s", "1"]).ok();

    let state = tempfile::tempdir().unwrap();
    let upstream = format!(
        "postgres://{}:{}@127.0.0.1:{}/{}?sslmode=disable",
        database.write.name,
        database.write.password,
        postgres().port(),
        database.name
    );
    let mut gate = Program::new(Command::new(portcullis_binary())).spawn(&[
        "try",
        "--allow-all",
        "--plain",
        "--quiet",
        "--listen",
        "127.0.0.1:0",
        "--login",
        "bench:mark",
        "--state",
        state.path().to_str().unwrap(),
        &upstream,
    ]);
    let ready = gate.stdout().wait_for("ready on ");
    let (_, port) = ready.rsplit_once(':').unwrap();
    for mode in ["simple", "extended", "prepared"] {
        let mut command = Command::new(&pgbench);
        let mut login = database.login(&database.write);
        login.host = "127.0.0.1".to_owned();
        login.port = port.parse().unwrap();
        login.user = "bench".to_owned();
        login.password = "mark".to_owned();
        login.root_cert = None;
        login.into_environment(&mut command);
        let args = ["-n", "-c", "2", "-t", "25", "-M", mode];
        let select = Program::new(command).arg("-S").run(&args).ok();
        let whole = "number of transactions actually processed: 50/50";
        assert!(select.stdout.contains(whole), "{mode}: {select:?}");
        assert!(
            !select.stdout.contains("failed transactions: 1"),
            "{select:?}"
        );
        // And pgbench's own mix of changes in a transaction.
        let mut command = Command::new(&pgbench);
        login.into_environment(&mut command);
        let mix = Program::new(command).run(&args).ok();
        assert!(mix.stdout.contains(whole), "{mode}: {mix:?}");
    }
    assert_eq!(database.sql("select count(*) from pgbench_history"), "150");
}
