//! The server's two steps: answer the client's first message, then check its proof. It never compares a
//! proof in a time that tells how much of it was right, and never says why a proof is wrong (R8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use crate::scram::keys::{self, Key};
use crate::scram::verifier::Verifier;
use crate::sqlstate::SqlState;

/// The one mechanism offered.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScramError {
    /// It chose a mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// A message that is not SCRAM; the text says which part of it.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// It wants to act as somebody else.
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    /// It demands channel binding, which was not offered, or its header changed on the way.
    #[error("SCRAM channel binding check failed")]
    ChannelBinding,
    /// It demands an extension that nobody has.
    #[error("client requires an unsupported SCRAM extension")]
    Extension,
    /// The nonce of its last message is not the one that was agreed on.
    #[error("invalid SCRAM response: nonce does not match")]
    Nonce,
    /// The proof is wrong: wrong password, or a decoy. Tell the client no more than that.
    #[error("password authentication failed")]
    Proof,
}

impl ScramError {
    /// The SQLSTATE that goes with it.
    pub fn sqlstate(self) -> SqlState {
        match self {
            Self::Proof => SqlState::INVALID_PASSWORD,
            Self::ChannelBinding => SqlState::INVALID_AUTHORIZATION,
            Self::AuthorizationIdentity | Self::Extension => SqlState::FEATURE_NOT_SUPPORTED,
            _ => SqlState::PROTOCOL_VIOLATION,
        }
    }
}

/// Before the client's first message.
#[derive(Debug)]
pub struct Server {
    verifier: Verifier,
    nonce: String,
}

/// After it: waits for the proof.
#[derive(Debug)]
pub struct ServerFirst {
    verifier: Verifier,
    /// `n,,` or `y,,`, to be seen again inside the client's final message.
    gs2_header: &'static str,
    client_first_bare: String,
    challenge: String,
    nonce: String,
}

impl Server {
    /// A conversation. The 18 bytes are random and never used again.
    pub fn new(verifier: Verifier, nonce: [u8; 18]) -> Server {
        Server::with_nonce(verifier, STANDARD.encode(nonce))
    }

    pub(crate) fn with_nonce(verifier: Verifier, nonce: String) -> Server {
        Server { verifier, nonce }
    }

    /// Takes the client's first message; gives what to send in AuthenticationSASLContinue. The user name
    /// in it is ignored, as PostgreSQL does: the startup packet said who it is.
    pub fn first(
        self,
        mechanism: &str,
        client_first: &[u8],
    ) -> Result<(ServerFirst, Vec<u8>), ScramError> {
        if mechanism != MECHANISM {
            return Err(ScramError::Mechanism);
        }
        let (gs2_header, bare) = split_gs2(text(client_first)?)?;
        let mut attributes = bare.split(',');
        let user = attributes.next().unwrap_or_default();
        if user.starts_with("m=") {
            return Err(ScramError::Extension);
        }
        if !user.starts_with("n=") {
            return Err(ScramError::Malformed("user name expected"));
        }
        let nonce = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("r="));
        let nonce = nonce.ok_or(ScramError::Malformed("nonce expected"))?;
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScramError::Malformed("non-printable characters in nonce"));
        }
        let nonce = format!("{nonce}{}", self.nonce);
        let salt = STANDARD.encode(&self.verifier.salt);
        let challenge = format!("r={nonce},s={salt},i={}", self.verifier.iterations);
        let reply = challenge.clone().into_bytes();
        let client_first_bare = bare.to_owned();
        let verifier = self.verifier;
        Ok((
            ServerFirst {
                verifier,
                gs2_header,
                client_first_bare,
                challenge,
                nonce,
            },
            reply,
        ))
    }
}

impl ServerFirst {
    /// Takes the client's final message; gives what to send in AuthenticationSASLFinal. After an error
    /// there is no second try.
    pub fn finish(self, client_final: &[u8]) -> Result<Vec<u8>, ScramError> {
        let client_final = text(client_final)?;
        let (without_proof, proof) = client_final
            .rsplit_once(",p=")
            .ok_or(ScramError::Malformed("proof expected"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("c="));
        let binding = binding.ok_or(ScramError::Malformed("channel binding expected"))?;
        if binding != STANDARD.encode(self.gs2_header) {
            return Err(ScramError::ChannelBinding);
        }
        let nonce = attributes
            .next()
            .and_then(|attribute| attribute.strip_prefix("r="));
        let nonce = nonce.ok_or(ScramError::Malformed("nonce expected"))?;
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(ScramError::Nonce);
        }
        let proof: Option<Key> = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok());
        let proof = proof.ok_or(ScramError::Malformed("proof is not Base64 of 32 bytes"))?;
        self.check(without_proof, proof)
    }

    fn check(&self, client_final_without_proof: &str, proof: Key) -> Result<Vec<u8>, ScramError> {
        let auth_message: [&[u8]; 5] = [
            self.client_first_bare.as_bytes(),
            b",",
            self.challenge.as_bytes(),
            b",",
            client_final_without_proof.as_bytes(),
        ];
        let client_signature = keys::mac(&self.verifier.stored_key, &auth_message);
        let client_key = keys::xor(proof, &client_signature);
        let server_signature = keys::mac(&self.verifier.server_key, &auth_message);
        let right = keys::digest(&client_key).ct_eq(&self.verifier.stored_key);
        let real = !Choice::from(u8::from(self.verifier.decoy));
        if !bool::from(right & real) {
            return Err(ScramError::Proof);
        }
        Ok(format!("v={}", STANDARD.encode(server_signature)).into_bytes())
    }
}

/// SCRAM messages are text; a NUL in one would be a second message to somebody else's reader.
fn text(message: &[u8]) -> Result<&str, ScramError> {
    match std::str::from_utf8(message) {
        Ok(text) if memchr::memchr(0, message).is_none() => Ok(text),
        _ => Err(ScramError::Malformed("not text")),
    }
}

/// Splits the header off. `y` means "I could bind, but you do not offer it", which is true here.
fn split_gs2(client_first: &str) -> Result<(&'static str, &str), ScramError> {
    if client_first.starts_with('p') {
        return Err(ScramError::ChannelBinding);
    }
    for (flag, header) in [("n,", "n,,"), ("y,", "y,,")] {
        if let Some(rest) = client_first.strip_prefix(flag) {
            if rest.starts_with("a=") {
                return Err(ScramError::AuthorizationIdentity);
            }
            let bare = rest.strip_prefix(',');
            return Ok((header, bare.ok_or(ScramError::Malformed("comma expected"))?));
        }
    }
    Err(ScramError::Malformed("channel-binding flag expected"))
}
