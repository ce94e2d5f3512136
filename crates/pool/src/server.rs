//! One server, as the pools that lead to it share it: the connections it has and how many it may
//! get, whose turn it is, and how soon it may be asked for a login. It knows the pools only as
//! lanes, and it never says anything to the server but farewell.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_util::FutureExt;
use gate::{PrincipalId, Settings, Surface, TenantId};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::connect::ConnectError;
use crate::dial::Dial;
use crate::idle::Borrower;
use crate::reset::farewell;
use crate::storm::Logins;
use crate::turns::{Seat, Turns};
use crate::upstream::Upstream;

/// Limits of each server, which is a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at the most, over all tenants; 0 is no limit.
    pub connections_max: usize,
    /// Logins at the same time.
    pub logins_max: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 0,
            logins_max: 8,
        }
    }
}

/// One server.
pub(crate) struct Server<D: Dial> {
    connections_max: usize,
    /// Connections that are open or about to be.
    open: Cell<usize>,
    /// Those of them that lie unused in a pool.
    pub(crate) idle: Cell<usize>,
    turns: RefCell<Turns<Waiter<D>>>,
    lanes: RefCell<Vec<Weak<dyn Lane<D>>>>,
    pub(crate) logins: Logins,
}

/// What leads to a server, as the server sees it: a pool.
pub(crate) trait Lane<D: Dial> {
    /// A connection that `who` may have and that is still good; else the place of one that is not.
    fn take_idle(&self, who: Option<&Borrower>) -> Option<Grant<D>>;

    /// The one that has been unused longest, to be closed for its place.
    fn take_oldest(&self) -> Option<(Upstream<D::Socket>, Place<D>)>;

    /// Since when the longest unused one has been so.
    fn idle_since(&self) -> Option<Instant>;

    /// How many lie unused.
    fn idle_count(&self) -> usize;

    /// Whether one more may be opened.
    fn has_room(&self) -> bool;

    /// The count of connections that are open or about to be.
    fn places(&self) -> &Rc<Cell<usize>>;
}

/// Somebody who waits for a connection.
pub(crate) struct Waiter<D: Dial> {
    pub(crate) lane: Rc<dyn Lane<D>>,
    pub(crate) owner: Option<Borrower>,
    pub(crate) send: oneshot::Sender<Turn<D>>,
}

/// What somebody who waits hears: what they get, or why nobody of the lane gets anything.
pub(crate) type Turn<D> = Result<Grant<D>, Arc<ConnectError>>;

/// What a turn gives.
pub(crate) enum Grant<D: Dial> {
    /// A connection that lay ready.
    Ready(Connection<D>),
    /// The place for a new one.
    Open(Place<D>),
    /// The same, once this one has been closed.
    Replace(Upstream<D::Socket>, Place<D>),
}

impl<D: Dial> Server<D> {
    pub(crate) fn new(limits: ServerLimits, seed: u64) -> Self {
        Self {
            connections_max: match limits.connections_max {
                0 => usize::MAX,
                max => max,
            },
            open: Cell::new(0),
            idle: Cell::new(0),
            turns: RefCell::default(),
            lanes: RefCell::default(),
            logins: Logins::new(limits.logins_max, seed),
        }
    }

    /// This lane leads here, for as long as it lives.
    pub(crate) fn add(&self, lane: Weak<dyn Lane<D>>) {
        let mut lanes = self.lanes.borrow_mut();
        lanes.retain(|it| it.strong_count() > 0);
        lanes.push(lane);
    }

    /// Whether a lane's first waiter can be served: there is something unused in its own pool, or
    /// room in it and on the server, where what other tenants do not use counts as room.
    fn can_serve(&self, lane: &dyn Lane<D>) -> bool {
        let room = self.open.get() < self.connections_max || self.idle.get() > 0;
        lane.idle_count() > 0 || (lane.has_room() && room)
    }

    /// Serves everybody who can be, in turn. Called whenever something became free.
    pub(crate) fn serve(self: &Rc<Self>) {
        loop {
            let next = self.turns.borrow_mut().next(|it| self.can_serve(&*it.lane));
            let Some(waiter) = next else { return };
            let grant = self.grant(&*waiter.lane, waiter.owner.as_ref());
            // Who has stopped waiting left the queue. What cannot be given is given back.
            if let Some(grant) = grant {
                let _given = waiter.send.send(Ok(grant));
            }
        }
    }

