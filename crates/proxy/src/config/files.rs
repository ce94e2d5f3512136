//! Files and variables that a configuration names: certificates, keys, passwords. It never keeps a secret
//! that others on this machine can read, and never shows one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::problem::{Flaw, Place};

/// Why the system said no, without the number of the error.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error")
        .map_or(&*text, |(reason, _)| reason)
        .to_owned()
}

/// A file of text; what is wrong with it, and where, if not with all of it.
pub(super) fn text(path: &Path) -> Result<String, (Option<Place>, Flaw)> {
    let bytes = fs::read(path).map_err(|error| {
        let flaw = unreadable("configuration file", path, &error);
        (None, flaw)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
        let place = Place::of(&before, before.len());
        (Some(place), Flaw::found("invalid UTF-8"))
    })
}

/// The server's certificate, and those that lead from it to the CA.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let what = "certificate file";
    let text = fs::read(path).map_err(|error| unreadable(what, path, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(no_pem(
            what,
            path,
            &pem::Error::NoItemsFound,
            "PEM certificate",
        )),
        Err(error) => Err(no_pem(what, path, &error, "PEM certificate")),
    }
}

/// The server's private key.
pub(super) fn private_key(path: &Path) -> Result<Arc<dyn SigningKey>, Flaw> {
    let what = "private key file";
    let thing = "PEM private key without a passphrase";
    let text = private(what, path)?;
    let key =
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| no_pem(what, path, &error, thing))?;
    aws_lc_rs::sign::any_supported_type(&key).map_err(|_| {
        let found = format!(
            "{what} \"{}\" holds a key of an unknown kind",
            path.display()
        );
        Flaw::found(found).expected("an RSA, ECDSA or Ed25519 key")
    })
}

/// The certificate and its key together, if they belong together.
pub(super) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
) -> Result<CertifiedKey, Flaw> {
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(pair)
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(Flaw::found(
            "the private key does not belong to the certificate",
        )),
        Err(error) => Err(Flaw::found(format!(
            "the certificate cannot be used: {error}"
        ))),
    }
}

/// The key that signs the journal's heads.
pub(super) fn signing_key(path: &Path) -> Result<store::SigningKey, Flaw> {
    let what = "signing key file";
    let text = Zeroizing::new(private(what, path)?);
    store::SigningKey::from_pem(&text).map_err(|error| no_key(what, path, error))
}

/// The key with which what one tenant asks is encrypted in the journal.
pub(super) fn tenant_key(path: &Path) -> Result<store::TenantKey, Flaw> {
    let what = "encryption key file";
    let text = Zeroizing::new(private(what, path)?);
    let text = str::from_utf8(&text).unwrap_or_default();
    store::TenantKey::from_text(text).map_err(|error| no_key(what, path, error))
}

fn no_key(what: &str, path: &Path, error: store::KeyError) -> Flaw {
    let found = Flaw::found(format!("{what} \"{}\" holds no key", path.display()));
    match error.to_string().strip_prefix("expected ") {
        Some(expected) => found.expected(expected),
        None => Flaw::found(error.to_string()),
    }
}

/// A password from a file of one line.
pub(super) fn password(path: &Path) -> Result<SecretString, Flaw> {
    let what = "password file";
    let flaw = |why: &str| Flaw::found(format!("{what} \"{}\" {why}", path.display()));
    let text = String::from_utf8(private(what, path)?).map_err(|_| flaw("is not valid UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains('\n') {
        let why = if line.is_empty() {
            "is empty"
        } else {
            "has several lines"
        };
        return Err(flaw(why).expected("one line with the password"));
    }
    Ok(SecretString::from(line))
}

/// A password from the environment.
pub(super) fn variable(name: &str) -> Result<SecretString, Flaw> {
    match std::env::var(name) {
        Ok(password) if !password.is_empty() => Ok(SecretString::from(password)),
        Ok(_) => Err(Flaw::found(format!(
            "environment variable \"{name}\" is empty"
        ))),
        Err(std::env::VarError::NotPresent) => Err(Flaw::found(format!(
            "environment variable \"{name}\" is not set"
        ))),
        Err(std::env::VarError::NotUnicode(_)) => Err(Flaw::found(format!(
            "environment variable \"{name}\" is not valid UTF-8"
        ))),
    }
}

/// A file that only its owner may read, or, as PostgreSQL has it for keys, root's with a group that may.
fn private(what: &str, path: &Path) -> Result<Vec<u8>, Flaw> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(what, path, &error))?;
    let found = |why: &str| Flaw::found(format!("{what} \"{}\" {why}", path.display()));
    if !metadata.is_file() {
        return Err(found("is not a regular file"));
    }
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(found("has group or world access")
            .expected("permissions 0600 or less, or 0640 or less if it is owned by root"));
    }
    fs::read(path).map_err(|error| unreadable(what, path, &error))
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Flaw {
    let why = reason(error);
    Flaw::found(format!(
        "could not read {what} \"{}\": {why}",
        path.display()
    ))
}

fn no_pem(what: &str, path: &Path, error: &pem::Error, thing: &str) -> Flaw {
    let path = path.display();
    match error {
        pem::Error::NoItemsFound => Flaw::found(format!("{what} \"{path}\" holds no {thing}")),
        _ => Flaw::found(format!("{what} \"{path}\" is not valid PEM")),
    }
}
