//! The four tenancy models: a tenant that is granted as it should be is served, and one that is not is refused, with what was
//! found in the gate's log (hazards section O, R114 to R116, V11 to V16).

mod drift;
mod fence;
mod models;
mod shared;

use std::sync::atomic::{AtomicU32, Ordering};

use harness::raw::{self, Raw};
use harness::sandbox::Postgres;
use harness::stage::{password, user};
use harness::{Finished, Gate, psql, server};

/// A server, a database of a test's own, and a gate with the tenants of it.
///
/// In SQL and in what is expected, `{w}`, `{r}` and `{l}` stand for the tenant's logins, `{team}` for the role that only these
/// are in and for the tenant, `{x}` and `{others}` for the same of somebody else, `{o}` for the owner of tables, `{db}` for the
/// database.
struct Room {
    postgres: &'static Postgres,
    number: u32,
    /// How the tenant leads there, but for database and logins.
    way: String,
    gate: Option<Gate>,
}

/// A misgrant, how it is mended, and what is found.
type Case = (&'static str, &'static str, &'static str);

/// Logins that own nothing, each in the role of its tenant.
const ROLES: &str = "create role {o}; create role {team}; create role {others}; \
     create role {w} login password 'pw' in role {team}; create role {r} login password 'pw' in role {team}; \
     create role {l} login password 'pw'; create role {x} login password 'pw' in role {others};";

const EVERYTHING: &str = "[[rule]]\nname = 'everything'\nverdict = 'allow'\n";

impl Room {
    /// In the usual server.
    fn new(tables: &str) -> Self {
        let login = server().upstream("{w}", "pw");
        Self::on(server().postgres(), login, tables)
    }

    /// In a server of its own, where nobody else has a database.
    fn alone(tables: &str) -> Self {
        let postgres = Postgres::start(harness::options()).unwrap();
        let login = format!(
            "host = 'localhost'\nport = {}\nuser = '{{w}}'\npassword = 'pw'\nsslmode = 'disable'\n",
            postgres.port()
        );
        Self::on(Box::leak(Box::new(postgres)), login, tables)
    }

    fn on(postgres: &'static Postgres, way: String, tables: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let room = Self {
            postgres,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            way,
            gate: None,
        };
        let closed =
            "revoke all on database {db} from public; grant connect on database {db} to {team}";
        for sql in [ROLES, "create database {db}", closed] {
            postgres.sql("postgres", &room.fill(sql)).unwrap();
        }
        room.sql(tables);
        room
    }

    fn fill(&self, text: &str) -> String {
        let number = self.number;
        let names = ["w", "r", "l", "x", "o", "team", "others", "db"];
        names.into_iter().fold(text.to_owned(), |text, name| {
            text.replace(&format!("{{{name}}}"), &format!("iso_{name}{number}"))
        })
    }

    #[track_caller]
    fn sql(&self, sql: &str) -> String {
        let sql = self.fill(sql);
        let rows = self.postgres.sql(&self.fill("{db}"), &sql);
        rows.unwrap_or_else(|error| panic!("{error}\nin {sql}"))
    }

    /// The tenant, with more of its keys.
    fn tenant(&self, keys: &str) -> String {
        let reads = "read_user = '{r}'\nread_password = 'pw'\n";
        let text = format!(
            "[tenant.{{team}}]\ndatabase = '{{db}}'\n{}{reads}{keys}\n",
            self.way
        );
        self.fill(&text)
    }

    fn config(tenants: &str) -> String {
        let users: String = ["alice", "bob", "carol"].map(user).concat();
        format!(
            "listen = '127.0.0.1:0'\nstate = 'state'\n[tls]\ncertificate = 'server.pem'\nkey = 'server.key'\n{users}\n\
             [group.dba]\nmembers = ['bob', 'carol']\n\n[group.operators]\nmembers = ['carol']\n\n{tenants}\n\
             [policy]\ndefault = {{ approvals = 1, from = 'dba' }}\n{EVERYTHING}"
        )
    }

    /// Starts the gate before this tenant alone.
    #[track_caller]
    fn start(mut self, keys: &str) -> Self {
        let config = Self::config(&self.tenant(keys));
        self.gate = Some(Gate::start(&config));
        self
    }

    fn gate(&self) -> &Gate {
        self.gate.as_ref().unwrap()
    }

    #[track_caller]
    fn reload(&self) {
        let login = self.gate().login("carol", &password("carol"), "portcullis");
        let answer = Raw::login(&login).query("RELOAD");
        assert_eq!(raw::tags(&answer), "TDCZ", "{}", answer[0].describe());
    }

    /// Writes the configuration anew and has it read.
    #[track_caller]
    fn change(&self, keys: &str) {
        let config = Self::config(&self.tenant(keys));
        self.gate().directory().write_config(&config);
        self.reload();
    }

    fn ask(&self, sql: &str) -> Finished {
        let login = self
            .gate()
            .login("alice", &password("alice"), &self.fill("{team}"));
        psql(&login)
            .arg("-v")
            .arg("VERBOSITY=verbose")
            .query(&self.fill(sql))
    }

    fn raw(&self) -> Raw {
        Raw::login(
            &self
                .gate()
                .login("alice", &password("alice"), &self.fill("{team}")),
        )
    }

    #[track_caller]
    fn serves(&mut self) {
        let answer = self.ask("select 'served'");
        let log = self.gate.as_mut().unwrap().stderr();
        assert_eq!(
            answer.stdout.trim(),
            "served",
            "{}\n{}",
            answer.stderr,
            log.text()
        );
    }

    /// A login is refused, and this is in the log.
    #[track_caller]
    fn refuses(&mut self, finding: &str) {
        let refused = self.ask("select 'served'").failed(2);
        let said = self.fill("FATAL:  database \"{team}\" is not isolated as configured");
        assert!(refused.stderr.contains(&said), "{}", refused.stderr);
        // What is wrong is nobody's business but the operator's.
        let finding = format!("not isolated: {}", self.fill(finding));
        assert!(!refused.stderr.contains(&finding), "{}", refused.stderr);
        self.gate.as_mut().unwrap().stderr().wait_for(&finding);
    }

    /// Each misgrant is found, and once it is mended the tenant is served again.
    #[track_caller]
    fn finds(&mut self, cases: &[Case]) {
        self.serves();
        for (misgrant, mend, finding) in cases {
            self.sql(misgrant);
            self.reload();
            self.refuses(finding);
            self.sql(mend);
            self.reload();
            self.serves();
        }
    }
}
