//! The arithmetic of SCRAM: HMAC, the hash, the salted password. It never keeps a key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The size of a SHA-256, and of every key here.
pub(crate) const SIZE: usize = 32;
/// SHA-256's block, which an HMAC key is padded to.
const BLOCK: usize = 64;

/// One key or one signature.
pub(crate) type Key = [u8; SIZE];

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; BLOCK];
    let hashed;
    let key = if key.len() > BLOCK {
        hashed = digest(key);
        &hashed[..]
    } else {
        key
    };
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    Hmac::new(&block.into())
}

/// HMAC-SHA-256 over the parts, one after the other.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

/// Each byte of one with the same byte of the other.
pub(crate) fn xor(mut left: Key, right: &Key) -> Key {
    for (left, right) in left.iter_mut().zip(right) {
        *left ^= right;
    }
    left
}

/// `Hi` of RFC 5802: PBKDF2 with HMAC-SHA-256, one block.
pub(crate) fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Key {
    let password = keyed(password);
    let mut first = password.clone();
    first.update(salt);
    first.update(&1u32.to_be_bytes());
    let mut last: Key = first.finalize().into_bytes().into();
    let mut sum = last;
    for _ in 1..iterations {
        let mut next = password.clone();
        next.update(&last);
        last = next.finalize().into_bytes().into();
        sum = xor(sum, &last);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_longer_than_a_block_is_hashed_first() {
        // RFC 4231, test case 6.
        let expected = [
            0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5,
            0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f,
            0x0e, 0xe3, 0x7f, 0x54,
        ];
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(mac(&[0xaa; 131], &[&text[..9], &text[9..]]), expected);
    }
}
