//! A stage for a test: a gate before a fresh database, three people, a standard policy.
//!
//! alice asks; bob and carol are `dba` and decide; carol is an operator, too. Reads and session
//! settings pass, DDL is denied, the rest waits for one of `dba`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use postgres_protocol::password::scram_sha_256;

use crate::DEADLINE;
use crate::cli::{cli, portcullis_binary, psql};
use crate::database::{Database, Role, database_in};
use crate::gate::{Gate, GateDir};
use crate::login::Login;
use crate::process::{Finished, Process, Program};
use crate::raw::{self, Frame, Raw};
use crate::server::{Server, server};

/// What a test may want different: lines of TOML for its configuration, and what is behind it.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where its database is.
    pub server: &'static Server,
    /// SQL that makes what is in its database.
    pub tables: String,
    /// More keys at the top level, before any table.
    pub top: String,
    /// `[tls]` and its keys.
    pub tls: String,
    /// More keys of the tenant.
    pub tenant: String,
    /// Whether the tenant has a ledger.
    pub ledger: bool,
    /// Where the tenant leads: host, port, user, password and trust. `None` is the database's own
    /// server, as the writing role.
    pub upstream: Option<String>,
    /// `default` of `[policy]`.
    pub default: String,
    /// `[[rule]]` tables.
    pub rules: String,
    /// More tables: `[limits]`, `[hold]`, `[tickets]`, users, groups, tenants.
    pub more: String,
}

/// A gate, the database behind it, and the people before it.
#[derive(Debug)]
pub struct Stage {
    pub gate: Gate,
    pub database: Database,
}

/// What is in a database unless a test says otherwise.
const TABLE: &str = "create table t (id int primary key, note text); \
    insert into t values (1, 'one'), (2, 'two'), (3, 'three')";

/// How often to look at what cannot be waited for.
const LOOK: Duration = Duration::from_millis(10);

/// The rules unless a test says others.
pub const RULES: &str = r#"
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

impl Default for Setup {
    fn default() -> Self {
        Self {
            server: server(),
            tables: TABLE.to_owned(),
            top: String::new(),
            tls: "certificate = 'server.pem'\nkey = 'server.key'\n".to_owned(),
            tenant: String::new(),
            ledger: false,
            upstream: None,
            default: "{ approvals = 1, from = 'dba' }".to_owned(),
            rules: RULES.to_owned(),
            more: String::new(),
        }
    }
}

impl Setup {
    /// The whole configuration, with `database` as its tenant.
    pub fn config(&self, database: &Database) -> String {
        let Self {
            top,
            tls,
            tenant,
            default,
            rules,
            more,
            ..
        } = self;
        let name = &database.name;
        let upstream = self.upstream.clone().unwrap_or_else(|| shared(database));
        let users: String = ["alice", "bob", "carol"].map(user).concat();
        let Role {
            name: fences,
            password,
        } = &database.ledger;
        let ledger = if self.ledger {
            format!("ledger_user = '{fences}'\nledger_password = '{password}'\n")
        } else {
            String::new()
        };
        format!(
            "listen = '127.0.0.1:0'\nstate = 'state'\n{top}\n[tls]\n{tls}\n{users}\n\
             [group.dba]\nmembers = ['bob', 'carol']\n\n[group.operators]\nmembers = ['carol']\n\n\
             [tenant.{name}]\n{upstream}\n{tenant}\n{ledger}\n[policy]\ndefault = {default}\n{rules}\n{more}"
        )
    }

    /// Starts it before a fresh database.
    #[track_caller]
    pub fn start(&self) -> Stage {
        self.start_in(GateDir::new())
    }

    /// As `start`, in a directory that was prepared.
    #[track_caller]
    pub fn start_in(&self, directory: GateDir) -> Stage {
        let database = database_in(self.server);
        database.sql(&self.tables);
        let gate = Gate::start_in(directory, &self.config(&database));
        let stage = Stage { gate, database };
        if self.ledger {
            stage.install(&["--apply", "--as", "postgres"]).ok();
        }
        stage
    }
}

/// A fresh database that has `t (id int primary key, note text)` with three rows.
pub fn table() -> Database {
    let database = database_in(server());
    database.sql(TABLE);
    database
}

/// `[user.NAME]`, with the password that `Stage` logs in with. Each time it is the same.
pub fn user(name: &str) -> String {
    static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let text = known.entry(name.to_owned());
    text.or_insert_with(|| user_anew(name)).clone()
}

