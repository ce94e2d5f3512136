//! Running: something was sent, and the server's answers are relayed until the turn is over. Only
//! the server's word decides what came of it (hazards R54).

use bytes::BytesMut;
use gate::audit::{End, TransactionEnd};
use gate::cargo::More;
use gate::{Event, Outcome, Right};
use wire::backend::Status;
use wire::frame::Frame;
use wire::frontend::Frontend;

use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::Input;
use crate::replies::{Heard, Relayed, Replies};
use crate::state::job::{Accounts, Shape, hang_up};
use crate::state::load;
use crate::talk::{Fence, Io, Talk};

/// Something that runs.
#[derive(Debug)]
pub(crate) struct Running {
    replies: Replies,
    shape: Shape,
    phase: Phase,
    gone: bool,
}

#[derive(Debug)]
enum Phase {
    /// Answers are relayed.
    Relay,
    /// The server waits for the client's COPY data.
    CopyIn(Right),
    /// The fence's own transaction failed with the read in it, and is rolled back.
    Cleanup(Heard),
}

/// Where running leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Running),
    /// The turn is over; these must be written before the client hears of it, if it was signed.
    Account(Accounts, Shape),
    /// A Flush was answered; the segment stays open.
    Idle,
    /// An error in an open segment: the client's messages up to its Sync are skipped.
    Skip,
    /// The connection ends.
    Close(Accounts),
}

impl Running {
    pub(crate) fn start(replies: Replies, shape: Shape) -> Self {
        Self {
            replies,
            shape,
            phase: Phase::Relay,
            gone: false,
        }
    }

    /// Whether the client's messages belong to what runs.
    pub(crate) fn takes_frames(&self) -> bool {
        matches!(self.phase, Phase::CopyIn(_))
    }

    pub(crate) fn handle(self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match input {
            Input::Upstream(buf) => self.relay(buf, talk, io),
            Input::Frame(frame) => self.copy_in(frame, talk, io),
            Input::Cancel => {
                io.effect(Effect::CancelUpstream);
                Next::Stay(self)
            }
            Input::ClientGone => self.client_gone(talk, io),
            Input::UpstreamGone => self.upstream_gone(talk, io),
            _ => Next::Stay(self),
        }
    }

    fn relay(mut self, buf: &mut BytesMut, talk: &mut Talk, io: &mut Io) -> Next {
        loop {
            let relayed = match self.replies.relay(buf, &mut io.out, &mut talk.told) {
                Ok(relayed) => relayed,
                Err(fault) => {
                    io.error(&fault);
                    return Next::Close(hang_up(talk, io));
                }
            };
            if self.gone {
                io.out.clear();
            }
            for name in self.replies.heard.confirmed.drain(..) {
                talk.names.confirm(&name);
            }
            match relayed {
                Relayed::CopyIn => match talk.portals.last_right() {
                    Some(right) => self.phase = Phase::CopyIn(right),
                    None => return self.fail(&Fault::upstream_protocol(), talk, io),
                },
                Relayed::Failed => self.phase = Phase::Relay,
                Relayed::Ready(status) => return self.ready(status, talk, io),
                Relayed::Waiting if self.replies.heard.fatal => {
                    return Next::Close(hang_up(talk, io));
                }
                Relayed::Waiting if self.replies.is_settled() => return self.flushed(talk, io),
                Relayed::Waiting => return Next::Stay(self),
            }
        }
    }

    fn copy_in(mut self, frame: Frame, talk: &mut Talk, io: &mut Io) -> Next {
        let Phase::CopyIn(right) = self.phase else {
            return self.fail(&Fault::protocol("unexpected message"), talk, io);
        };
        let more = match Frontend::decode(frame) {
            Ok(Frontend::CopyData(data)) => {
                self.phase = Phase::CopyIn(right.clone());
                More::CopyData(data)
            }
            Ok(Frontend::CopyDone) => {
                self.phase = Phase::Relay;
                More::CopyDone
            }
            Ok(Frontend::CopyFail(reason)) => {
                self.phase = Phase::Relay;
                More::CopyFail(reason)
            }
            // The server ignores these two while it copies (hazards V21); so it never sees them.
            Ok(Frontend::Flush | Frontend::Sync) => {
                self.phase = Phase::CopyIn(right);
                return Next::Stay(self);
            }
            Ok(Frontend::Terminate) => {
                self.phase = Phase::CopyIn(right);
                return self.client_gone(talk, io);
            }
            Ok(_) => {
                self.phase = Phase::Relay;
                let fault = Fault::protocol("unexpected message during COPY from stdin");
                return self.fail(&fault, talk, io);
            }
            Err(error) => {
                self.phase = Phase::Relay;
                return self.fail(&Fault::malformed(&error), talk, io);
            }
        };
        load::copy(right, more, io);
        Next::Stay(self)
    }

    fn fail(self, fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
        io.error(&fault.clone().fatal());
        Next::Close(hang_up(talk, io))
    }

