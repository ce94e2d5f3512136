//! Laws over generated input: what is encoded decodes to itself, chunking changes nothing, a byte too many
//! is refused, and no bytes make a decoder panic. They never compare with anybody else's code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::backend::{self, Status, decode, encode};
use wire::cancel_key::CancelKey;
use wire::fields::{Fields, Severity};
use wire::frame::{self, Frame};
use wire::frontend::{Bind, Execute, Frontend, Parse, Target};
use wire::scram::{self, Server, Verifier};
use wire::sqlstate::SqlState;
use wire::startup::{self, StartupPacket};
use wire::{ByteString, WireError};

const LIMIT: usize = 1 << 20;

fn text() -> impl Strategy<Value = ByteString> {
    "[^\0]{0,40}".prop_map(ByteString::from)
}

fn data() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..60).prop_map(Bytes::from)
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        text().prop_map(Target::Statement),
        text().prop_map(Target::Portal)
    ]
}

fn parse() -> impl Strategy<Value = Frontend> {
    (text(), text(), vec(any::<u32>(), 0..9))
        .prop_map(|(name, text, types)| Frontend::Parse(Parse { name, text, types }))
}

fn bind() -> impl Strategy<Value = Frontend> {
    let formats = || vec(any::<i16>(), 0..5);
    (
        text(),
        text(),
        formats(),
        vec(option::of(data()), 0..6),
        formats(),
    )
        .prop_map(|(portal, statement, formats, values, result_formats)| {
            Frontend::Bind(Bind {
                portal,
                statement,
                formats,
                values,
                result_formats,
            })
        })
}

fn message() -> impl Strategy<Value = Frontend> {
    prop_oneof![
        text().prop_map(Frontend::Query),
        parse(),
        bind(),
        target().prop_map(Frontend::Describe),
        (text(), any::<i32>())
            .prop_map(|(portal, max_rows)| Frontend::Execute(Execute { portal, max_rows })),
        target().prop_map(Frontend::Close),
        Just(Frontend::Flush),
        Just(Frontend::Sync),
        Just(Frontend::Terminate),
        data().prop_map(Frontend::CopyData),
        Just(Frontend::CopyDone),
        text().prop_map(Frontend::CopyFail),
        data().prop_map(Frontend::Password),
    ]
}

fn encoded(messages: &[Frontend]) -> BytesMut {
    let mut out = BytesMut::new();
    for message in messages {
        message.encode(&mut out).unwrap();
    }
    out
}

/// Feeds the chunks one by one and takes what is whole; and what stays behind.
fn fed<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, BytesMut) {
    let (mut buf, mut frames) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buf.extend_from_slice(chunk);
        while let Some(frame) = frame::take(&mut buf, LIMIT).unwrap() {
            frames.push(frame);
        }
    }
    (frames, buf)
}

