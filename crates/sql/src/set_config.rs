//! `SELECT set_config('name', value, false)`, which drivers send where a person would write SET. It says what is set, and what
//! else the statement holds; it never says whether that is harmless.

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, FuncCall, Node, SelectStmt, a_const};

use crate::plain::{built_in, constant, is_bare, is_plain, string};

/// A SELECT of a set_config.
#[derive(Debug)]
pub(crate) struct SetConfig {
    /// The setting, as it is written.
    pub(crate) name: String,
    /// The value, if it is a constant and no parameter.
    pub(crate) value: Option<String>,
    /// The same statement with a constant in the place of the call, if it holds more than that.
    pub(crate) rest: Option<Box<SelectStmt>>,
}

/// The one that this statement is.
pub(crate) fn of(select: &SelectStmt) -> Option<SetConfig> {
    let place = select
        .target_list
        .iter()
        .position(|it| call(it).is_some())?;
    let target = select.target_list.get(place)?;
    let (name, value) = arguments(call(target)?)?;
    let alone = is_bare(select) && select.target_list.len() == 1;
    let rest = (!alone).then(|| {
        let mut rest = select.clone();
        if let Some(place) = rest.target_list.get_mut(place) {
            *place = constant_target(target);
        }
        Box::new(rest)
    });
    Some(SetConfig { name, value, rest })
}

/// The function that one of the targets calls, if that is all it is and the name is right.
fn call(target: &Node) -> Option<&FuncCall> {
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return None;
    };
    match target.val.as_ref()?.node.as_ref()? {
        NodeEnum::FuncCall(call) if call.funcname.last().and_then(string) == Some("set_config") => {
            Some(call)
        }
        _ => None,
    }
}

/// The name and the value, if the built-in is called with constants and parameters only.
fn arguments(call: &FuncCall) -> Option<(String, Option<String>)> {
    if built_in(call) != Some("set_config") {
        return None;
    }
    let [name, value, local] = call.args.as_slice() else {
        return None;
    };
    let known = (constant(value).is_some() || is_parameter(value))
        && (is_flag(local) || is_parameter(local));
    let name = constant(name)?;
    (known && is_plain(call)).then(|| (name.to_owned(), constant(value).map(str::to_owned)))
}

fn constant_target(target: &Node) -> Node {
    let null = NodeEnum::AConst(AConst {
        isnull: true,
        ..AConst::default()
    });
    let mut target = target.clone();
    if let Some(NodeEnum::ResTarget(target)) = &mut target.node {
        target.val = Some(Box::new(Node { node: Some(null) }));
    }
    target
}

fn is_flag(node: &Node) -> bool {
    matches!(
        &node.node,
        Some(NodeEnum::AConst(AConst {
            val: Some(a_const::Val::Boolval(_)),
            ..
        }))
    )
}

fn is_parameter(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::ParamRef(_)))
}
