//! What tenants ask, encrypted with a key of each tenant: once that key is destroyed nobody reads it any more, and the chain, whose
//! hashes are over what is encrypted, still verifies. It never opens a file, never shows a key but as the text of its file, and
//! never encrypts two things with one nonce.
//!
//! An entry that has something of a requester's own is written without it, and has one more member at its end:
//!
//! ```text
//! "encrypted":{"tenant":"…","key":"<16 hex>","data":"<base64>"}
//! ```
//!
//! `data` is 8 bytes with the number of the `started` record of that run of the gate, 8 random bytes of the run, 8 bytes that count
//! up, and what AES-256-GCM makes of a JSON object with the members that are missing. Its key is HKDF-SHA256 of the tenant's, with
//! the first 16 bytes as the salt and `journal of portcullis` as the info; its nonce is 4 zero bytes and the count; the associated
//! data is every byte of the entry before `data`'s own. So nothing that is encrypted fits another entry, tenant or run.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use crate::chain::Hash;
use crate::signing::KeyError;
use crate::tenant_keys::{KEY_BYTES, Length, TenantKey, TenantKeys};

/// What comes in front of the member.
const BEFORE: &str = ",\"encrypted\":{";
const BLIND: &[u8] = b"digest of portcullis";
const SALT_BYTES: usize = 16;
const COUNT_BYTES: usize = 8;

/// Encrypts for one run of the gate.
pub(crate) struct Cipher {
    tenants: TenantKeys,
    salt: [u8; SALT_BYTES],
    /// By the ids of the tenants' keys.
    derived: HashMap<String, LessSafeKey>,
    count: AtomicU64,
}

impl Cipher {
    /// For the run that begins with this record; nothing where no tenant has a key.
    pub(crate) fn of_run(started: u64, tenants: TenantKeys) -> Result<Option<Self>, KeyError> {
        if tenants.all().next().is_none() {
            return Ok(None);
        }
        let mut salt = [0; SALT_BYTES];
        let (run, random) = salt.split_at_mut(SALT_BYTES / 2);
        run.copy_from_slice(&started.to_be_bytes());
        getrandom::fill(random).map_err(|_| KeyError::Random)?;
        let mut derived = HashMap::new();
        for key in tenants.all() {
            let of_run = key.derive(&salt).ok_or(KeyError::Tenant)?;
            derived.insert(key.id().to_owned(), of_run);
        }
        Ok(Some(Self {
            tenants,
            salt,
            derived,
            count: AtomicU64::new(0),
        }))
    }

    /// Whether what this tenant asks is encrypted.
    pub(crate) fn has(&self, tenant: &str) -> bool {
        self.tenants.of(tenant).is_some()
    }

    /// Puts `private` behind the entry that begins at `start` and has its last brace. `false` if the tenant has no key, or the
    /// library refuses.
    pub(crate) fn append(
        &self,
        tenant: &str,
        private: Vec<u8>,
        start: usize,
        into: &mut Vec<u8>,
    ) -> bool {
        let Some(key) = self.tenants.of(tenant) else {
            return false;
        };
        let (name, id) = (serde_json::Value::from(tenant), key.id());
        into.pop();
        let more = format!("{BEFORE}\"tenant\":{name},\"key\":\"{id}\",\"data\":\"");
        into.extend_from_slice(more.as_bytes());
        let place = into.get(start..).unwrap_or_default();
        let Some(data) = self.encrypt(key, place, private) else {
            return false;
        };
        into.extend_from_slice(data.as_bytes());
        into.extend_from_slice(b"\"}}");
        true
    }

    /// A text for this place, and the id of the key before it. Nothing if the tenant has no key, or the library refuses.
    pub(crate) fn text(&self, tenant: &str, place: &str, private: String) -> Option<String> {
        let key = self.tenants.of(tenant)?;
        let data = self.encrypt(key, place.as_bytes(), private.into_bytes())?;
        Some(format!("{} {data}", key.id()))
    }

