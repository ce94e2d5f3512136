//! A script: statements that are signed together before any of them runs, and then sent one after the other. What a client
//! leaves out between them, and what it adds, means nothing; all else must be as it was signed.

use serde::{Deserialize, Serialize};
use sql::{Class, Control, Reading};

/// One statement of a script that needs a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptStep {
    /// Its place among all statements of the script.
    pub at: usize,
    /// Whether it stands in an explicit transaction.
    pub in_transaction: bool,
}

/// The statements of a text as people are shown them, and which of them `waits` says need a signature: those are checked off in
/// order.
pub fn steps<'t>(
    text: &'t str,
    reading: &Reading,
    waits: impl Fn(usize) -> bool,
) -> (Vec<&'t str>, Vec<ScriptStep>) {
    let mut texts = Vec::with_capacity(reading.statements.len());
    let mut steps = Vec::new();
    let mut in_transaction = false;
    for (at, statement) in reading.statements.iter().enumerate() {
        texts.push(bare(text.get(statement.range.clone()).unwrap_or_default()));
        match &statement.control {
            Some(Control::Begin { .. }) => in_transaction = true,
            Some(Control::Commit { chain } | Control::Rollback { chain }) => {
                in_transaction = *chain;
            }
            _ if statement.class != Class::Transaction && waits(at) => {
                steps.push(ScriptStep { at, in_transaction });
            }
            _ => {}
        }
    }
    (texts, steps)
}

/// A statement without what stands around it: blanks, comments in front of it, and the semicolon behind it. psql sends some of
/// that and some not.
pub fn bare(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let behind = if let Some(line) = rest.strip_prefix("--") {
            line.split_once('\n').map_or("", |it| it.1)
        } else if rest.starts_with("/*") {
            match behind_comment(rest) {
                Some(behind) => behind,
                None => break,
            }
        } else {
            break;
        };
        rest = behind.trim_start();
    }
    rest.trim_end_matches(|it: char| it == ';' || it.is_whitespace())
}

/// What is behind a comment, which may hold others; none where it does not end.
fn behind_comment(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth.checked_sub(1)?, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return text.get(at..);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_statement_is_no_part_of_it() {
        for (text, expected) in [
            (" DELETE FROM t ;\n", "DELETE FROM t"),
            ("-- why\n  -- and\nDELETE FROM t;", "DELETE FROM t"),
            ("/* a /* b */ c */ DELETE FROM t", "DELETE FROM t"),
            (
                "DELETE /* here */ FROM t -- x",
                "DELETE /* here */ FROM t -- x",
            ),
            ("/* open DELETE", "/* open DELETE"),
            ("-- nothing", ""),
            ("", ""),
        ] {
            assert_eq!(bare(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_step_knows_whether_it_is_in_a_transaction() {
        let text = "delete from a; begin; delete from b; select 1; commit and chain; delete from c; commit; \
                    -- last\ndelete from d;";
        let reading = sql::read(text);
        let waits = |at: usize| reading.statements[at].class == Class::Write;
        let (texts, steps) = steps(text, &reading, waits);
        assert_eq!(texts.len(), 8);
        assert_eq!(texts[7], "delete from d");
        let expected = [(0, false), (2, true), (5, true), (7, false)];
        let steps: Vec<_> = steps.iter().map(|it| (it.at, it.in_transaction)).collect();
        assert_eq!(steps, expected);
    }
}
