//! What happens to a session from outside its own conversation: it is ended, or what it knows of its person and its tenant is
//! not so any more. It never sends anything up.

use std::sync::Arc;
use std::time::Instant;

use gate::Principal;

use super::{Phase, Session, State};
use crate::fault::Fault;
use crate::input::{Admission, Input};

impl Session {
    /// Ends it: what runs is cancelled, and the rest is as if the client had gone.
    pub(super) fn terminate(&mut self, now: Instant, why: &Fault) {
        if self.is_closed() || std::mem::replace(&mut self.terminated, true) {
            return;
        }
        self.io.error(why);
        let runs = matches!(self.phase, Phase::Talk(_, State::Running(_)));
        let goes = if runs {
            Input::Terminate
        } else {
            Input::ClientGone
        };
        self.step(now, goes);
    }

    /// The groups of its person are these by now.
    pub(super) fn regroup(&mut self, who: Arc<Principal>) {
        match &mut self.phase {
            Phase::Console(_, principal) => *principal = who,
            Phase::Talk(talk, _) => talk.principal = who,
            Phase::Login(_) | Phase::Closed => {}
        }
    }

    /// What it asks from now on is asked where its tenant leads now.
    pub(super) fn moved(&mut self, to: &Admission) {
        if let Phase::Talk(talk, _) = &mut self.phase {
            talk.moved(to, &mut self.io);
        }
    }
}
