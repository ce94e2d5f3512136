//! The fields of ErrorResponse and NoticeResponse (manual, "Error and Notice Message Fields"). It never
//! cuts a frame short: a NUL in a text is replaced.

use bytes::Bytes;

use crate::error::WireError;
use crate::reader::Reader;
use crate::sqlstate::SqlState;
use crate::writer::Writer;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// All sessions end.
    Panic,
    /// Probably not what was meant.
    Warning,
    /// Good to know.
    Notice,
    /// For developers.
    Debug,
    /// Asked for by the client.
    Info,
    /// For administrators.
    Log,
}

impl Severity {
    /// The word on the wire, never translated.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Log => "LOG",
        }
    }

    fn from_bytes(word: &[u8]) -> Option<Severity> {
        use Severity::{Debug, Error, Fatal, Info, Log, Notice, Panic, Warning};
        let all = [Error, Fatal, Panic, Warning, Notice, Debug, Info, Log];
        all.into_iter()
            .find(|severity| severity.as_str().as_bytes() == word)
    }
}

/// What an error or a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// `S` and `V`.
    pub severity: Severity,
    /// `C`.
    pub sqlstate: SqlState,
    /// `M`: one line, no full stop.
    pub message: String,
    /// `D`: more about it.
    pub detail: Option<String>,
    /// `H`: what to do about it.
    pub hint: Option<String>,
    /// All others, by their code and in their order: the position, the context, names of objects, places
    /// in the source.
    pub others: Vec<(u8, String)>,
}

impl Fields {
    /// The three fields that are always there.
    pub fn new(severity: Severity, sqlstate: SqlState, message: impl Into<String>) -> Fields {
        let message = message.into();
        Fields {
            severity,
            sqlstate,
            message,
            detail: None,
            hint: None,
            others: Vec::new(),
        }
    }

    /// Reads a body. What is missing is filled in (ERROR, XX000, no text), what is unknown is kept
    /// (R41), and text that is not UTF-8 is shown as well as it can be: a server may complain in another
    /// encoding before it has heard of ours. Only a body without shape is an error.
    pub(crate) fn decode(body: Bytes) -> Result<Fields, WireError> {
        let mut reader = Reader::new(body);
        let mut fields = Fields::new(Severity::Error, SqlState::INTERNAL, "");
        let mut localised = None;
        let mut plain = None;
        loop {
            let code = reader.u8()?;
            if code == 0 {
                break;
            }
            let value = reader.cstr_bytes()?;
            let text = || String::from_utf8_lossy(&value).into_owned();
            match code {
                b'S' => localised = Severity::from_bytes(&value),
                b'V' => plain = Severity::from_bytes(&value),
                b'C' => fields.sqlstate = SqlState::from_bytes(&value).unwrap_or(fields.sqlstate),
                b'M' => fields.message = text(),
                b'D' => fields.detail = Some(text()),
                b'H' => fields.hint = Some(text()),
                other => fields.others.push((other, text())),
            }
        }
        reader.finish()?;
        fields.severity = plain.or(localised).unwrap_or(fields.severity);
        Ok(fields)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        let severity = self.severity.as_str();
        let always = [
            (b'S', severity),
            (b'V', severity),
            (b'C', self.sqlstate.as_str()),
        ];
        for (code, text) in always.into_iter().chain([(b'M', self.message.as_str())]) {
            writer.u8(code);
            writer.text(text);
        }
        for (code, text) in [(b'D', &self.detail), (b'H', &self.hint)] {
            if let Some(text) = text {
                writer.u8(code);
                writer.text(text);
            }
        }
        for (code, text) in &self.others {
            writer.u8(*code);
            writer.text(text);
        }
        writer.u8(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &'static [u8]) -> Result<Fields, WireError> {
        Fields::decode(Bytes::from_static(body))
    }

    #[test]
    fn r41_missing_and_unknown_fields_are_no_error() {
        let none = decode(b"\0").unwrap();
        assert_eq!(none, Fields::new(Severity::Error, SqlState::INTERNAL, ""));
        let odd = decode(b"SFEHLER\0VFATAL\0C42\0zwhat\0Mno \xe9\0\0").unwrap();
        let mut expected = Fields::new(Severity::Fatal, SqlState::INTERNAL, "no \u{fffd}");
        expected.others.push((b'z', "what".to_owned()));
        assert_eq!(odd, expected);
        let old = decode(b"SWARNING\0C01000\0Mold server\0\0").unwrap();
        assert_eq!(old.severity, Severity::Warning);
    }

    #[test]
    fn r3_a_body_without_shape_is_an_error() {
        assert_eq!(decode(b""), Err(WireError::Truncated));
        assert_eq!(decode(b"Mx\0"), Err(WireError::Truncated));
        assert_eq!(decode(b"Mx"), Err(WireError::Unterminated));
        assert_eq!(decode(b"Mx\0\0y"), Err(WireError::Trailing));
    }
}
