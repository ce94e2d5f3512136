//! A program under test, its streams read live, its end bounded.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::DEADLINE;
use crate::lines::Lines;

/// A command that is ready to run.
#[derive(Debug)]
pub struct Program {
    command: Command,
    name: String,
}

/// A running program. It is killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    stdout: Lines,
    stderr: Lines,
}

/// What a program left.
#[derive(Debug, Clone)]
pub struct Finished {
    pub stdout: String,
    pub stderr: String,
    /// The exit code; after a signal 128 and its number, as a shell says it.
    pub code: i32,
}

impl Program {
    pub fn new(command: Command) -> Self {
        let name = command
            .get_program()
            .to_string_lossy()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        Self { command, name }
    }

    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it, with `args` behind those it has.
    #[track_caller]
    pub fn spawn(mut self, args: &[&str]) -> Process {
        let mut child = self
            .command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {}: {error}", self.name));
        let out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        Process {
            stdout: Lines::read(&format!("{}'s stdout", self.name), out),
            stderr: Lines::read(&format!("{}'s stderr", self.name), err),
            child,
            name: self.name,
        }
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self, args: &[&str]) -> Finished {
        self.spawn(args).finish()
    }

    /// psql: starts one string of SQL (`-c`), which may wait at the gate.
    #[track_caller]
    pub fn start(self, sql: &str) -> Process {
        self.spawn(&["-c", sql])
    }

    /// psql: runs one string of SQL to its end.
    #[track_caller]
    pub fn query(self, sql: &str) -> Finished {
        self.start(sql).finish()
    }
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&mut self) -> &mut Lines {
        &mut self.stdout
    }

    pub fn stderr(&mut self) -> &mut Lines {
        &mut self.stderr
    }

    /// Types a line into its standard input.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("the input is closed");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Ends its standard input, as Ctrl-D does.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Sends a signal, named without `SIG`. `INT` is Ctrl-C.
    #[track_caller]
    pub fn signal(&mut self, name: &str) {
        send_signal(name, self.child.id());
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL: to the other side, a client that is gone.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes the input and waits for the end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(DEADLINE)
    }

    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        self.close_stdin();
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "{} did not end in {limit:?}; stdout:\n{}\nstderr:\n{}",
                self.name,
                self.stdout.text(),
                self.stderr.text(),
            );
            thread::sleep(Duration::from_millis(5));
        };
        Finished {
            stdout: self.stdout.to_end(),
            stderr: self.stderr.to_end(),
            code: code_of(status),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Finished {
    /// Itself, if the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(
            self.code, 0,
            "it failed; stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Itself, if the program failed with this code.
    #[track_caller]
    pub fn failed(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "another end than expected; stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

/// Sends a signal to a process that must be there.
#[track_caller]
pub(crate) fn send_signal(name: &str, process: u32) {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name])
        .arg(process.to_string())
        .status()
        .unwrap();
    assert!(status.success(), "could not send {name} to {process}");
}

pub(crate) fn code_of(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}
