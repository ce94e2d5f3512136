//! The client's side of SCRAM-SHA-256, with the salted password worked out once: ten thousand
//! log-ins cost the bench no 4,096 rounds of HMAC each. It never checks who the server is.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::Trouble;

/// A password, and what it became with the last salt.
pub(crate) struct Secret {
    password: String,
    salted: Mutex<Option<Salted>>,
}

#[derive(Clone)]
struct Salted {
    salt: String,
    iterations: u32,
    key: [u8; 32],
}

/// One log-in, after its first message.
pub(crate) struct Proving {
    nonce: String,
}

impl Secret {
    pub(crate) fn new(password: &str) -> Self {
        Self {
            password: password.to_owned(),
            salted: Mutex::new(None),
        }
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    fn key(&self, salt: &str, iterations: u32) -> Result<[u8; 32], Trouble> {
        let mut known = self.salted.lock().map_err(|_| "another log-in failed")?;
        if let Some(it) = &*known
            && it.salt == salt
            && it.iterations == iterations
        {
            return Ok(it.key);
        }
        let mut first = STANDARD.decode(salt)?;
        first.extend(1_u32.to_be_bytes());
        let mut last = hmac(self.password.as_bytes(), &first)?;
        let mut key = last;
        for _ in 1..iterations {
            last = hmac(self.password.as_bytes(), &last)?;
            key = xor(key, last);
        }
        *known = Some(Salted {
            salt: salt.to_owned(),
            iterations,
            key,
        });
        Ok(key)
    }
}

impl Proving {
    pub(crate) fn start() -> Result<Self, Trouble> {
        let mut nonce = [0; 18];
        getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
        Ok(Self {
            nonce: STANDARD.encode(nonce),
        })
    }

    /// The client-first message, without channel binding.
    pub(crate) fn first(&self) -> String {
        format!("n,,{}", self.first_bare())
    }

    /// The client-final message, to what the server said first.
    pub(crate) fn last(&self, server_first: &str, secret: &Secret) -> Result<String, Trouble> {
        let field = |name: &str| {
            let mut fields = server_first.split(',');
            let value = fields.find_map(|field| field.strip_prefix(name));
            value.ok_or_else(|| format!("the server's SCRAM message has no {name}"))
        };
        let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?.parse()?);
        let salted = secret.key(salt, iterations)?;
        let client_key = hmac(&salted, b"Client Key")?;
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let without_proof = format!("c=biws,r={nonce}");
        let said = format!("{},{server_first},{without_proof}", self.first_bare());
        let proof = xor(client_key, hmac(&stored_key, said.as_bytes())?);
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Result<[u8; 32], Trouble> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
    mac.update(text);
    Ok(mac.finalize().into_bytes().into())
}

fn xor(mut one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    for (one, other) in one.iter_mut().zip(other) {
        *one ^= other;
    }
    one
}
