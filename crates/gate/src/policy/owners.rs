//! Who owns which relation: lines of a pattern and groups, as in a CODEOWNERS file, where the last line that
//! fits counts. It never reads a file, and says nothing of a relation that no line fits.

use std::collections::BTreeSet;

use sql::Relation;

use crate::policy::index::Index;
use crate::policy::names::{Schemas, SearchPath};
use crate::policy::pattern::RelationPattern;
use crate::principal::Group;

/// One line: what it is about, and all the groups that must sign for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The relations; a pattern of columns fits none.
    pub pattern: RelationPattern,
    /// Their owners. A line without any takes back what an earlier line says.
    pub groups: Vec<Group>,
}

/// The lines, filed by what they name.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    lines: Vec<Owned>,
    index: Index,
}

impl Owners {
    /// Lines in the order of the file.
    pub fn new(lines: Vec<Owned>) -> Self {
        let mut index = Index::default();
        for (number, line) in lines.iter().enumerate() {
            index.file(number, &line.pattern);
        }
        Self { lines, index }
    }

    /// Every group that owns something.
    pub fn groups(&self) -> BTreeSet<&Group> {
        self.lines.iter().flat_map(|line| &line.groups).collect()
    }

    /// The owners of a relation. Where its schema is not known for sure, those of each that it may be.
    pub(crate) fn of<'a>(
        &'a self,
        relation: &Relation,
        path: &SearchPath<'_>,
    ) -> BTreeSet<&'a Group> {
        let schemas = path.of_relation(relation);
        let fitting = |schemas: &Schemas<'_>| -> Vec<usize> {
            let lists = self.index.lists(schemas, &relation.name);
            let fits = |number: &&usize| {
                let line = self.lines.get(**number);
                line.is_some_and(|line| line.fits(relation, schemas))
            };
            // The last line of each list; of a place that nobody knows, every line.
            lists
                .flat_map(|list| match schemas {
                    Schemas::These(..) => list.iter().rev().filter(fits).take(1).collect(),
                    Schemas::Unknown => list.iter().filter(fits).collect::<Vec<_>>(),
                })
                .copied()
                .collect()
        };
        let lines: Vec<usize> = match &schemas {
            Schemas::Unknown => fitting(&schemas),
            Schemas::These(..) => schemas
                .known()
                .filter_map(|schema| {
                    fitting(&Schemas::These(Some(schema), &[]))
                        .into_iter()
                        .max()
                })
                .collect(),
        };
        let lines = lines.into_iter().filter_map(|it| self.lines.get(it));
        lines.flat_map(|line| &line.groups).collect()
    }
}

impl Owned {
    fn fits(&self, relation: &Relation, schemas: &Schemas<'_>) -> bool {
        let RelationPattern {
            schema,
            name,
            column,
        } = &self.pattern;
        column.is_none() && name.fits(&relation.name) && schemas.any(schema.as_ref())
    }
}
