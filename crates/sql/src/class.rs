//! The classes of statements, weakest first. It never looks at a text.

use std::fmt;
use std::str::FromStr;

/// What a statement may do, ordered by strength: a statement has the class of the strongest thing in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Reads, and nothing but functions, operators and types that are known to be harmless.
    Read,
    /// A harmless setting, SHOW, DEALLOCATE, CLOSE.
    Session,
    /// BEGIN, COMMIT, ROLLBACK, savepoints.
    Transaction,
    /// COPY ... TO STDOUT of something read.
    CopyOut,
    /// VACUUM, ANALYZE, REINDEX, CLUSTER, REFRESH.
    Maintenance,
    /// Changes or locks rows or tables.
    Write,
    /// COPY ... FROM STDIN: a write whose data is not in the text.
    CopyIn,
    /// Changes what the database is made of.
    Ddl,
    /// Reaches beyond its tables: roles, settings, files, other servers.
    Admin,
    /// Not understood.
    Opaque,
}

impl Class {
    /// Every class, weakest first.
    pub const ALL: [Class; 10] = [
        Class::Read,
        Class::Session,
        Class::Transaction,
        Class::CopyOut,
        Class::Maintenance,
        Class::Write,
        Class::CopyIn,
        Class::Ddl,
        Class::Admin,
        Class::Opaque,
    ];

    /// Its name in rules and in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Session => "session",
            Class::Transaction => "transaction",
            Class::CopyOut => "copy_out",
            Class::Maintenance => "maintenance",
            Class::Write => "write",
            Class::CopyIn => "copy_in",
            Class::Ddl => "ddl",
            Class::Admin => "admin",
            Class::Opaque => "opaque",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a class of statements")]
pub struct UnknownClass(pub String);

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(word: &str) -> Result<Class, UnknownClass> {
        Class::ALL
            .into_iter()
            .find(|class| class.name() == word)
            .ok_or_else(|| UnknownClass(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back_in_order() {
        for class in Class::ALL {
            assert_eq!(class.to_string().parse::<Class>(), Ok(class));
        }
        assert!(Class::ALL.is_sorted());
        assert!("Read".parse::<Class>().is_err());
        assert_eq!(format!("{:<5}|", Class::Ddl), "ddl  |");
    }
}
