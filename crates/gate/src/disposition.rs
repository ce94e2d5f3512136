//! What may become of an upstream connection that a session gives back. It never says how that is
//! found out, nor how a reset is done.

/// What may become of an upstream connection (DESIGN principle 8). Ordered: what is worse comes
/// later, so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// What ran on it provably left no session state: the next session may have it.
    Clean,
    /// The same, but for what `lastval` and `currval` say, and for advisory locks that a literal's check may have taken: both go
    /// with a word.
    Tidy,
    /// It may hold session state of its principal: reset and verified, it is theirs alone.
    Reset,
    /// It goes.
    Close,
}
