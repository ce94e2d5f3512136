//! The replies that an upstream owes, in order, and the relay that checks them off. Bytes that the
//! client is to see are copied as they are; what the gate asked for itself is dropped (hazards R27,
//! R32). A ReadyForQuery is never relayed: it is reported, and the state says what the client hears.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use gate::cargo::More;
use gate::{Cargo, Form, Look, Slot, Step, Work};
use wire::backend::{Status, decode, encode, tag};
use wire::fields::{Fields, Severity};

use crate::fault::Fault;
use crate::heard::{Heard, shape_of};
use crate::owed::{self, Owed, Whose};
use crate::told::Told;

/// The largest upstream message that is looked into or held back whole; rows pass in pieces.
const WHOLE_MESSAGE_MAX: usize = 64 * 1024 * 1024;

/// What the relay came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Relayed {
    /// Everything that was there is relayed; more is owed, or nothing is.
    Waiting,
    /// A ReadyForQuery came.
    Ready(Status),
    /// The server waits for COPY data.
    CopyIn,
    /// The server refused; the rest of the segment is skipped.
    Failed,
    /// The server ends the connection. Not relayed: the state knows what it means for what was
    /// signed, and the client hears of one end only (hazards R41, R89).
    Fatal(Box<Fields>),
}

/// The queue of owed replies of one upstream connection.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    owed: VecDeque<Owed>,
    pub(crate) heard: Heard,
    /// What is left of a row that is passing in pieces.
    passing: usize,
    /// A CommandComplete that waits for the commit behind it (hazards R82).
    held_back: BytesMut,
    hold_back: bool,
    /// The client's Sync was not sent: a COPY IN may come, and what became of a Sync that meets an
    /// error there nobody can tell.
    withheld_sync: bool,
    /// Names that statements have upstream, and those that the client gave them.
    names: Vec<(ByteString, ByteString)>,
}

/// What to do with one message.
enum Take {
    /// The client sees it.
    Show,
    /// The client does not.
    Hide,
    /// The client sees it once the segment's ReadyForQuery is here.
    HoldBack,
    /// A ReadyForQuery.
    End(Status),
    /// The client sees it, and a state must know.
    Stop(Relayed),
    /// The client does not see it, and a state must know.
    Tell(Relayed),
    /// The client sees this error instead of the server's own words.
    Say(Box<Fields>),
}

impl Replies {
    /// Whether nothing is owed.
    pub(crate) fn is_settled(&self) -> bool {
        self.owed.is_empty()
    }

    /// Whether a ReadyForQuery is still to come.
    pub(crate) fn owes_ready(&self) -> bool {
        let ends = |owed: &Owed| matches!(owed, Owed::Sync | Owed::Query(_));
        self.owed.iter().any(ends)
    }

    /// Notes what `cargo` will be answered with. Of a batch only the session knows all: see
    /// [`Replies::owe_steps`].
    pub(crate) fn owe(&mut self, cargo: &Cargo) {
        match cargo {
            Cargo::Released(released, form) => self.owe_work(&released.request().work, *form),
            Cargo::More(_, More::Execute { .. }) => self.push(Owed::Execute(Whose::Client)),
            Cargo::More(_, More::DescribePortal(_)) => {
                self.push(Owed::DescribePortal(Whose::Client));
            }
            Cargo::More(_, More::ClosePortal(_)) => self.push(Owed::Close(Whose::Client)),
            Cargo::More(_, More::CopyData(_) | More::CopyDone | More::CopyFail(_))
            | Cargo::Look(Look::Describe(..) | Look::Close(_))
            | Cargo::Batch(..)
            | Cargo::Flush => {}
            // One that the client did not ask for; of those that it did, see `owe_step`.
            Cargo::Look(Look::Parse(statement, slot)) => {
                for _ in &slot.close {
                    self.push(Owed::Close(Whose::Gate));
                }
                self.push(Owed::Parse(Whose::Gate, None));
                if slot.described {
                    self.push(Owed::Shape(statement.name.clone()));
                }
            }
            Cargo::Own(own) => self.owed.extend(owed::of_own(own)),
            Cargo::Sync => self.push(Owed::Sync),
        }
    }

    /// Notes one reply.
    pub(crate) fn push(&mut self, owed: Owed) {
        self.owed.push_back(owed);
    }

