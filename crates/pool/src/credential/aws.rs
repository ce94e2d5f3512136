//! Tokens that log in to RDS in place of a password: one signed URL, good for a quarter of an hour. The signature is AWS's own
//! crate's; nothing is asked of AWS for it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningError, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use secrecy::SecretString;

use super::aws_keys::{AwsKeys, KeysError};
use super::http::percent_encoded;

/// How long a token is taken.
pub(crate) const GOOD_FOR: Duration = Duration::from_mins(15);

const SERVICE: &str = "rds-db";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// There are no keys to sign with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// It cannot be signed.
    #[error("it could not be signed: {0}")]
    Signing(#[from] SigningError),
    /// What is to be signed is not whole.
    #[error("it could not be signed: {0}")]
    Parameters(#[from] v4::signing_params::BuildError),
}

/// A region, and the keys that sign for it.
pub struct Aws {
    region: String,
    keys: Arc<AwsKeys>,
}

/// Whom a token logs in, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
}

impl Aws {
    /// In this region.
    pub fn new(region: String, keys: Arc<AwsKeys>) -> Self {
        Self { region, keys }
    }

    /// The region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// A token for this place, from now on.
    pub(crate) async fn token(&self, place: &Place) -> Result<SecretString, AwsError> {
        let keys = self.keys.keys(&self.region).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a signature has the time of day in it"
        )]
        let now = SystemTime::now();
        signed(&keys, &self.region, place, now)
    }
}

/// The URL of a request to connect, signed in its query, without its scheme.
fn signed(
    keys: &Credentials,
    region: &str,
    place: &Place,
    now: SystemTime,
) -> Result<SecretString, AwsError> {
    const SCHEME: &str = "https://";
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(GOOD_FOR);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = keys.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()?;
    let (host, port, user) = (&place.host, place.port, percent_encoded(&place.user));
    let mut url = format!("{SCHEME}{host}:{port}/?Action=connect&DBUser={user}");
    let request = SignableRequest::new("GET", &*url, std::iter::empty(), SignableBody::empty())?;
    let (instructions, _) = sign(request, &parameters.into())?.into_parts();
    let mut signed = instructions.params().to_vec();
    // As AWS's own libraries have it: the signature comes last.
    signed.sort_by_key(|(name, _)| *name == "X-Amz-Signature");
    for (name, value) in &signed {
        url.extend(["&", *name, "=", &*percent_encoded(value)]);
    }
    let token = url.split_off(SCHEME.len());
    Ok(SecretString::from(token))
}

impl PartialEq for Aws {
    fn eq(&self, other: &Self) -> bool {
        self.region == other.region
    }
}

impl Eq for Aws {}

impl Hash for Aws {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.region.hash(state);
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Aws").field(&self.region).finish()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    /// What boto3 1.43 made of the same on the same clock.
    #[test]
    fn a_token_is_botos() {
        let place = Place {
            host: "db.abc.eu-central-1.rds.amazonaws.com".to_owned(),
            port: 5432,
            user: "app user".to_owned(),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(490_896);
        let keys = |session: Option<&str>| {
            let session = session.map(str::to_owned);
            Credentials::new(
                "AKIDEXAMPLE",
                "wJalrXUtnFEMI/K7MDENG",
                session,
                None,
                "test",
            )
        };
        for (session, wanted) in [
            (None, include_str!("aws/plain.txt")),
            (Some("a+session/token=="), include_str!("aws/session.txt")),
        ] {
            let token = signed(&keys(session), "eu-central-1", &place, now).unwrap();
            assert_eq!(token.expose_secret(), wanted.trim_end());
        }
    }
}
