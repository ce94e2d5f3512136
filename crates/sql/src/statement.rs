//! One statement's tree to a [`Statement`]: each kind of statement goes where it is judged. What it does not name is opaque.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CopyStmt, CreateTableAsStmt, DeclareCursorStmt, ExecuteStmt, FetchStmt, Node, PrepareStmt,
    RangeVar,
};

use crate::behind::Behind;
use crate::found::Found;
use crate::look::{Look, Manner};
use crate::numbers;
use crate::on::On;
use crate::reading::Numbers;
use crate::set_config;
use crate::settings::{self, Judged};
use crate::signal::signal;
use crate::utility::{self, Utility};
use crate::{Class, Function, Keeps, Mention, Own, Relation, Sets, Statement};

/// `CURSOR_OPT_HOLD` of parsenodes.h.
const CURSOR_WITH_HOLD: i32 = 0x20;

/// `AccessShareLock` of lockdefs.h.
const ACCESS_SHARE: i32 = 1;

/// Judges one statement, which stands at `range` in its text.
pub(crate) fn judge(on: On<'_>, node: Option<&NodeEnum>, range: Range<usize>) -> Statement {
    let Some(node) = node else {
        return plain(
            Class::Opaque,
            "holds a statement that the tree does not show",
            range,
        );
    };
    match node {
        NodeEnum::SelectStmt(_)
        | NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_) => query(on, node, range),
        // The inside decides, with ANALYZE (which runs it) and without (planning runs immutable functions).
        NodeEnum::ExplainStmt(explain) => Statement {
            control: None,
            outside_transaction: false,
            numbers: Numbers::Anything,
            ..judge(on, inside(explain.query.as_deref()), range)
        },
        NodeEnum::CopyStmt(copied) => copy(on, copied, range),
        NodeEnum::CreateTableAsStmt(create) => create_as(on, create, range),
        NodeEnum::DeclareCursorStmt(declare) => declare_cursor(on, declare, range),
        // A cursor is there only if its DECLARE (or the Bind of its portal) was cleared; running it further is as harmless as
        // it was. Whoever fences unsigned reads fences each FETCH again (ruling 10).
        NodeEnum::FetchStmt(it) => fetch(it, range),
        NodeEnum::LockStmt(lock) if lock.mode == ACCESS_SHARE => lock_as_reads_do(on, node, range),
        NodeEnum::ClosePortalStmt(_) => plain(Class::Session, "closes a cursor", range),
        NodeEnum::DeallocateStmt(it) => Statement {
            prepared: Some(Mention::Forgets(
                (!it.name.is_empty()).then(|| it.name.clone()),
            )),
            ..plain(Class::Session, "forgets a prepared statement", range)
        },
        NodeEnum::PrepareStmt(prepare) => prepared(on, prepare, range),
        NodeEnum::ExecuteStmt(it) => execute(on, it, range),
        NodeEnum::DoStmt(_) => plain(Class::Opaque, "runs a code block (DO)", range),
        NodeEnum::CallStmt(_) => {
            let called = seen(on, node, plain(Class::Opaque, "calls a procedure", range));
            let name = called
                .functions
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            Statement {
                why: format!("calls procedure {name}()"),
                ..called
            }
        }
        NodeEnum::VariableSetStmt(set) => setting(settings::set(set), range),
        NodeEnum::VariableShowStmt(show) => setting(settings::show(show), range),
        NodeEnum::TransactionStmt(transaction) => Statement {
            outside_transaction: utility::outside_transaction(node),
            ends_transaction: utility::ends_transaction(transaction),
            ..setting(settings::transaction(transaction), range)
        },
        _ => other(on, node, range),
    }
}

fn plain(class: Class, why: impl Into<String>, range: Range<usize>) -> Statement {
    Statement {
        why: why.into(),
        ..Statement::new(class, range)
    }
}

fn inside(node: Option<&Node>) -> Option<&NodeEnum> {
    node.and_then(|node| node.node.as_ref())
}

fn query(on: On<'_>, node: &NodeEnum, range: Range<usize>) -> Statement {
    if let Some(set) = set_by_function(on, node, &range) {
        return set;
    }
    let found = Look::new(on).part(node, Manner::Strict).done();
    let statement = Statement {
        signal: signal(node),
        ..Statement::new(Class::Read, range)
    };
    let only_frees = frees_own_locks(&found);
    let statement = found.into_statement(statement, |found| match found.class {
        Class::Ddl => format!("creates {}", listed(&found.writes)),
        Class::Write => format!("writes {}", listed(&found.writes)),
        _ => reads(found),
    });
    if only_frees {
        return Statement {
            class: Class::Session,
            why: "frees advisory locks of its own session".to_owned(),
            ..statement
        };
    }
    Statement {
        numbers: numbers::of(on, node, &statement),
        sets: set_in(node),
        ..statement
    }
}

