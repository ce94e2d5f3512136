//! Messages of a client. What decodes encodes to the very bytes that came (R2, R93), a body is read to its
//! last byte (R3), and a broken message spoils nothing before it.

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::BytesMut;
use wire::frame::{self, Frame};
use wire::frontend::{Bind, Execute, Frontend, Parse, Target};
use wire::{ByteString, WireError};

use super::stream::{self, Breakage, LIMIT, encoded};

/// Any bytes, from a client that has logged in.
pub fn target(bytes: &[u8]) {
    stream::frames(bytes).into_iter().for_each(lawful);
    // Input that is too short for the generator is no find.
    let _short = script(&mut Unstructured::new(bytes));
}

fn lawful(frame: Frame) {
    let (tag, body) = (frame.tag, frame.body.clone());
    let Ok(message) = Frontend::decode(frame) else {
        return;
    };
    let mut out = BytesMut::new();
    match message.encode(&mut out) {
        Ok(()) => assert_eq!(out, encoded(tag, &body), "{message:?} is encoded otherwise"),
        Err(error) => assert_eq!((error, tag), (WireError::FunctionCall, b'F')),
    }
    if matches!(tag, b'd' | b'p' | b'F') {
        return; // bytes to the end, by definition
    }
    let longer = [&body[..], b"\0"].concat().into();
    let longer = Frontend::decode(Frame { tag, body: longer });
    assert_eq!(
        longer,
        Err(WireError::Trailing),
        "one byte more of {message:?}"
    );
    if let Some(shorter) = body.len().checked_sub(1) {
        let body = body.slice(..shorter);
        assert!(
            Frontend::decode(Frame { tag, body }).is_err(),
            "one byte less of {message:?}"
        );
    }
}

/// Messages that are right, then one that is not, then more.
fn script(u: &mut Unstructured<'_>) -> Result<()> {
    let mut bytes = BytesMut::new();
    let mut right = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let message = message(u)?;
        message.encode(&mut bytes).unwrap();
        right.push(message);
    }
    let mut broken = BytesMut::new();
    message(u)?.encode(&mut broken).unwrap();
    bytes.extend_from_slice(&Breakage::arbitrary(u)?.apply(&broken));
    for _ in 0..u.int_in_range(0..=2)? {
        message(u)?.encode(&mut bytes).unwrap();
    }
    let mut frames = stream::frames(&bytes).into_iter();
    for message in right {
        let frame = frames.next().expect("a whole message is a frame");
        assert_eq!(Frontend::decode(frame), Ok(message));
    }
    frames.for_each(lawful);
    smuggled(u)
}

/// A message inside another's text or data is data, and nothing else (CVE-2024-27304).
fn smuggled(u: &mut Unstructured<'_>) -> Result<()> {
    let mut inner = BytesMut::new();
    message(u)?.encode(&mut inner).unwrap();
    let body = [b"select 1\0", &inner[..], b"\0"].concat();
    let frame = Frame {
        tag: b'Q',
        body: body.into(),
    };
    assert_eq!(Frontend::decode(frame), Err(WireError::Trailing));
    let mut out = BytesMut::new();
    let value = inner.freeze();
    let bind = Frontend::Bind(Bind {
        portal: ByteString::new(),
        statement: ByteString::new(),
        formats: vec![1],
        values: vec![Some(value), None],
        result_formats: Vec::new(),
    });
    bind.encode(&mut out).unwrap();
    let frame = frame::take(&mut out, LIMIT).unwrap().unwrap();
    assert!(out.is_empty());
    assert_eq!(Frontend::decode(frame), Ok(bind));
    Ok(())
}

fn message(u: &mut Unstructured<'_>) -> Result<Frontend> {
    Ok(match u.int_in_range(0..=12)? {
        0 => Frontend::Query(text(u)?),
        1 => Frontend::Parse(Parse {
            name: text(u)?,
            text: text(u)?,
            types: few(u)?,
        }),
        2 => Frontend::Bind(Bind {
            portal: text(u)?,
            statement: text(u)?,
            formats: few(u)?,
            values: values(u)?,
            result_formats: few(u)?,
        }),
        3 => Frontend::Describe(target_of(u)?),
        4 => Frontend::Execute(Execute {
            portal: text(u)?,
            max_rows: i32::arbitrary(u)?,
        }),
        5 => Frontend::Close(target_of(u)?),
        6 => Frontend::Flush,
        7 => Frontend::Sync,
        8 => Frontend::Terminate,
        9 => Frontend::CopyData(stream::data(u)?),
        10 => Frontend::CopyDone,
        11 => Frontend::CopyFail(text(u)?),
        _ => Frontend::Password(stream::data(u)?),
    })
}

fn text(u: &mut Unstructured<'_>) -> Result<ByteString> {
    stream::text(u).map(ByteString::from)
}

fn few<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=4)?)
        .map(|_| T::arbitrary(u))
        .collect()
}

fn values(u: &mut Unstructured<'_>) -> Result<Vec<Option<bytes::Bytes>>> {
    let count = u.int_in_range(0..=4)?;
    let value = |_| {
        Ok(if u.ratio(1, 4)? {
            None
        } else {
            Some(stream::data(u)?)
        })
    };
    (0..count).map(value).collect()
}

fn target_of(u: &mut Unstructured<'_>) -> Result<Target> {
    let name = text(u)?;
    Ok(if u.arbitrary()? {
        Target::Statement(name)
    } else {
        Target::Portal(name)
    })
}
