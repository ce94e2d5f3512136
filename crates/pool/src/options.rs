//! Where a pool leads and how large it is. Plain data; the configuration fills it.

use std::time::Duration;

use secrecy::SecretString;

use crate::tls::ClientTls;

/// A password, or none where the server trusts.
pub type Password = Option<SecretString>;

/// One tenant's upstream.
#[derive(Clone, Debug)]
pub struct Options {
    /// Host name or address; verified against the certificate under `verify-full`.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// The role that the pool logs in as.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// TLS to the upstream.
    pub tls: ClientTls,
    /// Connections at the most.
    pub size: usize,
    /// How long a session waits for a connection.
    pub wait: Duration,
    /// How long a login to the upstream may take.
    pub connect: Duration,
}
