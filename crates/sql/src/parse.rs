//! A text to a [`Reading`]: caps, PostgreSQL's grammar, the judgement of each statement. Pure and bounded; a panic in the parser
//! makes the text opaque. It never uses pg_query's own conclusions (names, tables, fingerprints), which are not exhaustive.

use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use pg_query::protobuf::{RawStmt, Token};
use pg_query::{Error, NodeEnum};

use crate::catalog::Catalog;
use crate::leaves::leaves;
use crate::on::{On, Texts};
use crate::{Reading, Statement, caps, second, statement};

/// Standard options: standard-conforming strings, the SQL grammar.
const OPTIONS: i32 = 0;

/// Virtual memory, touched only as far as a statement is deep. Decoding, walking and dropping a tree recurse on it, as deep as
/// the parser's own limits let a tree be (a C stack of 100 KB, "nested too deeply to serialize"). Of the worst shapes in
/// `tests/shapes.rs` a build that is not optimised needs between 48 and 128 MiB.
pub(crate) const STACK_BYTES: usize = if cfg!(debug_assertions) { 512 } else { 256 } * 1024 * 1024;

/// Reads one text, on whatever stack: one that may nest borrows a thread with a big one.
pub fn read(text: &str) -> Reading {
    read_for(text, &Catalog::unknown(None))
}

/// Reads one text as that database would, on whatever stack.
pub fn read_for(text: &str, catalog: &Catalog) -> Reading {
    on_a_big_stack(text, || read_deep(text, catalog))
}

/// The same on a stack of [`STACK_BYTES`], or a shallow text on one of 2 MiB. What stands behind the names of a text gets a
/// stack of its own.
pub(crate) fn read_deep(text: &str, catalog: &Catalog) -> Reading {
    let texts = Texts::default();
    let reading = read_on(text, On::new(catalog, &texts, read_aside));
    second::weighed(text, reading)
}

/// Not optimised, a hundred levels of decoding take 1.6 MiB: then nothing is read on a stack that is not ours.
pub(crate) fn fits_any_stack(text: &str) -> bool {
    !cfg!(debug_assertions) && caps::is_shallow(text)
}

/// Reads a text that stands behind what another one names, in the middle of whose walk this may be.
fn read_aside(text: &str, on: On<'_>) -> Reading {
    aside(text, || read_on(text, on))
}

fn on_a_big_stack(text: &str, read: impl FnOnce() -> Reading + Send) -> Reading {
    if fits_any_stack(text) || text.len() > caps::READ_BYTES_MAX {
        return read();
    }
    aside(text, read)
}

fn aside(text: &str, read: impl FnOnce() -> Reading + Send) -> Reading {
    let reading = thread::scope(|scope| {
        let aside = thread::Builder::new().stack_size(STACK_BYTES);
        aside.spawn_scoped(scope, read).ok()?.join().ok()
    });
    reading.unwrap_or_else(|| unread(text, "was not read: no thread could be had for it"))
}

fn read_on(text: &str, on: On<'_>) -> Reading {
    if let Some(why) = caps::refusal(text) {
        return Reading::refused(text.len(), why);
    }
    Reading {
        known: on.is_known(),
        ..guarded(text, |text| parsed(text, on))
    }
}

fn guarded(text: &str, parse: impl Fn(&str) -> Result<Vec<Statement>, String>) -> Reading {
    match panic::catch_unwind(AssertUnwindSafe(|| parse(text))) {
        Ok(Ok(statements)) => Reading {
            statements,
            why_opaque: None,
            second: None,
            known: false,
        },
        Ok(Err(why)) => Reading::refused(text.len(), why),
        Err(_) => Reading::refused(text.len(), "made the parser panic".to_owned()),
    }
}

fn parsed(text: &str, on: On<'_>) -> Result<Vec<Statement>, String> {
    let tree = pg_query::parse(text, OPTIONS)
        .map_err(|error| why(&error))?
        .protobuf;
    let mut from = 0;
    let mut statements = Vec::with_capacity(tree.stmts.len());
    for raw in &tree.stmts {
        let range = range(text, raw, from)?;
        from = range.end;
        let node = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref());
        statements.push(leaves(on, node, text, statement::judge(on, node, range)));
    }
    let bodies = tree.stmts.iter().any(holds_statements);
    if (statements.is_empty() || caps::semicolon_inside(text))
        && !bodies
        && scanned(text)? != statements.len()
    {
        return Err("is counted otherwise by the scanner than by the grammar".to_owned());
    }
    Ok(statements)
}

