//! A second parser's opinion of what would pass: it may hold a text and never lets one pass. Where it cannot read the text, or
//! sees fewer statements or weaker ones, it abstains; it is no authority (docs/decisions/0009).

use std::panic;

use sqlparser::ast::{Query, SetExpr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::{Class, Reading};

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
    if let Some(seen) = opinion(text, reading.statements.len()) {
        for statement in &mut reading.statements {
            statement.why = format!("{}; a second parser sees {seen}", statement.why);
            statement.class = Class::Opaque;
        }
        reading.second = Some(seen);
    }
    reading
}

/// What it sees that is stronger than `statements` harmless ones.
fn opinion(text: &str, statements: usize) -> Option<String> {
    let seen = panic::catch_unwind(|| {
        let seen = Parser::new(&PostgreSqlDialect {})
            .with_recursion_limit(DEPTH_MAX)
            .try_with_sql(text)
            .ok()?
            .parse_statements()
            .ok()?;
        match seen.iter().find_map(stronger) {
            Some(what) => Some(what.to_owned()),
            None if seen.len() > statements => Some(format!("{} statements", seen.len())),
            None => None,
        }
    });
    // A panic of its own says nothing of the text.
    seen.ok().flatten()
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
        for (text, statements, seen) in [
            ("SELECT 1", 1, None),
            ("SELECT 1; SELECT 2", 1, Some("2 statements")),
            ("SELECT 1", 2, None),
            ("SELECT 1; DELETE FROM t", 2, Some("a DELETE")),
            ("SELECT * INTO x FROM t", 1, Some("a SELECT INTO")),
            ("WITH d AS (DELETE FROM t) SELECT 1", 1, Some("a DELETE")),
            ("EXPLAIN DELETE FROM t", 1, None),
            ("EXPLAIN ANALYZE DELETE FROM t", 1, Some("a DELETE")),
            ("COPY t TO STDOUT", 1, None),
            ("SELECT (", 1, None),
            ("COPY t FROM STDIN", 1, Some("a COPY FROM")),
        ] {
            assert_eq!(opinion(text, statements).as_deref(), seen, "{text}");
        }
        assert_eq!(opinion(&format!("SELECT {}1", "(".repeat(8_000)), 1), None);
    }
}
