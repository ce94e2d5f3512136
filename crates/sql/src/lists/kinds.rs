//! The kinds of syntax tree nodes that reads and writes are made of. It never takes a kind for what it is on a server that is
//! older than its syntax: there SQL/JSON is a call of whatever function has that name.

use pg_query::protobuf::{
    AExprKind, JsonExprOp, LockClauseStrength, SqlValueFunctionOp, SubLinkType, XmlExprOp,
};

use crate::{Class, Major};

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
        | "AIndices" | "AIndirection" | "AArrayExpr" | "RowExpr"
        // XML.
        | "XmlExpr" | "XmlSerialize" | "RangeTableFunc" | "RangeTableFuncCol"
        // SQL/JSON.
        | "JsonFormat" | "JsonReturning" | "JsonValueExpr" | "JsonOutput" | "JsonKeyValue" | "JsonObjectConstructor"
        | "JsonArrayConstructor" | "JsonArrayQueryConstructor" | "JsonAggConstructor" | "JsonObjectAgg" | "JsonArrayAgg"
        | "JsonIsPredicate" | "JsonArgument" | "JsonBehavior" | "JsonFuncExpr" | "JsonParseExpr" | "JsonScalarExpr"
        | "JsonSerializeExpr" | "JsonTable" | "JsonTableColumn" | "JsonTablePathSpec" => Some(Class::Read),
        "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "OnConflictClause" | "InferClause" | "IndexElem"
        | "MultiAssignRef" | "SetToDefault" | "CurrentOfExpr" | "MergeWhenClause" | "ReturningClause"
        | "ReturningOption" | "LockingClause" => Some(Class::Write),
        "IntoClause" => Some(Class::Ddl),
        _ => None,
    }
}

/// Whether a statement of nothing but this kind converts nothing: constants alone.
pub(crate) fn is_plain(kind: &str) -> bool {
    matches!(
        kind,
        "Node" | "SelectStmt" | "ResTarget" | "AConst" | "Integer" | "Float" | "Boolean" | "String"
    )
}

/// Operators by which this kind of node may compare, though no text spells them: CASE with an argument, IN with a query, joins
/// by names, CYCLE.
pub(crate) fn compares_by(kind: &str) -> &'static [&'static str] {
    match kind {
        "CaseExpr" | "SubLink" | "JoinExpr" | "CteCycleClause" => &["="],
        _ => &[],
    }
}

/// Whether this kind makes JSON of whatever it is given: see [`super::functions::looks_for_casts`].
pub(crate) fn looks_for_casts(kind: &str) -> bool {
    kind.starts_with("Json")
}

/// The first major that reads this kind where the grammar does; none for kinds that every known major has.
pub(crate) fn since(kind: &str) -> Option<Major> {
    match kind {
        "JsonFormat"
        | "JsonReturning"
        | "JsonValueExpr"
        | "JsonOutput"
        | "JsonKeyValue"
        | "JsonObjectConstructor"
        | "JsonArrayConstructor"
        | "JsonArrayQueryConstructor"
        | "JsonAggConstructor"
        | "JsonObjectAgg"
        | "JsonArrayAgg"
        | "JsonIsPredicate" => Major::new(16),
        "JsonArgument" | "JsonBehavior" | "JsonFuncExpr" | "JsonParseExpr" | "JsonScalarExpr"
        | "JsonSerializeExpr" | "JsonTable" | "JsonTableColumn" | "JsonTablePathSpec" => {
            Major::new(17)
        }
        _ => None,
    }
}

/// How rows are locked.
pub(crate) fn strength(number: i32) -> &'static str {
    match LockClauseStrength::try_from(number) {
        Ok(LockClauseStrength::LcsForkeyshare) => "FOR KEY SHARE",
        Ok(LockClauseStrength::LcsForshare) => "FOR SHARE",
        Ok(LockClauseStrength::LcsFornokeyupdate) => "FOR NO KEY UPDATE",
        _ => "FOR UPDATE",
    }
}

/// Whether a window with these options (`FRAMEOPTION_*` of parsenodes.h) ends so far before or behind a row as a value says,
/// and that by comparing values (RANGE).
pub(crate) fn goes_by_values(frame_options: i32) -> bool {
    const RANGE: i32 = 0x2;
    const OFFSETS: i32 = 0x800 | 0x1000 | 0x2000 | 0x4000;
    frame_options & RANGE != 0 && frame_options & OFFSETS != 0
}

/// Whether a number in this place is a value of the enum that belongs there. What is no enum may be anything.
pub(crate) fn knows(kind: &str, field: &str, number: i32) -> bool {
    match (kind, field) {
        ("AExpr", "kind") => AExprKind::try_from(number).is_ok_and(|it| it != AExprKind::Undefined),
        ("SubLink", "sub_link_type") => {
            SubLinkType::try_from(number).is_ok_and(|it| it != SubLinkType::Undefined)
        }
        ("SqlValueFunction", "op") => SqlValueFunctionOp::try_from(number)
            .is_ok_and(|it| it != SqlValueFunctionOp::SqlvalueFunctionOpUndefined),
        ("XmlExpr", "op") => XmlExprOp::try_from(number).is_ok_and(|it| it != XmlExprOp::Undefined),
        ("JsonFuncExpr", "op") => {
            JsonExprOp::try_from(number).is_ok_and(|it| it != JsonExprOp::Undefined)
        }
        _ => true,
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
        "SELECT xmlelement(NAME a, 1), xmlserialize(content b AS text) FROM t, XMLTABLE('/a' PASSING b COLUMNS c int PATH 'd')",
        "SELECT JSON_OBJECT('a': b FORMAT JSON), JSON_ARRAY(1 RETURNING jsonb), JSON_ARRAY(SELECT 1), JSON_OBJECTAGG('a': b), JSON_ARRAYAGG(b)",
        "SELECT b IS JSON, JSON(b), JSON_SCALAR(b), JSON_SERIALIZE(b), JSON_VALUE(b, '$.a' PASSING 1 AS x DEFAULT 2 ON EMPTY)",
        "SELECT * FROM JSON_TABLE('{}', '$' COLUMNS (a int PATH '$.a', NESTED PATH '$.b' AS p COLUMNS (c text)))",
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
            .split("/// Whether a statement")
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
