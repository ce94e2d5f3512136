//! Who is connected and who waits for what: cancel keys, mail to sessions, waiters of tickets. It
//! never looks into a session; it can only write to it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Context;

use bytes::Bytes;
use dashmap::DashMap;
use gate::{PrincipalId, TenantId, TicketId};
use session::{Fault, News};
use tokio::sync::oneshot;
use wire::CancelKey;

use crate::config::Edge;
use crate::doors::{Arrival, Doors, Full};
use crate::letterbox::Letterbox;
use crate::purse::{Purses, Share};

/// Process ids that we hand out lie above PostgreSQL's own default maximum (DESIGN ruling 21).
const PID_BASE: u32 = 1 << 22;

/// Sessions on the console. They are not counted with the others: who approves must come in where the
/// gate is full of those who wait for that.
pub(crate) const CONSOLES_MAX: usize = 50;

/// Connections of one address beyond its sessions, which may be logging in or cancelling.
const ARRIVALS_MAX: usize = 50;

/// Signals that may wait in one session's box. Of news there are no more than people who sign its ticket.
const SIGNALS_MAX: usize = 64;

/// What a session can be told from outside its own connection.
#[derive(Debug)]
pub(crate) enum Mail {
    /// Somebody with its key asks to cancel, and waits until this is dropped.
    Cancel(oneshot::Sender<()>),
    /// The person ends it from another session.
    Terminate,
    /// The gate ends it, for this reason.
    Dismiss(Box<Fault>),
    /// What became of a ticket.
    News(TicketId, News),
    /// The gate shuts down.
    Drain,
}

/// What others may see of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) user: String,
    pub(crate) person: Option<PrincipalId>,
    pub(crate) tenant: String,
    pub(crate) client: Arc<str>,
    pub(crate) application: String,
    pub(crate) state: &'static str,
    pub(crate) ticket: Option<TicketId>,
    /// The tickets that it has spent, and whose end is not known.
    pub(crate) runs: Vec<TicketId>,
    pub(crate) since_ms: i64,
    pub(crate) tls: bool,
    /// The server's process id of the connection that is lent to it.
    pub(crate) server: Option<u32>,
}

/// One connected session.
#[derive(Debug)]
struct Entry {
    key: CancelKey,
    mail: Letterbox<Mail>,
    view: Mutex<View>,
}

/// Every session and every waiter.
#[derive(Debug)]
pub(crate) struct Registry {
    edge: RwLock<Arc<Edge>>,
    doors: Arc<Doors>,
    purses: Arc<Purses>,
    sessions: DashMap<u32, Arc<Entry>>,
    waiters: DashMap<TicketId, Vec<u32>>,
    next: AtomicU32,
    draining: AtomicBool,
}

/// A session that a person may signal.
#[derive(Debug)]
pub(crate) struct Target(Arc<Entry>);

/// A session's place in the registry; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
    /// The limits of when it came.
    edge: Arc<Edge>,
    share: Option<Share>,
}

impl Registry {
    /// With nobody in it.
    pub(crate) fn new(edge: Edge) -> Self {
        Self {
            edge: RwLock::new(Arc::new(edge)),
            doors: Arc::default(),
            purses: Arc::default(),
            sessions: DashMap::default(),
            waiters: DashMap::default(),
            next: AtomicU32::default(),
            draining: AtomicBool::default(),
        }
    }

