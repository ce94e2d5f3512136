//! The driver of one session: one task, one poll, both directions. It does what the session says
//! and tells it what happened; it never looks into a message.

mod effects;
mod meter;
mod moved;
mod reading;
mod walls;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytestring::ByteString;
use gate::{TenantId, TicketId};
use pool::{CheckoutError, Dial, Lease};
use session::{Admission, Checkout, Fault, Input, News, Session};
use store::killpoint;
use tokio::sync::oneshot;

use crate::crew::Counted;
use crate::gatekeeper::Gatekeeper;
use crate::lanes::Lanes;
use crate::registry::{Mail, Place};
use crate::socket::{Parting, Socket, read, release, write};
use crate::world::World;
use meter::Meter;

/// The answer to an effect that took its time.
enum Answer<W: World> {
    Input(Input<'static>),
    Lease(Box<Lent<W::Dial>>),
    Admitted(Box<Arrived<W::Dial>>),
    Moved(Box<Move<W::Dial>>),
    Noted(bool),
    Cancelled,
}

/// What was wanted, and what came of it.
type Lent<D> = (Checkout, Result<Lease<D>, CheckoutError>);

/// The pools that serve a session, and what it must know of them.
type Arrived<D> = Result<(Rc<Lanes<D>>, Admission), Fault>;

/// What is wanted where a tenant leads elsewhere: the session first hears what it must know of that.
struct Move<D: Dial> {
    arrived: Arrived<D>,
    wanted: Wanted,
}

/// What goes on behind that.
enum Wanted {
    Readings(Vec<ByteString>),
    Connection(Checkout),
}

/// What can be given up of what is pending.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GivesUp {
    Nothing,
    /// A place in the queue of a pool.
    Place,
    /// To be there when a tenant is paused.
    Pause,
}

type Pending<W> = Pin<Box<dyn Future<Output = Answer<W>>>>;

/// What may not be as the tenant's catalog was last read, or as a text like it was.
#[derive(Default)]
struct Doubts {
    /// Something went up that may change it.
    changes_catalog: bool,
    /// What is asked for may run where the tenant led when it was asked for, and nowhere else.
    bound: bool,
    /// What is asked for was asked for before, and is read against a newer one.
    asked_again: bool,
    texts: Texts,
}

/// How the texts of what is asked for are read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Texts {
    /// As they are, or as others were that differ from them in nothing but numbers.
    #[default]
    Any,
    /// One of them was read as another was.
    Alike,
    /// That was not enough: each as it is.
    Exactly,
}

/// One connection: a future that drives the session to its end. Not to be dropped before: a claim may be
/// on its way. Thousands lie idle, so it owns nothing that it does not need then.
pub(crate) struct Connection<W: World, S> {
    keeper: Rc<Gatekeeper<W>>,
    client: S,
    session: Session,
    number: u64,
    /// The time, as it was when the task was woken.
    now: Instant,
    place: Place,
    _counted: Counted,
    lanes: Option<Rc<Lanes<W::Dial>>>,
    tenant: Option<TenantId>,
    /// The tenant that the client's host names, until somebody has looked.
    host: Option<String>,
    /// The number of the configuration that it last took up.
    caught_up: u64,
    lease: Option<Lease<W::Dial>>,
    pending: Option<Pending<W>>,
    /// What is pending can be given up.
    gives_up: GivesUp,
    /// Those who asked to cancel, and wait until that is done.
    cancels: Vec<oneshot::Sender<()>>,
    /// What became of a ticket while the session had not heard yet that it waits for it.
    early: Vec<(TicketId, News)>,
    alarm: Option<(Instant, Pin<Box<tokio::time::Sleep>>)>,
    doubts: Doubts,
    /// Something went up that may change what replicas must show.
    wrote: bool,
    meter: Meter,
    client_gone: bool,
    parting: Option<Parting>,
    goodbye: Option<Instant>,
}

impl<W: World, S: Socket> Future for Connection<W, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.drive(cx)
    }
}

