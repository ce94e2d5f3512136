//! What is measured side by side: PostgreSQL itself, the gate, Debian's pgbouncer, and another
//! pooler if `BENCH_POOLER` holds its command. All have the same pool, the same certificate and the
//! same user; none is tuned, and none is told which case comes.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use portcullis::sandbox::{Capture, Watched};

use crate::Trouble;
use crate::ground::{DATABASE, Ground, USER};
use crate::pgbench::program;

/// Server connections of a pool.
const POOL_SIZE: u32 = 32;

/// Rules of the gate before those that decide anything here, as a real file has them.
const OTHER_RULES: u32 = 100;

/// The command of another pooler, run by `sh`, which it should replace (`exec` before its last
/// program): it is ended by a signal. In it `{port}` is where it must listen on 127.0.0.1,
/// `{upstream_port}` where PostgreSQL is; `{user}`, `{password}` and `{database}` are what clients
/// and upstream log in with, `{verifier}` is the SCRAM verifier of that password, `{pool_size}` how
/// many server connections it may have, `{certificate}` and `{key}` are files for its TLS, and
/// `{directory}` is one of its own that goes away.
pub(crate) const POOLER: &str = "BENCH_POOLER";

/// Who can be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Direct,
    Gate,
    Pgbouncer,
    Other,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Gate, Self::Pgbouncer, Self::Other];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gate => "portcullis",
            Self::Pgbouncer => "pgbouncer",
            Self::Other => "other",
        }
    }
}

/// Something to connect to.
pub(crate) struct Peer {
    pub(crate) port: u16,
    process: Option<Watched>,
    log: Option<PathBuf>,
    /// Its own, removed with it.
    _directory: Option<tempfile::TempDir>,
}

impl Peer {
    /// PostgreSQL itself.
    pub(crate) fn direct(ground: &Ground) -> Self {
        Self {
            port: ground.port(),
            process: None,
            log: None,
            _directory: None,
        }
    }

    /// Starts one, with nothing of an earlier run; `Err` says why it cannot be had.
    pub(crate) fn start(ground: &Ground, kind: Kind) -> Result<Self, Trouble> {
        match kind {
            Kind::Direct => Ok(Self::direct(ground)),
            Kind::Gate => gate(ground),
            Kind::Pgbouncer => pgbouncer(ground),
            Kind::Other => other(ground),
        }
    }

    /// The process whose CPU and memory count, unless it is PostgreSQL.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Watched::id)
    }

    /// The last complaint in its log.
    pub(crate) fn last_words(&self) -> String {
        let log = self.log.as_ref().map(fs::read_to_string);
        let log = log.and_then(Result::ok).unwrap_or_default();
        let complains = |line: &&str| {
            ["ERROR", "WARN", "error"]
                .iter()
                .any(|it| line.contains(it))
        };
        let last = log.lines().rfind(complains);
        last.unwrap_or_default().to_owned()
    }
}

/// Why somebody does not take part, before anything is started.
pub(crate) fn absent(kind: Kind) -> Option<String> {
    match kind {
        Kind::Direct | Kind::Gate => None,
        Kind::Pgbouncer => program("pgbouncer").err().map(|why| why.to_string()),
        Kind::Other => std::env::var_os(POOLER)
            .is_none()
            .then(|| format!("{POOLER} is not set")),
    }
}

