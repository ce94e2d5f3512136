//! Frames to frontend messages. It never accepts a body with a byte too many or too few, and never guesses
//! at text that is not UTF-8 (R3).

use crate::error::WireError;
use crate::frame::Frame;
use crate::frontend::message::{Bind, Execute, Frontend, Parse, Target};
use crate::frontend::tag;
use crate::reader::Reader;

impl Frontend {
    /// Decodes a frame. The body's parts are slices of the frame's, not copies.
    pub fn decode(frame: Frame) -> Result<Frontend, WireError> {
        let mut body = Reader::new(frame.body);
        let message = match frame.tag {
            tag::QUERY => Frontend::Query(body.cstr()?),
            tag::PARSE => Frontend::Parse(parse(&mut body)?),
            tag::BIND => Frontend::Bind(bind(&mut body)?),
            tag::DESCRIBE => Frontend::Describe(target(&mut body)?),
            tag::EXECUTE => Frontend::Execute(Execute {
                portal: body.cstr()?,
                max_rows: body.i32()?,
            }),
            tag::CLOSE => Frontend::Close(target(&mut body)?),
            tag::FLUSH => Frontend::Flush,
            tag::SYNC => Frontend::Sync,
            tag::TERMINATE => Frontend::Terminate,
            tag::FUNCTION_CALL => {
                body.tail();
                Frontend::FunctionCall
            }
            tag::COPY_DATA => Frontend::CopyData(body.tail()),
            tag::COPY_DONE => Frontend::CopyDone,
            tag::COPY_FAIL => Frontend::CopyFail(body.cstr()?),
            tag::PASSWORD => Frontend::Password(body.tail()),
            unknown => return Err(WireError::UnknownMessage(unknown)),
        };
        body.finish()?;
        Ok(message)
    }
}

fn parse(body: &mut Reader) -> Result<Parse, WireError> {
    let name = body.cstr()?;
    let text = body.cstr()?;
    let count = body.count(4)?;
    let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
    Ok(Parse { name, text, types })
}

fn bind(body: &mut Reader) -> Result<Bind, WireError> {
    let portal = body.cstr()?;
    let statement = body.cstr()?;
    let formats = formats(body)?;
    let count = body.count(4)?;
    let values = (0..count).map(|_| body.value()).collect::<Result<_, _>>()?;
    let result_formats = self::formats(body)?;
    Ok(Bind {
        portal,
        statement,
        formats,
        values,
        result_formats,
    })
}

fn formats(body: &mut Reader) -> Result<Vec<i16>, WireError> {
    let count = body.count(2)?;
    (0..count).map(|_| body.i16()).collect()
}

fn target(body: &mut Reader) -> Result<Target, WireError> {
    match body.u8()? {
        b'S' => Ok(Target::Statement(body.cstr()?)),
        b'P' => Ok(Target::Portal(body.cstr()?)),
        other => Err(WireError::Subtype(other)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(tag: u8, body: &'static [u8]) -> Result<Frontend, WireError> {
        Frontend::decode(Frame {
            tag,
            body: Bytes::from_static(body),
        })
    }

    #[test]
    fn r3_an_embedded_nul_smuggles_nothing() {
        let smuggled = b"select 1\0Q\0\0\0\x0fdrop table\0";
        assert_eq!(decode(b'Q', smuggled), Err(WireError::Trailing));
        assert_eq!(decode(b'Q', b"select 1"), Err(WireError::Unterminated));
        assert_eq!(decode(b'Q', b""), Err(WireError::Unterminated));
        let bad = decode(b'Q', b"select '\xff'\0").unwrap_err();
        assert_eq!(
            (bad, bad.sqlstate().as_str()),
            (WireError::NotUtf8, "22021")
        );
    }

    #[test]
    fn bodies_that_make_other_decoders_panic_are_errors() {
        // ecosystem.md A1: Bind with two bytes, Execute and Describe with none.
        assert_eq!(decode(b'B', b"\0\0"), Err(WireError::Truncated));
        assert_eq!(decode(b'E', b""), Err(WireError::Unterminated));
        assert_eq!(decode(b'D', b""), Err(WireError::Truncated));
        assert_eq!(decode(b'D', b"X\0"), Err(WireError::Subtype(b'X')));
        assert_eq!(decode(b'\0', b""), Err(WireError::UnknownMessage(0)));
    }

    #[test]
    fn r1_counts_and_lengths_are_held_against_what_is_there() {
        assert_eq!(decode(b'P', b"\0\0\xff\xff\0\0"), Err(WireError::Truncated));
        assert_eq!(decode(b'B', b"\0\0\xff\xff\0\0"), Err(WireError::Truncated));
        assert_eq!(
            decode(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
            Err(WireError::Truncated)
        );
        // -7 is not NULL.
        assert_eq!(
            decode(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xf9\0\0"),
            Err(WireError::ValueLength)
        );
        let null = decode(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xff\0\0").unwrap();
        assert!(matches!(null, Frontend::Bind(bind) if bind.values == [None]));
    }
}
