//! A parameter as people read it: what a driver sent in binary is decoded where its type is known, and shown in hexadecimal
//! beside that. It never guesses at a type.

use std::borrow::Cow;
use std::fmt::Write as _;

use gate::ticket::Parameter;

/// Types by their OID in `pg_type`, as SQL names them.
const TYPES: [(u32, &str); 21] = [
    (16, "boolean"),
    (17, "bytea"),
    (18, "\"char\""),
    (19, "name"),
    (20, "bigint"),
    (21, "smallint"),
    (23, "integer"),
    (25, "text"),
    (26, "oid"),
    (114, "json"),
    (700, "real"),
    (701, "double precision"),
    (1042, "character"),
    (1043, "character varying"),
    (1082, "date"),
    (1114, "timestamp"),
    (1184, "timestamp with time zone"),
    (1186, "interval"),
    (1700, "numeric"),
    (2950, "uuid"),
    (3802, "jsonb"),
];

/// Days, and microseconds, from 1970 to PostgreSQL's epoch.
const EPOCH_DAYS: i64 = 10_957;
const EPOCH_US: i64 = EPOCH_DAYS * 86_400 * 1_000_000;

/// `'x' (text)`, `42 (integer, sent as \x0000002a)`, `NULL`.
pub(super) fn shown(parameter: &Parameter) -> String {
    let named = TYPES.iter().find(|it| it.0 == parameter.type_oid);
    let kind = match named {
        Some((_, name)) => Cow::Borrowed(*name),
        None if parameter.type_oid == 0 => Cow::Borrowed(""),
        None => Cow::Owned(format!("type {}", parameter.type_oid)),
    };
    let Some(value) = &parameter.value else {
        return with_kind("NULL", &kind);
    };
    match decoded(parameter.type_oid, value) {
        Some(decoded) => format!("{decoded} ({kind}, sent as {value})"),
        None => with_kind(&format!("'{}'", inline(&value.replace('\'', "''"))), &kind),
    }
}

/// Text of a person or a client within a line of ours: it cannot begin a line of its own.
pub(super) fn inline(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

fn with_kind(shown: &str, kind: &str) -> String {
    if kind.is_empty() {
        shown.to_owned()
    } else {
        format!("{shown} ({kind})")
    }
}

/// What the bytes mean, of a type whose text never begins as they are written here.
fn decoded(oid: u32, value: &str) -> Option<String> {
    let bytes = bytes(value.strip_prefix("\\x")?)?;
    let bytes = bytes.as_slice();
    let time = |ms: i64| jiff::Timestamp::from_microsecond(ms.checked_add(EPOCH_US)?).ok();
    match oid {
        16 => match bytes {
            [0] => Some("false".to_owned()),
            [1] => Some("true".to_owned()),
            _ => None,
        },
        20 => Some(i64::from_be_bytes(bytes.try_into().ok()?).to_string()),
        21 => Some(i16::from_be_bytes(bytes.try_into().ok()?).to_string()),
        23 => Some(i32::from_be_bytes(bytes.try_into().ok()?).to_string()),
        26 => Some(u32::from_be_bytes(bytes.try_into().ok()?).to_string()),
        700 => Some(f32::from_be_bytes(bytes.try_into().ok()?).to_string()),
        701 => Some(f64::from_be_bytes(bytes.try_into().ok()?).to_string()),
        1082 => {
            let days = i64::from(i32::from_be_bytes(bytes.try_into().ok()?));
            let at = time(days.checked_mul(86_400_000_000)?)?;
            Some(at.strftime("%Y-%m-%d").to_string())
        }
        1114 => {
            let at = time(i64::from_be_bytes(bytes.try_into().ok()?))?;
            Some(at.strftime("%Y-%m-%d %H:%M:%S%.f").to_string())
        }
        1184 => Some(time(i64::from_be_bytes(bytes.try_into().ok()?))?.to_string()),
        2950 => uuid(bytes),
        _ => None,
    }
}

fn uuid(bytes: &[u8]) -> Option<String> {
    if bytes.len() != 16 {
        return None;
    }
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _infallible = write!(text, "{byte:02x}");
    }
    Some(text)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |it: &u8| {
        char::from(*it)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let digits: Option<Vec<u8>> = hex.as_bytes().iter().map(digit).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    let whole = rest.is_empty();
    whole.then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_in_binary_is_decoded_where_its_type_is_known() {
        for (type_oid, value, expected) in [
            (23, Some("\\x0000002a"), "42 (integer, sent as \\x0000002a)"),
            (23, Some("\\xffffffff"), "-1 (integer, sent as \\xffffffff)"),
            (23, Some("42"), "'42' (integer)"),
            (23, Some("\\x00"), "'\\\\x00' (integer)"),
            (
                20,
                Some("\\x0000000000000007"),
                "7 (bigint, sent as \\x0000000000000007)",
            ),
            (16, Some("\\x01"), "true (boolean, sent as \\x01)"),
            (
                701,
                Some("\\x3ff8000000000000"),
                "1.5 (double precision, sent as \\x3ff8000000000000)",
            ),
            (
                1082,
                Some("\\x00000000"),
                "2000-01-01 (date, sent as \\x00000000)",
            ),
            (
                2950,
                Some("\\x00112233445566778899aabbccddeeff"),
                "00112233-4455-6677-8899-aabbccddeeff (uuid, sent as \\x00112233445566778899aabbccddeeff)",
            ),
            // A text may look like that, and bytes are shown as they are.
            (25, Some("\\x0000002a"), "'\\\\x0000002a' (text)"),
            (17, Some("\\x00ff"), "'\\\\x00ff' (bytea)"),
            (25, Some("it's\n"), "'it''s\\n' (text)"),
            (25, None, "NULL (text)"),
            (0, None, "NULL"),
            (0, Some("x"), "'x'"),
            (99_999, Some("x"), "'x' (type 99999)"),
        ] {
            let parameter = Parameter {
                type_oid,
                value: value.map(Into::into),
            };
            assert_eq!(shown(&parameter), expected);
        }
    }
}
