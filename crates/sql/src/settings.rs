//! SET, RESET, SHOW and transaction control. The settings that pass are a short list; it never guesses at one it does not know.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, DefElem, Node, TransactionStmt, TransactionStmtKind, VariableSetKind, VariableSetStmt,
    VariableShowStmt, a_const,
};

use crate::plain::constant;
use crate::{Class, Control, Isolation, Ours, Sets};

/// Settings anyone may change for their session: they open no door. Formats, time-outs, and how the planner goes about it;
/// row_security can only make a query fail; what changes a meaning is tracked, and on the ticket.
const HARMLESS: [&str; 41] = [
    "application_name",
    "bytea_output",
    "check_function_bodies",
    "client_min_messages",
    "constraint_exclusion",
    "cursor_tuple_fraction",
    "datestyle",
    "default_text_search_config",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "effective_cache_size",
    "enable_bitmapscan",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_seqscan",
    "enable_sort",
    "escape_string_warning",
    "extra_float_digits",
    "from_collapse_limit",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "join_collapse_limit",
    "lock_timeout",
    "plan_cache_mode",
    "quote_all_identifiers",
    "random_page_cost",
    "row_security",
    "seq_page_cost",
    "statement_timeout",
    "synchronize_seqscans",
    "timezone",
    "transaction_timeout",
    "xmloption",
];

/// What the names of the gate's own settings begin with.
const OURS: &str = "portcullis.";
const SEARCH_PATH: &str = "search_path";
/// On, it can only forbid.
const READ_ONLY: &str = "default_transaction_read_only";

/// A setting or transaction statement, judged.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) class: Class,
    pub(crate) why: String,
    pub(crate) setting: Option<String>,
    pub(crate) sets: Option<Sets>,
    pub(crate) control: Option<Control>,
    pub(crate) ours: Option<Ours>,
}

impl Judged {
    fn new(class: Class, why: impl Into<String>) -> Judged {
        Judged {
            class,
            why: why.into(),
            setting: None,
            sets: None,
            control: None,
            ours: None,
        }
    }
}

/// The name of a setting of the gate's own, without what all of them begin with.
fn own_name(name: &str) -> Option<&str> {
    name.strip_prefix(OURS)
}

/// SET and RESET of a setting of the gate's own.
fn set_ours(name: &str, statement: &VariableSetStmt) -> Option<Ours> {
    let name = own_name(name)?.to_owned();
    match (
        VariableSetKind::try_from(statement.kind),
        statement.args.as_slice(),
    ) {
        (Ok(VariableSetKind::VarSetValue), [value]) => Some(Ours::Set(name, Some(text(value)?))),
        (Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset), []) => {
            Some(Ours::Set(name, None))
        }
        _ => None,
    }
}

/// SET and RESET.
pub(crate) fn set(statement: &VariableSetStmt) -> Judged {
    // PostgreSQL folds a setting's name by ASCII, quoted or not.
    let name = statement.name.to_ascii_lowercase();
    if let Some(ours) = set_ours(&name, statement) {
        return Judged {
            setting: Some(name.clone()),
            ours: Some(ours),
            ..Judged::new(Class::Session, format!("sets {name}"))
        };
    }
    let one = |class, why| Judged {
        setting: Some(name.clone()),
        sets: Some(Sets {
            name: name.clone(),
            path: path(statement),
        }),
        ..Judged::new(class, why)
    };
    match VariableSetKind::try_from(statement.kind) {
        Ok(VariableSetKind::VarSetValue) if allowed(&name, &statement.args) => {
            one(Class::Session, format!("sets {name}"))
        }
        Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset)
            if is_harmless(&name) || name == SEARCH_PATH =>
        {
            one(Class::Session, format!("resets {name}"))
        }
        Ok(VariableSetKind::VarSetValue | VariableSetKind::VarSetCurrent) => {
            one(Class::Admin, format!("sets {name}"))
        }
        Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset) => {
            one(Class::Admin, format!("resets {name}"))
        }
        Ok(VariableSetKind::VarResetAll) => Judged::new(Class::Session, "resets every setting"),
        Ok(VariableSetKind::VarSetMulti) => set_several(statement),
        Ok(VariableSetKind::Undefined) | Err(_) => {
            Judged::new(Class::Opaque, "sets something unknown")
        }
    }
}

