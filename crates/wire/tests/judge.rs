//! `postgres-protocol`, the protocol half of rust-postgres, as judge of our encoders: the same bytes as its
//! frontend, and its backend parser understands ours. They never judge our decoders; the laws do.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend as judge;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::backend::{Column, Status, encode};
use wire::cancel_key::CancelKey;
use wire::fields::{Fields, Severity};
use wire::frontend::{self, Bind, Frontend, Target};
use wire::sqlstate::SqlState;
use wire::{ByteString, startup};

/// Both sides write into a buffer of their own; then the buffers are one.
fn same(ours: impl FnOnce(&mut BytesMut), theirs: impl FnOnce(&mut BytesMut)) {
    let (mut our, mut their) = (BytesMut::new(), BytesMut::new());
    ours(&mut our);
    theirs(&mut their);
    assert_eq!(our, their);
}

fn name(text: &str) -> ByteString {
    ByteString::from(text)
}

proptest! {
    #[test]
    fn texts_and_targets(a in "[^\0]{0,30}", b in "[^\0]{0,30}", n in any::<i32>(), types in vec(any::<u32>(), 0..9)) {
        same(|o| frontend::query(&a, o).unwrap(), |o| judge::query(&a, o).unwrap());
        same(|o| frontend::parse(&a, &b, &types, o).unwrap(),
            |o| judge::parse(&a, &b, types.iter().copied(), o).unwrap());
        same(|o| frontend::execute(&a, n, o).unwrap(), |o| judge::execute(&a, n, o).unwrap());
        same(|o| frontend::copy_fail(&a, o).unwrap(), |o| judge::copy_fail(&a, o).unwrap());
        for (target, kind) in [(Target::Statement(name(&a)), b'S'), (Target::Portal(name(&a)), b'P')] {
            same(|o| frontend::describe(&target, o).unwrap(), |o| judge::describe(kind, &a, o).unwrap());
            same(|o| frontend::close(&target, o).unwrap(), |o| judge::close(kind, &a, o).unwrap());
        }
        same(|o| frontend::cleartext_password(&a, o).unwrap(),
            |o| judge::password_message(a.as_bytes(), o).unwrap());
        same(|o| frontend::password(a.as_bytes(), o).unwrap(),
            |o| judge::sasl_response(a.as_bytes(), o).unwrap());
        same(|o| frontend::sasl_initial(&a, b.as_bytes(), o).unwrap(),
            |o| judge::sasl_initial_response(&a, b.as_bytes(), o).unwrap());
    }

    #[test]
    fn binds(
        formats in vec(any::<i16>(), 0..4), values in vec(option::of(vec(any::<u8>(), 0..20)), 0..6),
        result_formats in vec(any::<i16>(), 0..4), portal in "[^\0]{0,9}", statement in "[^\0]{0,9}",
    ) {
        let bind = Bind {
            portal: name(&portal), statement: name(&statement), formats: formats.clone(),
            values: values.iter().cloned().map(|v| v.map(Bytes::from)).collect(),
            result_formats: result_formats.clone(),
        };
        let write = |value: Option<Vec<u8>>, out: &mut BytesMut| match value {
            None => Ok(IsNull::Yes),
            Some(value) => {
                out.extend_from_slice(&value);
                Ok(IsNull::No)
            }
        };
        same(|o| Frontend::Bind(bind).encode(o).unwrap(), |o| {
            let done = judge::bind(&portal, &statement, formats, values, write, result_formats, o);
            assert!(done.is_ok());
        });
    }

    #[test]
    fn startup_packets(pid in any::<i32>(), secret in any::<i32>(), value in "[^\0]{0,30}") {
        let parameters = [("user", "alice"), ("application_name", value.as_str())];
        same(|o| startup::encode_startup(&parameters, o).unwrap(),
            |o| judge::startup_message(parameters, o).unwrap());
        let key = CancelKey::new(pid.cast_unsigned(), Bytes::copy_from_slice(&secret.to_be_bytes())).unwrap();
        same(|o| startup::encode_cancel(&key, o), |o| judge::cancel_request(pid, secret, o));
        same(startup::encode_ssl_request, judge::ssl_request);
    }

    #[test]
    fn rows(values in vec(option::of("[^\0]{0,20}"), 0..6)) {
        let row: Vec<_> = values.iter().map(Option::as_deref).collect();
        let Message::DataRow(body) = parsed(|o| encode::data_row(&row, o).unwrap()) else {
            panic!("not a row")
        };
        let ranges: Vec<_> = body.ranges().collect().unwrap();
        let seen: Vec<_> = ranges.into_iter()
            .map(|range| range.map(|range| std::str::from_utf8(&body.buffer()[range]).unwrap()))
            .collect();
        prop_assert_eq!(seen, row);
    }
}

#[test]
fn bare_messages() {
    same(frontend::flush, judge::flush);
    same(frontend::sync, judge::sync);
    same(frontend::terminate, judge::terminate);
    same(frontend::copy_done, judge::copy_done);
    let data = &b"1\tone\n\0"[..];
    let theirs = judge::CopyData::new(data).unwrap();
    same(
        |o| frontend::copy_data(data, o).unwrap(),
        |o| theirs.write(o),
    );
}

/// Writes one message and has the judge read it, to the last byte.
fn parsed(write: impl FnOnce(&mut BytesMut)) -> Message {
    let mut out = BytesMut::new();
    write(&mut out);
    let message = Message::parse(&mut out).unwrap().unwrap();
    assert!(out.is_empty());
    message
}

