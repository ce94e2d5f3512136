//! A stage for a test: a gate before a fresh database, three people, a standard policy.
//!
//! alice asks; bob and carol are `dba` and decide; carol is an operator, too. Reads and session
//! settings pass, DDL is denied, the rest waits for one of `dba`.

use harness::raw::{Frame, Raw};
use harness::{Database, Gate, GateDir, Login, Process, Program};
use postgres_protocol::password::scram_sha_256;

/// What a test may want different about its configuration: lines of TOML.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// More keys at the top level, before any table.
    pub(crate) top: String,
    /// `[tls]` and its keys.
    pub(crate) tls: String,
    /// More keys of the tenant.
    pub(crate) tenant: String,
    /// Where the tenant leads: host, port, user, password and trust. `None` is the shared server,
    /// as the writing role.
    pub(crate) upstream: Option<String>,
    /// `default` of `[policy]`.
    pub(crate) default: String,
    /// `[[rule]]` tables.
    pub(crate) rules: String,
    /// More tables: `[limits]`, `[hold]`, `[tickets]`, users, groups, tenants.
    pub(crate) more: String,
}

/// A gate, the database behind it, and the people before it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) database: Database,
}

/// The rules unless a test says others.
pub(crate) const RULES: &str = r#"
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
            top: String::new(),
            tls: "certificate = 'server.pem'\nkey = 'server.key'\n".to_owned(),
            tenant: String::new(),
            upstream: None,
            default: "{ approvals = 1, from = 'dba' }".to_owned(),
            rules: RULES.to_owned(),
            more: String::new(),
        }
    }
}

impl Setup {
    /// The whole configuration, with `database` as its tenant.
    pub(crate) fn config(&self, database: &Database) -> String {
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
        format!(
            "listen = '127.0.0.1:0'\nstate = 'state'\n{top}\n[tls]\n{tls}\n{users}\n\
             [group.dba]\nmembers = ['bob', 'carol']\n\n[group.operators]\nmembers = ['carol']\n\n\
             [tenant.{name}]\n{upstream}\n{tenant}\n\n[policy]\ndefault = {default}\n{rules}\n{more}"
        )
    }

    /// Starts it before a fresh database that has `t (id int primary key, note text)` with three rows.
    #[track_caller]
    pub(crate) fn start(&self) -> Stage {
        self.start_in(GateDir::new())
    }

    /// As `start`, in a directory that was prepared.
    #[track_caller]
    pub(crate) fn start_in(&self, directory: GateDir) -> Stage {
        let database = table();
        let gate = Gate::start_in(directory, &self.config(&database));
        Stage { gate, database }
    }
}

/// A fresh database that has `t (id int primary key, note text)` with three rows.
pub(crate) fn table() -> Database {
    let database = harness::database();
    database.sql(
        "create table t (id int primary key, note text); \
         insert into t values (1, 'one'), (2, 'two'), (3, 'three')",
    );
    database
}

/// `[user.NAME]`, with the password that `Stage` logs in with.
pub(crate) fn user(name: &str) -> String {
    let verifier = scram_sha_256(password(name).as_bytes());
    format!("[user.{name}]\nverifier = '{verifier}'\n")
}

pub(crate) fn password(name: &str) -> String {
    format!("{name}-secret")
}

/// The keys that lead a tenant to `database` in the shared server.
pub(crate) fn shared(database: &Database) -> String {
    format!(
        "host = 'localhost'\nport = {}\nuser = '{}'\npassword = '{}'\nsslrootcert = '{}'",
        harness::postgres().port(),
        database.write.name,
        database.write.password,
        harness::upstream_root_cert().display()
    )
}

