//! A second parser's opinion of what would pass: it may hold a text and never lets one pass. Where it cannot read the text, or
//! sees fewer statements or weaker ones, it abstains; it is no authority (docs/decisions/0009).

use std::panic;

use sqlparser::ast::{Query, SetExpr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::{Class, Reading, Second};

/// Longer texts are not shown to it.
const BYTES_MAX: usize = 16 * 1024;

/// How deep it may recurse; its own default is 50.
const DEPTH_MAX: usize = 100;

/// The reading as it counts: opaque where the second parser sees something stronger in a text that would pass.
pub(crate) fn weighed(text: &str, mut reading: Reading) -> Reading {
    let passes = reading
        .class()
        .is_some_and(|class| class <= Class::CopyOut && class != Class::Transaction);
    if !passes || text.len() > BYTES_MAX {
        return reading;
    }
    let opinion = opinion(text, reading.statements.len());
    if let Second::Stronger(seen) = &opinion {
        for statement in &mut reading.statements {
            statement.why = format!("{}; a second parser sees {seen}", statement.why);
            statement.class = Class::Opaque;
        }
    }
    reading.second = Some(opinion);
    reading
}

/// What it makes of a text that holds so many harmless statements.
fn opinion(text: &str, statements: usize) -> Second {
    let seen = panic::catch_unwind(|| {
        let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(DEPTH_MAX);
        parser.try_with_sql(text)?.parse_statements()
    });
    // A panic of its own says nothing of the text.
    let Ok(Ok(seen)) = seen else {
        return Second::Unread;
    };
    match seen.iter().find_map(stronger) {
        Some(what) => Second::Stronger(what.to_owned()),
        None if seen.len() > statements => Second::Stronger(format!("{} statements", seen.len())),
        None if seen.len() < statements => Second::Fewer,
        None => Second::Agrees,
    }
}

/// What this statement changes, if it does.
fn stronger(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Query(query) => in_query(query),
        Statement::Explain {
            analyze: true,
            statement,
            ..
        } => stronger(statement),
        Statement::Insert(_) => Some("an INSERT"),
        Statement::Update(_) => Some("an UPDATE"),
        Statement::Delete(_) => Some("a DELETE"),
        Statement::Merge(_) => Some("a MERGE"),
        Statement::Truncate(_) => Some("a TRUNCATE"),
        Statement::Call(_) => Some("a CALL"),
        Statement::Copy { to: false, .. } => Some("a COPY FROM"),
        Statement::Grant(_) | Statement::Revoke(_) => Some("a change of rights"),
        Statement::Drop { .. }
        | Statement::DropFunction(_)
        | Statement::DropDomain(_)
        | Statement::DropProcedure { .. }
        | Statement::DropTrigger(_)
        | Statement::DropExtension(_) => Some("a DROP"),
        Statement::AlterTable(_)
        | Statement::AlterSchema(_)
        | Statement::AlterIndex { .. }
        | Statement::AlterView { .. }
        | Statement::AlterFunction(_)
        | Statement::AlterType(_)
        | Statement::AlterRole { .. } => Some("an ALTER"),
        Statement::CreateTable(_)
        | Statement::CreateView(_)
        | Statement::CreateIndex(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateDatabase { .. }
        | Statement::CreateFunction(_)
        | Statement::CreateTrigger(_)
        | Statement::CreateProcedure { .. }
        | Statement::CreateSequence { .. }
        | Statement::CreateDomain(_)
        | Statement::CreateType { .. }
        | Statement::CreateExtension(_)
        | Statement::CreateRole(_) => Some("a CREATE"),
        _ => None,
    }
}

fn in_query(query: &Query) -> Option<&'static str> {
    let with = query.with.iter().flat_map(|with| &with.cte_tables);
    with.map(|table| &*table.query)
        .find_map(in_query)
        .or_else(|| in_body(&query.body))
}

fn in_body(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => stronger(statement),
        SetExpr::Select(select) => select.into.as_ref().map(|_| "a SELECT INTO"),
        SetExpr::Query(query) => in_query(query),
        SetExpr::SetOperation { left, right, .. } => in_body(left).or_else(|| in_body(right)),
        SetExpr::Values(_) | SetExpr::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sees_what_is_stronger_and_abstains_otherwise() {
        let stronger = |what: &str| Second::Stronger(what.to_owned());
        for (text, statements, seen) in [
            ("SELECT 1", 1, Second::Agrees),
            ("SELECT 1; SELECT 2", 1, stronger("2 statements")),
            ("SELECT 1", 2, Second::Fewer),
            ("SELECT 1; DELETE FROM t", 2, stronger("a DELETE")),
            ("SELECT * INTO x FROM t", 1, stronger("a SELECT INTO")),
            (
                "WITH d AS (DELETE FROM t) SELECT 1",
                1,
                stronger("a DELETE"),
            ),
            ("EXPLAIN DELETE FROM t", 1, Second::Agrees),
            ("EXPLAIN ANALYZE DELETE FROM t", 1, stronger("a DELETE")),
            ("COPY t TO STDOUT", 1, Second::Agrees),
            ("SELECT (", 1, Second::Unread),
            ("COPY t FROM STDIN", 1, stronger("a COPY FROM")),
        ] {
            assert_eq!(opinion(text, statements), seen, "{text}");
        }
        let deep = format!("SELECT {}1", "(".repeat(8_000));
        assert_eq!(opinion(&deep, 1), Second::Unread);
    }
}
