//! `SELECT pg_cancel_backend(n)` and `SELECT pg_terminate_backend(n)`, which name a process id that a client was given: the
//! gate's (DESIGN ruling 21). Only this very shape is known; it never says whose process that is.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, a_const};

use crate::plain::{built_in, is_bare, is_plain};
use crate::{Pid, Signal};

/// The signal that this statement is, and nothing else.
pub(crate) fn signal(node: &NodeEnum) -> Option<Signal> {
    let NodeEnum::SelectStmt(select) = node else {
        return None;
    };
    let [target] = select.target_list.as_slice() else {
        return None;
    };
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return None;
    };
    let Some(NodeEnum::FuncCall(call)) = &target.val.as_ref()?.node else {
        return None;
    };
    let terminates = match built_in(call)? {
        "pg_cancel_backend" => false,
        "pg_terminate_backend" => true,
        _ => return None,
    };
    let [argument] = call.args.as_slice() else {
        return None;
    };
    let pid = pid(argument)?;
    let alone = is_bare(select)
        && is_plain(call)
        && target.name.is_empty()
        && target.indirection.is_empty();
    alone.then_some(Signal { terminates, pid })
}

fn pid(argument: &Node) -> Option<Pid> {
    match argument.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(number) => u32::try_from(number.ival).ok().map(Pid::Is),
            _ => None,
        },
        NodeEnum::ParamRef(parameter) => (parameter.number == 1).then_some(Pid::Parameter),
        NodeEnum::TypeCast(cast) => pid(cast.arg.as_ref()?),
        _ => None,
    }
}
