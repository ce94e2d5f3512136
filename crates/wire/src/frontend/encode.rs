//! Frontend messages to bytes, to be sent upstream. It never sends a string with a NUL in it, a count that
//! does not fit, or a length that wrapped (R2).

use bytes::{Bytes, BytesMut};

use crate::error::WireError;
use crate::frontend::message::{Frontend, Target};
use crate::frontend::tag;
use crate::writer::{self, Writer};

impl Frontend {
    /// Encodes the message. [`Frontend::FunctionCall`] has no bytes to go back to and is refused.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), WireError> {
        match self {
            Self::Query(text) => query(text, out),
            Self::Parse(message) => parse(&message.name, &message.text, &message.types, out),
            Self::Bind(message) => bind(
                &message.portal,
                &message.statement,
                &message.formats,
                &message.values,
                &message.result_formats,
                out,
            ),
            Self::Describe(target) => describe(target, out),
            Self::Execute(message) => execute(&message.portal, message.max_rows, out),
            Self::Close(target) => close(target, out),
            Self::Flush => {
                flush(out);
                Ok(())
            }
            Self::Sync => {
                sync(out);
                Ok(())
            }
            Self::Terminate => {
                terminate(out);
                Ok(())
            }
            Self::FunctionCall => Err(WireError::FunctionCall),
            Self::CopyData(data) => copy_data(data, out),
            Self::CopyDone => {
                copy_done(out);
                Ok(())
            }
            Self::CopyFail(reason) => copy_fail(reason, out),
            Self::Password(body) => password(body, out),
        }
    }
}

/// Query.
pub fn query(text: &str, out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::QUERY), out, |w| w.cstr(text))
}

/// Parse.
pub fn parse(name: &str, text: &str, types: &[u32], out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::PARSE), out, |w| {
        w.cstr(name)?;
        w.cstr(text)?;
        w.count(types.len())?;
        for oid in types {
            w.u32(*oid);
        }
        Ok(())
    })
}

/// Bind: what of it is written in the order of [`Bind`](crate::frontend::Bind)'s fields.
pub fn bind(
    portal: &str,
    statement: &str,
    formats: &[i16],
    values: &[Option<Bytes>],
    result_formats: &[i16],
    out: &mut BytesMut,
) -> Result<(), WireError> {
    writer::message(Some(tag::BIND), out, |w| {
        w.cstr(portal)?;
        w.cstr(statement)?;
        write_formats(formats, w)?;
        w.count(values.len())?;
        for value in values {
            match value {
                None => w.i32(-1),
                Some(value) => w.value(value)?,
            }
        }
        write_formats(result_formats, w)
    })
}

fn write_formats(formats: &[i16], w: &mut Writer<'_>) -> Result<(), WireError> {
    w.count(formats.len())?;
    for format in formats {
        w.i16(*format);
    }
    Ok(())
}

/// Describe.
pub fn describe(target: &Target, out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::DESCRIBE), out, |w| write_target(target, w))
}

/// Close.
pub fn close(target: &Target, out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::CLOSE), out, |w| write_target(target, w))
}

fn write_target(target: &Target, w: &mut Writer<'_>) -> Result<(), WireError> {
    let (kind, name) = match target {
        Target::Statement(name) => (b'S', name),
        Target::Portal(name) => (b'P', name),
    };
    w.u8(kind);
    w.cstr(name)
}

/// Execute; `max_rows` 0 is no limit.
pub fn execute(portal: &str, max_rows: i32, out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::EXECUTE), out, |w| {
        w.cstr(portal)?;
        w.i32(max_rows);
        Ok(())
    })
}

/// Flush.
pub fn flush(out: &mut BytesMut) {
    writer::short(Some(tag::FLUSH), out, |_| ());
}

/// Sync.
pub fn sync(out: &mut BytesMut) {
    writer::short(Some(tag::SYNC), out, |_| ());
}

/// Terminate.
pub fn terminate(out: &mut BytesMut) {
    writer::short(Some(tag::TERMINATE), out, |_| ());
}

/// CopyData.
pub fn copy_data(data: &[u8], out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::COPY_DATA), out, |w| w.slice(data))
}

/// CopyDone.
pub fn copy_done(out: &mut BytesMut) {
    writer::short(Some(tag::COPY_DONE), out, |_| ());
}

/// CopyFail.
pub fn copy_fail(reason: &str, out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::COPY_FAIL), out, |w| w.cstr(reason))
}

/// A `p` message with exactly this body: a SASLResponse, or an answer that was encoded already. For a
/// password in clear text or MD5, see [`cleartext_password`], which adds the NUL.
pub fn password(body: &[u8], out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::PASSWORD), out, |w| w.slice(body))
}

/// PasswordMessage: the password (or its MD5) as a string, NUL included.
pub fn cleartext_password(password: &str, out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::PASSWORD), out, |w| w.cstr(password))
}

/// SASLInitialResponse: a mechanism and its first message.
pub fn sasl_initial(mechanism: &str, data: &[u8], out: &mut BytesMut) -> Result<(), WireError> {
    writer::message(Some(tag::PASSWORD), out, |w| {
        w.cstr(mechanism)?;
        w.value(data)
    })
}
