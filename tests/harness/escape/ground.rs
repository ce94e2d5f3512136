//! The ground of the escape corpus: servers, tenants made on them by the SQL that `portcullis tenant new` prints, what they keep,
//! and one gate before all of them that lets everything pass. Nothing but that SQL, and who owns what, keeps tenants apart; the
//! control is spoilt by `tests/escape/ground/control.sql`.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;

use portcullis::sandbox::{Options, Postgres};

use super::place::{Kept, Model, Place, Tenant, Words, hex};
use super::play::{KEEPS, TRIES};
use crate::cli::portcullis_binary;
use crate::gate::{Gate, GateDir};
use crate::process::Program;
use crate::stage::user;

/// Where the SQL of this ground is.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/escape/ground");
/// The owner of the control's table, which its tenants are let in as for migrations.
const CONTROL_OWNER: &str = "control_tables";

/// Everything that attempts are made on.
pub(super) struct Ground {
    pub(super) places: Vec<Place>,
    yard: Yard,
}

/// What the gate knows of how tenants are kept apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: the server's grants hold alone. What nobody should have who is kept apart, as dblink, is there to be tried.
    Nothing,
    /// What `tenant new` says of it: it is tested, and nothing is there that would fail.
    Isolation,
}

/// Servers, and the files of a gate.
struct Yard {
    said: Said,
    servers: Vec<Postgres>,
    /// Scripts, and the passwords of tenants.
    files: tempfile::TempDir,
}

impl Ground {
    /// Lays it for these models. The gate goes when it is dropped.
    #[track_caller]
    pub(super) fn lay(models: &[Model], said: Said) -> (Gate, Self) {
        let yard = Yard::open(said);
        let pairs: Vec<_> = models.iter().map(|it| (*it, tenants(*it))).collect();
        let mut keys = String::new();
        let mut places = Vec::new();
        for (model, [a, b]) in pairs {
            keys.push_str(&yard.make(model, &[&a, &b]));
            places.push(yard.furnish(model, a, b));
        }
        let gate = Gate::start_in(GateDir::new(), &config(&keys));
        for place in &mut places {
            place.gate = gate.address();
            place
                .words
                .set("gate_port", gate.address().port().to_string());
        }
        (gate, Self { places, yard })
    }

    /// Gives the logins of who tries their passwords back, and nothing else: the gate can log in.
    #[track_caller]
    pub(super) fn let_in(&self, place: &Place) {
        for login in ["app", "read"] {
            let role = format!("{}_{login}", place.a.name);
            let password = self.yard.password(&role);
            let sql = format!("alter role {role} password '{password}'");
            self.yard.sql(place.a.server, "postgres", &sql);
        }
    }

    /// Makes good what an attempt has changed: of the control everything, of the others how their logins begin.
    #[track_caller]
    pub(super) fn mend(&self, place: &Place) {
        if place.model == Model::Control {
            self.yard.spoil(place);
        } else {
            self.yard.logins(place.model, &place.a);
        }
    }
}

/// Two tenants of a model; the second keeps what the first wants.
fn tenants(model: Model) -> [Tenant; 2] {
    [("a", 4241), ("b", 4242)].map(|(letter, large)| {
        let name = format!("{}_{letter}", model.name());
        let own = model.has_own_database();
        let elsewhere = model == Model::Control || (model == Model::Instance && letter == "b");
        Tenant {
            server: usize::from(elsewhere),
            database: if own {
                name.clone()
            } else {
                format!("esc_{}", model.name())
            },
            schema: match model {
                Model::Shared | Model::Control => "app".to_owned(),
                Model::Schema => name.clone(),
                Model::Database | Model::Instance => "public".to_owned(),
            },
            kept: kept(),
            large,
            name,
        }
    })
}

/// What nobody could guess.
fn kept() -> Kept {
    let random = || RandomState::new().hash_one(0);
    Kept {
        text: format!("kept-{:016x}", random()),
        // So many digits are nothing else, and fit.
        number: format!(
            "{}",
            random() % 900_000_000_000_000_000 + 100_000_000_000_000_000
        ),
    }
}

