//! Who connects where, in the forms that psql, the CLI and drivers want.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One way in: to a PostgreSQL or to a gate.
#[derive(Debug, Clone)]
pub struct Login {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: String,
    /// With one, TLS is checked in full against it; without, the connection is in clear text.
    pub root_cert: Option<PathBuf>,
}

impl Login {
    /// The same way in, to another database.
    #[must_use]
    pub fn database(&self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self.clone()
        }
    }

    /// The same door, for somebody else.
    #[must_use]
    pub fn person(&self, user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            ..self.clone()
        }
    }

    /// As a connection string. Names and passwords of tests need no escaping; others are escaped.
    pub fn url(&self) -> String {
        let tls = match &self.root_cert {
            Some(path) => format!("sslmode=verify-full&sslrootcert={}", escaped_path(path)),
            None => "sslmode=disable".to_owned(),
        };
        format!(
            "postgres://{}:{}@{}:{}/{}?{tls}",
            escaped(&self.user),
            escaped(&self.password),
            self.host,
            self.port,
            escaped(&self.database),
        )
    }

    /// Puts it into the variables of libpq, and takes all others of them away.
    pub fn into_environment(&self, command: &mut Command) {
        without_libpq_variables(command);
        command
            .env("PGHOST", &self.host)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", &self.database);
        match &self.root_cert {
            Some(path) => command
                .env("PGSSLMODE", "verify-full")
                .env("PGSSLROOTCERT", path),
            None => command.env("PGSSLMODE", "disable"),
        };
    }
}

/// The machine's own settings must not reach a test.
pub(crate) fn without_libpq_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("PG") || name_text.starts_with("PORTCULLIS_") {
            command.env_remove(&name);
        }
    }
    command
        .env("PGPASSFILE", "/dev/null")
        .env("PGCONNECT_TIMEOUT", "60")
        .env("LC_ALL", "C.UTF-8");
}

fn escaped_path(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect::<Vec<_>>()
        .concat()
}
