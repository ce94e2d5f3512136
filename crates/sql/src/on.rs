//! A catalog, and how far behind the text that a client sent one looks: views stand behind a name, and texts of the catalog's own
//! behind those. It never looks deeper than a bound, and reads none of them twice.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use crate::lists::names;
use crate::own::{Casts, HiddenCast, RelationKind};
use crate::{Catalog, Class, Reading, Relation};

/// Views behind views behind a text; what is deeper is not looked at.
const DEPTH_MAX: usize = 16;

/// A catalog, looked at from a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct On<'a> {
    catalog: &'a Catalog,
    texts: &'a Texts,
    depth: usize,
    declares: bool,
    /// Whoever reads a text of the catalog's own.
    read: fn(&str, On<'_>) -> Reading,
}

/// The texts of the catalog's own that were read behind one that a client sent: two views on each of two views on each of two
/// would else be read a thousand times.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<HashMap<String, Reading>>);

impl Texts {
    fn get(&self, text: &str) -> Option<Reading> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.get(text).cloned()
    }

    fn keep(&self, text: &str, reading: &Reading) {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(text.to_owned(), reading.clone());
    }
}

impl<'a> On<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        texts: &'a Texts,
        read: fn(&str, On<'_>) -> Reading,
    ) -> Self {
        On {
            catalog,
            texts,
            depth: 0,
            declares: false,
            read,
        }
    }

    /// The catalog itself, which outlives this.
    pub(crate) fn catalog(self) -> &'a Catalog {
        self.catalog
    }

    /// For the inside of a PREPARE.
    pub(crate) fn declaring(self) -> Self {
        On {
            declares: true,
            ..self
        }
    }

    /// Whether the types of parameters are written in the text, or follow from what is: nobody says them beside it.
    pub(crate) fn declares(self) -> bool {
        self.declares
    }

    /// A text of the catalog's own, read; none where it is too far behind, or behind itself.
    pub(crate) fn read(self, text: &str) -> Option<Reading> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX {
            return None;
        }
        if let Some(reading) = self.texts.get(text) {
            return Some(reading);
        }
        let reading = (self.read)(text, On { depth, ..self });
        self.texts.keep(text, &reading);
        Some(reading)
    }

    /// A cast to a type of PostgreSQL's own that nobody writes and that may do more than convert, if there is one.
    pub(crate) fn hidden_cast(self) -> Option<&'a str> {
        let casts = self.catalog.hidden_casts();
        let mut built_in = casts.iter().filter(|it| !self.catalog.is_own(&it.target));
        built_in.next().map(|it| it.function.as_str())
    }

    /// Those to types of the user's.
    pub(crate) fn casts_to_own(self) -> impl Iterator<Item = &'a HiddenCast> {
        let casts = self.catalog.hidden_casts();
        casts
            .iter()
            .filter(move |it| self.catalog.is_own(&it.target))
    }

    /// What may stand behind this name; nothing where nobody knows.
    pub(crate) fn behind(self, relation: &Relation) -> Vec<&'a RelationKind> {
        let named = self.catalog.relations(&relation.name).iter();
        let schema = relation.schema.as_ref();
        let fits = named.filter(|it| schema.is_none_or(|schema| *schema == it.schema));
        fits.map(|it| &it.kind).collect()
    }

    /// Why a cast to a type is not harmless.
    pub(crate) fn data_type(self, parts: &[String]) -> Option<String> {
        if let Some(function) = self.cast_to(parts) {
            return Some(format!("may convert by {function}()"));
        }
        if self.has_type(parts) && !self.is_shadowed(parts) {
            return None;
        }
        let written = names::written(parts);
        let Some((name, schema)) = parts.split_last() else {
            return Some("casts to a type without a name".to_owned());
        };
        let mut known = false;
        for it in self.types_or_elements(name) {
            if schema.first().is_some_and(|schema| *schema != it.schema) {
                continue;
            }
            known = true;
            match &it.casts {
                Casts::Plain => {}
                Casts::Unknown => {
                    return Some(format!("casts to {written}, a type of an unknown kind"));
                }
                Casts::Checks(checks) => {
                    let reading = self.read(&format!("SELECT {checks}"));
                    if reading.and_then(|it| it.class()) != Some(Class::Read) {
                        return Some(format!("casts to {written}, whose check is not harmless"));
                    }
                }
            }
        }
        (!known).then(|| format!("casts to unknown type {written}"))
    }
}

impl Deref for On<'_> {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        self.catalog
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static READ: AtomicUsize = AtomicUsize::new(0);

    /// Behind each number stands the one before it, twice; behind 0 nothing.
    fn twice(text: &str, on: On<'_>) -> Reading {
        READ.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = text.parse().ok().and_then(|it: usize| it.checked_sub(1)) {
            for _ in 0..2 {
                on.read(&before.to_string());
            }
        }
        crate::unread(text, "is no text")
    }

    #[test]
    fn nothing_is_read_twice_and_nothing_too_deep() {
        let (catalog, texts) = (Catalog::unknown(None), Texts::default());
        let on = On::new(&catalog, &texts, twice);
        let last = DEPTH_MAX - 1;
        assert!(on.read(&last.to_string()).is_some());
        assert_eq!(READ.load(Ordering::Relaxed), DEPTH_MAX);
        let deepest = On {
            depth: DEPTH_MAX,
            ..on
        };
        assert!(deepest.read("0").is_none());
    }
}
