//! What a statement leaves behind in the session that ran it. A pool needs to know; policy does not ask. What it does not
//! know lives in the session.

use pg_query::NodeEnum;
use pg_query::protobuf::{DiscardMode, SelectStmt, VariableSetKind, VariableSetStmt};

use crate::on::On;
use crate::set_config;
use crate::writing;
use crate::{Class, Leaves, Mention, Relation, Statement};

/// Settings that can be read from `pg_settings` and put on another connection as they are (ruling 11): sorted.
pub const TRACKED_SETTINGS: [&str; 48] = [
    "application_name",
    "bytea_output",
    "check_function_bodies",
    "client_min_messages",
    "constraint_exclusion",
    "cursor_tuple_fraction",
    "datestyle",
    "default_tablespace",
    "default_text_search_config",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
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
    "maintenance_work_mem",
    "max_parallel_workers_per_gather",
    "plan_cache_mode",
    "quote_all_identifiers",
    "random_page_cost",
    "row_security",
    "search_path",
    "seq_page_cost",
    "statement_timeout",
    "synchronize_seqscans",
    "synchronous_commit",
    "timezone",
    "transaction_timeout",
    "work_mem",
    "xmloption",
];

/// Whether a setting, by its lower-case name, follows a session from connection to connection.
pub fn is_tracked(name: &str) -> bool {
    TRACKED_SETTINGS.binary_search(&name).is_ok()
}

/// Says in `statement`, which was judged from `node` and stands in `text`, what it leaves.
pub(crate) fn leaves(
    on: On<'_>,
    node: Option<&NodeEnum>,
    text: &str,
    statement: Statement,
) -> Statement {
    let leaves = match node {
        Some(NodeEnum::VariableSetStmt(set)) => setting(set, statement.class),
        Some(
            NodeEnum::VariableShowStmt(_)
            | NodeEnum::ClosePortalStmt(_)
            | NodeEnum::DeallocateStmt(_),
        ) => Leaves::Nothing,
        Some(NodeEnum::DiscardStmt(it))
            if DiscardMode::try_from(it.target) == Ok(DiscardMode::DiscardAll) =>
        {
            Leaves::Discarded
        }
        Some(NodeEnum::ListenStmt(_) | NodeEnum::LoadStmt(_) | NodeEnum::PrepareStmt(_)) => {
            Leaves::State
        }
        Some(NodeEnum::DeclareCursorStmt(_)) if statement.class == Class::Admin => Leaves::State,
        // About the session, and yet nothing stays in it.
        Some(NodeEnum::DiscardStmt(_) | NodeEnum::UnlistenStmt(_)) => Leaves::Residue,
        Some(NodeEnum::SelectStmt(select)) if sets_tracked(select, &statement) => Leaves::Settings,
        Some(
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::CopyStmt(_),
        ) if matches!(statement.class, Class::Write | Class::CopyIn) => rows(on, text, &statement),
        _ => by_class(on, text, &statement),
    };
    let prepared = match (statement.prepared, node) {
        (Some(Mention::Makes { name, inside }), Some(NodeEnum::PrepareStmt(it))) => {
            let inner = it.query.as_ref().and_then(|query| query.node.as_ref());
            let inside = Box::new(self::leaves(on, inner, text, *inside));
            Some(Mention::Makes { name, inside })
        }
        (prepared, _) => prepared,
    };
    Statement {
        leaves,
        prepared,
        copies_in: matches!(node, Some(NodeEnum::CopyStmt(copy)) if copy.is_from && !copy.is_program),
        ..statement
    }
}

/// Rows are written, and nothing else: what stands behind their tables, and what the statement calls itself, says what is left.
fn rows(on: On<'_>, text: &str, statement: &Statement) -> Leaves {
    let by_class = by_class(on, text, statement);
    if by_class != Leaves::Residue || !calls_only_known(on, statement) {
        return by_class;
    }
    let counts = |it: &crate::Function| matches!(it.name.as_str(), "nextval" | "setval");
    let own = if statement.functions.iter().any(counts) {
        Leaves::Sequences
    } else {
        Leaves::Nothing
    };
    own.max(writing::leaves(on, statement.writes.iter()))
}

