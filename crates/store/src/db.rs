//! The tickets' database with the keys of their tenants: what of a row is a requester's own is hidden before it is written, and shown
//! where its key is at hand. It never fails for a key that is gone: it says so in the place of the text.
//!
//! A hidden text begins with U+0001; behind it are the key's id, a blank, and what `cipher` makes of the text for its column, its
//! ticket and its tenant. The digest of a request is hidden another way, as requests are found by it: the column has a digest that
//! takes the key to make, and the one that people see is with the statements.

use std::cell::RefCell;
use std::ops::Deref;

use gate::TicketId;
use rusqlite::Connection;

use crate::cipher::{Cipher, Keyring, Secret};
use crate::signing::KeyError;
use crate::tenant_keys::TenantKeys;

const HIDDEN: char = '\u{1}';

/// What hides and shows.
#[derive(Default)]
pub(crate) struct Veil {
    cipher: Option<Cipher>,
    keys: RefCell<Keyring>,
}

impl Veil {
    pub(crate) fn new(tenants: TenantKeys) -> Result<Self, KeyError> {
        let keys = RefCell::new(Keyring::new(tenants.all()));
        let cipher = Cipher::of_run(0, tenants)?;
        Ok(Self { cipher, keys })
    }
}

/// The database, and what hides and shows its texts.
pub(crate) struct Db<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) veil: &'a Veil,
}

impl Deref for Db<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// A text was not hidden, and is not written.
#[derive(Debug, thiserror::Error)]
#[error("what a tenant asks could not be encrypted")]
pub(crate) struct NotHidden;

/// Whose a text is, and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) ticket: TicketId,
    pub(crate) column: &'a str,
}

impl Cell<'_> {
    fn place(&self) -> String {
        let Self {
            tenant,
            ticket,
            column,
        } = self;
        format!("{column} of {ticket} at {tenant}")
    }
}

/// A text that was read.
pub(crate) enum Shown {
    /// It was never hidden.
    Plain(String),
    /// It was.
    Opened(String),
    /// It is, as these words say.
    Closed(String),
}

impl Shown {
    /// The text, or that it is hidden.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Plain(text) | Self::Opened(text) | Self::Closed(text) => text,
        }
    }

    /// The text, if it is not hidden.
    pub(crate) fn text(self) -> Result<String, String> {
        match self {
            Self::Plain(text) | Self::Opened(text) => Ok(text),
            Self::Closed(words) => Err(words),
        }
    }
}

impl Db<'_> {
    /// Whether what this tenant asks is hidden.
    pub(crate) fn hides(&self, tenant: &str) -> bool {
        let cipher = self.veil.cipher.as_ref();
        cipher.is_some_and(|it| it.has(tenant))
    }

    /// A text as it is written there.
    pub(crate) fn hide(&self, cell: Cell<'_>, text: String) -> Result<String, NotHidden> {
        let cipher = self.veil.cipher.as_ref();
        let Some(cipher) = cipher.filter(|it| it.has(cell.tenant)) else {
            return Ok(text);
        };
        let hidden = cipher.text(cell.tenant, &cell.place(), text);
        let hidden = hidden.map(|it| format!("{HIDDEN}{it}"));
        hidden.ok_or(NotHidden)
    }

    /// A text as it was before it was written there.
    pub(crate) fn show(&self, cell: Cell<'_>, stored: String) -> Shown {
        let Some(hidden) = stored.strip_prefix(HIDDEN) else {
            return Shown::Plain(stored);
        };
        let place = cell.place();
        let Some(secret) = Secret::of_text(hidden, &place) else {
            return Shown::Plain(stored);
        };
        let key = secret.key.clone();
        let opened = self.veil.keys.borrow_mut().open(secret);
        match opened.and_then(|it| String::from_utf8(it).ok()) {
            Some(text) => Shown::Opened(text),
            None => Shown::Closed(format!("(encrypted with key {key}, which is not at hand)")),
        }
    }

    /// By what a request is found.
    pub(crate) fn digest(&self, tenant: &str, digest: String) -> Result<String, NotHidden> {
        let cipher = self.veil.cipher.as_ref();
        match cipher.filter(|it| it.has(tenant)) {
            Some(cipher) => cipher.blind(tenant, &digest).ok_or(NotHidden),
            None => Ok(digest),
        }
    }
}
