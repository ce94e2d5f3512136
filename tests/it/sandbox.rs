//! The sandbox: servers start, speak TLS, stop, come back, and leave nothing behind.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use harness::raw::{self, Raw};
use harness::sandbox::ca::{Certificates, LOCAL_NAMES};
use harness::sandbox::{Capture, Postgres, Shutdown, Watched};
use harness::{DEADLINE, Program, database, options, postgres, psql};

#[test]
fn a_test_gets_a_database_and_roles_of_its_own() {
    let database = database();
    database.sql("create table t (id int); insert into t values (7)");
    let read = database.login(&database.read);
    assert_eq!(psql(&read).query("select id from t").ok().stdout, "7");
    let refused = psql(&read).query("insert into t values (8)").failed(1);
    assert!(
        refused.stderr.contains("read-only transaction"),
        "{refused:?}"
    );
    let write = database.login(&database.write);
    psql(&write).query("update t set id = 8").ok();
    assert_eq!(database.sql("select id from t"), "8");
}

#[test]
fn psql_checks_the_server_in_full() {
    let database = database();
    let login = database.login(&database.owner);
    let version = "select version from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(psql(&login).query(version).ok().stdout, "TLSv1.3");

    let stranger = tempfile::tempdir().unwrap();
    let files = Certificates::make(&LOCAL_NAMES)
        .unwrap()
        .write(stranger.path())
        .unwrap();
    let mut misled = login;
    misled.root_cert = Some(files.ca);
    let refused = psql(&misled).query("select 1").failed(2);
    assert!(
        refused.stderr.contains("certificate verify failed"),
        "{refused:?}"
    );
}

#[test]
fn the_raw_client_speaks_over_tls_and_in_clear_text() {
    let database = database();
    let mut login = database.login(&database.owner);
    for _ in 0..2 {
        let mut client = Raw::login(&login);
        let answer = client.query("select 1, null, 'x'");
        assert_eq!(raw::tags(&answer), "TDCZ");
        let row = answer[1].columns();
        assert_eq!(row, [Some("1".to_owned()), None, Some("x".to_owned())]);

        let batch = [
            raw::parse("", "select $1::int + 1"),
            raw::bind_values("", "", &[Some("41")]),
            raw::execute(""),
            raw::sync(),
        ];
        client.send(&batch.concat());
        let answer = client.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "12DCZ");
        assert_eq!(answer[2].columns(), [Some("42".to_owned())]);

        let error = client.query("select 1/0");
        assert_eq!(error[0].sqlstate(), "22012");
        client.is_silent_for(Duration::from_millis(20));
        client.send(&raw::terminate());
        assert!(client.frames_until_closed().is_empty());

        login.host = "127.0.0.1".to_owned();
        login.root_cert = None;
    }
    login.password = "wrong".to_owned();
    let refused = Raw::try_login(&login, &[]).unwrap_err();
    assert_eq!(refused.sqlstate(), "28P01");
}

#[test]
fn the_raw_client_cancels() {
    let database = database();
    let login = database.login(&database.owner);
    let mut client = Raw::login(&login);
    // A notice goes out at once, where a row would wait in the server's buffer.
    client.send(&raw::query(
        "do $$ begin raise notice 'on its way'; perform pg_sleep(600); end $$",
    ));
    client.frames_until(b'N');
    let (id, secret) = client.key();
    let mut other = Raw::connect(SocketAddr::from(([127, 0, 0, 1], login.port)));
    other.send(&raw::cancel_request(id, secret));
    assert!(other.frames_until_closed().is_empty());
    let answer = client.frames_until(b'Z');
    let error = answer.iter().find(|frame| frame.tag == b'E').unwrap();
    assert_eq!(error.sqlstate(), "57014");
}

#[test]
fn a_notice_is_seen_while_psql_still_runs() {
    let database = database();
    let login = database.login(&database.owner);
    let mut client = psql(&login).spawn(&[]);
    client.type_line("do $$ begin raise notice 'half way'; perform pg_sleep(600); end $$;");
    let notice = client.stderr().wait_for("half way");
    assert_eq!(notice, "NOTICE:  half way");
    assert!(client.is_running());
    client.signal("INT");
    client.stderr().wait_for("canceling statement");
    client.finish().failed(3);
}

