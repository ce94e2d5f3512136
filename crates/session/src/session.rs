//! One session: the loop that feeds its state, and [`step`], the whole diagram on one screen.

mod figures;
mod outside;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use gate::{Entry, Principal, TenantId, Work};
use wire::frame::AUTH_LENGTH_MAX;
use wire::startup::Startup;

use crate::ahead::{flush, says_goodbye};
use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::Input;
use crate::shape::{Close, Labels, Rest, Shape};
use crate::state::asking::{self, Asking};
use crate::state::console::{self, Console};
use crate::state::held::{self, Held};
use crate::state::idle::{self, Idle};
use crate::state::job::{Accounts, Refused, hang_up, refuse};
use crate::state::load;
use crate::state::login::{self, Login};
use crate::state::releasing::{self, Releasing};
use crate::state::running::{self, Running};
use crate::state::settling::{self, Settling, Then};
use crate::state::skipping::{self, Skipping};
use crate::state::unwinding::{self, Unwinding};
use crate::talk::{Io, Limits, Peer, Talk};

/// The state machine of one client connection. It is driven by [`Session::handle`]; after each call
/// carry out [`Session::next_effect`] until there is none, and send [`Session::output`].
#[derive(Debug)]
pub struct Session {
    io: Io,
    phase: Phase,
    draining: bool,
    terminated: bool,
    bytes_max: usize,
    ahead_bytes_max: usize,
}

#[derive(Debug)]
enum Phase {
    Login(Box<Login>),
    Console(Console, Arc<Principal>),
    Talk(Box<Talk>, State),
    Closed,
}

#[derive(Debug)]
enum State {
    Idle(Idle),
    Asking(Box<Asking>),
    Held(Box<Held>),
    Releasing(Box<Releasing>),
    Running(Box<Running>),
    Settling(Box<Settling>),
    Skipping(Skipping),
    Unwinding(Box<Unwinding>),
    Closed,
}

impl Session {
    /// Starts with a startup packet; `nonce` is random and good for one login.
    pub fn start(
        startup: &Startup,
        peer: Peer,
        nonce: [u8; 18],
        limits: Arc<Limits>,
        now: Instant,
    ) -> Self {
        let mut io = Io::default();
        let (bytes_max, ahead_bytes_max) = (limits.request_bytes_max, limits.ahead_bytes_max);
        let phase = match Login::start(startup, peer, nonce, limits, now, &mut io) {
            login::Next::Stay(login) => Phase::Login(login),
            login::Next::Talk(_) | login::Next::Console(_) | login::Next::Close => {
                io.effect(Effect::Close);
                Phase::Closed
            }
        };
        Self {
            io,
            phase,
            draining: false,
            terminated: false,
            bytes_max,
            ahead_bytes_max,
        }
    }

