//! Vault, or OpenBao, as far as logins of PostgreSQL go: read a path, renew its lease, give the lease back. It keeps the token
//! that this takes and nothing of what it reads, and quotes of an answer only what the server calls its errors.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Method;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::http::{self, Address, Answer, Ask, HttpError};
use super::term::Term;
use super::vault_auth::VaultAuth;
use crate::tls::ClientTls;

/// How long giving something back may take.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// What is kept of an error's text.
const SAID_CHARS_MAX: usize = 300;

/// Why Vault gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It could not be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It refused; the text is its own.
    #[error("it answered {0}: \"{1}\"")]
    Refused(u16, String),
    /// It answered something else than what was asked for.
    #[error("it answered without {0}")]
    Answer(&'static str),
    /// What it takes to log in there could not be read.
    #[error("could not read \"{0}\": {1}")]
    File(String, #[source] std::io::Error),
}

impl VaultError {
    /// Whether it may be gone in a moment: it does not answer, is sealed, stands by, or has too much to do.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Http(error) => !matches!(error, HttpError::Request),
            Self::Refused(status, _) => *status >= 500 || [412, 429, 472, 473].contains(status),
            Self::Answer(_) | Self::File(..) => false,
        }
    }

    fn is_denied(&self) -> bool {
        matches!(self, Self::Refused(403, _))
    }
}

/// Where Vault is, and how the gate logs in there.
#[derive(Clone, Debug, PartialEq)]
pub struct VaultSettings {
    /// Where it answers.
    pub address: Address,
    /// TLS to it.
    pub tls: ClientTls,
    /// The namespace that all paths are in, if it has some.
    pub namespace: Option<String>,
    /// How the gate proves who it is.
    pub auth: VaultAuth,
}

/// One Vault, and the token that the gate has there.
pub struct Vault {
    settings: VaultSettings,
    token: Mutex<Option<Arc<Token>>>,
}

/// What the gate may do there, for a while. What is read with a token ends with it.
struct Token {
    secret: SecretString,
    renewable: bool,
    /// None where it does not end.
    term: std::sync::Mutex<Option<Term>>,
    /// It is near the end of what it may become: what is new has another.
    spent: AtomicBool,
}

/// What came of reading a path.
pub(crate) struct Given {
    pub(crate) user: String,
    pub(crate) password: SecretString,
    /// How long it is good; none where nothing is said of that.
    pub(crate) term: Option<Term>,
    /// None where it is not lent: a password that Vault changes now and then.
    pub(crate) lease: Option<VaultLease>,
}

/// What must be renewed, or ends. Dropped, it is given back: nobody logs in by it any more.
pub(crate) struct VaultLease {
    vault: Arc<Vault>,
    token: Arc<Token>,
    id: String,
    renewable: bool,
    /// It has been given back.
    over: bool,
}

