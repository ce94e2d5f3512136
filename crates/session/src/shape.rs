//! The shape in which a client asked: what it is answered with, and what comes behind it. It knows
//! nothing of what is asked.

use bytestring::ByteString;
use gate::Work;

use crate::fault::Fault;

/// How a batch was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// By Sync: the segment ends.
    Sync,
    /// By Flush: the client wants what is there, and goes on in the same segment (DESIGN ruling 2).
    Flush,
}

/// How the client asked, and so what it is answered with.
#[derive(Debug)]
pub(crate) enum Shape {
    /// By a Query.
    Query,
    /// By an extended batch; the steps are in the work, this is the rest of it.
    Batch(Close, Labels),
    /// By the first part of a Query: upstream it is whole, and the client hears of its end only if it
    /// is the end of all.
    Part,
}

/// What comes next, once what comes before it has been answered.
#[derive(Debug)]
pub(crate) enum Rest {
    /// This is asked for.
    Ask(Work, Shape),
    /// This is what the client hears, up to its Sync.
    Refuse(Fault),
}

/// What a batch holds besides its steps.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// The name that the Parse at this place gives.
    pub(crate) named: Vec<(usize, ByteString)>,
    /// A CloseComplete for a statement goes in front of the step at this place.
    pub(crate) closes: Vec<usize>,
}

impl Labels {
    /// The name that the Parse at `place` gives.
    pub(crate) fn name_at(&self, place: usize) -> Option<ByteString> {
        self.named
            .iter()
            .find(|it| it.0 == place)
            .map(|it| it.1.clone())
    }

    /// The labels of the first so many steps; those of the others are left.
    pub(crate) fn split(&mut self, steps: usize) -> Self {
        let first = Self {
            named: self
                .named
                .iter()
                .filter(|it| it.0 < steps)
                .cloned()
                .collect(),
            closes: self
                .closes
                .iter()
                .filter(|at| **at <= steps)
                .copied()
                .collect(),
        };
        self.skip(steps);
        first
    }

    /// The first steps are answered, and the closes in front of each and right behind them.
    pub(crate) fn skip(&mut self, steps: usize) {
        self.closes.retain(|at| *at > steps);
        self.closes.iter_mut().for_each(|at| *at -= steps);
        self.named.retain(|it| it.0 >= steps);
        self.named.iter_mut().for_each(|it| it.0 -= steps);
    }
}

impl Shape {
    /// Whether the server ends the turn with a ReadyForQuery.
    pub(crate) fn syncs(&self) -> bool {
        !matches!(self, Self::Batch(Close::Flush, _))
    }

    /// Whether the client hears one; `more` says that something comes behind what is answered.
    pub(crate) fn ends_ready(&self, more: bool) -> bool {
        match self {
            Self::Query | Self::Batch(Close::Sync, _) => true,
            Self::Batch(Close::Flush, _) => false,
            Self::Part => !more,
        }
    }
}
