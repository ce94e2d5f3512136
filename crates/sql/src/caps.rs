//! What a text may be before a parser sees it: its size, its bytes, and the runs that make the lexer quadratic. One pass over
//! the bytes; it never parses.

/// Texts above this are opaque unread.
pub const READ_BYTES_MAX: usize = 256 * 1024;

/// The longest run of operator characters that is lexed: PostgreSQL's lexer is quadratic in it, and so it is in a run of
/// comment openers `/*/*/*`, which are operator characters too. Also hits inside strings and comments (a very long dashed
/// line): then a person looks.
pub const OPERATOR_RUN_MAX: usize = 512;

/// A text of at most so many pieces nests so little that it may be read on any stack of 2 MiB; see [`pieces`].
pub(crate) const SHALLOW_PIECES_MAX: usize = 128;

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

/// How many words and other signs a text has: a bound on how deep its tree can be, since every level of it takes a token of its
/// own. Blanks and commas make no level. What stands in strings and comments counts too: that only makes the bound larger.
pub(crate) fn pieces(text: &str) -> usize {
    let mut pieces = 0;
    let mut in_word = false;
    for &byte in text.as_bytes() {
        let word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80;
        let free = byte.is_ascii_whitespace() || byte == b',';
        let goes_on = word && in_word;
        if !(free || goes_on) {
            pieces += 1;
        }
        in_word = word;
    }
    pieces
}

/// Whether it may be read on a stack that is not ours.
pub(crate) fn is_shallow(text: &str) -> bool {
    pieces(text) <= SHALLOW_PIECES_MAX
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
    fn pieces_bound_the_depth() {
        for (text, count) in [
            ("", 0),
            ("SELECT 1", 2),
            ("a, b,\n c", 3),
            ("1+1", 3),
            ("NOT NOT é_1$", 3),
            ("+-+-", 4),
            ("((a))", 5),
            ("E'a b'", 5),
        ] {
            assert_eq!(pieces(text), count, "{text}");
        }
        assert!(is_shallow(&"a ".repeat(SHALLOW_PIECES_MAX)));
        assert!(!is_shallow(&"a ".repeat(SHALLOW_PIECES_MAX + 1)));
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
