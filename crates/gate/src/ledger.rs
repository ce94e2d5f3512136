//! The ledger: a row in the tenant's own database for each signed write, in the transaction of what was signed, so that the work
//! and the word that it ran cannot part (hazards R81, V8). Whoever lays down the row first, in place of what may still be on its
//! way, knows that it never runs: that is fencing (R83). Pure: names, keys and SQL. See decision 15.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::digest::{Digest, Hex};
use crate::ticket::{ClaimId, Event, TicketId};

/// What sets the rows of this store apart from any that somebody could make up. Who knows it can say that a ticket ran.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// These bytes, which must be random.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Proof of the right to lay down this row. A function of the row: a store that has forgotten a claim, as one that was
    /// restored has, gives the same for the same, and the database refuses it (hazards R88).
    pub fn nonce(&self, row: Row) -> Nonce {
        // A key of any length will do.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return Nonce([0; 32]);
        };
        mac.update(b"portcullis/ledger/1");
        for part in [row.ticket.0, row.claim.map_or(0, |it| it.0), row.step] {
            mac.update(&part.to_be_bytes());
        }
        Nonce(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Which row: what may run once, by whatever claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The ticket.
    pub ticket: TicketId,
    /// The use of it, where it is good for several.
    pub claim: Option<ClaimId>,
    /// How many of its statements come before, where it is a script.
    pub step: i64,
}

/// Where a ledger is, so that no other is ever taken for it: the cluster, by its own identifier, and the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Arc<str>);

impl Place {
    /// This database of this cluster.
    pub fn of(system_identifier: &str, database: &str) -> Self {
        Self(Arc::from(format!("{system_identifier}/{database}")))
    }

    /// As it is written down.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Place {
    fn from(text: String) -> Self {
        Self(Arc::from(text))
    }
}

/// The right to lay down one row as `ran`. Bound as a value, never spelled; the database keeps its digest alone, so that nothing
/// that can be read there is worth anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// The row's primary key.
    pub fn key(&self) -> Key {
        Key(Digest::of(&self.0))
    }

    /// As PostgreSQL reads a `bytea`.
    pub(crate) fn literal(&self) -> String {
        format!("\\x{}", Hex(&self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// A row's primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(Digest);

impl Key {
    /// As PostgreSQL reads a `bytea`.
    pub(crate) fn literal(&self) -> String {
        format!("\\x{}", self.0)
    }
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It ran, and was committed.
    Ran,
    /// It has not run, and never will.
    Fenced,
}

impl Fate {
    /// What becomes of a doubt by it.
    pub fn event(self) -> Event {
        match self {
            Self::Ran => Event::Confirm,
            Self::Fenced => Event::Fence,
        }
    }

    /// The same in the journal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ran => "confirm",
            Self::Fenced => "fence",
        }
    }

    /// What the database calls it.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "ran" => Some(Self::Ran),
            "fenced" => Some(Self::Fenced),
            _ => None,
        }
    }
}

/// Lays down a row as `ran`: nonce and ticket are bound.
pub(crate) const CLAIM: &str = "SELECT portcullis.claim($1, $2)";
/// Finds out what became of a row, and has it never run if nothing did: key and ticket are bound.
pub(crate) const FENCE: &str = "SELECT portcullis.fence($1, $2)";

/// Who may do what with a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logins {
    /// The role that signed work runs as, which lays rows down.
    pub write: String,
    /// The role that alone may fence them.
    pub ledger: String,
}

/// The SQL that makes a ledger. It can be run again, and the ledger belongs to whoever runs it.
pub fn install(logins: &Logins) -> String {
    let Logins { write, ledger } = logins;
    include_str!("ledger.sql")
        .replace("{write_text}", &quoted(write, '\''))
        .replace("{ledger_text}", &quoted(ledger, '\''))
        .replace("{write}", &quoted(write, '"'))
        .replace("{ledger}", &quoted(ledger, '"'))
}

/// A name as SQL spells it.
pub(crate) fn quoted(name: &str, quote: char) -> String {
    let doubled = name.replace(quote, &format!("{quote}{quote}"));
    // Whatever `standard_conforming_strings` says.
    match quote {
        '\'' if name.contains('\\') => format!(" E'{}'", doubled.replace('\\', "\\\\")),
        _ => format!("{quote}{doubled}{quote}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ticket: i64, claim: Option<i64>, step: i64) -> Row {
        Row {
            ticket: TicketId(ticket),
            claim: claim.map(ClaimId),
            step,
        }
    }

    /// Hazards R88: a claim that a store has forgotten is the same row when it is made again.
    #[test]
    fn a_nonce_is_of_its_row_and_of_its_store() {
        let (secret, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let nonce = secret.nonce(row(7, None, 0));
        assert_eq!(nonce, secret.nonce(row(7, None, 0)));
        let others = [row(8, None, 0), row(7, Some(1), 0), row(7, None, 1)];
        for it in others {
            assert_ne!(nonce, secret.nonce(it), "{it:?}");
        }
        assert_ne!(nonce.key(), other.nonce(row(7, None, 0)).key());
        assert_eq!(format!("{nonce:?} {secret:?}"), "Nonce Secret");
        assert_eq!(nonce.literal().len(), 66);
    }

    #[test]
    fn names_are_quoted() {
        let sql = install(&Logins {
            write: "o'na\"me".to_owned(),
            ledger: "back\\slash".to_owned(),
        });
        assert!(sql.contains("TO \"o'na\"\"me\", \"back\\slash\";"), "{sql}");
        let logins = "VALUES ('o''na\"me'::name), ( E'back\\\\slash')";
        assert!(sql.contains(logins), "{sql}");
        assert!(!sql.contains('{'), "{sql}");
    }
}
