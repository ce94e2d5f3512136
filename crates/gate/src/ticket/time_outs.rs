//! How long what people release may wait for a lock, and run, so that an approved ALTER cannot queue a whole application behind
//! it. Pure data: the server keeps the time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Time-outs in milliseconds; where there is none the session's own stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOuts {
    /// `lock_timeout`.
    pub lock_ms: Option<u32>,
    /// `statement_timeout`.
    pub statement_ms: Option<u32>,
}

impl TimeOuts {
    /// The shorter of each.
    #[must_use]
    pub fn narrowed(self, by: Self) -> Self {
        let shorter = |one: Option<u32>, other: Option<u32>| one.into_iter().chain(other).min();
        Self {
            lock_ms: shorter(self.lock_ms, by.lock_ms),
            statement_ms: shorter(self.statement_ms, by.statement_ms),
        }
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for TimeOuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = [
            ("lock_timeout", self.lock_ms),
            ("statement_timeout", self.statement_ms),
        ];
        let mut comma = "";
        for (name, ms) in both {
            let Some(ms) = ms else { continue };
            write!(f, "{comma}{name} ")?;
            match ms {
                _ if ms % 60_000 == 0 => write!(f, "{} min", ms / 60_000)?,
                _ if ms % 1000 == 0 => write!(f, "{} s", ms / 1000)?,
                _ => write!(f, "{ms} ms")?,
            }
            comma = ", ";
        }
        Ok(())
    }
}
