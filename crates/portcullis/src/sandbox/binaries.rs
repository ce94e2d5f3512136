//! Finding the programs of PostgreSQL on this machine.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::SandboxError;

/// The oldest server the sandbox starts.
const MAJOR_LEAST: u32 = 14;

/// A directory of server binaries, and what is in it.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    directory: PathBuf,
    major: u32,
}

impl Binaries {
    /// The first usable directory: `wanted`, `PORTCULLIS_PG_BIN`, PATH, then the places packages
    /// install to, newest first.
    pub(super) fn find(wanted: Option<&Path>) -> Result<Self, SandboxError> {
        let named = wanted
            .map(Path::to_path_buf)
            .or_else(|| env::var_os("PORTCULLIS_PG_BIN").map(PathBuf::from));
        // A directory that was named is the only one: silently using another would mislead.
        let candidates = named.map_or_else(usual_directories, |directory| vec![directory]);
        let mut looked = Vec::new();
        for directory in candidates {
            match major_in(&directory) {
                Some(major) if major >= MAJOR_LEAST => return Ok(Self { directory, major }),
                Some(major) => looked.push(format!("{} (is {major})", directory.display())),
                None => looked.push(directory.display().to_string()),
            }
        }
        Err(SandboxError::NoPostgres {
            least: MAJOR_LEAST,
            looked,
        })
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    pub(super) fn basebackup(&self) -> PathBuf {
        self.directory.join("pg_basebackup")
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }
}

/// Where `psql` is: `PORTCULLIS_PG_BIN`, PATH, then beside the server binaries.
pub fn psql() -> Option<PathBuf> {
    env::var_os("PORTCULLIS_PG_BIN")
        .map(PathBuf::from)
        .into_iter()
        .chain(path_directories())
        .chain(packaged_directories())
        .map(|directory| directory.join("psql"))
        .find(|program| program.is_file())
}

fn usual_directories() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for directory in path_directories().into_iter().chain(packaged_directories()) {
        if !directory.join("postgres").is_file() {
            continue;
        }
        // A link in PATH stands for the directory it points into, where initdb finds its share.
        let real = fs::canonicalize(directory.join("postgres"))
            .ok()
            .and_then(|program| program.parent().map(Path::to_path_buf))
            .unwrap_or(directory);
        if !found.contains(&real) {
            found.push(real);
        }
    }
    if found.is_empty() {
        found.push(PathBuf::from("PATH"));
        found.push(PathBuf::from("/usr/lib/postgresql/*/bin"));
    }
    found
}

fn path_directories() -> Vec<PathBuf> {
    env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// Debian, Red Hat's PGDG and Homebrew keep majors side by side and out of PATH.
fn packaged_directories() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let major = entry
                .file_name()
                .to_str()
                .and_then(|name| name.strip_prefix(prefix))
                .and_then(|major| major.parse().ok());
            if let Some(major) = major {
                found.push((major, entry.path().join("bin")));
            }
        }
    }
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian ..)` is 15; `19beta1` is 19.
fn major_in(directory: &Path) -> Option<u32> {
    if !directory.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(directory.join("postgres"))
        .arg(OsStr::new("--version"))
        .output()
        .ok()?;
    major_of(&String::from_utf8_lossy(&output.stdout))
}

fn major_of(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn a_version_line_tells_its_major() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(major_of(debian), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_of("initdb: no"), None);
    }
}
