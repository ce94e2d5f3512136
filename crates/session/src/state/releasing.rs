//! Releasing: checkout, context, claim, intent, send, in this order (DESIGN ruling 1). Up to the
//! claim nothing is spent, up to the send nothing of the requester's has reached the server.

use std::sync::Arc;

use bytes::BytesMut;
use gate::{Authority, Cargo, Clearance, Entry, Event, NotClaimed, Own, Released, Request, Step};

use crate::effect::{Effect, Settlement};
use crate::fault::Fault;
use crate::input::{Input, Leased};
use crate::replies::{Relayed, Replies};
use crate::state::job::{Accounts, Refused, Shape, hang_up, refuse};
use crate::state::load::{send, send_steps};
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
    cancelled: bool,
    gone: bool,
}

/// What is to go up.
#[derive(Debug)]
enum What {
    /// Something that may run.
    Claim(Clearance),
    /// Looks, and more of what was released already.
    Steps(Vec<Step>),
}

#[derive(Debug)]
enum Phase {
    Checkout(What),
    Context(What, Replies),
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
    Stay(Releasing),
    /// It is sent.
    Run(Replies, Shape),
    /// Another session was quicker: ask again.
    AskAgain(Arc<Request>, Shape),
    Refused(Refused, Shape),
    Close(Accounts),
}

impl Releasing {
    /// Starts with what a rule or people cleared.
    pub(crate) fn claim(clearance: Clearance, shape: Shape, talk: &mut Talk, io: &mut Io) -> Next {
        Self::start(What::Claim(clearance), shape, talk, io)
    }

    /// Starts with a batch in which nothing is bound.
    pub(crate) fn proceed(steps: Vec<Step>, shape: Shape, talk: &mut Talk, io: &mut Io) -> Next {
        if talk.transaction.has_failed() && !talk.transaction.has_upstream() {
            let refused = refuse(&Fault::failed_transaction(), &shape, talk, io);
            return Next::Refused(refused, shape);
        }
        Self::start(What::Steps(steps), shape, talk, io)
    }

    fn start(what: What, shape: Shape, talk: &mut Talk, io: &mut Io) -> Next {
        let turn = Turn {
            shape,
            cancelled: false,
            gone: false,
        };
        if talk.leased {
            let settings = Arc::clone(&talk.settings);
            return turn.leased(what, &Leased { settings }, talk, io);
        }
        io.effect(Effect::Checkout(Arc::clone(&talk.settings)));
        turn.stay(Phase::Checkout(what))
    }

    pub(crate) fn handle(self, input: Input<'_>, talk: &mut Talk, io: &mut Io) -> Next {
        let Self { mut turn, phase } = self;
        match (input, phase) {
            (Input::Leased(Ok(leased)), Phase::Checkout(what)) => {
                talk.leased = true;
                turn.leased(what, &leased, talk, io)
            }
            (Input::Leased(Err(fault)), Phase::Checkout(_)) => turn.stop(&fault, talk, io),
            (Input::Upstream(buf), Phase::Context(what, replies)) => {
                turn.context(what, replies, buf, talk, io)
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
                Input::Written(Err(_)),
                Phase::Intent {
                    released, number, ..
                },
            ) => {
                put_back(&released, number, talk, io);
                turn.stop(&Fault::journal_down(), talk, io)
            }
            // In every phase: heard, and acted on at the next step. A connection that is lost while
            // the claim or the intent is on its way is found lost when something is sent on it.
            (input, phase) => {
                turn.cancelled |= matches!(input, Input::Cancel);
                turn.gone |= matches!(input, Input::ClientGone);
                turn.stay(phase)
            }
        }
    }
}

impl Turn {
    fn stay(self, phase: Phase) -> Next {
        Next::Stay(Releasing { turn: self, phase })
    }

    /// The connection is there: what must be on it before anything runs?
    fn leased(self, what: What, leased: &Leased, talk: &mut Talk, io: &mut Io) -> Next {
        let mut cargo = Vec::new();
        if leased.settings != talk.settings {
            cargo.push(Cargo::Own(Own::Settings(Arc::clone(&talk.settings))));
        }
        if let (Transaction::Virtual(begin), What::Claim(_)) = (&talk.transaction, &what) {
            cargo.push(Cargo::Own(Own::Begin(*begin)));
        }
        if cargo.is_empty() {
            return self.ready(what, talk, io);
        }
        let mut replies = Replies::default();
        cargo.iter().for_each(|it| replies.owe(it));
        io.effect(Effect::Load(cargo));
        self.stay(Phase::Context(what, replies))
    }

