//! The words of one line of a script: names, strings, numbers, lists. It knows no messages.

/// What is left of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a>(&'a str);

/// What is wrong with a line.
pub(super) type Wrong = String;

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self(line.trim())
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Takes this word, if it is the next.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let Some(rest) = self.0.strip_prefix(word) else {
            return false;
        };
        let whole = !word.ends_with(char::is_alphanumeric)
            || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        if whole {
            self.0 = rest.trim_start();
        }
        whole
    }

    /// Takes these characters, if they come next, whatever follows.
    pub(super) fn prefix(&mut self, start: &str) -> bool {
        let rest = self.0.strip_prefix(start);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes everything up to the next blank, comma or bracket.
    pub(super) fn word(&mut self) -> Result<&'a str, Wrong> {
        let end = self.0.find([' ', ',', ']']).unwrap_or(self.0.len());
        if end == 0 {
            return Err(format!("a word is missing before {:?}", self.0));
        }
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        Ok(word)
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Result<T, Wrong> {
        let mut rest = *self;
        let word = rest.word()?;
        let number = word.parse().map_err(|_| format!("{word:?} is no number"))?;
        *self = rest;
        Ok(number)
    }

    /// Strings, repeated and added: `"a" * 3 + "b"`.
    pub(super) fn string(&mut self) -> Result<Vec<u8>, Wrong> {
        let mut all = Vec::new();
        loop {
            let piece = self.quoted()?;
            let times = if self.take("*") { self.number()? } else { 1 };
            all.extend(piece.repeat(times));
            if !self.take("+") {
                return Ok(all);
            }
        }
    }

    /// `[one, two]`, each read by `item`; nothing where there is no list.
    pub(super) fn list_if_any<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let mut items = Vec::new();
        if !self.take("[") {
            return Ok(items);
        }
        while !self.take("]") {
            if !items.is_empty() && !self.take(",") {
                return Err(format!("a comma is missing before {:?}", self.0));
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Bytes in hexadecimal digits, in pairs: all that is left.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Wrong> {
        let digits: String = self.0.chars().filter(|c| *c != ' ').collect();
        self.0 = "";
        hexadecimal(&digits)
    }

    /// The line has to be over.
    pub(super) fn end(self) -> Result<(), Wrong> {
        if self.is_empty() {
            return Ok(());
        }
        Err(format!("{:?} is too much", self.0))
    }

    fn quoted(&mut self) -> Result<Vec<u8>, Wrong> {
        let inner = self
            .0
            .strip_prefix('"')
            .ok_or_else(|| format!("a string is missing before {:?}", self.0))?;
        let mut bytes = Vec::new();
        let mut chars = inner.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = inner[at + 1..].trim_start();
                    return Ok(bytes);
                }
                '\\' => bytes.push(escaped(&mut chars)?),
                c => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Err(format!("a string does not end: {:?}", self.0))
    }
}

pub(super) fn hexadecimal(digits: &str) -> Result<Vec<u8>, Wrong> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = String::from_utf8_lossy(pair);
            u8::from_str_radix(&pair, 16).map_err(|_| format!("{pair:?} is no byte"))
        })
        .collect()
}

fn escaped(chars: &mut impl Iterator<Item = (usize, char)>) -> Result<u8, Wrong> {
    let mut next = || chars.next().map(|(_, c)| c);
    Ok(match next() {
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('r') => b'\r',
        Some('0') => 0,
        Some('"') => b'"',
        Some('\\') => b'\\',
        Some('x') => {
            let digits: String = next().into_iter().chain(next()).collect();
            hexadecimal(&digits)?
                .first()
                .copied()
                .ok_or("no digits behind \\x")?
        }
        other => return Err(format!("{other:?} behind a backslash")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_repeated_and_added() {
        let mut words = Words::of(r#""a\x41" * 2 + "\n" rest"#);
        assert_eq!(words.string(), Ok(b"aAaA\n".to_vec()));
        assert_eq!(words.word(), Ok("rest"));
        assert_eq!(words.end(), Ok(()));
    }

    #[test]
    fn a_word_is_taken_whole() {
        let mut words = Words::of("Copy CopyData");
        assert!(words.take("Copy"));
        assert!(!words.take("Copy"));
        assert!(words.take("CopyData"));
    }
}