    /// The client's CommandComplete waits until the segment's ReadyForQuery.
    pub(crate) fn hold_back_completion(&mut self) {
        self.hold_back = true;
    }

    /// The client's Sync is not sent until it is known whether a COPY IN swallows it.
    pub(crate) fn withhold_sync(&mut self) {
        self.withheld_sync = true;
    }

    /// Whether a Sync waits until it is known whether it may go up.
    pub(crate) fn withholds_sync(&self) -> bool {
        self.withheld_sync
    }

    /// Whether a Sync was withheld that must be sent now: nothing else is owed, or all failed.
    pub(crate) fn take_withheld_sync(&mut self) -> bool {
        self.owed.is_empty() && std::mem::take(&mut self.withheld_sync)
    }

    fn owe_work(&mut self, work: &Work, form: Form) {
        match (work, form) {
            (Work::Query(_), Form::Query) => self.push(Owed::Query(Whose::Client)),
            (Work::Query(_), Form::Parse) => {
                self.push(Owed::Parse(Whose::Carried, None));
                self.push(Owed::Bind(Whose::Carried));
                self.push(Owed::DescribePortal(Whose::Carried));
                self.push(Owed::Execute(Whose::Client));
            }
            (Work::Batch(_), _) => {}
        }
    }

    /// Notes what one step of a batch will be answered with, and what its slot puts in front of it;
    /// `name` is the one that its Parse gives.
    pub(crate) fn owe_step(&mut self, step: &Step, slot: &Slot, name: Option<ByteString>) {
        for _ in &slot.close {
            self.push(Owed::Close(Whose::Gate));
        }
        if let Step::Bind { statement, .. } | Step::DescribeStatement(statement) = step
            && statement.name != slot.name
        {
            self.names.push((slot.name.clone(), statement.name.clone()));
        }
        if slot.carried {
            self.push(Owed::Parse(Whose::Carried, None));
        }
        self.push(match step {
            Step::Parse(_) => Owed::Parse(Whose::Client, name),
            Step::DescribeStatement(_) => Owed::DescribeStatement,
            Step::Bind { .. } => Owed::Bind(Whose::Client),
            Step::DescribePortal(_) => Owed::DescribePortal(Whose::Client),
            Step::Execute { .. } => Owed::Execute(Whose::Client),
            Step::ClosePortal(_) | Step::CloseStatement(_) => Owed::Close(Whose::Client),
        });
        if let Step::Parse(statement) = step
            && slot.described
        {
            self.push(Owed::Shape(statement.name.clone()));
        }
    }

    /// Relays what the upstream sent, up to the next thing that a state must know of.
    pub(crate) fn relay(
        &mut self,
        from: &mut BytesMut,
        out: &mut BytesMut,
        told: &mut Told,
    ) -> Result<Relayed, Fault> {
        let mut shown = 0;
        loop {
            if self.passing > 0 {
                let now = self.passing.min(from.len() - shown);
                self.passing -= now;
                shown += now;
            }
            if let Some(Owed::Say(_)) = self.owed.front() {
                flush(from, &mut shown, out);
                if let Some(Owed::Say(bytes)) = self.owed.pop_front() {
                    out.extend_from_slice(&bytes);
                }
                continue;
            }
            let rest = from.get(shown..).unwrap_or_default();
            let header = wire::frame::header(rest, usize::MAX).map_err(|_| lost())?;
            let Some(header) = header.filter(|_| self.passing == 0) else {
                flush(from, &mut shown, out);
                return Ok(Relayed::Waiting);
            };
            let row = matches!(header.tag, tag::DATA_ROW | tag::COPY_DATA);
            if rest.len() < header.total {
                if row && self.front_shows_rows() {
                    self.passing = header.total;
                    continue;
                }
                flush(from, &mut shown, out);
                return if header.total > WHOLE_MESSAGE_MAX {
                    Err(lost())
                } else {
                    Ok(Relayed::Waiting)
                };
            }
            let body = rest.get(5..header.total).unwrap_or_default();
            let mut take = self.take(header.tag, body, told)?;
            if header.tag == tag::NOTIFICATION {
                told.rename(from, shown);
            }
            if matches!(take, Take::Show) && !self.held_back.is_empty() {
                take = Take::HoldBack;
            }
            if matches!(take, Take::Show) {
                shown += header.total;
                continue;
            }
            if let Some(stop) = self.leave_out(take, header.total, from, &mut shown, out) {
                return Ok(stop);
            }
        }
    }

