//! The keys of tenants: one each, or one for all that fit a pattern, found as the tenants themselves are. It never shows a key but as
//! the text of its file.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use gate::policy::glob;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

use crate::signing::{KeyError, short_id};

const INFO: &[u8] = b"journal of portcullis";
pub(crate) const KEY_BYTES: usize = 32;

/// The key of one tenant; clones are one key.
#[derive(Clone)]
pub struct TenantKey {
    pub(crate) secret: Arc<SecretBox<[u8; KEY_BYTES]>>,
    id: String,
}

/// Which tenant has which key; clones are one.
#[derive(Clone, Debug, Default)]
pub struct TenantKeys {
    exact: Arc<HashMap<String, Option<TenantKey>>>,
    /// Names with a `*`, the longest beginning without one first.
    patterns: Arc<[(String, Option<TenantKey>)]>,
}

impl TenantKey {
    /// A new one.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *secret).map_err(|_| KeyError::Random)?;
        Ok(Self::of(&secret))
    }

    /// Reads one line of hexadecimal digits.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (pairs, rest) = line.as_bytes().as_chunks::<2>();
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        if pairs.len() != KEY_BYTES || !rest.is_empty() {
            return Err(KeyError::Tenant);
        }
        for (byte, [high, low]) in secret.iter_mut().zip(pairs) {
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Ok(Self::of(&secret))
    }

    /// The line, as [`TenantKey::from_text`] reads it.
    pub fn to_text(&self) -> SecretString {
        let digits = b"0123456789abcdef";
        let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().map(char::from);
        let bytes = self.secret.expose_secret().iter();
        let mut text: String = bytes
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(digit)
            .collect();
        text.push('\n');
        SecretString::from(text)
    }

    /// What the journal names it by: the first 16 hexadecimal digits of a SHA-256.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn of(secret: &[u8; KEY_BYTES]) -> Self {
        let named = Zeroizing::new([b"tenant key of portcullis ".as_slice(), secret].concat());
        Self {
            id: short_id(&named),
            secret: Arc::new(SecretBox::new(Box::new(*secret))),
        }
    }

    /// The key of one run.
    pub(crate) fn derive(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let salt = Salt::new(HKDF_SHA256, salt);
        let extracted = salt.extract(self.secret.expose_secret());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let expanded = extracted.expand(&[INFO], Length).ok()?;
        expanded.fill(&mut *key).ok()?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).ok()?;
        Some(LessSafeKey::new(key))
    }
}

fn nibble(digit: u8) -> Result<u8, KeyError> {
    let digit = char::from(digit).to_digit(16);
    let digit = digit.and_then(|it| u8::try_from(it).ok());
    digit.ok_or(KeyError::Tenant)
}

/// How long a derived key is.
pub(crate) struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl TenantKeys {
    /// Of these tenants, `*` in a name standing for any characters.
    pub fn new(tenants: impl IntoIterator<Item = (String, Option<TenantKey>)>) -> Self {
        let (mut exact, mut patterns) = (HashMap::new(), Vec::new());
        for (name, key) in tenants {
            if name.contains('*') {
                patterns.push((name, key));
            } else {
                exact.insert(name, key);
            }
        }
        let head = |name: &str| name.find('*').unwrap_or(name.len());
        patterns.sort_by_key(|(name, _)| std::cmp::Reverse(head(name)));
        Self {
            exact: Arc::new(exact),
            patterns: Arc::from(patterns),
        }
    }

    /// Every key there is.
    pub fn all(&self) -> impl Iterator<Item = &TenantKey> {
        let patterns = self.patterns.iter().map(|(_, key)| key);
        self.exact.values().chain(patterns).flatten()
    }

    /// Tenants that have a name of their own, with a key or without.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }

    /// The patterns, with a key or without, in the order in which they are tried.
    pub fn patterns(&self) -> impl Iterator<Item = (&str, Option<&TenantKey>)> {
        let patterns = self.patterns.iter();
        patterns.map(|(name, key)| (name.as_str(), key.as_ref()))
    }

    /// The pattern in which a tenant is found, if it has no name of its own.
    pub fn pattern(&self, tenant: &str) -> Option<&str> {
        self.found(tenant).map(|(name, _)| name)
    }

    /// Whether both are patterns here, and what fits both is found in the first.
    pub fn is_before(&self, first: &str, second: &str) -> bool {
        let place = |name| self.patterns.iter().position(|it| it.0 == name);
        let places = place(first).zip(place(second));
        places.is_some_and(|(first, second)| first < second)
    }

    /// That of a tenant, found as the tenant itself is.
    pub fn of(&self, tenant: &str) -> Option<&TenantKey> {
        match self.exact.get(tenant) {
            Some(key) => key.as_ref(),
            None => self.found(tenant)?.1,
        }
    }

    fn found(&self, tenant: &str) -> Option<(&str, Option<&TenantKey>)> {
        let fits = |it: &(&str, _)| glob(it.0, tenant);
        let mut patterns = self.patterns();
        patterns
            .find(fits)
            .filter(|_| !self.exact.contains_key(tenant))
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantKey({})", self.id)
    }
}
