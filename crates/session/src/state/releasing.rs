//! Releasing: checkout, context, claim, intent, send, in this order (DESIGN ruling 1). Up to the
//! claim nothing is spent, up to the send nothing of the requester's has reached the server.

use std::sync::Arc;

use bytes::BytesMut;
use gate::audit::End;
use gate::cargo::Begin;
use gate::tickets::StoreError;
use gate::{
    Authority, Cargo, Clearance, Disposition, Entry, Event, NotClaimed, Outcome, Own, Released,
    Request, Step, TicketId,
};

use crate::effect::{Checkout, Effect, Settlement};
use crate::fault::Fault;
use crate::input::Input;
use crate::lent::Lent;
use crate::limit::limit;
use crate::mode::PoolMode;
use crate::replies::{Relayed, Replies};
use crate::shape::Shape;
use crate::state::job::{Accounts, Refused, hang_up, refuse};
use crate::state::load::{can_be_looked_at, fits, send, send_steps};
use crate::state::running::Running;
use crate::state::what::What;
use crate::talk::{Io, Talk};
use crate::transaction::Transaction;

/// A request on its way up.
#[derive(Debug)]
pub(crate) struct Releasing {
    turn: Turn,
    phase: Phase,
}

/// What stays the same on the way.
#[derive(Debug)]
struct Turn {
    shape: Shape,
    /// The ticket that the session was told it waits for; it leaves at the claim.
    waits: Option<TicketId>,
    /// The BEGIN that was sent for this turn.
    began: Option<Begin>,
    cancelled: bool,
    gone: bool,
    /// The upstream connection is gone.
    lost: bool,
}

#[derive(Debug)]
enum Phase {
    Checkout(What),
    /// Also: whether settings are put on the connection.
    Context(What, Box<Replies>, bool),
    Claim {
        request: Arc<Request>,
        fenced: bool,
    },
    Intent {
        released: Released,
        fenced: bool,
        number: u64,
    },
}

/// Where releasing leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Box<Releasing>),
    /// It is sent.
    Run(Box<Running>),
    /// Another session was quicker: ask again.
    AskAgain(Arc<Request>, Shape),
    Refused(Refused, Shape),
    /// Nothing was sent: what was spent goes back first, and then the turn is refused.
    PutBack(Accounts, Box<Fault>, Shape),
    Close(Accounts),
}

impl Releasing {
    /// Starts with what a rule or people cleared.
    pub(crate) fn claim(
        clearance: Clearance,
        waits: Option<TicketId>,
        shape: Shape,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        Self::start(What::Claim(clearance), waits, shape, talk, io)
    }

    /// Starts with a batch in which nothing is bound.
    pub(crate) fn proceed(steps: Vec<Step>, shape: Shape, talk: &mut Talk, io: &mut Io) -> Next {
        if talk.transaction.has_failed() && !talk.transaction.has_upstream() {
            let refused = refuse(&Fault::failed_transaction(), &shape, talk, io);
            return Next::Refused(refused, shape);
        }
        Self::start(What::Steps(steps), None, shape, talk, io)
    }

    /// How many bytes wait with it.
    pub(crate) fn bytes(&self) -> usize {
        match &self.phase {
            Phase::Checkout(what) | Phase::Context(what, ..) => match what {
                What::Claim(clearance) => clearance.request().work.bytes(),
                What::Steps(steps) => gate::work::bytes(steps),
            },
            Phase::Claim { request, .. } => request.work.bytes(),
            Phase::Intent { released, .. } => released.request().work.bytes(),
        }
    }

    fn start(
        what: What,
        waits: Option<TicketId>,
        shape: Shape,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        let turn = Turn {
            shape,
            waits,
            began: None,
            cancelled: false,
            gone: false,
            lost: false,
        };
        if talk.leased() {
            return turn.leased(what, talk, io);
        }
        let alone = talk.mode == PoolMode::Session;
        io.effect(Effect::Checkout(Checkout {
            lane: what.lane(talk),
            login: alone.then(|| Arc::clone(&talk.login)),
            reads: what.read(talk),
        }));
        turn.stay(Phase::Checkout(what))
    }

