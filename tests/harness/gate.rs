//! The real `portcullis serve` over a configuration that a test wrote.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use portcullis::sandbox::ca::{Certificates, Files, LOCAL_NAMES};
use portcullis::sandbox::{Capture, Watched};
use tempfile::TempDir;

use crate::DEADLINE;
use crate::cli::portcullis_binary;
use crate::lines::Lines;
use crate::login::{Login, without_libpq_variables};
use crate::process::code_of;

/// A directory for a gate: its configuration, certificates, store and journal.
#[derive(Debug)]
pub struct GateDir {
    directory: TempDir,
    files: Files,
    /// What runs in it, where it is not the binary under test.
    program: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

/// A running gate. Dropping it ends it as SIGTERM does.
#[derive(Debug)]
pub struct Gate {
    process: Watched,
    stdout: Lines,
    stderr: Lines,
    address: SocketAddr,
    directory: GateDir,
}

/// A gate that would not start.
#[derive(Debug)]
pub struct Refused {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl GateDir {
    /// A new one, with `ca.pem`, `server.pem` and `server.key` for localhost in it.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = Certificates::make(&LOCAL_NAMES)
            .unwrap()
            .write(directory.path())
            .unwrap();
        Self {
            directory,
            files,
            program: None,
            variables: Vec::new(),
        }
    }

    /// A new one, in which a gate of another build runs.
    pub fn of(program: PathBuf) -> Self {
        Self {
            program: Some(program),
            ..Self::new()
        }
    }

    /// Gives its gate a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where a file of this name is, or would be.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file beside the configuration (a password, a second tenant) and says where.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes the configuration, `{dir}` standing for this directory, and says where.
    pub fn write_config(&self, config: &str) -> PathBuf {
        let text = config.replace("{dir}", &self.path().to_string_lossy());
        self.write("portcullis.toml", &text)
    }
}

impl Default for GateDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// Starts a gate in a new directory; panics with its log when it does not get ready.
    ///
    /// In the configuration `{dir}` stands for the directory, where `server.pem` and `server.key`
    /// are. It should listen on port 0 of 127.0.0.1.
    #[track_caller]
    pub fn start(config: &str) -> Self {
        Self::start_in(GateDir::new(), config)
    }

    /// As `start`, in a directory that was prepared.
    #[track_caller]
    pub fn start_in(directory: GateDir, config: &str) -> Self {
        directory.write_config(config);
        match Self::launch(directory) {
            Ok(gate) => gate,
            Err(refused) => panic!("the gate did not start: {refused:#?}"),
        }
    }

    /// Expects the gate to refuse this configuration, and says how it did.
    #[track_caller]
    pub fn refused(config: &str) -> Refused {
        let directory = GateDir::new();
        directory.write_config(config);
        match Self::launch(directory) {
            Ok(_) => panic!("the gate started with what it should refuse:\n{config}"),
            Err(refused) => refused,
        }
    }

    fn launch(directory: GateDir) -> Result<Self, Refused> {
        let program = directory.program.clone();
        let mut command = Command::new(program.unwrap_or_else(portcullis_binary));
        without_libpq_variables(&mut command);
        command.envs(
            directory
                .variables
                .iter()
                .map(|(name, value)| (name, value)),
        );
        command
            .arg("serve")
            .arg("--config")
            .arg(directory.file("portcullis.toml"))
            .env("NO_COLOR", "1");
        let mut process = Watched::spawn(&command, Capture::Pipe, Capture::Pipe).unwrap();
        let mut stdout = Lines::read("the gate's stdout", process.take_stdout().unwrap());
        let mut stderr = Lines::read("the gate's stderr", process.take_stderr().unwrap());
        let ready = stdout.wait_within("ready on ", DEADLINE);
        let address = ready.as_ref().ok().and_then(|line| {
            let (_, address) = line.split_once("ready on ")?;
            address.split_whitespace().next()?.parse().ok()
        });
        if let Some(address) = address {
            return Ok(Self {
                process,
                stdout,
                stderr,
                address,
                directory,
            });
        }
        let status = process.terminate(Duration::from_secs(5)).unwrap();
        Err(Refused {
            code: code_of(status),
            stdout: stdout.to_end(),
            stderr: stderr.to_end(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn directory(&self) -> &GateDir {
        &self.directory
    }

    /// The certificate that its clients trust.
    pub fn root_cert(&self) -> &Path {
        &self.directory.files.ca
    }

    /// A way in, over TLS.
    pub fn login(&self, user: &str, password: &str, database: &str) -> Login {
        Login {
            host: "localhost".to_owned(),
            port: self.address.port(),
            user: user.to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
            root_cert: Some(self.root_cert().to_path_buf()),
        }
    }

    /// A way in, in clear text.
    pub fn plain_login(&self, user: &str, password: &str, database: &str) -> Login {
        Login {
            host: "127.0.0.1".to_owned(),
            root_cert: None,
            ..self.login(user, password, database)
        }
    }

    /// Its log, live.
    pub fn stderr(&mut self) -> &mut Lines {
        &mut self.stderr
    }

    pub fn stdout(&mut self) -> &mut Lines {
        &mut self.stdout
    }

    /// Sends a signal, named without `SIG`.
    pub fn signal(&mut self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for it to end by itself, or after a signal.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        match self.process.wait_at_most(DEADLINE).unwrap() {
            Some(status) => code_of(status),
            None => panic!("the gate did not end:\n{}", self.stderr.text()),
        }
    }

    /// SIGKILL. What it had not made durable is lost, and that is what tests want to see.
    pub fn kill9(&mut self) {
        self.process.kill9().unwrap();
    }

    /// Ends it (as SIGTERM does, unless it is dead already) and starts it in the same directory, with
    /// the same configuration. On port 0 it comes back on another port.
    #[track_caller]
    pub fn restart(mut self) -> Self {
        self.process.terminate(DEADLINE).unwrap();
        match Self::launch(self.directory) {
            Ok(gate) => gate,
            Err(refused) => panic!("the gate did not start again: {refused:#?}"),
        }
    }

    /// As `restart`, with another configuration.
    #[track_caller]
    pub fn restart_with(self, config: &str) -> Self {
        self.directory.write_config(config);
        self.restart()
    }
}
