//! What is stored instead of a password, in PostgreSQL's own text form (as in `pg_authid.rolpassword`). It
//! never shows its keys but through `Display`, which is meant for the file it is stored in.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::scram::keys::{self, Key};

/// The iterations of verifiers made here and of decoys; PostgreSQL's default.
pub const ITERATIONS: u32 = 4096;

/// What a decoy's salt is long, as PostgreSQL's are: an own salt of another size would tell them apart.
const SALT: usize = 16;

/// Salt, iterations and two keys: enough to check a password, not enough to log in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: Key,
    pub(crate) server_key: Key,
    /// Checked like any other, and always refused.
    pub(crate) decoy: bool,
}

/// Why a text is not a verifier. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// It starts otherwise; a clear-text or MD5 password, most likely.
    #[error("a verifier starts with \"SCRAM-SHA-256$\"")]
    Scheme,
    /// Its parts are not divided as they should be.
    #[error("a verifier reads \"SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>\"")]
    Shape,
    /// The iterations are no number from 1 to 2147483647.
    #[error("the iterations of a verifier are a number from 1 to 2147483647")]
    Iterations,
    /// The salt is not Base64, or empty.
    #[error("the salt of a verifier is not valid Base64")]
    Salt,
    /// The stored key is not Base64 of 32 bytes.
    #[error("the StoredKey of a verifier is not Base64 of 32 bytes")]
    StoredKey,
    /// The server key is not Base64 of 32 bytes.
    #[error("the ServerKey of a verifier is not Base64 of 32 bytes")]
    ServerKey,
}

impl Verifier {
    /// Makes a verifier. The password is used as it is, without SASLprep, as libpq does with one that is
    /// no valid SASLprep input; for ASCII it makes no difference. `iterations` of 0 counts as 1.
    pub fn from_password(password: &str, salt: &[u8], iterations: u32) -> Verifier {
        let iterations = iterations.max(1);
        let salted = keys::salted_password(password.as_bytes(), salt, iterations);
        Verifier {
            iterations,
            salt: salt.to_vec(),
            stored_key: keys::digest(&keys::mac(&salted, &[b"Client Key"])),
            server_key: keys::mac(&salted, &[b"Server Key"]),
            decoy: false,
        }
    }

    /// A verifier for someone who does not exist (R8): the same salt every time for the same name, the
    /// usual iterations, the same work to check, and no password that opens it. `secret` is the
    /// deployment's own and stays the same across restarts and nodes, or the salt gives it away.
    pub fn decoy(secret: &[u8], user: &str) -> Verifier {
        let derive =
            |what: &[u8]| keys::mac(secret, &[b"scram decoy ", what, b"\0", user.as_bytes()]);
        Verifier {
            iterations: ITERATIONS,
            salt: derive(b"salt").into_iter().take(SALT).collect(),
            stored_key: derive(b"stored key"),
            server_key: derive(b"server key"),
            decoy: true,
        }
    }
}

fn key(text: &str) -> Option<Key> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Verifier, VerifierError> {
        let text = text
            .strip_prefix("SCRAM-SHA-256$")
            .ok_or(VerifierError::Scheme)?;
        let (left, right) = text.split_once('$').ok_or(VerifierError::Shape)?;
        let (iterations, salt) = left.split_once(':').ok_or(VerifierError::Shape)?;
        let (stored_key, server_key) = right.split_once(':').ok_or(VerifierError::Shape)?;
        let digits = iterations.bytes().all(|byte| byte.is_ascii_digit());
        let iterations = iterations
            .parse::<i32>()
            .ok()
            .filter(|&count| digits && count > 0);
        let iterations = iterations.and_then(|count| u32::try_from(count).ok());
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty());
        Ok(Verifier {
            iterations: iterations.ok_or(VerifierError::Iterations)?,
            salt: salt.ok_or(VerifierError::Salt)?,
            stored_key: key(stored_key).ok_or(VerifierError::StoredKey)?,
            server_key: key(server_key).ok_or(VerifierError::ServerKey)?,
            decoy: false,
        })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salt = STANDARD.encode(&self.salt);
        let (stored, server) = (
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key),
        );
        write!(
            f,
            "SCRAM-SHA-256${}:{salt}${stored}:{server}",
            self.iterations
        )
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}
