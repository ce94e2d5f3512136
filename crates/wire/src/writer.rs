//! Writes one message: tag, length, body. It never leaves half a message behind, nor one whose length
//! word lies (R2).

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::error::WireError;
use crate::frame::LENGTH_MAX;

/// The longest text a message of our own carries; a longer one is cut at a character.
pub(crate) const TEXT_MAX: usize = 64 * 1024;

/// A message being written.
pub(crate) struct Writer<'a> {
    out: &'a mut BytesMut,
    length_at: usize,
}

/// Writes a message whose parts may not fit; what was begun is taken back on an error.
pub(crate) fn message(
    tag: Option<u8>,
    out: &mut BytesMut,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let start = out.len();
    if let Some(tag) = tag {
        out.put_u8(tag);
    }
    let length_at = out.len();
    out.put_u32(0);
    let mut writer = Writer { out, length_at };
    let done = body(&mut writer).and_then(|()| writer.seal());
    if done.is_err() {
        out.truncate(start);
    }
    done
}

/// Writes a message made only of numbers and of texts cut at [`TEXT_MAX`], which always fits.
pub(crate) fn short(tag: Option<u8>, out: &mut BytesMut, body: impl FnOnce(&mut Writer<'_>)) {
    let done = message(tag, out, |writer| {
        body(writer);
        Ok(())
    });
    debug_assert!(done.is_ok(), "a short message fits");
}

impl Writer<'_> {
    fn seal(&mut self) -> Result<(), WireError> {
        let length = self.out.len().saturating_sub(self.length_at);
        let word = u32::try_from(length).map_err(|_| WireError::TooLong)?;
        let slot = self
            .out
            .get_mut(self.length_at..)
            .and_then(|tail| tail.first_chunk_mut::<4>());
        match slot {
            Some(slot) if length <= LENGTH_MAX => {
                *slot = word.to_be_bytes();
                Ok(())
            }
            _ => Err(WireError::TooLong),
        }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.out.put_u16(value);
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.out.put_i16(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.out.put_u32(value);
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    /// Bytes, if the message has room for them; asked before they are copied.
    pub(crate) fn slice(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let used = self.out.len().saturating_sub(self.length_at);
        if used as u64 + bytes.len() as u64 > LENGTH_MAX as u64 {
            return Err(WireError::TooLong);
        }
        self.out.put_slice(bytes);
        Ok(())
    }

    /// Bytes behind their 32-bit length.
    pub(crate) fn value(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.i32(i32::try_from(bytes.len()).map_err(|_| WireError::TooLong)?);
        self.slice(bytes)
    }

    /// A string and its NUL, exactly or not at all.
    pub(crate) fn cstr(&mut self, text: &str) -> Result<(), WireError> {
        if memchr::memchr(0, text.as_bytes()).is_some() {
            return Err(WireError::EmbeddedNul);
        }
        self.slice(text.as_bytes())?;
        self.u8(0);
        Ok(())
    }

    /// A 16-bit count.
    pub(crate) fn count(&mut self, items: usize) -> Result<(), WireError> {
        self.u16(u16::try_from(items).map_err(|_| WireError::TooMany)?);
        Ok(())
    }

    /// A text of our own and its NUL: cut at [`TEXT_MAX`], a NUL inside replaced.
    pub(crate) fn text(&mut self, text: &str) {
        let text = text
            .get(..text.floor_char_boundary(TEXT_MAX))
            .unwrap_or_default();
        self.out.put_slice(without_nul(text).as_bytes());
        self.u8(0);
    }

    /// At most `max` bytes of our own.
    pub(crate) fn blob(&mut self, bytes: &[u8], max: usize) {
        self.out.put_slice(bytes.get(..max).unwrap_or(bytes));
    }
}

/// The text with every NUL replaced by U+FFFD, so that no reader stops half-way.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if memchr::memchr(0, text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\0', "\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r2_what_does_not_fit_leaves_nothing_behind() {
        let mut out = BytesMut::from(&b"before"[..]);
        let nul = message(Some(b'Q'), &mut out, |w| w.cstr("select 1\0; drop table t"));
        assert_eq!(nul, Err(WireError::EmbeddedNul));
        let many = message(Some(b'B'), &mut out, |w| w.count(65_536));
        assert_eq!(many, Err(WireError::TooMany));
        // Zero pages nobody touches: refused before a byte is copied.
        let huge = vec![0; LENGTH_MAX + 1];
        assert_eq!(
            message(Some(b'd'), &mut out, |w| w.slice(&huge)),
            Err(WireError::TooLong)
        );
        assert_eq!(
            message(Some(b'B'), &mut out, |w| w.value(&huge)),
            Err(WireError::TooLong)
        );
        assert_eq!(&out[..], b"before");
    }

    #[test]
    fn a_text_of_ours_is_cut_at_a_character_and_keeps_no_nul() {
        let mut out = BytesMut::new();
        short(Some(b'C'), &mut out, |w| w.text(&"é\0".repeat(TEXT_MAX)));
        let text = std::str::from_utf8(&out[5..out.len() - 1]).unwrap();
        assert!(text.starts_with("é\u{fffd}é") && !text.contains('\0'));
        assert_eq!(
            u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize,
            out.len() - 1
        );
    }
}
