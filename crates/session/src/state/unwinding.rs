//! Unwinding: the gate refused something inside a transaction, so the upstream's transaction must
//! fail too, or a later COMMIT would keep half of it (hazards R34, DESIGN rulings 3 and 4).

use bytes::BytesMut;
use wire::backend::Status;

use crate::fault::Fault;
use crate::input::Input;
use crate::replies::{Relayed, Replies};
use crate::shape::Shape;
use crate::state::account::{self, Accounts};
use crate::state::job::hang_up;
use crate::state::load;
use crate::talk::{Fence, Io, Talk};

/// A transaction that is being undone. The client has heard the error already.
#[derive(Debug)]
pub(crate) struct Unwinding {
    replies: Replies,
    shape: Shape,
    /// On budget what was spent comes back, since it was the gate that rolled back.
    give_back: bool,
    gone: bool,
}

/// Where unwinding leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Box<Unwinding>),
    Account(Accounts, Shape),
    Close(Accounts),
}

impl Unwinding {
    /// After a refusal: with savepoints open the client must be able to go back to one, so there
    /// the transaction only fails; otherwise it is rolled back at once.
    pub(crate) fn refused(shape: Shape, talk: &Talk, io: &mut Io) -> Self {
        // In a fence of its own there is nothing of the client's to go back to.
        let fenced = talk
            .segment
            .is_some_and(|it| it.fence == Fence::Transaction);
        let poison = talk.transaction.has_savepoints() || !talk.transaction.has_upstream();
        let poison = poison && !fenced;
        let replies = if poison {
            load::poison(talk, io)
        } else {
            load::rollback(talk, io)
        };
        Self {
            replies,
            shape,
            give_back: false,
            gone: false,
        }
    }

    /// After the budget is over: the whole transaction goes, and its locks with it.
    pub(crate) fn budget(shape: Shape, talk: &Talk, io: &mut Io) -> Self {
        Self {
            replies: load::rollback(talk, io),
            shape,
            give_back: true,
            gone: false,
        }
    }

    pub(crate) fn handle(mut self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match input {
            Input::Upstream(buf) => self.undo(buf, talk, io),
            Input::ClientGone => {
                self.gone = true;
                Next::Stay(Box::new(self))
            }
            Input::UpstreamGone => {
                io.error(&Fault::upstream_lost());
                Next::Close(hang_up(talk, io))
            }
            _ => Next::Stay(Box::new(self)),
        }
    }

    fn undo(mut self, buf: &mut BytesMut, talk: &mut Talk, io: &mut Io) -> Next {
        loop {
            match self.replies.relay(buf, &mut io.out, &mut talk.told) {
                Ok(Relayed::Waiting) => return Next::Stay(Box::new(self)),
                Ok(Relayed::Ready(status)) if self.replies.is_settled() => {
                    return self.undone(status, talk, io);
                }
                Ok(Relayed::Fatal(fields)) => {
                    io.error(&Fault::of_server(*fields));
                    return Next::Close(hang_up(talk, io));
                }
                Ok(Relayed::Ready(_) | Relayed::Failed | Relayed::CopyIn) => {}
                Err(fault) => {
                    io.error(&fault);
                    return Next::Close(hang_up(talk, io));
                }
            }
        }
    }

    fn undone(self, status: Status, talk: &mut Talk, io: &mut Io) -> Next {
        talk.segment = None;
        let accounts = account::undone(status, self.give_back, talk);
        if self.gone {
            let rest = hang_up(talk, io);
            return Next::Close(accounts.then(rest));
        }
        Next::Account(accounts, self.shape)
    }
}