/// What the first `set_config` among its columns sets, if it is more than the SET that it amounts to.
fn set_in(node: &NodeEnum) -> Option<Sets> {
    let NodeEnum::SelectStmt(select) = node else {
        return None;
    };
    let call = set_config::of(select)?;
    settings::set_config(&call.name, call.value.as_deref()).sets
}

/// Whether it does nothing but give up advisory locks, as pools of drivers do before they lend a session again.
fn frees_own_locks(found: &Found) -> bool {
    let frees = |it: &Function| {
        it.name.starts_with("pg_advisory_unlock")
            && it.schema.as_deref().is_none_or(|it| it == "pg_catalog")
    };
    found.class == Class::Write
        && found.reads.is_empty()
        && found.writes.is_empty()
        && found.own.is_none()
        && !found.functions.is_empty()
        && found.functions.iter().all(frees)
}

/// A SELECT of set_config is the SET that it amounts to, if the rest of it reads no relation: what sets cannot stand in a fence.
fn set_by_function(on: On<'_>, node: &NodeEnum, range: &Range<usize>) -> Option<Statement> {
    let NodeEnum::SelectStmt(select) = node else {
        return None;
    };
    let call = set_config::of(select)?;
    let judged = settings::set_config(&call.name, call.value.as_deref());
    let rest = call.rest.map(NodeEnum::SelectStmt);
    let found = rest.map(|rest| Look::new(on).part(&rest, Manner::Strict).done());
    if judged.class != Class::Session
        || found
            .as_ref()
            .is_some_and(|it| it.class != Class::Read || !it.reads.is_empty() || it.own.is_some())
    {
        return None;
    }
    let mut functions = vec![Function {
        schema: None,
        name: "set_config".to_owned(),
        args: 3,
    }];
    functions.extend(found.into_iter().flat_map(|it| it.functions));
    Some(Statement {
        functions,
        ..setting(judged, range.clone())
    })
}

fn fetch(fetch: &FetchStmt, range: Range<usize>) -> Statement {
    let verb = if fetch.ismove {
        "moves"
    } else {
        "fetches from"
    };
    let why = format!("{verb} cursor {}", fetch.portalname);
    plain(Class::Read, why, range)
}

/// LOCK TABLE in the mode that every SELECT takes, as pg_dump has it in front of its reads.
fn lock_as_reads_do(on: On<'_>, node: &NodeEnum, range: Range<usize>) -> Statement {
    let mut found = Look::new(on).part(node, Manner::Runs).done();
    found.reads.append(&mut found.writes);
    let statement = Statement {
        keeps: Some(Keeps::Lock),
        ..Statement::new(Class::Read, range)
    };
    found.into_statement(statement, |found| {
        format!("locks {} as a read does", listed(&found.reads))
    })
}

/// Names what an already judged statement holds.
fn seen(on: On<'_>, node: &NodeEnum, statement: Statement) -> Statement {
    let why = statement.why.clone();
    Look::new(on)
        .part(node, Manner::Stores)
        .done()
        .into_statement(statement, |_| why)
}

fn create_as(on: On<'_>, create: &CreateTableAsStmt, range: Range<usize>) -> Statement {
    let found = Look::new(on)
        .part(&create.into, Manner::Runs)
        .part(&create.query, Manner::Strict)
        .done();
    let prepared = match inside(create.query.as_deref()) {
        // It is no EXECUTE of what stands behind the name alone.
        Some(NodeEnum::ExecuteStmt(it)) => Some(Mention::Runs {
            name: it.name.clone(),
            plain: false,
        }),
        _ => None,
    };
    let statement = Statement {
        prepared,
        ..Statement::new(Class::Ddl, range)
    };
    found.into_statement(statement, |found| {
        format!("creates {}", listed(&found.writes))
    })
}

fn declare_cursor(on: On<'_>, declare: &DeclareCursorStmt, range: Range<usize>) -> Statement {
    let inner = judge(on, inside(declare.query.as_deref()), range);
    // WITH HOLD runs the query to its end at COMMIT and keeps the rows in the session.
    if declare.options & CURSOR_WITH_HOLD != 0 && inner.class < Class::Admin {
        return Statement {
            class: Class::Admin,
            why: "declares a cursor WITH HOLD".to_owned(),
            ..inner
        };
    }
    // Each FETCH would be a transaction's work over there that no fence takes back.
    if let Some(Own::Far(relation)) = &inner.own
        && inner.class < Class::Opaque
    {
        return Statement {
            class: Class::Opaque,
            why: format!("declares a cursor over {relation}, which another server answers"),
            ..inner
        };
    }
    Statement {
        keeps: Some(Keeps::Cursor),
        ..inner
    }
}

