//! The driver of one session: one task, one poll, both directions. It does what the session says
//! and tells it what happened; it never looks into a message.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use gate::{Cargo, Clearance, Entry, Journal, Request, TenantId, Tickets, claim};
use pool::{CheckoutError, Lease, Pool};
use session::{
    Admission, Destination, Disposition, Effect, Fault, Input, Leased, Session, Settlement, Verdict,
};
use sql::Reading;
use tokio::sync::mpsc;

use crate::console;
use crate::gatekeeper::{Gatekeeper, checkout_fault};
use crate::registry::{Mail, Place};
use crate::socket::{GOODBYE, OUT_BYTES_MAX, Socket, UNSENT_BYTES_MAX, read};
use crate::world::World;

/// The answer to an effect that took its time.
enum Answer<W: World> {
    Input(Input<'static>),
    Lease(Result<Lease<W::Dial>, CheckoutError>),
    Noted(bool),
}

type Pending<W> = Pin<Box<dyn Future<Output = Answer<W>>>>;

/// One connection.
pub(crate) struct Connection<W: World, S> {
    keeper: Rc<Gatekeeper<W>>,
    client: S,
    session: Session,
    number: u64,
    place: Place,
    mail: mpsc::Receiver<Mail>,
    pool: Option<Rc<Pool<W::Dial>>>,
    tenant: Option<TenantId>,
    lease: Option<Lease<W::Dial>>,
    pending: Option<Pending<W>>,
    /// What is pending is a place in the pool's queue, which can be given up.
    queued: bool,
    alarm: Option<(Instant, Pin<Box<tokio::time::Sleep>>)>,
    client_gone: bool,
    closing: bool,
    goodbye: Option<Instant>,
}

impl<W: World, S: Socket> Connection<W, S> {
    pub(crate) fn new(
        keeper: Rc<Gatekeeper<W>>,
        client: S,
        session: Session,
        number: u64,
        (place, mail): (Place, mpsc::Receiver<Mail>),
    ) -> Self {
        Self {
            keeper,
            client,
            session,
            number,
            place,
            mail,
            pool: None,
            tenant: None,
            lease: None,
            pending: None,
            queued: false,
            alarm: None,
            client_gone: false,
            closing: false,
            goodbye: None,
        }
    }

    /// Drives the session to its end. Not to be dropped before: a claim may be on its way.
    pub(crate) async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn tell(&mut self, input: Input<'_>) {
        self.session.handle(self.keeper.world.now(), input);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.perform_effects();
            let mut moved = self.notice_hangup();
            moved |= self.poll_mail(cx);
            moved |= self.poll_pending(cx);
            moved |= self.poll_alarm(cx);
            moved |= self.poll_upstream(cx);
            moved |= self.poll_client_write(cx);
            if self.closing {
                let sent = self.client_gone || self.session.output().is_empty();
                if sent && self.pending.is_none() && self.session_is_done() {
                    return Pin::new(&mut self.client).poll_shutdown(cx).map(|_| ());
                }
            } else {
                moved |= self.poll_client_read(cx);
            }
            if !moved {
                self.show();
                return Poll::Pending;
            }
        }
    }

    /// Whether nothing is left to do for a session that has said Close.
    fn session_is_done(&mut self) -> bool {
        self.perform_effects();
        self.pending.is_none()
    }

    /// Somebody who sent much ahead is not read while they wait, and may have gone behind it. Looked
    /// for at each step: what they asked for must not run any more (hazards R57).
    fn notice_hangup(&mut self) -> bool {
        let unread = !self.client_gone && !self.closing && !self.session.wants_client();
        let gone = unread && self.client.has_hung_up();
        if gone {
            self.client_left();
        }
        gone
    }

