//! Patterns of names: tenants and users, relations with their columns, functions. A `*` stands for any
//! characters. It knows no search path and no catalog: whoever asks has a name and its schema.

use std::fmt;
use std::str::FromStr;

/// A pattern of one name, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    head: Box<str>,
    /// What stands behind each star: the last of them is the end of the name. Empty without a star.
    rest: Box<[Box<str>]>,
}

impl Glob {
    /// The pattern of exactly this name, stars and all.
    pub fn exact(name: &str) -> Self {
        Self {
            head: Box::from(name),
            rest: Box::default(),
        }
    }

    /// Whether `name` fits.
    pub fn fits(&self, name: &str) -> bool {
        let Some((tail, middle)) = self.rest.split_last() else {
            return *self.head == *name;
        };
        let Some(mut rest) = name.strip_prefix(&*self.head) else {
            return false;
        };
        for piece in middle {
            let Some((_, behind)) = rest.split_once(&**piece) else {
                return false;
            };
            rest = behind;
        }
        rest.ends_with(&**tail)
    }

    /// The one name that fits, if there is no star.
    pub fn only(&self) -> Option<&str> {
        self.rest.is_empty().then_some(&*self.head)
    }

    /// Whether every name fits.
    pub fn is_any(&self) -> bool {
        !self.rest.is_empty() && self.head.is_empty() && self.rest.iter().all(|it| it.is_empty())
    }
}

impl From<&str> for Glob {
    fn from(pattern: &str) -> Self {
        let mut pieces = pattern.split('*').map(Box::from);
        Self {
            head: pieces.next().unwrap_or_default(),
            rest: pieces.collect(),
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        self.rest.iter().try_for_each(|piece| write!(f, "*{piece}"))
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters.
pub fn glob(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(head) else {
        return false;
    };
    let mut pieces = tail.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

/// Relations as rules and owners name them: `table` in whatever schema, `schema.table`, or one column of
/// it, `schema.table.column`. Names are written as in SQL: without quotes they are lower case, and a star in
/// quotes is a star.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationPattern {
    /// The schema; none fits every one.
    pub schema: Option<Glob>,
    /// The relation's name.
    pub name: Glob,
    /// A column of it; none means the relation as such.
    pub column: Option<Glob>,
}

/// Functions as rules name them: `function` in whatever schema, or `schema.function`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionPattern {
    /// The schema; none fits every one.
    pub schema: Option<Glob>,
    /// The function's name.
    pub name: Glob,
}

/// A text that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPattern {
    /// Nothing stands where a name should.
    #[error("a name is empty")]
    Empty,
    /// A quote without its end, or something behind it.
    #[error("a quoted name must end with a quote")]
    Quote,
    /// A character that an unquoted name cannot have.
    #[error("{0:?} must stand in double quotes")]
    Unquoted(char),
    /// More names than there are places for.
    #[error("too many names")]
    Long,
}

impl FromStr for RelationPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let mut names = names(text)?.into_iter();
        let pattern = match (names.next(), names.next(), names.next(), names.next()) {
            (Some(name), None, None, None) => (None, name, None),
            (Some(schema), Some(name), None, None) => (Some(schema), name, None),
            (Some(schema), Some(name), column, None) => (Some(schema), name, column),
            _ => return Err(NotAPattern::Long),
        };
        let (schema, name, column) = pattern;
        Ok(Self {
            schema,
            name,
            column,
        })
    }
}

impl FromStr for FunctionPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let mut names = names(text.strip_suffix("()").unwrap_or(text))?.into_iter();
        let (schema, name) = match (names.next(), names.next(), names.next()) {
            (Some(name), None, None) => (None, name),
            (Some(schema), Some(name), None) => (Some(schema), name),
            _ => return Err(NotAPattern::Long),
        };
        Ok(Self { schema, name })
    }
}

/// Names with dots between them.
fn names(text: &str) -> Result<Vec<Glob>, NotAPattern> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_name(quoted)?,
            None => plain_name(rest)?,
        };
        names.push(name);
        match behind.strip_prefix('.') {
            Some(more) => rest = more,
            None if behind.is_empty() => return Ok(names),
            None => return Err(NotAPattern::Quote),
        }
    }
}

fn plain_name(text: &str) -> Result<(Glob, &str), NotAPattern> {
    let (name, behind) = text.split_at(text.find('.').unwrap_or(text.len()));
    let strange = |c: &char| {
        let fits = c.is_alphanumeric() || matches!(c, '_' | '$' | '*') || !c.is_ascii();
        !fits || c.is_whitespace()
    };
    match name.chars().find(strange) {
        Some(strange) => Err(NotAPattern::Unquoted(strange)),
        None if name.is_empty() => Err(NotAPattern::Empty),
        None => Ok((Glob::from(&*name.to_ascii_lowercase()), behind)),
    }
}

/// What stands behind the first quote, up to the last; two quotes in it are one.
pub(crate) fn unquoted(quoted: &str) -> Result<(String, &str), NotAPattern> {
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (piece, behind) = rest.split_once('"').ok_or(NotAPattern::Quote)?;
        name.push_str(piece);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Ok((name, behind)),
        }
    }
}

fn quoted_name(quoted: &str) -> Result<(Glob, &str), NotAPattern> {
    let (name, behind) = unquoted(quoted)?;
    if name.is_empty() {
        return Err(NotAPattern::Empty);
    }
    Ok((Glob::exact(&name), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_however_it_is_asked() {
        for (pattern, name, fits) in [
            ("acme", "acme", true),
            ("acme", "acme2", false),
            ("*", "", true),
            ("acme_*", "acme_", true),
            ("acme_*", "xacme_1", false),
            ("*_prod", "eu_prod", true),
            ("*_prod", "eu_prod_2", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a**b", "ab", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
            assert_eq!(Glob::from(pattern).fits(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn relations_are_named_as_in_sql() {
        let read = |text: &str| text.parse::<RelationPattern>();
        let of = |schema: Option<Glob>, name: &str, column: Option<&str>| {
            Ok(RelationPattern {
                schema,
                name: name.into(),
                column: column.map(Glob::from),
            })
        };
        assert_eq!(read("Accounts"), of(None, "accounts", None));
        assert_eq!(read("hr.*"), of(Some("hr".into()), "*", None));
        assert_eq!(
            read("*.People.SSN"),
            of(Some("*".into()), "people", Some("ssn"))
        );
        assert_eq!(
            read("\"My \"\"*\".x"),
            of(Some(Glob::exact("My \"*")), "x", None)
        );
        for (text, why) in [
            ("", NotAPattern::Empty),
            ("a..b", NotAPattern::Empty),
            ("a.", NotAPattern::Empty),
            ("\"\"", NotAPattern::Empty),
            ("a.b.c.d", NotAPattern::Long),
            ("\"a", NotAPattern::Quote),
            ("\"a\"b", NotAPattern::Quote),
            ("a b", NotAPattern::Unquoted(' ')),
            ("a-b", NotAPattern::Unquoted('-')),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn functions_are_named_with_or_without_their_parentheses() {
        let read = |text: &str| text.parse::<FunctionPattern>();
        assert_eq!(read("billing.run()"), read("Billing.RUN"));
        assert!(read("a.b.c").is_err());
    }
}