#[test]
fn a_halted_server_comes_back_with_its_data_and_port() {
    let mut server = Postgres::start(options()).unwrap();
    let port = server.port();
    server
        .sql("postgres", "create table kept (id int)")
        .unwrap();
    for how in [Shutdown::Fast, Shutdown::Immediate] {
        server.halt(how);
        assert_eq!(server.id(), None);
        assert!(!answers(port), "port {port} still answers");
        server.resume().unwrap();
        assert_eq!(server.port(), port);
        let count = server.sql("postgres", "select count(*) from kept");
        assert_eq!(count.unwrap(), "0");
    }
    server.restart().unwrap();
    let directory = server.directory().to_path_buf();
    assert!(server.log_path().is_file());
    server.stop();
    assert!(!directory.exists(), "{} is left", directory.display());
    assert!(!answers(port), "port {port} still answers");
}

#[test]
fn a_setting_that_is_wrong_is_told_in_the_servers_words() {
    let wrong = options().set("shared_buffers", "a lot");
    let error = Postgres::start(wrong).unwrap_err().to_string();
    assert!(error.contains("did not start"), "{error}");
    assert!(error.contains("shared_buffers"), "{error}");
}

#[test]
fn kill_9_of_the_owner_leaves_nothing() {
    let mut owner = Program::new(Command::new(env!("CARGO_BIN_EXE_victim"))).spawn(&[]);
    let line = owner.stdout().wait_for("victim ");
    let mut words = line.split_once("victim ").unwrap().1.split(' ');
    let mut number = || -> u32 { words.next().unwrap().parse().unwrap() };
    let (port, server, child) = (number(), number(), number());
    let directory = words.next().unwrap();
    assert!(answers(u16::try_from(port).unwrap()));
    assert!(lives(child));

    owner.kill9();
    eventually("the directory is removed", || {
        !Path::new(directory).exists()
    });
    eventually("the server ends", || !lives(server));
    eventually("the watched child ends", || !lives(child));
    assert!(!answers(u16::try_from(port).unwrap()));
}

#[test]
fn a_watched_child_ends_as_it_is_told() {
    let mut child = Watched::spawn(sleeper(), Capture::Null, Capture::Null).unwrap();
    assert!(child.try_wait().unwrap().is_none());
    let status = child.terminate(DEADLINE).unwrap();
    assert!(!status.success());
    assert!(!lives(child.id()));

    let mut child = Watched::spawn(sleeper(), Capture::Null, Capture::Null).unwrap();
    child.kill9().unwrap();
    assert!(!lives(child.id()));

    let mut deaf = Command::new("sh");
    deaf.args(["-c", "trap '' TERM; echo up; while :; do sleep 1; done"]);
    let mut child = Watched::spawn(&deaf, Capture::Pipe, Capture::Null).unwrap();
    let mut stdout = harness::Lines::read("the child", child.take_stdout().unwrap());
    stdout.wait_for("up");
    child.terminate(Duration::from_millis(100)).unwrap();
    assert!(!lives(child.id()));
}

#[test]
fn a_watched_child_keeps_its_status_output_and_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out");
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "echo \"$1 $WORD\"; pwd; cat; exit 7",
            "sh",
            "two words",
        ])
        .env("WORD", "kept")
        .current_dir(directory.path());
    let mut child = Watched::spawn(&command, Capture::File(file.clone()), Capture::Null).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let text = fs::read_to_string(file).unwrap();
    let here = fs::canonicalize(directory.path()).unwrap();
    assert_eq!(text, format!("two words kept\n{}\n", here.display()));
}

#[test]
fn a_key_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("server.key");
    fs::write(&key, "an older one, open to all").unwrap();
    let certificates = Certificates::make(&["gate.example"]).unwrap();
    let files = certificates.write(directory.path()).unwrap();
    let mode = fs::metadata(files.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_shared_server_is_one() {
    assert_eq!(postgres().port(), postgres().port());
    assert!(postgres().major() >= 14);
}

fn sleeper() -> &'static Command {
    static SLEEPER: std::sync::OnceLock<Command> = std::sync::OnceLock::new();
    SLEEPER.get_or_init(|| {
        let mut command = Command::new("sleep");
        command.arg("600");
        command
    })
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether a process runs; one that has ended and is not yet waited for does not.
fn lives(process: u32) -> bool {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        return stat
            .rsplit_once(") ")
            .is_some_and(|(_, state)| !state.starts_with('Z'));
    }
    let alive = format!("kill -0 {process} 2>/dev/null");
    Command::new("sh")
        .args(["-c", &alive])
        .status()
        .unwrap()
        .success()
}

fn eventually(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
