//! What stands behind the relations that a statement names, by the catalog: the queries of views, and what has rows of a
//! table. It never goes where the catalog says nothing.

use std::collections::BTreeSet;

use crate::hidden::Hidden;
use crate::on::On;
use crate::own::RelationKind;
use crate::writing;
use crate::{Class, Function, Own, Relation};

/// What was found behind them.
#[derive(Debug)]
pub(crate) struct Behind<'a> {
    on: On<'a>,
    pub(crate) relations: BTreeSet<Relation>,
    pub(crate) functions: Vec<Function>,
    /// Behind which of them something of the user's may run.
    pub(crate) own: Option<Own>,
    /// What columns of a user's type, or what stands there, may convert.
    pub(crate) hidden: Hidden<'a>,
    /// The strongest thing that reading them does.
    pub(crate) class: Class,
    /// Why, if that is more than a read.
    pub(crate) why: Option<String>,
}

impl<'a> Behind<'a> {
    /// Behind these.
    pub(crate) fn of<'r>(on: On<'a>, named: impl Iterator<Item = &'r Relation>) -> Self {
        let mut behind = Behind {
            on,
            relations: BTreeSet::new(),
            functions: Vec::new(),
            own: None,
            hidden: Hidden::new(on),
            class: Class::Read,
            why: None,
        };
        for relation in named {
            behind.look(relation);
        }
        behind
    }

    fn look(&mut self, relation: &Relation) {
        for kind in self.on.behind(relation) {
            match kind {
                RelationKind::Table(runs) => {
                    if writing::runs_own(self.on, runs) {
                        self.owns(Own::Here(relation.to_string()));
                    }
                    self.hidden.list(runs.list());
                }
                RelationKind::Foreign(wrapper) if wrapper == "postgres_fdw" => {
                    self.owns(Own::Far(relation.to_string()));
                    // Nobody said what columns it has.
                    self.hidden.anything();
                }
                RelationKind::Foreign(wrapper) => {
                    self.raise(
                        Class::Opaque,
                        format!("reads {relation}, which {wrapper} answers"),
                    );
                }
                RelationKind::Parent(child) => {
                    if self.relations.insert(child.clone()) {
                        self.look(child);
                    }
                }
                RelationKind::View(query) => self.look_at_view(relation, query),
            }
        }
    }

    fn look_at_view(&mut self, view: &Relation, query: &str) {
        let Some(reading) = self.on.read(query) else {
            return self.raise(
                Class::Opaque,
                format!("reads {view}, behind too many views"),
            );
        };
        for it in reading.statements {
            self.own = self.own.take().max(it.own);
            self.hidden.behind(it.may_convert);
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
