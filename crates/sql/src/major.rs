//! The majors of PostgreSQL whose functions, operators and types are known. It never takes a number for one that is not.

use std::fmt;
use std::str::FromStr;

/// A major version of PostgreSQL, of those that the lists are made from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Major(u8);

impl Major {
    /// All of them, oldest first.
    pub const ALL: [Major; 5] = [Major(14), Major(15), Major(16), Major(17), Major(18)];
    /// The oldest.
    pub const OLDEST: Major = Major(14);
    /// The one whose grammar reads the statements; no list knows a newer one.
    pub const GRAMMAR: Major = Major(18);

    /// The major of this number, if it is known.
    pub fn new(number: u16) -> Option<Major> {
        Major::ALL
            .into_iter()
            .find(|major| u16::from(major.0) == number)
    }

    /// How many majors are older.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0.saturating_sub(Major::OLDEST.0))
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A word that is no known major.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no major version of PostgreSQL from {oldest} to {newest}", oldest = Major::OLDEST, newest = Major::GRAMMAR)]
pub struct UnknownMajor(pub String);

impl FromStr for Major {
    type Err = UnknownMajor;

    fn from_str(word: &str) -> Result<Major, UnknownMajor> {
        let number = word.parse().ok();
        number
            .and_then(Major::new)
            .ok_or_else(|| UnknownMajor(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_majors_have_a_place_each() {
        assert_eq!(Major::new(13), None);
        assert_eq!(Major::new(19), None);
        assert_eq!(Major::new(14), Some(Major::OLDEST));
        assert_eq!(Major::new(18), Some(Major::GRAMMAR));
        assert_eq!(Major::GRAMMAR.to_string(), "18");
        assert_eq!("14".parse(), Ok(Major::OLDEST));
        assert!("15.18".parse::<Major>().is_err());
        assert!(Major::ALL.into_iter().map(Major::index).eq(0..5));
    }
}
