//! A real server with the API of Vault, OpenBao's, that makes roles in the test's PostgreSQL.

use std::env;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis::sandbox::{Capture, Watched};
use tempfile::TempDir;

use crate::DEADLINE;
use crate::database::Database;
use crate::lines::Lines;
use crate::process::Program;

/// Ports tried before giving up.
const PORTS_MAX: u32 = 10;

/// The token that may do anything in a [`Vault`].
pub const ROOT_TOKEN: &str = "root-token-of-the-test";

/// A tool that a script knows to bring. `None`, and a line on stderr, where it cannot be had: the test is then skipped.
pub fn brought(what: &str) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/brought.sh");
    // target/debug/deps/it-0123
    let test = env::current_exe().unwrap();
    let cache = test.ancestors().nth(3).unwrap().join("tools");
    let output = Command::new("sh")
        .args([&*script, Path::new(what), &*cache])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        let place = String::from_utf8_lossy(&output.stdout);
        return Some(PathBuf::from(place.trim_end()));
    }
    // Not by eprintln, which is silent in a test that passes.
    let said = String::from_utf8_lossy(&output.stderr);
    let line = format!("SKIPPED a test: {}\n", said.trim_end());
    io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

/// A running server, its memory its only store.
#[derive(Debug)]
pub struct Vault {
    process: Watched,
    program: PathBuf,
    port: u16,
    home: TempDir,
    _said: [Lines; 2],
}

impl Vault {
    /// Starts one, if it can be had.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let program = brought("openbao")?;
        (0..PORTS_MAX)
            .find_map(|_| Self::on_a_free_port(&program))
            .map_or_else(|| panic!("OpenBao did not start"), Some)
    }

    fn on_a_free_port(program: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", home.path());
        let mut process = Watched::spawn(&command, Capture::Pipe, Capture::Pipe).unwrap();
        let mut out = Lines::read("OpenBao's stdout", process.take_stdout().unwrap());
        let err = Lines::read("OpenBao's stderr", process.take_stderr().unwrap());
        out.wait_within("server started!", DEADLINE).ok()?;
        Some(Self {
            process,
            program: program.to_path_buf(),
            port,
            home,
            _said: [out, err],
        })
    }

    /// Where it answers, in clear text.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs a command of its own client as root, and says what that printed.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        for name in ["VAULT_ADDR", "BAO_ADDR"] {
            command.env(name, self.address());
        }
        for name in ["VAULT_TOKEN", "BAO_TOKEN"] {
            command.env(name, ROOT_TOKEN);
        }
        command.env("HOME", self.home.path());
        let done = Program::new(command).run(args).ok();
        done.stdout.trim_end().to_owned()
    }

    /// Has it make logins at `database/creds/NAME` that may take on the database's writing role, and nothing else.
    #[track_caller]
    pub fn lends(&self, name: &str, database: &Database, times: [&str; 2]) {
        let postgres = database.server.postgres();
        let (role, port) = (&database.write.name, postgres.port());
        if !self.run(&["secrets", "list"]).contains("database/") {
            self.run(&["secrets", "enable", "database"]);
        }
        self.run(&[
            "write",
            &format!("database/config/{role}"),
            "plugin_name=postgresql-database-plugin",
            "allowed_roles=*",
            &format!(
                "connection_url=postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?sslmode=disable"
            ),
            "username=postgres",
            &format!("password={}", postgres.password()),
        ]);
        self.run(&[
            "write",
            &format!("database/roles/{name}"),
            &format!("db_name={role}"),
            &format!(
                "creation_statements=CREATE ROLE \"{{{{name}}}}\" LOGIN NOINHERIT PASSWORD '{{{{password}}}}' \
                 VALID UNTIL '{{{{expiration}}}}' IN ROLE {role}"
            ),
            "revocation_statements=DROP ROLE IF EXISTS \"{{name}}\"",
            &format!("default_ttl={}", times[0]),
            &format!("max_ttl={}", times[1]),
        ]);
    }

    /// An AppRole `gate` that may read and give back logins: its id and its secret. `more` are settings of its tokens.
    #[track_caller]
    pub fn app_role(&self, more: &[&str]) -> (String, String) {
        let policy = self.home.path().join("gate.hcl");
        let text = "path \"database/creds/*\" { capabilities = [\"read\"] }\n\
                    path \"sys/leases/revoke\" { capabilities = [\"update\"] }\n";
        std::fs::write(&policy, text).unwrap();
        self.run(&["policy", "write", "gate", policy.to_str().unwrap()]);
        self.run(&["auth", "enable", "approle"]);
        let role = ["write", "auth/approle/role/gate", "token_policies=gate"];
        self.run(&[&role, more].concat());
        let id = "auth/approle/role/gate/role-id";
        let id = self.run(&["read", "-field=role_id", id]);
        let secret = "auth/approle/role/gate/secret-id";
        let secret = self.run(&["write", "-f", "-field=secret_id", secret]);
        (id, secret)
    }

    /// It answers nothing until it goes on.
    pub fn stop_answering(&mut self) {
        self.process.signal("STOP");
    }

    pub fn go_on(&mut self) {
        self.process.signal("CONT");
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        // What is stopped does not hear that it is to end.
        self.go_on();
    }
}
