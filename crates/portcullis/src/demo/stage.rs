//! The stage of the demo: certificates, a private PostgreSQL with two tenants, a gate, and two
//! people. Everything is in one directory and goes away with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use wire::scram::{ITERATIONS, Verifier};

use super::voice::say;
use crate::sandbox::ca::{Certificates, LOCAL_NAMES};
use crate::sandbox::{self, Capture, Options, Postgres, ServerTls, Watched};
use crate::serve::chain;

/// How long the gate may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);

/// How often to look whether the gate still runs.
const LOOK: Duration = Duration::from_millis(500);

/// How long the gate may take to stop.
const STOP: Duration = Duration::from_secs(12);

/// The tenants, with what follows each one's name.
const TENANTS: [&str; 2] = ["acme", "globex"];

const SCHEMA: &str = include_str!("tenants.sql");

const GATE: &str = include_str!("gate.toml");

/// One of the people: alice asks, bob decides; carol is there so that somebody can sign for bob.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) password: String,
}

impl Person {
    fn new(name: &'static str) -> Result<Self, String> {
        Ok(Self {
            name,
            password: secret()?,
        })
    }
}

/// Everything that runs while the story is told.
pub(super) struct Stage {
    gate: Watched,
    /// Stops with the stage.
    _postgres: Postgres,
    directory: Directory,
    port: u16,
    psql: PathBuf,
    pub(super) alice: Person,
    pub(super) bob: Person,
}

impl Stage {
    /// Sets everything up, saying what it does.
    pub(super) fn set(state: Option<&Path>) -> Result<Self, String> {
        let psql = sandbox::psql().ok_or("psql is not installed: run `make setup`")?;
        let directory = Directory::new(state)?;
        say("==> making a development CA and certificates");
        let made = Certificates::make(&LOCAL_NAMES).map_err(|error| chain(&error))?;
        let files = made.write(&directory.path).map_err(|error| chain(&error))?;
        say("==> starting a private PostgreSQL");
        let tls = ServerTls {
            cert_pem: made.cert_pem.clone(),
            key_pem: made.key_pem.clone(),
        };
        let options = Options {
            tls: Some(tls),
            fsync: false,
            ..Options::default()
        };
        let postgres = Postgres::start(options).map_err(|error| chain(&error))?;
        say(&format!(
            "    PostgreSQL {} with the tenants {}",
            postgres.major(),
            TENANTS.join(" and ")
        ));
        let mut logins = Vec::new();
        for tenant in TENANTS {
            let password = secret()?;
            furnish(&postgres, &directory.path, tenant, &password)?;
            logins.push((tenant, password));
        }
        let (alice, bob, carol) = (
            Person::new("alice")?,
            Person::new("bob")?,
            Person::new("carol")?,
        );
        let config = directory.path.join("portcullis.toml");
        write(
            &config,
            &configuration(&postgres, &files.ca, &logins, [&alice, &bob, &carol])?,
        )?;
        say("==> starting the gate");
        let (gate, port) = start_gate(&config, &directory.path)?;
        say(&format!(
            "    ready on 127.0.0.1:{port}, TLS, tickets and journal in {}",
            directory.path.display()
        ));
        Ok(Self {
            gate,
            _postgres: postgres,
            directory,
            port,
            psql,
            alice,
            bob,
        })
    }

    /// What a person types to reach a database, or the console, through the gate.
    pub(super) fn connection(&self, who: &Person, database: Option<&str>) -> String {
        let database = database.map_or_else(String::new, |name| format!(" dbname={name}"));
        let root = self.directory.path.join("ca.pem");
        format!(
            "host=127.0.0.1 port={} user={}{database} sslmode=verify-full sslrootcert={}",
            self.port,
            who.name,
            root.display()
        )
    }

    /// psql as this person.
    pub(super) fn psql(&self, who: &Person, sql: &str) -> Command {
        let mut command = Command::new(&self.psql);
        command
            .args([
                "-X",
                "-v",
                "ON_ERROR_STOP=1",
                &self.connection(who, Some("acme")),
                "-c",
                sql,
            ])
            .env("PGPASSWORD", &who.password)
            .env("PGCONNECT_TIMEOUT", "10");
        command
    }

    /// The command line as this person.
    pub(super) fn cli(&self, who: &Person, words: &[&str]) -> Result<Command, String> {
        let mut command = Command::new(this_program()?);
        command
            .args(words)
            .env("PORTCULLIS_URL", self.connection(who, None))
            .env("PGPASSWORD", &who.password);
        Ok(command)
    }

    /// The command line on the journal's own files.
    pub(super) fn audit(&self) -> Result<Command, String> {
        let mut command = Command::new(this_program()?);
        let state = self.directory.path.join("state");
        command.args(["audit", "verify", "--state"]).arg(state);
        Ok(command)
    }

