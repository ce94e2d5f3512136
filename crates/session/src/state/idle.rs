//! Idle: the client's messages gather here until one of them asks for something.

use bytes::BytesMut;
use bytestring::ByteString;
use gate::{Step, Work};
use wire::frame::Frame;
use wire::frontend::{Frontend, tag};

use crate::batch::Batch;
use crate::fault::Fault;
use crate::input::Input;
use crate::replies::{close_complete, relay_unasked};
use crate::shape::Close;
use crate::shape::{Labels, Rest, Shape};
use crate::state::job::{Accounts, Refused, finish, hang_up, refuse};
use crate::talk::{Io, Talk};

/// Batches that one segment may have before its Sync.
const SEGMENT_TURNS_MAX: usize = 100;

/// Nothing is asked and nothing is owed, but for an extended segment that may be open upstream.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    batch: Batch,
}

/// Where idling leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Idle),
    /// Something may run: it must be decided.
    Ask(Work, Shape),
    /// Nothing runs that was not released already: looks, and more of open portals.
    Proceed(Vec<Step>, Shape),
    /// The open segment ends.
    EndSegment,
    Refused(Refused, Shape),
    Close(Accounts),
}

impl Idle {
    pub(crate) fn handle(self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        match input {
            Input::Frame(frame) => self.frame(frame, talk, io),
            Input::Upstream(buf) => self.unasked(buf, talk, io),
            Input::UpstreamGone if talk.leased() => {
                io.error(&Fault::upstream_lost());
                Next::Close(hang_up(talk, io))
            }
            Input::ClientGone => Next::Close(hang_up(talk, io)),
            Input::Drain if !talk.transaction.is_open() && talk.segment.is_none() => {
                io.error(&Fault::shutdown(None));
                Next::Close(hang_up(talk, io))
            }
            // A cancel that comes when nothing runs is no error (PostgreSQL ignores it too), and
            // news of a ticket that nobody waits for any more is none either.
            _ => Next::Stay(self),
        }
    }

    /// What a server says by itself: notices, notifications, parameters, or a farewell.
    fn unasked(self, buf: &mut BytesMut, talk: &mut Talk, io: &mut Io) -> Next {
        match relay_unasked(buf, &mut io.out, &mut talk.told) {
            Ok(()) => Next::Stay(self),
            Err(fault) => {
                io.error(&fault);
                Next::Close(hang_up(talk, io))
            }
        }
    }

    fn frame(mut self, frame: Frame, talk: &mut Talk, io: &mut Io) -> Next {
        let bytes = frame.body.len();
        let message = match Frontend::decode(frame) {
            Ok(message) => message,
            Err(error) => {
                io.error(&Fault::malformed(&error));
                return Next::Close(hang_up(talk, io));
            }
        };
        match message {
            Frontend::Query(text) => self.query(text, talk, io),
            Frontend::Flush => self.close(Close::Flush, talk, io),
            Frontend::Sync => self.close(Close::Sync, talk, io),
            Frontend::Terminate => Next::Close(hang_up(talk, io)),
            // What is left of a COPY that the server ended (the manual, section 55.2.7).
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) => Next::Stay(self),
            Frontend::FunctionCall => {
                let refused = refuse(&Fault::function_call(), &Shape::Query, talk, io);
                Next::Refused(refused, Shape::Query)
            }
            Frontend::Password(_) => {
                io.error(&Fault::protocol("invalid frontend message type 112").fatal());
                Next::Close(hang_up(talk, io))
            }
            step => match self.batch.add(step, bytes, talk) {
                Ok(()) => Next::Stay(self),
                Err(fault) => self.refuse(fault, talk, io),
            },
        }
    }

    fn query(self, text: ByteString, talk: &mut Talk, io: &mut Io) -> Next {
        // A Query takes the place of the unnamed statement (the manual, section 55.2.3).
        let query = Work::Query(text);
        if self.batch.is_empty() && talk.segment.is_none() {
            talk.names.close("");
            return Next::Ask(query, Shape::Query);
        }
        // In the middle of a batch, as pgjdbc sends its savepoints: what came before it comes first.
        talk.rest.push(Rest::Ask(query, Shape::Query));
        self.close(Close::Flush, talk, io)
    }

    /// What was only looked at before the message that is refused is answered before the error.
    fn refuse(self, fault: Fault, talk: &mut Talk, io: &mut Io) -> Next {
        let looks = !self.batch.is_empty() && !gate::work::binds(&self.batch.steps);
        if looks && !fault.is_fatal() {
            talk.rest.push(Rest::Refuse(fault));
            return self.close(Close::Flush, talk, io);
        }
        let shape = Shape::Batch(Close::Flush, Labels::default());
        Next::Refused(refuse(&fault, &shape, talk, io), shape)
    }

    /// Whether the next message of the client says that what was gathered is to run now: data of a
    /// COPY that is in it.
    pub(crate) fn is_closed_by(&self, next: u8) -> bool {
        let copies = matches!(next, tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL);
        copies && gate::work::binds(&self.batch.steps)
    }

    fn close(mut self, close: Close, talk: &mut Talk, io: &mut Io) -> Next {
        if self.batch.steps.is_empty() {
            for _ in self.batch.closes.drain(..) {
                io.out.extend_from_slice(&close_complete());
            }
            return match close {
                Close::Flush => Next::Stay(self),
                Close::Sync if talk.segment.is_some() => Next::EndSegment,
                Close::Sync => {
                    let shape = Shape::Batch(close, Labels::default());
                    Next::Refused(finish(&shape, talk, io), shape)
                }
            };
        }
        let decide = gate::work::binds(&self.batch.steps);
        let refusal = if talk.sent.len() >= SEGMENT_TURNS_MAX {
            Some(Fault::segment_too_long(SEGMENT_TURNS_MAX))
        } else if decide && self.batch.fetches_older() {
            Some(Fault::fetch_beside_bind())
        } else {
            None
        };
        if let Some(fault) = refusal {
            let (shape, _) = self.batch.into_shape(close);
            return Next::Refused(refuse(&fault, &shape, talk, io), shape);
        }
        let (shape, steps) = self.batch.into_shape(close);
        if decide {
            Next::Ask(Work::Batch(steps), shape)
        } else {
            Next::Proceed(steps, shape)
        }
    }
}