    /// Takes one message out of the run of bytes that the client sees.
    fn leave_out(
        &mut self,
        take: Take,
        total: usize,
        from: &mut BytesMut,
        shown: &mut usize,
        out: &mut BytesMut,
    ) -> Option<Relayed> {
        flush(from, shown, out);
        match take {
            Take::Stop(stop) => {
                pass(from, total, out);
                Some(stop)
            }
            Take::HoldBack => {
                pass(from, total, &mut self.held_back);
                None
            }
            Take::End(status) => {
                from.advance(total);
                let held_back = std::mem::take(&mut self.held_back);
                if !self.heard.failed() {
                    out.extend_from_slice(&held_back);
                }
                self.hold_back = false;
                Some(Relayed::Ready(status))
            }
            Take::Show | Take::Hide => {
                from.advance(total);
                None
            }
            Take::Tell(stop) => {
                from.advance(total);
                Some(stop)
            }
            Take::Say(fields) => {
                from.advance(total);
                encode::error_response(&fields, out);
                Some(Relayed::Failed)
            }
        }
    }

    fn front_shows_rows(&self) -> bool {
        matches!(
            self.owed.front(),
            Some(Owed::Execute(Whose::Client) | Owed::Query(Whose::Client))
        )
    }

    fn take(&mut self, kind: u8, body: &[u8], told: &mut Told) -> Result<Take, Fault> {
        match kind {
            tag::NOTICE | tag::NOTIFICATION => return Ok(Take::Show),
            tag::PARAMETER_STATUS => return parameter(body, told),
            tag::ERROR => return self.error(body),
            _ => {}
        }
        let Some(front) = self.owed.front() else {
            return Err(lost());
        };
        let whose = front.whose();
        let visible = if whose == Whose::Client {
            Take::Show
        } else {
            Take::Hide
        };
        if whose == Whose::Gate && kind == tag::DATA_ROW {
            let row = decode::data_row_values(body).map_err(|_| lost())?;
            self.heard.rows.push(row);
            return Ok(Take::Hide);
        }
        if let (Owed::Shape(_), tag::ROW_DESCRIPTION | tag::NO_DATA) = (front, kind) {
            if let Some(Owed::Shape(name)) = self.owed.pop_front() {
                self.heard.shapes.push((name, shape_of(body)));
            }
            return Ok(Take::Hide);
        }
        let (take, pop) = match (front, kind) {
            (Owed::Parse(..), tag::PARSE_COMPLETE)
            | (Owed::Bind(_), tag::BIND_COMPLETE)
            | (Owed::Close(_), tag::CLOSE_COMPLETE)
            | (Owed::DescribeStatement, tag::ROW_DESCRIPTION | tag::NO_DATA)
            | (Owed::DescribePortal(_), tag::NO_DATA)
            | (Owed::Execute(_), tag::EMPTY_QUERY | tag::PORTAL_SUSPENDED) => (visible, true),
            (Owed::DescribePortal(_), tag::ROW_DESCRIPTION) => (Take::Show, true),
            (Owed::DescribeStatement | Owed::Shape(_), tag::PARAMETER_DESCRIPTION)
            | (Owed::Query(_), tag::ROW_DESCRIPTION | tag::EMPTY_QUERY)
            | (
                Owed::Execute(_) | Owed::Query(_),
                tag::DATA_ROW | tag::COPY_OUT | tag::COPY_DATA | tag::COPY_DONE,
            ) => (visible, false),
            (Owed::Execute(_), tag::COMMAND_COMPLETE) => (self.complete(body, whose), true),
            (Owed::Query(_), tag::COMMAND_COMPLETE) => (self.complete(body, whose), false),
            (Owed::Execute(Whose::Client) | Owed::Query(Whose::Client), tag::COPY_IN) => {
                // A server that copies in swallows the Sync that the client has sent already
                // (hazards V21); the client sends another behind its data.
                self.withheld_sync = false;
                if matches!(self.owed.back(), Some(Owed::Sync)) && self.owed.len() == 2 {
                    self.owed.truncate(1);
                }
                (Take::Stop(Relayed::CopyIn), false)
            }
            (Owed::Query(_) | Owed::Sync, tag::READY) => (
                Take::End(decode::ready_status(body).map_err(|_| lost())?),
                true,
            ),
            _ => return Err(lost()),
        };
        if pop && let Some(Owed::Parse(_, Some(name))) = self.owed.pop_front() {
            self.heard.prepared_since.push(name.clone());
            self.heard.confirmed.push(name);
        }
        Ok(take)
    }

