//! The signed heads of a journal as they are met on the way through it, and what they are worth with the keys at hand. It never
//! judges the chain itself.

use std::path::{Path, PathBuf};

use crate::chain::{Record, Signature};
use crate::options::Keys;
use crate::signing::PublicKey;
use crate::tampered::Tampered;

/// How far a journal is signed with the keys that it was checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// So many heads are signed with them; each signature fits.
    pub heads: u64,
    /// The last of these heads: all records up to it are those that were signed.
    pub to: u64,
    /// When it was signed.
    pub at: String,
    /// So many records are behind it and the record that signs it: nobody has signed for these.
    pub behind: u64,
    /// So many heads are signed with keys that are not at hand; nobody looked at them.
    pub others: u64,
}

/// What is met on the way.
#[derive(Default)]
pub(crate) struct Signatures {
    keys: Vec<PublicKey>,
    /// One signature speaks for all before it: who wants no more than that looks at the last alone.
    only_last: bool,
    heads: u64,
    others: u64,
    last: Option<Met>,
}

/// A head that one of the keys should have signed.
struct Met {
    signature: Signature,
    file: PathBuf,
    line: u64,
    at: String,
    node: String,
}

impl Signatures {
    /// Looks at each that one of these keys should have made.
    pub(crate) fn all(keys: &[PublicKey]) -> Self {
        Self {
            keys: keys.to_owned(),
            ..Self::default()
        }
    }

    /// Looks at the last that is of the gate's own key.
    pub(crate) fn last(keys: &Keys) -> Self {
        let own = keys.signing.iter().map(|it| it.key.public().clone());
        Self {
            keys: own.collect(),
            only_last: true,
            ..Self::default()
        }
    }

    /// Meets a record that follows from all before it.
    pub(crate) fn meet(
        &mut self,
        record: &Record<'_>,
        file: &Path,
        line: u64,
    ) -> Result<(), Tampered> {
        let Some(signature) = record.signed() else {
            return Ok(());
        };
        if !self.keys.iter().any(|it| it.id() == signature.key) {
            self.others += 1;
            return Ok(());
        }
        let met = Met {
            signature,
            file: file.to_owned(),
            line,
            at: record.at.clone().into_owned(),
            node: serde_json::Value::from(&*record.node).to_string(),
        };
        if !self.only_last {
            self.check(&met)?;
        }
        self.heads += 1;
        self.last = Some(met);
        Ok(())
    }

    fn check(&self, met: &Met) -> Result<(), Tampered> {
        let Signature { head, key, text } = &met.signature;
        let mut fitting = self.keys.iter().filter(|it| it.id() == key);
        if fitting.any(|it| it.verifies(&met.node, *head, &met.at, text)) {
            return Ok(());
        }
        Err(Tampered::Signature {
            file: met.file.clone(),
            line: met.line,
            seq: head.seq.saturating_add(1),
            key: key.clone(),
        })
    }

    /// Looks at what has not been looked at, at the end of the way.
    pub(crate) fn end(&self) -> Result<(), Tampered> {
        let left = self.last.as_ref().filter(|_| self.only_last);
        left.map_or(Ok(()), |it| self.check(it))
    }

    /// What there is to say of a journal that ends with the record `tail`; nothing where no key was at hand.
    pub(crate) fn report(self, dir: &Path, tail: u64) -> Result<Option<Signed>, Tampered> {
        let Some(last) = self.last else {
            let keys: Vec<&str> = self.keys.iter().map(PublicKey::id).collect();
            if keys.is_empty() {
                return Ok(None);
            }
            return Err(Tampered::Unsigned {
                dir: dir.to_owned(),
                keys: keys.join(", "),
            });
        };
        let to = last.signature.head.seq;
        Ok(Some(Signed {
            heads: self.heads,
            to,
            at: last.at,
            behind: tail.saturating_sub(to.saturating_add(1)),
            others: self.others,
        }))
    }

    /// How many heads are signed with keys that are not at hand.
    pub(crate) fn others(&self) -> u64 {
        self.others
    }
}
