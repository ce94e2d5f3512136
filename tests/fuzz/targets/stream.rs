//! What holds for any stream of frames, whoever sends it. It never looks into a body.

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::{Bytes, BytesMut};
use wire::WireError;
use wire::frame::{self, Frame};

/// As in a session of the gate.
pub(super) const LIMIT: usize = 1 << 20;

/// What a buffer may hold above what arrived: its own growth, and nothing that a length promised (R1).
const SLACK: usize = 1_024;

/// Feeds the bytes in pieces of this size; the frames, and how it ended.
fn fed(bytes: &[u8], size: usize) -> (Vec<Frame>, Result<BytesMut, WireError>) {
    let (mut buf, mut frames) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        buf.extend_from_slice(piece);
        loop {
            let before = buf.len();
            match frame::take(&mut buf, LIMIT) {
                Ok(Some(frame)) => {
                    assert_eq!(
                        before,
                        buf.len() + frame.body.len() + 5,
                        "consumed otherwise"
                    );
                    frames.push(frame);
                }
                Ok(None) => {
                    assert_eq!(before, buf.len(), "an incomplete frame is consumed");
                    break;
                }
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(
            buf.capacity() <= 2 * bytes.len() + SLACK,
            "memory for a promise"
        );
    }
    (frames, Ok(buf))
}

/// The frames of a stream, which are the same however it is cut (R4).
pub(super) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let whole = fed(bytes, bytes.len());
    let size = usize::from(bytes.first().copied().unwrap_or(1)) % 16 + 1;
    assert_eq!(whole, fed(bytes, size), "cut into pieces of {size}");
    assert_eq!(whole, fed(bytes, 1), "cut into bytes");
    whole.0
}

/// A frame back to bytes.
pub(super) fn encoded(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}

/// How a right message is made wrong.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Breakage {
    /// The length word says something else.
    Length(u32),
    /// The length word is off by a little.
    Near(i8),
    /// Bytes behind the message, inside the frame.
    Longer(u8),
    /// The last byte is missing, and the frame is shorter.
    Shorter,
    /// A byte of the body is another.
    Byte(u16, u8),
    /// The tag is another.
    Tag(u8),
    /// The stream ends inside this message.
    Cut(u16),
}

impl Breakage {
    /// The message's bytes, broken.
    pub(super) fn apply(self, whole: &[u8]) -> Vec<u8> {
        let (tag, body) = (whole[0], &whole[5..]);
        match self {
            Self::Length(word) => [&[tag], &word.to_be_bytes()[..], body].concat(),
            Self::Near(by) => {
                let word = u32::try_from(body.len() + 4).unwrap();
                let word = word.wrapping_add_signed(i32::from(by));
                [&[tag], &word.to_be_bytes()[..], body].concat()
            }
            Self::Longer(byte) => encoded(tag, &[body, &[byte]].concat()),
            Self::Shorter => encoded(tag, &body[..body.len().saturating_sub(1)]),
            Self::Byte(at, byte) => {
                let mut body = body.to_vec();
                let length = body.len().max(1);
                if let Some(old) = body.get_mut(usize::from(at) % length) {
                    *old = byte;
                }
                encoded(tag, &body)
            }
            Self::Tag(tag) => encoded(tag, body),
            Self::Cut(at) => whole[..usize::from(at) % whole.len()].to_vec(),
        }
    }
}

/// A name or a text: never with a NUL, often one that means something.
pub(super) fn text(u: &mut Unstructured<'_>) -> Result<String> {
    let known = [
        "",
        "s",
        "S_1",
        "user",
        "select 1",
        "begin; drop table t",
        "é\u{202e}",
        "\\;'\"$$",
    ];
    if u.ratio(1, 2)? {
        return Ok((*u.choose(&known)?).to_owned());
    }
    Ok(<&str>::arbitrary(u)?.replace('\0', "0"))
}

pub(super) fn data(u: &mut Unstructured<'_>) -> Result<Bytes> {
    Ok(Bytes::copy_from_slice(<&[u8]>::arbitrary(u)?))
}
