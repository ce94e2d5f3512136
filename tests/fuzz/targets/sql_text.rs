//! SQL texts: any, and such as a grammar makes. The reader never panics, says the same twice, survives any
//! depth (R10), and takes no text for one statement in which a `;` hides a second (DESIGN ruling 6).

use std::borrow::Cow;

use arbitrary::Unstructured;
use sql::{Class, Reading};

use super::{grammar, scanner};

/// Any bytes, as the text of a Query.
pub fn target(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        lawful(text);
    }
    let mut choices = Unstructured::new(bytes);
    // Input that is too short for the generator is no find.
    if let Ok(script) = grammar::script(&mut choices) {
        let reading = lawful(&script.text);
        if reading.why_opaque.is_none() {
            let read = reading.statements.len();
            assert_eq!(read, script.statements, "statements of {:?}", script.text);
        }
    }
}

/// Holds a text against the laws; what it was read to be.
pub fn lawful(text: &str) -> Reading {
    let reading = sql::read(text);
    assert_eq!(
        sql::read(text),
        reading,
        "not a function of its text: {text:?}"
    );
    let mut from = 0;
    for statement in &reading.statements {
        let range = statement.range.clone();
        assert!(
            range.start >= from && text.get(range.clone()).is_some(),
            "{range:?} of {text:?}"
        );
        assert!(!statement.why.is_empty());
        assert!(
            statement.class != Class::Read || statement.writes.is_empty(),
            "{text:?}"
        );
        from = range.end;
    }
    if reading.why_opaque.is_some() {
        assert!(!reading.single() && reading.statements.len() == 1);
        assert_eq!(reading.class(), Some(Class::Opaque));
    } else {
        agrees_with_the_scanner(text, &reading);
        decoration_changes_nothing(text, &reading);
    }
    reading
}

/// A second opinion on where statements end, by other code than the parser's.
fn agrees_with_the_scanner(text: &str, reading: &Reading) {
    // Their bodies hold statements, and `;` between them.
    let holds_others = reading.statements.iter().any(|it| {
        let words = text[it.range.clone()].to_uppercase();
        words.contains("ATOMIC") || words.contains("RULE")
    });
    if !holds_others {
        assert_eq!(
            scanner::statements(text),
            reading.statements.len(),
            "{text:?}"
        );
    }
}

/// Comments and blanks around a text change neither what it is nor how many it is.
fn decoration_changes_nothing(text: &str, reading: &Reading) {
    let decorated = format!("/* ; ' */ -- $$\n\t{text}\n;");
    let other = sql::read(&decorated);
    if other.why_opaque.is_some() && decorated.len() > sql::READ_BYTES_MAX {
        return;
    }
    let class = |it: &Reading| it.statements.iter().map(|it| it.class).collect::<Vec<_>>();
    assert_eq!(class(&other), class(reading), "{decorated:?}");
    assert_eq!(other.single(), reading.single(), "{decorated:?}");
    let before: Vec<Cow<'_, str>> = relations(reading);
    assert_eq!(before, relations(&other), "{decorated:?}");
}

fn relations(reading: &Reading) -> Vec<Cow<'_, str>> {
    let all = reading
        .statements
        .iter()
        .flat_map(|it| it.reads.iter().chain(&it.writes));
    all.map(|it| Cow::Owned(it.to_string())).collect()
}
