//! Tags of frontend messages. It never tells them apart from backend tags: the direction does.

/// Bind: values for a prepared statement.
pub const BIND: u8 = b'B';
/// Close a statement or a portal.
pub const CLOSE: u8 = b'C';
/// CopyData.
pub const COPY_DATA: u8 = b'd';
/// CopyDone.
pub const COPY_DONE: u8 = b'c';
/// CopyFail.
pub const COPY_FAIL: u8 = b'f';
/// Describe a statement or a portal.
pub const DESCRIBE: u8 = b'D';
/// Execute a portal.
pub const EXECUTE: u8 = b'E';
/// Flush.
pub const FLUSH: u8 = b'H';
/// FunctionCall.
pub const FUNCTION_CALL: u8 = b'F';
/// Parse: a text to a prepared statement.
pub const PARSE: u8 = b'P';
/// Any answer to an authentication request.
pub const PASSWORD: u8 = b'p';
/// Query: the simple protocol.
pub const QUERY: u8 = b'Q';
/// Sync: the end of a pipeline.
pub const SYNC: u8 = b'S';
/// Terminate.
pub const TERMINATE: u8 = b'X';