    pub(crate) fn handle(self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        let Self { mut turn, phase } = self;
        match (input, phase) {
            (Input::Leased(Ok(leased)), Phase::Checkout(what)) => {
                talk.told.served_by(leased.pid);
                talk.lent = Some(Lent {
                    surface: leased.surface,
                    lane: what.lane(talk),
                    limited: None,
                });
                turn.leased(what, talk, io)
            }
            (Input::Leased(Err(fault)), Phase::Checkout(_)) => turn.stop(&fault, talk, io),
            (Input::Upstream(buf), Phase::Context(what, replies, sets)) => {
                turn.context(what, (*replies, sets), buf, talk, io)
            }
            (Input::UpstreamGone, Phase::Context(..)) => {
                let tenant = talk.tenant.to_string();
                turn.lose(&Fault::no_upstream(&tenant), talk, io)
            }
            (Input::Claimed(Ok(released)), Phase::Claim { fenced, .. }) => {
                turn.claimed(released, fenced, talk, io)
            }
            (Input::Claimed(Err(refused)), Phase::Claim { request, .. }) => {
                turn.not_claimed(&refused, request, talk, io)
            }
            (
                Input::Written(Ok(())),
                Phase::Intent {
                    released,
                    fenced,
                    number,
                },
            ) => turn.intended(released, fenced, number, talk, io),
            (
                Input::Written(Err(why)),
                Phase::Intent {
                    released, number, ..
                },
            ) => turn.put_back(&released, number, Fault::journal_down(why), talk, io),
            // In every phase: heard, and acted on at the next step.
            (input, phase) => {
                turn.cancelled |= matches!(input, Input::Cancel);
                turn.gone |= matches!(input, Input::ClientGone);
                turn.lost |= talk.leased() && matches!(input, Input::UpstreamGone);
                turn.stay(phase)
            }
        }
    }
}

impl Turn {
    fn stay(self, phase: Phase) -> Next {
        Next::Stay(Box::new(Releasing { turn: self, phase }))
    }

    /// The connection is there: what must be on it before anything runs?
    fn leased(mut self, what: What, talk: &mut Talk, io: &mut Io) -> Next {
        let mut cargo = Vec::new();
        if self.gone || self.cancelled {
            return self.ready(what, talk, io);
        }
        cargo.extend(talk.context().map(Cargo::Own));
        let sets = !cargo.is_empty();
        cargo.extend(match &what {
            What::Claim(clearance) => {
                let request = clearance.request();
                talk.fetch(request.work.steps(), Some(request))
            }
            What::Steps(steps) => talk.fetch(steps, None),
        });
        if let (Transaction::Virtual(begin), What::Claim(_)) = (&talk.transaction, &what) {
            self.began = Some(*begin);
        }
        let limits = limit(what.time_outs(), self.began.is_some(), talk);
        let begin = self.began.map(Own::Begin);
        cargo.extend(
            limits
                .back
                .into_iter()
                .chain(begin)
                .chain(limits.on)
                .map(Cargo::Own),
        );
        if cargo.is_empty() {
            return self.ready(what, talk, io);
        }
        let mut replies = Replies::default();
        for it in &cargo {
            replies.owe(it);
        }
        io.effect(Effect::Load(cargo));
        self.stay(Phase::Context(what, Box::new(replies), sets))
    }

    /// Hears the answers to the context.
    fn context(
        self,
        what: What,
        (mut replies, sets): (Replies, bool),
        buf: &mut BytesMut,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        while !replies.is_settled() {
            match replies.relay(buf, &mut io.out, &mut talk.told) {
                Ok(Relayed::Waiting) => {
                    return self.stay(Phase::Context(what, Box::new(replies), sets));
                }
                Ok(Relayed::Fatal(_)) => {
                    let tenant = talk.tenant.to_string();
                    return self.lose(&Fault::no_upstream(&tenant), talk, io);
                }
                Ok(Relayed::Ready(_) | Relayed::Failed | Relayed::CopyIn) => {}
                Err(fault) => return self.lose(&fault, talk, io),
            }
        }
        if self.began.is_some() {
            talk.transaction.begun();
        }
        let heard = replies.heard;
        if let Some(lent) = &mut talk.lent {
            lent.surface.shelf.settle(heard.failed());
        }
        match heard.own_error {
            Some(error) if sets => self.lose(&Fault::settings(&error.message), talk, io),
            Some(error) => self.stop(&Fault::of_server(*error), talk, io),
            None if talk.is_as_told(&heard.shapes) => self.ready(what, talk, io),
            None => self.stop(&Fault::changed_result(), talk, io),
        }
    }

    /// The context stands. A cancel, or a client that left, is heard here for the last time before
    /// something is spent.
    fn ready(mut self, what: What, talk: &mut Talk, io: &mut Io) -> Next {
        if self.gone || self.cancelled {
            let ticket = match what {
                What::Claim(clearance) => clearance.ticket(),
                What::Steps(_) => None,
            };
            let withdrawn = ticket.filter(|it| self.waits == Some(*it));
            return self.stop(&Fault::cancelled(withdrawn), talk, io);
        }
        match &what {
            What::Claim(clearance)
                if !fits(clearance.request(), clearance.fenced(), talk)
                    || !what.suits(talk.lent.as_ref()) =>
            {
                return self.stop(&Fault::mixed_segment(), talk, io);
            }
            What::Steps(steps) if !can_be_looked_at(steps, talk) => {
                return self.stop(&Fault::look_in_segment(), talk, io);
            }
            _ => self.leave(false, io),
        }
        match what {
            What::Claim(clearance) => {
                let (request, fenced) = (Arc::clone(clearance.request()), clearance.fenced());
                io.effect(Effect::Claim(clearance));
                self.stay(Phase::Claim { request, fenced })
            }
            What::Steps(steps) => {
                let replies = send_steps(&steps, &self.shape, talk, io);
                Next::Run(Running::start(replies, self.shape))
            }
        }
    }