    /// A digest by which nobody without the key can try a guess; the same for the same.
    pub(crate) fn blind(&self, tenant: &str, digest: &str) -> Option<String> {
        let key = self.tenants.of(tenant)?;
        let extracted = Salt::new(HKDF_SHA256, BLIND).extract(key.secret.expose_secret());
        let mut blind = [0; KEY_BYTES];
        let info = [digest.as_bytes()];
        extracted
            .expand(&info, Length)
            .ok()?
            .fill(&mut blind)
            .ok()?;
        Some(Hash::of(&blind).to_string())
    }

    fn encrypt(&self, key: &TenantKey, place: &[u8], mut private: Vec<u8>) -> Option<String> {
        let cipher = self.derived.get(key.id())?;
        let count = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let done = cipher.seal_in_place_append_tag(nonce(count), Aad::from(place), &mut private);
        done.ok()?;
        let data = [self.salt.as_slice(), &count, &private].concat();
        Some(STANDARD.encode(data))
    }
}

fn nonce(count: [u8; COUNT_BYTES]) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    if let Some(end) = nonce.last_chunk_mut() {
        *end = count;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// An entry that has something encrypted in it.
pub(crate) struct Encrypted<'a> {
    /// The entry without that.
    pub(crate) clear: String,
    pub(crate) secret: Secret<'a>,
}

/// What was encrypted, as it stands there.
pub(crate) struct Secret<'a> {
    /// The id of the key.
    pub(crate) key: String,
    salt: [u8; SALT_BYTES],
    count: [u8; COUNT_BYTES],
    data: Vec<u8>,
    /// What it is bound to.
    place: &'a str,
}

#[derive(Deserialize)]
struct Member {
    key: String,
    data: String,
}

impl<'a> Encrypted<'a> {
    /// Looks at an entry as it stands in the journal. Nothing if it has nothing encrypted in it: within a text of somebody's
    /// there is a backslash before each quote.
    pub(crate) fn read(entry: &'a str) -> Option<Self> {
        let (clear, member) = entry.rsplit_once(BEFORE)?;
        let member = member.strip_suffix('}')?;
        let (_, behind) = entry.rsplit_once("\"data\":\"")?;
        let place = entry.get(..entry.len() - behind.len())?;
        let Member { key, data } = serde_json::from_str(&format!("{{{member}")).ok()?;
        Some(Self {
            clear: format!("{clear}}}"),
            secret: Secret::read(key, &data, place)?,
        })
    }
}

impl<'a> Secret<'a> {
    /// A text as [`Cipher::text`] makes one for this place.
    pub(crate) fn of_text(text: &str, place: &'a str) -> Option<Self> {
        let (key, data) = text.split_once(' ')?;
        Self::read(key.to_owned(), data, place)
    }

    fn read(key: String, data: &str, place: &'a str) -> Option<Self> {
        let data = STANDARD.decode(data).ok()?;
        let (salt, data) = data.split_first_chunk()?;
        let (count, data) = data.split_first_chunk()?;
        Some(Self {
            key,
            salt: *salt,
            count: *count,
            data: data.to_owned(),
            place,
        })
    }

    /// The number of the record with which the run of the gate began that wrote it.
    pub(crate) fn run(&self) -> Option<u64> {
        self.salt.first_chunk().map(|run| u64::from_be_bytes(*run))
    }
}

/// The keys that somebody has at hand to read with.
#[derive(Default)]
pub(crate) struct Keyring {
    keys: HashMap<String, TenantKey>,
    /// Those of runs that were met, by the ids of the tenants' and by salt.
    derived: HashMap<(String, [u8; SALT_BYTES]), LessSafeKey>,
}

