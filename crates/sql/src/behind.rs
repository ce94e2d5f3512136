//! What stands behind the relations that a statement names, by the catalog: the queries of views, and what has rows of a
//! table. It never goes where the catalog says nothing.

use std::collections::BTreeSet;

use crate::catalog::On;
use crate::own::RelationKind;
use crate::writing;
use crate::{Class, Function, Own, Relation};

/// What was found behind them.
#[derive(Debug)]
pub(crate) struct Behind {
    pub(crate) relations: BTreeSet<Relation>,
    pub(crate) functions: Vec<Function>,
    /// Behind which of them something of the user's may run.
    pub(crate) own: Option<Own>,
    /// The strongest thing that reading them does.
    pub(crate) class: Class,
    /// Why, if that is more than a read.
    pub(crate) why: Option<String>,
}

impl Behind {
    /// Behind these.
    pub(crate) fn of<'r>(on: On<'_>, named: impl Iterator<Item = &'r Relation>) -> Self {
        let mut behind = Behind {
            relations: BTreeSet::new(),
            functions: Vec::new(),
            own: None,
            class: Class::Read,
            why: None,
        };
        for relation in named {
            behind.look(on, relation);
        }
        behind
    }

    fn look(&mut self, on: On<'_>, relation: &Relation) {
        for kind in on.behind(relation) {
            match kind {
                RelationKind::Table(runs) => {
                    if writing::runs_own(on, runs) {
                        self.owns(Own::Here(relation.to_string()));
                    }
                }
                RelationKind::Foreign(wrapper) if wrapper == "postgres_fdw" => {
                    self.owns(Own::Far(relation.to_string()));
                }
                RelationKind::Foreign(wrapper) => {
                    self.raise(
                        Class::Opaque,
                        format!("reads {relation}, which {wrapper} answers"),
                    );
                }
                RelationKind::Parent(child) => {
                    if self.relations.insert(child.clone()) {
                        self.look(on, child);
                    }
                }
                RelationKind::View(query) => self.look_at_view(on, relation, query),
            }
        }
    }

    fn look_at_view(&mut self, on: On<'_>, view: &Relation, query: &str) {
        let Some(reading) = on.read(query) else {
            return self.raise(
                Class::Opaque,
                format!("reads {view}, behind too many views"),
            );
        };
        for it in reading.statements {
            self.own = self.own.take().max(it.own);
            self.raise(it.class, format!("reads {view}, which {}", it.why));
            self.functions.extend(it.functions);
            self.relations.extend(it.reads.into_iter().chain(it.behind));
        }
    }

    fn owns(&mut self, own: Own) {
        self.own = self.own.take().max(Some(own));
    }

    /// The first reason for the strongest class is kept.
    fn raise(&mut self, class: Class, why: String) {
        if class > self.class {
            (self.class, self.why) = (class, Some(why));
        }
    }
}
