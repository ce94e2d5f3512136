//! Numbers filed under the relations that their patterns name, so that of thousands few are looked at. It
//! never decides: what it gives out may fit, and what it keeps back cannot.

use crate::policy::by_name::ByName;
use crate::policy::names::Schemas;
use crate::policy::pattern::RelationPattern;

/// What is filed. Every list is in the order of filing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    by_name: ByName<Named>,
    /// Of patterns with a star in the name and none in the schema.
    by_schema: ByName<Vec<usize>>,
    /// Of patterns with stars in both.
    rest: Vec<usize>,
}

/// What is filed under one name.
#[derive(Clone, Debug, Default)]
struct Named {
    by_schema: ByName<Vec<usize>>,
    rest: Vec<usize>,
}

impl Index {
    /// Files `number`; numbers come in their order.
    pub(crate) fn file(&mut self, number: usize, pattern: &RelationPattern) {
        let schema = pattern.schema.as_ref().and_then(|it| it.only());
        let list = match (schema, pattern.name.only()) {
            (Some(schema), Some(name)) => {
                let named = self.by_name.entry(name.into()).or_default();
                named.by_schema.entry(schema.into()).or_default()
            }
            (None, Some(name)) => &mut self.by_name.entry(name.into()).or_default().rest,
            (Some(schema), None) => self.by_schema.entry(schema.into()).or_default(),
            (None, None) => &mut self.rest,
        };
        if list.last() != Some(&number) {
            list.push(number);
        }
    }

    /// The lists whose numbers may fit a relation.
    pub(crate) fn lists<'a>(
        &'a self,
        schemas: &'a Schemas<'_>,
        name: &str,
    ) -> impl Iterator<Item = &'a [usize]> {
        let named = self.by_name.get(name);
        let known = schemas.known().flat_map(move |schema| {
            let here = named.and_then(|it| it.by_schema.get(schema));
            here.into_iter().chain(self.by_schema.get(schema))
        });
        let unknown = *schemas == Schemas::Unknown;
        let every = unknown.then(|| {
            let here = named.into_iter().flat_map(|it| it.by_schema.values());
            here.chain(self.by_schema.values())
        });
        known
            .chain(every.into_iter().flatten())
            .chain(named.map(|it| &it.rest))
            .chain([&self.rest])
            .map(Vec::as_slice)
    }
}