impl Yard {
    #[track_caller]
    fn open(said: Said) -> Self {
        let start = || {
            let options = Options {
                fsync: false,
                ..Options::default()
            };
            Postgres::start(options.set("max_connections", "200")).unwrap()
        };
        Self {
            said,
            servers: std::thread::scope(|scope| {
                let both = [scope.spawn(start), scope.spawn(start)];
                both.map(|it| it.join().unwrap()).into()
            }),
            files: tempfile::tempdir().unwrap(),
        }
    }

    /// Makes two tenants by what the binary prints, and returns what it says of them for the configuration.
    #[track_caller]
    fn make(&self, model: Model, pair: &[&Tenant; 2]) -> String {
        if !model.has_own_database() {
            let database = &pair[0].database;
            self.sql(
                pair[0].server,
                "postgres",
                &format!("create database {database}"),
            );
            self.extend(pair[0], &Words::default());
            if model != Model::Schema {
                self.script(pair[0], "shared.before", &Words::default());
            }
        }
        let made = pair.iter().map(|tenant| {
            let args = self.args(model, tenant);
            let sql = tenant_new(&args);
            let start = if model.has_own_database() {
                "postgres"
            } else {
                &tenant.database
            };
            self.run(tenant.server, start, &sql);
            let keys = tenant_new(&[args, vec!["--toml".to_owned()]].concat());
            self.keys(model, tenant, &keys)
        });
        made.collect()
    }

    fn args(&self, model: Model, tenant: &Tenant) -> Vec<String> {
        let kind = if model == Model::Control {
            "shared"
        } else {
            model.name()
        };
        let passwords = self.passwords();
        let server = format!("127.0.0.1:{}", self.servers[tenant.server].port());
        let mut args = vec![
            &*tenant.name,
            "--model",
            kind,
            "--passwords",
            &passwords,
            "--server",
            &server,
        ];
        if !model.has_own_database() {
            args.extend(["--database", &tenant.database]);
        }
        if kind == "shared" {
            args.extend(["--owner", "shared_tables", "--table", "app.docs:tenant"]);
        }
        args.into_iter().map(str::to_owned).collect()
    }

    fn passwords(&self) -> String {
        self.files
            .path()
            .join("passwords")
            .to_string_lossy()
            .into_owned()
    }

    #[track_caller]
    fn password(&self, role: &str) -> String {
        let file = Path::new(&self.passwords()).join(format!("{role}.password"));
        fs::read_to_string(file).unwrap().trim_end().to_owned()
    }

    /// The tables of the configuration. These servers have no TLS.
    fn keys(&self, model: Model, tenant: &Tenant, keys: &str) -> String {
        let mut text = String::new();
        for line in keys.lines() {
            let says = ["isolation", "schemas"]
                .iter()
                .any(|it| line.starts_with(it));
            if !says || self.said == Said::Isolation {
                text.push_str(line);
                text.push('\n');
            }
            if line.starts_with("port") {
                text.push_str("sslmode = 'disable'\n");
            }
        }
        if model == Model::Control {
            let Tenant { name, database, .. } = tenant;
            let port = self.servers[tenant.server].port();
            let more = format!(
                "[tenant.{name}_migrate]\nhost = '127.0.0.1'\nport = {port}\ndatabase = '{database}'\n\
                 user = '{CONTROL_OWNER}'\npassword = 'tables'\nsslmode = 'disable'\n"
            );
            text.push_str(&more);
        }
        text
    }

    /// Gives both what they keep, and finds the words of the place.
    #[track_caller]
    fn furnish(&self, model: Model, a: Tenant, b: Tenant) -> Place {
        for tenant in [&a, &b] {
            self.give(model, tenant);
        }
        if model == Model::Shared {
            self.script(&b, "shared.after", &Words::default());
        }
        let of_servers = self.servers.iter();
        let superusers = of_servers.map(|it| (it.port(), it.password().to_owned()));
        let mut place = Place {
            model,
            gate: ([127, 0, 0, 1], 0).into(),
            superusers: superusers.collect(),
            words: Words::default(),
            a,
            b,
        };
        self.words(&mut place);
        if model == Model::Control {
            self.spoil(&place);
        }
        let table = place.words.fill("{theirs}");
        let file = format!(
            "select current_setting('data_directory') || '/' || pg_relation_filepath('{table}')"
        );
        let file = self.sql(place.b.server, &place.b.database, &file);
        place.words.set("b_file", file);
        place
    }

