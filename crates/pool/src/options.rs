//! Where a pool leads and how large it is. Plain data; the configuration fills it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::credential::LoginSource;
use crate::tls::ClientTls;

/// A password, or none where the server trusts.
pub type Password = Option<SecretString>;

/// What a server must be for a login to be of use there (hazards R64).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Station {
    /// The primary: it takes writes.
    Primary,
    /// One that follows a primary.
    Replica,
    /// Either.
    #[default]
    Any,
}

/// One tenant's upstream.
#[derive(Clone, Debug)]
pub struct Options {
    /// Host name or address; verified against the certificate under `verify-full`.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// The role that the pool logs in as; what a source gives out as another role takes this one on.
    pub user: String,
    /// Its password, where that is configured.
    pub password: Password,
    /// Who gives out its login, where somebody does.
    pub source: Option<LoginSource>,
    /// TLS to the upstream.
    pub tls: ClientTls,
    /// Connections at the most.
    pub size: usize,
    /// How long a session waits for a connection.
    pub wait: Duration,
    /// How long a login to the upstream may take.
    pub connect: Duration,
    /// How long a connection may lie unused before it is closed.
    pub idle_timeout: Duration,
    /// How old a connection may become; it is closed when it is next unused.
    pub lifetime: Duration,
    /// Settings that each connection begins with, on top of what the server has.
    pub parameters: Vec<(String, String)>,
    /// What the server must be.
    pub station: Station,
}

/// Passwords are compared by what they are, and never shown.
impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            host,
            port,
            database,
            user,
            password,
            source,
            tls,
            size,
            wait,
            connect,
            idle_timeout,
            lifetime,
            parameters,
            station,
        } = self;
        let secret = |it: &Password| it.as_ref().map(|it| it.expose_secret().to_owned());
        (host, port, database, user) == (&other.host, &other.port, &other.database, &other.user)
            && (size, wait, connect) == (&other.size, &other.wait, &other.connect)
            && (idle_timeout, lifetime) == (&other.idle_timeout, &other.lifetime)
            && (tls, parameters, source) == (&other.tls, &other.parameters, &other.source)
            && station == &other.station
            && secret(password) == secret(&other.password)
    }
}

impl Options {
    /// `server_idle_timeout` of pgbouncer.
    pub const IDLE_TIMEOUT: Duration = Duration::from_mins(10);
    /// `server_lifetime` of pgbouncer.
    pub const LIFETIME: Duration = Duration::from_hours(1);

    /// Whether both lead to the same database by the same login, however they get there.
    pub fn leads_where(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
            && (&self.database, &self.user) == (&other.database, &other.user)
    }

    /// The same login for reads: the server refuses writes unless a session says otherwise.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        let name = "default_transaction_read_only";
        self.parameters.push((name.to_owned(), "on".to_owned()));
        self.station = Station::Any;
        self
    }

    /// The same place for whoever fences rows of the ledger: what is fenced must stay so, whatever happens to the server, and
    /// what others have committed meanwhile must be seen.
    #[must_use]
    pub fn fencing(mut self, user: String, password: Password) -> Self {
        let parameters = [
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
        ];
        let owned = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.parameters = owned.into();
        self.user = user;
        self.password = password;
        self.source = None;
        self.size = 1;
        self
    }
}
