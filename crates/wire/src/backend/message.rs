//! The few parts of backend messages that have a type of their own. They never hold a buffer longer than
//! the message they came in.

use bytes::Bytes;
use bytestring::ByteString;

use crate::error::WireError;

/// Where the transaction stands, as ReadyForQuery tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `I`: not in a transaction.
    Idle,
    /// `T`: in one.
    Transaction,
    /// `E`: in one that has failed; only its end is heard.
    Failed,
}

impl Status {
    /// The byte on the wire.
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Transaction => b'T',
            Self::Failed => b'E',
        }
    }
}

impl TryFrom<u8> for Status {
    type Error = WireError;

    fn try_from(byte: u8) -> Result<Status, WireError> {
        match byte {
            b'I' => Ok(Self::Idle),
            b'T' => Ok(Self::Transaction),
            b'E' => Ok(Self::Failed),
            other => Err(WireError::TransactionStatus(other)),
        }
    }
}

/// A column of a result of our own, of no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Its type: 25 for text.
    pub type_oid: u32,
    /// How many bytes a value has, -1 where that varies.
    pub size: i16,
    /// Whether its values are in the binary format.
    pub binary: bool,
}

impl Column {
    /// A column of type `boolean`.
    pub fn boolean(name: impl Into<String>, binary: bool) -> Column {
        Column {
            name: name.into(),
            type_oid: 16,
            size: 1,
            binary,
        }
    }

    /// A column of type `text`.
    pub fn text(name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            type_oid: 25,
            size: -1,
            binary: false,
        }
    }
}

/// What a server asks for before it lets us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing more: we are in.
    Ok,
    /// The password itself.
    Cleartext,
    /// The password's MD5 with this salt.
    Md5([u8; 4]),
    /// SASL, one of these mechanisms.
    Sasl(Vec<ByteString>),
    /// The next SASL challenge.
    SaslContinue(Bytes),
    /// The server's last SASL word.
    SaslFinal(Bytes),
    /// GSSAPI, SSPI and others that are not spoken here, by their code.
    Other(i32),
}
