//! Messages of a server, which is trusted no more than a client (R41): any body may come with any tag.
//! What we look at is read to its last byte, and says on what it was read from.

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::BytesMut;
use wire::CancelKey;
use wire::backend::{Status, decode, encode, tag};
use wire::fields::{Fields, Severity};
use wire::frame::Frame;
use wire::sqlstate::SqlState;

use super::stream::{self, Breakage, encoded};

/// Any bytes, from an upstream.
pub fn target(bytes: &[u8]) {
    for frame in &stream::frames(bytes) {
        lawful(frame);
    }
    // Input that is too short for the generator is no find.
    let _short = script(&mut Unstructured::new(bytes));
}

/// Decodes the body as what its tag says, and encodes it again.
fn lawful(frame: &Frame) {
    let (tag, body) = (frame.tag, &frame.body);
    any_decoder(body);
    let mut out = BytesMut::new();
    match tag {
        tag::READY => match decode::ready_status(body) {
            Ok(status) => encode::ready_for_query(status, &mut out),
            Err(_) => return,
        },
        tag::COMMAND_COMPLETE => match decode::command_tag(body) {
            Ok(text) => encode::command_complete(text, &mut out),
            Err(_) => return,
        },
        tag::PARAMETER_STATUS => match decode::parameter_status(body) {
            Ok((name, value)) => encode::parameter_status(&name, &value, &mut out),
            Err(_) => return,
        },
        tag::BACKEND_KEY_DATA => match decode::backend_key_data(body) {
            Ok(key) => encode::backend_key_data(&key, &mut out),
            Err(_) => return,
        },
        tag::NOTIFICATION => match decode::notification(body) {
            Ok((pid, channel, payload)) => encode::notification(pid, &channel, &payload, &mut out),
            Err(_) => return,
        },
        tag::ERROR | tag::NOTICE => return steady(body),
        _ => return,
    }
    // Encoders cut texts of 64 KiB; nothing that long comes out of a corpus by itself.
    if body.len() < 60_000 {
        assert_eq!(out, encoded(tag, body), "tag {tag} is encoded otherwise");
    }
}

/// No body makes a decoder panic, whatever the tag.
fn any_decoder(body: &[u8]) {
    let _status = decode::ready_status(body);
    let _tag = decode::command_tag(body);
    let _parameter = decode::parameter_status(body);
    let _key = decode::backend_key_data(body);
    let _authentication = decode::authentication(body);
    let _notification = decode::notification(body);
    steady(body);
    if let Ok(values) = decode::data_row_values(body) {
        let bytes: usize = values.iter().flatten().map(bytes::Bytes::len).sum();
        assert_eq!(
            2 + 4 * values.len() + bytes,
            body.len(),
            "a row of other bytes"
        );
        assert!(
            values.capacity() <= body.len() / 4 + 8,
            "memory for a promise"
        );
    }
}

/// What was read of an error is read again of what it says (R41).
fn steady(body: &[u8]) {
    let Ok(fields) = decode::fields(body) else {
        return;
    };
    let mut out = BytesMut::new();
    encode::error_response(&fields, &mut out);
    let again = decode::fields(&out[5..]).expect("our own error");
    if body.len() < 60_000 {
        assert_eq!(fields, again);
    }
}

/// What a server says, with one message of it broken.
fn script(u: &mut Unstructured<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        bytes.extend(reply(u)?);
    }
    let broken = reply(u)?;
    bytes.extend(Breakage::arbitrary(u)?.apply(&broken));
    bytes.extend(reply(u)?);
    for frame in &stream::frames(&bytes) {
        lawful(frame);
    }
    Ok(())
}

fn reply(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    match u.int_in_range(0..=10)? {
        0 => {
            let status = *u.choose(&[Status::Idle, Status::Transaction, Status::Failed])?;
            encode::ready_for_query(status, &mut out);
        }
        1 => encode::command_complete(&stream::text(u)?, &mut out),
        2 => encode::parameter_status(&stream::text(u)?, &stream::text(u)?, &mut out),
        3 => {
            let secret = bytes::Bytes::copy_from_slice(u.bytes(4)?);
            encode::backend_key_data(&CancelKey::new(u.arbitrary()?, secret).unwrap(), &mut out);
        }
        4 => encode::notification(
            u.arbitrary()?,
            &stream::text(u)?,
            &stream::text(u)?,
            &mut out,
        ),
        5 | 6 => encode::error_response(&fields(u)?, &mut out),
        7 => {
            let (one, other) = (stream::text(u)?, stream::text(u)?);
            encode::data_row(&[Some(&one), None, Some(&other)], &mut out).unwrap();
        }
        8 => encode::authentication_sasl(&["SCRAM-SHA-256", &stream::text(u)?], &mut out),
        9 => encode::authentication_sasl_continue(&stream::data(u)?, &mut out),
        _ => {
            // Fields in any order, doubled or missing (CVE-2026-6666).
            let mut body = Vec::new();
            for _ in 0..u.int_in_range(0..=5)? {
                body.push(*u.choose(b"SVCMDHPpqWscdtnFLR")?);
                body.extend(stream::text(u)?.into_bytes());
                body.push(0);
            }
            body.push(0);
            return Ok(encoded(*u.choose(b"EN")?, &body));
        }
    }
    Ok(out.to_vec())
}

fn fields(u: &mut Unstructured<'_>) -> Result<Fields> {
    let severity = *u.choose(&[Severity::Error, Severity::Fatal, Severity::Notice])?;
    let mut fields = Fields::new(severity, SqlState::new(b"ZG001"), stream::text(u)?);
    fields.detail = u
        .arbitrary::<bool>()?
        .then(|| stream::text(u))
        .transpose()?;
    fields.hint = u
        .arbitrary::<bool>()?
        .then(|| stream::text(u))
        .transpose()?;
    Ok(fields)
}
