//! Running: something was sent, and the server's answers are relayed until the turn is over. Only
//! the server's word decides what came of it (hazards R54).

use bytes::BytesMut;
use gate::cargo::More;
use gate::{Disposition, Right};
use wire::backend::Status;
use wire::frame::Frame;
use wire::frontend::Frontend;

use crate::effect::Effect;
use crate::fault::Fault;
use crate::heard::Heard;
use crate::input::Input;
use crate::mode::PoolMode;
use crate::replies::{Relayed, Replies};
use crate::shape::Shape;
use crate::state::account::{self, Accounts};
use crate::state::job::{break_off, hang_up};
use crate::state::load;
use crate::talk::{Fence, Io, Talk};
use crate::transaction::Transaction;

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
    Cleanup(Box<Heard>, Fence),
    /// The turn is over, and the settings that it may have changed are asked for.
    Probe(Accounts),
}

/// Where running leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Box<Running>),
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
    pub(crate) fn start(replies: Replies, shape: Shape) -> Box<Self> {
        Box::new(Self {
            replies,
            shape,
            phase: Phase::Relay,
            gone: false,
        })
    }

    fn stay(self: Box<Self>) -> Next {
        Next::Stay(self)
    }

    /// Whether the client's messages belong to what runs.
    pub(crate) fn takes_frames(&self) -> bool {
        matches!(self.phase, Phase::CopyIn(_))
    }

    pub(crate) fn handle(self: Box<Self>, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match input {
            Input::Upstream(buf) => self.relay(buf, talk, io),
            Input::Frame(frame) => self.copy_in(frame, talk, io),
            Input::Cancel => {
                io.effect(Effect::CancelUpstream);
                self.stay()
            }
            Input::ClientGone => self.client_gone(talk, io),
            Input::Terminate => {
                if talk.has_signed() {
                    io.effect(Effect::CancelUpstream);
                }
                self.client_gone(talk, io)
            }
            Input::UpstreamGone => self.upstream_gone(talk, io),
            _ => self.stay(),
        }
    }

    fn relay(mut self: Box<Self>, buf: &mut BytesMut, talk: &mut Talk, io: &mut Io) -> Next {
        let mut nowhere = BytesMut::new();
        loop {
            let out = if self.gone { &mut nowhere } else { &mut io.out };
            let relayed = match self.replies.relay(buf, out, &mut talk.told) {
                Ok(relayed) => relayed,
                Err(fault) => {
                    io.error(&fault);
                    return Next::Close(self.give_up(talk, io));
                }
            };
            nowhere.clear();
            for name in self.replies.heard.confirmed.drain(..) {
                talk.names.confirm(&name);
            }
            for (name, shape) in self.replies.heard.shapes.drain(..) {
                talk.names.describe(&name, shape);
            }
            match relayed {
                Relayed::CopyIn => match talk.portals.last_right() {
                    Some(right) if self.gone => {
                        no_more(right, io);
                        self.end_segment(talk, io);
                    }
                    Some(right) => self.phase = Phase::CopyIn(right),
                    None => return fail(&Fault::upstream_protocol(), talk, io),
                },
                Relayed::Failed => {
                    if matches!(self.phase, Phase::CopyIn(_)) {
                        self.phase = Phase::Relay;
                    }
                    if !self.send_withheld_sync(talk, io) {
                        self.end_own_segment(talk, io);
                    }
                }
                Relayed::Ready(status) => return self.ready(status, talk, io),
                Relayed::Fatal(fields) => {
                    return self.over(&Fault::of_server(*fields), talk, io);
                }
                Relayed::Waiting if self.replies.is_settled() => {
                    if !self.send_withheld_sync(talk, io) {
                        return self.flushed(talk, io);
                    }
                }
                Relayed::Waiting => return self.stay(),
            }
        }
    }

    fn copy_in(mut self: Box<Self>, frame: Frame, talk: &mut Talk, io: &mut Io) -> Next {
        let Phase::CopyIn(right) = self.phase else {
            return fail(&Fault::protocol("unexpected message"), talk, io);
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
                return self.stay();
            }
            Ok(Frontend::Terminate) => {
                self.phase = Phase::CopyIn(right);
                return self.client_gone(talk, io);
            }
            // The data will never be whole; the session ends as if its client had gone.
            Ok(_) => {
                io.error(&Fault::protocol("unexpected message during COPY from stdin").fatal());
                self.phase = Phase::CopyIn(right);
                return self.client_gone(talk, io);
            }
            Err(error) => {
                io.error(&Fault::malformed(&error));
                self.phase = Phase::CopyIn(right);
                return self.client_gone(talk, io);
            }
        };
        let over = !self.takes_frames();
        load::copy(right, more, io);
        if over && !self.end_own_segment(talk, io) && !self.replies.owes_ready() {
            // In a batch the server would keep its answer until the client's Sync, which is not read
            // before the answer is there.
            load::flush(io);
        }
        self.stay()
    }

    /// The client is gone. What people signed runs to its end, so that its outcome is known; a COPY
    /// that lost its client fails; anything else is of no use to anybody, and is cancelled: the server
    /// would run it to its end before it notices.
    fn client_gone(mut self: Box<Self>, talk: &mut Talk, io: &mut Io) -> Next {
        if !talk.has_signed() {
            io.effect(Effect::CancelUpstream);
            return Next::Close(self.give_up(talk, io));
        }
        if let Phase::CopyIn(right) = &self.phase {
            no_more(right.clone(), io);
            self.phase = Phase::Relay;
        }
        self.gone = true;
        if !self.replies.withholds_sync() {
            self.end_segment(talk, io);
        }
        self.stay()
    }

    /// No COPY IN came that could have swallowed the client's Sync: it goes up now.
    fn send_withheld_sync(&mut self, talk: &Talk, io: &mut Io) -> bool {
        let now = self.replies.take_withheld_sync();
        if now {
            let replies = std::mem::take(&mut self.replies);
            self.replies = load::end_segment_behind(replies, talk, io);
        }
        now
    }

    /// Ends the segment of what its client sent as a Query: no Sync will come for that.
    fn end_own_segment(&mut self, talk: &Talk, io: &mut Io) -> bool {
        let own = !matches!(self.shape, Shape::Batch(..));
        if own {
            self.end_segment(talk, io);
        }
        own
    }

    /// Sends the Sync that a client which is gone owed: without it the segment never ends.
    fn end_segment(&mut self, talk: &Talk, io: &mut Io) {
        if !self.replies.owes_ready() {
            let replies = std::mem::take(&mut self.replies);
            self.replies = load::end_segment_behind(replies, talk, io);
            self.shape = Shape::Query;
        }
    }

    fn upstream_gone(self: Box<Self>, talk: &mut Talk, io: &mut Io) -> Next {
        self.over(&Fault::upstream_lost(), talk, io)
    }

    /// The connection to the server is over. What people signed is in doubt, and that is what the
    /// client hears: a driver may retry by itself on what the server says (hazards R89).
    fn over(self: Box<Self>, fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
        let spent = talk.sent.iter().find_map(|it| it.spent.as_ref());
        if !self.gone {
            match spent {
                Some(spent) => io.error(&Fault::in_doubt(spent.ticket)),
                None => io.error(fault),
            }
        }
        Next::Close(self.give_up(talk, io))
    }

    /// The connection goes in the middle of something. What the turn came to before its settings were
    /// asked for is known.
    fn give_up(self: Box<Self>, talk: &mut Talk, io: &mut Io) -> Accounts {
        let known = match self.phase {
            Phase::Probe(accounts) => accounts,
            Phase::Relay | Phase::CopyIn(_) | Phase::Cleanup(..) => Accounts::default(),
        };
        known.then(break_off(talk, io))
    }

    /// A Flush was answered whole, or failed; or a COPY that the client is to end by its Sync.
    fn flushed(mut self: Box<Self>, talk: &mut Talk, io: &mut Io) -> Next {
        let mut heard = std::mem::take(&mut self.replies.heard);
        let failed = heard.failed();
        if let Some(fields) = heard.own_error.take() {
            io.error(&Fault::fence(&fields.message));
            heard.error = Some(format!("{}: {}", fields.sqlstate, fields.message));
        }
        self.say_unclaimed(&heard, talk, io);
        talk.answered(&heard);
        talk.heard = std::mem::take(&mut talk.heard).then(heard);
        if let Some(segment) = &mut talk.segment {
            segment.failed = failed;
        }
        if failed {
            talk.fail_rest();
            return Next::Skip;
        }
        Next::Idle
    }

    fn ready(mut self: Box<Self>, status: Status, talk: &mut Talk, io: &mut Io) -> Next {
        let later = std::mem::take(&mut self.replies.heard);
        let (heard, fence) = match std::mem::replace(&mut self.phase, Phase::Relay) {
            Phase::Cleanup(heard, fence) => (*heard, fence),
            Phase::Probe(accounts) => return self.probed(accounts, later, talk, io),
            Phase::Relay | Phase::CopyIn(_) => {
                let open = talk.segment.take();
                (later, open.map_or(Fence::None, |segment| segment.fence))
            }
        };
        let own_transaction = matches!(fence, Fence::Transaction | Fence::Look);
        if own_transaction && status != Status::Idle {
            self.replies = load::rollback(talk, io);
            self.phase = Phase::Cleanup(Box::new(heard), fence);
            return self.stay();
        }
        if let Some(fields) = &heard.own_error
            && heard.error.is_none()
            && !self.gone
        {
            io.error(&Fault::fence(&fields.message));
        }
        self.say_unclaimed(&heard, talk, io);
        talk.answered(&heard);
        let heard = std::mem::take(&mut talk.heard).then(heard);
        talk.remember(&heard);
        if heard.failed() {
            talk.fail_rest();
        }
        if fence == Fence::Look {
            return self.looked(heard.failed(), talk, io);
        }
        if status == Status::Idle && talk.alone() {
            talk.portals.end_transaction();
        } else if status == Status::Idle {
            talk.portals.clear();
        }
        let accounts = account::ready(status, &heard, talk);
        let touched = status == Status::Idle && talk.state.idle();
        if self.gone {
            let rest = hang_up(talk, io);
            return Next::Close(accounts.then(rest));
        }
        if touched && talk.mode != PoolMode::Session {
            self.replies = load::probe(io);
            self.phase = Phase::Probe(accounts);
            return self.stay();
        }
        Next::Account(accounts, self.shape)
    }

    /// The row of the ledger was refused, and with it what was signed.
    fn say_unclaimed(&self, heard: &Heard, talk: &Talk, io: &mut Io) {
        let spent = talk.sent.last().and_then(|it| it.spent.as_ref());
        if let (Some(fields), Some(spent), false) = (&heard.unclaimed, spent, self.gone) {
            io.error(&Fault::ledger(spent.ticket, fields));
        }
    }

    /// The settings are known; the connection may go to another session with them.
    fn probed(
        self: Box<Self>,
        accounts: Accounts,
        heard: Heard,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if heard.failed() {
            talk.state.soil(Disposition::Close);
        } else {
            talk.probed(heard.rows);
        }
        if self.gone {
            let rest = hang_up(talk, io);
            return Next::Close(accounts.then(rest));
        }
        Next::Account(accounts, self.shape)
    }

    /// A look is over. It ran in a transaction of its own, so it changes nothing but this: where it
    /// fails, a transaction that the client only began has failed.
    fn looked(self: Box<Self>, failed: bool, talk: &mut Talk, io: &mut Io) -> Next {
        if failed && matches!(talk.transaction, Transaction::Virtual(_)) {
            talk.transaction.fail();
        }
        if self.gone {
            return Next::Close(hang_up(talk, io));
        }
        if self.shape.syncs() {
            return Next::Account(Accounts::default(), self.shape);
        }
        // The client closed its look by a Flush; upstream it was whole, so its Sync is ours.
        talk.checkin_if_free(io);
        if failed { Next::Skip } else { Next::Idle }
    }
}

fn fail(fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
    io.error(&fault.clone().fatal());
    Next::Close(break_off(talk, io))
}

/// Nobody is there any more who could send the data of a COPY.
fn no_more(right: Right, io: &mut Io) {
    let reason = bytestring::ByteString::from_static("client connection lost");
    load::copy(right, More::CopyFail(reason), io);
}