impl Stage {
    /// The standard one.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Setup::default().start()
    }

    /// The standard one, changed.
    #[track_caller]
    pub(crate) fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        setup.start()
    }

    /// With a second tenant, `twin`, that leads to the same database.
    #[track_caller]
    pub(crate) fn with_twin(change: impl FnOnce(&mut Setup)) -> Self {
        let database = table();
        let (name, upstream) = (&database.name, shared(&database));
        let mut setup = Setup::default();
        change(&mut setup);
        let twin = format!("[tenant.twin]\ndatabase = '{name}'\n{upstream}\n");
        setup.more.push_str(&twin);
        let gate = Gate::start(&setup.config(&database));
        Self { gate, database }
    }

    /// Somebody's way to the tenant, over TLS.
    pub(crate) fn login(&self, who: &str) -> Login {
        self.gate.login(who, &password(who), &self.database.name)
    }

    /// Somebody's way to the console, over TLS.
    pub(crate) fn console(&self, who: &str) -> Login {
        self.gate.login(who, &password(who), "portcullis")
    }

    /// psql to the tenant; notices and errors with their SQLSTATE.
    pub(crate) fn psql(&self, who: &str) -> Program {
        verbose(harness::psql(&self.login(who)))
    }

    /// psql to the console.
    pub(crate) fn psql_console(&self, who: &str) -> Program {
        verbose(harness::psql(&self.console(who)))
    }

    /// `portcullis` as somebody.
    pub(crate) fn cli(&self, who: &str) -> Program {
        harness::cli(&self.console(who))
    }

    /// A raw client in the tenant.
    #[track_caller]
    pub(crate) fn raw(&self, who: &str) -> Raw {
        Raw::login(&self.login(who))
    }

    /// bob signs.
    #[track_caller]
    pub(crate) fn approve(&self, ticket: &str) {
        self.cli("bob").run(&["approve", ticket]).ok();
    }

    /// One field of a ticket, as `who` sees it on the console.
    #[track_caller]
    pub(crate) fn ticket(&self, who: &str, ticket: &str, field: &str) -> String {
        let shown = harness::psql(&self.console(who))
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
    pub(crate) fn state(&self, ticket: &str) -> String {
        self.ticket("bob", ticket, "state")
    }

    /// Waits until a ticket stands there.
    #[track_caller]
    pub(crate) fn wait_state(&self, ticket: &str, state: &str) {
        eventually(&format!("{ticket} is {state}"), || {
            self.state(ticket) == state
        });
    }

    /// `select count(*) from t where CONDITION`, past the gate.
    #[track_caller]
    pub(crate) fn count(&self, condition: &str) -> String {
        self.database
            .sql(&format!("select count(*) from t where {condition}"))
    }

    /// Ends the gate, as SIGTERM does or as it is dead already, and starts it again.
    #[track_caller]
    pub(crate) fn restart(self) -> Self {
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
pub(crate) fn held(psql: &mut Process) -> String {
    ticket_of(&psql.stderr().wait_for("held as ticket "))
}

/// The same of a raw client: the next frame is the notice.
#[track_caller]
pub(crate) fn held_raw(client: &mut Raw) -> String {
    let frame: Frame = client.frame();
    assert_eq!(frame.tag, b'N', "not a notice: {}", frame.describe());
    ticket_of(&frame.field('M').unwrap_or_default())
}

fn ticket_of(notice: &str) -> String {
    let ticket = notice
        .split_once("held as ticket ")
        .and_then(|(_, rest)| rest.split_once(':'));
    ticket.map_or_else(|| panic!("no ticket in {notice:?}"), |it| it.0.to_owned())
}

/// Looks again and again until it is so, or the deadline comes.
#[track_caller]
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + harness::DEADLINE;
    while !done() {
        assert!(
            std::time::Instant::now() < deadline,
            "never happened: {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A figure of `SHOW POOLS`, added up over the pools of a tenant.
#[track_caller]
pub(crate) fn pool_figure(stage: &Stage, tenant: &str, column: &str) -> String {
    let mut psql = harness::psql(&stage.console("carol"));
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
pub(crate) fn portcullis(args: &[&str]) -> harness::Finished {
    let mut command = std::process::Command::new(harness::portcullis_binary());
    command.env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    Program::new(command).run(args)
}

/// A statement is asked for, its client leaves, and bob signs: the ticket lies ready.
#[track_caller]
pub(crate) fn leave_approved(stage: &Stage, sql: &str) -> String {
    let ticket = leave_pending(stage, sql);
    stage.approve(&ticket);
    ticket
}

/// A statement is asked for, and its client leaves.
#[track_caller]
pub(crate) fn leave_pending(stage: &Stage, sql: &str) -> String {
    let mut client = stage.raw("alice");
    client.send(&harness::raw::query(sql));
    let ticket = held_raw(&mut client);
    client.send(&harness::raw::terminate());
    client.frames_until_closed();
    ticket
}