    /// Tells the session that something happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.draining |= matches!(input, Input::Drain);
        match input {
            Input::ClientBytes => {}
            Input::Terminate => self.terminate(now, &Fault::shutdown(self.waits_for())),
            Input::Dismiss(fault) => self.terminate(now, &fault),
            Input::Regrouped(principal) => self.regroup(principal),
            Input::Moved(admission) => self.moved(&admission),
            input => self.step(now, input),
        }
        while self.takes_frames() {
            let frame_max = self.frame_max();
            if self.closes_batch() {
                self.step(now, Input::Frame(flush()));
                continue;
            }
            match wire::frame::take(&mut self.io.inbox, frame_max) {
                Ok(Some(frame)) => self.step(now, Input::Frame(frame)),
                Ok(None) => break,
                Err(error) => {
                    let fault = if matches!(self.phase, Phase::Login(_)) {
                        Fault::malformed(&error)
                    } else {
                        Fault::unreadable(&error, frame_max)
                    };
                    self.io.error(&fault);
                    self.step(now, Input::ClientGone);
                }
            }
        }
        let held = matches!(self.phase, Phase::Talk(_, State::Held(_)));
        if held && says_goodbye(&self.io.inbox) {
            self.step(now, Input::ClientGone);
        }
        let waits = matches!(
            self.phase,
            Phase::Talk(_, State::Idle(_) | State::Held(_)) | Phase::Console(..)
        );
        if self.draining && waits {
            self.step(now, Input::Drain);
        }
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.io.effects.pop_front()
    }

    /// What the client is to be sent.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.io.out
    }

    /// Gives back the room of what is empty: for a session that lies idle.
    pub fn release(&mut self) {
        if self.io.effects.is_empty() {
            self.io.effects = VecDeque::new();
        }
    }

    /// Where the driver puts what the client sends.
    pub fn inbox(&mut self) -> &mut BytesMut {
        &mut self.io.inbox
    }

    /// Whether more may be read from the client now: while it waits, only so much ahead (R55, R57).
    pub fn wants_client(&self) -> bool {
        self.takes_frames() || self.io.inbox.len() < self.ahead_bytes_max
    }

    /// How many bytes wait here: unread, unsent, or in a request that waits for people or a connection.
    pub fn waiting(&self) -> usize {
        let request = match &self.phase {
            Phase::Talk(_, State::Held(held)) => held.bytes(),
            Phase::Talk(_, State::Releasing(releasing)) => releasing.bytes(),
            Phase::Talk(_, State::Asking(asking)) => asking.bytes(),
            _ => 0,
        };
        self.io.inbox.len() + self.io.out.len() + request
    }

    /// When to send `Input::Tick` at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Login(login) => Some(login.deadline()),
            Phase::Talk(_, State::Held(held)) => Some(held.deadline()),
            _ => None,
        }
    }

    /// What the session does now, in pgbouncer's words where it has one.
    pub fn state(&self) -> &'static str {
        match &self.phase {
            Phase::Login(_) => "login",
            Phase::Console(..) => "console",
            Phase::Closed => "closed",
            Phase::Talk(_, state) => state.name(),
        }
    }

    /// Who is at the other end, where that is known.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        match &self.phase {
            Phase::Console(_, principal) => Some(principal),
            Phase::Talk(talk, _) => Some(&talk.principal),
            Phase::Login(_) | Phase::Closed => None,
        }
    }

    /// The tenant that it talks to.
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.phase {
            Phase::Talk(talk, _) => Some(&talk.tenant),
            _ => None,
        }
    }

    /// The ticket that it waits for.
    pub fn waits_for(&self) -> Option<gate::TicketId> {
        match &self.phase {
            Phase::Talk(_, State::Held(held)) => Some(held.ticket()),
            _ => None,
        }
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the next message belongs to a COPY whose batch no Sync or Flush has closed yet.
    fn closes_batch(&self) -> bool {
        match (&self.phase, self.io.inbox.first()) {
            (Phase::Talk(_, State::Idle(idle)), Some(next)) => idle.is_closed_by(*next),
            _ => false,
        }
    }

    fn frame_max(&self) -> usize {
        if matches!(self.phase, Phase::Login(_)) {
            AUTH_LENGTH_MAX
        } else {
            self.bytes_max
        }
    }

    fn takes_frames(&self) -> bool {
        match &self.phase {
            Phase::Login(login) => login.takes_frames(),
            Phase::Console(console, _) => console.takes_frames(),
            Phase::Talk(_, State::Idle(_) | State::Skipping(_)) => true,
            Phase::Talk(_, State::Running(running)) => running.takes_frames(),
            Phase::Talk(..) | Phase::Closed => false,
        }
    }

    fn step(&mut self, now: Instant, input: Input<'_>) {
        let io = &mut self.io;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Login(login) => match login.handle(now, input, io) {
                login::Next::Stay(login) => Phase::Login(login),
                login::Next::Talk(talk) => {
                    io.effect(Effect::Note(entered(&talk)));
                    Phase::Talk(talk, State::Idle(Idle::default()))
                }
                login::Next::Console(principal) => Phase::Console(Console::default(), principal),
                login::Next::Close => Phase::Closed,
            },
            Phase::Console(console, principal) => match console.handle(input, io) {
                console::Next::Stay(console) => Phase::Console(console, principal),
                console::Next::Close => Phase::Closed,
            },
            Phase::Talk(mut talk, state) => {
                let state = step(now, state, input, &mut talk, io);
                match resume(state, &mut talk, io) {
                    State::Closed => {
                        io.effects.extend(talk.ours.end());
                        Phase::Closed
                    }
                    state => Phase::Talk(talk, state),
                }
            }
            Phase::Closed => return,
        };
        if self.is_closed() {
            self.io.inbox.clear();
            self.io.effect(Effect::Close);
        }
    }
}