/// The same with a verifier of its own, of the same password.
pub fn user_anew(name: &str) -> String {
    let verifier = scram_sha_256(password(name).as_bytes());
    format!("[user.{name}]\nverifier = '{verifier}'\n")
}

pub fn password(name: &str) -> String {
    format!("{name}-secret")
}

/// The keys that lead a tenant to `database`, as the writing role.
pub fn shared(database: &Database) -> String {
    let Role { name, password } = &database.write;
    database.server.upstream(name, password)
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// The standard one.
    #[track_caller]
    pub fn new() -> Self {
        Setup::default().start()
    }

    /// The standard one, changed.
    #[track_caller]
    pub fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        setup.start()
    }

    /// With a second tenant, `twin`, that leads to the same database.
    #[track_caller]
    pub fn with_twin(change: impl FnOnce(&mut Setup)) -> Self {
        let database = table();
        let (name, upstream) = (&database.name, shared(&database));
        let mut setup = Setup::default();
        change(&mut setup);
        let twin = format!("[tenant.twin]\ndatabase = '{name}'\n{upstream}\n");
        setup.more.push_str(&twin);
        let gate = Gate::start(&setup.config(&database));
        Self { gate, database }
    }

    /// `portcullis tenant install` of its tenant.
    pub fn install(&self, more: &[&str]) -> Finished {
        let password = self.database.server.postgres().password();
        self.install_with(password, more)
    }

    /// The same, run as this role.
    pub fn install_as(&self, role: &str, password: &str) -> Finished {
        self.install_with(password, &["--apply", "--as", role])
    }

    fn install_with(&self, password: &str, more: &[&str]) -> Finished {
        let config = self.gate.directory().file("portcullis.toml");
        let config = config.to_string_lossy();
        let args = [
            "tenant",
            "install",
            &self.database.name,
            "--config",
            &config,
        ];
        let program = Program::new(Command::new(portcullis_binary()));
        program
            .env("PGPASSWORD", password)
            .run(&[&args, more].concat())
    }

    /// Somebody's way to the tenant, over TLS.
    pub fn login(&self, who: &str) -> Login {
        self.gate.login(who, &password(who), &self.database.name)
    }

    /// Somebody's way to the console, over TLS.
    pub fn console(&self, who: &str) -> Login {
        self.gate.login(who, &password(who), "portcullis")
    }

    /// psql to the tenant; notices and errors with their SQLSTATE.
    pub fn psql(&self, who: &str) -> Program {
        verbose(psql(&self.login(who)))
    }

    /// psql to the console.
    pub fn psql_console(&self, who: &str) -> Program {
        verbose(psql(&self.console(who)))
    }

    /// `portcullis` as somebody.
    pub fn cli(&self, who: &str) -> Program {
        cli(&self.console(who))
    }

    /// A raw client in the tenant.
    #[track_caller]
    pub fn raw(&self, who: &str) -> Raw {
        Raw::login(&self.login(who))
    }

    /// bob signs.
    #[track_caller]
    pub fn approve(&self, ticket: &str) {
        self.decide(&format!("APPROVE {ticket}"));
    }

    /// bob does not.
    #[track_caller]
    pub fn reject(&self, ticket: &str, reason: &str) {
        self.decide(&format!("REJECT {ticket} '{reason}'"));
    }

    #[track_caller]
    fn decide(&self, command: &str) {
        let answer = Raw::login(&self.console("bob")).query(command);
        let said: Vec<_> = answer.iter().map(Frame::describe).collect();
        assert!(raw::tags(&answer).ends_with("DCZ"), "{command}: {said:?}");
    }

    /// One field of a ticket, as `who` sees it on the console.
    #[track_caller]
    pub fn ticket(&self, who: &str, ticket: &str, field: &str) -> String {
        let shown = psql(&self.console(who))
            .arg("-x")
            .query(&format!("SHOW TICKET {ticket}"))
            .ok();
        let value = shown
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{field}|")).map(str::to_owned));
        value.unwrap_or_else(|| panic!("{ticket} has no {field}:\n{}", shown.stdout))
    }

    /// Where a ticket stands.
    #[track_caller]
    pub fn state(&self, ticket: &str) -> String {
        self.ticket("bob", ticket, "state")
    }

    /// Waits until a ticket stands there.
    #[track_caller]
    pub fn wait_state(&self, ticket: &str, state: &str) {
        eventually(&format!("{ticket} is {state}"), || {
            self.state(ticket) == state
        });
    }

    /// `select count(*) from t where CONDITION`, past the gate.
    #[track_caller]
    pub fn count(&self, condition: &str) -> String {
        self.database
            .sql(&format!("select count(*) from t where {condition}"))
    }

    /// Waits until the gate serves no session of this person any more: nothing of theirs can run then.
    #[track_caller]
    pub fn wait_for_nobody(&self, who: &str) {
        let mut console = Raw::login(&self.console("carol"));
        eventually(&format!("{who} is gone"), || {
            let sessions = console.query("SHOW SESSIONS");
            let rows = sessions.iter().filter(|frame| frame.tag == b'D');
            rows.map(Frame::columns)
                .all(|columns| columns[0].as_deref() != Some(who))
        });
    }

    /// How many connections the gate has to the database, filtered by more SQL.
    pub fn upstreams(&self, filter: &str) -> u32 {
        let count = format!(
            "select count(*) from pg_stat_activity where datname = '{}' and usename = '{}' {filter}",
            self.database.name, self.database.write.name
        );
        self.database.sql(&count).parse().unwrap()
    }

    /// How many of them do something now, by the server's word.
    pub fn active_upstreams(&self) -> u32 {
        self.upstreams("and state <> 'idle'")
    }

    /// Ends the gate, as SIGTERM does or as it is dead already, and starts it again.
    #[track_caller]
    pub fn restart(self) -> Self {
        Self {
            gate: self.gate.restart(),
            database: self.database,
        }
    }
}