/// The version of pgbouncer, for the report.
pub(crate) fn pgbouncer_version() -> Option<String> {
    let output = Command::new(program("pgbouncer").ok()?)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

/// The release binary beside this very one, over a configuration in TOML.
fn gate(ground: &Ground) -> Result<Peer, Trouble> {
    let directory = directory(ground)?;
    let path = directory.path();
    let mut config = filled(include_str!("peers/gate.toml"), ground, path, 0)?;
    for number in 0..OTHER_RULES {
        write!(
            config,
            "\n[[rule]]\nname = \"archive {number} is signed for\"\nrelation = \"archive_{number}.*\"\n\
             verdict = \"hold\"\napprovals = 1\nfrom = \"dba\"\n"
        )?;
    }
    // The first rule that fits decides, and all of those above are asked before.
    config.push_str(
        "\n[[rule]]\nname = \"reads pass\"\nclass = [\"read\", \"session\"]\nverdict = \"allow\"\n",
    );
    // Who signs names the console alone: nobody signs for their own request.
    for (person, tenants) in [(USER, "*"), ("bob", "portcullis")] {
        let verifier = ground.verifier();
        write!(
            config,
            "\n[user.{person}]\nverifier = \"{verifier}\"\ntenants = [\"{tenants}\"]\n"
        )?;
    }
    secret_file(&path.join("upstream.password"), ground.secret().password())?;
    let file = path.join("portcullis.toml");
    fs::write(&file, config)?;
    let binary = std::env::current_exe()?.with_file_name("portcullis");
    if !binary.is_file() {
        return Err("the gate is not built: cargo build --release -p portcullis".into());
    }
    let mut command = Command::new(binary);
    command.args(["serve", "--config"]).arg(&file);
    let log = path.join("log");
    let mut process = Watched::spawn(&command, Capture::Pipe, Capture::File(log.clone()))?;
    let mut ready = String::new();
    let stdout = process.take_stdout().ok_or("the gate has no output")?;
    BufReader::new(stdout).read_line(&mut ready)?;
    let port = ready
        .trim()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let Some(port) = port else {
        let log = fs::read_to_string(log)?;
        let first = log.lines().next().unwrap_or_default();
        return Err(format!("the gate did not start: {first}").into());
    };
    Ok(Peer {
        port,
        process: Some(process),
        log: Some(log),
        _directory: Some(directory),
    })
}

/// Debian's, which does not run as root: it gets what it reads as its own, and becomes `nobody`.
fn pgbouncer(ground: &Ground) -> Result<Peer, Trouble> {
    let program = program("pgbouncer")?;
    let directory = directory(ground)?;
    let path = directory.path();
    let port = free_port()?;
    let ini = filled(include_str!("peers/pgbouncer.ini"), ground, path, port)?;
    let users = format!("\"{}\" \"{}\"\n", USER, ground.verifier());
    secret_file(&path.join("pgbouncer.ini"), &ini)?;
    secret_file(&path.join("userlist.txt"), &users)?;
    secret_file(&path.join("server.key"), &fs::read_to_string(ground.key())?)?;
    fs::copy(ground.certificate(), path.join("server.pem"))?;
    let mut command = Command::new(program);
    if let Some(account) = nobody_if_root()? {
        for entry in fs::read_dir(path)? {
            chown(entry?.path(), Some(account), None)?;
        }
        command.args(["-u", "nobody"]);
    }
    command.arg(path.join("pgbouncer.ini"));
    listening(Kind::Pgbouncer, &command, port, directory)
}

/// Whatever `BENCH_POOLER` says.
fn other(ground: &Ground) -> Result<Peer, Trouble> {
    let template = std::env::var(POOLER)?;
    let directory = directory(ground)?;
    let port = free_port()?;
    let line = filled(&template, ground, directory.path(), port)?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(directory.path());
    listening(Kind::Other, &command, port, directory)
}

/// Starts it and waits until it accepts.
fn listening(
    kind: Kind,
    command: &Command,
    port: u16,
    directory: tempfile::TempDir,
) -> Result<Peer, Trouble> {
    let log = directory.path().join("log");
    let process = Watched::spawn(
        command,
        Capture::File(log.clone()),
        Capture::File(log.clone()),
    )?;
    let mut peer = Peer {
        port,
        process: Some(process),
        log: Some(log),
        _directory: Some(directory),
    };
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(peer);
        }
        let process = peer.process.as_mut();
        if process
            .map(Watched::try_wait)
            .transpose()?
            .flatten()
            .is_some()
        {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err(format!("{} did not start: {}", kind.name(), peer.last_words()).into())
}

fn directory(ground: &Ground) -> Result<tempfile::TempDir, Trouble> {
    use std::os::unix::fs::PermissionsExt as _;

    let mut builder = tempfile::Builder::new();
    builder.permissions(fs::Permissions::from_mode(0o755));
    Ok(builder.tempdir_in(ground.directory())?)
}

fn filled(template: &str, ground: &Ground, directory: &Path, port: u16) -> Result<String, Trouble> {
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or("a path that is not UTF-8")
    };
    let words = [
        ("{port}", port.to_string()),
        ("{upstream_port}", ground.port().to_string()),
        ("{watched_port}", ground.relay().port().to_string()),
        ("{user}", USER.to_owned()),
        ("{password}", ground.secret().password().to_owned()),
        ("{database}", DATABASE.to_owned()),
        ("{verifier}", ground.verifier().to_owned()),
        ("{pool_size}", POOL_SIZE.to_string()),
        ("{certificate}", text(ground.certificate())?),
        ("{key}", text(ground.key())?),
        ("{directory}", text(directory)?),
    ];
    let mut filled = template.to_owned();
    for (word, value) in words {
        filled = filled.replace(word, &value);
    }
    Ok(filled)
}

fn free_port() -> Result<u16, Trouble> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn secret_file(path: &Path, text: &str) -> Result<(), Trouble> {
    use std::io::Write as _;

    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    Ok(options.open(path)?.write_all(text.as_bytes())?)
}

/// The number of the user to become, if we are root.
fn nobody_if_root() -> Result<Option<u32>, Trouble> {
    let status = fs::read_to_string("/proc/self/status")?;
    if !status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
        return Ok(None);
    }
    let output = Command::new("id").args(["-u", "nobody"]).output()?;
    Ok(Some(
        String::from_utf8_lossy(&output.stdout).trim().parse()?,
    ))
}
