//! Whether the numbers in a query may decide more than which rows it is about: what it is read to be, or what else it does.
//! Only queries of listed parts, which call nothing but pure built-ins, are cleared of that. It never looks at a number.

use pg_query::NodeEnum;

use crate::lists::functions::{self, Kind, Known};
use crate::on::On;
use crate::reading::Numbers;
use crate::visit::{self, Eye};
use crate::{Function, Statement};

/// What they decide in a query that was judged to be this statement.
pub(crate) fn of(on: On<'_>, node: &NodeEnum, statement: &Statement) -> Numbers {
    let mut parts = Parts { listed: true };
    let walked = visit::walk(node, &mut parts).is_ok();
    let pure = statement.functions.iter().all(|it| is_pure(on, it));
    if walked && parts.listed && pure {
        Numbers::Rows
    } else {
        Numbers::Anything
    }
}

/// Whether it is a built-in whose answer comes from its arguments, and no cast that is written like a call.
fn is_pure(on: On<'_>, function: &Function) -> bool {
    let mut parts: Vec<String> = function.schema.iter().cloned().collect();
    parts.push(function.name.clone());
    let known = match on.major() {
        Some(major) => functions::known(&parts, function.args, false, major),
        None => functions::known_everywhere(&parts, function.args, false),
    };
    known == Known::Is(Kind::Pure) && !on.has_type(&parts)
}

/// What a statement is made of, as far as it was looked at.
struct Parts {
    listed: bool,
}

/// The parts of plain queries. Not here: types, whose modifiers are numbers and choose among types (`float(24)`, `float(25)`);
/// samples, subscripts, XML, JSON, cursors, INTO.
fn is_listed(kind: &str) -> bool {
    matches!(
        kind,
        "Node"
            | "List"
            | "AConst"
            | "Integer"
            | "Float"
            | "Boolean"
            | "String"
            | "ColumnRef"
            | "AStar"
            | "SelectStmt"
            | "ResTarget"
            | "RangeVar"
            | "Alias"
            | "RangeSubselect"
            | "RangeFunction"
            | "JoinExpr"
            | "WithClause"
            | "CommonTableExpr"
            | "SortBy"
            | "WindowDef"
            | "GroupingSet"
            | "GroupingFunc"
            | "AExpr"
            | "BoolExpr"
            | "NullTest"
            | "BooleanTest"
            | "SubLink"
            | "CaseExpr"
            | "CaseWhen"
            | "CoalesceExpr"
            | "MinMaxExpr"
            | "SqlValueFunction"
            | "FuncCall"
            | "RowExpr"
            | "LockingClause"
            | "InsertStmt"
            | "UpdateStmt"
            | "DeleteStmt"
            | "MergeStmt"
            | "MergeWhenClause"
            | "OnConflictClause"
            | "InferClause"
            | "IndexElem"
            | "MultiAssignRef"
            | "SetToDefault"
            | "ReturningClause"
            | "ReturningOption"
    )
}

impl Eye for Parts {
    fn enter(&mut self, kind: &'static str) {
        self.listed &= is_listed(kind);
    }

    fn field(&mut self, _: &'static str) {}

    fn text(&mut self, _: &str) {}

    fn flag(&mut self, _: bool) {}

    fn number(&mut self, _: i32) {}

    fn leave(&mut self) {}
}
