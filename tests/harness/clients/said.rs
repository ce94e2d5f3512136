//! What a suite prints, line by line: `version`, `ok`, `not ok`, `skip`, `sees`. Anything else is a
//! comment.

/// What one run of a suite said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub version: Option<String>,
    /// What a person sees while a statement of theirs is held.
    pub sees: Option<String>,
    pub passed: Vec<String>,
    /// Names, and why not.
    pub failed: Vec<(String, String)>,
    pub skipped: Vec<(String, String)>,
}

impl Said {
    pub fn read(output: &str) -> Self {
        let mut said = Self::default();
        for line in output.lines() {
            if let Some(version) = line.strip_prefix("version ") {
                said.version = Some(version.trim().to_owned());
            } else if let Some(sees) = line.strip_prefix("sees: ") {
                said.sees = Some(sees.trim().to_owned());
            } else if let Some(name) = line.strip_prefix("ok ") {
                said.passed.push(name.trim().to_owned());
            } else if let Some(rest) = line.strip_prefix("not ok ") {
                said.failed.push(name_and_reason(rest));
            } else if let Some(rest) = line.strip_prefix("skip ") {
                said.skipped.push(name_and_reason(rest));
            }
        }
        said
    }
}

/// `hold: approved: no notice came` is the check `hold: approved`, and why.
fn name_and_reason(text: &str) -> (String, String) {
    let behind = if text.starts_with("hold: ") { 6 } else { 0 };
    let (name, why) = match text[behind..].split_once(": ") {
        Some((name, why)) => (&text[..behind + name.len()], why),
        None => (text, ""),
    };
    (name.trim().to_owned(), why.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_understood() {
        let said = Said::read(
            "version 3.2\n# a comment\nok types\nnot ok copy: lost: a row\nskip notify: MODE\n\
             not ok hold: approved: no notice\nsees: NOTICE: held\n",
        );
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(said.version.as_deref(), Some("3.2"));
        assert_eq!(said.sees.as_deref(), Some("NOTICE: held"));
        assert_eq!(said.passed, ["types"]);
        let failed = [
            pair("copy", "lost: a row"),
            pair("hold: approved", "no notice"),
        ];
        assert_eq!(said.failed, failed);
        assert_eq!(said.skipped, [pair("notify", "MODE")]);
    }
}
