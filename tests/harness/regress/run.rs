//! One run of the suite over a cluster of its own, straight or through a gate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::sandbox::{Options, Postgres};
use postgres_protocol::password::scram_sha_256;

use super::{Mode, Suite};
use crate::gate::{Gate, GateDir};
use crate::login::{Login, without_libpq_variables};
use crate::process::{Process, Program};

/// Longer without a word from `pg_regress`, and the run is given up. Its longest groups take seconds.
const SILENCE_MAX: Duration = Duration::from_mins(5);
/// What `pg_regress` ends with when tests printed something else than their expected files.
const TESTS_FAILED: i32 = 1;
const USER: &str = "postgres";
const PASSWORD: &str = "regress";
const DATABASE: &str = "regression";

/// As `pg_regress` makes its database.
const SETTINGS: &str = "
    alter database regression set lc_messages to 'C';
    alter database regression set lc_monetary to 'C';
    alter database regression set lc_numeric to 'C';
    alter database regression set lc_time to 'C';
    alter database regression set bytea_output to 'hex';
    alter database regression set timezone_abbreviations to 'Default';";

/// What every test of the suite printed, by name.
#[derive(Debug)]
pub struct Run {
    pub(super) outputs: BTreeMap<String, Vec<u8>>,
    /// Where they are left, each as `TEST.out`.
    directory: PathBuf,
}

impl Run {
    /// Runs the suite straight. `only` names tests; none of them means the whole schedule.
    pub fn direct(name: &str, suite: &Suite, only: &[String]) -> Result<Self, String> {
        let server = server()?;
        let login = Login {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            user: USER.to_owned(),
            password: server.password().to_owned(),
            database: DATABASE.to_owned(),
            root_cert: None,
        };
        run(name, suite, &server, &login, only)
    }

    /// Runs the suite through a gate that allows everything.
    pub fn gated(mode: Mode, suite: &Suite, only: &[String]) -> Result<Self, String> {
        let server = server()?;
        let mut gate = Gate::start_in(GateDir::new(), &configuration(mode, &server));
        let login = gate.plain_login(USER, PASSWORD, DATABASE);
        run(mode.name(), suite, &server, &login, only)
            .map_err(|why| format!("{why}\nthe gate's log:\n{}", gate.stderr().text()))
    }

    /// Where the output of a test is.
    pub(super) fn output(&self, test: &str) -> PathBuf {
        self.directory.join(format!("{test}.out"))
    }

    /// Leaves what was printed where it can be looked at.
    fn keep(&self) -> Result<(), String> {
        super::emptied(&self.directory)?;
        for (test, output) in &self.outputs {
            let path = self.output(test);
            fs::write(&path, output)
                .map_err(|error| format!("could not write {}: {error}", path.display()))?;
        }
        Ok(())
    }
}

/// A server as `pg_regress` would start it, with the suite's database in it.
fn server() -> Result<Postgres, String> {
    let options = Options {
        fsync: false,
        // The suite logs in as roles that it made without a password.
        hba: Some("host all all 127.0.0.1/32 trust\n".to_owned()),
        ..Options::default()
    };
    let server = options
        .set("synchronous_commit", "on")
        .set("max_connections", "100")
        .set("max_prepared_transactions", "2")
        .set("log_line_prefix", "%m %b[%p] %q%a ")
        .set("log_lock_waits", "on")
        .set("log_temp_files", "128kB");
    let server = Postgres::start(server).map_err(|error| error.to_string())?;
    let create = "create database regression template template0 encoding 'UTF8' locale 'C'";
    for sql in [create, SETTINGS] {
        server
            .sql("postgres", sql)
            .map_err(|error| error.to_string())?;
    }
    Ok(server)
}

