//! The way to the server that libpq's variables name.

use std::env;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::report::{Checked, Fault, equal};

/// A connection, and what the server says beside the answers.
pub struct Session {
    pub client: Client,
    pub said: UnboundedReceiver<AsyncMessage>,
    cancel: CancelToken,
    connection: AbortHandle,
}

impl Session {
    pub async fn open() -> Result<Self, Fault> {
        Self::open_as(|_| ()).await
    }

    pub async fn open_as(change: impl FnOnce(&mut Config)) -> Result<Self, Fault> {
        let mut config = config();
        change(&mut config);
        let (client, mut connection) = config.connect(tls()?).await?;
        let (say, said) = unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|task| connection.poll_message(task)).await {
                // Nobody listens any more: the connection still has to be driven to its end.
                let _ = say.send(message);
            }
        });
        let cancel = client.cancel_token();
        Ok(Self { client, said, cancel, connection: task.abort_handle() })
    }

    /// Cancels, over TLS if the session has it.
    pub async fn cancel(&self) -> Checked {
        if env::var("PGSSLMODE").as_deref() == Ok("disable") {
            return Ok(self.cancel.cancel_query(NoTls).await?);
        }
        Ok(self.cancel.cancel_query(tls()?).await?)
    }

    /// Goes away without a word. Dropping the client would wait for the answers that are due.
    pub fn leave(self) {
        self.connection.abort();
    }

    pub async fn number(&self, sql: &str) -> Result<i64, Fault> {
        Ok(self.client.query_one(sql, &[]).await?.try_get(0)?)
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Expects a failure with this SQLSTATE.
#[track_caller]
pub fn fails<T>(seen: Result<T, tokio_postgres::Error>, state: &SqlState) -> Checked {
    match seen {
        Ok(_) => Err(format!("nothing failed, {state:?} was expected").into()),
        Err(why) if why.code() == Some(state) => Ok(()),
        Err(why) => equal(format!("{why} {:?}", why.as_db_error()), state.code()),
    }
}

fn config() -> Config {
    let variable = |name, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let mut config = Config::new();
    config
        .host(variable("PGHOST", "localhost"))
        .port(variable("PGPORT", "5432").parse().unwrap_or(5432))
        .user(variable("PGUSER", "postgres"))
        .password(variable("PGPASSWORD", ""))
        .dbname(variable("PGDATABASE", "postgres"))
        .ssl_mode(match variable("PGSSLMODE", "prefer").as_str() {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            _ => SslMode::Require,
        });
    config
}

fn tls() -> Result<MakeRustlsConnect, Fault> {
    let mut roots = RootCertStore::empty();
    if let Ok(file) = env::var("PGSSLROOTCERT") {
        for certificate in CertificateDer::pem_file_iter(file)? {
            roots.add(certificate?)?;
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