    fn poll_mail(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(Some(mail)) = self.mail.poll_recv(cx) else {
            return false;
        };
        match mail {
            Mail::Cancel => self.stop_waiting(Input::Cancel),
            Mail::News(ticket, news) => self.tell(Input::News(ticket, news)),
            Mail::Drain => self.tell(Input::Drain),
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
        (self.pending, self.queued) = (None, false);
        match answer {
            Answer::Input(input) => self.tell(input),
            Answer::Lease(leased) => self.leased(leased),
            Answer::Noted(true) => {}
            Answer::Noted(false) => self.upstream_gone(),
        }
        true
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
            self.tell(Input::Tick);
        }
        true
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(lease) = &mut self.lease else {
            return false;
        };
        let upstream = lease.upstream();
        if matches!(upstream.poll_flush(cx), Poll::Ready(Err(_))) {
            self.upstream_gone();
            return true;
        }
        if self.session.output().len() >= OUT_BYTES_MAX {
            return false;
        }
        match upstream.poll_read(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(count)) if count > 0 => {
                let now = self.keeper.world.now();
                self.session.handle(now, Input::Upstream(upstream.inbox()));
                true
            }
            Poll::Ready(_) => {
                self.upstream_gone();
                true
            }
        }
    }

    fn upstream_gone(&mut self) {
        self.lease = None;
        self.tell(Input::UpstreamGone);
    }

    fn poll_client_write(&mut self, cx: &mut Context<'_>) -> bool {
        if self.client_gone {
            self.session.output().clear();
            return false;
        }
        let mut wrote = false;
        while !self.session.output().is_empty() {
            match Pin::new(&mut self.client).poll_write(cx, self.session.output()) {
                Poll::Pending => return wrote,
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.session.output().advance(count);
                    wrote = true;
                }
                Poll::Ready(_) => {
                    self.client_left();
                    return true;
                }
            }
        }
        // Each time, not only behind a write: TLS may still have bytes that a full socket left to it.
        if let Poll::Ready(Err(_)) = Pin::new(&mut self.client).poll_flush(cx) {
            self.client_left();
            return true;
        }
        if wrote {
            let out = self.session.output();
            if out.capacity() > OUT_BYTES_MAX {
                *out = BytesMut::new();
            }
        }
        wrote
    }

    fn poll_client_read(&mut self, cx: &mut Context<'_>) -> bool {
        let upstream_full = self
            .lease
            .as_mut()
            .is_some_and(|it| it.upstream().unsent() > UNSENT_BYTES_MAX);
        let slow_reader = self.session.output().len() > OUT_BYTES_MAX;
        if self.client_gone || upstream_full || slow_reader || !self.session.wants_client() {
            return false;
        }
        match read(&mut self.client, self.session.inbox(), cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(count)) if count > 0 => {
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
        if std::mem::take(&mut self.queued) {
            self.pending = None;
            self.tell(Input::Leased(Err(Fault::cancelled(None))));
        }
    }

    /// Carries effects out in order; one that takes its time stops those behind it.
    fn perform_effects(&mut self) {
        while self.pending.is_none() {
            let Some(effect) = self.session.next_effect() else {
                return;
            };
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Lookup { user, database } => self.lookup(&user, &database),
            Effect::Admit => self.admit(),
            Effect::Read(texts) => self.read_texts(texts),
            Effect::Ask(request) => self.ask(&request),
            Effect::Checkout(_) => self.checkout(),
            Effect::Claim(clearance) => self.claim(clearance),
            Effect::Write(entry) => self.write(entry),
            Effect::Note(entry) => self.note(entry),
            Effect::Load(cargo) => self.load(&cargo),
            Effect::Settle(settlement) => self.settle(settlement),
            Effect::Leave { ticket, withdraw } => {
                let (keeper, pid) = (Rc::clone(&self.keeper), self.place.key().pid);
                tokio::task::spawn_local(async move { keeper.leave(ticket, pid, withdraw).await });
            }
            Effect::Checkin(Disposition::Clean) => {
                if let Some(lease) = self.lease.take() {
                    lease.checkin();
                }
            }
            Effect::Checkin(Disposition::Close) => self.lease = None,
            Effect::CancelUpstream => self.cancel_upstream(),
            Effect::Console(command) => self.console(command),
            Effect::Close => {
                self.closing = true;
                self.goodbye = Some(self.keeper.world.now() + GOODBYE);
            }
        }
    }

    fn later(&mut self, answer: impl Future<Output = Answer<W>> + 'static) {
        self.pending = Some(Box::pin(answer));
    }

    fn lookup(&mut self, user: &str, database: &str) {
        let account = self.keeper.account(user, database);
        if let Some(Destination::Tenant(tenant)) = &account.destination {
            self.tenant = Some(tenant.clone());
        }
        self.place.show(|view| {
            user.clone_into(&mut view.user);
            database.clone_into(&mut view.tenant);
        });
        self.tell(Input::Account(account));
    }

    fn admit(&mut self) {
        // Only now, when somebody has proven who they are, is a pool made.
        let tenant = self.tenant.clone();
        self.pool = tenant.as_ref().and_then(|it| self.keeper.pool(it));
        let (Some(pool), Some(tenant)) = (self.pool.clone(), tenant) else {
            return self.tell(Input::Admitted(Err(Fault::no_tenant(""))));
        };
        self.later(async move {
            let admitted = match pool.facts().await {
                Ok(facts) => Ok(Admission {
                    parameters: facts.parameters,
                    system_identifier: facts.system_identifier,
                    role: Arc::from(pool.options().user.as_str()),
                }),
                Err(error) => Err(checkout_fault(&tenant, &error)),
            };
            Answer::Input(Input::Admitted(admitted))
        });
    }

    fn read_texts(&mut self, texts: Vec<bytestring::ByteString>) {
        let here = texts.iter().map(|text| text.len()).sum::<usize>() <= sql::HERE_BYTES_MAX;
        let reader = &self.keeper.reader;
        let read = |text| {
            if here {
                reader.read_here(text)
            } else {
                reader.known(text)
            }
        };
        let known: Option<Vec<Arc<Reading>>> = texts.iter().map(read).collect();
        if let Some(readings) = known {
            return self.tell(Input::Readings(readings));
        }
        let reader = self.keeper.reader.clone();
        self.later(async move {
            let mut readings = Vec::with_capacity(texts.len());
            for text in texts {
                readings.push(reader.read(text).await);
            }
            Answer::Input(Input::Readings(readings))
        });
    }

    fn ask(&mut self, request: &Arc<Request>) {
        match self.keeper.judge(self.number, request) {
            Ok(verdict) => self.tell(Input::Verdict(verdict)),
            Err(hold) => {
                let (keeper, number, pid) =
                    (Rc::clone(&self.keeper), self.number, self.place.key().pid);
                self.later(async move {
                    let verdict: Verdict = keeper.hold(number, pid, hold).await;
                    Answer::Input(Input::Verdict(verdict))
                });
            }
        }
    }

    fn checkout(&mut self) {
        let Some(pool) = self.pool.clone() else {
            return self.tell(Input::Leased(Err(Fault::no_upstream(""))));
        };
        if let Some(lease) = pool.try_checkout() {
            return self.leased(Ok(lease));
        }
        self.queued = true;
        self.later(async move { Answer::Lease(pool.checkout().await) });
    }

    fn leased(&mut self, leased: Result<Lease<W::Dial>, CheckoutError>) {
        let input = match leased {
            Ok(mut lease) => {
                let settings = Arc::clone(lease.upstream().settings());
                self.lease = Some(lease);
                Input::Leased(Ok(Leased { settings }))
            }
            Err(error) => {
                let tenant = self.tenant.clone().unwrap_or_else(|| TenantId::from(""));
                Input::Leased(Err(checkout_fault(&tenant, &error)))
            }
        };
        self.tell(input);
    }

    fn claim(&mut self, clearance: Clearance) {
        let tickets = self.keeper.tickets.clone();
        self.later(async move { Answer::Input(Input::Claimed(claim(&tickets, clearance).await)) });
    }

    fn write(&mut self, entry: Entry) {
        let journal = self.keeper.journal.clone();
        self.later(async move { Answer::Input(Input::Written(journal.write(entry).await)) });
    }

    /// Nothing goes up behind an entry that was not written (DESIGN principle 9).
    fn note(&mut self, entry: Entry) {
        if self.keeper.journal.note(&entry).is_err() {
            let keeper = Rc::clone(&self.keeper);
            self.later(async move { Answer::Noted(keeper.note_late(entry).await) });
        }
    }

    fn load(&mut self, cargo: &[Cargo]) {
        let loaded = match &mut self.lease {
            Some(lease) => lease.upstream().load(cargo).is_ok(),
            None => false,
        };
        if !loaded {
            self.upstream_gone();
        }
    }

    fn settle(&mut self, it: Settlement) {
        let tickets = self.keeper.tickets.clone();
        self.later(async move {
            let settled = tickets.settle(it.claims, it.event, it.outcome).await;
            if let Err(error) = &settled {
                tracing::error!("a claim could not be settled: {error}");
            }
            Answer::Input(Input::Settled(settled))
        });
    }

    fn cancel_upstream(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        let (dial, target) = (lease.dial(), lease.cancel_target());
        if let Some(target) = target {
            tokio::task::spawn_local(async move {
                if let Err(error) = target.cancel(&*dial).await {
                    tracing::warn!("a cancel could not be delivered: {error}");
                }
            });
        }
    }

    fn console(&mut self, command: session::ConsoleCommand) {
        let Some(principal) = self.session.principal().cloned() else {
            return;
        };
        let keeper = Rc::clone(&self.keeper);
        self.later(async move {
            Answer::Input(Input::Console(
                console::run(&keeper, &principal, command).await,
            ))
        });
    }

    /// Lets others see what the session does; only when that has changed.
    fn show(&self) {
        let (state, ticket) = (self.session.state(), self.session.waits_for());
        self.place.show(|view| {
            view.state = state;
            view.ticket = ticket;
        });
    }
}
