//! Drivers before the gate, as programmers use them: psycopg 3 and tokio-postgres. Each meets holds,
//! hears of them, and gets its result once they are approved (`ecosystem.md` B).

use std::env;
use std::fs;
use std::future::poll_fn;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use harness::raw::trusting;
use harness::stage::{Setup, Stage, ticket_in};
use harness::{Login, Program};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

#[track_caller]
fn stage() -> Stage {
    let setup = Setup {
        tables: "create table t (id int primary key, note text); \
            insert into t values (1, '1'), (2, '2'), (3, '3')"
            .to_owned(),
        ..Setup::default()
    };
    setup.start()
}

#[test]
fn psycopg_waits_and_goes_on() {
    let Some(python) = psycopg() else { return };
    let stage = stage();
    let mut command = Command::new(python);
    stage.login("alice").into_environment(&mut command);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/psycopg_hold.py");
    let mut run = Program::new(command).spawn(&[script.to_str().unwrap()]);
    let mut line = String::new();
    while line != "whole" {
        line = match run.stdout().wait_within("", harness::DEADLINE) {
            Ok(line) => line,
            Err(end) => panic!("{end}:\n{:?}", run.finish()),
        };
        if let Some(ticket) = line.strip_prefix("held ") {
            stage.approve(ticket);
        }
    }
    run.finish().ok();
    let notes = "select string_agg(note, ' ' order by id) from t";
    assert_eq!(stage.database.sql(notes), "1 two b kept kept");
}

/// A Python with psycopg 3.3, made once for this target directory; without it the test is skipped,
/// and says so.
pub(crate) fn psycopg() -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    // target/debug/deps/it-0123
    let test = env::current_exe().unwrap();
    let clients = test.ancestors().nth(3).unwrap().join("clients");
    let place = clients.join("psycopg");
    let python = place.join("bin/python");
    let there = |python: &Path| {
        let import = Command::new(python).args(["-c", "import psycopg"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if there(&python) {
        return Some(python);
    }
    fs::create_dir_all(&clients).unwrap();
    let made = run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&place))
    .and_then(|()| {
        let pip = ["-m", "pip", "install", "--quiet", "psycopg[binary]==3.3.*"];
        run(Command::new(&python).args(pip))
    });
    match made {
        Ok(()) => Some(python),
        Err(why) => {
            // Not by println, which is silent in a test that passes.
            let mut stderr = std::io::stderr();
            writeln!(stderr, "skipped: psycopg cannot be installed here: {why}").unwrap();
            None
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let said = |output: Output| {
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    };
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", said(output))),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// A connection of tokio-postgres, and the tickets that it hears of.
struct Driver {
    client: Client,
    tickets: mpsc::Receiver<String>,
    tls: MakeRustlsConnect,
}

impl Driver {
    async fn connect(login: &Login) -> Self {
        let tls = MakeRustlsConnect::new(trusting(login.root_cert.as_deref().unwrap()));
        let mut config = Config::new();
        config
            .host(&login.host)
            .port(login.port)
            .user(&login.user)
            .password(&login.password)
            .dbname(&login.database)
            .ssl_mode(tokio_postgres::config::SslMode::Require);
        let (client, connection) = config.connect(tls.clone()).await.unwrap();
        let (give, tickets) = mpsc::channel(10);
        tokio::spawn(listen(connection, give));
        Self {
            client,
            tickets,
            tls,
        }
    }
}

async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<Socket, S>,
    give: mpsc::Sender<String>,
) {
    while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notice(notice) = message
            && let Some(ticket) = ticket_in(notice.message())
        {
            give.send(ticket).await.unwrap();
        }
    }
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work);
}

#[test]
fn tokio_postgres_waits_and_goes_on() {
    let stage = stage();
    block_on(async {
        let mut driver = Driver::connect(&stage.login("alice")).await;
        let select = "select note, $2::int8 from t where id = $1";
        let row = driver.client.query_one(select, &[&2_i32, &7_i64]).await;
        let row = row.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("2", 7));

        let update = driver
            .client
            .prepare("update t set note = $1 where id = $2");
        let update = update.await.unwrap();
        for note in ["two", "TWO"] {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&note, &2_i32];
            let running = driver.client.execute(&update, &values);
            let approving = async {
                let ticket = driver.tickets.recv().await.unwrap();
                stage.approve(&ticket);
            };
            let (changed, ()) = tokio::join!(running, approving);
            assert_eq!(changed.unwrap(), 1);
        }
        assert_eq!(stage.database.sql("select note from t where id = 2"), "TWO");
    });
}

#[test]
fn tokio_postgres_has_transactions() {
    let stage = stage();
    block_on(async {
        let mut driver = Driver::connect(&stage.login("alice")).await;
        for (id, commit) in [(4, true), (5, false)] {
            let transaction = driver.client.transaction().await.unwrap();
            let count = transaction.query_one("select count(*) from t", &[]).await;
            assert!(count.unwrap().get::<_, i64>(0) >= 3);
            let insert = "insert into t values ($1, 'new')";
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&id];
            let running = transaction.execute(insert, &values);
            let approving = async {
                let ticket = driver.tickets.recv().await.unwrap();
                stage.approve(&ticket);
            };
            let (changed, ()) = tokio::join!(running, approving);
            assert_eq!(changed.unwrap(), 1);
            if commit {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
        }
        assert_eq!(stage.database.sql("select max(id) from t"), "4");
    });
}

#[test]
fn tokio_postgres_cancels_what_is_held() {
    let stage = stage();
    block_on(async {
        let mut driver = Driver::connect(&stage.login("alice")).await;
        let cancel = driver.client.cancel_token();
        let tls = driver.tls.clone();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
        let running = driver.client.execute("delete from t", &values);
        let cancelling = async {
            let ticket = driver.tickets.recv().await.unwrap();
            cancel.cancel_query(tls).await.unwrap();
            ticket
        };
        let (ended, ticket) = tokio::join!(running, cancelling);
        assert_eq!(ended.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        assert_eq!(stage.state(&ticket), "withdrawn");
        // The session lives on.
        let one = driver.client.query_one("select 1", &[]).await.unwrap();
        assert_eq!(one.get::<_, i32>(0), 1);
    });
}
