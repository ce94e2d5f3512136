//! How a tenant is kept apart from others on its server: the four models of the field (DESIGN section 6, hazards section O).
//! What holds them up is the server's grants, which [`test`] looks through; [`fence`] keeps statements from leaning against
//! them. Pure: it never asks a server. See decision 17.

pub mod fence;
pub mod test;

use std::fmt;

use crate::ledger::quoted;

/// One of the four tenancy models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Tables are shared, and row-level security keeps rows apart.
    Shared,
    /// A schema of its own in a shared database.
    Schema,
    /// A database of its own on a shared server.
    Database,
    /// A server of its own.
    Instance,
}

impl Isolation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shared, Self::Schema, Self::Database, Self::Instance];

    /// As the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Instance => "instance",
        }
    }

    /// Whether a tenant has schemas that it is kept in.
    pub fn has_schemas(self) -> bool {
        matches!(self, Self::Shared | Self::Schema)
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a tenant is said to be kept in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Walls {
    /// The model.
    pub isolation: Isolation,
    /// Its schemas, where the model has some.
    pub schemas: Vec<String>,
}

impl Walls {
    /// Where names of its sessions are looked for, as the server reads it; its own default where the model has no schemas.
    pub fn search_path(&self) -> Option<String> {
        let names = self.schemas.iter().map(|it| quoted(it, '"'));
        let path = names.collect::<Vec<_>>().join(", ");
        self.isolation.has_schemas().then_some(path)
    }
}
