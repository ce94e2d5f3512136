//! `make bench`: pgbench select-only straight to PostgreSQL, through the gate and through Debian's
//! pgbouncer, interleaved, with the proxy's own CPU per query from /proc. It prints; a person reads.
//! Only ratios within one run say anything: client, server and proxy share the machine.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use portcullis::sandbox::{Capture, Options, Postgres, Watched};

/// Rounds of each case, in rotated order.
const ROUNDS: usize = 5;

/// Seconds of each round.
const SECONDS: u32 = 4;

/// Clients of pgbench.
const CLIENTS: u32 = 8;

const MODES: [&str; 3] = ["simple", "extended", "prepared"];

/// The yardstick.
const PGBOUNCER: &str = "pgbouncer";

/// Clock ticks a second, as Linux counts CPU time in /proc.
const TICKS: f64 = 100.0;

type Trouble = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say(&format!("bench: error: {trouble}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // Whoever started it may not read.
    let _told = writeln!(std::io::stdout(), "{line}");
}

/// Something that pgbench can connect to.
struct Peer {
    name: &'static str,
    port: u16,
    password: String,
    user: &'static str,
    database: &'static str,
    /// The process whose CPU is counted.
    process: Option<Watched>,
}

/// One round of one case.
#[derive(Clone, Copy)]
struct Figure {
    tps: f64,
    cpu_us: f64,
}

fn run() -> Result<(), Trouble> {
    let directory = std::env::temp_dir().join(format!("portcullis-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let done = measure(&directory);
    fs::remove_dir_all(&directory)?;
    done
}

fn measure(directory: &Path) -> Result<(), Trouble> {
    say("==> starting PostgreSQL and filling pgbench's tables");
    let options = Options {
        fsync: false,
        ..Options::default()
    };
    let postgres = Postgres::start(options)?;
    postgres.sql("postgres", "CREATE DATABASE bench")?;
    let direct = Peer {
        name: "direct",
        port: postgres.port(),
        password: postgres.password().to_owned(),
        user: "postgres",
        database: "bench",
        process: None,
    };
    pgbench(&direct, &["-i", "-q", "-s", "5"])?;
    let mut peers = vec![direct, gate(&postgres, directory)?];
    match pgbouncer(&postgres, directory) {
        Ok(peer) => peers.push(peer),
        Err(why) => say(&format!("    SKIPPED pgbouncer: {why}")),
    }
    let mut report = String::new();
    for mode in MODES {
        let figures = case(&peers, mode)?;
        report.push_str(&table(&peers, mode, &figures)?);
    }
    say(&report);
    Ok(())
}

fn case(peers: &[Peer], mode: &str) -> Result<Vec<Vec<Figure>>, Trouble> {
    let mut figures = vec![Vec::new(); peers.len()];
    for round in 0..ROUNDS {
        say(&format!(
            "==> {mode}, {CLIENTS} clients, round {} of {ROUNDS}",
            round + 1
        ));
        for turn in 0..peers.len() {
            let place = (round + turn) % peers.len();
            let (Some(peer), Some(into)) = (peers.get(place), figures.get_mut(place)) else {
                continue;
            };
            // What a peer cannot do is said, and its row stays empty (pgbouncer before 1.21 keeps no
            // prepared statements in transaction pooling).
            match figure(peer, mode) {
                Ok(figure) => into.push(figure),
                Err(why) if peer.name == PGBOUNCER => {
                    let first = why
                        .to_string()
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    say(&format!("    SKIPPED {}: {first}", peer.name));
                }
                Err(why) => return Err(why),
            }
        }
    }
    Ok(figures)
}

fn figure(peer: &Peer, mode: &str) -> Result<Figure, Trouble> {
    let (clients, seconds) = (CLIENTS.to_string(), SECONDS.to_string());
    let before = cpu_ticks(peer)?;
    let printed = pgbench(
        peer,
        &[
            "-S", "-n", "-M", mode, "-c", &clients, "-j", "1", "-T", &seconds,
        ],
    )?;
    let ticks = cpu_ticks(peer)? - before;
    let number = |label: &str| {
        let line = printed.lines().find(|line| line.starts_with(label));
        line.and_then(|line| {
            line.split_whitespace()
                .find_map(|word| word.parse::<f64>().ok())
        })
    };
    let tps = number("tps =").ok_or("pgbench printed no tps")?;
    let done = printed
        .lines()
        .find_map(|line| line.strip_prefix("number of transactions actually processed: "))
        .and_then(|count| count.split('/').next()?.trim().parse::<f64>().ok())
        .ok_or("pgbench printed no number of transactions")?;
    Ok(Figure {
        tps,
        cpu_us: ticks / TICKS * 1e6 / done,
    })
}

/// User and system time of a peer's process, all threads, in clock ticks.
fn cpu_ticks(peer: &Peer) -> Result<f64, Trouble> {
    let Some(process) = &peer.process else {
        return Ok(0.0);
    };
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
    let fields = stat.rsplit_once(')').ok_or("unreadable /proc/PID/stat")?.1;
    let times = fields.split_whitespace().skip(11).take(2);
    Ok(times.filter_map(|it| it.parse::<f64>().ok()).sum())
}

fn pgbench(peer: &Peer, options: &[&str]) -> Result<String, Trouble> {
    let output = Command::new(tool("pgbench")?)
        .args(options)
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &peer.port.to_string(),
            "-U",
            peer.user,
            peer.database,
        ])
        .env("PGPASSWORD", &peer.password)
        .env("PGSSLMODE", "disable")
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("pgbench through {} failed: {why}", peer.name).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The gate as `try` puts it up, beside this very binary.
fn gate(postgres: &Postgres, directory: &Path) -> Result<Peer, Trouble> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("portcullis"));
    command
        .args(["try", &postgres.url("bench"), "--listen", "127.0.0.1:0"])
        .args([
            "--login",
            "alice:secret",
            "--allow-all",
            "--plain",
            "--quiet",
            "--state",
        ])
        .arg(directory.join("state"));
    let mut process = Watched::spawn(&command, Capture::Pipe, Capture::Inherit)?;
    let mut ready = String::new();
    let stdout = process.take_stdout().ok_or("the gate has no output")?;
    BufReader::new(stdout).read_line(&mut ready)?;
    let port = ready
        .trim()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    Ok(Peer {
        name: "portcullis",
        port: port.ok_or_else(|| format!("the gate said \"{}\"", ready.trim()))?,
        password: "secret".to_owned(),
        user: "alice",
        database: "bench",
        process: Some(process),
    })
}