    fn claimed(self, released: Released, fenced: bool, talk: &mut Talk, io: &mut Io) -> Next {
        talk.intents += 1;
        let number = talk.intents;
        let session = talk.peer.session;
        let entry = Entry::intent(session, number, released.request(), released.authority());
        if matches!(released.authority(), Authority::Signed { .. }) {
            io.effect(Effect::Write(entry));
            return self.stay(Phase::Intent {
                released,
                fenced,
                number,
            });
        }
        io.effect(Effect::Note(entry));
        self.intended(released, fenced, number, talk, io)
    }

    /// Nothing is spent. A ticket that another session was quicker with is asked for again.
    fn not_claimed(
        self,
        refused: &NotClaimed,
        request: Arc<Request>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if self.lost {
            return self.stop(&Fault::upstream_lost(), talk, io);
        }
        let fault = match refused {
            _ if self.gone || self.cancelled => Fault::cancelled(None),
            NotClaimed::Ticket(StoreError::NotNext { id, expected }) => {
                Fault::not_next(*id, expected.as_deref())
            }
            NotClaimed::Ticket(_) if request.wish.script.is_some() => {
                Fault::ticket(refused.to_string())
            }
            NotClaimed::Ticket(_) | NotClaimed::Reopened(_) => {
                self.unbegin(talk, io);
                talk.checkin_if_free(io);
                return Next::AskAgain(request, self.shape);
            }
            NotClaimed::Denied(denial) => Fault::denied(denial),
            NotClaimed::HeldAll(held) => Fault::held_all(held),
            NotClaimed::Store(_) => Fault::store_down(),
        };
        self.stop(&fault, talk, io)
    }

    /// The transaction that this turn opened has done nothing: it is virtual again, so that a hold
    /// costs no connection.
    fn unbegin(&self, talk: &mut Talk, io: &mut Io) {
        if let Some(begin) = self.began {
            talk.transaction = Transaction::Virtual(begin);
            talk.state.soil(Disposition::Close);
            talk.release_lease(io);
        }
    }

    /// The intent is on disk, or need not be: send, unless nobody is there any more.
    fn intended(
        self,
        released: Released,
        fenced: bool,
        number: u64,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if self.gone || self.lost {
            return self.put_back(&released, number, Fault::upstream_lost(), talk, io);
        }
        let replies = send(released, fenced, number, &self.shape, talk, io);
        if self.cancelled {
            io.effect(Effect::CancelUpstream);
        }
        Next::Run(Running::start(replies, self.shape))
    }

    /// The connection is of no use: it goes, and the turn is refused.
    fn lose(mut self, fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
        talk.state.soil(Disposition::Close);
        if talk.needs_lease() {
            self.lost = true;
        } else {
            talk.release_lease(io);
        }
        self.stop(fault, talk, io)
    }

    /// Stops before anything was spent.
    fn stop(mut self, fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
        self.leave(self.cancelled && !self.gone, io);
        if self.gone || self.lost {
            if self.lost {
                talk.state.soil(Disposition::Close);
            }
            if !self.gone {
                io.error(&Fault::upstream_lost());
            }
            // Nothing was sent: the connection is as clean as it was lent.
            talk.release_lease(io);
            return Next::Close(hang_up(talk, io));
        }
        Next::Refused(refuse(fault, &self.shape, talk, io), self.shape)
    }

    /// Tells the driver once that the session waits no more.
    fn leave(&mut self, withdraw: bool, io: &mut Io) {
        if let Some(ticket) = self.waits.take() {
            io.effect(Effect::Leave { ticket, withdraw });
        }
    }

    /// Nothing was sent: what was claimed goes back, and the journal says so (DESIGN ruling 1).
    fn put_back(
        self,
        released: &Released,
        number: u64,
        fault: Fault,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        let mut accounts = Accounts::default();
        let (session, outcome) = (talk.peer.session, Outcome::default());
        accounts.outcome(session, number, End::NotSent, outcome);
        if let Authority::Signed { ticket, claim } = released.authority() {
            accounts.settlements.push(Settlement {
                claims: vec![(*ticket, *claim)],
                event: Event::Unclaim,
                outcome: None,
            });
        }
        if self.gone || self.lost {
            if !self.gone {
                io.error(&fault.fatal());
            }
            let rest = hang_up(talk, io);
            return Next::Close(accounts.then(rest));
        }
        Next::PutBack(accounts, Box::new(fault), self.shape)
    }
}
