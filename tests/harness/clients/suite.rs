//! One directory of `tests/clients/`: its `setup` and its `run`, each a program with a deadline. It
//! never reads what else is in there.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::door::{Door, Setting};
use super::report::Run;
use super::said::Said;
use crate::process::code_of;

/// `setup` says so when the client cannot be had on this machine.
const CANNOT_BE_HAD: i32 = 77;
/// Installing may mean to download and to compile.
const SET_UP_LIMIT: Duration = Duration::from_mins(20);
const RUN_LIMIT: Duration = Duration::from_mins(5);
/// How often to look whether a program has ended.
const LOOK: Duration = Duration::from_millis(10);

/// A suite of one client.
#[derive(Debug, Clone)]
pub struct Suite {
    pub name: String,
    directory: PathBuf,
}

/// What came of `setup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetUp {
    Done,
    /// The client cannot be had here, and why.
    Skipped(String),
    Failed(String),
}

impl Suite {
    /// Every directory of `tests/clients/` with a `run` in it, by name.
    pub fn all() -> Vec<Self> {
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let mut found: Vec<_> = fs::read_dir(clients)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|directory| directory.join("run").is_file())
            .map(|directory| Self {
                name: directory.file_name().unwrap().to_string_lossy().into(),
                directory,
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }

    /// Those of these names, in their order; panics at a name that no suite has.
    pub fn named(names: &[&str]) -> Vec<Self> {
        let all = Self::all();
        let known: Vec<_> = all.iter().map(|suite| suite.name.as_str()).collect();
        let one = |name: &&str| {
            let suite = all.iter().find(|suite| suite.name == **name);
            suite.unwrap_or_else(|| panic!("there is no suite {name}; there are {known:?}"))
        };
        names.iter().map(one).cloned().collect()
    }

    pub(crate) fn set_up(&self, cache: &Path, logs: &Path) -> SetUp {
        let Ok(cache) = fs::create_dir_all(cache).and_then(|()| cache.canonicalize()) else {
            return SetUp::Failed(format!("{} cannot be made", cache.display()));
        };
        let mut command = Command::new(self.directory.join("setup"));
        crate::login::without_libpq_variables(&mut command);
        command.env("CLIENTS_CACHE", cache);
        let ended = self.watch(command, logs, "setup", SET_UP_LIMIT);
        let last = ended.stderr.lines().last().unwrap_or("it said nothing");
        match ended.code {
            Some(0) => SetUp::Done,
            Some(CANNOT_BE_HAD) => SetUp::Skipped(last.to_owned()),
            Some(code) => SetUp::Failed(format!("setup ended with {code}: {last}")),
            None => SetUp::Failed(format!("setup did not end in {SET_UP_LIMIT:?}")),
        }
    }

    /// Runs it one way, in a database and before a gate of its own.
    pub(crate) fn run(&self, setting: &Setting, options: &Options) -> Run {
        let started = Instant::now();
        let step = setting.slug();
        let mut door = Door::open(setting, options);
        let mut command = Command::new(self.directory.join("run"));
        door.describe(&mut command);
        command.env("CLIENTS_CACHE", options.cache.canonicalize().unwrap());
        let ended = self.watch(command, &options.logs, &step, RUN_LIMIT);
        if let Some(log) = door.log() {
            fs::write(self.log(&options.logs, &step, "gate"), log).unwrap();
        }
        let mut said = Said::read(&ended.stdout);
        let last = ended.stderr.lines().last().unwrap_or_default().to_owned();
        match ended.code {
            None => said
                .failed
                .push(("its end".to_owned(), format!("not within {RUN_LIMIT:?}"))),
            Some(code) if code != 0 && said.failed.is_empty() => said.failed.push((
                "its end".to_owned(),
                format!("it ended with {code}: {last}"),
            )),
            Some(_) if said.passed.is_empty() => said
                .failed
                .push(("its checks".to_owned(), "there was none".to_owned())),
            Some(_) => {}
        }
        Run {
            said,
            took: started.elapsed(),
        }
    }

    fn log(&self, logs: &Path, step: &str, what: &str) -> PathBuf {
        logs.join(format!("{}-{step}.{what}", self.name))
    }

    /// Runs a program to its end; at the deadline it is killed, with all that it started.
    fn watch(&self, mut command: Command, logs: &Path, step: &str, limit: Duration) -> Ended {
        fs::create_dir_all(logs).unwrap();
        let (out, err) = (self.log(logs, step, "out"), self.log(logs, step, "err"));
        let mut child = command
            .current_dir(&self.directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {step} does not start: {error}", self.name));
        let code = wait(&mut child, limit);
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Ended {
            code,
            stdout: text(out),
            stderr: text(err),
        }
    }
}

/// What a program left.
struct Ended {
    /// None: it had to be killed.
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    let deadline = Instant::now() + limit;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(code_of(status));
        }
        if Instant::now() >= deadline {
            break None;
        }
        thread::sleep(LOOK);
    };
    // Its group: what it left running goes with it.
    let group = format!("-{}", child.id());
    let _none_left = Command::new("kill")
        .args(["-s", "KILL", "--", &group])
        .stderr(Stdio::null())
        .status();
    let _reaped = child.wait();
    code
}
