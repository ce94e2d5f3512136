//! Backend messages to bytes, for a client. It never lets a text end a message early: a NUL inside is
//! replaced, and what is longer than 64 KiB is cut, except in rows, which are whole or an error.

use bytes::BytesMut;

use crate::backend::message::{Column, Status};
use crate::backend::tag;
use crate::cancel_key::{CancelKey, SECRET_MAX};
use crate::error::WireError;
use crate::fields::Fields;
use crate::writer::{TEXT_MAX, message, short, without_nul};

/// AuthenticationOk.
pub fn authentication_ok(out: &mut BytesMut) {
    short(Some(tag::AUTHENTICATION), out, |w| w.i32(0));
}

/// AuthenticationSASL: the mechanisms we offer, best first.
pub fn authentication_sasl(mechanisms: &[&str], out: &mut BytesMut) {
    short(Some(tag::AUTHENTICATION), out, |w| {
        w.i32(10);
        for mechanism in mechanisms {
            w.text(mechanism);
        }
        w.u8(0);
    });
}

/// AuthenticationSASLContinue: our challenge.
pub fn authentication_sasl_continue(data: &[u8], out: &mut BytesMut) {
    short(Some(tag::AUTHENTICATION), out, |w| {
        w.i32(11);
        w.blob(data, TEXT_MAX);
    });
}

/// AuthenticationSASLFinal: our proof.
pub fn authentication_sasl_final(data: &[u8], out: &mut BytesMut) {
    short(Some(tag::AUTHENTICATION), out, |w| {
        w.i32(12);
        w.blob(data, TEXT_MAX);
    });
}

/// ParameterStatus.
pub fn parameter_status(name: &str, value: &str, out: &mut BytesMut) {
    short(Some(tag::PARAMETER_STATUS), out, |w| {
        w.text(name);
        w.text(value);
    });
}

/// BackendKeyData. A client of protocol 3.0 takes a secret of exactly four bytes.
pub fn backend_key_data(key: &CancelKey, out: &mut BytesMut) {
    short(Some(tag::BACKEND_KEY_DATA), out, |w| {
        w.u32(key.pid);
        w.blob(&key.secret, SECRET_MAX);
    });
}

/// NegotiateProtocolVersion: protocol 3.`minor` it will be, and these `_pq_.` options are not known (R7).
/// The manual speaks of a minor version; PostgreSQL sends, and libpq expects, the whole version word.
pub fn negotiate_protocol_version(minor: u16, unknown: &[&str], out: &mut BytesMut) {
    // A startup packet has no room for more options than this.
    let unknown = unknown.get(..4_096).unwrap_or(unknown);
    short(Some(tag::NEGOTIATE_PROTOCOL_VERSION), out, |w| {
        w.u16(3);
        w.u16(minor);
        w.u32(u32::try_from(unknown.len()).unwrap_or(0));
        for option in unknown {
            w.text(option);
        }
    });
}

/// ReadyForQuery.
pub fn ready_for_query(status: Status, out: &mut BytesMut) {
    short(Some(tag::READY), out, |w| w.u8(status.as_byte()));
}

/// RowDescription of a result of our own; at most 65,535 columns.
pub fn row_description(columns: &[Column], out: &mut BytesMut) -> Result<(), WireError> {
    message(Some(tag::ROW_DESCRIPTION), out, |w| {
        w.count(columns.len())?;
        for column in columns {
            w.text(&column.name);
            w.u32(0); // of no table
            w.i16(0); // nor a column of one
            w.u32(column.type_oid);
            w.i16(column.size);
            w.i32(-1); // without a modifier
            w.i16(i16::from(column.binary));
        }
        Ok(())
    })
}

/// DataRow, as text; `None` is NULL.
pub fn data_row(values: &[Option<&str>], out: &mut BytesMut) -> Result<(), WireError> {
    message(Some(tag::DATA_ROW), out, |w| {
        w.count(values.len())?;
        for value in values {
            match value {
                None => w.i32(-1),
                // libpq hands out C strings: a NUL would hide the rest from whoever reads the row.
                Some(text) => w.value(without_nul(text).as_bytes())?,
            }
        }
        Ok(())
    })
}

/// CommandComplete with a tag such as `SELECT 1`.
pub fn command_complete(command: &str, out: &mut BytesMut) {
    short(Some(tag::COMMAND_COMPLETE), out, |w| w.text(command));
}

/// EmptyQueryResponse.
pub fn empty_query(out: &mut BytesMut) {
    short(Some(tag::EMPTY_QUERY), out, |_| ());
}

/// ParseComplete.
pub fn parse_complete(out: &mut BytesMut) {
    short(Some(tag::PARSE_COMPLETE), out, |_| ());
}

/// BindComplete.
pub fn bind_complete(out: &mut BytesMut) {
    short(Some(tag::BIND_COMPLETE), out, |_| ());
}

/// CloseComplete.
pub fn close_complete(out: &mut BytesMut) {
    short(Some(tag::CLOSE_COMPLETE), out, |_| ());
}

/// NoData.
pub fn no_data(out: &mut BytesMut) {
    short(Some(tag::NO_DATA), out, |_| ());
}

/// PortalSuspended.
pub fn portal_suspended(out: &mut BytesMut) {
    short(Some(tag::PORTAL_SUSPENDED), out, |_| ());
}

/// ParameterDescription; at most 65,535 types.
pub fn parameter_description(types: &[u32], out: &mut BytesMut) -> Result<(), WireError> {
    message(Some(tag::PARAMETER_DESCRIPTION), out, |w| {
        w.count(types.len())?;
        for oid in types {
            w.u32(*oid);
        }
        Ok(())
    })
}

/// ErrorResponse. Before authentication libpq takes one over 30,000 bytes for garbage: keep it short.
pub fn error_response(fields: &Fields, out: &mut BytesMut) {
    short(Some(tag::ERROR), out, |w| fields.write(w));
}

/// NoticeResponse.
pub fn notice_response(fields: &Fields, out: &mut BytesMut) {
    short(Some(tag::NOTICE), out, |w| fields.write(w));
}

/// NotificationResponse, with the process id the client knows us by.
pub fn notification(pid: u32, channel: &str, payload: &str, out: &mut BytesMut) {
    short(Some(tag::NOTIFICATION), out, |w| {
        w.u32(pid);
        w.text(channel);
        w.text(payload);
    });
}