/// The answers of Vault, as far as they are looked at.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    lease_id: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: SecretString,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl Vault {
    /// Nothing is asked yet.
    pub fn new(settings: VaultSettings) -> Self {
        Self {
            settings,
            token: Mutex::new(None),
        }
    }

    /// Reads a login at this path. A token that is not taken any more is replaced, once.
    pub(crate) async fn read(self: &Arc<Self>, path: &str) -> Result<Given, VaultError> {
        let token = self.token().await?;
        match self.read_with(&token, path).await {
            Err(error) if error.is_denied() => {
                self.forget(&token).await;
                let other = self.token().await?;
                self.read_with(&other, path).await
            }
            given => given,
        }
    }

    async fn read_with(
        self: &Arc<Self>,
        token: &Arc<Token>,
        path: &str,
    ) -> Result<Given, VaultError> {
        let asked = Instant::now();
        let reply = self.call(Method::GET, path, Some(token), None).await?;
        let data = reply.data.unwrap_or_default();
        let text = |name| data.get(name).and_then(Value::as_str);
        let user = text("username").ok_or(VaultError::Answer("a \"username\""))?;
        let password = text("password").ok_or(VaultError::Answer("a \"password\""))?;
        let lease = (!reply.lease_id.is_empty()).then(|| VaultLease {
            vault: Arc::clone(self),
            token: Arc::clone(token),
            id: reply.lease_id,
            renewable: reply.renewable,
            over: false,
        });
        let seconds = match &lease {
            Some(_) => Some(reply.lease_duration),
            None => data.get("ttl").and_then(Value::as_u64),
        };
        let term = seconds.map(|it| Term::new(asked, Duration::from_secs(it)));
        Ok(Given {
            user: user.to_owned(),
            password: SecretString::from(password),
            term: term.map(|it| it.until(token.ends())),
            lease,
        })
    }

    /// The gate's token, renewed or new if it is time for that.
    async fn token(&self) -> Result<Arc<Token>, VaultError> {
        let mut known = self.token.lock().await;
        let auth = &self.settings.auth;
        let given = auth.token().transpose();
        let given = given.map_err(|(path, error)| VaultError::File(path, error))?;
        if let Some(token) = &*known {
            let same = given.as_ref().is_none_or(|it| token.is(it));
            if same && self.keep_up(token).await {
                return Ok(Arc::clone(token));
            }
        }
        let token = match given {
            Some(secret) => self.look_up(secret).await?,
            None => self.log_in().await?,
        };
        let token = Arc::new(token);
        *known = Some(Arc::clone(&token));
        Ok(token)
    }

    /// Whether the token is good for a while; it is renewed where that is due.
    async fn keep_up(&self, token: &Arc<Token>) -> bool {
        let (asked, Some(term)) = (Instant::now(), token.term()) else {
            return true;
        };
        if asked < term.renews() {
            return !token.spent.load(Ordering::Relaxed);
        }
        if !token.renewable || asked >= term.ends() || token.spent.load(Ordering::Relaxed) {
            return false;
        }
        let path = "auth/token/renew-self";
        let renewed = self.call(Method::POST, path, Some(token), Some(json!({})));
        let seconds = match renewed.await {
            Ok(reply) => reply.auth.map_or(0, |it| it.lease_duration),
            // While it lasts it will do.
            Err(error) => return error.may_pass(),
        };
        let renewed = Term::new(asked, Duration::from_secs(seconds));
        token.set_term(Some(renewed));
        // Near the end of what it may become it gets ever less.
        let spent = renewed.length() <= term.length() / 2;
        token.spent.store(spent, Ordering::Relaxed);
        !spent
    }

    async fn forget(&self, token: &Arc<Token>) {
        let mut known = self.token.lock().await;
        if known.as_ref().is_some_and(|it| Arc::ptr_eq(it, token)) {
            *known = None;
        }
    }

    /// A token that somebody else got: how long it is good, it says itself.
    async fn look_up(&self, secret: SecretString) -> Result<Token, VaultError> {
        let asked = Instant::now();
        let token = Token::new(secret, false, None);
        let path = "auth/token/lookup-self";
        let found = self.call(Method::GET, path, Some(&token), None).await?;
        let data = found.data.unwrap_or_default();
        let seconds = data.get("ttl").and_then(Value::as_u64).unwrap_or(0);
        let term = (seconds > 0).then(|| Term::new(asked, Duration::from_secs(seconds)));
        let renewable = data.get("renewable").and_then(Value::as_bool);
        Ok(Token::new(token.secret, renewable.unwrap_or(false), term))
    }

    async fn log_in(&self) -> Result<Token, VaultError> {
        let asked = Instant::now();
        let auth = &self.settings.auth;
        let proof = auth.proof();
        let proof = proof.map_err(|(path, error)| VaultError::File(path, error))?;
        let path = auth.login_path();
        let reply = self.call(Method::POST, &path, None, Some(proof)).await?;
        let auth = reply.auth.ok_or(VaultError::Answer("a token"))?;
        let length = Duration::from_secs(auth.lease_duration);
        let term = (!length.is_zero()).then(|| Term::new(asked, length));
        tracing::debug!(vault = ?self, "logged in");
        Ok(Token::new(auth.client_token, auth.renewable, term))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&Token>,
        body: Option<Value>,
    ) -> Result<Reply, VaultError> {
        let settings = &self.settings;
        let path = format!("/v1/{path}");
        let mut ask = Ask::get(&path).header("x-vault-request", "true");
        ask.method = method;
        if let Some(token) = token {
            ask = ask.header("x-vault-token", token.secret.expose_secret());
        }
        if let Some(namespace) = &settings.namespace {
            ask = ask.header("x-vault-namespace", namespace);
        }
        ask.body = body.map(|it| Zeroizing::new(it.to_string().into_bytes()));
        let answer = http::ask(&settings.address, &settings.tls, ask).await?;
        if !(200..300).contains(&answer.status) {
            return Err(refused(&answer));
        }
        if answer.body.is_empty() {
            return serde_json::from_str("{}").map_err(|_| VaultError::Answer("JSON"));
        }
        serde_json::from_slice(&answer.body).map_err(|_| VaultError::Answer("JSON"))
    }
}

