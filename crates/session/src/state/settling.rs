//! Settling: what came of a signed turn is written down and the tickets are settled; only then does
//! the client hear that it may go on.

use std::collections::VecDeque;

use gate::Disposition;

use crate::effect::{Effect, Settlement};
use crate::fault::Fault;
use crate::input::Input;
use crate::shape::Shape;
use crate::state::job::{Accounts, Refused, finish_refusal, hang_up, refuse};
use crate::talk::{Io, Talk};

/// Accounts that are being written.
#[derive(Debug)]
pub(crate) struct Settling {
    settlements: VecDeque<Settlement>,
    then: Then,
    gone: bool,
    /// The upstream connection was lost meanwhile.
    lost: bool,
}

/// What the client hears once it is done.
#[derive(Debug)]
pub(crate) enum Then {
    /// The end of its turn.
    Finish(Shape),
    /// That nothing was sent, and why.
    Refuse(Fault, Shape),
    /// Nothing: the connection ends.
    Close,
}

/// Where settling leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Settling),
    Finished(Refused, Shape),
    Close,
}

impl Settling {
    /// Starts; a turn that nobody signed needs no waiting.
    pub(crate) fn start(accounts: Accounts, then: Then, talk: &mut Talk, io: &mut Io) -> Next {
        let settling = Self {
            settlements: VecDeque::new(),
            then,
            gone: false,
            lost: false,
        };
        settling.write(accounts, talk, io)
    }

    fn write(mut self, accounts: Accounts, talk: &mut Talk, io: &mut Io) -> Next {
        let Accounts {
            mut entries,
            settlements,
        } = accounts;
        self.settlements = settlements.into();
        let last = if self.settlements.is_empty() {
            None
        } else {
            entries.pop()
        };
        for entry in entries {
            io.effect(Effect::Note(entry));
        }
        let Some(last) = last else {
            return self.next(talk, io);
        };
        io.effect(Effect::Write(last));
        Next::Stay(self)
    }

    pub(crate) fn handle(mut self, input: &Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match input {
            // An outcome that could not be written leaves the journal closed, and with it the gate;
            // what happened has happened all the same.
            Input::Written(_) | Input::Settled(_) => return self.next(talk, io),
            Input::ClientGone => self.gone = true,
            Input::UpstreamGone => self.lost = true,
            _ => {}
        }
        Next::Stay(self)
    }

    fn next(mut self, talk: &mut Talk, io: &mut Io) -> Next {
        if let Some(settlement) = self.settlements.pop_front() {
            io.effect(Effect::Settle(settlement));
            return Next::Stay(self);
        }
        if matches!(self.then, Then::Close) {
            return Next::Close;
        }
        if self.lost && talk.leased() {
            if talk.needs_lease() && !self.gone {
                io.error(&Fault::upstream_lost());
                self.gone = true;
            } else {
                talk.state.soil(Disposition::Close);
                talk.release_lease(io);
            }
        }
        if self.gone {
            let rest = hang_up(talk, io);
            self.then = Then::Close;
            return self.write(rest, talk, io);
        }
        match self.then {
            Then::Finish(shape) => {
                talk.checkin_if_free(io);
                Next::Finished(finish_refusal(&shape, talk, io), shape)
            }
            Then::Refuse(fault, shape) => Next::Finished(refuse(&fault, &shape, talk, io), shape),
            Then::Close => Next::Close,
        }
    }
}
