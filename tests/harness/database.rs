//! A fresh database with roles for each test, in a server that is shared.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use portcullis::sandbox::Postgres;

use crate::login::Login;
use crate::server::{Server, server};

/// A database of a test's own.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where it is.
    pub server: &'static Server,
    pub name: String,
    /// May do anything in it, and owns what it makes.
    pub owner: Role,
    /// May read and change all tables, and make new ones.
    pub write: Role,
    /// May read all tables, and has `default_transaction_read_only = on`.
    pub read: Role,
    /// May log in.
    pub ledger: Role,
}

/// A role that can log in.
#[derive(Debug, Clone)]
pub struct Role {
    pub name: String,
    pub password: String,
}

/// The usual server.
pub fn postgres() -> &'static Postgres {
    server().postgres()
}

/// What those trust who connect to the usual server.
#[track_caller]
pub fn upstream_root_cert() -> PathBuf {
    server().root_cert().to_path_buf()
}

/// A fresh database in the usual server, with an owner, a writer and a reader.
pub fn database() -> Database {
    database_in(server())
}

/// The same in another server.
pub fn database_in(server: &'static Server) -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let role = |what: &str| Role {
        name: format!("{name}_{what}"),
        password: format!("{name}-{what}-pw"),
    };
    let [owner, write, read, ledger] = ["owner", "write", "read", "ledger"].map(role);
    let logins = [&owner, &write, &read, &ledger]
        .map(|role| {
            format!(
                "create role {} login password '{}';",
                role.name, role.password
            )
        })
        .concat();
    let create = format!("create database {name} owner {}", owner.name);
    for sql in [&logins, &create] {
        server.postgres().sql("postgres", sql).unwrap();
    }
    let database = Database {
        server,
        name,
        owner,
        write,
        read,
        ledger,
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
        match self.server.postgres().sql(&self.name, sql) {
            Ok(rows) => rows,
            Err(error) => panic!("{error}\nin {sql}"),
        }
    }

    /// A login straight to the server, past any gate, over TLS.
    pub fn login(&self, role: &Role) -> Login {
        self.server.login(&role.name, &role.password, &self.name)
    }
}
