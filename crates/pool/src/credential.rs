//! How a pool comes by its login: a password that is configured, or whatever a source gives out when it is asked. Where a source
//! fails, those that want a connection wait as for a server that is down.

mod aws;
mod aws_keys;
mod command;
mod error;
mod http;
mod issue;
mod issuer;
mod source;
mod term;
mod vault;
mod vault_auth;

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::connect::ConnectError;
use crate::options::Options;
use crate::storm::{Backoff, Patience};

use aws::Place;
pub use aws::{Aws, AwsError};
pub use aws_keys::{AwsKeys, KeysError};
pub use command::CommandError;
pub use error::CredentialError;
pub use http::{Address, HttpError};
pub(crate) use issue::Issue;
pub(crate) use issuer::{Issuer, Issuers};
pub use source::LoginSource;
pub use vault::{Vault, VaultError, VaultSettings};
pub use vault_auth::VaultAuth;

/// How one pool comes by its login.
#[derive(Debug)]
pub(crate) struct Credential {
    options: Rc<Options>,
    /// None where the password is configured.
    issuer: Option<Arc<Issuer>>,
    failures: Backoff,
}

impl Credential {
    pub(crate) fn new(options: &Rc<Options>, issuer: Option<Arc<Issuer>>, seed: u64) -> Self {
        Self {
            options: Rc::clone(options),
            issuer,
            failures: Backoff::new(seed),
        }
    }

    /// What was given out to log in with; nothing where the password is configured. What may pass is waited for, unless
    /// whoever asks is in a hurry.
    pub(crate) async fn login(
        &self,
        patience: Patience,
    ) -> Result<Option<Arc<Issue>>, Arc<ConnectError>> {
        let Some(issuer) = &self.issuer else {
            return Ok(None);
        };
        loop {
            let once = Patience {
                known: Some(self.failures.known()),
                ..patience
            };
            let lasting = |error: &ConnectError| {
                !error.may_pass() || patience.known.is_some() || Instant::now() >= patience.until
            };
            let turn = match self.failures.turn(once).await {
                Ok(turn) => turn,
                Err(error) if lasting(&error) => return Err(error),
                Err(_) => continue,
            };
            match issuer.login(self.options.connect).await {
                Ok(issue) => {
                    turn.succeeded();
                    return Ok(Some(issue));
                }
                Err(error) => {
                    tracing::warn!(
                        host = %self.options.host,
                        database = %self.options.database,
                        "there is no login for the upstream: {error}"
                    );
                    let error = Arc::new(ConnectError::Credential(error));
                    turn.failed(Arc::clone(&error));
                    if lasting(&error) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Whether the server refused what was given out, and something else is to be had.
    pub(crate) fn is_stale(&self, issue: Option<&Arc<Issue>>, error: &ConnectError) -> bool {
        let given = self.issuer.as_ref().zip(issue);
        error.is_refused_login() && given.is_some_and(|(issuer, issue)| issuer.refused(issue))
    }

    /// Renews what is due. To be called now and then while something is connected.
    pub(crate) fn keep_up(&self) {
        if let Some(issuer) = &self.issuer {
            issuer.keep_up(self.options.connect);
        }
    }

    /// Gives back what is lent.
    pub(crate) async fn close(&self) {
        if let Some(issuer) = &self.issuer {
            issuer.close().await;
        }
    }
}

/// A login of one connection that belongs to no pool: asked for now, and given back at its end.
#[derive(Debug)]
pub(crate) struct Once(Option<(Arc<Issuer>, Arc<Issue>)>);

impl Once {
    /// What these options log in by.
    pub(crate) async fn of(options: &Options) -> Result<Self, ConnectError> {
        let Some(issuer) = Issuers::default().of_options(options) else {
            return Ok(Self(None));
        };
        let issue = issuer.login(options.connect).await;
        let issue = issue.map_err(ConnectError::Credential)?;
        Ok(Self(Some((issuer, issue))))
    }

    /// What was given out; nothing where the password is configured.
    pub(crate) fn issue(&self) -> Option<&Issue> {
        self.0.as_ref().map(|(_, issue)| &**issue)
    }

    /// Gives it back, if it is lent.
    pub(crate) async fn end(self) {
        if let Some((issuer, issue)) = self.0 {
            drop(issue);
            issuer.close().await;
        }
    }
}

impl Issuers {
    /// What gives out this login, if it is not configured.
    pub(crate) fn of_options(&self, options: &Options) -> Option<Arc<Issuer>> {
        let source = options.source.as_ref()?;
        let place = Place {
            host: options.host.clone(),
            port: options.port,
            user: options.user.clone(),
        };
        Some(self.of(source, place))
    }
}
