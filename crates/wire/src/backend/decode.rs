//! Bodies of backend messages that we look at. It never trusts an upstream more than a client: every body
//! is read to its last byte or refused.

use bytes::Bytes;
use bytestring::ByteString;

use crate::backend::message::{Authentication, Status};
use crate::cancel_key::CancelKey;
use crate::error::WireError;
use crate::fields::Fields;
use crate::reader::Reader;

/// A body that is kept apart from the buffer it came in: these are small, and what is read from them may
/// be kept for long.
fn reader(body: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(body))
}

/// ReadyForQuery.
pub fn ready_status(body: &[u8]) -> Result<Status, WireError> {
    match body {
        [] => Err(WireError::Truncated),
        [byte] => Status::try_from(*byte),
        _ => Err(WireError::Trailing),
    }
}

/// CommandComplete: its tag, such as `INSERT 0 1`.
pub fn command_tag(body: &[u8]) -> Result<&str, WireError> {
    let end = body.iter().position(|byte| *byte == 0);
    let (command, behind) = body.split_at(end.ok_or(WireError::Unterminated)?);
    let command = std::str::from_utf8(command).map_err(|_| WireError::NotUtf8)?;
    if behind.len() > 1 {
        return Err(WireError::Trailing);
    }
    Ok(command)
}

/// ParameterStatus: name and value.
pub fn parameter_status(body: &[u8]) -> Result<(ByteString, ByteString), WireError> {
    let mut reader = reader(body);
    let parameter = (reader.cstr()?, reader.cstr()?);
    reader.finish()?;
    Ok(parameter)
}

/// BackendKeyData.
pub fn backend_key_data(body: &[u8]) -> Result<CancelKey, WireError> {
    let mut reader = reader(body);
    CancelKey::new(reader.u32()?, reader.tail())
}

/// Any authentication request.
pub fn authentication(body: &[u8]) -> Result<Authentication, WireError> {
    let mut reader = reader(body);
    let request = match reader.i32()? {
        0 => Authentication::Ok,
        3 => Authentication::Cleartext,
        5 => Authentication::Md5(reader.u32()?.to_be_bytes()),
        10 => Authentication::Sasl(mechanisms(&mut reader)?),
        11 => Authentication::SaslContinue(reader.tail()),
        12 => Authentication::SaslFinal(reader.tail()),
        other => {
            reader.tail();
            Authentication::Other(other)
        }
    };
    reader.finish()?;
    Ok(request)
}

fn mechanisms(reader: &mut Reader) -> Result<Vec<ByteString>, WireError> {
    let mut mechanisms = Vec::new();
    loop {
        let mechanism = reader.cstr()?;
        if mechanism.is_empty() {
            return Ok(mechanisms);
        }
        mechanisms.push(mechanism);
    }
}

/// DataRow: its values; `None` is NULL.
pub fn data_row_values(body: &[u8]) -> Result<Vec<Option<Bytes>>, WireError> {
    let mut reader = reader(body);
    let count = reader.count(4)?;
    let values = (0..count)
        .map(|_| reader.value())
        .collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(values)
}

/// ErrorResponse and NoticeResponse. A missing field is no error (R41).
pub fn fields(body: &[u8]) -> Result<Fields, WireError> {
    Fields::decode(Bytes::copy_from_slice(body))
}

/// NotificationResponse: the sender's process id, the channel, the payload.
pub fn notification(body: &[u8]) -> Result<(u32, ByteString, ByteString), WireError> {
    let mut reader = reader(body);
    let notification = (reader.u32()?, reader.cstr()?, reader.cstr()?);
    reader.finish()?;
    Ok(notification)
}
