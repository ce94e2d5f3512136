//! Heads of the journal signed with an Ed25519 key of the operator, and the keys as files that `openssl` reads: PKCS#8 and
//! SubjectPublicKeyInfo in PEM. It never opens a file, and never shows a private key but as the text of one.
//!
//! A head is signed by a record of its own, behind the record that is the head. What is signed are these five lines, each with its
//! `\n`: `journal head of portcullis`, the node's name as a JSON string, the head's number, its hash in hexadecimal digits, and the
//! time of the record that signs. The hash covers all before it, so one signature speaks for the whole chain up to there.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use secrecy::SecretString;

use crate::chain::{Hash, Head};

/// What stands before the 32 bytes of every Ed25519 key in DER (RFC 8410).
const SPKI: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const PUBLIC_BYTES: usize = 32;
/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

/// Why a file holds no key of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a private key, or of another kind.
    #[error("expected an Ed25519 private key without a passphrase, as PKCS#8 in PEM")]
    Private,
    /// Not a public key, or of another kind.
    #[error("expected an Ed25519 public key in PEM")]
    Public,
    /// No key of a tenant.
    #[error("expected one line of 64 hexadecimal digits")]
    Tenant,
    /// The system has no randomness.
    #[error("no randomness to be had")]
    Random,
}

/// The key with which a gate signs its heads; clones are one key.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Ed25519KeyPair>,
    public: PublicKey,
}

/// The key with which anybody checks what is signed.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; PUBLIC_BYTES],
    id: String,
}

impl SigningKey {
    /// A new one.
    pub fn generate() -> Result<Self, KeyError> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?)
    }

    /// Reads PKCS#8 in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::Private)?;
        let pair = Ed25519KeyPair::from_pkcs8(key.secret_pkcs8_der());
        Self::of(pair.map_err(|_| KeyError::Private)?)
    }

    /// Writes PKCS#8 in PEM.
    pub fn to_pem(&self) -> Result<SecretString, KeyError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| KeyError::Private)?;
        Ok(SecretString::from(pem("PRIVATE KEY", der.as_ref())))
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let bytes = pair.public_key().as_ref().try_into();
        let public = PublicKey::of(bytes.map_err(|_| KeyError::Private)?);
        let pair = Arc::new(pair);
        Ok(Self { pair, public })
    }

    /// The signature of a head, in base64; nothing if the library refuses.
    pub(crate) fn sign(&self, node: &str, head: Head, at: &str) -> Option<String> {
        let signed = self.pair.try_sign(message(node, head, at).as_bytes());
        Some(STANDARD.encode(signed.ok()?))
    }
}

impl PublicKey {
    /// Reads SubjectPublicKeyInfo in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::Public)?;
        let bytes = der.as_ref().strip_prefix(&SPKI);
        let bytes = bytes.and_then(|it| it.try_into().ok());
        bytes.map(Self::of).ok_or(KeyError::Public)
    }

    /// Writes SubjectPublicKeyInfo in PEM.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// What records name it by: the first 16 hexadecimal digits of SHA-256 over the key in DER.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn of(bytes: [u8; PUBLIC_BYTES]) -> Self {
        let mut key = Self {
            bytes,
            id: String::new(),
        };
        key.id = short_id(&key.der());
        key
    }

    fn der(&self) -> Vec<u8> {
        [SPKI.as_slice(), &self.bytes].concat()
    }

    /// Whether this key signed that head.
    pub(crate) fn verifies(&self, node: &str, head: Head, at: &str, signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, &self.bytes);
        let message = message(node, head, at);
        key.verify(message.as_bytes(), &signature).is_ok()
    }
}

/// The first 16 hexadecimal digits of a SHA-256.
pub(crate) fn short_id(of: &[u8]) -> String {
    let mut digits = Hash::of(of).to_string();
    digits.truncate(16);
    digits
}

/// What is signed; `node` is JSON already.
fn message(node: &str, head: Head, at: &str) -> String {
    let Head { seq, hash } = head;
    format!("journal head of portcullis\n{node}\n{seq}\n{hash}\n{at}\n")
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = &*text;
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem + &format!("-----END {label}-----\n")
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_key_reads_back_and_does_not_show_itself() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        let again = SigningKey::from_pem(pem.expose_secret().as_bytes()).unwrap();
        assert_eq!(again.public(), key.public());
        let public = key.public().to_pem();
        assert_eq!(
            &PublicKey::from_pem(public.as_bytes()).unwrap(),
            key.public()
        );
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey({})", key.public().id())
        );
        assert_ne!(SigningKey::generate().unwrap().public(), key.public());
        assert_eq!(
            SigningKey::from_pem(public.as_bytes()).unwrap_err(),
            KeyError::Private
        );
        let private = pem.expose_secret().as_bytes();
        assert_eq!(PublicKey::from_pem(private).unwrap_err(), KeyError::Public);
    }

    /// Each of what is signed counts, and so does the key.
    #[test]
    fn a_signature_fits_one_head_of_one_key() {
        let key = SigningKey::generate().unwrap();
        let head = |seq, digit: &str| Head {
            seq,
            hash: digit.repeat(64).parse().unwrap(),
        };
        let signed = key.sign("\"a\"", head(7, "0"), "then").unwrap();
        let fits = |node, head, at| key.public().verifies(node, head, at, &signed);
        assert!(fits("\"a\"", head(7, "0"), "then"));
        assert!(!fits("\"b\"", head(7, "0"), "then"));
        assert!(!fits("\"a\"", head(8, "0"), "then"));
        assert!(!fits("\"a\"", head(7, "1"), "then"));
        assert!(!fits("\"a\"", head(7, "0"), "now"));
        let other = SigningKey::generate().unwrap();
        assert!(
            !other
                .public()
                .verifies("\"a\"", head(7, "0"), "then", &signed)
        );
        assert!(!key.public().verifies("\"a\"", head(7, "0"), "then", "?"));
    }
}
