//! What of an entry is a requester's own: the statements and their parameters, what a server says of them, what people say in
//! their own words, and the digest, by which a guess could be tried. It never decides who may see it.

use gate::Entry;
use gate::ticket::Asked;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chain::Record;
use crate::cipher::{Cipher, Encrypted, Keyring};

/// The members of an entry that are encrypted where its tenant has a key.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Private {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asked: Vec<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    digest: String,
}

impl Private {
    /// Changes places with what an entry has; nothing is where an entry has no such members.
    fn swap(&mut self, entry: &mut Entry) {
        use std::mem::swap;
        match entry {
            Entry::Intent { asked, .. }
            | Entry::Looked { asked, .. }
            | Entry::Denied { asked, .. } => swap(asked, &mut self.asked),
            Entry::Observed { asked, why, .. } => {
                swap(asked, &mut self.asked);
                swap(why, &mut self.why);
            }
            Entry::Outcome { error, .. } => swap(error, &mut self.error),
            Entry::Decided { comment, .. } => swap(comment, &mut self.comment),
            Entry::BrokeGlass { reason, digest, .. } => {
                swap(reason, &mut self.reason);
                swap(digest, &mut self.digest);
            }
            Entry::Held { digest, .. } | Entry::Requested { digest, .. } => {
                swap(digest, &mut self.digest);
            }
            Entry::Started { .. }
            | Entry::Reopened { .. }
            | Entry::Forgotten { .. }
            | Entry::Signed { .. }
            | Entry::Login { .. }
            | Entry::TransactionEnd { .. }
            | Entry::Signalled { .. }
            | Entry::HeldAll { .. }
            | Entry::Terminated { .. }
            | Entry::Reloaded { .. }
            | Entry::Paused { .. }
            | Entry::Recovered { .. } => {}
        }
    }
}

/// The entry without what is a requester's own, and that, as JSON. Nothing if there is nothing of it.
pub(crate) fn split(entry: &Entry) -> serde_json::Result<Option<(Entry, Vec<u8>)>> {
    if matches!(entry, Entry::Outcome { error: None, .. }) {
        return Ok(None);
    }
    let (mut clear, mut private) = (entry.clone(), Private::default());
    private.swap(&mut clear);
    if private == Private::default() {
        return Ok(None);
    }
    Ok(Some((clear, serde_json::to_vec(&private)?)))
}

/// Whose an entry is, if it says so.
pub(crate) fn tenant(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Login { tenant, .. }
        | Entry::Intent { tenant, .. }
        | Entry::Denied { tenant, .. }
        | Entry::Observed { tenant, .. }
        | Entry::Held { tenant, .. }
        | Entry::BrokeGlass { tenant, .. }
        | Entry::Requested { tenant, .. } => Some(tenant.as_str()),
        _ => None,
    }
}

/// What a reader can make of an entry.
pub(crate) enum Readable {
    /// It stands there as it is, or in it is something encrypted for which there is no key.
    AsItIs,
    /// What it was before something in it was encrypted.
    Opened(Box<Entry>),
    /// This key does not open what it should.
    Displaced(String),
}

/// Reads an entry as it stands in the journal, written in the run that began with the record `run`, if that is known.
pub(crate) fn read(entry: &str, keys: &mut Keyring, run: Option<u64>) -> Readable {
    if keys.is_empty() {
        return Readable::AsItIs;
    }
    let Some(encrypted) = Encrypted::read(entry).filter(|it| keys.has(&it.secret.key)) else {
        return Readable::AsItIs;
    };
    let Encrypted { clear, secret } = encrypted;
    let key = secret.key.clone();
    let moved = run.is_some_and(|run| secret.run() != Some(run));
    let clear = serde_json::from_str::<Entry>(&clear);
    let opened = keys.open(secret).filter(|_| !moved);
    let private = opened.and_then(|it| serde_json::from_slice::<Private>(&it).ok());
    match (clear, private) {
        (Ok(mut entry), Some(mut private)) => {
            private.swap(&mut entry);
            Readable::Opened(Box::new(entry))
        }
        _ => Readable::Displaced(key),
    }
}

/// Appends an entry of `tenant`, or of whom it names itself, with what is private in it encrypted if there is a key for that.
/// `false` if it should be and cannot be; what was appended then is no entry.
pub(crate) fn write(
    cipher: &Cipher,
    tenant: Option<&str>,
    entry: &Entry,
    plain: impl Fn(&Entry, &mut Vec<u8>) -> serde_json::Result<()>,
    into: &mut Vec<u8>,
) -> serde_json::Result<bool> {
    let tenant = self::tenant(entry).or(tenant).filter(|it| cipher.has(it));
    let split = tenant.map(|_| split(entry)).transpose()?.flatten();
    let (Some(tenant), Some((clear, private))) = (tenant, split) else {
        return plain(entry, into).map(|()| true);
    };
    let start = into.len();
    plain(&clear, into)?;
    Ok(cipher.append(tenant, private, start, into))
}

/// What happened, in order; what a server said of a statement as it said it.
pub(crate) fn entries(record: &Record<'_>, keys: &mut Keyring) -> serde_json::Result<Vec<Entry>> {
    let entry = |text: &RawValue| {
        let text = text.get();
        if text.starts_with(r#"{"kind":"outcome""#)
            && let Readable::Opened(entry) = read(text, keys, None)
        {
            return Ok(*entry);
        }
        serde_json::from_str(text)
    };
    record.texts()?.into_iter().map(entry).collect()
}
