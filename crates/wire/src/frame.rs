//! A frame: one tag byte, a length word that counts itself, a body. It never looks into the body and
//! never allocates for a length it has only been told (R1).

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::error::WireError;

/// Tag and length word.
const HEADER: usize = 5;

/// The greatest length word anywhere: a body below 1 GiB and the word itself. Limits above it are lowered
/// to it, as PostgreSQL does (`MaxAllocSize`).
pub const LENGTH_MAX: usize = (1 << 30) + 3;

/// A good limit before authentication: no answer to an authentication request is longer (R1).
pub const AUTH_LENGTH_MAX: usize = 64 * 1024;

/// One frame, cut out of the stream. Its `Debug` shows tag and size only: a body may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What kind of message it is (`Q`, `Z`, ...).
    pub tag: u8,
    /// What follows the length word.
    pub body: Bytes,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Frame({:?}, {} bytes)",
            char::from(self.tag),
            self.body.len()
        )
    }
}

/// What the first five bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What kind of message it is.
    pub tag: u8,
    /// The frame's size on the wire: tag, length word and body.
    pub total: usize,
}

/// Reads a frame's header; `None` while there are fewer than five bytes. `limit` is the greatest length
/// word allowed (the tag not counted). An error means that the stream cannot be followed any further.
pub fn header(buf: &[u8], limit: usize) -> Result<Option<Header>, WireError> {
    let Some(&[tag, a, b, c, d]) = buf.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    // Unsigned, so that a negative length is a far too great one.
    let word = u32::from_be_bytes([a, b, c, d]);
    let length = usize::try_from(word).map_err(|_| WireError::MessageLength)?;
    if length < 4 || length > limit.min(LENGTH_MAX) {
        return Err(WireError::MessageLength);
    }
    Ok(Some(Header {
        tag,
        total: length + 1,
    }))
}

/// Cuts one whole frame off the front; `None` while it is incomplete, and then nothing is consumed.
pub fn take(buf: &mut BytesMut, limit: usize) -> Result<Option<Frame>, WireError> {
    let Some(Header { tag, total }) = header(buf, limit)? else {
        return Ok(None);
    };
    if buf.len() < total {
        return Ok(None);
    }
    let mut body = buf.split_to(total).freeze();
    body.advance(HEADER);
    Ok(Some(Frame { tag, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_length(word: u32) -> [u8; 5] {
        let [a, b, c, d] = word.to_be_bytes();
        [b'Q', a, b, c, d]
    }

    #[test]
    fn r1_every_length_is_checked_before_anything_else() {
        for word in [
            0,
            1,
            3,
            65,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_fff9,
            0xffff_ffff,
        ] {
            assert_eq!(
                header(&with_length(word), 64),
                Err(WireError::MessageLength),
                "{word}"
            );
        }
        assert_eq!(
            header(&with_length(4), 64),
            Ok(Some(Header {
                tag: b'Q',
                total: 5
            }))
        );
        assert_eq!(
            header(&with_length(64), 64),
            Ok(Some(Header {
                tag: b'Q',
                total: 65
            }))
        );
        assert_eq!(
            header(&with_length(0x4000_0004), usize::MAX),
            Err(WireError::MessageLength)
        );
        assert_eq!(header(&with_length(4)[..4], 64), Ok(None));
    }

    #[test]
    fn r1_an_incomplete_frame_takes_no_memory() {
        let mut buf = BytesMut::from(&with_length(0x3fff_ffff)[..]);
        assert_eq!(take(&mut buf, LENGTH_MAX), Ok(None));
        assert!(buf.capacity() < 1024);
    }

    #[test]
    fn take_consumes_exactly_one_frame() {
        let mut buf = BytesMut::from(&b"Q\0\0\0\x06a\0S\0\0\0\x04X"[..]);
        let frame = take(&mut buf, 64).unwrap().unwrap();
        assert_eq!((frame.tag, &frame.body[..]), (b'Q', &b"a\0"[..]));
        let frame = take(&mut buf, 64).unwrap().unwrap();
        assert_eq!((frame.tag, &frame.body[..]), (b'S', &b""[..]));
        assert_eq!(&buf[..], b"X");
        assert_eq!(take(&mut buf, 64), Ok(None));
    }

    #[test]
    fn debug_shows_no_body() {
        let frame = Frame {
            tag: b'p',
            body: Bytes::from_static(b"hunter2\0"),
        };
        assert_eq!(format!("{frame:?}"), "Frame('p', 8 bytes)");
    }
}
