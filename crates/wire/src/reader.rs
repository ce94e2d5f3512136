//! Reads a body from front to back; every step checks what is left. It never allocates for a promise,
//! only for bytes that are there (R1).

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use crate::error::WireError;

/// The unread rest of one body.
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(body: Bytes) -> Reader {
        Reader { rest: body }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.rest.try_get_u8().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.rest.try_get_u16().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, WireError> {
        self.rest.try_get_i16().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.rest.try_get_u32().map_err(|_| WireError::Truncated)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, WireError> {
        self.rest.try_get_i32().map_err(|_| WireError::Truncated)
    }

    /// The next `n` bytes.
    pub(crate) fn bytes(&mut self, n: usize) -> Result<Bytes, WireError> {
        if n > self.rest.remaining() {
            return Err(WireError::Truncated);
        }
        Ok(self.rest.split_to(n))
    }

    /// A string up to its NUL, as bytes.
    pub(crate) fn cstr_bytes(&mut self) -> Result<Bytes, WireError> {
        let end = memchr::memchr(0, &self.rest).ok_or(WireError::Unterminated)?;
        let text = self.rest.split_to(end);
        self.rest.advance(1);
        Ok(text)
    }

    /// A string up to its NUL, known to be UTF-8.
    pub(crate) fn cstr(&mut self) -> Result<ByteString, WireError> {
        ByteString::try_from(self.cstr_bytes()?).map_err(|_| WireError::NotUtf8)
    }

    /// A 16-bit count of items that take at least `each` bytes. PostgreSQL reads it unsigned (65,535
    /// parameters are legal), so there is no negative count.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, WireError> {
        let count = usize::from(self.u16()?);
        if count.saturating_mul(each) > self.rest.remaining() {
            return Err(WireError::Truncated);
        }
        Ok(count)
    }

    /// A value behind its 32-bit length; -1 is NULL, anything else below zero is an error.
    pub(crate) fn value(&mut self) -> Result<Option<Bytes>, WireError> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| WireError::ValueLength)?;
        self.bytes(length).map(Some)
    }

    /// Everything that is left.
    pub(crate) fn tail(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    /// The end: nothing may be left (R3).
    pub(crate) fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing)
        }
    }
}
