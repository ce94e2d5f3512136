//! What a text may be before a parser sees it: its size, its bytes, and the runs that make the lexer quadratic. One pass over
//! the bytes; it never parses.

/// Texts above this are opaque unread.
pub const READ_BYTES_MAX: usize = 256 * 1024;

/// The longest run of operator characters that is lexed: PostgreSQL's lexer is quadratic in it, and so it is in a run of
/// comment openers `/*/*/*`, which are operator characters too. Also hits inside strings and comments (a very long dashed
/// line): then a person looks.
pub const OPERATOR_RUN_MAX: usize = 512;

/// Which bytes PostgreSQL's lexer takes for an operator (`op_chars` in scan.l).
const OPERATOR: [bool; 256] = {
    let mut table = [false; 256];
    let chars = b"~!@#^&|`?+-*/%<>=";
    let mut at = 0;
    while at < chars.len() {
        #[expect(
            clippy::indexing_slicing,
            reason = "const evaluation: out of bounds does not compile"
        )]
        {
            table[chars[at] as usize] = true;
        }
        at += 1;
    }
    table
};

/// Why the text is refused unread, if it is.
pub(crate) fn refusal(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() > READ_BYTES_MAX {
        return Some(format!(
            "is too long to read: {} bytes, at most {READ_BYTES_MAX} are read",
            bytes.len()
        ));
    }
    // The parser takes a C string: what stands behind a NUL would not be seen.
    if memchr::memchr(0, bytes).is_some() {
        return Some("holds a NUL byte".to_owned());
    }
    let mut run = 0;
    for &byte in bytes {
        run = if OPERATOR.get(usize::from(byte)).copied().unwrap_or(true) {
            run + 1
        } else {
            0
        };
        if run > OPERATOR_RUN_MAX {
            return Some(format!(
                "holds more than {OPERATOR_RUN_MAX} operator characters in a row"
            ));
        }
    }
    None
}

/// Whether a `;` stands anywhere but at the very end (after which only blanks of PostgreSQL's may follow).
pub(crate) fn semicolon_inside(text: &str) -> bool {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
    let body = text.trim_end_matches(blank);
    let body = body.strip_suffix(';').unwrap_or(body);
    memchr::memchr(b';', body.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps() {
        assert_eq!(refusal("SELECT 1"), None);
        assert!(refusal("SELECT '\0'").is_some());
        assert!(refusal(&"x".repeat(READ_BYTES_MAX)).is_none());
        assert!(refusal(&"x".repeat(READ_BYTES_MAX + 1)).is_some());
        assert!(refusal(&"-".repeat(OPERATOR_RUN_MAX)).is_none());
        assert!(refusal(&"-".repeat(OPERATOR_RUN_MAX + 1)).is_some());
        assert!(refusal(&"/*".repeat(OPERATOR_RUN_MAX)).is_some());
        assert!(refusal(&"/* ".repeat(OPERATOR_RUN_MAX)).is_none());
    }

    #[test]
    fn semicolons() {
        for text in ["", "SELECT 1", "SELECT 1;", "SELECT 1; \n\t"] {
            assert!(!semicolon_inside(text), "{text:?}");
        }
        // U+00A0 is a letter to PostgreSQL, not a blank.
        for text in ["SELECT ';'", "a;b", ";;", "SELECT 1;\u{a0}", "SELECT 1; --"] {
            assert!(semicolon_inside(text), "{text:?}");
        }
    }
}
