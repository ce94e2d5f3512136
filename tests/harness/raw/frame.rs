//! One message from the other side, as it came.

/// A tag and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub tag: u8,
    pub body: Vec<u8>,
}

impl Frame {
    /// A field of an ErrorResponse or NoticeResponse: `C` is the SQLSTATE, `M` the message, `D` the
    /// detail, `H` the hint.
    pub fn field(&self, field: char) -> Option<String> {
        assert!(
            matches!(self.tag, b'E' | b'N'),
            "only errors and notices have fields, not {}",
            self.describe()
        );
        self.body
            .split(|&byte| byte == 0)
            .find(|part| part.first().map(|&byte| char::from(byte)) == Some(field))
            .map(|part| String::from_utf8_lossy(&part[1..]).into_owned())
    }

    /// The SQLSTATE of an ErrorResponse or NoticeResponse.
    #[track_caller]
    pub fn sqlstate(&self) -> String {
        self.field('C').expect("every error has a SQLSTATE")
    }

    /// The body as text up to its first zero byte: the tag of a CommandComplete.
    pub fn text(&self) -> String {
        let end = self.body.iter().position(|&byte| byte == 0);
        String::from_utf8_lossy(&self.body[..end.unwrap_or(self.body.len())]).into_owned()
    }

    /// The columns of a DataRow in text format; `None` is NULL.
    #[track_caller]
    pub fn columns(&self) -> Vec<Option<String>> {
        assert_eq!(self.tag, b'D', "not a DataRow: {}", self.describe());
        let count = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        let mut rest = &self.body[2..];
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let (length, after) = rest.split_at(4);
            rest = after;
            let length = i32::from_be_bytes(length.try_into().unwrap());
            columns.push(usize::try_from(length).ok().map(|length| {
                let (column, after) = rest.split_at(length);
                rest = after;
                String::from_utf8_lossy(column).into_owned()
            }));
        }
        columns
    }

    /// For the message of a failing test.
    pub fn describe(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body)
            .chars()
            .map(|c| if c.is_control() { '·' } else { c })
            .take(300)
            .collect();
        format!("{:?} {text}", char::from(self.tag))
    }
}

/// The tags in order, as one string: `"1TDCZ"`.
pub fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.tag)).collect()
}

/// The ErrorResponse among them.
#[track_caller]
pub fn error(frames: &[Frame]) -> &Frame {
    let found = frames.iter().find(|frame| frame.tag == b'E');
    found.unwrap_or_else(|| panic!("no error in {}", tags(frames)))
}
