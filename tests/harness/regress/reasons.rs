//! Why tests of the suite differ through the gate, read from `tests/regress/reasons.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Mode;

/// One reason for each test and mode.
#[derive(Debug, Default)]
pub struct Reasons {
    by_test: BTreeMap<(String, String), Reason>,
}

/// Why a test differs, and how much of it that explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) why: String,
    /// How many lines of the diff begin with `+` or `-`. With another number there is a difference
    /// that nobody has looked at. Not given where it varies from run to run.
    pub(super) lines: Option<usize>,
}

impl Reasons {
    /// Reads the file; says what is wrong with it.
    pub fn read() -> Result<Self, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("regress/reasons.toml");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("could not read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let tables: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
        let mut reasons = Self::default();
        for (mode, tests) in &tables {
            if Mode::named(mode).is_none() {
                return Err(format!("no mode is called {mode:?}"));
            }
            let tests = tests
                .as_table()
                .ok_or_else(|| format!("{mode:?} is no table"))?;
            for (test, reason) in tests {
                let reason = Reason::parse(reason)
                    .ok_or_else(|| format!("{test:?} in [{mode}] is no reason"))?;
                let key = (mode.clone(), test.clone());
                reasons.by_test.insert(key, reason);
            }
        }
        Ok(reasons)
    }

    /// Why this test differs in this mode.
    pub(super) fn of(&self, mode: Mode, test: &str) -> Option<&Reason> {
        self.by_test.get(&(mode.name().to_owned(), test.to_owned()))
    }

    /// The tests that have a reason to differ in this mode.
    pub(super) fn tests(&self, mode: Mode) -> impl Iterator<Item = &str> {
        self.by_test
            .keys()
            .filter(move |(of, _)| of == mode.name())
            .map(|(_, test)| test.as_str())
    }
}

impl Reason {
    /// `{ lines = 12, why = "..." }`
    fn parse(value: &toml::Value) -> Option<Self> {
        let fields = value.as_table()?;
        let why = fields.get("why")?.as_str()?.trim().to_owned();
        let known = fields.keys().all(|key| ["why", "lines"].contains(&&**key));
        let lines = match fields.get("lines") {
            Some(lines) => Some(usize::try_from(lines.as_integer()?).ok()?),
            None => None,
        };
        (known && !why.is_empty()).then_some(Self { why, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, Reason, Reasons};

    #[test]
    fn a_reason_is_of_one_mode() {
        let text = "[session]\na = { lines = 3, why = 'logs in' }\n";
        let reasons = Reasons::parse(text).unwrap();
        let expected = Reason {
            why: "logs in".to_owned(),
            lines: Some(3),
        };
        assert_eq!(reasons.of(Mode::Session, "a"), Some(&expected));
        assert_eq!(reasons.of(Mode::Transaction, "a"), None);
        assert_eq!(reasons.tests(Mode::Session).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for text in [
            "[sesion]\na = { why = 'x' }\n",
            "[session]\na = { why = ' ' }\n",
            "[session]\na = { lines = 3 }\n",
            "[session]\na = { why = 'x', line = 3 }\n",
            "[session]\na = 'x'\n",
        ] {
            assert!(Reasons::parse(text).is_err(), "{text}");
        }
    }
}