impl<W: World, S: Socket> Connection<W, S> {
    pub(crate) fn new(
        keeper: Rc<Gatekeeper<W>>,
        client: S,
        session: Session,
        number: u64,
        (place, counted): (Place, Counted),
        host: Option<String>,
    ) -> Self {
        Self {
            now: keeper.world.now(),
            keeper,
            client,
            session,
            number,
            place,
            _counted: counted,
            lanes: None,
            tenant: None,
            host,
            caught_up: 0,
            lease: None,
            pending: None,
            gives_up: GivesUp::Nothing,
            cancels: Vec::new(),
            early: Vec::new(),
            alarm: None,
            doubts: Doubts::default(),
            wrote: false,
            meter: Meter::default(),
            client_gone: false,
            parting: None,
            goodbye: None,
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        self.session.handle(self.now, input);
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.now = self.keeper.world.now();
        let mut mail = true;
        loop {
            self.perform_effects();
            if self.pending.is_none() {
                // Whatever the cancels led to has been done.
                self.cancels.clear();
            }
            self.weigh();
            let mut moved = self.notice_hangup();
            // Once there is none, the next one wakes the task.
            mail = mail && self.poll_mail(cx);
            moved |= mail;
            moved |= self.poll_pending(cx);
            moved |= self.poll_alarm(cx);
            moved |= self.poll_upstream(cx);
            moved |= self.poll_client_write(cx);
            if self.parting.is_some() {
                let sent = self.client_gone || self.session.output().is_empty();
                if sent && self.pending.is_none() && self.session_is_done() {
                    // Nobody waits for a client that has gone, or took too long, to hear of the end.
                    return match &mut self.parting {
                        Some(parting) if !self.client_gone => parting.poll(&mut self.client, cx),
                        _ => Poll::Ready(()),
                    };
                }
            } else {
                moved |= self.poll_client_read(cx);
            }
            if !moved {
                self.show();
                self.release();
                return Poll::Pending;
            }
        }
    }

    /// Everything that waits in memory here counts for the tenant.
    fn weigh(&mut self) {
        let server = self.lease.as_mut().map_or(0, |it| it.upstream().waiting());
        self.place.weigh(server + self.session.waiting());
    }

    /// Whether nothing is left to do for a session that has said Close.
    fn session_is_done(&mut self) -> bool {
        self.perform_effects();
        self.pending.is_none()
    }

    /// Somebody who sent much ahead is not read while they wait, and may have gone behind it. Looked
    /// for at each step: what they asked for must not run any more (hazards R57).
    fn notice_hangup(&mut self) -> bool {
        let unread = !self.client_gone && self.parting.is_none() && !self.session.wants_client();
        let gone = unread && self.client.has_hung_up();
        if gone {
            self.client_left();
        }
        gone
    }

    fn poll_mail(&mut self, cx: &Context<'_>) -> bool {
        let Some(mail) = self.place.mail(cx) else {
            return false;
        };
        match mail {
            Mail::Cancel(done) => {
                self.cancels.push(done);
                self.stop_waiting(Input::Cancel);
            }
            Mail::Terminate => self.stop_waiting(Input::Terminate),
            Mail::News(ticket, news) if self.pending.is_some() => self.early.push((ticket, news)),
            Mail::Dismiss(why) => self.stop_waiting(Input::Dismiss(why)),
            Mail::News(ticket, news) => self.tell(Input::News(ticket, news)),
            Mail::Drain => {
                self.stop_pausing();
                self.tell(Input::Drain);
            }
        }
        true
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pending) = &mut self.pending else {
            return false;
        };
        let Poll::Ready(answer) = pending.as_mut().poll(cx) else {
            return false;
        };
        (self.pending, self.gives_up) = (None, GivesUp::Nothing);
        match answer {
            Answer::Input(input) => {
                if matches!(input, Input::Claimed(Err(_))) {
                    self.place
                        .show(|view| view.runs.truncate(view.runs.len().saturating_sub(1)));
                }
                self.tell(input);
            }
            Answer::Lease(leased) => match *leased {
                (wanted, Err(CheckoutError::Closed)) if self.is_overtaken() => {
                    self.checkout(wanted);
                }
                (_, leased) => self.leased(leased),
            },
            Answer::Admitted(admitted) => {
                let admitted = admitted.map(|(lanes, admission)| {
                    self.lanes = Some(lanes);
                    admission
                });
                let came_in = admitted.is_ok();
                self.tell(Input::Admitted(admitted));
                if came_in {
                    self.came_in();
                }
            }
            Answer::Moved(moved) => self.arrive(*moved),
            Answer::Noted(true) | Answer::Cancelled => {}
            Answer::Noted(false) => self.upstream_gone(),
        }
        for (ticket, news) in std::mem::take(&mut self.early) {
            self.tell(Input::News(ticket, news));
        }
        true
    }

    fn came_in(&mut self) {
        self.meter.begin(self.tenant.as_ref(), &self.keeper.tallies);
        let principal = self.session.principal().map(|it| it.id.as_str());
        tracing::debug!(
            tenant = self.tenant.as_ref().map(TenantId::as_str),
            principal,
            session = self.number,
            client = &*self.place.client(),
            "logged in"
        );
    }