    /// The client is gone. What people signed runs to its end, so that its outcome is known; a COPY
    /// that lost its client fails; anything else is of no use to anybody.
    fn client_gone(mut self, talk: &mut Talk, io: &mut Io) -> Next {
        let signed = talk.sent.iter().any(|it| it.spent.is_some());
        if !signed {
            return Next::Close(hang_up(talk, io));
        }
        if let Phase::CopyIn(right) = &self.phase {
            let reason = bytestring::ByteString::from_static("client connection lost");
            load::copy(right.clone(), More::CopyFail(reason), io);
            self.phase = Phase::Relay;
        }
        self.gone = true;
        if matches!(self.shape, Shape::Batch(..)) && !self.shape.ends_ready() {
            // The Sync that the client owed: without it the segment never ends.
            io.effect(Effect::Load(vec![gate::Cargo::Sync]));
            self.replies.push(crate::replies::Owed::Sync);
            self.shape = Shape::Query;
        }
        Next::Stay(self)
    }

    fn upstream_gone(self, talk: &mut Talk, io: &mut Io) -> Next {
        let ticket = talk
            .sent
            .iter()
            .find_map(|it| it.spent.as_ref())
            .map(|it| it.ticket);
        if !self.gone && !self.replies.heard.fatal {
            io.error(&ticket.map_or_else(Fault::upstream_lost, Fault::in_doubt));
        }
        Next::Close(hang_up(talk, io))
    }

    /// A Flush was answered whole, or failed.
    fn flushed(self, talk: &mut Talk, io: &mut Io) -> Next {
        let failed = self.replies.heard.error.is_some() || self.replies.heard.own_error.is_some();
        if let Some(fields) = &self.replies.heard.own_error {
            io.error(&Fault::settings(&fields.message));
        }
        if let Some(segment) = &mut talk.segment {
            segment.failed = failed;
        }
        if failed {
            talk.names.forget_unconfirmed();
            return Next::Skip;
        }
        Next::Idle
    }

    fn ready(mut self, status: Status, talk: &mut Talk, io: &mut Io) -> Next {
        let fence = talk.segment.take().map(|segment| segment.fence);
        let own_transaction = matches!(fence, Some(Fence::Transaction | Fence::Look));
        if own_transaction && status != Status::Idle {
            let heard = std::mem::take(&mut self.replies.heard);
            self.replies = load::rollback(talk, io);
            self.phase = Phase::Cleanup(heard);
            return Next::Stay(self);
        }
        let heard = match self.phase {
            Phase::Cleanup(heard) => heard,
            Phase::Relay | Phase::CopyIn(_) => std::mem::take(&mut self.replies.heard),
        };
        if let Some(fields) = &heard.own_error
            && heard.error.is_none()
        {
            io.error(&Fault::fence(&fields.message));
        }
        let accounts = account(status, heard, fence, talk);
        if self.gone {
            let mut rest = hang_up(talk, io);
            rest.entries.splice(0..0, accounts.entries);
            rest.settlements.splice(0..0, accounts.settlements);
            return Next::Close(rest);
        }
        if fence == Some(Fence::Look) && !self.shape.ends_ready() {
            // The client closed its look by a Flush; upstream it was whole, so its Sync is ours.
            talk.checkin_if_free(io);
            return if accounts_failed(talk) {
                Next::Skip
            } else {
                Next::Idle
            };
        }
        Next::Account(accounts, self.shape)
    }
}

/// Whether the look that just ended failed; then the client's messages are skipped up to its Sync.
fn accounts_failed(talk: &mut Talk) -> bool {
    std::mem::take(&mut talk.look_failed)
}

/// What came of everything that was sent since the last ReadyForQuery.
fn account(status: Status, heard: Heard, fence: Option<Fence>, talk: &mut Talk) -> Accounts {
    let session = talk.peer.session;
    let mut accounts = Accounts::default();
    let failed = heard.error.is_some() || heard.own_error.is_some();
    if failed {
        talk.names.forget_unconfirmed();
    }
    let look = fence == Some(Fence::Look);
    talk.look_failed = look && failed;
    if look {
        if failed
            && matches!(
                talk.transaction,
                crate::transaction::Transaction::Virtual(_)
            )
        {
            talk.transaction = crate::transaction::Transaction::Aborted;
        }
        return accounts;
    }
    let committed = !failed && heard.tags.iter().any(|tag| tag == "COMMIT");
    let ended = talk.transaction.settle(status, committed);
    accounts.transaction_end(session, &ended.kept, TransactionEnd::Commit);
    accounts.settle(&ended.kept, Event::Succeed, None);
    accounts.transaction_end(session, &ended.undone, TransactionEnd::Rollback);
    accounts.settle(&ended.undone, Event::RollBack, None);
    if status == Status::Idle {
        talk.portals.clear();
    }
    let sent = std::mem::take(&mut talk.sent);
    let last = sent.last().map(|it| it.number);
    for it in sent {
        let refused = failed && Some(it.number) == last;
        let end = if failed { End::Failed } else { End::Done };
        accounts.outcome(session, it.number, end, (&heard.tags, heard.error.as_ref()));
        let outcome = Outcome {
            tags: heard.tags.clone(),
            error: heard.error.clone().filter(|_| refused),
        };
        let Some(spent) = it.spent else { continue };
        match (failed, status) {
            (true, _) if refused => accounts.settle(&[spent], Event::Fail, Some(outcome)),
            (true, _) => accounts.settle(&[spent], Event::RollBack, Some(outcome)),
            (false, Status::Idle) => accounts.settle(&[spent], Event::Succeed, Some(outcome)),
            (false, _) => talk.transaction.spend(spent),
        }
    }
    for control in std::mem::take(&mut talk.controls) {
        if !failed {
            talk.transaction.control(&control);
        }
    }
    accounts
}
