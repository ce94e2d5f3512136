//! The frontend messages as values. They never show a password or a value when printed for debugging.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

/// One message of a client.
#[derive(Clone, PartialEq, Eq)]
pub enum Frontend {
    /// One text, any number of statements in it.
    Query(ByteString),
    /// Prepare a statement.
    Parse(Parse),
    /// Make a portal out of a statement and values.
    Bind(Bind),
    /// What does it take and return?
    Describe(Target),
    /// Run a portal.
    Execute(Execute),
    /// Forget it.
    Close(Target),
    /// Answer what was asked so far.
    Flush,
    /// End of the pipeline.
    Sync,
    /// Goodbye.
    Terminate,
    /// The old function call. It is told apart only to be refused by name, so its body is not read.
    FunctionCall,
    /// A piece of COPY data.
    CopyData(Bytes),
    /// The end of COPY data.
    CopyDone,
    /// COPY data will not be had, and why.
    CopyFail(ByteString),
    /// PasswordMessage, SASLInitialResponse or SASLResponse: which one, the conversation knows.
    Password(Bytes),
}

/// Parse: text to prepared statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parse {
    /// The statement's name; empty is the unnamed one.
    pub name: ByteString,
    /// The SQL.
    pub text: ByteString,
    /// Parameter types by OID; 0, or none at the end, is "you tell me".
    pub types: Vec<u32>,
}

/// Bind: prepared statement and values to portal.
#[derive(Clone, PartialEq, Eq)]
pub struct Bind {
    /// The portal's name; empty is the unnamed one.
    pub portal: ByteString,
    /// The statement's name.
    pub statement: ByteString,
    /// Formats of the values: none (all text), one (for all), or one each.
    pub formats: Vec<i16>,
    /// The values; `None` is NULL.
    pub values: Vec<Option<Bytes>>,
    /// Formats wanted for the result: none, one, or one each.
    pub result_formats: Vec<i16>,
}

impl Bind {
    /// The format of the value at `index` (0 text, 1 binary): its own, or the one for all, or text.
    pub fn format(&self, index: usize) -> i16 {
        match self.formats.as_slice() {
            [] => 0,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(0),
        }
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("portal", &self.portal)
            .field("statement", &self.statement)
            .field("values", &format_args!("{} values", self.values.len()))
            .finish_non_exhaustive()
    }
}

/// What Describe and Close are about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A prepared statement.
    Statement(ByteString),
    /// A portal.
    Portal(ByteString),
}

/// Execute: run a portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute {
    /// The portal's name.
    pub portal: ByteString,
    /// Stop after so many rows; 0 and below is no limit.
    pub max_rows: i32,
}

impl fmt::Debug for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(text) => f.debug_tuple("Query").field(text).finish(),
            Self::Parse(parse) => parse.fmt(f),
            Self::Bind(bind) => bind.fmt(f),
            Self::Describe(target) => f.debug_tuple("Describe").field(target).finish(),
            Self::Execute(execute) => execute.fmt(f),
            Self::Close(target) => f.debug_tuple("Close").field(target).finish(),
            Self::Flush => f.write_str("Flush"),
            Self::Sync => f.write_str("Sync"),
            Self::Terminate => f.write_str("Terminate"),
            Self::FunctionCall => f.write_str("FunctionCall"),
            Self::CopyData(data) => write!(f, "CopyData({} bytes)", data.len()),
            Self::CopyDone => f.write_str("CopyDone"),
            Self::CopyFail(reason) => f.debug_tuple("CopyFail").field(reason).finish(),
            Self::Password(_) => f.write_str("Password(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r113_debug_shows_neither_passwords_nor_values() {
        let password = Frontend::Password(Bytes::from_static(b"hunter2\0"));
        assert_eq!(format!("{password:?}"), "Password(..)");
        let bind = Bind {
            portal: ByteString::new(),
            statement: ByteString::from("s1"),
            formats: vec![1],
            values: vec![Some(Bytes::from_static(b"hunter2")), None],
            result_formats: vec![],
        };
        assert!(!format!("{:?}", Frontend::Bind(bind.clone())).contains("hunter"));
        assert_eq!((bind.format(0), bind.format(1)), (1, 1));
    }
}
