//! Pieces of a tree in their plainest form: a built-in's name, a string, a call and a SELECT with nothing to them. It judges
//! nothing.

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, FuncCall, Node, SelectStmt, a_const};

/// A part of a name.
pub(crate) fn string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(text)) => Some(&text.sval),
        _ => None,
    }
}

/// A string constant.
pub(crate) fn constant(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::AConst(AConst {
            val: Some(a_const::Val::Sval(text)),
            ..
        })) => Some(&text.sval),
        _ => None,
    }
}

/// The name that is called, if it may be a built-in's: bare, or of pg_catalog.
pub(crate) fn built_in(call: &FuncCall) -> Option<&str> {
    match call.funcname.as_slice() {
        [name] => string(name),
        [schema, name] if string(schema) == Some("pg_catalog") => string(name),
        _ => None,
    }
}

/// Whether a call has arguments and nothing else: no DISTINCT, FILTER, OVER or the like.
pub(crate) fn is_plain(call: &FuncCall) -> bool {
    *call
        == FuncCall {
            funcname: call.funcname.clone(),
            args: call.args.clone(),
            funcformat: call.funcformat,
            location: call.location,
            ..FuncCall::default()
        }
}

/// Whether a SELECT has targets and nothing else: no FROM, WHERE, WITH or the like.
pub(crate) fn is_bare(select: &SelectStmt) -> bool {
    *select
        == SelectStmt {
            target_list: select.target_list.clone(),
            limit_option: select.limit_option,
            op: select.op,
            ..SelectStmt::default()
        }
}
