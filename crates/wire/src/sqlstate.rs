//! Five-character error codes (manual, appendix A). It never decides which one fits.

use std::fmt;

/// One SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState([u8; 5]);

macro_rules! named {
    ($($name:ident = $code:literal, $what:literal;)*) => {
        impl SqlState {
            $(#[doc = $what] pub const $name: SqlState = SqlState::new($code);)*
        }
    };
}

named! {
    CONNECTION_FAILURE = b"08006", "The connection broke.";
    PROTOCOL_VIOLATION = b"08P01", "The peer broke the protocol.";
    FEATURE_NOT_SUPPORTED = b"0A000", "Valid, but not here.";
    CHARACTER_NOT_IN_REPERTOIRE = b"22021", "Bytes that are not text in the encoding.";
    INVALID_PARAMETER_VALUE = b"22023", "A setting does not take that value.";
    UNIQUE_VIOLATION = b"23505", "A row with that key is there.";
    IN_FAILED_TRANSACTION = b"25P02", "Only ROLLBACK is heard until the transaction ends.";
    UNDEFINED_PSTATEMENT = b"26000", "No prepared statement has that name.";
    INVALID_AUTHORIZATION = b"28000", "This principal may not enter.";
    INVALID_PASSWORD = b"28P01", "Password authentication failed.";
    UNDEFINED_CURSOR = b"34000", "No portal has that name.";
    INVALID_CATALOG_NAME = b"3D000", "No database has that name.";
    INVALID_SCHEMA_NAME = b"3F000", "No schema has that name.";
    INSUFFICIENT_PRIVILEGE = b"42501", "Not allowed.";
    SYNTAX_ERROR = b"42601", "The text does not parse.";
    UNDEFINED_FUNCTION = b"42883", "No function has that name.";
    UNDEFINED_PARAMETER = b"42704", "No setting or object has that name.";
    DUPLICATE_PSTATEMENT = b"42P05", "A prepared statement has that name already.";
    TOO_MANY_CONNECTIONS = b"53300", "No room for one more connection.";
    CONFIGURATION_LIMIT_EXCEEDED = b"53400", "As many as the configuration allows.";
    PROGRAM_LIMIT_EXCEEDED = b"54000", "Larger than what is allowed.";
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000", "Not in a state to do that.";
    CANT_CHANGE_RUNTIME_PARAM = b"55P02", "A setting that cannot be changed now.";
    QUERY_CANCELED = b"57014", "Cancelled, by request or by a deadline.";
    ADMIN_SHUTDOWN = b"57P01", "Going down by command.";
    CANNOT_CONNECT_NOW = b"57P03", "Not ready to serve.";
    CONFIG_FILE_ERROR = b"F0000", "The configuration is wrong.";
    INTERNAL = b"XX000", "Our own fault.";
}

impl SqlState {
    /// A code from its five characters, digits and upper-case letters.
    pub const fn new(code: &[u8; 5]) -> SqlState {
        SqlState(*code)
    }

    /// A code from what a peer sent: `None` unless it is five digits or upper-case letters.
    pub fn from_bytes(code: &[u8]) -> Option<SqlState> {
        let code: [u8; 5] = code.try_into().ok()?;
        let valid = code
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        valid.then_some(SqlState(code))
    }

    /// Its text, for example `42501`.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// Its class, the first two characters, for example `42`.
    pub fn class(&self) -> &str {
        self.as_str().get(..2).unwrap_or("XX")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_prints_as_its_five_characters() {
        assert_eq!(SqlState::INSUFFICIENT_PRIVILEGE.to_string(), "42501");
        assert_eq!(SqlState::new(b"ZG001").class(), "ZG");
        assert_eq!(
            SqlState::from_bytes(b"57014"),
            Some(SqlState::QUERY_CANCELED)
        );
        for bad in [
            &b"5701"[..],
            b"570145",
            b"57p01",
            b"57\x0001",
            b"\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(SqlState::from_bytes(bad), None);
        }
    }
}