proptest! {
    #[test]
    fn r2_what_is_encoded_decodes_to_itself(message in message()) {
        let mut out = encoded(std::slice::from_ref(&message));
        let frame = frame::take(&mut out, LIMIT).unwrap().unwrap();
        prop_assert!(out.is_empty());
        prop_assert_eq!(Frontend::decode(frame).unwrap(), message);
    }

    #[test]
    fn r4_chunking_changes_nothing(messages in vec(message(), 0..8), size in 1usize..12) {
        let bytes = encoded(&messages);
        let (whole, rest) = fed(std::iter::once(&bytes[..]));
        prop_assert!(rest.is_empty());
        let (chunked, rest) = fed(bytes.chunks(size));
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&whole, &chunked);
        let decoded: Vec<_> = whole.into_iter().map(|f| Frontend::decode(f).unwrap()).collect();
        prop_assert_eq!(decoded, messages);
    }

    #[test]
    fn r3_one_byte_more_is_refused(message in message(), byte in any::<u8>()) {
        // These two are bytes to the end, by definition.
        prop_assume!(!matches!(message, Frontend::CopyData(_) | Frontend::Password(_)));
        let mut out = encoded(&[message]);
        let frame = frame::take(&mut out, LIMIT).unwrap().unwrap();
        let mut body = frame.body.to_vec();
        body.push(byte);
        let refused = Frontend::decode(Frame { tag: frame.tag, body: body.into() });
        prop_assert_eq!(refused, Err(WireError::Trailing));
    }

    #[test]
    fn r3_one_byte_less_is_refused(message in message()) {
        prop_assume!(!matches!(message, Frontend::CopyData(_) | Frontend::Password(_)));
        let mut out = encoded(&[message]);
        let frame = frame::take(&mut out, LIMIT).unwrap().unwrap();
        prop_assume!(!frame.body.is_empty());
        let body = frame.body.slice(..frame.body.len() - 1);
        let refused = Frontend::decode(Frame { tag: frame.tag, body });
        prop_assert!(refused.is_err());
    }

    #[test]
    fn r1_no_bytes_make_a_decoder_panic(bytes in data(), tag in any::<u8>(), limit in any::<usize>()) {
        let mut buf = BytesMut::from(&bytes[..]);
        if let Ok(None) | Err(_) = frame::take(&mut buf, limit) {
            prop_assert_eq!(buf.len(), bytes.len());
        }
        let _ = startup::take(&mut BytesMut::from(&bytes[..]));
        let _ = Frontend::decode(Frame { tag, body: bytes.clone() });
        for tag in *b"QPBDECHSXFdcfp" {
            let _ = Frontend::decode(Frame { tag, body: bytes.clone() });
        }
        let _ = decode::ready_status(&bytes);
        let _ = decode::command_tag(&bytes);
        let _ = decode::parameter_status(&bytes);
        let _ = decode::backend_key_data(&bytes);
        let _ = decode::authentication(&bytes);
        let _ = decode::data_row_values(&bytes);
        let _ = decode::fields(&bytes);
        let _ = decode::notification(&bytes);
        let _ = scram::initial_response(&bytes);
    }

    #[test]
    fn r1_no_startup_body_makes_the_decoder_panic(
        code in prop_oneof![Just(0x0003_0000u32), Just(0x0003_0002), Just(80_877_102), any::<u32>()],
        rest in "(user|database|\0|[a-z]{0,3}|.){0,12}",
    ) {
        let length = u32::try_from(8 + rest.len()).unwrap();
        let mut buf = BytesMut::new();
        buf.extend_from_slice(&length.to_be_bytes());
        buf.extend_from_slice(&code.to_be_bytes());
        buf.extend_from_slice(rest.as_bytes());
        if let Ok(Some(StartupPacket::Startup(startup))) = startup::take(&mut buf) {
            prop_assert!(buf.is_empty());
            let _ = (startup.user(), startup.database());
        }
    }

    #[test]
    fn r1_no_bytes_make_scram_panic(first in "([nyp]|,|n=|r=|a=|m=|.){0,12}", last in "([crp]=|,|biws|.){0,12}") {
        let verifier = Verifier::from_password("pencil", b"salt", 1);
        let _ = Server::new(verifier.clone(), [7; 18]).first(scram::MECHANISM, first.as_bytes());
        let (state, _) =
            Server::new(verifier, [7; 18]).first(scram::MECHANISM, b"n,,n=,r=x").unwrap();
        prop_assert!(state.finish(last.as_bytes()).is_err());
        let _ = first.parse::<Verifier>();
        let _ = format!("SCRAM-SHA-256${first}").parse::<Verifier>();
    }

    #[test]
    fn startup_parameters_come_back_in_order(
        parameters in vec(("[^\0]{1,9}", "[^\0]{0,9}"), 0..9),
        size in 1usize..9,
    ) {
        let pairs: Vec<_> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut out = BytesMut::new();
        startup::encode_startup(&pairs, &mut out).unwrap();
        let (mut buf, mut taken) = (BytesMut::new(), None);
        for chunk in out.chunks(size) {
            prop_assert!(taken.is_none());
            buf.extend_from_slice(chunk);
            taken = startup::take(&mut buf).unwrap();
        }
        let Some(StartupPacket::Startup(startup)) = taken else { panic!("incomplete") };
        prop_assert_eq!((startup.major, startup.minor), (3, 0));
        let back: Vec<_> = startup.parameters.iter().map(|(n, v)| (&**n, &**v)).collect();
        prop_assert_eq!(back, pairs);
    }

    #[test]
    fn what_a_server_says_comes_back(
        pid in any::<u32>(), secret in vec(any::<u8>(), 4..=256),
        name in "[^\0]{0,20}", value in "[^\0]{0,20}",
        values in vec(option::of("[^\0]{0,20}"), 0..9),
    ) {
        let mut out = BytesMut::new();
        let key = CancelKey::new(pid, secret.into()).unwrap();
        encode::backend_key_data(&key, &mut out);
        encode::parameter_status(&name, &value, &mut out);
        encode::command_complete(&name, &mut out);
        encode::notification(pid, &name, &value, &mut out);
        encode::ready_for_query(Status::Failed, &mut out);
        let row: Vec<_> = values.iter().map(Option::as_deref).collect();
        encode::data_row(&row, &mut out).unwrap();
        encode::authentication_sasl(&["A", "B"], &mut out);
        let mut next = || frame::take(&mut out, LIMIT).unwrap().unwrap().body;
        prop_assert_eq!(decode::backend_key_data(&next()).unwrap(), key);
        let status = decode::parameter_status(&next()).unwrap();
        prop_assert_eq!((&*status.0, &*status.1), (&*name, &*value));
        let complete = next();
        prop_assert_eq!(decode::command_tag(&complete).unwrap(), &*name);
        let notification = decode::notification(&next()).unwrap();
        prop_assert_eq!((notification.0, &*notification.1, &*notification.2), (pid, &*name, &*value));
        prop_assert_eq!(decode::ready_status(&next()), Ok(Status::Failed));
        let back = decode::data_row_values(&next()).unwrap();
        let row: Vec<_> = row.iter().map(|v| v.map(|v| Bytes::copy_from_slice(v.as_bytes()))).collect();
        prop_assert_eq!(back, row);
        let sasl = backend::Authentication::Sasl(vec!["A".into(), "B".into()]);
        prop_assert_eq!(decode::authentication(&next()).unwrap(), sasl);
        prop_assert!(out.is_empty());
    }

    #[test]
    fn fields_come_back_without_their_nuls(
        message in ".{0,30}", detail in option::of(".{0,30}|a\0b"), hint in option::of(".{0,30}"),
        position in option::of("[0-9]{1,5}"),
    ) {
        let fields = Fields {
            severity: Severity::Notice, sqlstate: SqlState::new(b"ZG001"), message, detail, hint, others: position.into_iter().map(|it| (b'P', it)).collect(),
        };
        let mut out = BytesMut::new();
        encode::notice_response(&fields, &mut out);
        let frame = frame::take(&mut out, LIMIT).unwrap().unwrap();
        prop_assert!(out.is_empty());
        let clean = |text: String| text.replace('\0', "\u{fffd}");
        let expected = Fields {
            message: clean(fields.message), detail: fields.detail.map(clean),
            hint: fields.hint.map(clean), ..fields
        };
        prop_assert_eq!(decode::fields(&frame.body).unwrap(), expected);
    }
}