    /// The commands to try, for whoever watches.
    pub(super) fn commands(&self) -> Vec<String> {
        let program =
            this_program().map_or_else(|_| "portcullis".into(), |it| it.display().to_string());
        vec![
            String::new(),
            "The gate stays up. In one terminal, as alice:".to_owned(),
            format!(
                "  PGPASSWORD={} psql \"{}\"",
                self.alice.password,
                self.connection(&self.alice, Some("acme"))
            ),
            "  (globex is the other tenant; try an UPDATE, a \\d, a Ctrl-C while it waits)"
                .to_owned(),
            "In another, as bob:".to_owned(),
            format!("  export PGPASSWORD={}", self.bob.password),
            format!(
                "  export PORTCULLIS_URL=\"{}\"",
                self.connection(&self.bob, None)
            ),
            format!("  {program} pending"),
            format!("  {program} show T-4"),
            format!("  {program} approve T-4"),
            "Ctrl-C here ends it and leaves nothing behind.".to_owned(),
        ]
    }

    /// Stays up until the gate ends or somebody interrupts.
    pub(super) fn wait(mut self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| format!("could not wait: {error}"))?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).map_err(|it| it.to_string())?;
            let mut look = tokio::time::interval(LOOK);
            loop {
                tokio::select! {
                    interrupted = tokio::signal::ctrl_c() => {
                        return interrupted.map_err(|error| error.to_string());
                    }
                    _ = terminate.recv() => return Ok(()),
                    _ = look.tick() => {
                        let ended = self.gate.try_wait().map_err(|error| chain(&error))?;
                        if let Some(status) = ended {
                            return Err(format!("the gate ended with {status}"));
                        }
                    }
                }
            }
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left of it goes with the watchdogs.
        let _stopped = self.gate.terminate(STOP);
    }
}

fn start_gate(config: &Path, directory: &Path) -> Result<(Watched, u16), String> {
    let mut command = Command::new(this_program()?);
    command.args(["serve", "--config"]).arg(config);
    let log = directory.join("gate.log");
    let mut gate = Watched::spawn(&command, Capture::Pipe, Capture::File(log.clone()))
        .map_err(|error| chain(&error))?;
    let stdout = gate.take_stdout().ok_or("the gate has no output")?;
    let port = first_line(stdout).and_then(|line| {
        line.strip_prefix("ready on 127.0.0.1:")?
            .trim()
            .parse()
            .ok()
    });
    let not_started = || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        format!("the gate did not start:\n{said}")
    };
    Ok((gate, port.ok_or_else(not_started)?))
}

/// The first line of the gate's output; none if it ends or takes too long.
fn first_line(stdout: impl std::io::Read + Send + 'static) -> Option<String> {
    let (line, first) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::BufRead;
        let mut lines = std::io::BufReader::new(stdout).lines();
        // Nobody listens any more once it took too long.
        let _heard = line.send(lines.next().and_then(Result::ok));
    });
    first.recv_timeout(READY).ok().flatten()
}

/// A tenant's database, its login, and its data.
fn furnish(
    postgres: &Postgres,
    directory: &Path,
    tenant: &str,
    password: &str,
) -> Result<(), String> {
    let login = format!("{tenant}_gate");
    for sql in [
        format!("CREATE ROLE {login} LOGIN PASSWORD '{password}'"),
        format!("CREATE DATABASE {tenant}"),
        format!("REVOKE CONNECT ON DATABASE {tenant} FROM PUBLIC"),
        format!("GRANT CONNECT ON DATABASE {tenant} TO {login}"),
    ] {
        postgres
            .sql("postgres", &sql)
            .map_err(|error| chain(&error))?;
    }
    let file = directory.join(format!("{tenant}.sql"));
    write(&file, &SCHEMA.replace(":\"login\"", &login))?;
    postgres
        .run_file(tenant, &file)
        .map(|_| ())
        .map_err(|error| chain(&error))
}

fn configuration(
    postgres: &Postgres,
    root: &Path,
    logins: &[(&str, String)],
    people: [&Person; 3],
) -> Result<String, String> {
    let mut parts = vec![GATE.to_owned()];
    for person in people {
        let verifier = verifier(&person.password)?;
        parts.push(format!("[user.{}]\nverifier = \"{verifier}\"", person.name));
    }
    for (tenant, password) in logins {
        parts.push(format!(
            "[tenant.{tenant}]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{tenant}_gate\"\n\
             password = \"{password}\"\nsslrootcert = \"{}\"",
            postgres.port(),
            root.display()
        ));
    }
    Ok(parts.join("\n\n") + "\n")
}

fn verifier(password: &str) -> Result<Verifier, String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| "no randomness to be had")?;
    Ok(Verifier::from_password(password, &salt, ITERATIONS))
}

fn secret() -> Result<String, String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| "no randomness to be had")?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| format!("could not write \"{}\": {error}", path.display()))
}

/// Where the demo keeps its files: a directory that goes away, unless one was named.
struct Directory {
    path: PathBuf,
    goes_away: bool,
}

impl Directory {
    fn new(named: Option<&Path>) -> Result<Self, String> {
        let temporary = || {
            let name = format!("portcullis-demo-{}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let (path, goes_away) = (
            named.map_or_else(temporary, Path::to_owned),
            named.is_none(),
        );
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("could not make \"{}\": {error}", path.display()))?;
        Ok(Self { path, goes_away })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.goes_away {
            // What cannot be removed now is in the temporary directory anyway.
            let _removed = std::fs::remove_dir_all(&self.path);
        }
    }
}
