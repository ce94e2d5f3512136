//! The kinds of syntax tree nodes that reads and writes are made of. It never lists a kind whose meaning depends on the
//! server's major (SQL/JSON nodes are function calls before 16 and 17): those stay opaque.

use crate::Class;

/// What the mere presence of this kind of node makes of a statement; none for kinds that are on no list.
pub(crate) fn class(kind: &str) -> Option<Class> {
    match kind {
        // Structure, relations and joins.
        "Node" | "List" | "SelectStmt" | "ResTarget" | "RangeVar" | "Alias" | "RangeSubselect" | "RangeFunction"
        | "RangeTableSample" | "ColumnDef" | "JoinExpr" | "WithClause" | "CommonTableExpr" | "CteSearchClause"
        | "CteCycleClause" | "SortBy" | "WindowDef" | "GroupingSet" | "GroupingFunc"
        // Values and names.
        | "ColumnRef" | "AStar" | "ParamRef" | "AConst" | "Integer" | "Float" | "Boolean" | "String" | "BitString"
        // Expressions.
        | "AExpr" | "BoolExpr" | "NullTest" | "BooleanTest" | "SubLink" | "CaseExpr" | "CaseWhen" | "CoalesceExpr"
        | "MinMaxExpr" | "SqlValueFunction" | "FuncCall" | "NamedArgExpr" | "TypeCast" | "TypeName" | "CollateClause"
        | "AIndices" | "AIndirection" | "AArrayExpr" | "RowExpr" => Some(Class::Read),
        "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "OnConflictClause" | "InferClause" | "IndexElem"
        | "MultiAssignRef" | "SetToDefault" | "CurrentOfExpr" | "MergeWhenClause" | "ReturningClause"
        | "ReturningOption" | "LockingClause" => Some(Class::Write),
        "IntoClause" => Some(Class::Ddl),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::visit::{self, Eye};

    /// One text or more for every listed kind.
    const TEXTS: &[&str] = &[
        "SELECT a.*, $1, 1.5, B'1', true, (r).b[1], ROW(1), ARRAY[1], x COLLATE c, current_user, make_interval(days => 1) FROM t a",
        "SELECT CASE WHEN a IS NULL THEN 1 END, COALESCE(a, 1), GREATEST(a, 1), a IS TRUE AND b, EXISTS (SELECT 1), a::int",
        "SELECT grouping(a), count(*) OVER (ORDER BY a) FROM t GROUP BY CUBE (a)",
        "SELECT * FROM a JOIN (SELECT 1) b ON true, json_to_record('{}') AS x(a int), t TABLESAMPLE system (1)",
        "WITH RECURSIVE r(n) AS (SELECT 1) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT 1 FROM r FOR UPDATE",
        "INSERT INTO t VALUES (DEFAULT) ON CONFLICT (a) DO NOTHING RETURNING WITH (OLD AS o) a",
        "UPDATE t SET (a, b) = (SELECT 1, 2) WHERE CURRENT OF c",
        "DELETE FROM t WHERE a = 1",
        "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
        "SELECT 1 INTO x",
    ];

    #[derive(Default)]
    struct Kinds(BTreeSet<&'static str>);

    impl Eye for Kinds {
        fn enter(&mut self, kind: &'static str) {
            self.0.insert(kind);
        }
        fn field(&mut self, _: &'static str) {}
        fn text(&mut self, _: &str) {}
        fn flag(&mut self, _: bool) {}
        fn number(&mut self, _: i32) {}
        fn leave(&mut self) {}
    }

    #[test]
    fn no_entry_is_dead_and_nothing_else_is_needed() {
        let mut seen = Kinds::default();
        for text in TEXTS {
            let tree = pg_query::parse(text, 0).unwrap_or_else(|error| panic!("{text}: {error}"));
            for raw in &tree.protobuf.stmts {
                visit::walk(&raw.stmt, &mut seen).unwrap();
            }
        }
        // The list is the words in quotes of `class`, above.
        let source = include_str!("kinds.rs")
            .split("#[cfg(test)]")
            .next()
            .unwrap();
        let listed: BTreeSet<&str> = source.split('"').skip(1).step_by(2).collect();
        let dead: Vec<_> = listed.difference(&seen.0).collect();
        let unlisted: Vec<_> = seen.0.difference(&listed).collect();
        assert!(
            dead.is_empty() && unlisted.is_empty(),
            "dead: {dead:?}, unlisted: {unlisted:?}"
        );
    }
}
