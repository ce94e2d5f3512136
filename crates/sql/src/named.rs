//! Relations and functions as a text names them. It never says what they are.

use std::fmt;

/// A relation as the text names it, decoded (quoting, case folding and `U&""` undone).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relation {
    /// Its schema, if the text says one; else the session's search_path decides.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        qualified(f, self.schema.as_deref(), &self.name)
    }
}

/// A function as the text calls it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Function {
    /// Its schema, if the text says one.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// How many arguments the call has (those of WITHIN GROUP counted, VARIADIC as one).
    pub args: usize,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        qualified(f, self.schema.as_deref(), &self.name)
    }
}

fn qualified(f: &mut fmt::Formatter<'_>, schema: Option<&str>, name: &str) -> fmt::Result {
    match schema {
        Some(schema) => write!(f, "{schema}.{name}"),
        None => f.write_str(name),
    }
}