fn verbose(psql: Program) -> Program {
    psql.arg("-v").arg("VERBOSITY=verbose")
}

/// Waits for the notice of a hold and says which ticket it is.
#[track_caller]
pub fn held(psql: &mut Process) -> String {
    ticket_of(&psql.stderr().wait_for("held as ticket "))
}

/// The same of a raw client: the next frame is the notice.
#[track_caller]
pub fn held_raw(client: &mut Raw) -> String {
    ticket_of(&hold_notice(client).field('M').unwrap_or_default())
}

/// The notice of a hold, which is the next frame.
#[track_caller]
pub fn hold_notice(client: &mut Raw) -> Frame {
    let frame = client.frame();
    assert_eq!(frame.tag, b'N', "not a notice: {}", frame.describe());
    frame
}

/// The ticket in a line such as `held as ticket T-1: waits for ...`.
pub fn ticket_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("held as ticket ")?;
    Some(rest.split_once(':')?.0.to_owned())
}

#[track_caller]
fn ticket_of(notice: &str) -> String {
    ticket_in(notice).unwrap_or_else(|| panic!("no ticket in {notice:?}"))
}

/// Looks again and again until it is so, or the deadline comes.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        thread::sleep(LOOK);
    }
}

/// A figure of `SHOW POOLS`, added up over the pools of a tenant.
#[track_caller]
pub fn pool_figure(stage: &Stage, tenant: &str, column: &str) -> String {
    let mut psql = psql(&stage.console("carol"));
    psql = psql.arg("-x");
    let shown = psql.query("SHOW POOLS").ok().stdout;
    let pools = shown.split("\n\n").filter(|pool| {
        let first = pool.lines().find_map(|it| it.strip_prefix("database|"));
        first == Some(tenant)
    });
    let value = |pool: &str| -> u64 {
        let mut lines = pool.lines();
        let value = lines.find_map(|it| it.strip_prefix(&format!("{column}|")));
        value.expect("a column of SHOW POOLS").parse().unwrap()
    };
    pools.map(value).sum::<u64>().to_string()
}

/// `portcullis`, without a gate to talk to.
pub fn portcullis(args: &[&str]) -> Finished {
    let mut command = Command::new(portcullis_binary());
    command.env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    Program::new(command).run(args)
}

/// A statement is asked for, its client leaves, and bob signs: the ticket lies ready.
#[track_caller]
pub fn leave_approved(stage: &Stage, sql: &str) -> String {
    let ticket = leave_pending(stage, sql);
    stage.approve(&ticket);
    ticket
}

/// A statement is asked for, and its client leaves.
#[track_caller]
pub fn leave_pending(stage: &Stage, sql: &str) -> String {
    let mut client = stage.raw("alice");
    client.send(&raw::query(sql));
    let ticket = held_raw(&mut client);
    client.send(&raw::terminate());
    client.frames_until_closed();
    ticket
}
