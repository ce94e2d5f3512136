//! The programs that tests run: `portcullis` and `psql`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use portcullis::sandbox;

use crate::login::{Login, without_libpq_variables};
use crate::process::Program;

/// `psql` as this login: no psqlrc, first error ends it, unaligned rows without headings.
/// `.arg("-v").arg("VERBOSITY=verbose")` makes it show the SQLSTATE of notices and errors.
pub fn psql(login: &Login) -> Program {
    let program = sandbox::psql().expect("psql is missing: run `make setup`");
    let mut command = Command::new(program);
    login.into_environment(&mut command);
    command.args(["-X", "-At", "-v", "ON_ERROR_STOP=1"]);
    Program::new(command)
}

/// `portcullis` as this login, which it gets in `PORTCULLIS_URL`.
pub fn cli(login: &Login) -> Program {
    let mut command = Command::new(portcullis_binary());
    without_libpq_variables(&mut command);
    command.env("PORTCULLIS_URL", login.url());
    command.env("NO_COLOR", "1");
    Program::new(command)
}

/// The binary under test: `PORTCULLIS_BIN`, or the one in the target directory of this test.
///
/// Panics when it is missing or older than a source file it was built from: `cargo test` does not
/// build the binary of another package.
pub fn portcullis_binary() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| match env::var_os("PORTCULLIS_BIN") {
            Some(named) => PathBuf::from(named),
            None => built("portcullis", "cargo build -p portcullis"),
        })
        .clone()
}

/// The same, built to end itself where it is told to.
pub fn killpoints_binary() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let name = "portcullis-killpoints";
    let how = "cargo build -p portcullis --features killpoints --bin portcullis-killpoints";
    FOUND.get_or_init(|| built(name, how)).clone()
}

/// The simulation, with a store that can be broken.
pub fn sim_binary() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let how = "cargo build -p portcullis-tests --features broken --bin sim";
    FOUND.get_or_init(|| built("sim", how)).clone()
}

fn built(name: &str, how: &str) -> PathBuf {
    // target/debug/deps/it-0123 or target/debug/canary
    let test = env::current_exe().unwrap();
    let binary = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(name))
        .find(|binary| binary.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not built: run `make test`, or `{how}` before `cargo test`")
        });
    if let Some(source) = newer_source(&binary) {
        panic!(
            "{} is older than {}: run `make test`, or `{how}` before `cargo test`",
            binary.display(),
            source.display()
        );
    }
    binary
}

/// A source file of the binary, by cargo's own list, that was changed after it was linked.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let built = modified(binary)?;
    let list = fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    sources
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|source| PathBuf::from(source.replace('\0', " ")))
        .find(|source| modified(source).is_some_and(|changed| changed > built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
