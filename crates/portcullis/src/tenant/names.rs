//! Names and texts as SQL spells them, and what the roles of a tenant are called. It never makes up a statement.

/// A login of a tenant at its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Owns what is in its schema or database; for migrations alone.
    Owner,
    /// Reads and writes, and owns nothing.
    App,
    /// Reads.
    Read,
    /// Fences what is in doubt.
    Ledger,
}

impl Login {
    /// Its role.
    pub fn role(self, tenant: &str) -> String {
        let ending = match self {
            Self::Owner => "owner",
            Self::App => "app",
            Self::Read => "read",
            Self::Ledger => "ledger",
        };
        format!("{tenant}_{ending}")
    }
}

/// A name.
pub fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text, whatever `standard_conforming_strings` says.
pub fn text(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        // Behind a blank, so that it is no part of a word.
        return format!(" E'{}'", doubled.replace('\\', "\\\\"));
    }
    format!("'{doubled}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(name("a\"; drop table b; --"), "\"a\"\"; drop table b; --\"");
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text("\\'; --"), " E'\\\\''; --'");
        assert_eq!(Login::App.role("acme"), "acme_app");
    }
}
