//! The keys that sign for AWS, from where AWS's own tools look: variables, a web identity, a container's endpoint, the machine
//! itself. Profiles in files, SSO and chains of roles are left to a command. Keys are kept for a minute and shown nowhere.

use std::env;
use std::time::Duration;

use aws_credential_types::Credentials;
use hyper::Method;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::http::{self, Address, Answer, Ask, HttpError, percent_encoded};
use crate::tls::{ClientTls, Roots, TlsError};

/// How long keys are kept before they are asked for again: they are renewed minutes before they end.
const KEPT: Duration = Duration::from_mins(1);
/// How long the machine's own endpoint may take; elsewhere than on AWS nothing answers there.
const MACHINE: Duration = Duration::from_secs(2);
/// Where a container's endpoint is, if only its path is said.
const CONTAINER: &str = "169.254.170.2";
/// The machine's own.
const LINK: &str = "169.254.169.254";
/// Addresses at which containers are answered in the clear: theirs, and those of EKS.
const CONTAINERS: [&str; 3] = [CONTAINER, "169.254.170.23", "fd00:ec2::23"];

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Who gives them out could not be asked.
    #[error("{0} could not be asked for keys: {1}")]
    Http(&'static str, #[source] HttpError),
    /// Who gives them out refused.
    #[error("{0} answered {1} to who asked for keys")]
    Refused(&'static str, u16),
    /// What came is not keys.
    #[error("{0} answered without keys")]
    Answer(&'static str),
    /// A file that a variable names could not be read.
    #[error("could not read the file that \"{0}\" names: {1}")]
    File(&'static str, #[source] std::io::Error),
    /// A variable says what cannot be done.
    #[error("\"{0}\" names no address that keys may come from")]
    Address(&'static str),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody gives any.
    #[error(
        "there are no keys: neither in the environment nor from a web identity, a container or this machine"
    )]
    Nowhere,
}

impl KeysError {
    /// Whether it may be gone in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Http(..) | Self::Nowhere => true,
            Self::Refused(_, status) => *status >= 500 || *status == 429,
            Self::Answer(_) | Self::File(..) | Self::Address(_) | Self::Tls(_) => false,
        }
    }
}

/// The keys of this process.
#[derive(Default)]
pub struct AwsKeys(Mutex<Option<(Credentials, Instant)>>);

/// As containers and machines are answered.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: SecretString,
    token: SecretString,
}

impl AwsKeys {
    /// Those that count now; `region` is where a web identity is shown.
    pub(crate) async fn keys(&self, region: &str) -> Result<Credentials, KeysError> {
        let mut known = self.0.lock().await;
        let now = Instant::now();
        if let Some((keys, since)) = &*known
            && now < *since + KEPT
        {
            return Ok(keys.clone());
        }
        let keys = find(region).await?;
        *known = Some((keys.clone(), now));
        Ok(keys)
    }
}

async fn find(region: &str) -> Result<Credentials, KeysError> {
    if let Some(keys) = of_environment() {
        return Ok(keys);
    }
    if let (Some(file), Some(role)) = (
        variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
        variable("AWS_ROLE_ARN"),
    ) {
        return of_web_identity(region, &file, &role).await;
    }
    if let Some(address) = container()? {
        return of_container(&address).await;
    }
    of_machine().await
}

fn of_environment() -> Option<Credentials> {
    let (id, secret) = (
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
    );
    let session = variable("AWS_SESSION_TOKEN");
    Some(Credentials::new(id, secret, session, None, "environment"))
}

async fn of_web_identity(region: &str, file: &str, role: &str) -> Result<Credentials, KeysError> {
    const WHO: &str = "STS";
    const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";
    let token = std::fs::read_to_string(file);
    let token = token.map_err(|error| KeysError::File("AWS_WEB_IDENTITY_TOKEN_FILE", error))?;
    let name = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "portcullis".to_owned());
    let path = format!(
        "/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
        percent_encoded(role),
        percent_encoded(&name),
        percent_encoded(token.trim()),
    );
    let ending = if region.starts_with("cn-") { ".cn" } else { "" };
    let usual = || format!("https://sts.{region}.amazonaws.com{ending}");
    let endpoint = variable(ENDPOINT).unwrap_or_else(usual);
    let address = Address::parse(&endpoint).map_err(|_| KeysError::Address(ENDPOINT))?;
    let tls = ClientTls::verify_full(&Roots::System)?;
    let answer = good(WHO, http::ask(&address, &tls, Ask::get(&path)).await)?;
    let text = str::from_utf8(&answer.body).map_err(|_| KeysError::Answer(WHO))?;
    let element = |name: &str| {
        let (_, behind) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = behind.split_once("</")?;
        Some(value.trim().to_owned())
    };
    let keys = || {
        let (id, secret) = (element("AccessKeyId")?, element("SecretAccessKey")?);
        let session = element("SessionToken")?;
        Some(Credentials::new(id, secret, Some(session), None, WHO))
    };
    keys().ok_or(KeysError::Answer(WHO))
}

