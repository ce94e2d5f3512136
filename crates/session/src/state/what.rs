//! What is to go up, and what it wants of a connection. It sends nothing.

use std::sync::Arc;

use gate::ticket::TimeOuts;
use gate::{Clearance, Request, Step};
use sql::{Leaves, Statement};

use crate::effect::Lane;
use crate::lent::Lent;
use crate::talk::Talk;

/// What is to go up.
#[derive(Debug)]
pub(crate) enum What {
    /// Something that may run.
    Claim(Clearance),
    /// Looks, and more of what was released already.
    Steps(Vec<Step>),
}

impl What {
    /// The lane that it wants: a read of its own runs where nothing can be written (DESIGN ruling 10).
    /// A look does not: what a name means may depend on the role that it is run as.
    pub(crate) fn lane(&self, talk: &Talk) -> Lane {
        let alone = !talk.alone() && !talk.transaction.has_upstream();
        let reads = match self {
            Self::Claim(clearance) => clearance.fenced() && !talk.transaction.is_open(),
            Self::Steps(_) => false,
        };
        if alone && reads {
            Lane::Read
        } else {
            Lane::Write
        }
    }

    /// How long it may wait for a lock, and run. What sets is looked at afterwards: nothing of the gate's may be among it.
    pub(crate) fn time_outs(&self) -> TimeOuts {
        match self {
            Self::Claim(clearance) => {
                let sets = |it: &Statement| it.leaves == Leaves::Settings;
                let sets = clearance.request().statements().any(sets);
                if sets {
                    TimeOuts::default()
                } else {
                    clearance.time_outs()
                }
            }
            Self::Steps(_) => TimeOuts::default(),
        }
    }

    /// Whether the borrowed connection will do for it.
    pub(crate) fn suits(&self, lent: Option<&Lent>) -> bool {
        let reads = matches!(self, Self::Claim(clearance) if clearance.fenced());
        reads || lent.is_none_or(|it| it.lane == Lane::Write)
    }

    /// The read that it is, where another server that has the same might serve it.
    pub(crate) fn read(&self, talk: &Talk) -> Option<Arc<Request>> {
        match self {
            Self::Claim(clearance) if self.lane(talk) == Lane::Read => {
                Some(Arc::clone(clearance.request()))
            }
            Self::Claim(_) | Self::Steps(_) => None,
        }
    }
}