/// Where a statement stands. Positions that are not in order, or not on characters, are a fault of the parser.
fn range(text: &str, raw: &RawStmt, from: usize) -> Result<Range<usize>, String> {
    let fault = || "has statements at impossible places".to_owned();
    let start = usize::try_from(raw.stmt_location).map_err(|_| fault())?;
    let len = usize::try_from(raw.stmt_len).map_err(|_| fault())?;
    // Length 0 means: to the end of the text.
    let end = if len == 0 {
        text.len()
    } else {
        start.checked_add(len).ok_or_else(fault)?
    };
    if start < from || text.get(start..end).is_none() {
        return Err(fault());
    }
    Ok(start..end)
}

/// Statements in whose text a `;` may stand between other statements: rules, and functions with a SQL body.
fn holds_statements(raw: &RawStmt) -> bool {
    let node = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref());
    matches!(
        node,
        Some(NodeEnum::RuleStmt(_) | NodeEnum::CreateFunctionStmt(_))
    )
}

/// How many statements the scanner sees: runs of tokens between `;`.
fn scanned(text: &str) -> Result<usize, String> {
    // Not `scan_tokens`: of a text without tokens it makes a slice from a null pointer (18.1.0).
    let tokens = pg_query::scan(text).map_err(|error| why(&error))?.tokens;
    let mut statements = 0;
    let mut inside = false;
    for token in tokens {
        match Token::try_from(token.token) {
            Ok(Token::SqlComment | Token::CComment) => {}
            Ok(Token::Ascii59) => inside = false,
            _ => {
                statements += usize::from(!inside);
                inside = true;
            }
        }
    }
    Ok(statements)
}

/// A parser's error in words that follow "the text".
fn why(error: &Error) -> String {
    match error {
        Error::Parse(message) if too_deep_for_it(message) => too_deep(),
        Error::Parse(message) | Error::Scan(message) => format!("does not parse: {message}"),
        Error::Decode(_) => too_deep(),
        other => format!("does not parse: {other}"),
    }
}

/// It counts its own recursion while it parses, and the nesting of what it hands over.
fn too_deep_for_it(message: &str) -> bool {
    ["nested too deeply", "stack depth limit exceeded"]
        .iter()
        .any(|why| message.contains(why))
}

fn too_deep() -> String {
    "is nested too deeply to read".to_owned()
}

/// A reading that says why nobody read the text.
pub fn unread(text: &str, why: &str) -> Reading {
    Reading::refused(text.len(), why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    #[test]
    fn a_panic_is_opaque() {
        let reading = guarded("SELECT 1", |_| panic!("as ParseResult::new might"));
        assert_eq!(reading.class(), Some(Class::Opaque));
        assert_eq!(reading.why_opaque.as_deref(), Some("made the parser panic"));
        assert!(!reading.single());
    }

    #[test]
    fn the_scanner_counts_as_the_grammar_does() {
        for (text, count) in [
            ("", 0),
            (" ; ;", 0),
            ("-- a", 0),
            ("SELECT ';' /* ; */; SELECT $$;$$;", 2),
            ("a;b;c", 3),
        ] {
            assert_eq!(scanned(text), Ok(count), "{text}");
        }
    }

    #[test]
    fn impossible_places_are_a_fault() {
        let raw = |stmt_location, stmt_len| RawStmt {
            stmt: None,
            stmt_location,
            stmt_len,
        };
        assert_eq!(range("é SELECT", &raw(3, 0), 0), Ok(3..9));
        assert_eq!(range("é SELECT", &raw(3, 2), 0), Ok(3..5));
        for (location, len, from) in [(1, 0, 0), (3, 100, 0), (-1, 0, 0), (3, -1, 0), (3, 2, 4)] {
            assert!(range("é SELECT", &raw(location, len), from).is_err());
        }
    }
}