    /// Hears the answers to the context.
    fn context(
        self,
        what: What,
        mut replies: Replies,
        buf: &mut BytesMut,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        while !replies.is_settled() {
            match replies.relay(buf, &mut io.out, &mut talk.told) {
                Ok(Relayed::Waiting) => return self.stay(Phase::Context(what, replies)),
                Ok(_) => {}
                Err(fault) => return self.lose(&fault, talk, io),
            }
        }
        if let Some(error) = replies.heard.own_error {
            return self.lose(&Fault::settings(&error.message), talk, io);
        }
        if matches!(talk.transaction, Transaction::Virtual(_)) && matches!(what, What::Claim(_)) {
            talk.transaction.begun();
        }
        self.ready(what, talk, io)
    }

    /// The context stands. A cancel, or a client that left, is heard here for the last time before
    /// something is spent.
    fn ready(self, what: What, talk: &mut Talk, io: &mut Io) -> Next {
        if self.gone {
            return Next::Close(hang_up(talk, io));
        }
        match what {
            What::Claim(clearance) if self.cancelled => {
                let ticket = clearance.ticket();
                if let Some(ticket) = ticket {
                    io.effect(Effect::Leave {
                        ticket,
                        withdraw: true,
                    });
                }
                self.stop(&Fault::cancelled(ticket), talk, io)
            }
            What::Steps(_) if self.cancelled => self.stop(&Fault::cancelled(None), talk, io),
            What::Claim(clearance) => {
                let (request, fenced) = (Arc::clone(clearance.request()), clearance.fenced());
                io.effect(Effect::Claim(clearance));
                self.stay(Phase::Claim { request, fenced })
            }
            What::Steps(steps) => {
                let replies = send_steps(&steps, &self.shape, talk, io);
                Next::Run(replies, self.shape)
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

    fn not_claimed(
        self,
        refused: &NotClaimed,
        request: Arc<Request>,
        talk: &mut Talk,
        io: &mut Io,
    ) -> Next {
        if self.gone {
            return Next::Close(hang_up(talk, io));
        }
        talk.checkin_if_free(io);
        match refused {
            NotClaimed::Ticket(_) if !self.cancelled => Next::AskAgain(request, self.shape),
            NotClaimed::Ticket(_) => self.stop(&Fault::cancelled(None), talk, io),
            NotClaimed::Store(_) => self.stop(&Fault::store_down(), talk, io),
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
        if self.gone {
            put_back(&released, number, talk, io);
            return Next::Close(hang_up(talk, io));
        }
        let replies = send(released, fenced, number, &self.shape, talk, io);
        if self.cancelled {
            io.effect(Effect::CancelUpstream);
        }
        Next::Run(replies, self.shape)
    }

    /// The connection is of no use: it goes, and the turn is refused.
    fn lose(self, fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
        talk.tainted = true;
        if talk.transaction.has_upstream() || talk.pinned.is_some() || self.gone {
            io.error(&Fault::upstream_lost());
            return Next::Close(hang_up(talk, io));
        }
        talk.release_lease(io);
        self.stop(fault, talk, io)
    }

    fn stop(self, fault: &Fault, talk: &mut Talk, io: &mut Io) -> Next {
        if self.gone {
            return Next::Close(hang_up(talk, io));
        }
        Next::Refused(refuse(fault, &self.shape, talk, io), self.shape)
    }
}

/// Nothing was sent: what was claimed goes back, and the journal says so (DESIGN ruling 1).
fn put_back(released: &Released, number: u64, talk: &Talk, io: &mut Io) {
    let session = talk.peer.session;
    let end = gate::audit::End::NotSent;
    io.effect(Effect::Note(Entry::Outcome {
        session,
        number,
        end,
        tags: Vec::new(),
        error: None,
    }));
    if let Authority::Signed { ticket, claim } = released.authority() {
        let claims = vec![(*ticket, *claim)];
        io.effect(Effect::Settle(Settlement {
            claims,
            event: Event::Unclaim,
            outcome: None,
        }));
    }
}