impl Keyring {
    pub(crate) fn new<'a>(keys: impl IntoIterator<Item = &'a TenantKey>) -> Self {
        let keys = keys.into_iter().map(|it| (it.id().to_owned(), it.clone()));
        Self {
            keys: keys.collect(),
            derived: HashMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the key of this id is one of them.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.keys.contains_key(id)
    }

    /// What was encrypted; nothing if it was not for that place, or with no key of these.
    pub(crate) fn open(&mut self, secret: Secret<'_>) -> Option<Vec<u8>> {
        let Secret {
            key,
            salt,
            count,
            mut data,
            place,
        } = secret;
        let cipher = match self.derived.entry((key, salt)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let key = self.keys.get(&vacant.key().0)?;
                let of_run = key.derive(&salt)?;
                vacant.insert(of_run)
            }
        };
        let place = Aad::from(place.as_bytes());
        let opened = cipher.open_in_place(nonce(count), place, &mut data).ok()?;
        Some(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"{"kind":"looked","session":1,"number":2,"asked":[]}"#;

    fn cipher(key: &TenantKey) -> Cipher {
        let tenants = [
            ("acme".to_owned(), Some(key.clone())),
            ("shop_open".to_owned(), None),
            ("*_open".to_owned(), None),
            ("shop_*".to_owned(), Some(key.clone())),
        ];
        let cipher = Cipher::of_run(17, TenantKeys::new(tenants)).unwrap();
        cipher.unwrap()
    }

    fn encrypted(cipher: &Cipher, tenant: &str, text: &str) -> String {
        let mut into = b"before".to_vec();
        into.extend_from_slice(ENTRY.as_bytes());
        assert!(cipher.append(tenant, text.into(), 6, &mut into));
        String::from_utf8(into.split_off(6)).unwrap()
    }

    #[test]
    fn a_key_reads_back_and_does_not_show_itself() {
        let key = TenantKey::generate().unwrap();
        let text = key.to_text();
        let text = text.expose_secret();
        assert_eq!(text.len(), 65);
        assert_eq!(TenantKey::from_text(text).unwrap().id(), key.id());
        assert_eq!(TenantKey::from_text(text.trim()).unwrap().id(), key.id());
        let shown = format!("{key:?} {:?}", cipher(&key).tenants);
        assert!(!shown.contains(&text[..8]), "{shown}");
        for bad in ["", "00", &text[1..], &format!("{text}\n"), &"g".repeat(64)] {
            assert_eq!(TenantKey::from_text(bad).unwrap_err(), KeyError::Tenant);
        }
    }

    #[test]
    fn a_tenant_has_the_key_that_its_configuration_names() {
        let cipher = cipher(&TenantKey::generate().unwrap());
        for (tenant, has) in [
            ("acme", true),
            ("shop_eu", true),
            ("shop_open", false),
            ("shop_eu_open", true),
            ("eu_open", false),
            ("other", false),
        ] {
            assert_eq!(cipher.has(tenant), has, "{tenant}");
        }
        assert!(Cipher::of_run(1, TenantKeys::default()).unwrap().is_none());
    }

    #[test]
    fn what_is_encrypted_opens_in_its_place_alone() {
        let key = TenantKey::generate().unwrap();
        let cipher = cipher(&key);
        let text = r#"{"error":",\"encrypted\":{ \"data\":\""}"#;
        let first = encrypted(&cipher, "acme", text);
        let second = encrypted(&cipher, "acme", text);
        assert_ne!(first, second, "a nonce was used twice");
        let open = |entry: &str, key: &TenantKey| {
            let read = Encrypted::read(entry).unwrap();
            Keyring::new([key]).open(read.secret)
        };
        assert_eq!(open(&first, &key).unwrap(), text.as_bytes());
        let read = Encrypted::read(&first).unwrap();
        assert_eq!(
            (&*read.clear, &*read.secret.key, read.secret.run()),
            (ENTRY, key.id(), Some(17))
        );

        for (from, to) in [
            ("\"session\":1", "\"session\":2"),
            ("\"number\":2", "\"number\":3"),
            ("\"acme\"", "\"acmf\""),
            ("looked", "denied"),
        ] {
            let moved = first.replacen(from, to, 1);
            assert_ne!(moved, first);
            assert_eq!(open(&moved, &key), None, "{moved}");
        }
        let (place, data) = first.rsplit_once("\"data\":\"").unwrap();
        let data = STANDARD.decode(data.strip_suffix("\"}}").unwrap()).unwrap();
        for at in 0..data.len() {
            let mut changed = data.clone();
            changed[at] ^= 1;
            let changed = STANDARD.encode(changed);
            let changed = format!("{place}\"data\":\"{changed}\"}}}}");
            assert_eq!(open(&changed, &key), None, "byte {at}");
        }
        assert_eq!(open(&first, &TenantKey::generate().unwrap()), None);
        assert!(Encrypted::read(ENTRY).is_none());
    }
}