    #[track_caller]
    fn give(&self, model: Model, tenant: &Tenant) {
        let words = of(tenant);
        match model {
            Model::Shared => self.script(tenant, "shared.tenant", &words),
            Model::Schema => self.script(tenant, "owned", &words),
            Model::Database | Model::Instance => {
                self.extend(tenant, &words);
                self.script(tenant, "owned", &words);
            }
            // Its rows come with what spoils it.
            Model::Control => return,
        }
        if self.said == Said::Isolation {
            // It runs with the rights of a role that is no login of the tenant: the gate cannot know what that may see.
            let function = words.fill("drop function if exists {schema}.count_docs()");
            self.sql(tenant.server, &tenant.database, &function);
        }
        self.script(tenant, "large", &words);
        self.logins(model, tenant);
        // What a database or a server tells everybody in it is no secret of a tenant that shares it.
        if model.has_own_database() && tenant.name.ends_with("_b") {
            self.script(tenant, "told", &words);
            if model == Model::Instance {
                self.script(tenant, "told.server", &words);
            }
        }
    }

    /// Brings in what leads out.
    #[track_caller]
    fn extend(&self, tenant: &Tenant, words: &Words) {
        if self.said == Said::Nothing {
            self.script(tenant, "extension", words);
        }
    }

    /// Has a tenant's logins begin as they were made to.
    #[track_caller]
    fn logins(&self, model: Model, tenant: &Tenant) {
        let mut logins = vec!["app", "read"];
        if model.has_owner() {
            logins.push("owner");
        }
        for login in logins {
            let mut words = of(tenant);
            let role = format!("{}_{login}", tenant.name);
            words.set("password", self.password(&role));
            words.set("role", role);
            words.set("database", &tenant.database);
            words.set("path", &tenant.schema);
            words.set("read_only", if login == "read" { "on" } else { "off" });
            self.script(tenant, "login", &words);
        }
    }

    /// Grants the control what it should not have.
    #[track_caller]
    fn spoil(&self, place: &Place) {
        let mut words = place.words.clone();
        let (a, b) = (&place.a.kept, &place.b.kept);
        words.set("own", &a.text);
        words.set("own_number", &a.number);
        words.set("secret", &b.text);
        words.set("number", &b.number);
        words.set("superuser", self.servers[place.b.server].password());
        self.script(&place.b, "control.roles", &words);
        self.logins(Model::Shared, &place.a);
        self.logins(Model::Shared, &place.b);
        self.script(&place.b, "control", &words);
    }

