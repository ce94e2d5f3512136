//! PostgreSQL's own operators, types and sampling methods, by name (from `pg_operator` and `pg_type` of 15). It never lists
//! an extension's.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Operators, and the words that stand in an operator's place in the tree.
const OPERATORS: &str = "!! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> \
    << <<= <<| <= <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ \
    ~= ~>=~ ~>~ ~~ ~~*";
const OPERATOR_WORDS: [&str; 4] = [
    "BETWEEN",
    "NOT BETWEEN",
    "BETWEEN SYMMETRIC",
    "NOT BETWEEN SYMMETRIC",
];

static KNOWN_OPERATORS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| OPERATORS.split_whitespace().chain(OPERATOR_WORDS).collect());
static KNOWN_TYPES: LazyLock<HashSet<&str>> = LazyLock::new(|| TYPES.split_whitespace().collect());

/// Base, range and multirange types. Domains and enums are not here: a domain's CHECK runs on a cast.
const TYPES: &str = "aclitem bit bool box bpchar bytea char cid cidr circle date datemultirange daterange float4 float8 inet \
    int2 int2vector int4 int4multirange int4range int8 int8multirange int8range interval json jsonb jsonpath line lseg macaddr \
    macaddr8 money name numeric nummultirange numrange oid oidvector path pg_lsn pg_node_tree pg_snapshot point polygon \
    refcursor regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc regprocedure regrole \
    regtype text tid time timestamp timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector \
    txid_snapshot uuid varbit varchar xid xid8 xml";

/// Whether these are the parts of a built-in operator's name.
pub(crate) fn operator(parts: &[String]) -> bool {
    bare(parts).is_some_and(|name| KNOWN_OPERATORS.contains(name))
}

/// Whether these are the parts of a built-in type's name, or of its array's (`_text`).
pub(crate) fn data_type(parts: &[String]) -> bool {
    bare(parts).is_some_and(|name| {
        let element = name.strip_prefix('_').unwrap_or(name);
        KNOWN_TYPES.contains(element)
    })
}

/// Whether these are the parts of a built-in sampling method's name.
pub(crate) fn sampling(parts: &[String]) -> bool {
    bare(parts).is_some_and(|name| matches!(name, "system" | "bernoulli"))
}

/// The last part, of a name that is unqualified or of pg_catalog.
pub(crate) fn bare(parts: &[String]) -> Option<&str> {
    match parts {
        [name] => Some(name),
        [schema, name] if schema == "pg_catalog" => Some(name),
        _ => None,
    }
}

/// Parts as one would write them.
pub(crate) fn written(parts: &[String]) -> String {
    parts.join(".")
}

/// Kinds that have a name in parts, and in which field.
pub(crate) fn holds_name(kind: &str, field: &str) -> bool {
    matches!(
        (kind, field),
        ("FuncCall", "funcname")
            | ("AExpr", "name")
            | ("SubLink", "oper_name")
            | ("SortBy", "use_op")
            | ("TypeName", "names")
            | ("RangeTableSample", "method")
            | ("ColumnRef", "fields")
            | ("AIndirection", "indirection")
    )
}

/// Whether `a.NAME` and `(a).NAME` may be a call of a built-in function that a read may not call:
/// attribute notation calls any function of one argument (the manual, section 8.16.5). These are the
/// volatile and stable ones of `pg_proc` that do more than convert, by name or by family. A user's own
/// function cannot be told from a column here; what it may do is for the server's fence.
pub(crate) fn calls_as_attribute(name: &str) -> bool {
    const FAMILIES: [&str; 5] = ["pg_", "lo_", "dblink", "binary_upgrade_", "brin_"];
    const NAMES: [&str; 8] = [
        "amvalidate",
        "currval",
        "gin_clean_pending_list",
        "nextval",
        "setseed",
        "ts_stat",
        "txid_status",
        "xpath_table",
    ];
    FAMILIES.iter().any(|family| name.starts_with(family))
        || name.ends_with("_validator")
        || NAMES.contains(&name)
}

/// The kinds of `holds_name`.
pub(crate) fn owns_names(kind: &str) -> bool {
    matches!(
        kind,
        "FuncCall"
            | "AExpr"
            | "SubLink"
            | "SortBy"
            | "TypeName"
            | "RangeTableSample"
            | "ColumnRef"
            | "AIndirection"
    )
}