    fn complete(&mut self, body: &[u8], whose: Whose) -> Take {
        if whose != Whose::Client {
            return Take::Hide;
        }
        if let Ok(text) = decode::command_tag(body) {
            if text == "DEALLOCATE ALL" {
                self.heard.prepared_since.clear();
            }
            self.heard.tags.push(Arc::from(text));
        }
        if self.hold_back {
            Take::HoldBack
        } else {
            Take::Show
        }
    }

    fn error(&mut self, body: &[u8]) -> Result<Take, Fault> {
        let fields = decode::fields(body).map_err(|_| lost())?;
        if matches!(fields.severity, Severity::Fatal | Severity::Panic) {
            return Ok(Take::Tell(Relayed::Fatal(Box::new(fields))));
        }
        let Some(front) = self.owed.front() else {
            return Err(lost());
        };
        let whose = front.whose();
        if !matches!(self.owed.front(), Some(Owed::Query(_))) {
            while self.owed.front().is_some_and(|owed| *owed != Owed::Sync) {
                self.owed.pop_front();
            }
        }
        self.held_back.clear();
        let own = match whose {
            Whose::Gate => Some(&mut self.heard.own_error),
            Whose::Ledger => Some(&mut self.heard.unclaimed),
            Whose::Client | Whose::Carried => None,
        };
        if let Some(own) = own {
            *own = Some(Box::new(fields));
            return Ok(Take::Tell(Relayed::Failed));
        }
        self.heard.error = Some(format!("{}: {}", fields.sqlstate, fields.message));
        match self.in_clients_words(fields) {
            Some(fields) => Ok(Take::Say(Box::new(fields))),
            None => Ok(Take::Stop(Relayed::Failed)),
        }
    }

    /// An error that names a statement as it is called upstream names it as its client does.
    fn in_clients_words(&mut self, mut fields: Fields) -> Option<Fields> {
        let names = std::mem::take(&mut self.names);
        let (upstream, own) = names
            .into_iter()
            .find(|(upstream, _)| fields.message.contains(&**upstream))?;
        fields.message = fields.message.replace(&*upstream, &own);
        Some(fields)
    }
}

/// An upstream that says what the protocol does not allow cannot be followed any further.
fn lost() -> Fault {
    Fault::upstream_protocol()
}

fn flush(from: &mut BytesMut, shown: &mut usize, out: &mut BytesMut) {
    pass(from, std::mem::take(shown), out);
}

/// Copies the first bytes and consumes them. Not split off: that would make a shared buffer of the inbox, which costs memory.
fn pass(from: &mut BytesMut, bytes: usize, out: &mut BytesMut) {
    let passed = from.get(..bytes).unwrap_or_default();
    out.extend_from_slice(passed);
    from.advance(passed.len());
}

/// The client hears of a parameter only when it changed for it; connections change behind it.
fn parameter(body: &[u8], told: &mut Told) -> Result<Take, Fault> {
    let (name, value) = decode::parameter_status(body).map_err(|_| lost())?;
    Ok(if told.is_news(&name, &value) {
        Take::Show
    } else {
        Take::Hide
    })
}

/// Messages that an upstream may send at any time, to a session that asked for nothing: notices,
/// notifications, parameters. Anything else is a farewell, or cannot be followed.
pub(crate) fn relay_unasked(
    from: &mut BytesMut,
    out: &mut BytesMut,
    told: &mut Told,
) -> Result<(), Fault> {
    match Replies::default().relay(from, out, told)? {
        Relayed::Waiting => Ok(()),
        Relayed::Fatal(fields) => Err(Fault::of_server(*fields)),
        Relayed::Ready(_) | Relayed::CopyIn | Relayed::Failed => Err(lost()),
    }
}

/// What one CloseComplete looks like; said by the gate for statements, which are its own names.
pub(crate) fn close_complete() -> Bytes {
    let mut out = BytesMut::new();
    encode::close_complete(&mut out);
    out.freeze()
}
