//! The hash chain of the journal: how a line is sealed and how it is checked, to the byte. It never
//! touches a file.
//!
//! A line is one JSON object with its members in this order, no blank between them, and `\n`
//! behind it:
//!
//! ```text
//! {"seq":N,"at":"2026-01-31T12:00:00.000Z","node":"…","prev":"<64 hex>","entry":{…},"hash":"<64 hex>"}
//! ```
//!
//! `entry` is an object, one thing that happened and for which somebody waited, or a list of such, in
//! their order, for which nobody did.
//!
//! The *body* is every byte of the line before the 75 bytes `,"hash":"<64 hex>"}` that end it. The
//! line's hash is `SHA-256(P || body)`, where `P` are the 32 raw bytes of the hash of the line
//! before it, and 32 zero bytes for the first line. `seq` is 1 in the first line and one more in
//! each that follows; `prev` is `P` in lower-case hex. Nothing is parsed and printed again to be
//! checked: the bytes in the file are the bytes that were hashed.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use gate::Entry;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

const SEAL: &str = ",\"hash\":\"";
const SEAL_LEN: usize = SEAL.len() + 64 + 2;

/// A link of the chain: the SHA-256 that seals a line.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The SHA-256 of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// In lower case. By hand: two of them stand in every line, and a `write!` for each byte takes longer than to hash the line.
    fn hex(&self) -> [u8; 64] {
        let digit = |nibble: u8| {
            if nibble < 10 {
                b'0' + nibble
            } else {
                b'a' - 10 + nibble
            }
        };
        let mut hex = [0; 64];
        for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        hex
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digits are UTF-8.
        f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut hash = [0; 32];
        if pairs.len() != hash.len() || !rest.is_empty() {
            return Err(NotAHash);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Ok(Self(hash))
    }
}

fn nibble(digit: u8) -> Result<u8, NotAHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotAHash),
    }
}

/// The last record of a chain. A chain without any has number 0 and the hash of zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The record's number.
    pub seq: u64,
    /// The record's hash.
    pub hash: Hash,
}

impl Head {
    /// Appends the line of one record, with its `\n`, and moves on to it. `node` is JSON already, and
    /// so are the parts of `entry` together.
    pub(crate) fn seal(&mut self, at: &str, node: &str, entry: &[&[u8]], into: &mut Vec<u8>) {
        let seq = self.seq.saturating_add(1);
        let (start, prev) = (into.len(), self.hash.hex());
        let head = format_args!(r#"{{"seq":{seq},"at":"{at}","node":{node},"prev":""#);
        // A vector takes all there is.
        let _ = into.write_fmt(head);
        let before = [prev.as_slice(), b"\",\"entry\":"];
        for part in before.iter().chain(entry) {
            into.extend_from_slice(part);
        }
        let hash = link(self.hash, into.get(start..).unwrap_or_default());
        for part in [SEAL.as_bytes(), &hash.hex(), b"\"}\n"] {
            into.extend_from_slice(part);
        }
        *self = Self { seq, hash };
    }

    /// Checks that `line` (without its `\n`) is the record after this one, and moves on to it.
    pub(crate) fn follow<'a>(&mut self, line: &'a [u8]) -> Result<Record<'a>, Broken> {
        let text = std::str::from_utf8(line).map_err(|error| Broken::Shape(error.to_string()))?;
        let at = text.len().saturating_sub(SEAL_LEN);
        let (body, seal) = text
            .split_at_checked(at)
            .ok_or_else(|| Broken::Shape("no hash at its end".into()))?;
        let written: Hash = seal
            .strip_prefix(SEAL)
            .and_then(|rest| rest.strip_suffix("\"}"))
            .and_then(|hex| hex.parse().ok())
            .ok_or_else(|| Broken::Shape("no hash at its end".into()))?;
        let record: Record<'a> =
            serde_json::from_str(text).map_err(|error| Broken::Shape(error.to_string()))?;
        let seq = self.seq.saturating_add(1);
        if record.seq != seq {
            return Err(Broken::Number {
                expected: seq,
                found: record.seq,
            });
        }
        let hash = link(self.hash, body.as_bytes());
        if record.prev != self.hash.to_string() {
            return Err(Broken::Link {
                expected: self.hash,
                found: record.prev.into(),
            });
        }
        if hash != written {
            return Err(Broken::Seal {
                expected: hash,
                found: written,
            });
        }
        *self = Self { seq, hash };
        Ok(record)
    }
}

fn link(prev: Hash, body: &[u8]) -> Hash {
    Hash(
        Sha256::new()
            .chain_update(prev.0)
            .chain_update(body)
            .finalize()
            .into(),
    )
}