fn by_class(on: On<'_>, text: &str, statement: &Statement) -> Leaves {
    if statement
        .functions
        .iter()
        .any(|it| stays_in_session(&it.name))
    {
        return Leaves::State;
    }
    if statement.wants_fence() {
        // An advisory lock outlives its fence, and so does whatever a function in C keeps.
        return if statement.own.is_some() {
            Leaves::Residue
        } else {
            Leaves::Nothing
        };
    }
    // Its rule calls set_config.
    let settings = |it: &Relation| {
        it.name == "pg_settings" && it.schema.as_deref().is_none_or(|it| it == "pg_catalog")
    };
    if statement.functions.is_empty() && matches!(statement.writes.as_slice(), [it] if settings(it))
    {
        return Leaves::Settings;
    }
    match statement.class {
        Class::Read | Class::Transaction | Class::CopyOut => Leaves::Nothing,
        // A temporary relation is spelled TEMP, TEMPORARY or pg_temp. One that is made by way of the search path is not
        // kept: it goes with the reset.
        Class::Ddl if !mentions_temporary(text, statement) => Leaves::Residue,
        // A function of this class may do anything to the session; the commands are known.
        Class::Admin if !calls_only_known(on, statement) => Leaves::State,
        Class::Maintenance | Class::Write | Class::CopyIn | Class::Admin => Leaves::Residue,
        Class::Opaque | Class::Session
            if !statement.functions.is_empty() && calls_only_known(on, statement) =>
        {
            Leaves::Residue
        }
        Class::Session | Class::Ddl | Class::Opaque => Leaves::State,
    }
}

/// Functions that pass with nobody, and yet leave nothing in the session.
const LEAVE_NOTHING: [&str; 9] = [
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_cancel_backend",
    "pg_notify",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_terminate_backend",
];

/// Whether all that is called is known to leave nothing, whatever else made the statement opaque.
fn calls_only_known(on: On<'_>, statement: &Statement) -> bool {
    let harmless = |it: &crate::Function| {
        let mut parts: Vec<String> = it.schema.iter().cloned().collect();
        parts.push(it.name.clone());
        on.is_known_call(&parts, it.args) || LEAVE_NOTHING.contains(&it.name.as_str())
    };
    statement.functions.iter().all(harmless)
}

/// A SELECT of set_config, as drivers spell SET, of a tracked setting. What else is in it is harmless only if that made it the
/// SET that it amounts to.
fn sets_tracked(select: &SelectStmt, statement: &Statement) -> bool {
    set_config::of(select).is_some_and(|set| {
        is_tracked(&set.name.to_ascii_lowercase())
            && (set.rest.is_none() || statement.class == Class::Session)
    })
}

/// Advisory locks of the session, such as migration tools hold, and the seed of random().
fn stays_in_session(function: &str) -> bool {
    let locks = function.contains("advisory_")
        && !function.contains("_xact")
        && !function.contains("_unlock");
    locks || function == "setseed"
}

fn mentions_temporary(text: &str, statement: &Statement) -> bool {
    let bytes = text.get(statement.range.clone()).unwrap_or(text).as_bytes();
    bytes
        .windows(4)
        .any(|four| four.eq_ignore_ascii_case(b"temp"))
}

fn setting(set: &VariableSetStmt, class: Class) -> Leaves {
    let kind = VariableSetKind::try_from(set.kind);
    if kind == Ok(VariableSetKind::VarSetMulti) {
        return match set.name.as_str() {
            "SESSION CHARACTERISTICS" => Leaves::Settings,
            _ => Leaves::Local,
        };
    }
    if set.is_local {
        return Leaves::Local;
    }
    let name = set.name.to_ascii_lowercase();
    match kind {
        // They pass only with the value that every session has: nothing to keep, though it shows that they were set.
        Ok(VariableSetKind::VarSetValue)
            if class == Class::Session
                && matches!(
                    name.as_str(),
                    "client_encoding" | "standard_conforming_strings"
                ) =>
        {
            Leaves::Residue
        }
        Ok(VariableSetKind::VarResetAll) => Leaves::Settings,
        // Name and kind decide, and only these are sure to be seen again in `pg_settings`.
        Ok(_) if is_tracked(&name) => Leaves::Settings,
        _ => Leaves::State,
    }
}