    /// The owner's own, else anybody's, else a new one, else a new one in the place of what nobody
    /// uses: of the same pool first.
    fn grant(self: &Rc<Self>, lane: &dyn Lane<D>, owner: Option<&Borrower>) -> Option<Grant<D>> {
        if let Some(grant) = lane.take_idle(owner) {
            return Some(grant);
        }
        if lane.has_room() && self.open.get() < self.connections_max {
            return Some(Grant::Open(Place::new(self, lane)));
        }
        let (upstream, place) = match lane.take_oldest() {
            Some(own) => own,
            None => self.longest_idle()?.take_oldest()?,
        };
        Some(Grant::Replace(upstream, place.moved_to(lane)))
    }

    /// The lane with the connection that has been unused longest.
    fn longest_idle(&self) -> Option<Rc<dyn Lane<D>>> {
        let lanes = self.lanes.borrow();
        let alive = lanes.iter().filter_map(Weak::upgrade);
        let since = alive.filter_map(|lane| Some((lane.idle_since()?, lane)));
        since.min_by_key(|(since, _)| *since).map(|(_, lane)| lane)
    }

    /// Nobody of this lane is served any more.
    pub(crate) fn forget(&self, lane: u64) {
        let gone = self.turns.borrow_mut().clear(lane);
        drop(gone);
    }

    /// Tells all that wait in this lane why they would wait in vain.
    pub(crate) fn refuse(&self, lane: u64, why: &Arc<ConnectError>) {
        let all = self.turns.borrow_mut().clear(lane);
        for waiter in all {
            let _told = waiter.send.send(Err(Arc::clone(why)));
        }
    }
}

/// A place in the queue; dropped, it is given up.
pub(crate) struct Queued<D: Dial> {
    server: Rc<Server<D>>,
    seat: Seat,
}

impl<D: Dial> Queued<D> {
    /// Joins, and is served at once where that can be.
    pub(crate) fn join(
        server: &Rc<Server<D>>,
        (tenant, lane): &(TenantId, u64),
        waiter: Waiter<D>,
    ) -> Self {
        let seat = server.turns.borrow_mut().join(tenant, *lane, waiter);
        server.serve();
        Self {
            server: Rc::clone(server),
            seat,
        }
    }
}

impl<D: Dial> Drop for Queued<D> {
    fn drop(&mut self) {
        let left = self.server.turns.borrow_mut().leave(&self.seat);
        drop(left);
    }
}

/// The right to one connection of a pool to a server. Dropped, it is somebody else's.
pub(crate) struct Place<D: Dial> {
    server: Rc<Server<D>>,
    /// The pool's count of its places.
    count: Rc<Cell<usize>>,
}

impl<D: Dial> Place<D> {
    fn new(server: &Rc<Server<D>>, lane: &dyn Lane<D>) -> Self {
        server.open.set(server.open.get() + 1);
        let count = Rc::clone(lane.places());
        count.set(count.get() + 1);
        Self {
            server: Rc::clone(server),
            count,
        }
    }

    /// The same place on the server, for another pool.
    fn moved_to(mut self, lane: &dyn Lane<D>) -> Self {
        self.count.set(self.count.get().saturating_sub(1));
        self.count = Rc::clone(lane.places());
        self.count.set(self.count.get() + 1);
        self
    }
}

impl<D: Dial> Drop for Place<D> {
    fn drop(&mut self) {
        self.count.set(self.count.get().saturating_sub(1));
        let open = &self.server.open;
        open.set(open.get().saturating_sub(1));
        self.server.serve();
    }
}

/// An open connection and its place.
pub(crate) struct Connection<D: Dial> {
    pub(crate) upstream: Upstream<D::Socket>,
    /// Whose it is since it was reset; until then it is anybody's.
    pub(crate) owner: Option<PrincipalId>,
    /// The settings that it logged in with.
    pub(crate) login: Arc<Settings>,
    /// What the server said its parameters are at that login.
    pub(crate) parameters: Arc<Settings>,
    /// When it is too old.
    pub(crate) expires: Instant,
    pub(crate) place: Place<D>,
}

impl<D: Dial> Connection<D> {
    /// Whether nothing came that nobody asked for: bytes, or its end (hazards R30).
    pub(crate) fn is_quiet(&mut self) -> bool {
        let upstream = &mut self.upstream;
        let unasked = upstream.stream.read_buf(&mut upstream.inbox).now_or_never();
        unasked.is_none() && upstream.inbox.is_empty()
    }

    /// Nothing is on it but what it logged in with.
    pub(crate) fn renew(&mut self) {
        self.upstream.put_surface(Surface {
            settings: Arc::clone(&self.login),
            ..Surface::default()
        });
    }

    /// Closes it as the server likes it. The place is free when the server has let go.
    pub(crate) async fn dismiss(self) {
        farewell(self.upstream).await;
        drop(self.place);
    }

    /// The same, behind the caller's back.
    pub(crate) fn dismiss_later(self) {
        tokio::task::spawn_local(self.dismiss());
    }
}
