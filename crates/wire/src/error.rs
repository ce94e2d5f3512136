//! What can be wrong with bytes, in PostgreSQL's own words where it has some. It never quotes what the
//! peer sent: these texts go to logs and to clients.

use thiserror::Error;

use crate::sqlstate::SqlState;

/// A violation of the protocol by a peer, or something of ours that does not fit into a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// A length word below 4 or above the limit in force. The stream cannot be followed any further.
    #[error("invalid message length")]
    MessageLength,
    /// A startup packet shorter than 8 or longer than 10,000 bytes.
    #[error("invalid length of startup packet")]
    StartupLength,
    /// Startup parameters that do not come as pairs of strings closed by one empty name.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    StartupLayout,
    /// A startup packet of another protocol altogether. (An unknown *minor* version is no error: R7.)
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")]
    UnsupportedProtocol {
        /// The upper half of the version word.
        major: u16,
        /// The lower half of it.
        minor: u16,
    },
    /// A cancel key's secret shorter than 4 or longer than 256 bytes.
    #[error("invalid length of query cancel key")]
    CancelKeyLength,
    /// A tag that no frontend message has.
    #[error("invalid frontend message type {0}")]
    UnknownMessage(u8),
    /// Describe or Close of neither a statement (`S`) nor a portal (`P`).
    #[error("invalid message subtype {0}")]
    Subtype(u8),
    /// A ReadyForQuery that is none of `I`, `T`, `E`.
    #[error("invalid transaction status {0}")]
    TransactionStatus(u8),
    /// A body that ends before what it promised, or counts more than it can hold.
    #[error("insufficient data left in message")]
    Truncated,
    /// A body that goes on after its message has ended (R3).
    #[error("invalid message format")]
    Trailing,
    /// A string without its terminating NUL.
    #[error("invalid string in message")]
    Unterminated,
    /// A string that is not UTF-8, the one encoding spoken here (R96).
    #[error("invalid byte sequence for encoding \"UTF8\"")]
    NotUtf8,
    /// A value's length below -1 (-1 is NULL).
    #[error("invalid length of a value in message")]
    ValueLength,
    /// Encoding: a NUL inside a string would end it early.
    #[error("string in message contains a NUL byte")]
    EmbeddedNul,
    /// Encoding: more items than a 16-bit count can say.
    #[error("number of items in message exceeds the maximum of 65535")]
    TooMany,
    /// Encoding: a message longer than the protocol's 1 GB (R2).
    #[error("message length exceeds the maximum of 1 GB")]
    TooLong,
    /// FunctionCall is told apart from an unknown message, but never passed on (section L, deny).
    #[error("function call protocol is not supported")]
    FunctionCall,
}

impl WireError {
    /// Its text, fit for an ErrorResponse: nothing of the peer's is in it but numbers.
    pub fn message(self) -> String {
        self.to_string()
    }

    /// The SQLSTATE that goes with it: 08P01 unless PostgreSQL has a better one.
    pub fn sqlstate(self) -> SqlState {
        match self {
            Self::NotUtf8 => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            Self::TooMany | Self::TooLong => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::UnsupportedProtocol { .. } | Self::FunctionCall => {
                SqlState::FEATURE_NOT_SUPPORTED
            }
            _ => SqlState::PROTOCOL_VIOLATION,
        }
    }
}
