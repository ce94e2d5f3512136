//! SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677; manual, "SASL Authentication"). It never sees a
//! password after the verifier was made, never tells a wrong password from an unknown user, and never
//! draws its own nonce.
//!
//! Channel binding (SCRAM-SHA-256-PLUS) is not offered here yet, so a client that demands it is refused.
//!
//! The whole conversation:
//!
//! ```
//! # use wire::scram::{Server, Verifier};
//! # fn talk(verifier: Verifier, nonce: [u8; 18], client_first: &[u8], client_final: &[u8])
//! #     -> Result<(), wire::scram::ScramError> {
//! let (state, server_first) = Server::new(verifier, nonce).first("SCRAM-SHA-256", client_first)?;
//! let server_final = state.finish(client_final)?; // an error is a wrong password, or worse
//! # Ok(()) }
//! ```

mod keys;
mod server;
mod verifier;

use bytes::Bytes;
use bytestring::ByteString;

pub use server::{MECHANISM, ScramError, Server, ServerFirst};
pub use verifier::{ITERATIONS, Verifier, VerifierError};

use crate::error::WireError;
use crate::reader::Reader;

/// Reads the body of a SASLInitialResponse: the mechanism and the client's first message (empty if it
/// sent none, which no SCRAM mechanism accepts).
pub fn initial_response(body: &Bytes) -> Result<(ByteString, Bytes), WireError> {
    let mut reader = Reader::new(body.clone());
    let response = (reader.cstr()?, reader.value()?.unwrap_or_default());
    reader.finish()?;
    Ok(response)
}

#[cfg(test)]
#[path = "scram/tests.rs"]
mod tests;
