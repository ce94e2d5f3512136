//! A text to a [`Reading`]: caps, PostgreSQL's grammar, the judgement of each statement. Pure and bounded; a panic in the parser
//! makes the text opaque. It never uses pg_query's own conclusions (names, tables, fingerprints), which are not exhaustive.

use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};

use pg_query::protobuf::{RawStmt, Token};
use pg_query::{Error, NodeEnum};

use crate::catalog::{Catalog, On};
use crate::leaves::leaves;
use crate::{Reading, Statement, caps, statement};

/// Standard options: standard-conforming strings, the SQL grammar.
const OPTIONS: i32 = 0;

/// Reads one text.
///
/// Statements nested more than about a hundred messages deep in the parser's protobuf (15 scalar subqueries in each other, 46
/// operands of one `+`) are opaque: that is prost's default limit, kept on purpose. Decoding, walking and dropping recurse on
/// this stack, and with the limit a 2 MiB one holds every text (`tests/shapes.rs`). Lifting it is later work, and then this
/// may only run on [`crate::Reader`]'s own threads.
pub fn read(text: &str) -> Reading {
    read_for(text, &Catalog::unknown(None))
}

/// Reads one text as that database would.
pub fn read_for(text: &str, catalog: &Catalog) -> Reading {
    read_on(text, On::new(catalog, read_on))
}

/// Reads a text that the client sent, or one that stands behind what it names.
pub(crate) fn read_on(text: &str, on: On<'_>) -> Reading {
    if let Some(why) = caps::refusal(text) {
        return Reading::refused(text.len(), why);
    }
    guarded(text, |text| parsed(text, on))
}

fn guarded(text: &str, parse: impl Fn(&str) -> Result<Vec<Statement>, String>) -> Reading {
    match panic::catch_unwind(AssertUnwindSafe(|| parse(text))) {
        Ok(Ok(statements)) => Reading {
            statements,
            why_opaque: None,
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
        Error::Parse(message) if message.contains("nested too deeply") => too_deep(),
        Error::Parse(message) | Error::Scan(message) => format!("does not parse: {message}"),
        Error::Decode(_) => too_deep(),
        other => format!("does not parse: {other}"),
    }
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