    /// A timer is set on entry to a slow state, and not for each message.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.goodbye.or_else(|| self.session.deadline());
        if deadline != self.alarm.as_ref().map(|it| it.0) {
            self.alarm = deadline.map(|at| {
                let sleep = tokio::time::sleep_until(tokio::time::Instant::from_std(at));
                (at, Box::pin(sleep))
            });
        }
        let Some((_, sleep)) = &mut self.alarm else {
            return false;
        };
        if sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.alarm = None;
        if self.goodbye.take().is_some() {
            // The farewell was not taken; nobody waits for it any longer.
            self.client_gone = true;
        } else {
            // Whatever it was set for is past, to the session as well.
            self.now = self.keeper.world.now();
            self.tell(Input::Tick);
        }
        true
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(lease) = &mut self.lease else {
            return false;
        };
        let upstream = lease.upstream();
        match upstream.poll_flush(cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => killpoint::flushed(),
            Poll::Ready(Err(_)) => {
                self.upstream_gone();
                return true;
            }
        }
        if !self.place.may_relay(self.session.output().len()) {
            return false;
        }
        match upstream.poll_read(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(count)) if count > 0 => {
                killpoint::replied();
                self.session
                    .handle(self.now, Input::Upstream(upstream.inbox()));
                self.note_answer();
                true
            }
            Poll::Ready(_) => {
                self.upstream_gone();
                true
            }
        }
    }

    /// Whether the pools of its tenant are others than it knows.
    fn is_overtaken(&self) -> bool {
        let (lanes, tenant) = (self.lanes.as_ref(), self.tenant.as_ref());
        let newer = lanes
            .zip(tenant)
            .map(|(lanes, it)| self.keeper.newer(it, lanes));
        newer.flatten().is_some()
    }

    fn upstream_gone(&mut self) {
        self.note_return();
        self.lease = None;
        self.tell(Input::UpstreamGone);
    }

    fn poll_client_write(&mut self, cx: &mut Context<'_>) -> bool {
        if self.client_gone {
            self.session.output().clear();
            return false;
        }
        let before = self.session.output().len();
        let written = write(&mut self.client, self.session.output(), cx);
        self.meter.sent(before - self.session.output().len());
        written.unwrap_or_else(|_| {
            self.client_left();
            true
        })
    }

    fn poll_client_read(&mut self, cx: &mut Context<'_>) -> bool {
        let unsent = self.lease.as_mut().map_or(0, |it| it.upstream().unsent());
        let waiting = unsent.max(self.session.output().len());
        let gathered = self.session.inbox().len();
        let room = self.place.may_gather(waiting, gathered, cx);
        if self.client_gone || !room || !self.session.wants_client() {
            return false;
        }
        match read(&mut self.client, self.session.inbox(), cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(count)) if count > 0 => {
                self.meter.received(count);
                self.tell(Input::ClientBytes);
                true
            }
            Poll::Ready(_) => {
                self.client_left();
                true
            }
        }
    }

    fn client_left(&mut self) {
        self.client_gone = true;
        self.session.output().clear();
        self.stop_waiting(Input::ClientGone);
    }

    /// Nobody wants what the session waits for any more: nor its place in a queue (hazards R50).
    fn stop_waiting(&mut self, why: Input<'_>) {
        self.tell(why);
        if self.gives_up == GivesUp::Place {
            (self.pending, self.gives_up) = (None, GivesUp::Nothing);
            self.tell(Input::Leased(Err(Fault::cancelled(None))));
        }
        self.stop_pausing();
    }

    /// Whoever has a tenant paused need not stay until it is; it is paused all the same.
    fn stop_pausing(&mut self) {
        if self.gives_up == GivesUp::Pause {
            (self.pending, self.gives_up) = (None, GivesUp::Nothing);
            if !self.client_gone {
                self.tell(Input::Console(Err(Fault::cancelled(None))));
            }
        }
    }

    /// Nothing is done before somebody says something: who lies idle keeps no room for it.
    fn release(&mut self) {
        if self.lease.is_none() {
            self.session.release();
            release(self.session.inbox());
            release(self.session.output());
        }
    }

    /// Lets others see what the session does; only when that has changed.
    fn show(&mut self) {
        self.meter.look(self.now, &mut self.session);
        let (state, ticket) = (self.session.state(), self.session.waits_for());
        let server = self.lease.as_ref().and_then(Lease::pid);
        self.place.show(|view| {
            view.server = server;
            view.state = state;
            view.ticket = ticket;
        });
    }
}
