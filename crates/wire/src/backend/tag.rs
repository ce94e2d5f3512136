//! Tags of backend messages. It never tells them apart from frontend tags: the direction does.

/// Any authentication request, and its happy end.
pub const AUTHENTICATION: u8 = b'R';
/// BackendKeyData: the cancel key.
pub const BACKEND_KEY_DATA: u8 = b'K';
/// BindComplete.
pub const BIND_COMPLETE: u8 = b'2';
/// CloseComplete.
pub const CLOSE_COMPLETE: u8 = b'3';
/// CommandComplete.
pub const COMMAND_COMPLETE: u8 = b'C';
/// CopyBothResponse: replication.
pub const COPY_BOTH: u8 = b'W';
/// CopyData.
pub const COPY_DATA: u8 = b'd';
/// CopyDone.
pub const COPY_DONE: u8 = b'c';
/// CopyInResponse: send your data.
pub const COPY_IN: u8 = b'G';
/// CopyOutResponse: data follows.
pub const COPY_OUT: u8 = b'H';
/// DataRow.
pub const DATA_ROW: u8 = b'D';
/// EmptyQueryResponse.
pub const EMPTY_QUERY: u8 = b'I';
/// ErrorResponse.
pub const ERROR: u8 = b'E';
/// FunctionCallResponse.
pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
/// NegotiateProtocolVersion.
pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
/// NoData.
pub const NO_DATA: u8 = b'n';
/// NoticeResponse.
pub const NOTICE: u8 = b'N';
/// NotificationResponse.
pub const NOTIFICATION: u8 = b'A';
/// ParameterDescription.
pub const PARAMETER_DESCRIPTION: u8 = b't';
/// ParameterStatus.
pub const PARAMETER_STATUS: u8 = b'S';
/// ParseComplete.
pub const PARSE_COMPLETE: u8 = b'1';
/// PortalSuspended: there are more rows.
pub const PORTAL_SUSPENDED: u8 = b's';
/// ReadyForQuery.
pub const READY: u8 = b'Z';
/// RowDescription.
pub const ROW_DESCRIPTION: u8 = b'T';
