//! Backend messages as one line of text each, for people who look for the difference.

use crate::raw::Frame;

/// The longest line.
const CHARS_MAX: usize = 400;

/// One message in words.
pub(super) fn readable(frame: &Frame) -> String {
    let body = &frame.body;
    let words = match frame.tag {
        b'1' => "ParseComplete".to_owned(),
        b'2' => "BindComplete".to_owned(),
        b'3' => "CloseComplete".to_owned(),
        b'C' => format!("CommandComplete {:?}", frame.text()),
        b'D' => row(body).unwrap_or_else(|| unread("DataRow", body)),
        b'E' => format!("ErrorResponse {}", fields(body)),
        b'G' => format!("CopyInResponse {body:02x?}"),
        b'H' => format!("CopyOutResponse {body:02x?}"),
        b'I' => "EmptyQueryResponse".to_owned(),
        b'K' => format!("BackendKeyData, {} bytes", body.len()),
        b'N' => format!("NoticeResponse {}", fields(body)),
        b'R' => format!("Authentication {body:02x?}"),
        b'S' => format!("ParameterStatus {}", strings(body)),
        b'T' => columns(body).unwrap_or_else(|| unread("RowDescription", body)),
        b'Z' => format!("ReadyForQuery {}", String::from_utf8_lossy(body)),
        b'c' => "CopyDone".to_owned(),
        b'd' => format!("CopyData {:?}", String::from_utf8_lossy(body)),
        b'n' => "NoData".to_owned(),
        b's' => "PortalSuspended".to_owned(),
        b't' => unread("ParameterDescription", body),
        b'v' => unread("NegotiateProtocolVersion", body),
        b'A' => format!(
            "NotificationResponse {}",
            strings(body.get(4..).unwrap_or(body))
        ),
        tag => unread(&format!("message {:?}", char::from(tag)), body),
    };
    if words.chars().count() <= CHARS_MAX {
        return words;
    }
    let start: String = words.chars().take(CHARS_MAX).collect();
    format!("{start}... ({} bytes in all)", body.len())
}

/// The fields of an ErrorResponse or NoticeResponse: code and text.
pub(super) fn fields_of(body: &[u8]) -> Vec<(char, String)> {
    let parts = body.split(|&byte| byte == 0).filter(|it| !it.is_empty());
    parts
        .map(|part| {
            (
                part[0].into(),
                String::from_utf8_lossy(&part[1..]).into_owned(),
            )
        })
        .collect()
}

fn fields(body: &[u8]) -> String {
    let fields = fields_of(body);
    let each: Vec<_> = fields
        .iter()
        .map(|(code, text)| format!("{code}={text:?}"))
        .collect();
    each.join(" ")
}

fn strings(body: &[u8]) -> String {
    let parts: Vec<_> = body
        .split(|&byte| byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    format!("{parts:?}")
}

fn unread(what: &str, body: &[u8]) -> String {
    format!("{what} {body:02x?}")
}

fn row(body: &[u8]) -> Option<String> {
    let mut rest = body.get(2..)?;
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        rest = after;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push("null".to_owned());
            continue;
        };
        let (value, after) = rest.split_at_checked(length)?;
        rest = after;
        values.push(format!("{:?}", String::from_utf8_lossy(value)));
    }
    Some(format!("DataRow {}", values.join(" ")))
}

fn columns(body: &[u8]) -> Option<String> {
    let mut rest = body.get(2..)?;
    let mut columns = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == 0)?;
        let (name, after) = rest.split_at(end);
        let (numbers, after) = after.get(1..)?.split_at_checked(18)?;
        rest = after;
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| numbers[at + i]));
        columns.push(format!(
            "{}(table {}, type {}, format {})",
            String::from_utf8_lossy(name),
            number(0),
            number(6),
            numbers[17],
        ));
    }
    Some(format!("RowDescription {}", columns.join(" ")))
}
