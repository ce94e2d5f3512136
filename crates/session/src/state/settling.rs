//! Settling: what came of a signed turn is written down and the tickets are settled; only then does
//! the client hear that it may go on.

use std::collections::VecDeque;

use gate::Entry;

use crate::effect::{Effect, Settlement};
use crate::input::Input;
use crate::state::job::{Accounts, Refused, Shape, finish_refusal};
use crate::talk::{Io, Talk};

/// Accounts that are being written.
#[derive(Debug)]
pub(crate) struct Settling {
    settlements: VecDeque<Settlement>,
    then: Then,
    gone: bool,
}

/// What the client hears once it is done.
#[derive(Debug)]
pub(crate) enum Then {
    /// The end of its turn.
    Finish(Shape),
    /// Nothing: the connection ends.
    Close,
}

/// Where settling leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Settling),
    Finished(Refused),
    Close,
}

impl Settling {
    /// Starts; a turn that nobody signed needs no waiting.
    pub(crate) fn start(accounts: Accounts, then: Then, talk: &mut Talk, io: &mut Io) -> Next {
        let Accounts {
            mut entries,
            settlements,
        } = accounts;
        let mut settling = Self {
            settlements: settlements.into(),
            then,
            gone: false,
        };
        if settling.settlements.is_empty() {
            note(entries, io);
            return settling.next(talk, io);
        }
        let Some(last) = entries.pop() else {
            return settling.next(talk, io);
        };
        note(entries, io);
        io.effect(Effect::Write(last));
        settling.gone = false;
        Next::Stay(settling)
    }

    pub(crate) fn handle(mut self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match input {
            // An outcome that could not be written leaves the journal closed, and with it the gate;
            // what happened has happened all the same.
            Input::Written(_) | Input::Settled(_) => self.next(talk, io),
            Input::ClientGone => {
                self.gone = true;
                Next::Stay(self)
            }
            _ => Next::Stay(self),
        }
    }

    fn next(mut self, talk: &mut Talk, io: &mut Io) -> Next {
        if let Some(settlement) = self.settlements.pop_front() {
            io.effect(Effect::Settle(settlement));
            return Next::Stay(self);
        }
        match self.then {
            Then::Finish(shape) if !self.gone => {
                talk.checkin_if_free(io);
                Next::Finished(finish_refusal(&shape, talk, io))
            }
            Then::Finish(_) | Then::Close => Next::Close,
        }
    }
}

fn note(entries: Vec<Entry>, io: &mut Io) {
    entries
        .into_iter()
        .for_each(|entry| io.effect(Effect::Note(entry)));
}
