//! A gate before a fresh database, with three people: alice asks, bob and carol are the DBAs.

use std::thread;
use std::time::{Duration, Instant};

use crate::DEADLINE;
use crate::database::{Database, database, postgres, upstream_root_cert};
use crate::gate::{Gate, GateDir};
use crate::login::Login;
use crate::raw::{Frame, Raw, tags};

/// The people, with the verifier of `sample-password-of-NAME`, as in `config/portcullis.toml`.
const PEOPLE: [(&str, &str); 3] = [
    (
        "alice",
        "SCRAM-SHA-256$4096:c2FsdC1vZi1hbGljZS1zYQ==$dNNpgmgcrxUetnv7zbC3SI94EkzYWCWUGfOb8FMnEXo=:+OKwhvLgz5MidEakdt72acQWz1hZxlaHolyU6lXdgCg=",
    ),
    (
        "bob",
        "SCRAM-SHA-256$4096:c2FsdC1vZi1ib2Itc2FtcA==$3Qb5gV80LbA7uZXkBAj8oxhUvpLlWRXsuyDHKNHu8z4=:H+dq7r07eCLSETHzYII7PvuaAEGCiGctpjAP5I/GDpg=",
    ),
    (
        "carol",
        "SCRAM-SHA-256$4096:c2FsdC1vZi1jYXJvbC1zYQ==$UATq8phxmFlKElG9JaytylfkAsSttgTXb0xQu7/JMU0=:IauP/7laDXGc4TjVZGPpYdmGK1XGB97QWAOz4k4z5jc=",
    ),
];

/// Reads pass, changes of the schema are denied, the rest waits for a DBA.
const RULES: &str = r#"
[policy]
default = { approvals = 1, from = "dba" }

[[rule]]
name = "reads"
class = ["read", "session"]
verdict = "allow"

[[rule]]
name = "no schema changes"
class = "ddl"
verdict = "deny"
message = "schema changes go through migrations"
"#;

/// How often to look at what cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);

/// A gate, the database behind it, and the people before it.
#[derive(Debug)]
pub struct Stage {
    pub gate: Gate,
    pub database: Database,
}

impl Stage {
    /// One with the usual policy.
    #[track_caller]
    pub fn set() -> Self {
        Self::with("")
    }

    /// One with more tables in its configuration, such as `[hold]`.
    #[track_caller]
    pub fn with(more: &str) -> Self {
        let database = database();
        let gate = Gate::start_in(GateDir::new(), &configuration(&database, more));
        Self { gate, database }
    }

    /// Alice's way to the database: she asks.
    pub fn alice(&self) -> Login {
        self.person("alice", &self.database.name)
    }

    /// The way to the console of one of the DBAs, who decide: `bob` or `carol`.
    pub fn console(&self, who: &str) -> Login {
        self.person(who, "portcullis")
    }

    /// The way of one of the people to a database of the gate.
    pub fn person(&self, name: &str, database: &str) -> Login {
        self.gate
            .login(name, &format!("sample-password-of-{name}"), database)
    }

    /// Has bob approve a ticket.
    #[track_caller]
    pub fn approve(&self, ticket: &str) {
        self.told(&format!("APPROVE {ticket}"), "DCZ");
    }

    /// Has bob reject a ticket.
    #[track_caller]
    pub fn reject(&self, ticket: &str, reason: &str) {
        self.told(&format!("REJECT {ticket} '{reason}'"), "DCZ");
    }

    /// The state of a ticket, in the console's word.
    #[track_caller]
    pub fn state(&self, ticket: &str) -> String {
        let answer = self.told(&format!("SHOW TICKET {ticket}"), "DCZ");
        answer[1].columns()[1].clone().unwrap()
    }

    /// Waits until the gate serves no session of alice's any more, so that nothing of hers can run.
    #[track_caller]
    pub fn wait_for_nobody(&self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.told("SHOW SESSIONS", "CZ");
            let sessions: Vec<_> = answer
                .iter()
                .filter(|frame| frame.tag == b'D')
                .map(Frame::columns)
                .filter(|columns| columns[1].as_deref() == Some("alice"))
                .collect();
            if sessions.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still there: {sessions:?}");
            thread::sleep(LOOK);
        }
    }

    /// How many connections of the gate do something in the database now, by the server's word.
    pub fn active_upstreams(&self) -> u32 {
        self.upstreams("and state <> 'idle'")
    }

    /// How many connections the gate has to the database, filtered by more SQL.
    pub fn upstreams(&self, filter: &str) -> u32 {
        let count = format!(
            "select count(*) from pg_stat_activity where datname = '{}' and usename = '{}' {filter}",
            self.database.name, self.database.write.name
        );
        self.database.sql(&count).parse().unwrap()
    }

    #[track_caller]
    fn told(&self, command: &str, end: &str) -> Vec<Frame> {
        let answer = Raw::login(&self.console("bob")).query(command);
        let said: Vec<_> = answer.iter().map(Frame::describe).collect();
        assert!(tags(&answer).ends_with(end), "{command}: {said:?}");
        answer
    }
}

fn configuration(database: &Database, more: &str) -> String {
    let people = PEOPLE
        .map(|(name, verifier)| format!("[user.{name}]\nverifier = \"{verifier}\"\n"))
        .concat();
    let (name, write) = (&database.name, &database.write);
    let (port, root) = (postgres().port(), upstream_root_cert());
    format!(
        "listen = \"127.0.0.1:0\"\n\
         state = \"state\"\n\
         tls = {{ certificate = \"server.pem\", key = \"server.key\" }}\n\
         {people}\
         [group.dba]\n\
         members = [\"bob\", \"carol\"]\n\
         [group.operators]\n\
         members = \"bob\"\n\
         [tenant.{name}]\n\
         host = \"localhost\"\n\
         port = {port}\n\
         user = \"{}\"\n\
         password = \"{}\"\n\
         sslrootcert = \"{}\"\n\
         {more}{RULES}",
        write.name,
        write.password,
        root.display(),
    )
}

/// Reads up to the notice of a hold; the ticket that it names.
#[track_caller]
pub fn ticket(client: &mut Raw) -> String {
    let notice = hold_notice(client);
    let message = notice.field('M').unwrap();
    ticket_in(&message).unwrap_or_else(|| panic!("no ticket in {message:?}"))
}

/// Reads up to the notice of a hold.
#[track_caller]
pub fn hold_notice(client: &mut Raw) -> Frame {
    loop {
        let frame = client.frame();
        match frame.tag {
            b'N' if frame.sqlstate() == "ZG000" => return frame,
            b'E' | b'Z' => panic!("nothing is held: {}", frame.describe()),
            _ => {}
        }
    }
}

/// The ticket in a line such as `held as ticket T-1: waits for ...`.
pub fn ticket_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("held as ticket ")?;
    Some(rest.split_once(':')?.0.to_owned())
}
