//! Values with their places, read out of TOML one key at a time. It collects problems and goes on; it
//! never stops at the first, and never knows what a key means.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::problem::{ConfigError, Flaw, Place, Problem};
use super::quantity::{self, DURATION, SIZE, show_duration, show_size};
use super::words::{either, nearest};

/// Where something stands in the text, in bytes.
pub(super) type Span = Range<usize>;

/// One file, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Page<'a> {
    text: &'a str,
    origin: &'a Path,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Page<'a> {
    /// An empty list of problems.
    pub(super) fn new(text: &'a str, origin: &'a Path) -> Self {
        let problems = RefCell::default();
        Self {
            text,
            origin,
            problems,
        }
    }

    /// Notes that something is wrong at `span`.
    pub(super) fn flaw(&self, span: &Span, flaw: Flaw) {
        let place = Place::of(self.text, span.start);
        self.problems
            .borrow_mut()
            .push(flaw.at(self.origin, Some(place)));
    }

    /// Notes that something is wrong in a file that this one names.
    pub(super) fn flaw_in(&self, file: &Path, place: Place, flaw: Flaw) {
        self.problems.borrow_mut().push(flaw.at(file, Some(place)));
    }

    /// Notes what TOML says of the text; of several errors in a line the first.
    pub(super) fn syntax(&self, errors: &[toml::de::Error]) {
        let mut line = 0;
        for error in errors {
            let span = error.span().unwrap_or_default();
            let here = self.line(&span);
            if here != line {
                let key = self.text.get(span.clone()).unwrap_or_default();
                let found = match error.message() {
                    "duplicate key" => format!("duplicate key \"{key}\""),
                    message => message.to_owned(),
                };
                self.flaw(&span, Flaw::found(found));
            }
            line = here;
        }
    }

    /// The file.
    pub(super) fn origin(&self) -> &'a Path {
        self.origin
    }

    /// Takes the problems over of a file that this one includes.
    pub(super) fn absorb(&self, other: &Page<'_>) {
        let problems = std::mem::take(&mut *other.problems.borrow_mut());
        self.problems.borrow_mut().extend(problems);
    }

    /// How many problems there are.
    pub(super) fn problems(&self) -> usize {
        self.problems.borrow().len()
    }

    /// The problems as one error, or `good` if there are none.
    pub(super) fn finish<T>(self, good: Option<T>) -> Result<T, ConfigError> {
        let problems = self.problems.into_inner();
        match good {
            Some(good) if problems.is_empty() => Ok(good),
            _ => Err(ConfigError::new(problems)),
        }
    }

    /// The line of a place.
    pub(super) fn line(&self, span: &Span) -> usize {
        Place::of(self.text, span.start).line
    }

    /// A path of the file: relative ones start at the file's own directory.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.origin.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// A string or a name, with its place.
#[derive(Clone, Debug)]
pub(super) struct Text<'a> {
    /// The string.
    pub(super) text: &'a str,
    /// Its place.
    pub(super) span: Span,
}

/// A table whose keys are known.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// The file.
    pub(super) page: &'a Page<'a>,
    /// Where the table begins.
    pub(super) span: Span,
    table: &'a DeTable<'a>,
}