    /// The limits of whoever comes now.
    pub(crate) fn edge(&self) -> Arc<Edge> {
        let edge = self.edge.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&edge)
    }

    /// Other limits, for whoever comes from now on.
    pub(crate) fn limit(&self, edge: Edge) {
        *self.edge.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(edge);
    }

    /// Somebody connects; nobody more from an address that has too many connections already.
    pub(crate) fn arrive(&self, address: IpAddr) -> Option<Arrival> {
        let max = self.edge().sessions_per_address_max + ARRIVALS_MAX;
        self.doors.arrive(address, max)
    }

    /// Whether who has arrived may have a session, or one on the console.
    pub(crate) fn admit(&self, arrival: &mut Arrival, console: bool) -> Result<(), Fault> {
        let Edge {
            sessions_max,
            sessions_per_address_max,
            ..
        } = *self.edge();
        let entered = if console {
            arrival.enter_console(CONSOLES_MAX)
        } else {
            arrival.enter(sessions_max, sessions_per_address_max)
        };
        entered.map_err(|full| match full {
            Full::Gate if console => Fault::too_many_sessions(CONSOLES_MAX),
            Full::Gate => Fault::too_many_sessions(sessions_max),
            Full::Address => Fault::too_many_of_address(sessions_per_address_max),
        })
    }

    /// Takes a place. The key's secret is random; its process id is ours.
    pub(crate) fn enter(self: &Arc<Self>, secret: Bytes, view: View) -> Option<Place> {
        loop {
            let pid = PID_BASE | (self.next.fetch_add(1, Ordering::Relaxed) & (PID_BASE - 1));
            let vacant = match self.sessions.entry(pid) {
                dashmap::Entry::Vacant(vacant) => vacant,
                dashmap::Entry::Occupied(_) => continue,
            };
            let key = CancelKey::new(pid, secret).ok()?;
            let entry = Arc::new(Entry {
                key,
                mail: Letterbox::default(),
                view: Mutex::new(view),
            });
            vacant.insert(Arc::clone(&entry));
            return Some(Place {
                registry: Arc::clone(self),
                entry,
                edge: self.edge(),
                share: None,
            });
        }
    }

    /// How many are connected.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Cancels what the owner of this key does. Whether the key fits is told to nobody (R52).
    /// Returns once that is done, or there is nothing to do.
    pub(crate) async fn cancel(&self, key: &CancelKey) {
        let entry = self.sessions.get(&key.pid).map(|it| Arc::clone(it.value()));
        let Some(entry) = entry.filter(|it| it.key.matches(key)) else {
            return;
        };
        Target(entry).signal(false).await;
    }

    /// The session of `person` at `tenant` that goes by this process id: ours, or the server's of what is
    /// lent to it now. Nobody else's.
    pub(crate) fn own(&self, pid: u32, person: &PrincipalId, tenant: &str) -> Option<Target> {
        let own = |it: &Entry| {
            let view = it.view();
            let known = it.key.pid == pid || view.server == Some(pid);
            known && view.person.as_ref() == Some(person) && view.tenant == tenant
        };
        let mut sessions = self.sessions.iter();
        let entry = sessions.find_map(|it| own(it.value()).then(|| Arc::clone(it.value())));
        entry.map(Target)
    }

    /// The sessions in which a ticket runs.
    pub(crate) fn running(&self, ticket: TicketId) -> Vec<Target> {
        let mut sessions = self.in_order();
        sessions.retain(|it| it.view().runs.contains(&ticket));
        sessions.into_iter().map(Target).collect()
    }

    /// Everybody's view, in the order of their process ids.
    pub(crate) fn views(&self) -> Vec<(u32, View)> {
        let view = |it: &Arc<Entry>| (it.key.pid, it.view().clone());
        self.in_order().iter().map(view).collect()
    }

    /// Shows everybody's tenant and state to `count`, in no order: for figures.
    pub(crate) fn census(&self, mut count: impl FnMut(&str, &'static str)) {
        for entry in &self.sessions {
            let view = entry.view();
            count(&view.tenant, view.state);
        }
    }

    /// Everybody, in the order of their process ids: what is done with all of them is done in the same order each time.
    fn in_order(&self) -> Vec<Arc<Entry>> {
        let sessions = self.sessions.iter();
        let mut sessions: Vec<_> = sessions.map(|it| Arc::clone(it.value())).collect();
        sessions.sort_by_key(|it| it.key.pid);
        sessions
    }

    /// A session starts to wait for a ticket.
    pub(crate) fn wait(&self, ticket: TicketId, pid: u32) {
        self.waiters.entry(ticket).or_default().push(pid);
    }

    /// A session does not wait any more; whether nobody does now.
    pub(crate) fn leave(&self, ticket: TicketId, pid: u32) -> bool {
        let Some(mut waiters) = self.waiters.get_mut(&ticket) else {
            return true;
        };
        waiters.retain(|it| *it != pid);
        let empty = waiters.is_empty();
        drop(waiters);
        if empty {
            self.waiters
                .remove_if(&ticket, |_, waiters| waiters.is_empty());
        }
        empty
    }

    /// Tells everybody who waits for a ticket what became of it.
    pub(crate) fn announce(&self, ticket: TicketId, news: &News) {
        let pids = self
            .waiters
            .get(&ticket)
            .map(|it| it.value().clone())
            .unwrap_or_default();
        for pid in pids {
            self.inform(pid, ticket, news.clone());
        }
    }

    /// Ends the session of this process id, and says why.
    pub(crate) fn dismiss(&self, pid: u32, why: Fault) {
        self.post(pid, Mail::Dismiss(Box::new(why)));
    }

    /// Tells the session of this process id what became of a ticket for it.
    pub(crate) fn inform(&self, pid: u32, ticket: TicketId, news: News) {
        self.post(pid, Mail::News(ticket, news));
    }

    fn post(&self, pid: u32, mail: Mail) {
        let entry = self.sessions.get(&pid).map(|it| Arc::clone(it.value()));
        if let Some(entry) = entry {
            // A box that is closed belongs to a session that has just gone.
            let _delivered = entry.mail.put(mail);
        }
    }

    /// Whether one of these is still there.
    pub(crate) fn has_any(&self, mut pids: impl Iterator<Item = u32>) -> bool {
        pids.any(|it| self.sessions.contains_key(&it))
    }

    /// Whether the gate shuts down.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Tells everybody that the gate shuts down.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        for entry in self.in_order() {
            let _delivered = entry.mail.put(Mail::Drain);
        }
    }
}

