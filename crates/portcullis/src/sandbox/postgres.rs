//! A private PostgreSQL: its own directory, port and password, gone with its owner.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use super::binaries::{self, Binaries};
use super::error::{Doing, SandboxError};
use super::options::Options;
use super::room::{Room, random_word};
use super::server::{self, Failure, Server, Shutdown};

/// Ports tried before giving up.
const PORTS_MAX: u32 = 20;
/// Turns of 100 ms that a restart waits for what the last run left.
const LEFTOVER_TURNS_MAX: u32 = 100;

/// A running, or halted, private server. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct Postgres {
    // Before the room, whose end removes the directory.
    server: Option<Server>,
    room: Room,
    binaries: Binaries,
    options: Options,
    port: u16,
    password: String,
}

impl Postgres {
    /// Makes a cluster (UTF8, locale C, SCRAM only) and starts it on a free port of 127.0.0.1.
    pub fn start(options: Options) -> Result<Self, SandboxError> {
        let binaries = Binaries::find(options.binaries.as_deref())?;
        let room = Room::make(options.parent.as_deref())?;
        let password = random_word(12)?;
        initialise(&room, &binaries, &password)?;
        furnish(&room, &options)?;
        let mut postgres = Self {
            server: None,
            room,
            binaries,
            options,
            port: 0,
            password,
        };
        postgres.start_on_a_free_port()?;
        Ok(postgres)
    }

    /// Copies a cluster that runs, and starts the copy as a replica that follows it, on a free port of its own. What the options
    /// set is for the replica alone.
    pub fn follow(primary: &Self, options: Options) -> Result<Self, SandboxError> {
        let room = Room::make(options.parent.as_deref())?;
        let output = room
            .command(&primary.binaries.basebackup())
            .env("PGPASSWORD", &primary.password)
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p"])
            .arg(primary.port.to_string())
            .args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"])
            .arg(room.path().join("data"))
            .output();
        succeeded("pg_basebackup", output)?;
        let mut postgres = Self {
            server: None,
            room,
            binaries: primary.binaries.clone(),
            options,
            port: 0,
            password: primary.password.clone(),
        };
        postgres.start_on_a_free_port()?;
        Ok(postgres)
    }

    /// The port on 127.0.0.1. It stays the same over a halt.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of the superuser, `postgres`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.binaries.major()
    }

    /// The superuser's connection string to a database.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// `psql` as the superuser, with the caller's PG* variables and psqlrc out of the way.
    pub fn psql(&self, database: &str) -> Command {
        let program = binaries::psql().unwrap_or_else(|| PathBuf::from("psql"));
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", database)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        command
    }

    /// Runs SQL as the superuser and returns what it printed, unaligned and without headings.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, SandboxError> {
        let output = self.psql(database).args(["-At", "-c", sql]).output();
        succeeded("psql", output)
    }

    /// Runs a file of SQL (psql's own commands too) as the superuser.
    pub fn run_file(&self, database: &str, file: &Path) -> Result<String, SandboxError> {
        let output = self.psql(database).arg("-At").arg("-f").arg(file).output();
        succeeded("psql", output)
    }

    /// The server's log. It goes with the directory.
    pub fn log_path(&self) -> PathBuf {
        server::log_path(&self.room)
    }

    /// The private directory: `data` and `log` are in it.
    pub fn directory(&self) -> &Path {
        self.room.path()
    }

    /// The process id of the server, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.server.as_ref().map(Server::id)
    }

    /// Stops the server and keeps its data; a halted server stays as it is.
    pub fn halt(&mut self, how: Shutdown) {
        if let Some(server) = self.server.take() {
            server.stop(how);
        }
    }

    /// Starts a halted server again, over the same data and on the same port.
    pub fn resume(&mut self) -> Result<(), SandboxError> {
        if self.server.is_some() {
            return Ok(());
        }
        for _ in 0..LEFTOVER_TURNS_MAX {
            match Server::start(&self.room, &self.binaries.postgres()) {
                Ok(server) => {
                    self.server = Some(server);
                    return Ok(());
                }
                Err(Failure::PortTaken | Failure::StillEnding) => {
                    thread::sleep(Duration::from_millis(100));
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        Err(SandboxError::NotStarted {
            status: "its port or its memory stayed in use".to_owned(),
            log: String::new(),
        })
    }

    /// Stops the server and starts it again over the same data, on the same port.
    pub fn restart(&mut self) -> Result<(), SandboxError> {
        self.halt(Shutdown::Fast);
        self.resume()
    }

    /// Stops the server and removes its directory; dropping does the same.
    pub fn stop(self) {
        drop(self);
    }

    fn start_on_a_free_port(&mut self) -> Result<(), SandboxError> {
        for _ in 0..PORTS_MAX {
            self.port = server::free_port()?;
            // The last line wins, so a second try needs only another one.
            let settings = self.options.configuration(self.port);
            self.append("postgresql.conf", &settings)?;
            match Server::start(&self.room, &self.binaries.postgres()) {
                Ok(server) => {
                    self.server = Some(server);
                    return Ok(());
                }
                Err(Failure::PortTaken | Failure::StillEnding) => {}
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        Err(SandboxError::NotStarted {
            status: format!("{PORTS_MAX} free ports were taken by others"),
            log: String::new(),
        })
    }

    fn append(&self, file: &str, text: &str) -> Result<(), SandboxError> {
        let path = self.room.path().join("data").join(file);
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .doing(|| format!("write {}", path.display()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nobody will read the data again.
        self.halt(Shutdown::Immediate);
    }
}

fn initialise(room: &Room, binaries: &Binaries, password: &str) -> Result<(), SandboxError> {
    let word = room.path().join("password");
    room.write(&word, password)?;
    let output = room
        .command(&binaries.initdb())
        .arg("-D")
        .arg(room.path().join("data"))
        .arg("--pwfile")
        .arg(&word)
        .args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"])
        .args(["--locale=C", "--no-sync", "--no-instructions"])
        .output();
    succeeded("initdb", output)?;
    fs::remove_file(&word).doing(|| format!("remove {}", word.display()))
}

fn furnish(room: &Room, options: &Options) -> Result<(), SandboxError> {
    let data = room.path().join("data");
    if let Some(tls) = &options.tls {
        room.write(&data.join("server.crt"), &tls.cert_pem)?;
        room.write(&data.join("server.key"), &tls.key_pem)?;
    }
    if let Some(hba) = &options.hba {
        room.write(&data.join("pg_hba.conf"), hba)?;
    }
    Ok(())
}

fn succeeded(program: &str, output: std::io::Result<Output>) -> Result<String, SandboxError> {
    let output = output.doing(|| format!("run {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned());
    }
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stdout));
    Err(SandboxError::Failed {
        program: program.to_owned(),
        status: output.status.to_string(),
        output: said.trim_end().to_owned(),
    })
}