/// The schemas that a SET names.
fn path(statement: &VariableSetStmt) -> Option<Vec<String>> {
    match VariableSetKind::try_from(statement.kind) {
        Ok(VariableSetKind::VarSetValue) => {
            let schemas = statement.args.iter().map(constant);
            schemas.map(|it| it.map(str::to_owned)).collect()
        }
        Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset) => Some(Vec::new()),
        _ => None,
    }
}

/// SET TRANSACTION, SET SESSION CHARACTERISTICS, SET TRANSACTION SNAPSHOT.
fn set_several(statement: &VariableSetStmt) -> Judged {
    let modes = modes(&statement.args);
    match (statement.name.as_str(), modes) {
        // READ WRITE would open what a READ ONLY transaction fences.
        ("TRANSACTION", Some(modes)) if modes.read_only != Some(false) => {
            Judged::new(Class::Session, "sets the transaction's modes")
        }
        ("TRANSACTION", Some(_)) => Judged::new(Class::Admin, "sets the transaction to READ WRITE"),
        ("SESSION CHARACTERISTICS", Some(modes)) if modes.read_only != Some(false) => {
            Judged::new(Class::Session, "sets the modes of later transactions")
        }
        ("SESSION CHARACTERISTICS", _) => {
            Judged::new(Class::Admin, "sets the modes of later transactions")
        }
        (other, _) => Judged::new(Class::Admin, format!("sets {}", other.to_ascii_lowercase())),
    }
}

/// `set_config(name, value, ...)`, which is a SET in other words. Of a value that is bound nothing is known yet.
pub(crate) fn set_config(name: &str, value: Option<&str>) -> Judged {
    let name = name.to_ascii_lowercase();
    let fits = |is: &dyn Fn(&str) -> bool| value.is_some_and(|it| is(&it.to_ascii_lowercase()));
    let harmless = match name.as_str() {
        "client_encoding" => fits(&is_utf8),
        "standard_conforming_strings" | READ_ONLY => fits(&is_on),
        SEARCH_PATH => value.is_some_and(|it| leads_nowhere_else(it.split(',').map(element))),
        _ => is_harmless(&name),
    };
    let class = if harmless {
        Class::Session
    } else {
        Class::Admin
    };
    let why = format!("sets {name}");
    let schemas = |it: &str| {
        it.split(',')
            .map(element)
            .filter(|it| !it.is_empty())
            .collect()
    };
    Judged {
        setting: Some(name.clone()),
        sets: Some(Sets {
            name,
            path: value.map(schemas),
        }),
        ..Judged::new(class, why)
    }
}

/// One schema of a search_path as text.
fn element(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => text.to_ascii_lowercase(),
    }
}

fn is_harmless(name: &str) -> bool {
    HARMLESS.binary_search(&name).is_ok()
}

fn allowed(name: &str, values: &[Node]) -> bool {
    match name {
        "client_encoding" => {
            matches!(values, [value] if word(value).is_some_and(|word| is_utf8(&word)))
        }
        "standard_conforming_strings" | READ_ONLY => {
            matches!(values, [value] if word(value).is_some_and(|word| is_on(&word)))
        }
        SEARCH_PATH => {
            let schemas: Option<Vec<_>> = values.iter().map(constant).collect();
            schemas.is_some_and(|it| leads_nowhere_else(it.into_iter().map(str::to_owned)))
        }
        _ => is_harmless(name) && values.iter().all(is_plain),
    }
}

/// Whether the built-in names still come first, and temporary ones behind them (hazards R95): a schema in front of pg_catalog
/// could hide any function in it, and where nothing that exists is in front of pg_temp, `current_schema()` makes that schema.
fn leads_nowhere_else(schemas: impl Iterator<Item = String>) -> bool {
    let schemas: Vec<_> = schemas.collect();
    let last = schemas.len().saturating_sub(1);
    schemas
        .iter()
        .enumerate()
        .all(|(at, name)| match name.as_str() {
            "pg_catalog" => at == 0,
            "pg_temp" => at == last && schemas.first().is_some_and(|first| first == "pg_catalog"),
            _ => true,
        })
}

fn is_on(word: &str) -> bool {
    matches!(word, "on" | "true" | "yes" | "1")
}

/// PostgreSQL compares encoding names by their letters and digits alone.
fn is_utf8(word: &str) -> bool {
    let letters: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(letters.as_str(), "utf8" | "unicode")
}

