//! What a client says before the first tag: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest
//! (manual, "Message Formats"). It never answers, and never decides how often one may ask (R6).

use bytes::BytesMut;
use bytestring::ByteString;

use crate::cancel_key::{CancelKey, SECRET_MAX};
use crate::error::WireError;
use crate::reader::Reader;
use crate::writer;

/// The longest startup packet, its length word included (R1).
pub const LENGTH_MAX: usize = 10_000;
/// The newest minor version of protocol 3 spoken here; a greater one is negotiated down to it (R7).
pub const MINOR_MAX: u16 = 2;

const LENGTH_MIN: usize = 8;
/// The "major version" of packets that are requests and not versions.
const REQUEST: u16 = 1234;
const CANCEL: u16 = 5678;
const SSL: u16 = 5679;
const GSSENC: u16 = 5680;

/// One startup packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartupPacket {
    /// May we speak TLS?
    SslRequest,
    /// May we speak GSSAPI encryption?
    GssEncRequest,
    /// Cancel what runs under this key; nothing is answered (R52).
    Cancel(CancelKey),
    /// Here I am.
    Startup(Startup),
}

/// StartupMessage: a version and parameters in the order they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Always 3; anything else was refused.
    pub major: u16,
    /// As asked for; see [`MINOR_MAX`].
    pub minor: u16,
    /// Name and value, unchecked.
    pub parameters: Vec<(ByteString, ByteString)>,
}

impl Startup {
    /// The value of a parameter; of several with one name the last counts, as in PostgreSQL.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(key, _)| &**key == name);
        found.map(|(_, value)| &**value)
    }

    /// Who wants in; an empty name is none.
    pub fn user(&self) -> Option<&str> {
        self.get("user").filter(|user| !user.is_empty())
    }

    /// Where to; without a name, or with an empty one, it is the user's.
    pub fn database(&self) -> Option<&str> {
        self.get("database")
            .filter(|database| !database.is_empty())
            .or_else(|| self.user())
    }
}

/// Cuts one startup packet off the front; `None` while it is incomplete. What comes after it stays in the
/// buffer: before a TLS handshake that has to be nothing (R11), which the caller sees to.
pub fn take(buf: &mut BytesMut) -> Result<Option<StartupPacket>, WireError> {
    let Some(word) = buf.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*word)).unwrap_or(usize::MAX);
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
        return Err(WireError::StartupLength);
    }
    if buf.len() < length {
        return Ok(None);
    }
    let mut reader = Reader::new(buf.split_to(length).freeze());
    reader.u32()?;
    let packet = match (reader.u16()?, reader.u16()?) {
        (REQUEST, SSL) => StartupPacket::SslRequest,
        (REQUEST, GSSENC) => StartupPacket::GssEncRequest,
        (REQUEST, CANCEL) => {
            let pid = reader.u32()?;
            StartupPacket::Cancel(CancelKey::new(pid, reader.tail())?)
        }
        (3, minor) => {
            let parameters = parameters(&mut reader)?;
            StartupPacket::Startup(Startup {
                major: 3,
                minor,
                parameters,
            })
        }
        (major, minor) => return Err(WireError::UnsupportedProtocol { major, minor }),
    };
    reader.finish().map_err(layout)?;
    Ok(Some(packet))
}

fn parameters(reader: &mut Reader) -> Result<Vec<(ByteString, ByteString)>, WireError> {
    let mut parameters = Vec::new();
    loop {
        let name = reader.cstr().map_err(layout)?;
        if name.is_empty() {
            return Ok(parameters);
        }
        parameters.push((name, reader.cstr().map_err(layout)?));
    }
}

/// PostgreSQL has one sentence for everything that is wrong with the shape.
fn layout(error: WireError) -> WireError {
    match error {
        WireError::Unterminated | WireError::Trailing => WireError::StartupLayout,
        other => other,
    }
}

/// A StartupMessage of protocol 3.0, to log in upstream.
pub fn encode_startup(parameters: &[(&str, &str)], out: &mut BytesMut) -> Result<(), WireError> {
    let before = out.len();
    writer::message(None, out, |w| {
        w.u16(3);
        w.u16(0);
        for (name, value) in parameters {
            if name.is_empty() {
                return Err(WireError::StartupLayout);
            }
            w.cstr(name)?;
            w.cstr(value)?;
        }
        w.u8(0);
        Ok(())
    })?;
    if out.len() - before > LENGTH_MAX {
        out.truncate(before);
        return Err(WireError::StartupLength);
    }
    Ok(())
}

/// An SSLRequest.
pub fn encode_ssl_request(out: &mut BytesMut) {
    writer::short(None, out, |w| {
        w.u16(REQUEST);
        w.u16(SSL);
    });
}

/// A CancelRequest.
pub fn encode_cancel(key: &CancelKey, out: &mut BytesMut) {
    writer::short(None, out, |w| {
        w.u16(REQUEST);
        w.u16(CANCEL);
        w.u32(key.pid);
        w.blob(&key.secret, SECRET_MAX);
    });
}

#[cfg(test)]
#[path = "startup_tests.rs"]
mod tests;