fn refused(answer: &Answer) -> VaultError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let errors = body.get("errors").and_then(Value::as_array);
    let errors = errors.into_iter().flatten().filter_map(Value::as_str);
    let text = errors.collect::<Vec<_>>().join("; ");
    let text: String = text.escape_debug().take(SAID_CHARS_MAX).collect();
    VaultError::Refused(answer.status, text)
}

impl Token {
    fn new(secret: SecretString, renewable: bool, term: Option<Term>) -> Self {
        let term = std::sync::Mutex::new(term);
        Self {
            secret,
            renewable,
            term,
            spent: AtomicBool::new(false),
        }
    }

    fn is(&self, secret: &SecretString) -> bool {
        self.secret.expose_secret() == secret.expose_secret()
    }

    fn term(&self) -> Option<Term> {
        *self
            .term
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set_term(&self, term: Option<Term>) {
        *self
            .term
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = term;
    }

    fn ends(&self) -> Option<Instant> {
        self.term().map(|it| it.ends())
    }
}

impl VaultLease {
    /// The term that it has from now on; none where there is no more to be had. Its token is renewed with it, where that is due:
    /// it ends with that.
    pub(crate) async fn renew(&self) -> Result<Option<Term>, VaultError> {
        if !self.renewable || !self.vault.keep_up(&self.token).await {
            return Ok(None);
        }
        let asked = Instant::now();
        let (path, body) = ("sys/leases/renew", json!({ "lease_id": self.id }));
        let renewed = self
            .vault
            .call(Method::POST, path, Some(&self.token), Some(body));
        match renewed.await {
            Ok(reply) if reply.lease_duration > 0 => {
                let term = Term::new(asked, Duration::from_secs(reply.lease_duration));
                Ok(Some(term.until(self.token.ends())))
            }
            Ok(_) => Ok(None),
            // It was revoked, or its token was.
            Err(error) if !error.may_pass() => {
                tracing::warn!(lease = self.id, "Vault does not renew it: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives it back: Vault drops the role.
    pub(crate) async fn give_back(mut self) {
        self.over = true;
        give_back(&self.vault, &self.token, &self.id).await;
    }
}

async fn give_back(vault: &Vault, token: &Token, id: &str) {
    let body = json!({ "lease_id": id });
    let given = vault.call(Method::POST, "sys/leases/revoke", Some(token), Some(body));
    #[expect(clippy::disallowed_methods, reason = "it happens once for a lease")]
    let given = tokio::time::timeout(GIVE_BACK, given).await;
    match given {
        Ok(Ok(_)) => tracing::debug!(lease = id, "given back to Vault"),
        Ok(Err(why)) => tracing::info!(lease = id, "left to expire in Vault: {why}"),
        Err(_) => tracing::info!(lease = id, "left to expire in Vault: no answer"),
    }
}

impl Drop for VaultLease {
    fn drop(&mut self) {
        let running = Handle::try_current();
        if let (false, Ok(runtime)) = (self.over, running) {
            let (vault, token) = (Arc::clone(&self.vault), Arc::clone(&self.token));
            let id = std::mem::take(&mut self.id);
            runtime.spawn(async move { give_back(&vault, &token, &id).await });
        }
    }
}

impl PartialEq for Vault {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Vault {}

impl Hash for Vault {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.settings.address.hash(state);
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("address", &self.settings.address)
            .field("auth", &self.settings.auth)
            .finish_non_exhaustive()
    }
}