/// Where a container is told to ask, and what for.
fn container() -> Result<Option<(Address, String)>, KeysError> {
    const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    if let Some(path) = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Ok(Some((Address::of_the_link(CONTAINER, 80), path)));
    }
    let Some(full) = variable(FULL) else {
        return Ok(None);
    };
    let (place, query) = match full.split_once('?') {
        Some((place, query)) => (place, format!("?{query}")),
        None => (&*full, String::new()),
    };
    let on_link = CONTAINERS.into_iter().find(|host| {
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            (*host).to_owned()
        };
        place
            .strip_prefix("http://")
            .and_then(|it| it.strip_prefix(&*host))
            .is_some_and(|it| it.starts_with('/'))
    });
    if let Some(host) = on_link {
        let path = place.trim_start_matches("http://");
        let path = path.split_once('/').map_or("", |(_, path)| path);
        return Ok(Some((
            Address::of_the_link(host, 80),
            format!("/{path}{query}"),
        )));
    }
    let address = Address::parse(place).map_err(|_| KeysError::Address(FULL))?;
    Ok(Some((address, query)))
}

async fn of_container((address, path): &(Address, String)) -> Result<Credentials, KeysError> {
    const WHO: &str = "the container's endpoint";
    const FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    let token = match variable(FILE) {
        Some(file) => {
            let token = std::fs::read_to_string(file);
            Some(token.map_err(|error| KeysError::File(FILE, error))?)
        }
        None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let token = token.map(SecretString::from);
    let mut ask = Ask::get(path);
    if let Some(token) = &token {
        ask = ask.header("authorization", token.expose_secret().trim());
    }
    let tls = ClientTls::verify_full(&Roots::System)?;
    let answer = good(WHO, http::ask(address, &tls, ask).await)?;
    read(WHO, &answer)
}

/// By the second version of the machine's endpoint, which wants a token of its own.
async fn of_machine() -> Result<Credentials, KeysError> {
    const WHO: &str = "this machine's endpoint";
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
        return Err(KeysError::Nowhere);
    }
    let (address, tls) = (Address::of_the_link(LINK, 80), ClientTls::disable());
    let asked = async {
        let mut ask = Ask::get("/latest/api/token");
        ask.method = Method::PUT;
        let ask = ask.header("x-aws-ec2-metadata-token-ttl-seconds", "60");
        let answer = http::ask(&address, &tls, ask)
            .await
            .map_err(|_| KeysError::Nowhere)?;
        let token = text(WHO, &good(WHO, Ok(answer))?)?;
        let of = |path: String| {
            let (address, tls, token) = (&address, &tls, &token);
            async move {
                let ask = Ask::get(&path).header("x-aws-ec2-metadata-token", token.expose_secret());
                good(WHO, http::ask(address, tls, ask).await)
            }
        };
        let roles = "/latest/meta-data/iam/security-credentials/";
        let role = text(WHO, &of(roles.to_owned()).await?)?;
        let role = role.expose_secret().lines().next().unwrap_or_default();
        read(WHO, &of(format!("{roles}{role}")).await?)
    };
    #[expect(clippy::disallowed_methods, reason = "nobody may be there to answer")]
    let asked = tokio::time::timeout(MACHINE, asked).await;
    asked.unwrap_or(Err(KeysError::Nowhere))
}

fn good(who: &'static str, answer: Result<Answer, HttpError>) -> Result<Answer, KeysError> {
    match answer {
        Ok(answer) if answer.status == 200 => Ok(answer),
        Ok(answer) => Err(KeysError::Refused(who, answer.status)),
        Err(error) => Err(KeysError::Http(who, error)),
    }
}

fn text(who: &'static str, answer: &Answer) -> Result<SecretString, KeysError> {
    let text = str::from_utf8(&answer.body).map_err(|_| KeysError::Answer(who))?;
    Ok(SecretString::from(text.trim()))
}

fn read(who: &'static str, answer: &Answer) -> Result<Credentials, KeysError> {
    let keys: Keys = serde_json::from_slice(&answer.body).map_err(|_| KeysError::Answer(who))?;
    let session = Some(keys.token.expose_secret().to_owned());
    let secret = keys.secret_access_key.expose_secret();
    Ok(Credentials::new(
        keys.access_key_id,
        secret,
        session,
        None,
        who,
    ))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|it| !it.is_empty())
}
