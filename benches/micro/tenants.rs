//! What 50,000 tenants cost that nobody uses: the time to read them, as at a start or a reload, and the memory that each keeps. No
//! server is there, and none is asked for.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proxy::config::{Config, Tenants};

/// Tenants.
const TENANTS: usize = 50_000;
/// Servers that they are spread over.
const SERVERS: usize = 200;
/// How often each is read; the fastest counts.
const READS: usize = 5;
/// Tenants by whose copies memory is measured, before anything else has left some free.
const FEW: usize = 5_000;
/// Copies: so many that what is free is used up by the first.
const COPIES: usize = 50;

/// All but the tenants. The verifier is that of a SAMPLE password.
const HEAD: &str = r#"listen = "127.0.0.1:0"
state = "state"
tls = { plaintext = true }
policy.default = { from = "team" }
group.team.members = ["alice", "bob"]
rule = [{ name = "reads", class = "read", tenant = ["shop_1*", "shop_17"], verdict = "allow" }]
user.alice.verifier = "VERIFIER"
user.bob = { verifier = "VERIFIER", tenants = ["shop_2*", "shop_17"] }
"#;
const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdC1vZi1hbGljZS1zYQ==$dNNpgmgcrxUetnv7zbC3SI94EkzYWCWUGfOb8FMnEXo=:+OKwhvLgz5MidEakdt72acQWz1hZxlaHolyU6lXdgCg=";

/// One line for each way to write them down, and one for their memory.
pub(crate) fn print() {
    let directory = tempfile::tempdir().unwrap();
    let head = HEAD.replace("VERIFIER", VERIFIER);
    let few = write_down(directory.path(), &head, (FEW, 1));
    let each = bytes_of(&read(&few, FEW).1.tenants) / FEW;
    let mut out = std::io::stdout().lock();
    let heading = "50,000 tenants";
    writeln!(out, "{heading:<28}{:>10}{:>10}", "fastest", "median").unwrap();
    for (name, files) in [
        ("one file", 1),
        ("500 files", 500),
        ("50,000 files", TENANTS),
    ] {
        let main = write_down(directory.path(), &head, (TENANTS, files));
        let reads = (0..READS).map(|_| read(&main, TENANTS).0);
        let mut times: Vec<Duration> = reads.collect();
        times.sort();
        let milliseconds = |at: usize| format!("{} ms", times.get(at).unwrap().as_millis());
        let (fastest, median) = (milliseconds(0), milliseconds(READS / 2));
        writeln!(out, "{name:<28}{fastest:>10}{median:>10}").unwrap();
    }
    writeln!(out, "{:<28}{each:>10}\n", "bytes of an idle one").unwrap();
}

fn write_down(directory: &Path, head: &str, (tenants, files): (usize, usize)) -> PathBuf {
    let name = format!("{tenants}-{files}");
    let place = directory.join(&name);
    fs::create_dir_all(&place).unwrap();
    let each = tenants / files;
    for file in 0..files {
        let mut text = String::new();
        for number in file * each..(file + 1) * each {
            let server = number % SERVERS;
            writeln!(
                text,
                "[tenant.shop_{number}]\nhost = 'db{server}.example.com'\nuser = 'shop_{number}'\n\
                 password = 'secret of {number}'\nsslmode = 'require'"
            )
            .unwrap();
        }
        fs::write(place.join(format!("{file}.toml")), text).unwrap();
    }
    let main = directory.join(format!("{name}.toml"));
    fs::write(&main, format!("include = '{name}/*.toml'\n{head}")).unwrap();
    main
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this is for")]
fn read(main: &Path, tenants: usize) -> (Duration, Config) {
    let since = Instant::now();
    let config = Config::load(main).unwrap();
    let took = since.elapsed();
    assert_eq!(config.tenants.len(), (tenants, 0));
    (took, config)
}

/// By how much the process grows with a copy of them.
fn bytes_of(tenants: &Tenants) -> usize {
    let copies = || -> Vec<Tenants> { (0..COPIES).map(|_| tenants.clone()).collect() };
    let first = copies();
    let before = resident();
    let second = copies();
    let grown = resident() - before;
    drop((first, second));
    grown / COPIES
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() * 1024
}
