//! How long a session keeps an upstream connection. It never says which one.

/// How long a session keeps an upstream connection; pgbouncer's `pool_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// For a transaction.
    #[default]
    Transaction,
    /// From its first statement to its end.
    Session,
    /// For a statement; there are no transactions of several.
    Statement,
}

impl PoolMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Transaction, Self::Session, Self::Statement];

    /// As the configuration and `SHOW POOLS` have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Session => "session",
            Self::Statement => "statement",
        }
    }
}
