//! What a suite talks to: the server itself, a gate that lets everything pass, or one that holds
//! writes; each with a database of the suite's own behind it.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::cli::portcullis_binary;
use crate::database::{Database, database, postgres, upstream_root_cert};
use crate::gate::Gate;
use crate::login::Login;

use super::Options;

/// Everything passes; DESIGN section 9 calls this a relay.
const ALLOW_ALL: &str = r#"
[[rule]]
name = "everything passes"
verdict = "allow"
"#;

/// Only writes wait.
const HOLD_WRITES: &str = r#"
[[rule]]
name = "writes wait"
class = "write"
verdict = "hold"
approvals = 1
from = "dba"

[[rule]]
name = "the rest passes"
verdict = "allow"
"#;

/// Alice asks, bob signs; their verifiers are those of `sample-password-of-NAME`.
const PEOPLE: &str = r#"
[user.alice]
verifier = "SCRAM-SHA-256$4096:c2FsdC1vZi1hbGljZS1zYQ==$dNNpgmgcrxUetnv7zbC3SI94EkzYWCWUGfOb8FMnEXo=:+OKwhvLgz5MidEakdt72acQWz1hZxlaHolyU6lXdgCg="

[user.bob]
tenants = ["portcullis"]
verifier = "SCRAM-SHA-256$4096:c2FsdC1vZi1ib2Itc2FtcA==$3Qb5gV80LbA7uZXkBAj8oxhUvpLlWRXsuyDHKNHu8z4=:H+dq7r07eCLSETHzYII7PvuaAEGCiGctpjAP5I/GDpg="

[group.dba]
members = "bob"

[policy]
default = { approvals = 1, from = "dba" }
"#;

/// What hold checks write into, and nobody else.
const HELD: &str = "create table held (id int primary key, note text)";

/// The programs that a suite finds in the environment, and what they have `clients` do.
const PROGRAMS: [(&str, &str); 2] = [("APPROVE", "approve"), ("TICKET_STATE", "state")];

/// What a suite talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Straight,
    Through,
    Held,
}

/// How a gate pools; its own defaults where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pooling {
    /// `session` or `transaction`.
    pub mode: Option<String>,
    /// Upstream connections.
    pub size: Option<u32>,
}

/// A run that is made of each suite; a column of the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub way: Way,
    pub pooling: Pooling,
}

/// A way in, open as long as it lives.
pub(crate) struct Door {
    way: Way,
    login: Login,
    gate: Option<Gate>,
    pooling: Pooling,
}

impl Way {
    /// This way, before a gate that pools so.
    pub fn with(self, pooling: &Pooling) -> Setting {
        Setting {
            way: self,
            pooling: pooling.clone(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Straight => "straight",
            Self::Through => "through",
            Self::Held => "held",
        }
    }
}

impl fmt::Display for Pooling {
    /// As `make clients` takes it: `MODE=session POOL=1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.mode.iter().map(|mode| format!("MODE={mode}"));
        let size = self.size.iter().map(|size| format!("POOL={size}"));
        f.write_str(&mode.chain(size).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Setting {
    /// `held`, or `held, POOL=1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.way.word())?;
        if self.pooling == Pooling::default() {
            return Ok(());
        }
        write!(f, ", {}", self.pooling)
    }
}

impl Setting {
    /// As the middle of a file's name: `held`, `held-pool-1`.
    pub(crate) fn slug(&self) -> String {
        let text = self.to_string().to_lowercase();
        text.replace(", ", "-").replace(['=', ' '], "-")
    }
}

impl Door {
    pub(crate) fn open(setting: &Setting, options: &Options) -> Self {
        let Setting { way, pooling } = setting.clone();
        let database = database();
        if way == Way::Straight {
            return Self {
                way,
                login: database.login(&database.owner),
                gate: None,
                pooling,
            };
        }
        let rules = if way == Way::Held {
            let owner = &database.owner.name;
            database.sql(&format!("{HELD}; alter table held owner to {owner}"));
            HOLD_WRITES
        } else {
            ALLOW_ALL
        };
        let config = configuration(&database, &pooling, rules);
        let gate = Gate::start(&config);
        let person = |name: &str, database: &str| {
            gate.login(name, &format!("sample-password-of-{name}"), database)
        };
        let console = person("bob", "portcullis");
        for (name, verb) in PROGRAMS {
            write_program(&gate, name, verb, &console, &options.program);
        }
        Self {
            way,
            login: person("alice", &database.name),
            gate: Some(gate),
            pooling,
        }
    }

    /// Tells a suite of it, in the variables of `tests/clients/README.md`.
    pub(crate) fn describe(&self, command: &mut Command) {
        self.login.into_environment(command);
        let mode = match self.way {
            Way::Straight => "session",
            Way::Through | Way::Held => self.pooling.mode.as_deref().unwrap_or("transaction"),
        };
        let size = self.pooling.size.map(|size| size.to_string());
        command
            .env("MODE", mode)
            .env("POOL", size.unwrap_or_default())
            .env_remove("HOLD");
        if let (Way::Held, Some(gate)) = (self.way, &self.gate) {
            command
                .env("HOLD", "1")
                .envs(PROGRAMS.map(|(name, _)| (name, gate.directory().file(name))));
        }
    }

    /// What the gate has logged so far.
    pub(crate) fn log(&mut self) -> Option<String> {
        self.gate.as_mut().map(|gate| gate.stderr().text())
    }
}

/// The owner of the database is who works in it, straight and through the gate alike.
fn configuration(database: &Database, pooling: &Pooling, rules: &str) -> String {
    let (name, owner) = (&database.name, &database.owner);
    let mode = pooling.mode.as_ref();
    let mode = mode.map_or_else(String::new, |mode| format!("pool_mode = \"{mode}\"\n"));
    let size = pooling.size;
    let size = size.map_or_else(String::new, |size| format!("pool_size = {size}\n"));
    format!(
        "listen = \"127.0.0.1:0\"\n\
         state = \"state\"\n\
         tls = {{ certificate = \"server.pem\", key = \"server.key\", plaintext = true }}\n\
         [tenant.{name}]\n\
         host = \"localhost\"\n\
         port = {}\n\
         user = \"{}\"\n\
         password = \"{}\"\n\
         sslrootcert = \"{}\"\n\
         {mode}{size}\
         {PEOPLE}{rules}",
        postgres().port(),
        owner.name,
        owner.password,
        upstream_root_cert().display(),
    )
}

/// A program in the gate's directory that asks its console as bob: `$APPROVE` or `$TICKET_STATE`.
fn write_program(gate: &Gate, name: &str, verb: &str, console: &Login, program: &Path) {
    let script = format!(
        "#!/bin/sh\nPORTCULLIS_BIN='{}' PORTCULLIS_URL='{}' exec '{}' {verb} \"$@\"\n",
        portcullis_binary().display(),
        console.url(),
        program.display(),
    );
    let path = gate.directory().write(name, &script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