/// The diagram: which state each state's answer leads to.
fn step(now: Instant, state: State, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> State {
    match state {
        State::Idle(idle) => match idle.handle(input, talk, io) {
            idle::Next::Stay(idle) => State::Idle(idle),
            idle::Next::Ask(work, shape) => State::Asking(Box::new(Asking::start(work, shape, io))),
            idle::Next::Proceed(steps, shape) => proceed(steps, shape, talk, io),
            idle::Next::EndSegment => end_segment(talk, io),
            idle::Next::Refused(refused, shape) => refused_to(refused, shape, talk, io),
            idle::Next::Close(accounts) => settle(accounts, Then::Close, talk, io),
        },
        State::Asking(asking) => match asking.handle(input, talk, io) {
            asking::Next::Stay(asking) => State::Asking(asking),
            asking::Next::Hold(ticket, request, shape) => {
                let held = Held::start(ticket, request, shape, now, talk, io);
                State::Held(Box::new(held))
            }
            asking::Next::Release(clearance, shape) => claim(clearance, None, shape, talk, io),
            asking::Next::Ask(work, shape) => {
                State::Asking(Box::new(Asking::start(work, shape, io)))
            }
            asking::Next::Proceed(steps, shape) => proceed(steps, shape, talk, io),
            asking::Next::Refused(refused, shape) => refused_to(refused, shape, talk, io),
            asking::Next::Close(accounts) => settle(accounts, Then::Close, talk, io),
        },
        State::Held(held) => match held.handle(now, input, talk, io) {
            held::Next::Stay(held) => State::Held(Box::new(held)),
            held::Next::Release(clearance, shape) => {
                let waits = clearance.ticket();
                claim(clearance, waits, shape, talk, io)
            }
            held::Next::Refused(refused, shape) => refused_to(refused, shape, talk, io),
            held::Next::RollBack(shape) => {
                State::Unwinding(Box::new(Unwinding::budget(shape, talk, io)))
            }
            held::Next::Close(accounts) => settle(accounts, Then::Close, talk, io),
        },
        State::Releasing(releasing) => {
            let next = releasing.handle(input, talk, io);
            released(next, talk, io)
        }
        State::Running(running) => match running.handle(input, talk, io) {
            running::Next::Stay(running) => State::Running(running),
            running::Next::Account(accounts, shape) => {
                settle(accounts, Then::Finish(shape), talk, io)
            }
            running::Next::Idle => State::Idle(Idle::default()),
            running::Next::Skip => State::Skipping(Skipping),
            running::Next::Close(accounts) => settle(accounts, Then::Close, talk, io),
        },
        State::Settling(settling) => {
            let next = settling.handle(&input, talk, io);
            settled(next, talk, io)
        }
        State::Skipping(skipping) => match skipping.handle(input, talk, io) {
            skipping::Next::Stay(skipping) => State::Skipping(skipping),
            skipping::Next::Idle => State::Idle(Idle::default()),
            skipping::Next::EndSegment => end_segment(talk, io),
            skipping::Next::Close(accounts) => settle(accounts, Then::Close, talk, io),
        },
        State::Unwinding(unwinding) => match unwinding.handle(input, talk, io) {
            unwinding::Next::Stay(unwinding) => State::Unwinding(unwinding),
            unwinding::Next::Account(accounts, shape) => {
                settle(accounts, Then::Finish(shape), talk, io)
            }
            unwinding::Next::Close(accounts) => settle(accounts, Then::Close, talk, io),
        },
        State::Closed => State::Closed,
    }
}

fn claim(
    clearance: gate::Clearance,
    waits: Option<gate::TicketId>,
    shape: Shape,
    talk: &mut Talk,
    io: &mut Io,
) -> State {
    let next = Releasing::claim(clearance, waits, shape, talk, io);
    released(next, talk, io)
}

fn proceed(steps: Vec<gate::Step>, shape: Shape, talk: &mut Talk, io: &mut Io) -> State {
    let next = Releasing::proceed(steps, shape, talk, io);
    released(next, talk, io)
}

fn released(next: releasing::Next, talk: &mut Talk, io: &mut Io) -> State {
    match next {
        releasing::Next::Stay(releasing) => State::Releasing(releasing),
        releasing::Next::Run(running) => State::Running(running),
        releasing::Next::AskAgain(request, shape) => {
            State::Asking(Box::new(Asking::again(request, shape, io)))
        }
        releasing::Next::Refused(refused, shape) => refused_to(refused, shape, talk, io),
        releasing::Next::PutBack(accounts, fault, shape) => {
            settle(accounts, Then::Refuse(*fault, shape), talk, io)
        }
        releasing::Next::Close(accounts) => settle(accounts, Then::Close, talk, io),
    }
}

fn refused_to(refused: Refused, shape: Shape, talk: &mut Talk, io: &mut Io) -> State {
    match refused {
        Refused::Idle => State::Idle(Idle::default()),
        Refused::Skip => State::Skipping(Skipping),
        Refused::Unwind => State::Unwinding(Box::new(Unwinding::refused(shape, talk, io))),
        Refused::Close => {
            let accounts = hang_up(talk, io);
            settle(accounts, Then::Close, talk, io)
        }
    }
}

fn end_segment(talk: &mut Talk, io: &mut Io) -> State {
    let shape = Shape::Batch(Close::Sync, Labels::default());
    State::Running(Running::start(load::end_segment(talk, io), shape))
}

/// What came before it is answered: what is left of the client's messages is asked for next.
fn resume(state: State, talk: &mut Talk, io: &mut Io) -> State {
    if !matches!(state, State::Idle(_) | State::Skipping(_)) {
        return state;
    }
    let Some(rest) = talk.rest.pop() else {
        return state;
    };
    let (work, shape) = match (&state, rest) {
        (State::Idle(_), Rest::Refuse(fault)) => {
            let shape = Shape::Batch(Close::Flush, Labels::default());
            let refused = refuse(&fault, &shape, talk, io);
            return refused_to(refused, shape, talk, io);
        }
        (_, Rest::Refuse(_)) => return state,
        (_, Rest::Ask(work, shape)) => (work, shape),
    };
    match (state, work, shape) {
        // A Query in the middle of a segment: in a transaction its end changes nothing. Elsewhere it
        // would share the fate of what is in it.
        (State::Idle(_), Work::Query(_), _)
            if talk.segment.is_some() && !talk.transaction.has_upstream() =>
        {
            io.error(&Fault::protocol("expected a Sync before a Query").fatal());
            let accounts = hang_up(talk, io);
            settle(accounts, Then::Close, talk, io)
        }
        (State::Idle(_), work @ Work::Query(_), shape) if talk.segment.is_some() => {
            talk.rest.push(Rest::Ask(work, shape));
            let replies = load::end_segment(talk, io);
            State::Running(Running::start(replies, Shape::Part))
        }
        (State::Idle(_), Work::Batch(steps), shape) if !gate::work::binds(&steps) => {
            proceed(steps, shape, talk, io)
        }
        (State::Idle(_), work, shape) => State::Asking(Box::new(Asking::start(work, shape, io))),
        // It failed, and the Sync that ends it was read with it.
        (_, _, Shape::Batch(Close::Sync, _)) if talk.segment.is_some() => end_segment(talk, io),
        (_, _, Shape::Batch(Close::Sync, _)) => {
            io.ready(talk.status());
            State::Idle(Idle::default())
        }
        (state, _, _) => state,
    }
}

fn settle(accounts: Accounts, then: Then, talk: &mut Talk, io: &mut Io) -> State {
    let next = Settling::start(accounts, then, talk, io);
    settled(next, talk, io)
}

fn settled(next: settling::Next, talk: &mut Talk, io: &mut Io) -> State {
    match next {
        settling::Next::Stay(settling) => State::Settling(Box::new(settling)),
        settling::Next::Finished(refused, shape) => refused_to(refused, shape, talk, io),
        settling::Next::Close => {
            talk.release_lease(io);
            State::Closed
        }
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Idle(_) => "idle",
            Self::Asking(_) => "asking",
            Self::Held(_) => "held",
            Self::Releasing(_) => "waiting",
            Self::Running(_) => "active",
            Self::Settling(_) => "settling",
            Self::Skipping(_) => "skipping",
            Self::Unwinding(_) => "unwinding",
            Self::Closed => "closed",
        }
    }
}

fn entered(talk: &Talk) -> Entry {
    Entry::Login {
        session: talk.peer.session,
        principal: talk.principal.id.clone(),
        tenant: talk.tenant.clone(),
        client: Arc::clone(&talk.peer.client),
    }
}
