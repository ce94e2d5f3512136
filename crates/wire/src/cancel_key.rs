//! The key that lets a second connection cancel what runs on the first. It never shows its secret, and
//! never compares one in a time that tells how much of it was right (R49).

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use subtle::ConstantTimeEq;

use crate::error::WireError;

/// The shortest secret: that of protocol 3.0.
pub const SECRET_MIN: usize = 4;
/// The longest secret that protocol 3.2 allows.
pub const SECRET_MAX: usize = 256;

/// What BackendKeyData gives and CancelRequest brings back (manual, "Cancelling Requests in Progress").
#[derive(Clone)]
pub struct CancelKey {
    /// The process id the client was told; it says where to look, it proves nothing.
    pub pid: u32,
    /// The proof: 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub secret: Bytes,
}

impl CancelKey {
    /// A key, if its secret has a length that the protocol allows.
    pub fn new(pid: u32, secret: Bytes) -> Result<CancelKey, WireError> {
        if !(SECRET_MIN..=SECRET_MAX).contains(&secret.len()) {
            return Err(WireError::CancelKeyLength);
        }
        Ok(CancelKey { pid, secret })
    }

    /// Whether both are the same key, in a time that does not depend on where the secrets differ.
    pub fn matches(&self, other: &CancelKey) -> bool {
        let secret = self.secret.ct_eq(&other.secret);
        bool::from(self.pid.ct_eq(&other.pid) & secret)
    }
}

impl PartialEq for CancelKey {
    fn eq(&self, other: &CancelKey) -> bool {
        self.matches(other)
    }
}

impl Eq for CancelKey {}

impl Hash for CancelKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pid.hash(state);
    }
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelKey")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32, secret: &'static [u8]) -> CancelKey {
        CancelKey::new(pid, Bytes::from_static(secret)).unwrap()
    }

    #[test]
    fn r49_a_key_matches_itself_only_and_hides_its_secret() {
        assert_eq!(key(7, b"abcd"), key(7, b"abcd"));
        for other in [key(8, b"abcd"), key(7, b"abce"), key(7, b"abcde")] {
            assert!(!key(7, b"abcd").matches(&other));
        }
        assert_eq!(format!("{:?}", key(7, b"abcd")), "CancelKey { pid: 7, .. }");
        for length in [0, 3, 257] {
            let refused = CancelKey::new(7, Bytes::from(vec![1; length]));
            assert_eq!(refused, Err(WireError::CancelKeyLength));
        }
    }
}