/// How a record begins, as far as it says so itself: nothing of it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The record before it.
    pub(crate) before: Head,
    pub(crate) at: String,
    pub(crate) node: String,
}

impl Start {
    /// The same of a line that holds in itself.
    pub(crate) fn read_sealed(line: &[u8]) -> Option<Self> {
        let start = Self::read(line)?;
        let mut head = start.before;
        head.follow(line).ok().map(|_| start)
    }

    /// Reads a line without its `\n`.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let record: Record<'_> = serde_json::from_slice(line).ok()?;
        let before = Head {
            seq: record.seq.checked_sub(1)?,
            hash: record.prev.parse().ok()?,
        };
        Some(Self {
            before,
            at: record.at.into_owned(),
            node: record.node.into_owned(),
        })
    }
}

/// Why a line is not the next record.
#[derive(Debug)]
pub(crate) enum Broken {
    Shape(String),
    Number { expected: u64, found: u64 },
    Link { expected: Hash, found: String },
    Seal { expected: Hash, found: Hash },
}

/// One record as it stands in the file; only [`Head::follow`] hands one out, checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record<'a> {
    pub(crate) seq: u64,
    #[serde(borrow)]
    pub(crate) at: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) node: Cow<'a, str>,
    prev: &'a str,
    #[serde(borrow)]
    entry: &'a RawValue,
    pub(crate) hash: &'a str,
}

/// A signed head, as its record has it: nobody has looked whether the signature fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) head: Head,
    /// The key's id.
    pub(crate) key: String,
    /// In base64.
    pub(crate) text: String,
}

impl<'a> Record<'a> {
    /// Which closed file was removed by rule, if that is what it says: its last record.
    pub(crate) fn forgotten(&self) -> Option<Head> {
        if !self.entry.get().starts_with(r#"{"kind":"forgotten""#) {
            return None;
        }
        match serde_json::from_str(self.entry.get()) {
            Ok(Entry::Forgotten {
                last, last_hash, ..
            }) => Some(Head {
                seq: last,
                hash: last_hash.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// The signature of the head before it, if it is one: the key's id, and what it signed with.
    pub(crate) fn signed(&self) -> Option<Signature> {
        if !self.entry.get().starts_with(r#"{"kind":"signed""#) {
            return None;
        }
        let Ok(Entry::Signed { key, signature }) = serde_json::from_str(self.entry.get()) else {
            return None;
        };
        let head = Head {
            seq: self.seq.saturating_sub(1),
            hash: self.prev.parse().ok()?,
        };
        Some(Signature {
            head,
            key,
            text: signature,
        })
    }

    /// What happened, in order, as it stands in the file.
    pub(crate) fn texts(&self) -> serde_json::Result<Vec<&'a RawValue>> {
        if self.entry.get().starts_with('[') {
            serde_json::from_str(self.entry.get())
        } else {
            Ok(vec![self.entry])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (Head, Vec<u8>) {
        let mut head = Head::default();
        let mut line = Vec::new();
        head.seal(
            "2026-01-31T12:00:00.000Z",
            "\"a\"",
            &[b"{\"kind\":\"started\"}"],
            &mut line,
        );
        assert_eq!(line.pop(), Some(b'\n'));
        (head, line)
    }

    #[test]
    fn a_sealed_line_follows() {
        let (sealed, line) = sealed();
        let mut head = Head::default();
        let record = head.follow(&line).unwrap();
        assert_eq!(
            (record.seq, &*record.node, record.entry.get()),
            (1, "a", "{\"kind\":\"started\"}")
        );
        assert_eq!(head, sealed);
    }

    /// What the module's documentation says, computed without the module.
    #[test]
    fn the_hash_is_what_the_documentation_says() {
        let (_, line) = sealed();
        let body = &line[..line.len() - 75];
        let mut input = vec![0_u8; 32];
        input.extend_from_slice(body);
        let hex: Vec<String> = Sha256::digest(&input)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let hex = hex.concat();
        assert_eq!(
            &line[body.len()..],
            format!(",\"hash\":\"{hex}\"}}").as_bytes()
        );
    }

    #[test]
    fn every_changed_bit_is_found() {
        let (_, line) = sealed();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.clone();
                changed[at] ^= 1 << bit;
                assert!(
                    Head::default().follow(&changed).is_err(),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }

    #[test]
    fn a_hash_reads_back() {
        let (head, _) = sealed();
        assert_eq!(head.hash.to_string().parse::<Hash>(), Ok(head.hash));
        for bad in ["", "00", &"0".repeat(63), &"G".repeat(64), &"A".repeat(64)] {
            assert_eq!(bad.parse::<Hash>(), Err(NotAHash));
        }
    }
}
