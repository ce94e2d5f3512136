//! A child process that does not outlive us.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::error::{Doing, SandboxError};
use super::signal;

/// Becomes the command, after leaving a watchdog behind. The watchdog holds our end of the pipe: a
/// line on it means "all is over, go", its end without a line means that we died.
const LEASH: &str = r#"
exec 3<&0 0</dev/null
(
    exec >/dev/null 2>&1
    trap '' HUP INT TERM QUIT
    read -r line <&3 && exit 0
    kill -s TERM $$
    turns=0
    while kill -0 $$ && [ "$turns" -lt 50 ]; do
        turns=$((turns + 1))
        sleep 0.1
    done
    kill -s KILL $$
) &
exec "$@" 3<&-
"#;

/// How often an ending process is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// What `Drop` gives a process to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Where a stream of the child goes.
#[derive(Debug, Clone)]
pub enum Capture {
    /// To where ours goes.
    Inherit,
    /// Nowhere.
    Null,
    /// Into a pipe that the caller reads.
    Pipe,
    /// To the end of a file.
    File(PathBuf),
}

/// A child that gets SIGTERM, and five seconds later SIGKILL, when its parent dies in any way.
///
/// Its standard input is empty, and it leads a process group of its own, so that Ctrl-C at our
/// terminal is ours to pass on.
#[derive(Debug)]
pub struct Watched {
    child: Child,
    leash: Option<ChildStdin>,
    status: Option<ExitStatus>,
}

impl Watched {
    /// Starts `command`: its program, arguments, variables and directory. What else a `Command`
    /// may hold (a cleared environment, a user id) cannot be read back, and is not carried over.
    pub fn spawn(
        command: &Command,
        stdout: Capture,
        stderr: Capture,
    ) -> Result<Self, SandboxError> {
        let mut shell = Command::new("sh");
        shell.args(["-c", LEASH, "sh"]).arg(command.get_program());
        shell.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        let mut child = shell
            .stdin(Stdio::piped())
            .stdout(stdio(stdout)?)
            .stderr(stdio(stderr)?)
            .process_group(0)
            .spawn()
            .doing(|| "start sh".to_owned())?;
        let leash = child.stdin.take();
        Ok(Self {
            child,
            leash,
            status: None,
        })
    }

    /// The process id: the command's own, since the shell became it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The reading end of a piped standard output, once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The reading end of a piped standard error, once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal, named without `SIG`, unless the process has ended.
    pub fn signal(&mut self, name: &str) {
        if matches!(self.try_wait(), Ok(None)) {
            signal::send(name, self.child.id());
        }
    }

    /// SIGTERM, then as long as `grace` for the process to end, then SIGKILL.
    pub fn terminate(&mut self, grace: Duration) -> Result<ExitStatus, SandboxError> {
        self.signal("TERM");
        match self.wait_at_most(grace)? {
            Some(status) => Ok(status),
            None => self.kill9(),
        }
    }

    /// SIGKILL, now.
    pub fn kill9(&mut self) -> Result<ExitStatus, SandboxError> {
        if self.status.is_none() {
            self.child.kill().doing(|| "kill a process".to_owned())?;
        }
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> Result<ExitStatus, SandboxError> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let status = self.child.wait().doing(waiting)?;
        self.release(status);
        Ok(status)
    }

    /// Waits for the end, but no longer than `limit`; `None` is "still running".
    pub fn wait_at_most(&mut self, limit: Duration) -> Result<Option<ExitStatus>, SandboxError> {
        let mut waited = Duration::ZERO;
        loop {
            let ended = self.try_wait()?;
            if ended.is_some() || waited >= limit {
                return Ok(ended);
            }
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, SandboxError> {
        if self.status.is_none()
            && let Some(status) = self.child.try_wait().doing(waiting)?
        {
            self.release(status);
        }
        Ok(self.status)
    }

    /// The id is free for others from here on: the watchdog must not signal it any more.
    fn release(&mut self, status: ExitStatus) {
        self.status = Some(status);
        if let Some(mut leash) = self.leash.take() {
            let _it_may_be_gone = leash.write_all(b"over\n");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _best_effort = self.terminate(GRACE);
    }
}

fn waiting() -> String {
    "wait for a process".to_owned()
}

fn stdio(capture: Capture) -> Result<Stdio, SandboxError> {
    Ok(match capture {
        Capture::Inherit => Stdio::inherit(),
        Capture::Null => Stdio::null(),
        Capture::Pipe => Stdio::piped(),
        Capture::File(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .doing(|| format!("open {}", path.display()))?
            .into(),
    })
}
