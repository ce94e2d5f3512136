//! A text with its numbers masked: the same length, and `0` for each digit of a number that stands alone. Two texts of one mask
//! have the same tokens in the same places. It masks only what no lexer can be wrong about, and never says whether a number
//! decides anything.

/// Longer texts are not masked: they are generated, and seldom come again with other numbers.
pub(crate) const MASKED_BYTES_MAX: usize = 1_024;

/// So many digits are an `int4` in every case, so that what they mean has one type; more may be something else.
const DIGITS_MAX: usize = 9;

/// A text's mask. It stands where it was made, and takes no memory of its own.
#[derive(Debug)]
pub(crate) struct Mask {
    bytes: [u8; MASKED_BYTES_MAX],
    len: usize,
}

/// What a byte may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    /// With it nothing is masked: quotes, comments, parameters, whatever is not ASCII.
    Out,
    /// A letter or `_`.
    Word,
    Digit,
    /// May stand beside a number, and in front of its sign.
    Opens,
    /// May stand beside a number.
    Edge,
    /// May stand anywhere but beside a number that is masked.
    Sign,
    Minus,
}

const BYTES: [Byte; 256] = {
    let mut table = [Byte::Out; 256];
    let mut at = 0;
    while at < table.len() {
        #[expect(
            clippy::indexing_slicing,
            clippy::cast_possible_truncation,
            reason = "const evaluation: out of bounds does not compile, and a table has 256 places"
        )]
        {
            table[at] = match at as u8 {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => Byte::Word,
                b'0'..=b'9' => Byte::Digit,
                b' ' | b'\t' | b'\n' | b'(' | b',' | b'=' => Byte::Opens,
                b')' | b'<' | b'>' | b';' => Byte::Edge,
                b'.' | b'*' | b'+' => Byte::Sign,
                b'-' => Byte::Minus,
                _ => Byte::Out,
            };
        }
        at += 1;
    }
    table
};

impl Mask {
    /// The mask of a text; none where there is nothing to mask, or where a lexer would have to be asked.
    pub(crate) fn of(text: &str) -> Option<Mask> {
        let len = text.len();
        let mut mask = Mask {
            bytes: [0; MASKED_BYTES_MAX],
            len,
        };
        mask.bytes.get_mut(..len)?.copy_from_slice(text.as_bytes());
        // A number that may stand alone, from its first digit.
        let mut number = None;
        let mut masked = false;
        let mut before = Byte::Edge;
        for (at, byte) in text.bytes().enumerate() {
            let byte = BYTES.get(usize::from(byte)).copied()?;
            if byte == before && byte != Byte::Minus {
                // One more of a word, a number, a gap: most of a text.
                continue;
            }
            match (before, byte) {
                (Byte::Opens, Byte::Minus) => {}
                (Byte::Opens | Byte::Edge | Byte::Minus, Byte::Digit) => number = Some(at),
                // Nothing else stands beside a `-`: no `--`, and no operator that it is a part of.
                (_, Byte::Out | Byte::Minus) | (Byte::Minus, _) => return None,
                (Byte::Digit, Byte::Opens | Byte::Edge) => masked |= mask.hide(number.take(), at),
                _ => number = None,
            }
            before = byte;
        }
        masked |= mask.hide(number, len);
        (masked && before != Byte::Minus).then_some(mask)
    }

    /// Whether there is a number there that is masked from now on.
    fn hide(&mut self, from: Option<usize>, to: usize) -> bool {
        let digits = from.and_then(|from| self.bytes.get_mut(from..to));
        let number = digits.filter(|digits| digits.len() <= DIGITS_MAX);
        number.map(|digits| digits.fill(b'0')).is_some()
    }

    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        // All of them are ASCII.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// A text with its numbers masked, where it can be: what it has in common with others of its shape.
pub fn masked(text: &str) -> Option<String> {
    Mask::of(text).map(|mask| mask.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_stand_alone_are_masked() {
        for (text, mask) in [
            (
                "SELECT abalance FROM a WHERE aid = 12345;",
                "SELECT abalance FROM a WHERE aid = 00000;",
            ),
            ("1", "0"),
            ("12,\t34\n(56)<7>8=9;", "00,\t00\n(00)<0>0=0;"),
            ("a IN (-1,-23, -4)", "a IN (-0,-00, -0)"),
            ("a=-1", "a=-0"),
            ("999999999 1234567890", "000000000 1234567890"),
            // Next to one that does not stand alone.
            ("1.5, 2", "1.5, 0"),
            ("t1.a2 = 3", "t1.a2 = 0"),
            ("1e5 0x10 1_000 12abc 4", "1e5 0x10 1_000 12abc 0"),
            ("5. .5 1+2 3*4 7", "5. .5 1+2 3*4 0"),
            ("_1 6", "_1 0"),
            ("1a1 6", "1a1 0"),
            ("2.1 -3.4 5", "2.1 -3.4 0"),
        ] {
            assert_eq!(masked(text).as_deref(), Some(mask), "{text}");
        }
    }

    #[test]
    fn the_rest_is_not() {
        for text in [
            "",
            "a",
            "a1",
            "1234567890",
            "1.5",
            "5.",
            ".5",
            "1e5",
            "0x10",
            "1_000",
            "12abc",
            "1+2",
            "$1 = 1",
            "1 = '1'",
            "1 \"a\"",
            "1 -- 2",
            "1 --2",
            "--1",
            "1 /* */",
            "1 - 2",
            "1 -",
            "1-2",
            "-1",
            "<-1",
            ")-1",
            "+-1",
            "--1",
            " - 1",
            "1 -(2)",
            "a -b, 1",
            "1 ! 2",
            "1 % 2",
            "1 | 2",
            "1::int",
            "a[1]",
            "1 \\ 2",
            "1\u{a0}",
            "1 é",
            "1\r",
            "1\x0c",
            "1\x0b",
            "1\0",
            "1 @ 2",
            "1 : 2",
        ] {
            assert_eq!(masked(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_short_texts_are_masked() {
        let of = |len: usize| format!("1{}", " ".repeat(len - 1));
        assert!(masked(&of(MASKED_BYTES_MAX)).is_some());
        assert!(masked(&of(MASKED_BYTES_MAX + 1)).is_none());
    }
}
