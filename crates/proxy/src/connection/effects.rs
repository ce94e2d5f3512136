//! What a session wants done, done: each effect, and the answer that it has. It decides nothing.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use bytestring::ByteString;
use gate::claim::pass_on;
use gate::{
    Cargo, Clearance, Entry, Journal, Judgement, Principal, Request, Settings, TenantId, TicketId,
};
use pool::{Borrower, CheckoutError, Lease};
use session::{
    Admission, Checkout, Destination, Effect, Fault, Input, Leased, Settlement, Verdict,
};
use sql::{Catalog, Reading};
use store::killpoint::{self, Step};

use super::{Answer, Connection, GivesUp, Texts};
use crate::console;
use crate::gatekeeper::checkout_fault;
use crate::knowledge::may_change;
use crate::settle::settle;
use crate::socket::{GOODBYE, Parting};
use crate::stats;
use crate::world::World;

impl<W: World, S: crate::socket::Socket> Connection<W, S> {
    /// Carries effects out in order; one that takes its time stops those behind it.
    pub(super) fn perform_effects(&mut self) {
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
            Effect::Admit { principal, login } => self.admit(&principal, login),
            Effect::Read(texts) => self.read_texts(texts),
            Effect::Ask(request) => self.ask(&request),
            Effect::Signal { pid, terminates } => self.signal(pid, terminates),
            Effect::Checkout(wanted) => self.checkout(wanted),
            Effect::Claim(clearance) => self.claim(clearance),
            Effect::Write(entry) => self.write(entry),
            Effect::Note(entry) => self.note(entry),
            Effect::Load(cargo) => self.load(&cargo),
            Effect::Settle(settlement) => self.settle(settlement),
            Effect::Leave { ticket, withdraw } => {
                let (keeper, pid) = (Rc::clone(&self.keeper), self.place.key().pid);
                tokio::task::spawn_local(async move { keeper.leave(ticket, pid, withdraw).await });
            }
            Effect::Checkin(disposition, surface) => {
                killpoint::reached(Step::Checkin);
                self.note_return();
                if std::mem::take(&mut self.doubts.changes_catalog)
                    && let Some(lanes) = &self.lanes
                {
                    lanes.knowledge.outdate();
                }
                if let Some(mut lease) = self.lease.take() {
                    lease.upstream().put_surface(surface);
                    lease.checkin(disposition);
                }
            }
            Effect::CancelUpstream => self.cancel_upstream(),
            Effect::Console(command) => self.console(command),
            Effect::Abandon(script) => {
                let (keeper, holder) = (Rc::clone(&self.keeper), self.place.client());
                tokio::task::spawn_local(async move { keeper.abandon(script, holder).await });
            }
            Effect::Close => {
                self.parting = Some(Parting::default());
                self.goodbye = Some(self.keeper.world.now() + GOODBYE);
            }
        }
    }

    pub(super) fn later(&mut self, answer: impl Future<Output = Answer<W>> + 'static) {
        self.pending = Some(Box::pin(answer));
    }

    fn lookup(&mut self, user: &str, database: &str) {
        let host = self.host.take();
        let account = self.keeper.account(user, database, host.as_deref());
        if let Some(Destination::Tenant(tenant)) = &account.destination {
            self.tenant = Some(tenant.clone());
        }
        let person = account.principal.as_ref().map(|it| it.id.clone());
        self.place.show(|view| {
            view.person = person;
            user.clone_into(&mut view.user);
            database.clone_into(&mut view.tenant);
        });
        self.tell(Input::Account(account));
    }

    fn admit(&mut self, principal: &Principal, login: Arc<Settings>) {
        // Only now, when somebody has proven who they are, is a pool made.
        let tenant = self.tenant.clone();
        let joined = tenant.as_ref().map_or(Ok(()), |it| self.place.join(it));
        if let Err(fault) = joined {
            return self.tell(Input::Admitted(Err(fault)));
        }
        let Some(tenant) = tenant else {
            return self.tell(Input::Admitted(Err(Fault::no_tenant(""))));
        };
        let keeper = Rc::clone(&self.keeper);
        let version = keeper.version();
        self.caught_up = version.number;
        let application = login.get("application_name").map_or("", String::as_str);
        let waits = !version.config.no_wait.is_for(principal, application);
        let principal = principal.id.clone();
        self.later(async move {
            let admitted = match keeper.admit(&tenant, &principal, &login).await {
                Some(Ok((lanes, it))) => Ok((lanes, Admission { waits, ..it })),
                Some(Err(fault)) => Err(fault.fatal()),
                None => Err(Fault::no_tenant(tenant.as_str())),
            };
            Answer::Admitted(Box::new(admitted))
        });
    }

    /// Texts are read against what is known of the tenant's catalog, which is read first where it must be.
    pub(super) fn read_texts(&mut self, texts: Vec<ByteString>) {
        let Some(texts) = self.catch_up(texts) else {
            return;
        };
        let Some(lanes) = self.lanes.clone() else {
            let why = "was not read: its tenant is gone";
            let unread = texts.iter().map(|it| Arc::new(sql::unread(it, why)));
            return self.tell(Input::Readings(unread.collect()));
        };
        let now = self.now;
        let knowledge = Rc::clone(&lanes.knowledge);
        let current = knowledge.current(now);
        if let Some(catalog) = &current
            && let Some(readings) = self.readings(&texts, catalog)
        {
            if knowledge.is_old(now) {
                tokio::task::spawn_local(async move { knowledge.read(now).await });
            }
            return self.tell(Input::Readings(readings));
        }
        let reader = self.keeper.reader.clone();
        self.later(async move {
            let catalog = match current {
                Some(catalog) => catalog,
                None => knowledge.refreshed(now).await,
            };
            let mut readings = Vec::with_capacity(texts.len());
            for text in texts {
                readings.push(reader.read(text, Arc::clone(&catalog)).await);
            }
            Answer::Input(Input::Readings(readings))
        });
    }

    /// The readings of texts that are known, known but for their numbers, or short.
    fn readings(&mut self, texts: &[ByteString], catalog: &Catalog) -> Option<Vec<Arc<Reading>>> {
        let here = texts.iter().map(|text| text.len()).sum::<usize>() <= sql::HERE_BYTES_MAX;
        let reader = &self.keeper.reader;
        let doubts = &mut self.doubts;
        let read = |text| {
            if let Some(known) = reader.known(text, catalog) {
                return Some(known);
            }
            if doubts.texts != Texts::Exactly
                && let Some(alike) = reader.known_but_for_numbers(text, catalog)
            {
                doubts.texts = Texts::Alike;
                return Some(alike);
            }
            if here {
                reader.read_here(text, catalog)
            } else {
                None
            }
        };
        texts.iter().map(read).collect()
    }

    fn ask(&mut self, request: &Arc<Request>) {
        if !self.is_within_walls(request) {
            return;
        }
        if std::mem::take(&mut self.doubts.texts) == Texts::Alike {
            return self.ask_alike(request);
        }
        let again = std::mem::take(&mut self.doubts.asked_again);
        self.doubts.bound = true;
        match self.keeper.judge(self.number, request) {
            Ok(verdict) => {
                self.meter.verdict(request, &verdict);
                self.doubts.bound = matches!(verdict, Verdict::Clear(_));
                self.tell(Input::Verdict(verdict));
            }
            // Nobody is asked to sign for what a look at the catalog clears.
            Err(_) if !again && self.is_outdated() => self.ask_again(),
            Err(hold) => {
                let (keeper, number, pid) =
                    (Rc::clone(&self.keeper), self.number, self.place.key().pid);
                let (tally, request) = (self.meter.tally(), Arc::clone(request));
                self.later(async move {
                    let verdict: Verdict = keeper.hold(number, pid, hold).await;
                    if let Some(tally) = tally {
                        tally.verdict(&request, &verdict);
                    }
                    Answer::Input(Input::Verdict(verdict))
                });
            }
        }
    }

    /// What texts like these are may let them pass, and that is all: whatever else the rules say is said, written down and
    /// signed of the very texts, which are read first.
    fn ask_alike(&mut self, request: &Arc<Request>) {
        let keeper = Rc::clone(&self.keeper);
        let version = keeper.version();
        let verdict = match version.config.policy.judge(request, keeper.world.now_ms()) {
            Judgement::Allow(pass)
                if pass.observed().is_none()
                    && keeper.journal.is_open()
                    && keeper.shut.by().is_none() =>
            {
                self.doubts.asked_again = false;
                self.doubts.bound = true;
                let verdict = Verdict::Clear(Clearance::Pass(pass));
                self.meter.verdict(request, &verdict);
                verdict
            }
            _ => {
                self.doubts.texts = Texts::Exactly;
                Verdict::Again
            }
        };
        self.tell(Input::Verdict(verdict));
    }

    /// Every such word is in the journal before it is carried out, as what goes up is.
    fn signal(&mut self, pid: u32, terminates: bool) {
        let principal = self.session.principal().map(|it| it.id.clone());
        let (Some(principal), Some(tenant)) = (principal, self.tenant.clone()) else {
            return self.tell(Input::Signalled(false));
        };
        let (keeper, session) = (Rc::clone(&self.keeper), self.number);
        self.later(async move {
            let Some(target) = keeper.registry.own(pid, &principal, tenant.as_str()) else {
                return Answer::Input(Input::Signalled(false));
            };
            let entry = Entry::Signalled {
                session,
                principal: principal.clone(),
                pid,
                terminates,
            };
            let sent = keeper.note_late(Some(tenant), entry).await;
            if sent {
                target.signal(terminates).await;
            }
            Answer::Input(Input::Signalled(sent))
        });
    }

    fn is_outdated(&self) -> bool {
        let lanes = self.lanes.as_ref();
        lanes.is_some_and(|it| it.knowledge.is_outdated())
    }

    fn ask_again(&mut self) {
        let Some(lanes) = self.lanes.clone() else {
            return;
        };
        self.doubts.asked_again = true;
        let now = self.keeper.world.now();
        self.later(async move {
            Rc::clone(&lanes.knowledge).refreshed(now).await;
            Answer::Input(Input::Verdict(Verdict::Again))
        });
    }

    pub(super) fn checkout(&mut self, wanted: Checkout) {
        killpoint::reached(Step::Checkout);
        let Some(wanted) = self.follow(wanted) else {
            return;
        };
        let principal = self.session.principal().map(|it| it.id.clone());
        let (Some(lanes), Some(principal)) = (&self.lanes, principal) else {
            return self.tell(Input::Leased(Err(Fault::no_upstream(""))));
        };
        if let Some(fault) = self.not_isolated() {
            return self.tell(Input::Leased(Err(fault)));
        }
        let pool = Rc::clone(lanes.pool(wanted.lane));
        let login = wanted.login.as_ref().unwrap_or(&self.keeper.plain);
        let login = Arc::clone(login);
        let owner = Borrower { principal, login };
        let Some((wanted, owner)) = self.read_elsewhere(wanted, owner) else {
            return;
        };
        if let Some(lease) = pool.try_checkout(&owner) {
            return self.leased(Ok(lease));
        }
        self.gives_up = GivesUp::Place;
        self.meter.waits(self.now);
        self.later(async move {
            let leased = pool.checkout(&owner).await;
            Answer::Lease(Box::new((wanted, leased)))
        });
    }

    pub(super) fn leased(&mut self, leased: Result<Lease<W::Dial>, CheckoutError>) {
        let input = match leased {
            Ok(mut lease) => {
                killpoint::reached(Step::Lent);
                self.meter.lent(self.now);
                self.doubts.bound = false;
                let upstream = lease.upstream();
                let (surface, pid) = (upstream.take_surface(), upstream.pid());
                self.lease = Some(lease);
                Input::Leased(Ok(Leased { surface, pid }))
            }
            Err(error) => {
                let tenant = self.tenant.clone().unwrap_or_else(|| TenantId::from(""));
                Input::Leased(Err(checkout_fault(&tenant, &error)))
            }
        };
        self.tell(input);
    }

    fn claim(&mut self, clearance: Clearance) {
        self.doubts.changes_catalog |= may_change(clearance.request());
        if let Clearance::Pass(pass) = clearance {
            return self.tell(Input::Claimed(Ok(pass_on(pass))));
        }
        killpoint::reached(Step::Claim);
        let keeper = Rc::clone(&self.keeper);
        let ticket = clearance.ticket();
        self.place.show(|view| view.runs.extend(ticket));
        // It runs where the session is, wherever its tenant leads by now.
        let lanes = self.lanes.clone();
        let (tally, request) = (self.meter.tally(), Arc::clone(clearance.request()));
        let claim = async move {
            let claimed = keeper.claim(clearance, lanes).await;
            if let (Some(tally), Ok(_)) = (tally, &claimed) {
                tally.answer(&request, stats::Answer::Signed);
            }
            claimed
        };
        self.later(async move { Answer::Input(Input::Claimed(claim.await)) });
    }

    fn write(&mut self, entry: Entry) {
        killpoint::reached(Step::before(&entry));
        self.outdate(&entry);
        let (journal, tenant) = (self.keeper.journal.clone(), self.tenant.clone());
        self.later(async move {
            let written = journal.write_at(tenant.as_ref(), entry);
            Answer::Input(Input::Written(written.await))
        });
    }

    /// Whatever ends after something that may change the catalog may be what made the change seen.
    fn outdate(&self, entry: &Entry) {
        let ends = matches!(entry, Entry::Outcome { .. } | Entry::TransactionEnd { .. });
        if self.doubts.changes_catalog
            && ends
            && let Some(lanes) = &self.lanes
        {
            lanes.knowledge.outdate();
        }
    }

    /// Nothing goes up behind an entry that was not written (DESIGN principle 9).
    fn note(&mut self, entry: Entry) {
        self.outdate(&entry);
        let journal = &self.keeper.journal;
        if journal.note_at(self.tenant.as_ref(), &entry).is_err() {
            let (keeper, tenant) = (Rc::clone(&self.keeper), self.tenant.clone());
            self.later(async move { Answer::Noted(keeper.note_late(tenant, entry).await) });
        }
    }

    fn load(&mut self, cargo: &[Cargo]) {
        killpoint::loading(cargo);
        self.note_load(cargo);
        let loaded = match &mut self.lease {
            Some(lease) => lease.upstream().load(cargo).is_ok(),
            None => false,
        };
        if !loaded {
            self.upstream_gone();
        }
    }

    fn settle(&mut self, it: Settlement) {
        killpoint::reached(Step::Settle);
        let ended = |ticket: &TicketId| it.claims.iter().any(|claim| claim.0 == *ticket);
        self.place.show(|view| view.runs.retain(|it| !ended(it)));
        let settled = settle(Rc::clone(&self.keeper), it);
        self.later(async move { Answer::Input(Input::Settled(settled.await)) });
    }

    /// Nothing else is sent until the server has taken the cancel, so that it cannot hit what comes
    /// next (hazards R51).
    fn cancel_upstream(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        let (dial, target) = (lease.dial(), lease.cancel_target());
        if let Some(target) = target {
            self.later(async move {
                if let Err(error) = target.cancel(&*dial).await {
                    tracing::warn!("a cancel could not be delivered: {error}");
                }
                Answer::Cancelled
            });
        }
    }

    fn console(&mut self, command: session::ConsoleCommand) {
        let user = self.place.user();
        // The groups that count are those of now, however long ago somebody came.
        let known = self.keeper.version().principal(&user).cloned();
        let Some(principal) = known.or_else(|| self.session.principal().cloned()) else {
            return;
        };
        let keeper = Rc::clone(&self.keeper);
        if matches!(command, session::ConsoleCommand::Pause(_)) {
            self.gives_up = GivesUp::Pause;
        }
        self.later(async move {
            Answer::Input(Input::Console(
                console::run(&keeper, (&principal, &user), command).await,
            ))
        });
    }
}