fn configuration(mode: Mode, server: &Postgres) -> String {
    let verifier = scram_sha_256(PASSWORD.as_bytes());
    format!(
        "listen = '127.0.0.1:0'\n\
         state = 'state'\n\
         tls.plaintext = true\n\
         [user.{USER}]\n\
         verifier = '{verifier}'\n\
         [user.nobody]\n\
         verifier = '{verifier}'\n\
         groups = 'dba'\n\
         [tenant.'*']\n\
         host = '127.0.0.1'\n\
         port = {port}\n\
         user = '{USER}'\n\
         sslmode = 'disable'\n\
         pool_size = 60\n\
         pool_mode = '{mode}'\n\
         [policy]\n\
         default = {{ approvals = 1, from = 'dba' }}\n\
         [[rule]]\n\
         name = 'everything'\n\
         verdict = 'allow'\n",
        port = server.port(),
    )
}

fn run(
    name: &str,
    suite: &Suite,
    server: &Postgres,
    login: &Login,
    only: &[String],
) -> Result<Run, String> {
    let room = server.directory().join("regress");
    suite.copy_to(&room)?;
    let mut command = Command::new(suite.pg_regress());
    without_libpq_variables(&mut command);
    command
        .current_dir(&room)
        .env("PGPASSWORD", &login.password)
        .env("PGSSLMODE", "disable")
        .args(["--use-existing", "--max-concurrent-tests=20"])
        .args(["--no-locale", "--encoding=UTF8"])
        .arg(format!("--host={}", login.host))
        .arg(format!("--port={}", login.port))
        .arg(format!("--user={}", login.user))
        .arg(format!("--dbname={}", login.database))
        .arg(format!("--bindir={}", suite.programs().display()))
        .arg("--inputdir=suite")
        .arg("--outputdir=.")
        .arg("--dlpath=lib");
    if only.is_empty() {
        command.arg("--schedule=suite/parallel_schedule");
    } else {
        command.args(only);
    }
    let mut process = Program::new(command).spawn(&[]);
    follow(name, server, &mut process)?;
    let finished = process.finish();
    if finished.code > TESTS_FAILED {
        return Err(format!("{name}: pg_regress gave up: {}", finished.stderr));
    }
    let outputs = outputs(&room.join("results"))?;
    let run = Run {
        outputs,
        directory: super::directory().join("results").join(name),
    };
    run.keep()?;
    Ok(run)
}

/// Shows the progress, group by group.
#[expect(
    clippy::print_stdout,
    reason = "progress is what it prints, and what it is for"
)]
fn follow(name: &str, server: &Postgres, process: &mut Process) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        match process.stdout().wait_within("", SILENCE_MAX) {
            Ok(line) if line.starts_with("parallel group") || line.starts_with("test ") => {
                let seconds = start.elapsed().as_secs();
                println!("[{name:<11} {seconds:>4} s] {}", shortened(&line));
            }
            Ok(_) => {}
            // Its end. What tests printed is compared elsewhere.
            Err(_) if asked.elapsed() < SILENCE_MAX => return Ok(()),
            Err(why) => {
                let busy = "select application_name, state, left(query, 200) \
                            from pg_stat_activity where datname = 'regression'";
                let busy = server
                    .sql("postgres", busy)
                    .unwrap_or_else(|error| error.to_string());
                return Err(format!("{name}: {why}; at work in the server:\n{busy}"));
            }
        }
    }
}

fn shortened(line: &str) -> String {
    let mut text: String = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() > 100 {
        text.truncate(100);
        text.push_str("...");
    }
    text
}

fn outputs(results: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let doing = |error| format!("could not read {}: {error}", results.display());
    let mut outputs = BTreeMap::new();
    for entry in fs::read_dir(results).map_err(doing)? {
        let path = entry.map_err(doing)?.path();
        if path.extension().is_some_and(|ending| ending == "out") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            outputs.insert(name.into_owned(), fs::read(&path).map_err(doing)?);
        }
    }
    if outputs.is_empty() {
        return Err(format!("{} is empty: no test ran", results.display()));
    }
    Ok(outputs)
}
