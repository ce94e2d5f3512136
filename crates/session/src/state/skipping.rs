//! Skipping: after an error in an extended batch everything up to the client's Sync is dropped, as
//! the server would (hazards R33).

use wire::frame::Frame;
use wire::frontend::{Frontend, tag};

use crate::fault::Fault;
use crate::input::Input;
use crate::state::job::{Accounts, hang_up};
use crate::talk::{Io, Talk};

/// The client's messages are dropped up to its Sync.
#[derive(Debug)]
pub(crate) struct Skipping;

/// Where skipping leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Skipping),
    /// The Sync came, and nothing is open upstream.
    Idle,
    /// The Sync came, and the open segment must end with it.
    EndSegment,
    Close(Accounts),
}

impl Skipping {
    pub(crate) fn handle(self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match input {
            Input::Frame(frame) => self.frame(frame, talk, io),
            Input::ClientGone => Next::Close(hang_up(talk, io)),
            Input::UpstreamGone if talk.leased() => {
                io.error(&Fault::upstream_lost());
                Next::Close(hang_up(talk, io))
            }
            _ => Next::Stay(self),
        }
    }

    fn frame(self, frame: Frame, talk: &mut Talk, io: &mut Io) -> Next {
        match frame.tag {
            tag::SYNC if talk.segment.is_some() => Next::EndSegment,
            tag::SYNC => {
                io.ready(talk.status());
                Next::Idle
            }
            tag::TERMINATE => Next::Close(hang_up(talk, io)),
            _ => match Frontend::decode(frame) {
                Ok(_) => Next::Stay(self),
                Err(error) => {
                    io.error(&Fault::malformed(&error));
                    Next::Close(hang_up(talk, io))
                }
            },
        }
    }
}
