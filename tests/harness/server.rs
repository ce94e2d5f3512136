//! The PostgreSQL servers of a test program: the usual one, and others by their major. Each starts when it is
//! first asked for, is shared by all tests, and goes with the process.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use portcullis::sandbox::ca::{Certificates, LOCAL_NAMES};
use portcullis::sandbox::{Options, Postgres, SandboxError, ServerTls};

use crate::login::Login;

/// Names the major of the usual server; without it, it is what the sandbox finds on the machine.
const WANTED: &str = "PORTCULLIS_TESTS_SERVER";
/// What a server says that was built without OpenSSL.
const NO_TLS: &str = "SSL is not supported by this build";

/// A server that is shared.
#[derive(Debug)]
pub struct Server {
    postgres: Postgres,
    /// What trusts its certificate; `None` if it speaks clear text only.
    root_cert: Option<PathBuf>,
}

/// The options of a shared server without its TLS: fast, and not safe from crashes.
pub fn options() -> Options {
    Options {
        fsync: false,
        ..Options::default()
    }
    .set("max_connections", "200")
    .set("log_statement", "all")
    .set("log_line_prefix", "%m [%p] %u@%d ")
}

/// The usual server: of the major that `PORTCULLIS_TESTS_SERVER` names, or the machine's own.
pub fn server() -> &'static Server {
    static USUAL: OnceLock<&Server> = OnceLock::new();
    USUAL.get_or_init(|| {
        let Ok(major) = env::var(WANTED) else {
            return Server::start(None);
        };
        let major = major.parse().expect("PORTCULLIS_TESTS_SERVER is a major");
        other(major).unwrap_or_else(|why| panic!("{WANTED}: {why}"))
    })
}

/// The server of a major. `None`, and a line on stderr, where the machine has none and none can be fetched: the
/// test is then skipped.
pub fn server_of(major: u32) -> Option<&'static Server> {
    let usual = server();
    if usual.postgres.major() == major {
        return Some(usual);
    }
    let found = other(major);
    if let Err(why) = &found {
        // Not by eprintln, which is silent in a test that passes.
        let line = format!("SKIPPED a test with PostgreSQL {major}: {why}\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found.ok()
}

impl Server {
    /// What those trust who connect to it: a gate's `sslrootcert` for its upstream.
    #[track_caller]
    pub fn root_cert(&self) -> &Path {
        let root = self.root_cert.as_deref();
        root.expect("this test needs a server with TLS")
    }

    /// Starts one, with TLS if it can. It is never dropped, being shared.
    fn start(binaries: Option<PathBuf>) -> &'static Self {
        let certificates = Certificates::make(&LOCAL_NAMES).unwrap();
        let plain = Options {
            binaries,
            ..options()
        };
        let tls = ServerTls {
            cert_pem: certificates.cert_pem.clone(),
            key_pem: certificates.key_pem.clone(),
        };
        let with_tls = Options {
            tls: Some(tls),
            ..plain.clone()
        };
        let server = match Postgres::start(with_tls) {
            Ok(postgres) => {
                // In the server's own directory, which goes with it: a static is never dropped.
                let files = certificates.write(&postgres.directory().join("client"));
                let root_cert = Some(files.unwrap().ca);
                Self {
                    postgres,
                    root_cert,
                }
            }
            Err(SandboxError::NotStarted { log, .. }) if log.contains(NO_TLS) => {
                let postgres = Postgres::start(plain).unwrap_or_else(|error| panic!("{error}"));
                let root_cert = None;
                Self {
                    postgres,
                    root_cert,
                }
            }
            Err(error) => panic!("{error}"),
        };
        Box::leak(Box::new(server))
    }

    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// A way straight in, past any gate, over TLS if it can.
    pub fn login(&self, user: &str, password: &str, database: &str) -> Login {
        Login {
            host: "localhost".to_owned(),
            port: self.postgres.port(),
            user: user.to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
            root_cert: self.root_cert.clone(),
        }
    }

    /// The superuser's way straight in, in clear text.
    pub fn superuser(&self, database: &str) -> Login {
        Login {
            root_cert: None,
            ..self.login("postgres", self.postgres.password(), database)
        }
    }

    /// The keys that lead a tenant of a gate to it, in TOML.
    pub fn upstream(&self, user: &str, password: &str) -> String {
        let trust = match &self.root_cert {
            Some(root) => format!("sslrootcert = '{}'", root.display()),
            None => "sslmode = 'disable'".to_owned(),
        };
        format!(
            "host = 'localhost'\nport = {}\nuser = '{user}'\npassword = '{password}'\n{trust}\n",
            self.postgres.port()
        )
    }
}

/// A server of this major, found or fetched and started; or why it cannot be had.
fn other(major: u32) -> Result<&'static Server, String> {
    static OTHERS: Mutex<BTreeMap<u32, Result<&Server, String>>> = Mutex::new(BTreeMap::new());
    let mut others = OTHERS.lock().unwrap();
    let found = others.entry(major).or_insert_with(|| {
        let server = Server::start(Some(programs(major)?));
        assert_eq!(server.postgres.major(), major, "another was fetched");
        Ok(server)
    });
    found.clone()
}

/// The directory of the programs of this major, which a script knows to find and to fetch.
fn programs(major: u32) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/servers.sh");
    // target/debug/deps/it-0123
    let test = env::current_exe().unwrap();
    let cache = test.ancestors().nth(3).unwrap().join("servers");
    let output = Command::new("sh")
        .arg(script)
        .arg(major.to_string())
        .arg(cache)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        let directory = String::from_utf8_lossy(&output.stdout);
        return Ok(PathBuf::from(directory.trim_end()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.trim_end().to_owned())
}