impl Target {
    /// Sends it; a cancel is over when this returns.
    pub(crate) async fn signal(&self, terminates: bool) {
        let (send, done) = oneshot::channel();
        let mail = if terminates {
            Mail::Terminate
        } else {
            Mail::Cancel(send)
        };
        // A full box is full of cancels already.
        if self.0.mail.put_below(SIGNALS_MAX, mail) && !terminates {
            let _dropped = done.await;
        }
    }
}

impl Entry {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The key that cancels this session.
    pub(crate) fn key(&self) -> &CancelKey {
        &self.entry.key
    }

    /// The next letter; who finds none is woken by the next.
    pub(crate) fn mail(&self, cx: &Context<'_>) -> Option<Mail> {
        self.entry.mail.take(cx)
    }

    /// Joins a tenant, if that takes one more.
    pub(crate) fn join(&mut self, tenant: &TenantId) -> Result<(), Fault> {
        let edge = &self.edge;
        let sessions_max = edge.sessions_per_tenant_max;
        let most = (sessions_max, edge.tenant_buffer_bytes_max);
        self.share = self.registry.purses.join(tenant, most);
        if self.share.is_none() {
            return Err(Fault::too_many_of_tenant(tenant.as_str(), sessions_max));
        }
        Ok(())
    }

    /// Tells the tenant's purse how many bytes wait in this session.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        if let Some(share) = &mut self.share {
            share.weigh(bytes);
        }
    }

    /// Whether more may be read from the server while `waiting` bytes wait for the client. Whoever takes
    /// all there is goes on even where the tenant keeps too much: others cannot starve it.
    pub(crate) fn may_relay(&self, waiting: usize) -> bool {
        let full = || self.share.as_ref().is_some_and(Share::is_full);
        waiting == 0 || (waiting < self.edge.buffer_bytes_max && !full())
    }

    /// Whether more may be read from the client: `waiting` bytes wait in either direction, and `gathered`
    /// are those of a request that is not whole.
    pub(crate) fn may_gather(&self, waiting: usize, gathered: usize, cx: &Context<'_>) -> bool {
        let room = waiting <= self.edge.buffer_bytes_max;
        let share = self.share.as_ref();
        share.is_none_or(|it| it.may_gather(gathered, cx)) && room
    }

    /// Where its client is.
    pub(crate) fn client(&self) -> Arc<str> {
        Arc::clone(&self.entry.view().client)
    }

    /// The name that the session logged in with.
    pub(crate) fn user(&self) -> String {
        self.entry.view().user.clone()
    }

    /// Changes what others see.
    pub(crate) fn show(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.entry.view());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.sessions.remove(&self.entry.key.pid);
        self.entry.mail.close();
    }
}
