//! The journal record by record, for whoever takes it elsewhere: each is handed on only once it is checked. It never
//! writes, keeps no more than one record, and needs no running gate.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use crate::cipher::Keyring;
use crate::layout::{journal_dir, journal_file};
use crate::private::{self, Readable};
use crate::signatures::Signatures;
use crate::tampered::Tampered;
use crate::tenant_keys::TenantKey;
use crate::verify;

/// One entry of a record that follows from all before it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The record's number.
    pub seq: u64,
    /// The entry's place in the record, from one.
    pub part: usize,
    /// When it was written.
    pub at: &'a str,
    /// The node that wrote it.
    pub node: &'a str,
    /// The record's hash, in hexadecimal digits.
    pub hash: &'a str,
    /// What happened, as the JSON object that is in the file.
    pub entry: &'a str,
}

/// Why a journal was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not hold.
    #[error(transparent)]
    Tampered(#[from] Tampered),
    /// Whoever took the records wants no more.
    #[error(transparent)]
    Taker(io::Error),
}

/// Hands each entry of the journal of a state directory to `take`, in order, and checks it up to the head in its
/// ticket store. Before a fault is found what goes before it is handed on, and a chain that was written anew from some
/// record on is known by its head alone: only `Ok` says that all of it is as it was written. The gate may be running.
pub fn read_state(
    state: &Path,
    take: &mut dyn FnMut(Seen<'_>) -> io::Result<()>,
) -> Result<(), ReadError> {
    read_state_opened(state, &[], take)
}

/// The same, and what was encrypted with one of these keys is handed on as it was before. What was with others stays as it is.
pub fn read_state_opened(
    state: &Path,
    keys: &[TenantKey],
    take: &mut dyn FnMut(Seen<'_>) -> io::Result<()>,
) -> Result<(), ReadError> {
    let head = verify::head_of(state)?;
    let dir = journal_dir(state);
    let file = journal_file(&dir);
    let mut stopped = None;
    let (mut keys, mut run) = (Keyring::new(keys), None);
    let walked = verify::walk(&dir, head, Signatures::default(), &mut |record| {
        let unreadable = |why: String| Tampered::Unreadable {
            file: file.clone(),
            why,
        };
        let texts = record.texts().map_err(|why| unreadable(why.to_string()))?;
        for (place, text) in texts.into_iter().enumerate() {
            if text.get().starts_with(r#"{"kind":"started""#) {
                run = Some(record.seq);
            }
            let opened = match private::read(text.get(), &mut keys, run) {
                Readable::AsItIs => Cow::Borrowed(text.get()),
                Readable::Opened(entry) => {
                    let entry = serde_json::to_string(&entry);
                    Cow::Owned(entry.map_err(|why| unreadable(why.to_string()))?)
                }
                Readable::Displaced(key) => {
                    let seq = record.seq;
                    return Err(Tampered::Displaced { seq, key });
                }
            };
            let seen = Seen {
                seq: record.seq,
                part: place + 1,
                at: &record.at,
                node: &record.node,
                hash: record.hash,
                entry: &opened,
            };
            if let Err(why) = take(seen) {
                let ended = unreadable(why.to_string());
                stopped = Some(why);
                return Err(ended);
            }
        }
        Ok(())
    });
    match stopped {
        Some(why) => Err(ReadError::Taker(why)),
        None => Ok(walked.map(|_| ())?),
    }
}
