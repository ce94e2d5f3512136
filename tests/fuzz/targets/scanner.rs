//! Where statements end, by the manual's words on lexical structure and nothing else. It never parses, and
//! shares no code with the gate: it is a second opinion.

/// How many statements a text holds: runs of tokens between `;` outside of quotes and comments. Valid texts
/// only: what an unclosed quote means is for the grammar to refuse.
pub(super) fn statements(text: &str) -> usize {
    let mut rest = text.as_bytes();
    let mut count = 0;
    let mut inside = false;
    let mut word = false;
    while let Some((&byte, behind)) = rest.split_first() {
        let blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'\x0b');
        if rest.starts_with(b"--") {
            rest = line(rest);
            word = false;
            continue;
        }
        if rest.starts_with(b"/*") {
            rest = comment(rest);
            word = false;
            continue;
        }
        if byte == b';' {
            (inside, word) = (false, false);
            rest = behind;
            continue;
        }
        if blank {
            word = false;
            rest = behind;
            continue;
        }
        count += usize::from(!inside);
        inside = true;
        rest = match byte {
            b'\'' => quoted(behind, b'\'', false),
            b'"' => quoted(behind, b'"', false),
            b'e' | b'E' if !word && behind.first() == Some(&b'\'') => {
                quoted(&behind[1..], b'\'', true)
            }
            b'$' if !word => dollar(rest),
            _ => behind,
        };
        word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80;
        // What closed a string is not a word that goes on.
        word &= !matches!(byte, b'\'' | b'"');
    }
    count
}

fn line(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    end.map_or(&[], |end| &rest[end..])
}

/// They nest.
fn comment(mut rest: &[u8]) -> &[u8] {
    let mut depth = 0;
    while !rest.is_empty() {
        if rest.starts_with(b"/*") {
            depth += 1;
            rest = &rest[2..];
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            rest = &rest[2..];
            if depth == 0 {
                break;
            }
        } else {
            rest = &rest[1..];
        }
    }
    rest
}

/// Behind the closing quote; a doubled one is none.
fn quoted(mut rest: &[u8], quote: u8, escapes: bool) -> &[u8] {
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'\\' && escapes {
            rest = rest.get(1..).unwrap_or_default();
        } else if byte == quote {
            match rest.first() {
                Some(&next) if next == quote => rest = &rest[1..],
                _ => return continued(rest, quote, escapes),
            }
        }
    }
    rest
}

/// A string goes on behind a line break in blanks, with the same rules.
fn continued(rest: &[u8], quote: u8, escapes: bool) -> &[u8] {
    if quote != b'\'' {
        return rest;
    }
    let mut next = rest;
    let mut broken = false;
    loop {
        if next.starts_with(b"--") {
            next = line(next);
        }
        match next.first() {
            Some(b'\n' | b'\r') => broken = true,
            Some(b' ' | b'\t' | b'\x0c' | b'\x0b') => {}
            Some(b'\'') if broken => return quoted(&next[1..], quote, escapes),
            _ => return rest,
        }
        next = &next[1..];
    }
}

/// `$tag$ ... $tag$`, or a parameter such as `$1`, or just a dollar.
fn dollar(rest: &[u8]) -> &[u8] {
    let start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_' || *byte >= 0x80;
    let inner = |byte: &u8| start(byte) || byte.is_ascii_digit();
    let length = rest[1..].iter().take_while(|byte| inner(byte)).count();
    let named = length == 0 || rest.get(1).is_some_and(start);
    if !named || rest.get(1 + length) != Some(&b'$') {
        return &rest[1..];
    }
    let (tag, body) = rest.split_at(length + 2);
    let end = body.windows(tag.len()).position(|window| window == tag);
    end.map_or(&[], |end| &body[end + tag.len()..])
}