fn pgbouncer(postgres: &Postgres, directory: &Path) -> Result<Peer, Trouble> {
    let program = tool("pgbouncer")?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let file = directory.join("pgbouncer.ini");
    let (upstream, password) = (postgres.port(), postgres.password());
    fs::write(
        &file,
        format!(
            "[databases]\nbench = host=127.0.0.1 port={upstream} user=postgres password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 32\n\
             log_connections = 0\nlog_disconnections = 0\n\
             ignore_startup_parameters = extra_float_digits\n"
        ),
    )?;
    let mut command = Command::new(&program);
    if is_root()? {
        command.args(["-u", "nobody"]);
    }
    command.arg(&file);
    let log = directory.join("pgbouncer.log");
    let process = Watched::spawn(&command, Capture::Null, Capture::File(log.clone()))?;
    let peer = Peer {
        name: PGBOUNCER,
        port,
        password: String::new(),
        user: "postgres",
        database: "bench",
        process: Some(process),
    };
    for _ in 0..50 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(peer);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(fs::read_to_string(log).unwrap_or_default().into())
}

fn is_root() -> Result<bool, Trouble> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

/// A program on the PATH, in sbin, or where Debian keeps PostgreSQL's.
fn tool(name: &str) -> Result<PathBuf, Trouble> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("{name} is not installed (apt-get install {name})").into())
}

fn table(peers: &[Peer], mode: &str, figures: &[Vec<Figure>]) -> Result<String, Trouble> {
    let of = |name: &str, pick: fn(&Figure) -> f64| {
        let place = peers.iter().position(|peer| peer.name == name)?;
        figures
            .get(place)
            .map(|rounds| median(rounds.iter().map(pick)))
    };
    let direct = of("direct", |it| it.tps).unwrap_or(f64::NAN);
    let yardstick = of(PGBOUNCER, |it| it.cpu_us).unwrap_or(f64::NAN);
    let mut text = format!("\nselect-only, {mode}, {CLIENTS} clients, median of {ROUNDS} rounds\n");
    writeln!(
        text,
        "{:<12}{:>10}{:>12}{:>14}{:>14}",
        "", "tps", "/ direct", "CPU us/query", "/ pgbouncer"
    )?;
    for (peer, rounds) in peers.iter().zip(figures) {
        let (tps, cpu) = (
            median(rounds.iter().map(|it| it.tps)),
            median(rounds.iter().map(|it| it.cpu_us)),
        );
        write!(text, "{:<12}{tps:>10.0}{:>12.2}", peer.name, tps / direct)?;
        if peer.process.is_some() {
            write!(text, "{cpu:>14.1}{:>14.2}", cpu / yardstick)?;
        }
        writeln!(text)?;
    }
    Ok(text)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