#[test]
fn r3_every_backend_body_we_look_at_ends_where_it_ends() {
    let body = |bytes: &'static [u8]| Bytes::from_static(bytes);
    assert_eq!(decode::ready_status(b"I"), Ok(Status::Idle));
    assert_eq!(decode::ready_status(b"II"), Err(WireError::Trailing));
    assert_eq!(decode::ready_status(b""), Err(WireError::Truncated));
    assert_eq!(
        decode::ready_status(b"i"),
        Err(WireError::TransactionStatus(b'i'))
    );
    assert_eq!(
        decode::command_tag(&body(b"SELECT 1\0x")),
        Err(WireError::Trailing)
    );
    assert_eq!(
        decode::parameter_status(&body(b"a\0b\0c")),
        Err(WireError::Trailing)
    );
    assert_eq!(
        decode::notification(&body(b"\0\0\0\x01a\0b\0c")),
        Err(WireError::Trailing)
    );
    assert_eq!(
        decode::data_row_values(&body(b"\0\0x")),
        Err(WireError::Trailing)
    );
    assert_eq!(
        decode::authentication(&body(b"\0\0\0\0x")),
        Err(WireError::Trailing)
    );
    assert_eq!(
        decode::authentication(&body(b"\0\0\0\x0aA\0")),
        Err(WireError::Unterminated)
    );
    let gss = decode::authentication(&body(b"\0\0\0\x07"));
    assert_eq!(gss, Ok(backend::Authentication::Other(7)));
    assert_eq!(
        decode::backend_key_data(&body(b"\0\0\0\x01abc")),
        Err(WireError::CancelKeyLength)
    );
}