/// A constant, or an interval for TIME ZONE.
fn is_plain(value: &Node) -> bool {
    match &value.node {
        Some(NodeEnum::AConst(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast
            .arg
            .as_ref()
            .is_some_and(|arg| matches!(arg.node, Some(NodeEnum::AConst(_)))),
        _ => false,
    }
}

/// A constant as a lower-case word.
fn word(value: &Node) -> Option<String> {
    Some(text(value)?.to_ascii_lowercase())
}

/// A constant as text.
fn text(value: &Node) -> Option<String> {
    let Some(NodeEnum::AConst(AConst {
        val: Some(value), ..
    })) = &value.node
    else {
        return None;
    };
    match value {
        a_const::Val::Sval(text) => Some(text.sval.clone()),
        a_const::Val::Ival(number) => Some(number.ival.to_string()),
        a_const::Val::Boolval(truth) => Some(truth.boolval.to_string()),
        a_const::Val::Fval(_) | a_const::Val::Bsval(_) => None,
    }
}

/// SHOW.
pub(crate) fn show(statement: &VariableShowStmt) -> Judged {
    let name = statement.name.to_ascii_lowercase();
    let why = format!("shows {name}");
    Judged {
        ours: own_name(&name).map(|it| Ours::Show(it.to_owned())),
        setting: (name != "all").then_some(name),
        ..Judged::new(Class::Session, why)
    }
}

/// BEGIN, COMMIT and the like.
pub(crate) fn transaction(statement: &TransactionStmt) -> Judged {
    use TransactionStmtKind as Kind;
    let control = |control, why: &str| Judged {
        control: Some(control),
        ..Judged::new(Class::Transaction, why)
    };
    let name = statement.savepoint_name.clone();
    let chain = statement.chain;
    match Kind::try_from(statement.kind) {
        Ok(kind @ (Kind::TransStmtBegin | Kind::TransStmtStart)) => match modes(&statement.options)
        {
            Some(Modes {
                isolation,
                read_only,
                deferrable,
            }) => control(
                Control::Begin {
                    start: kind == Kind::TransStmtStart,
                    isolation,
                    read_only,
                    deferrable,
                },
                "begins a transaction",
            ),
            None => Judged::new(Class::Opaque, "begins a transaction in an unknown mode"),
        },
        Ok(Kind::TransStmtCommit) => control(Control::Commit { chain }, "commits"),
        Ok(Kind::TransStmtRollback) => control(Control::Rollback { chain }, "rolls back"),
        Ok(Kind::TransStmtSavepoint) => control(Control::Savepoint(name), "sets a savepoint"),
        Ok(Kind::TransStmtRelease) => control(Control::Release(name), "releases a savepoint"),
        Ok(Kind::TransStmtRollbackTo) => {
            control(Control::RollbackTo(name), "rolls back to a savepoint")
        }
        // Two-phase commit outlives the session: no control of ours (R78).
        Ok(Kind::TransStmtPrepare) => {
            Judged::new(Class::Admin, "prepares a transaction for two-phase commit")
        }
        Ok(Kind::TransStmtCommitPrepared) => {
            Judged::new(Class::Admin, "commits a prepared transaction")
        }
        Ok(Kind::TransStmtRollbackPrepared) => {
            Judged::new(Class::Admin, "rolls back a prepared transaction")
        }
        Ok(Kind::Undefined) | Err(_) => {
            Judged::new(Class::Opaque, "is transaction control of an unknown kind")
        }
    }
}

#[derive(Debug, Default)]
struct Modes {
    isolation: Option<Isolation>,
    read_only: Option<bool>,
    deferrable: Option<bool>,
}

/// Transaction modes; of repeated ones the last counts, as in PostgreSQL. None if one is not known.
fn modes(options: &[Node]) -> Option<Modes> {
    let mut modes = Modes::default();
    for option in options {
        let Some(NodeEnum::DefElem(option)) = &option.node else {
            return None;
        };
        match option.defname.as_str() {
            "transaction_isolation" => modes.isolation = Some(isolation(&value(option)?)?),
            "transaction_read_only" => modes.read_only = Some(value(option)? == "1"),
            "transaction_deferrable" => modes.deferrable = Some(value(option)? == "1"),
            _ => return None,
        }
    }
    Some(modes)
}

fn value(option: &DefElem) -> Option<String> {
    option.arg.as_deref().and_then(word)
}

fn isolation(level: &str) -> Option<Isolation> {
    match level {
        "read uncommitted" => Some(Isolation::ReadUncommitted),
        "read committed" => Some(Isolation::ReadCommitted),
        "repeatable read" => Some(Isolation::RepeatableRead),
        "serializable" => Some(Isolation::Serializable),
        _ => None,
    }
}
