//! Client messages to bytes, and what the client hears in short words.

use bytes::BytesMut;
use wire::ByteString;
use wire::backend::{decode, tag};
use wire::frontend::{self, Target};

/// Encoded messages, one after the other.
pub fn pipeline(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn made(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

pub fn q(text: &str) -> Vec<u8> {
    made(|out| frontend::query(text, out).unwrap())
}
pub fn p(name: &str, text: &str) -> Vec<u8> {
    made(|out| frontend::parse(name, text, &[], out).unwrap())
}
pub fn b(portal: &str, statement: &str) -> Vec<u8> {
    made(|out| frontend::bind(portal, statement, &[], &[], &[], out).unwrap())
}
pub fn ds(name: &str) -> Vec<u8> {
    let target = Target::Statement(ByteString::from(name));
    made(|out| frontend::describe(&target, out).unwrap())
}
pub fn dp(name: &str) -> Vec<u8> {
    let target = Target::Portal(ByteString::from(name));
    made(|out| frontend::describe(&target, out).unwrap())
}
pub fn e(portal: &str, rows: i32) -> Vec<u8> {
    made(|out| frontend::execute(portal, rows, out).unwrap())
}
pub fn cs(name: &str) -> Vec<u8> {
    let target = Target::Statement(ByteString::from(name));
    made(|out| frontend::close(&target, out).unwrap())
}
pub fn cp(name: &str) -> Vec<u8> {
    let target = Target::Portal(ByteString::from(name));
    made(|out| frontend::close(&target, out).unwrap())
}
pub fn s() -> Vec<u8> {
    made(frontend::sync)
}
pub fn h() -> Vec<u8> {
    made(frontend::flush)
}
pub fn x() -> Vec<u8> {
    made(frontend::terminate)
}
pub fn data(bytes: &[u8]) -> Vec<u8> {
    made(|out| frontend::copy_data(bytes, out).unwrap())
}
pub fn done() -> Vec<u8> {
    made(frontend::copy_done)
}
pub fn copy_fail(why: &str) -> Vec<u8> {
    made(|out| frontend::copy_fail(why, out).unwrap())
}
pub fn password(body: &[u8]) -> Vec<u8> {
    made(|out| frontend::password(body, out).unwrap())
}
/// `P B D E` of the unnamed statement and portal, as most drivers send it.
pub fn pbde(text: &str) -> Vec<u8> {
    pipeline(&[p("", text), b("", ""), dp(""), e("", 0)])
}

/// What came, message by message, in short words.
pub fn hear(bytes: &mut BytesMut) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(frame) = wire::frame::take(bytes, usize::MAX).unwrap() {
        heard.push(word(frame.tag, &frame.body));
    }
    heard
}

fn word(kind: u8, body: &[u8]) -> String {
    match kind {
        tag::READY => format!("Z:{}", char::from(body[0])),
        tag::COMMAND_COMPLETE => format!("C:{}", decode::command_tag(body).unwrap_or_default()),
        tag::ERROR | tag::NOTICE => {
            let Ok(fields) = decode::fields(body) else {
                return "garbled".into();
            };
            let mut said = format!(
                "{}:{} {} {}",
                char::from(kind),
                fields.severity.as_str(),
                fields.sqlstate,
                fields.message
            );
            for more in [fields.detail, fields.hint].into_iter().flatten() {
                said.push_str(" | ");
                said.push_str(&more);
            }
            said
        }
        tag::PARAMETER_STATUS => {
            let (name, value) = decode::parameter_status(body).unwrap_or_default();
            format!("S:{name}={value}")
        }
        tag::DATA_ROW => {
            let values = decode::data_row_values(body).unwrap_or_default();
            let texts = values.iter().map(|value| match value {
                None => "NULL".to_owned(),
                Some(value) if value.len() > 64 => format!("{} bytes", value.len()),
                Some(value) => String::from_utf8_lossy(value).into_owned(),
            });
            format!("D:{}", texts.collect::<Vec<_>>().join(","))
        }
        tag::COPY_DATA => format!("d:{}", String::from_utf8_lossy(body).trim_end()),
        other => char::from(other).to_string(),
    }
}
