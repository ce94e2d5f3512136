//! What is wrong with a configuration, and where. It never quotes a secret.

use std::fmt;
use std::path::Path;

use serde::Serialize;

/// A place in a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong. `portcullis check --json` prints it as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Where in it; none where the file as a whole is meant.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What was found.
    pub found: String,
    /// What was expected, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The known word that comes nearest to what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Place {
    /// Of a byte of a text.
    pub(super) fn of(text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.found)?;
        match (&self.suggestion, &self.expected) {
            (Some(suggestion), _) => write!(f, ", did you mean \"{suggestion}\"?"),
            (None, Some(expected)) => write!(f, ", expected {expected}"),
            (None, None) => Ok(()),
        }
    }
}

/// A configuration that cannot be used: everything that is wrong with it, file by file and in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// These problems.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
        problems.dedup();
        Self { problems }
    }

    /// One problem of the file as a whole.
    pub(super) fn of_file(file: &Path, flaw: Flaw) -> Self {
        Self::of(file, None, flaw)
    }

    /// One problem of a file.
    pub(super) fn of(file: &Path, place: Option<Place>, flaw: Flaw) -> Self {
        Self::new(vec![flaw.at(file, place)])
    }

    /// The problems, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A problem that does not know its place yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    found: String,
    expected: Option<String>,
    suggestion: Option<String>,
}

impl Flaw {
    /// Something is wrong, and what would be right is plain.
    pub(super) fn found(found: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            expected: None,
            suggestion: None,
        }
    }

    /// What would be right.
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// The word that was meant, if one is near.
    pub(super) fn meant(mut self, suggestion: Option<&str>) -> Self {
        self.suggestion = suggestion.map(str::to_owned);
        self
    }

    /// What is found, and what would be right, in one line.
    pub(super) fn to_line(&self) -> String {
        match &self.expected {
            Some(expected) => format!("{}, expected {expected}", self.found),
            None => self.found.clone(),
        }
    }

    /// The same in its place.
    pub(super) fn at(self, file: &Path, place: Option<Place>) -> Problem {
        Problem {
            file: file.display().to_string(),
            place,
            found: self.found,
            expected: self.expected,
            suggestion: self.suggestion,
        }
    }
}
