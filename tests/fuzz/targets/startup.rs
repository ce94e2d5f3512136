//! What comes before the first tag, and the SCRAM messages behind it: the bytes of people whom nobody
//! knows yet (R1, R6, R17). A packet is consumed whole or not at all, and encodes to what came.

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::{Bytes, BytesMut};
use wire::WireError;
use wire::scram::{self, Server, Verifier};
use wire::startup::{self, LENGTH_MAX, StartupPacket};

use super::stream;

/// Any bytes, from a client that has said nothing yet.
pub fn target(bytes: &[u8]) {
    lawful(bytes);
    // Input that is too short for the generator is no find.
    let _short = script(&mut Unstructured::new(bytes));
    let half = bytes.len() / 2;
    conversation(&bytes[..half], &bytes[half..]);
}

type Taken = (Vec<StartupPacket>, Result<usize, WireError>);

/// All packets of a stream that comes in pieces of this size; and what is left, or why it ended.
fn fed(bytes: &[u8], size: usize) -> Taken {
    let (mut buf, mut packets) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        buf.extend_from_slice(piece);
        loop {
            let before = buf.clone();
            match startup::take(&mut buf) {
                Ok(Some(packet)) => {
                    same_bytes(&packet, &before[..before.len() - buf.len()]);
                    packets.push(packet);
                }
                Ok(None) => {
                    assert_eq!(before, buf, "an incomplete packet is consumed");
                    break;
                }
                Err(error) => return (packets, Err(error)),
            }
        }
    }
    (packets, Ok(buf.len()))
}

fn lawful(bytes: &[u8]) {
    // A piece may show what is wrong with a packet before it is whole, but never change it.
    let whole = fed(bytes, bytes.len());
    assert_eq!(whole, fed(bytes, 1), "cut into bytes");
    assert_eq!(whole, fed(bytes, 7), "cut into pieces");
}

fn same_bytes(packet: &StartupPacket, bytes: &[u8]) {
    assert!((8..=LENGTH_MAX).contains(&bytes.len()));
    let mut out = BytesMut::new();
    match packet {
        StartupPacket::SslRequest => startup::encode_ssl_request(&mut out),
        StartupPacket::GssEncRequest => out.extend_from_slice(b"\0\0\0\x08\x04\xd2\x16\x30"),
        StartupPacket::Cancel(key) => startup::encode_cancel(key, &mut out),
        StartupPacket::Startup(startup) => {
            let each = startup.parameters.iter();
            let pairs: Vec<_> = each.map(|(name, value)| (&**name, &**value)).collect();
            startup::encode_startup(&pairs, &mut out).unwrap();
            let minor = startup.minor.to_be_bytes();
            out[6..8].copy_from_slice(&minor);
            assert_eq!(startup.major, 3);
            assert!(startup.user().is_none_or(|user| !user.is_empty()));
        }
    }
    assert_eq!(out, bytes, "{packet:?} is encoded otherwise");
}

/// Requests for encryption, then a startup packet with a length, a version or a layout that may be wrong.
fn script(u: &mut Unstructured<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        let code: u32 = *u.choose(&[80_877_103, 80_877_104, 80_877_102])?;
        let secret = if code == 80_877_102 { u.bytes(8)? } else { &[] };
        let length = u32::try_from(8 + secret.len()).unwrap();
        bytes.extend([&length.to_be_bytes(), &code.to_be_bytes(), secret].concat());
    }
    let mut body = Vec::new();
    let known = [
        "user",
        "database",
        "options",
        "role",
        "replication",
        "search_path",
        "_pq_.x",
    ];
    for _ in 0..u.int_in_range(0..=5)? {
        let name = if u.ratio(3, 4)? {
            (*u.choose(&known)?).to_owned()
        } else {
            stream::text(u)?
        };
        body.extend([name.as_bytes(), b"\0", stream::text(u)?.as_bytes(), b"\0"].concat());
    }
    body.extend(u.ratio(7, 8)?.then_some(0));
    let version: u32 = *u.choose(&[196_608, 196_610, 196_617, 131_072, 0x0004_0000, 0])?;
    let mut length = u32::try_from(body.len() + 8).unwrap();
    if u.ratio(1, 4)? {
        length = u32::arbitrary(u)?;
    }
    bytes.extend([&length.to_be_bytes(), &version.to_be_bytes(), &body[..]].concat());
    lawful(&bytes);
    Ok(())
}

/// SCRAM never lets in whoever does not know the password (CVE-2026-6664, R8).
fn conversation(first: &[u8], last: &[u8]) {
    let verifier = || Verifier::from_password("pencil", b"salt", 1);
    let _initial = scram::initial_response(&Bytes::copy_from_slice(first));
    if let Ok((waiting, _)) = Server::new(verifier(), [7; 18]).first(scram::MECHANISM, first) {
        assert!(waiting.finish(last).is_err(), "let in");
    }
    let right = b"n,,n=,r=x";
    let (waiting, challenge) = Server::new(verifier(), [7; 18])
        .first(scram::MECHANISM, right)
        .unwrap();
    assert!(challenge.starts_with(b"r=x"));
    assert!(waiting.finish(last).is_err(), "let in");
    if let Ok(text) = std::str::from_utf8(first) {
        let _verifier = text.parse::<Verifier>();
    }
}
