//! `make bench`: the gate beside a direct connection, Debian's pgbouncer and, if `BENCH_POOLER` says
//! how to start one, another pooler. It prints; a person reads. No test fails on what it finds, and
//! only ratios within one run say anything: client, server and poolers share the machine.
//!
//! ```text
//! bench                   all cases; a section of RESULTS.md and plot.svg are written anew
//! bench CASE..            the cases whose names begin so
//! bench list              their names
//! bench compare A B       the ratios of two runs
//! ```

mod cases;
mod client;
mod compare;
mod crowd;
mod ground;
mod measure;
mod peers;
mod pgbench;
mod plot;
mod proc;
mod progress;
mod record;
mod relay;
mod report;
mod scram;

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use cases::Case;
use ground::Ground;
use peers::Kind;
use progress::Progress;
use record::{Line, Run};

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Set in a bench that was started again with more open files.
const RAISED: &str = "PORTCULLIS_BENCH_RAISED";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["list"] => Ok(list()),
        ["compare", one, other] => compare(Path::new(one), Path::new(other)),
        ["compare", ..] => Err("two files are compared: compare A B".into()),
        names => run(names),
    };
    match done {
        Ok(code) => code,
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

fn list() -> ExitCode {
    for case in cases::all() {
        say(&format!("{:<22}{}", case.name(), case.about()));
    }
    ExitCode::SUCCESS
}

fn compare(one: &Path, other: &Path) -> Result<ExitCode, Trouble> {
    let comparison = compare::compare(one, other)?;
    say(&comparison.text);
    Ok(if comparison.agree {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run(names: &[&str]) -> Result<ExitCode, Trouble> {
    more_open_files()?;
    let all = cases::all();
    let begins = |case: &dyn Case, name: &str| case.name().starts_with(name);
    for name in names {
        if !all.iter().any(|case| begins(case.as_ref(), name)) {
            return Err(format!("no case begins with \"{name}\"; CASES=list names them").into());
        }
    }
    let wanted = |case: &dyn Case| names.is_empty() || names.iter().any(|name| begins(case, name));
    let mut chosen: Vec<&dyn Case> = Vec::new();
    for case in all.iter().map(AsRef::as_ref).filter(|case| wanted(*case)) {
        match case.impossible() {
            None => chosen.push(case),
            Some(why) => say(&format!("    SKIPPED {}: {why}", case.name())),
        }
    }
    if chosen.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let kinds = kinds();
    say("==> starting PostgreSQL and filling its tables");
    let ground = Ground::prepare()?;
    let mut lines = vec![Line::Run(about(&ground, names))];
    let mut progress = Progress::new(&chosen, &kinds);
    let outcomes = measure::measure(&chosen, &ground, &kinds, &mut progress);
    for (case, outcome) in chosen.iter().zip(outcomes) {
        let found = record::lines(&case.name(), &outcome);
        say(&report::terminal(&case.name(), &case.about(), &found)?);
        lines.extend(found);
    }
    keep(&lines, names.is_empty())?;
    Ok(verdict(&lines))
}

/// Who takes part; the others are named.
fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        match peers::absent(kind) {
            None => kinds.push(kind),
            Some(why) => say(&format!("    without {}: {why}", kind.name())),
        }
    }
    kinds
}

fn about(ground: &Ground, names: &[&str]) -> Run {
    let mut command = "make bench".to_owned();
    if !names.is_empty() {
        command = format!("{command} CASES=\"{}\"", names.join(" "));
    }
    let versions = [
        Some(format!("PostgreSQL {}", ground.major())),
        peers::pgbouncer_version(),
        std::env::var(peers::POOLER)
            .ok()
            .map(|it| format!("other: `{it}`")),
    ];
    Run {
        date: jiff::Timestamp::now()
            .strftime("%Y-%m-%d %H:%M UTC")
            .to_string(),
        machine: proc::machine(),
        command,
        versions: versions
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
        rounds: measure::ROUNDS,
    }
}

/// Writes the run beside the binaries and, if it is a whole one, into RESULTS.md.
fn keep(lines: &[Line], whole: bool) -> Result<(), Trouble> {
    let target = std::env::current_exe()?;
    let target = target.ancestors().nth(2).ok_or("no target directory")?;
    let folder = target.join("bench");
    fs::create_dir_all(&folder)?;
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H-%M-%SZ")
        .to_string();
    let file = folder.join(format!("{now}.json"));
    record::write(&file, lines)?;
    say(&format!("==> every figure: {}", file.display()));
    let plot = plot::svg(lines)?;
    let benches = if whole {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    } else {
        folder
    };
    if let Some(svg) = plot {
        let file = benches.join("plot.svg");
        fs::write(&file, svg)?;
        say(&format!("==> the plot: {}", file.display()));
    }
    if whole {
        report::publish(&benches.join("RESULTS.md"), lines)?;
        say("==> benches/RESULTS.md has the run");
    }
    Ok(())
}

/// A gate without figures is a gate that broke; how fast it is fails nothing.
fn verdict(lines: &[Line]) -> ExitCode {
    let broken = |line: &&Line| matches!(line, Line::Missing(it) if it.peer == Kind::Gate.name());
    match lines.iter().filter(broken).count() {
        0 => ExitCode::SUCCESS,
        count => {
            say(&format!("bench: the gate failed in {count} cases"));
            ExitCode::FAILURE
        }
    }
}

/// Thousands of sessions are thousands of files: a soft limit below the hard one is raised, by the
/// shell, for this process and those it starts.
fn more_open_files() -> Result<(), Trouble> {
    let (soft, hard) = proc::open_files_max()?;
    if soft >= hard || std::env::var_os(RAISED).is_some() {
        return Ok(());
    }
    let raise = "ulimit -n \"$(ulimit -Hn)\" 2>/dev/null; exec \"$@\"";
    let error = Command::new("sh")
        .args(["-c", raise, "sh"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(RAISED, "1")
        .exec();
    Err(error.into())
}