    fn words(&self, place: &mut Place) {
        let Place {
            model, a, b, words, ..
        } = place;
        let role = |tenant: &Tenant, login: &str| match (*model, login) {
            (Model::Shared, "owner") => "shared_tables".to_owned(),
            (Model::Control, "owner") => CONTROL_OWNER.to_owned(),
            _ => format!("{}_{login}", tenant.name),
        };
        let counter = match model {
            Model::Shared | Model::Control => "app.docs_id_seq".to_owned(),
            _ => format!("{}.counter", b.schema),
        };
        // Of what all share nobody's number is the last.
        let count = match model {
            Model::Shared | Model::Control => "select null".to_owned(),
            _ => format!("select last_value from {counter}"),
        };
        words.set("b_count", count);
        words.set("b_number", &b.kept.number);
        words.set("a", &a.name);
        words.set("a_app", role(a, "app"));
        words.set("a_read", role(a, "read"));
        words.set("a_owner", role(a, "owner"));
        words.set("a_db", &a.database);
        words.set("a_schema", &a.schema);
        words.set("mine", format!("{}.docs", a.schema));
        words.set("own_lo", a.large.to_string());
        words.set("b", &b.name);
        words.set("b_app", role(b, "app"));
        words.set("b_read", role(b, "read"));
        words.set("b_owner", role(b, "owner"));
        words.set("b_db", &b.database);
        words.set("b_gate", &b.name);
        words.set("b_gate_upper", b.name.to_uppercase());
        words.set("b_schema", &b.schema);
        words.set("theirs", format!("{}.docs", b.schema));
        words.set("b_view", format!("{}.totals", b.schema));
        words.set("b_seq", &counter);
        words.set("b_other_seq", counter);
        words.set("lo", b.large.to_string());
        words.set("secret", &b.kept.text);
        words.set("port", self.servers[b.server].port().to_string());
        words.set("b_escaped", spelled(&b.name, "\\x", 2));
        words.set("b_app_unicode", spelled(&role(b, "app"), "\\", 4));
        words.set("blank", " ");
        words.set("nothing", "");
        words.set("long", "1 +".repeat(2000));
        words.set("deep", format!("{}1{}", "(".repeat(500), ")".repeat(500)));
        let data = "select current_setting('data_directory')";
        words.set("data", self.sql(a.server, "postgres", data));
    }

    /// Runs a script of the ground where a tenant is.
    #[track_caller]
    fn script(&self, tenant: &Tenant, name: &str, words: &Words) {
        let path = format!("{SCRIPTS}/{name}.sql");
        let text = fs::read_to_string(&path).unwrap();
        self.run(tenant.server, &tenant.database, &words.fill(&text));
    }

    #[track_caller]
    fn run(&self, server: usize, database: &str, sql: &str) {
        let file = tempfile::NamedTempFile::new_in(self.files.path()).unwrap();
        fs::write(file.path(), sql).unwrap();
        if let Err(error) = self.servers[server].run_file(database, file.path()) {
            panic!("{error}\nin {sql}");
        }
    }

    #[track_caller]
    fn sql(&self, server: usize, database: &str, sql: &str) -> String {
        let ran = self.servers[server].sql(database, sql);
        ran.unwrap_or_else(|error| panic!("{error}\nin {sql}"))
    }
}

/// What a script of the ground says of one tenant.
fn of(tenant: &Tenant) -> Words {
    let mut words = Words::default();
    words.set("t", &tenant.name);
    words.set("schema", &tenant.schema);
    words.set("secret", &tenant.kept.text);
    words.set("number", &tenant.kept.number);
    words.set("lo", tenant.large.to_string());
    words
}

/// Each letter by its number.
fn spelled(text: &str, before: &str, digits: usize) -> String {
    let letters = text
        .bytes()
        .map(|it| format!("{before}{:0>digits$}", hex(&[it])));
    letters.collect::<Vec<_>>().concat()
}

/// What `portcullis tenant new` prints.
#[track_caller]
fn tenant_new(args: &[String]) -> String {
    let program = Program::new(Command::new(portcullis_binary()));
    let args: Vec<&str> = ["tenant", "new"]
        .into_iter()
        .chain(args.iter().map(String::as_str))
        .collect();
    program.env("NO_COLOR", "1").run(&args).ok().stdout
}

/// One gate for all of them. Who tries may name the first tenants, who keeps something the second.
fn config(keys: &str) -> String {
    let person = |name: &str, letter: &str| {
        let migrates = format!("_{letter}_migrate");
        let migrates = keys.contains(&migrates).then(|| format!(", '*{migrates}'"));
        let migrates = migrates.unwrap_or_default();
        format!("{}tenants = ['*_{letter}'{migrates}]\n", user(name))
    };
    format!(
        "listen = '127.0.0.1:0'\nstate = 'state'\n[tls]\nplaintext = true\n{}{}{}{}\
         [group.dba]\nmembers = ['carol', 'dave']\n{keys}\n\
         [policy]\ndefault = {{ approvals = 1, from = 'dba' }}\n[[rule]]\nname = 'all'\nverdict = 'allow'\n",
        person(TRIES, "a"),
        person(KEEPS, "b"),
        user("carol"),
        user("dave"),
    )
}
