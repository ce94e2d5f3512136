//! What all peers stand on: one PostgreSQL with its tables, one certificate, one user with one
//! verifier. It never measures anything.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use portcullis::sandbox::ca::{Certificates, Files, LOCAL_NAMES};
use portcullis::sandbox::{Options, Postgres, ServerTls};
use postgres_protocol::password::scram_sha_256;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::Trouble;
use crate::client::Door;
use crate::peers::Peer;
use crate::pgbench;
use crate::relay::Relay;
use crate::scram::Secret;

/// Who asks, everywhere.
pub(crate) const USER: &str = "alice";
/// Where everything is.
pub(crate) const DATABASE: &str = "bench";

/// pgbench's scale: 500,000 accounts, which fit into shared_buffers.
const SCALE: &str = "5";

/// A table of 100 MB (each row goes over the wire as 1,000 bytes and little more), one to copy
/// into, and one that is changed by signature alone.
const TABLES: &str = "\
    CREATE TABLE wide (id int, filler text);
    INSERT INTO wide SELECT n, repeat('x', 980) FROM generate_series(1, 100000) AS n;
    CREATE UNLOGGED TABLE sink (filler text);
    CREATE TABLE ledger (id int PRIMARY KEY, note text);
    INSERT INTO ledger VALUES (1, '');";

pub(crate) struct Ground {
    postgres: Postgres,
    relay: Relay,
    secret: Secret,
    verifier: String,
    certificates: Files,
    tls: Arc<ClientConfig>,
    directory: TempDir,
}

impl Ground {
    /// Starts PostgreSQL and fills the tables.
    pub(crate) fn prepare() -> Result<Self, Trouble> {
        // Peers that run as another user read their files here.
        let directory = tempfile::Builder::new()
            .prefix("portcullis-bench-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()?;
        let certificates = Certificates::make(&LOCAL_NAMES)?;
        let postgres = start(&certificates)?;
        let secret = Secret::new(postgres.password());
        let verifier = scram_sha_256(secret.password().as_bytes());
        let files = certificates.write(directory.path())?;
        let ground = Self {
            relay: Relay::start(postgres.port())?,
            tls: Arc::new(trusting(&files.ca)?),
            certificates: files,
            postgres,
            secret,
            verifier,
            directory,
        };
        ground.fill()?;
        Ok(ground)
    }

    fn fill(&self) -> Result<(), Trouble> {
        let (user, verifier) = (USER, &self.verifier);
        let role = format!("CREATE ROLE {user} LOGIN PASSWORD '{verifier}'");
        self.postgres.sql("postgres", &role)?;
        let database = format!("CREATE DATABASE {DATABASE} OWNER {user}");
        self.postgres.sql("postgres", &database)?;
        let direct = Peer::direct(self);
        pgbench::call(self, &direct, false, &["-i", "-q", "-s", SCALE])?;
        self.sql(&format!("SET ROLE {user}; {TABLES}"))?;
        self.sql("VACUUM ANALYZE")?;
        Ok(())
    }

    /// Runs SQL past every peer.
    pub(crate) fn sql(&self, sql: &str) -> Result<String, Trouble> {
        Ok(self.postgres.sql(DATABASE, sql)?)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The port of PostgreSQL.
    pub(crate) fn port(&self) -> u16 {
        self.postgres.port()
    }

    pub(crate) fn major(&self) -> u32 {
        self.postgres.major()
    }

    /// A wire to PostgreSQL that tells when bytes pass.
    pub(crate) fn relay(&self) -> &Relay {
        &self.relay
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What servers keep in place of the password.
    pub(crate) fn verifier(&self) -> &str {
        &self.verifier
    }

    pub(crate) fn root_cert(&self) -> &Path {
        &self.certificates.ca
    }

    pub(crate) fn certificate(&self) -> &Path {
        &self.certificates.cert
    }

    pub(crate) fn key(&self) -> &Path {
        &self.certificates.key
    }

    /// A way into a peer.
    pub(crate) fn door(&self, peer: &Peer, tls: bool) -> Door<'_> {
        Door {
            port: peer.port,
            user: USER,
            secret: &self.secret,
            database: DATABASE,
            tls: tls.then_some(&self.tls),
        }
    }
}

/// Nothing here is to survive a crash, and a slow disk of the server is nobody's price.
fn start(certificates: &Certificates) -> Result<Postgres, Trouble> {
    let tls = ServerTls {
        cert_pem: certificates.cert_pem.clone(),
        key_pem: certificates.key_pem.clone(),
    };
    let options = Options {
        tls: Some(tls),
        fsync: false,
        ..Options::default()
    };
    let options = options
        .set("max_connections", "300")
        .set("shared_buffers", "512MB")
        .set("max_wal_size", "4GB")
        .set("checkpoint_timeout", "1h")
        .set("autovacuum", "off");
    Ok(Postgres::start(options)?)
}

fn trusting(root_cert: &Path) -> Result<ClientConfig, Trouble> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(root_cert)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
