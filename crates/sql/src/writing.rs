//! What writing the rows of a table leaves in the session, by the catalog: nothing, if no trigger, no default and no check
//! behind it can (DESIGN ruling 12). It judges what stands behind a table, never the statement.

use crate::on::On;
use crate::own::{RelationKind, Runs};
use crate::{Class, Leaves, Relation};

/// How far partitions and children of partitions are followed.
const DEPTH_MAX: usize = 16;

/// What writing all of these leaves at most.
pub(crate) fn leaves<'r>(on: On<'_>, relations: impl Iterator<Item = &'r Relation>) -> Leaves {
    relations
        .map(|it| of_one(on, it, DEPTH_MAX))
        .max()
        .unwrap_or(Leaves::Nothing)
}

/// Whether looking at the rows of a table may run something of the user's: a policy, an index's expression. That a table has
/// triggers says nothing of the rest.
pub(crate) fn runs_own(on: On<'_>, runs: &Runs) -> bool {
    match runs {
        Runs::Anything { .. } => true,
        Runs::Expressions { list, .. } if list.is_empty() => false,
        Runs::Expressions { list, .. } => {
            let reading = on.read(&format!("SELECT {list}"));
            reading.is_none_or(|it| it.statements.iter().any(|it| it.own.is_some()))
        }
    }
}

fn of_one(on: On<'_>, relation: &Relation, depth: usize) -> Leaves {
    let kinds = on.behind(relation);
    if kinds.is_empty() || depth == 0 {
        return Leaves::Residue;
    }
    let each = kinds.into_iter().map(|kind| match kind {
        RelationKind::Table(runs) => of_table(on, runs),
        RelationKind::Parent(child) => of_one(on, child, depth - 1),
        RelationKind::View(_) | RelationKind::Foreign(_) => Leaves::Residue,
    });
    each.max().unwrap_or(Leaves::Residue)
}

fn of_table(on: On<'_>, runs: &Runs) -> Leaves {
    let Runs::Expressions { list, counts } = runs else {
        return Leaves::Residue;
    };
    let counted = if *counts {
        Leaves::Sequences
    } else {
        Leaves::Nothing
    };
    if list.is_empty() {
        return counted;
    }
    let Some(reading) = on.read(&format!("SELECT {list}")) else {
        return Leaves::Residue;
    };
    match reading.statements.as_slice() {
        [it] if it.class == Class::Read => counted,
        [it] if it.class == Class::Write => it.leaves,
        _ => Leaves::Residue,
    }
}
