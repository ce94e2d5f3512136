//! What a finished look found in a part of a statement. It never looks itself.

use crate::{Class, Columns, Function, Own, Relation, Statement};

/// What a finished look found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) class: Class,
    /// Why it has that class, if it is not plain from what it reads and writes.
    pub(crate) why: Option<String>,
    pub(crate) reads: Vec<Relation>,
    pub(crate) writes: Vec<Relation>,
    pub(crate) behind: Vec<Relation>,
    pub(crate) columns: Columns,
    pub(crate) functions: Vec<Function>,
    pub(crate) own: Option<Own>,
    pub(crate) may_convert: Option<String>,
}

impl Found {
    /// Raises `statement` to what was found and hands it the names. `why` is said where nothing found is stronger.
    pub(crate) fn into_statement(
        self,
        mut statement: Statement,
        why: impl FnOnce(&Found) -> String,
    ) -> Statement {
        statement.why = match &self.why {
            Some(found) if self.class >= statement.class => found.clone(),
            _ => why(&self),
        };
        statement.class = statement.class.max(self.class);
        statement.reads = self.reads;
        statement.writes = self.writes;
        statement.behind = self.behind;
        if self.class == Class::Read && statement.class == Class::Read {
            statement.columns = self.columns;
        }
        statement.functions = self.functions;
        statement.own = self.own;
        statement.may_convert = self.may_convert;
        statement
    }
}
