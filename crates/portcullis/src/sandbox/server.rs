//! One run of the `postgres` program over a data directory: start, be ready, stop.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::error::{Doing, SandboxError};
use super::room::Room;
use super::signal;

/// How often a state is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Looks until a starting server is given up: two minutes.
const LOOKS_START_MAX: u32 = 6_000;
/// Looks until a stopping server is killed: thirty seconds.
const LOOKS_STOP_MAX: u32 = 1_500;

/// How a server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, the data is made clean.
    Fast,
    /// As after a loss of power: sockets just close, and the next start recovers.
    Immediate,
}

/// Why a start failed, as far as trying again goes.
pub(super) enum Failure {
    /// Another program took the port first.
    PortTaken,
    /// What an earlier run left is still going away.
    StillEnding,
    /// Anything else.
    Final(SandboxError),
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts `program` over `room/data` and returns once it accepts connections.
    pub(super) fn start(room: &Room, program: &Path) -> Result<Self, Failure> {
        let log = log_path(room);
        let log_start = fs::metadata(&log).map_or(0, |log| log.len());
        let mut server = spawn(room, program, &log).map_err(Failure::Final)?;
        for _ in 0..LOOKS_START_MAX {
            match server.child.try_wait() {
                Ok(Some(status)) => return Err(failure(&log, log_start, status)),
                Ok(None) => {}
                Err(source) => {
                    return Err(Failure::Final(SandboxError::System {
                        doing: "wait for PostgreSQL".to_owned(),
                        source,
                    }));
                }
            }
            if is_ready(room, server.child.id()) {
                return Ok(server);
            }
            thread::sleep(LOOK);
        }
        server.stop(Shutdown::Immediate);
        Err(Failure::Final(SandboxError::NotStarted {
            status: "not ready after two minutes".to_owned(),
            log: log_end(&log, log_start),
        }))
    }

    /// Stops, and kills what does not stop.
    pub(super) fn stop(mut self, how: Shutdown) {
        let signal = match how {
            Shutdown::Fast => "INT",
            Shutdown::Immediate => "QUIT",
        };
        signal::send(signal, self.child.id());
        for _ in 0..LOOKS_STOP_MAX {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(LOOK),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

pub(super) fn log_path(room: &Room) -> PathBuf {
    room.path().join("log")
}

/// A port that was free a moment ago. PostgreSQL cannot choose one by itself.
pub(super) fn free_port() -> Result<u16, SandboxError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .doing(|| "find a free port".to_owned())
}

fn spawn(room: &Room, program: &Path, log: &Path) -> Result<Server, SandboxError> {
    use std::os::unix::process::CommandExt;

    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .doing(|| format!("open {}", log.display()))?;
    let errors = file
        .try_clone()
        .doing(|| format!("open {}", log.display()))?;
    let child = room
        .command(program)
        .arg("-D")
        .arg(room.path().join("data"))
        .stdout(Stdio::from(file))
        .stderr(Stdio::from(errors))
        .process_group(0)
        .spawn()
        .doing(|| format!("start {}", program.display()))?;
    Ok(Server { child })
}

/// The server's own word, in the eighth line of its lock file; one that follows another takes reads alone.
fn is_ready(room: &Room, process: u32) -> bool {
    let lock = fs::read_to_string(room.path().join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = lock.lines();
    lines.next().and_then(|line| line.trim().parse().ok()) == Some(process)
        && lines
            .nth(6)
            .is_some_and(|state| ["ready", "standby"].contains(&state.trim()))
}

fn failure(log: &Path, log_start: u64, status: ExitStatus) -> Failure {
    let end = log_end(log, log_start);
    if end.contains("Address already in use") {
        Failure::PortTaken
    } else if end.contains("is still in use") || end.contains("Is another postmaster") {
        Failure::StillEnding
    } else {
        Failure::Final(SandboxError::NotStarted {
            status: status.to_string(),
            log: end,
        })
    }
}

/// What this run wrote, but no more than its last lines.
fn log_end(log: &Path, log_start: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let start = usize::try_from(log_start).unwrap_or(0);
    let text = String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(20);
    lines.get(last..).unwrap_or_default().join("\n")
}
