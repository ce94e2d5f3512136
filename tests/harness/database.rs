//! One PostgreSQL for a whole test binary, and a fresh database with roles for each test.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::login::Login;
use portcullis::sandbox::ca::{Certificates, Files, LOCAL_NAMES};
use portcullis::sandbox::{Options, Postgres, ServerTls};

/// The shared server, and the certificates it shows.
struct Shared {
    postgres: Postgres,
    files: Files,
}

/// A database of a test's own.
#[derive(Debug, Clone)]
pub struct Database {
    pub name: String,
    /// May do anything in it, and owns what it makes.
    pub owner: Role,
    /// May read and change all tables, and make new ones.
    pub write: Role,
    /// May read all tables, and has `default_transaction_read_only = on`.
    pub read: Role,
}

/// A role that can log in.
#[derive(Debug, Clone)]
pub struct Role {
    pub name: String,
    pub password: String,
}

/// The options of the shared server without its TLS: fast, and not safe from crashes.
pub fn options() -> Options {
    Options {
        fsync: false,
        ..Options::default()
    }
    .set("max_connections", "200")
    .set("log_statement", "all")
    .set("log_line_prefix", "%m [%p] %u@%d ")
}

/// The shared server. It speaks TLS, and clear text to those who ask for it.
///
/// It is never dropped, being shared; it goes when this process does.
pub fn postgres() -> &'static Postgres {
    &shared().postgres
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let certificates = Certificates::make(&LOCAL_NAMES).unwrap();
        let tls = ServerTls {
            cert_pem: certificates.cert_pem.clone(),
            key_pem: certificates.key_pem.clone(),
        };
        let options = Options {
            tls: Some(tls),
            ..options()
        };
        let postgres = Postgres::start(options).unwrap_or_else(|error| panic!("{error}"));
        // In the server's own directory, which goes with it: a static is never dropped.
        let files = certificates.write(&postgres.directory().join("client"));
        Shared {
            files: files.unwrap(),
            postgres,
        }
    })
}

/// A fresh database in the shared server, with an owner, a writer and a reader.
pub fn database() -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let role = |what: &str| Role {
        name: format!("{name}_{what}"),
        password: format!("{name}-{what}-pw"),
    };
    let (owner, write, read) = (role("owner"), role("write"), role("read"));
    let logins = [&owner, &write, &read]
        .map(|role| {
            format!(
                "create role {} login password '{}';",
                role.name, role.password
            )
        })
        .concat();
    let server = postgres();
    server.sql("postgres", &logins).unwrap();
    let create = format!("create database {name} owner {}", owner.name);
    server.sql("postgres", &create).unwrap();
    let database = Database {
        name,
        owner,
        write,
        read,
    };
    database.sql(&rights(&database));
    database
}

fn rights(database: &Database) -> String {
    let (owner, write, read) = (
        &database.owner.name,
        &database.write.name,
        &database.read.name,
    );
    let mut sql = format!(
        "alter schema public owner to {owner}; grant all on schema public to {write}; \
         grant usage on schema public to {read}; \
         alter role {read} in database {} set default_transaction_read_only = on;",
        database.name
    );
    for maker in ["postgres", owner, write] {
        let default = format!("alter default privileges for role {maker} in schema public grant");
        let grants = format!(
            "{default} all on tables to {write}; {default} select on tables to {read}; \
             {default} all on sequences to {write}; {default} select on sequences to {read};"
        );
        sql.push_str(&grants);
    }
    sql
}

impl Database {
    /// Runs SQL in it as the superuser and returns its rows, unaligned.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        match postgres().sql(&self.name, sql) {
            Ok(rows) => rows,
            Err(error) => panic!("{error}\nin {sql}"),
        }
    }

    /// A login straight to the server, past any gate, over TLS.
    pub fn login(&self, role: &Role) -> Login {
        Login {
            host: "localhost".to_owned(),
            port: postgres().port(),
            user: role.name.clone(),
            password: role.password.clone(),
            database: self.name.clone(),
            root_cert: Some(upstream_root_cert()),
        }
    }
}

/// What those trust who connect to the shared server: a gate's `sslrootcert` for its upstream.
pub fn upstream_root_cert() -> PathBuf {
    shared().files.ca.clone()
}
