//! Runs pgbench and reads what it prints. It chooses no options but those of the connection.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Trouble;
use crate::ground::{DATABASE, Ground, USER};
use crate::peers::Peer;

/// What one run came to.
pub(crate) struct Run {
    /// Transactions a second.
    pub(crate) tps: f64,
    /// Transactions altogether.
    pub(crate) done: f64,
}

/// Measures with these options through a peer.
pub(crate) fn run(
    ground: &Ground,
    peer: &Peer,
    tls: bool,
    options: &[&str],
) -> Result<Run, Trouble> {
    read(&call(ground, peer, tls, options)?)
}

/// Runs it with these options through a peer, and says what it printed.
pub(crate) fn call(
    ground: &Ground,
    peer: &Peer,
    tls: bool,
    options: &[&str],
) -> Result<String, Trouble> {
    let mut command = Command::new(program("pgbench")?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(&name);
        }
    }
    command
        .current_dir(ground.directory())
        .args(options)
        .args(["-h", "localhost", "-p", &peer.port.to_string()])
        .args(["-U", USER, DATABASE])
        .env("PGPASSWORD", ground.secret().password())
        // libpq would try TLS and Kerberos first, and one would measure them without knowing.
        .env("PGSSLMODE", if tls { "verify-full" } else { "disable" })
        .env("PGSSLROOTCERT", ground.root_cert())
        .env("PGGSSENCMODE", "disable");
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let wrong = said.lines().find(|line| line.contains("rror"));
        let wrong = wrong.or(said.lines().last()).unwrap_or("no word");
        return Err(format!("pgbench failed: {wrong}").into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read(printed: &str) -> Result<Run, Trouble> {
    let number = |label: &str| {
        let mut lines = printed.lines();
        let rest = lines.find_map(|line| line.strip_prefix(label))?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        rest.get(..end.unwrap_or(rest.len()))?.parse::<f64>().ok()
    };
    let done = number("number of transactions actually processed: ");
    Ok(Run {
        tps: number("tps = ").ok_or("pgbench printed no tps")?,
        done: done.ok_or("pgbench printed no number of transactions")?,
    })
}

/// The latencies in µs that pgbench logged into files that begin so, sorted; the files go.
pub(crate) fn latencies(directory: &Path, prefix: &str) -> Result<Vec<f64>, Trouble> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(prefix) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        // client, transaction, latency, ..
        let third = |line: &str| line.split(' ').nth(2)?.parse::<f64>().ok();
        found.extend(text.lines().filter_map(third));
        fs::remove_file(&path)?;
    }
    found.sort_by(f64::total_cmp);
    Ok(found)
}

/// A program on the PATH, in sbin, or where Debian keeps PostgreSQL's.
pub(crate) fn program(name: &str) -> Result<PathBuf, Trouble> {
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
        .ok_or_else(|| format!("{name} is not installed").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_prints_is_read() {
        let printed = "number of threads: 1\n\
            number of transactions actually processed: 12345\n\
            number of failed transactions: 0 (0.000%)\n\
            tps = 4115.523 (without initial connection time)\n";
        let run = read(printed).unwrap();
        assert!((run.tps - 4115.523).abs() < 1e-9 && (run.done - 12345.0).abs() < 1e-9);
        assert!(read("pgbench (15.18)\n").is_err());
    }
}