#[test]
fn the_judge_reads_our_authentication() {
    assert!(matches!(
        parsed(encode::authentication_ok),
        Message::AuthenticationOk
    ));
    let sasl = parsed(|o| encode::authentication_sasl(&["SCRAM-SHA-256", "X"], o));
    let Message::AuthenticationSasl(body) = sasl else {
        panic!("not SASL")
    };
    assert_eq!(
        body.mechanisms().collect::<Vec<_>>().unwrap(),
        ["SCRAM-SHA-256", "X"]
    );
    let next = parsed(|o| encode::authentication_sasl_continue(b"r=1", o));
    assert!(matches!(next, Message::AuthenticationSaslContinue(body) if body.data() == b"r=1"));
    let last = parsed(|o| encode::authentication_sasl_final(b"v=1", o));
    assert!(matches!(last, Message::AuthenticationSaslFinal(body) if body.data() == b"v=1"));
    let key = CancelKey::new(7, Bytes::from_static(b"\0\0\0\x09")).unwrap();
    let Message::BackendKeyData(body) = parsed(|o| encode::backend_key_data(&key, o)) else {
        panic!("not a key")
    };
    assert_eq!((body.process_id(), body.secret_key()), (7, 9));
}

#[test]
fn the_judge_reads_our_results() {
    let columns = [Column::text("ticket"), Column::boolean("n\0m", true)];
    let description = parsed(|o| encode::row_description(&columns, o).unwrap());
    let Message::RowDescription(body) = description else {
        panic!("not a description")
    };
    let seen = body
        .fields()
        .map(|f| Ok((f.name().to_owned(), f.type_oid(), f.format())));
    let expected = [
        ("ticket".to_owned(), 25, 0),
        ("n\u{fffd}m".to_owned(), 16, 1),
    ];
    assert_eq!(seen.collect::<Vec<_>>().unwrap(), expected);
    let complete = parsed(|o| encode::command_complete("SHOW", o));
    assert!(matches!(complete, Message::CommandComplete(body) if body.tag().unwrap() == "SHOW"));
    for (status, byte) in [
        (Status::Idle, b'I'),
        (Status::Transaction, b'T'),
        (Status::Failed, b'E'),
    ] {
        let ready = parsed(|o| encode::ready_for_query(status, o));
        assert!(matches!(ready, Message::ReadyForQuery(body) if body.status() == byte));
    }
    let description = parsed(|o| encode::parameter_description(&[23, 25], o).unwrap());
    let Message::ParameterDescription(body) = description else {
        panic!("not a description")
    };
    assert_eq!(body.parameters().collect::<Vec<_>>().unwrap(), [23, 25]);
    assert!(matches!(
        parsed(encode::empty_query),
        Message::EmptyQueryResponse
    ));
    assert!(matches!(
        parsed(encode::parse_complete),
        Message::ParseComplete
    ));
    assert!(matches!(
        parsed(encode::bind_complete),
        Message::BindComplete
    ));
    assert!(matches!(
        parsed(encode::close_complete),
        Message::CloseComplete
    ));
    assert!(matches!(parsed(encode::no_data), Message::NoData));
    assert!(matches!(
        parsed(encode::portal_suspended),
        Message::PortalSuspended
    ));
}

#[test]
fn the_judge_reads_our_errors_and_news() {
    let mut fields = Fields::new(Severity::Error, SqlState::INSUFFICIENT_PRIVILEGE, "a\0b");
    (fields.detail, fields.hint) = (Some("d".into()), Some("h".into()));
    fields.others.push((b'P', "7".into()));
    let Message::ErrorResponse(body) = parsed(|o| encode::error_response(&fields, o)) else {
        panic!("not an error")
    };
    let seen = body
        .fields()
        .map(|field| Ok((field.type_(), field.value_bytes().to_vec())));
    let expected = [
        (b'S', "ERROR"),
        (b'V', "ERROR"),
        (b'C', "42501"),
        (b'M', "a\u{fffd}b"),
        (b'D', "d"),
        (b'H', "h"),
        (b'P', "7"),
    ];
    assert_eq!(
        seen.collect::<Vec<_>>().unwrap(),
        expected.map(|(tag, text)| (tag, text.as_bytes().to_vec()))
    );
    let notice = parsed(|o| encode::notice_response(&fields, o));
    assert!(matches!(notice, Message::NoticeResponse(_)));
    let status = parsed(|o| encode::parameter_status("TimeZone", "UTC", o));
    let Message::ParameterStatus(body) = status else {
        panic!("not a parameter")
    };
    assert_eq!(
        (body.name().unwrap(), body.value().unwrap()),
        ("TimeZone", "UTC")
    );
    let news = parsed(|o| encode::notification(7, "channel", "payload", o));
    let Message::NotificationResponse(body) = news else {
        panic!("not a notification")
    };
    assert_eq!(
        (
            body.process_id(),
            body.channel().unwrap(),
            body.message().unwrap()
        ),
        (7, "channel", "payload")
    );
}

#[test]
fn r7_negotiation_names_the_whole_version_as_libpq_expects() {
    let mut out = BytesMut::new();
    encode::negotiate_protocol_version(2, &["_pq_.x"], &mut out);
    assert_eq!(&out[..], b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
}