/// PREPARE is what its inside is, and of a read a setting of the session. An argument of a type is a cast to it.
fn prepared(on: On<'_>, prepare: &PrepareStmt, range: Range<usize>) -> Statement {
    let mut inner = judge(on.declaring(), inside(prepare.query.as_deref()), range);
    let types = Look::new(on).part(&prepare.argtypes, Manner::Strict).done();
    if types.class > inner.class {
        inner.class = types.class;
        inner.why = types.why.unwrap_or(inner.why);
    }
    Statement {
        class: inner.class.max(Class::Session),
        why: format!("prepares a statement that {}", inner.why),
        signal: None,
        prepared: Some(Mention::Makes {
            name: prepare.name.clone(),
            inside: Box::new(inner.clone()),
        }),
        ..inner
    }
}

/// EXECUTE: its arguments are here, what it runs is not.
fn execute(on: On<'_>, execute: &ExecuteStmt, range: Range<usize>) -> Statement {
    let found = Look::new(on).part(&execute.params, Manner::Strict).done();
    let plain = found.class == Class::Read;
    let name = execute.name.clone();
    let why = format!("runs prepared statement {name}, whose text is not here");
    let statement = found.into_statement(Statement::new(Class::Opaque, range), |_| why);
    Statement {
        prepared: Some(Mention::Runs { name, plain }),
        ..statement
    }
}

fn copy(on: On<'_>, copy: &CopyStmt, range: Range<usize>) -> Statement {
    let named = copy.relation.as_ref().map(relation);
    let found = Look::new(on)
        .part(&copy.query, Manner::Strict)
        .part(&copy.where_clause, Manner::Strict)
        .done();
    let (class, why) = match (copy.is_program, copy.filename.is_empty(), copy.is_from) {
        (true, _, _) => (
            Class::Admin,
            "runs a program on the server (COPY PROGRAM)".to_owned(),
        ),
        (false, false, true) => (Class::Admin, "reads a file on the server (COPY)".to_owned()),
        (false, false, false) => (
            Class::Admin,
            "writes a file on the server (COPY)".to_owned(),
        ),
        // An empty file name looks like STDIN and STDOUT here; the server refuses it.
        (false, true, true) => (
            Class::CopyIn,
            format!("writes {} (COPY FROM STDIN)", listed(named.as_slice())),
        ),
        (false, true, false) => {
            let read = named
                .iter()
                .chain(&found.reads)
                .cloned()
                .collect::<Vec<_>>();
            (
                Class::CopyOut,
                format!("reads {} (COPY TO STDOUT)", listed(&read)),
            )
        }
    };
    let mut statement =
        found.into_statement(Statement::new(class, range), |found| match found.class {
            Class::Write if found.class > class => format!("writes {}", listed(&found.writes)),
            _ => why,
        });
    let side = if copy.is_from {
        &mut statement.writes
    } else {
        &mut statement.reads
    };
    if let Some(named) = named
        && !side.contains(&named)
    {
        let behind = Behind::of(on, std::iter::once(&named));
        statement.own = statement.own.take().max(behind.own);
        side.insert(0, named);
    }
    statement
}

fn setting(judged: Judged, range: Range<usize>) -> Statement {
    Statement {
        why: judged.why,
        setting: judged.setting,
        sets: judged.sets,
        control: judged.control,
        ours: judged.ours,
        ..Statement::new(judged.class, range)
    }
}

fn other(on: On<'_>, node: &NodeEnum, range: Range<usize>) -> Statement {
    let Some(Utility { class, why, manner }) = utility::utility(node) else {
        return seen(
            on,
            node,
            plain(Class::Opaque, "is a statement on no list", range),
        );
    };
    let mut found = Look::new(on).part(node, manner).done();
    if let NodeEnum::DropStmt(dropped) = node {
        found.writes.extend(utility::dropped(dropped));
    }
    let statement = found.into_statement(Statement::new(class, range), |found| {
        if found.writes.is_empty() {
            why.to_owned()
        } else {
            format!("{why}: {}", listed(&found.writes))
        }
    });
    Statement {
        outside_transaction: utility::outside_transaction(node),
        ..statement
    }
}

fn relation(var: &RangeVar) -> Relation {
    Relation {
        schema: (!var.schemaname.is_empty()).then(|| var.schemaname.clone()),
        name: var.relname.clone(),
    }
}

fn reads(found: &Found) -> String {
    format!("reads {}", listed(&found.reads))
}

fn listed(relations: &[Relation]) -> String {
    if relations.is_empty() {
        return "nothing".to_owned();
    }
    relations
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