impl<'a> Fields<'a> {
    /// The whole file.
    pub(super) fn root(
        page: &'a Page<'a>,
        table: &'a DeTable<'a>,
        known: &'static [&'static str],
    ) -> Self {
        let fields = Self {
            page,
            span: 0..0,
            table,
        };
        fields.refuse_unknown(known);
        fields
    }

    /// A table with these keys.
    pub(super) fn open(
        page: &'a Page<'a>,
        name: &str,
        value: &'a Spanned<DeValue<'a>>,
        known: &'static [&'static str],
    ) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            page.flaw(&value.span(), wrong_kind(name, value.get_ref(), "a table"));
            return None;
        };
        let fields = Self {
            page,
            span: value.span(),
            table,
        };
        fields.refuse_unknown(known);
        Some(fields)
    }

    /// The table under `key`, if there is one.
    pub(super) fn table(&self, key: &str, known: &'static [&'static str]) -> Option<Self> {
        Self::open(self.page, key, self.value(key)?, known)
    }

    /// The tables under `key` by their names, in the order of the file.
    pub(super) fn named(&self, key: &str, known: &'static [&'static str]) -> Vec<(Text<'a>, Self)> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Table(tables) = value.get_ref() else {
            let expected = format!("tables [{key}.NAME]");
            let flaw = wrong_kind(key, value.get_ref(), &expected);
            self.page.flaw(&value.span(), flaw);
            return Vec::new();
        };
        let mut tables: Vec<_> = tables.iter().collect();
        tables.sort_by_key(|(name, _)| name.span().start);
        let mut named = Vec::new();
        for (name, value) in tables {
            let text: &'a str = name.get_ref();
            if let Some(fields) = Self::open(self.page, text, value, known) {
                let span = fields.span.clone();
                named.push((Text { text, span }, fields));
            }
        }
        named
    }

    /// The tables `[[key]]`, in order.
    pub(super) fn several(&self, key: &str, known: &'static [&'static str]) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(tables) = value.get_ref() else {
            let expected = format!("tables [[{key}]]");
            let flaw = wrong_kind(key, value.get_ref(), &expected);
            self.page.flaw(&value.span(), flaw);
            return Vec::new();
        };
        let open = |table| Self::open(self.page, key, table, known);
        tables.iter().filter_map(open).collect()
    }

    fn refuse_unknown(&self, known: &[&str]) {
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let elsewhere = match known {
                keys::POLICY_FILE => Some("in a policy file"),
                keys::INCLUDED => Some("in a file that is included"),
                _ => None,
            };
            let flaw = if let Some(place) = elsewhere.filter(|_| keys::TOP.contains(&name)) {
                Flaw::found(format!("\"{name}\" does not belong {place}"))
                    .expected(either(known.iter().copied()))
            } else if let Some(home) = keys::home(name) {
                Flaw::found(format!("\"{name}\" stands in the wrong place"))
                    .expected(format!("it {home}"))
            } else {
                Flaw::found(format!("unknown key \"{name}\""))
                    .expected(either(known.iter().copied()))
                    .meant(nearest(name, known.iter().copied()))
            };
            self.page.flaw(&key.span(), flaw);
        }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    /// Where the value of `key` stands, or the table where there is none.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.value(key)
            .map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Notes that a key is missing, if it is.
    pub(super) fn require(&self, key: &str, expected: &str) {
        if !self.has(key) {
            let flaw = Flaw::found(format!("missing key \"{key}\"")).expected(expected);
            self.page.flaw(&self.span, flaw);
        }
    }

    /// Notes that a key is there which says nothing here.
    pub(super) fn refuse(&self, key: &str, why: impl Display) {
        if self.has(key) {
            let flaw = Flaw::found(format!("\"{key}\" has no meaning {why}"));
            self.page.flaw(&self.span_of(key), flaw);
        }
    }

    /// A value as `read` makes it, or a note that it is not what was expected.
    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<Result<T, Flaw>>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let wrong = || Err(wrong_type(key, value.get_ref(), expected));
        match read(value.get_ref()).unwrap_or_else(wrong) {
            Ok(read) => Some(read),
            Err(flaw) => {
                self.page.flaw(&value.span(), flaw);
                None
            }
        }
    }

    /// A string that is not empty.
    pub(super) fn text(&self, key: &str, expected: &str) -> Option<Text<'a>> {
        let text = self.read(key, expected, |value| string(value).map(Ok))?;
        let span = self.span_of(key);
        if text.is_empty() {
            let flaw = Flaw::found(format!("\"{key}\" is empty")).expected(expected);
            self.page.flaw(&span, flaw);
            return None;
        }
        Some(Text { text, span })
    }

    /// A string of which only the type may be told.
    pub(super) fn secret(&self, key: &str) -> Option<Text<'a>> {
        let text = self.read(key, "", |value| {
            let flaw = || wrong_kind(key, value, "a string");
            Some(
                string(value)
                    .filter(|text| !text.is_empty())
                    .ok_or_else(flaw),
            )
        })?;
        Some(Text {
            text,
            span: self.span_of(key),
        })
    }

    /// One string or a list of them, none of them empty. None where the key is missing.
    pub(super) fn texts(&self, key: &str, expected: &str) -> Option<Vec<Text<'a>>> {
        let value = self.value(key)?;
        let expected = format!("{expected}, or a list of them");
        let one = std::slice::from_ref(value);
        let list: Vec<_> = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => one.iter().collect(),
        };
        if list.is_empty() {
            let flaw = Flaw::found(format!("\"{key}\" is an empty list")).expected(&*expected);
            self.page.flaw(&value.span(), flaw);
        }
        let mut texts = Vec::new();
        for value in list {
            match string(value.get_ref()).filter(|text| !text.is_empty()) {
                Some(text) => texts.push(Text {
                    text,
                    span: value.span(),
                }),
                None => self
                    .page
                    .flaw(&value.span(), wrong_type(key, value.get_ref(), &expected)),
            }
        }
        Some(texts)
    }

    /// `true` or `false`; the latter where the key is missing.
    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        if !self.has(key) {
            return Some(false);
        }
        self.read(key, "true or false", |value| match value {
            DeValue::Boolean(value) => Some(Ok(*value)),
            _ => None,
        })
    }

    /// A whole number within bounds.
    pub(super) fn number<T>(&self, key: &str, within: RangeInclusive<T>) -> Option<T>
    where
        T: PartialOrd + Display + TryFrom<i64>,
    {
        let expected = format!("a whole number from {} to {}", within.start(), within.end());
        self.read(key, &expected, |value| match value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .and_then(|number| T::try_from(number).ok())
                .filter(|number| within.contains(number))
                .map(Ok),
            _ => None,
        })
    }

    /// A duration within bounds.
    pub(super) fn duration(&self, key: &str, within: RangeInclusive<Duration>) -> Option<Duration> {
        self.read(key, DURATION, |value| {
            let text = string(value)?;
            let bounds = (*within.start(), *within.end());
            Some(
                quantity::duration(key, text)
                    .and_then(|it| bounded(key, text, it, bounds, show_duration)),
            )
        })
    }

    /// A size within bounds.
    pub(super) fn size(&self, key: &str, within: RangeInclusive<u64>) -> Option<usize> {
        let size = self.read(key, SIZE, |value| {
            let text = string(value)?;
            let bounds = (*within.start(), *within.end());
            Some(quantity::size(key, text).and_then(|it| bounded(key, text, it, bounds, show_size)))
        })?;
        usize::try_from(size).ok()
    }
}

fn bounded<T: PartialOrd + Copy>(
    key: &str,
    text: &str,
    value: T,
    (least, most): (T, T),
    show: fn(T) -> String,
) -> Result<T, Flaw> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let bounds = format!("\"{}\" to \"{}\"", show(least), show(most));
    Err(Flaw::found(format!("\"{key}\" is \"{text}\"")).expected(bounds))
}

fn string<'a>(value: &'a DeValue<'a>) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

fn wrong_type(key: &str, value: &DeValue<'_>, expected: &str) -> Flaw {
    let found = match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => value.to_string(),
        other => kind(other).to_owned(),
    };
    Flaw::found(format!("\"{key}\" is {found}")).expected(expected)
}

/// The same without the value, which may be a secret, or hold one.
fn wrong_kind(key: &str, value: &DeValue<'_>, expected: &str) -> Flaw {
    Flaw::found(format!("\"{key}\" is {}", kind(value))).expected(expected)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(text) if text.is_empty() => "empty",
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
